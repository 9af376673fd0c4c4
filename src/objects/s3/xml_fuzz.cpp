// libFuzzer target: any bytes are read as XML or refused.
#include "objects/s3/xml.h"
#include "objects/s3_error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    penstock::objects::parse_xml({reinterpret_cast<const char*>(data), size});
  } catch (const penstock::objects::S3Error&) {
    // Refused.
  }
  return 0;
}
