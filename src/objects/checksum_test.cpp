#include "objects/checksum.h"

#include <doctest/doctest.h>

namespace penstock::objects {

TEST_CASE("CRCs of the check text") {
  CHECK(crc32(0, "123456789") == 0xCBF43926);
  CHECK(crc32c(0, "123456789") == 0xE3069283);
  CHECK(crc64nvme(0, "123456789") == 0xAE8B14860A799888);
}

TEST_CASE("a CRC does not depend on how the text is cut, and parts combine") {
  std::string text;
  for (int i = 0; i < 1'000; ++i) text += static_cast<char>(i * 7 + i / 13);
  for (const size_t cut : {0, 1, 7, 8, 9, 500, 999, 1'000}) {
    const auto first = std::string_view(text).substr(0, cut), second = std::string_view(text).substr(cut);
    CAPTURE(cut);
    CHECK(crc32(crc32(0, first), second) == crc32(0, text));
    CHECK(crc32c(crc32c(0, first), second) == crc32c(0, text));
    CHECK(crc64nvme(crc64nvme(0, first), second) == crc64nvme(0, text));
    CHECK(crc32_combine(crc32(0, first), crc32(0, second), second.size()) == crc32(0, text));
    CHECK(crc32c_combine(crc32c(0, first), crc32c(0, second), second.size()) == crc32c(0, text));
    CHECK(crc64nvme_combine(crc64nvme(0, first), crc64nvme(0, second), second.size()) == crc64nvme(0, text));
  }
}

TEST_CASE("digests") {
  CHECK(hex(digest_of(Algorithm::Md5, "abc")) == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(hex(digest_of(Algorithm::Sha1, "abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(hex(digest_of(Algorithm::Sha256, "")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex(digest_of(Algorithm::Crc32, "123456789")) == "cbf43926");
  CHECK(checksum_algorithm("crc64nvme") == Algorithm::Crc64Nvme);
  CHECK_FALSE(checksum_algorithm("MD5"));
  CHECK(unhex("00fF") == std::string("\x00\xff", 2));
  CHECK_FALSE(unhex("0"));
}

}  // namespace penstock::objects
