// libFuzzer target: any bytes are either read as a pipeline or refused with an Error.
#include <cstdint>

#include "base/error.h"
#include "pipelines/ir/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    penstock::ir::read_pipeline({reinterpret_cast<const char*>(data), size});
  } catch (const penstock::Error&) {
    // Refused.
  }
  return 0;
}
