// Macros in the parameters of recurring runs.
#include "base/fuzz.h"
#include "pipelines/schedule/macros.h"

using namespace penstock;
using namespace penstock::pipelines;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text(data, size);
  const MacroValues values{*parse_time("2026-03-29T01:02:03Z"), *parse_time("2026-03-29T01:02:09Z"), 7, "run"};
  const std::string expanded = expand_macros(text, values);
  if (text.find("[[") == std::string_view::npos && text.find("{{") == std::string_view::npos) {
    CHECK_INVARIANT(expanded == text);
  }
  format_go(text, values.scheduled);
  return 0;
}
