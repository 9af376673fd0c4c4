#include "base/utf8.h"

#include <doctest/doctest.h>

using namespace penstock;

TEST_CASE("text that is UTF-8 stays as it is, other bytes are replaced") {
  for (const std::string text : {"", "plain", "한글 ñ 🎉", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"}) {
    CHECK(is_utf8(text));
    CHECK(to_utf8(text) == text);
  }
  const std::string mark = "\xEF\xBF\xBD";
  CHECK(to_utf8("a\xFFz") == "a" + mark + "z");
  CHECK(to_utf8("a\xE3\x81") == "a" + mark + mark);                 // cut short
  CHECK(to_utf8("\x81z") == mark + "z");                            // begins in the middle
  CHECK(to_utf8("\xC0\x80") == mark + mark);                        // overlong
  CHECK(to_utf8("\xED\xA0\x80") == mark + mark + mark);             // a surrogate
  CHECK(to_utf8("\xF4\x90\x80\x80") == mark + mark + mark + mark);  // beyond Unicode
  CHECK_FALSE(is_utf8("a\xFF"));
}
