// libFuzzer target: any bytes, in any pieces, are decoded or refused.
#include "objects/s3/chunks.h"
#include "objects/s3_error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::optional<penstock::objects::ChunkDecoder::Signing> signing;
  if (data[0] & 1) signing.emplace();
  penstock::objects::ChunkDecoder decoder(std::move(signing));
  std::string_view rest(reinterpret_cast<const char*>(data + 2), size - 2);
  const size_t step = data[1] + size_t{1};
  try {
    while (!rest.empty()) {
      decoder.feed(rest.substr(0, step), [](std::string_view) {});
      rest.remove_prefix(std::min(step, rest.size()));
    }
    decoder.finish();
  } catch (const penstock::objects::S3Error&) {
    // Refused.
  }
  return 0;
}
