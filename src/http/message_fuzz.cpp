// Queries and percent-encoding: what is read is written such that it is read again as the same.
#include "base/fuzz.h"
#include "http/message.h"

using namespace penstock;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text(data, size);
  CHECK_INVARIANT(http::url_decode(http::url_encode(text), false) == text);
  std::string again;
  for (const auto& [name, value] : http::parse_query(text)) {
    again += (again.empty() ? "" : "&") + http::url_encode(name) + "=" + http::url_encode(value);
  }
  const http::Query query = http::parse_query(text);
  CHECK_INVARIANT(http::parse_query(again) == query);
  return 0;
}
