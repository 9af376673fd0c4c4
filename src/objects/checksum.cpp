#include "objects/checksum.h"

#include <array>
#include <cstring>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/error.h"

namespace penstock::objects {

namespace {

// Reflected polynomials.
constexpr uint32_t kIeee = 0xEDB88320, kCastagnoli = 0x82F63B78;
constexpr uint64_t kNvme = 0x9A6C9329AC4BC9B5;

// Eight tables: a step takes eight bytes.
template <class T, T Polynomial>
constexpr std::array<std::array<T, 256>, 8> make_tables() {
  std::array<std::array<T, 256>, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    T value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? Polynomial : 0);
    tables[0][i] = value;
  }
  for (size_t table = 1; table < 8; ++table) {
    for (uint32_t i = 0; i < 256; ++i) {
      const T before = tables[table - 1][i];
      tables[table][i] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

template <class T, T Polynomial>
T add_bytes(T crc, std::string_view data) {
  static constexpr auto tables = make_tables<T, Polynomial>();
  crc = ~crc;
  const auto* at = reinterpret_cast<const uint8_t*>(data.data());
  size_t left = data.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= crc;
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= tables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; left > 0; --left, ++at) crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
  return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_by_processor(uint32_t crc, std::string_view data) {
  uint64_t value = static_cast<uint32_t>(~crc);
  const char* at = data.data();
  size_t left = data.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    value = __builtin_ia32_crc32di(value, word);
  }
  auto small = static_cast<uint32_t>(value);
  for (; left > 0; --left, ++at) small = __builtin_ia32_crc32qi(small, static_cast<uint8_t>(*at));
  return ~small;
}
#endif

// Appending zero bytes is linear over GF(2): the matrix that appends 2^k bytes is the square of the one before.
template <class T>
struct Matrix {
  static constexpr size_t kBits = sizeof(T) * 8;
  std::array<T, kBits> columns{};
  T apply(T vector) const {
    T sum = 0;
    for (size_t i = 0; vector != 0; vector >>= 1, ++i) {
      if (vector & 1) sum ^= columns[i];
    }
    return sum;
  }
  Matrix squared() const {
    Matrix out;
    for (size_t i = 0; i < kBits; ++i) out.columns[i] = apply(columns[i]);
    return out;
  }
};

template <class T, T Polynomial>
T combine(T first, T second, uint64_t second_length) {
  static const auto powers = [] {
    std::array<Matrix<T>, 64> out;
    Matrix<T> bit;  // appends one zero bit
    bit.columns[0] = Polynomial;
    for (size_t i = 1; i < Matrix<T>::kBits; ++i) bit.columns[i] = T{1} << (i - 1);
    Matrix<T> byte = bit.squared().squared().squared();
    for (auto& power : out) {
      power = byte;
      byte = byte.squared();
    }
    return out;
  }();
  for (size_t k = 0; second_length != 0; second_length >>= 1, ++k) {
    if (second_length & 1) first = powers[k].apply(first);
  }
  return first ^ second;
}

std::string big_endian(uint64_t value, size_t bytes) {
  std::string out(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) out[bytes - 1 - i] = static_cast<char>(value >> (8 * i));
  return out;
}

const EVP_MD* message_digest(Algorithm algorithm) {
  // Fetched once: looking one up by name at each use costs more than hashing a small object.
  static EVP_MD* const md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  static EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm == Algorithm::Md5 ? md5 : algorithm == Algorithm::Sha1 ? sha1 : sha256;
}

std::string hmac(const EVP_MD* digest, std::string_view key, std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  HMAC(digest, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(data.data()),
       data.size(), out, &length);
  return {reinterpret_cast<const char*>(out), length};
}

constexpr std::pair<std::string_view, Algorithm> kNames[] = {
    {"CRC32", Algorithm::Crc32}, {"CRC32C", Algorithm::Crc32c}, {"CRC64NVME", Algorithm::Crc64Nvme},
    {"SHA1", Algorithm::Sha1},   {"SHA256", Algorithm::Sha256},
};

}  // namespace

uint32_t crc32(uint32_t crc, std::string_view data) { return add_bytes<uint32_t, kIeee>(crc, data); }

uint32_t crc32c(uint32_t crc, std::string_view data) {
#if defined(__x86_64__)
  static const bool by_processor = __builtin_cpu_supports("sse4.2");
  if (by_processor) return crc32c_by_processor(crc, data);
#endif
  return add_bytes<uint32_t, kCastagnoli>(crc, data);
}

uint64_t crc64nvme(uint64_t crc, std::string_view data) { return add_bytes<uint64_t, kNvme>(crc, data); }

uint32_t crc32_combine(uint32_t first, uint32_t second, uint64_t second_length) {
  return combine<uint32_t, kIeee>(first, second, second_length);
}
uint32_t crc32c_combine(uint32_t first, uint32_t second, uint64_t second_length) {
  return combine<uint32_t, kCastagnoli>(first, second, second_length);
}
uint64_t crc64nvme_combine(uint64_t first, uint64_t second, uint64_t second_length) {
  return combine<uint64_t, kNvme>(first, second, second_length);
}

std::optional<Algorithm> checksum_algorithm(std::string_view name) {
  for (const auto& [known, algorithm] : kNames) {
    const bool same = std::equal(name.begin(), name.end(), known.begin(), known.end(),
                                 [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
    if (same) return algorithm;
  }
  return std::nullopt;
}

std::string_view checksum_name(Algorithm algorithm) {
  for (const auto& [known, value] : kNames) {
    if (value == algorithm) return known;
  }
  return "MD5";
}

size_t digest_size(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::Md5: return 16;
    case Algorithm::Sha1: return 20;
    case Algorithm::Sha256: return 32;
    case Algorithm::Crc64Nvme: return 8;
    default: return 4;
  }
}

bool is_crc(Algorithm algorithm) {
  return algorithm == Algorithm::Crc32 || algorithm == Algorithm::Crc32c || algorithm == Algorithm::Crc64Nvme;
}

struct Digest::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Digest::Digest(Algorithm algorithm) : algorithm_(algorithm) {
  if (is_crc(algorithm)) return;
  context_ = std::make_unique<Context>();
  CHECK_INVARIANT(EVP_DigestInit_ex2(context_->evp, message_digest(algorithm), nullptr) == 1);
}
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
Digest::~Digest() = default;

void Digest::update(std::string_view data) {
  switch (algorithm_) {
    case Algorithm::Crc32: crc_ = crc32(static_cast<uint32_t>(crc_), data); break;
    case Algorithm::Crc32c: crc_ = crc32c(static_cast<uint32_t>(crc_), data); break;
    case Algorithm::Crc64Nvme: crc_ = crc64nvme(crc_, data); break;
    default: CHECK_INVARIANT(EVP_DigestUpdate(context_->evp, data.data(), data.size()) == 1);
  }
}

std::string Digest::finish() {
  if (is_crc(algorithm_)) return big_endian(crc_, digest_size(algorithm_));
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  CHECK_INVARIANT(EVP_DigestFinal_ex(context_->evp, out, &length) == 1);
  return {reinterpret_cast<const char*>(out), length};
}

std::string digest_of(Algorithm algorithm, std::string_view data) {
  Digest digest(algorithm);
  digest.update(data);
  return digest.finish();
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  return hmac(message_digest(Algorithm::Sha256), key, data);
}
std::string hmac_sha1(std::string_view key, std::string_view data) {
  return hmac(message_digest(Algorithm::Sha1), key, data);
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::optional<std::string> unhex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

void CrcCombiner::add(std::string_view raw, uint64_t length) {
  uint64_t value = 0;
  for (const unsigned char c : raw) value = value << 8 | c;
  switch (algorithm_) {
    case Algorithm::Crc32:
      crc_ = crc32_combine(static_cast<uint32_t>(crc_), static_cast<uint32_t>(value), length);
      break;
    case Algorithm::Crc32c:
      crc_ = crc32c_combine(static_cast<uint32_t>(crc_), static_cast<uint32_t>(value), length);
      break;
    default: crc_ = crc64nvme_combine(crc_, value, length);
  }
}

std::string CrcCombiner::finish() const { return big_endian(crc_, digest_size(algorithm_)); }

}  // namespace penstock::objects
