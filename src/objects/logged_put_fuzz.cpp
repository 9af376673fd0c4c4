// libFuzzer target: any bytes are an operation or are refused, and an operation is written as it was read.
#include "base/error.h"
#include "objects/logged_put.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace penstock;
  try {
    const auto put = objects::decode_put({reinterpret_cast<const char*>(data), size});
    const auto text = objects::encode(put);
    CHECK_INVARIANT(objects::encode(objects::decode_put(text)) == text);
  } catch (const Error&) {
    // Refused.
  }
  return 0;
}
