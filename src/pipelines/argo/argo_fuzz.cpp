// libFuzzer target: any bytes are either read as a workflow or refused with an Error.
#include <cstdint>

#include "base/error.h"
#include "pipelines/argo/workflow.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    auto documents = penstock::parse_yaml({reinterpret_cast<const char*>(data), size});
    if (!documents.empty()) penstock::argo::read_workflow(std::move(documents[0]));
  } catch (const penstock::Error&) {
    // Refused.
  }
  return 0;
}
