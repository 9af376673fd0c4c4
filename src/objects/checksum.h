// Checksums and digests, computed as bytes come.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::objects {

// Each takes the value so far (0 at the start) and returns it with `data` added.
uint32_t crc32(uint32_t crc, std::string_view data);      // IEEE 802.3, as zlib's
uint32_t crc32c(uint32_t crc, std::string_view data);     // Castagnoli; the processor's where it has it
uint64_t crc64nvme(uint64_t crc, std::string_view data);  // NVM Express'

// The checksum of two texts in a row, from theirs and the length of the second.
uint32_t crc32_combine(uint32_t first, uint32_t second, uint64_t second_length);
uint32_t crc32c_combine(uint32_t first, uint32_t second, uint64_t second_length);
uint64_t crc64nvme_combine(uint64_t first, uint64_t second, uint64_t second_length);

enum class Algorithm { Md5, Sha1, Sha256, Crc32, Crc32c, Crc64Nvme };

// The S3 checksum algorithms by the names that its headers and XML use: "CRC32", "SHA256", …
std::optional<Algorithm> checksum_algorithm(std::string_view name);  // any case
std::string_view checksum_name(Algorithm algorithm);
size_t digest_size(Algorithm algorithm);  // bytes
bool is_crc(Algorithm algorithm);

class Digest {
 public:
  explicit Digest(Algorithm algorithm);
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  ~Digest();
  Algorithm algorithm() const { return algorithm_; }
  void update(std::string_view data);
  std::string finish();  // raw bytes, big-endian for CRCs; once

 private:
  struct Context;
  Algorithm algorithm_;
  uint64_t crc_ = 0;
  std::unique_ptr<Context> context_;  // null for CRCs
};

std::string digest_of(Algorithm algorithm, std::string_view data);
std::string hmac_sha256(std::string_view key, std::string_view data);  // raw bytes
std::string hmac_sha1(std::string_view key, std::string_view data);
std::string hex(std::string_view bytes);
std::optional<std::string> unhex(std::string_view text);

// The raw CRC of a whole from those of its parts, in order, with their lengths.
class CrcCombiner {
 public:
  explicit CrcCombiner(Algorithm algorithm) : algorithm_(algorithm) {}
  void add(std::string_view raw, uint64_t length);
  std::string finish() const;  // raw bytes

 private:
  Algorithm algorithm_;
  uint64_t crc_ = 0;
};

}  // namespace penstock::objects
