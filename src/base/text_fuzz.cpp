// JSON, base64 and times: what is read is written such that it is read again as the same.
#include "base/base64.h"
#include "base/clock.h"
#include "base/fuzz.h"
#include "base/json.h"
#include "base/utf8.h"

using namespace penstock;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text(data, size);
  fuzz::taken([&] {
    const json::value value = parse_json(text);
    CHECK_INVARIANT(parse_json(to_text(value)) == value);
  });
  if (const auto bytes = base64_decode(text)) CHECK_INVARIANT(base64_decode(base64_encode(*bytes)) == bytes);
  CHECK_INVARIANT(base64_decode(base64_encode(text)) == text);
  if (const auto time = parse_time(text)) CHECK_INVARIANT(parse_time(format_time(*time, true)) == time);
  return 0;
}
