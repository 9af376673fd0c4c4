// Uploads: the input is a multipart body with the boundary "b", and a package as it stands (YAML, zip or tar.gz).
#include "base/fuzz.h"
#include "pipelines/api/package.h"

using namespace penstock;
using namespace penstock::pipelines::api;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kLimit = 1 << 20;
  const std::string_view bytes = fuzz::text(data, size);
  fuzz::taken([&] { read_package("package", bytes, kLimit); });
  fuzz::taken([&] {
    const UploadedFile file = find_upload("multipart/form-data; boundary=b", bytes, "uploadfile");
    read_package(file.name, file.content, kLimit);
  });
  // And any Content-Type.
  const auto parts = fuzz::split(bytes, '\n', 2);
  fuzz::taken([&] { find_upload(parts[0], parts.back(), "uploadfile"); });
  return 0;
}
