// libFuzzer target: any bytes, in any pieces, are read as a form or refused.
#include "objects/s3/post_form.h"
#include "objects/s3_error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  penstock::objects::FormReader reader("multipart/form-data; boundary=x");
  std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  const size_t step = data[0] + size_t{1};
  try {
    while (!rest.empty()) {
      reader.feed(rest.substr(0, step), [](std::string_view) {});
      rest.remove_prefix(std::min(step, rest.size()));
    }
    reader.finish();
  } catch (const penstock::objects::S3Error&) {
    // Refused.
  }
  return 0;
}
