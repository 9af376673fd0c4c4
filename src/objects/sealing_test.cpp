#include "objects/sealing.h"

#include <doctest/doctest.h>
#include <filesystem>
#include <sys/stat.h>

#include "base/error.h"
#include "objects/checksum.h"

namespace penstock::objects {

namespace fs = std::filesystem;

TEST_CASE("sealed bytes open from anywhere") {
  const std::string key = content_key(random_bytes(kKeySize), random_bytes(16)), plain = random_bytes(100'000);
  std::string sealed = plain;
  StreamCipher cipher(key);
  // In pieces that are no blocks.
  for (size_t at = 0; at < sealed.size(); at += 777) {
    cipher.apply(sealed.data() + at, std::min<size_t>(777, sealed.size() - at));
  }
  CHECK(sealed != plain);
  for (const size_t offset : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{17}, size_t{4096}, size_t{99'999}}) {
    std::string part = sealed.substr(offset);
    StreamCipher(key, offset).apply(part.data(), part.size());
    CHECK(part == plain.substr(offset));
  }
}

TEST_CASE("the key stream is AES-256 of the blocks' numbers") {
  // What AES-256 makes of a block of zeros under a key of zeros.
  std::string block(16, '\0');
  StreamCipher(std::string(kKeySize, '\0')).apply(block.data(), block.size());
  CHECK(hex(block) == "dc95c078a2408989ad48a21492842087");
}

TEST_CASE("contents of one object have keys of their own") {
  const std::string key = random_bytes(kKeySize);
  CHECK(content_key(key, "a") != content_key(key, "b"));
  CHECK(content_key(key, "a") == content_key(key, "a"));
}

TEST_CASE("a vault unwraps what it has wrapped, after a restart too, and nothing else") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("vault-{}", hex(random_bytes(8)));
  fs::create_directories(folder);
  const std::string key = random_bytes(kKeySize);
  Vault vault(folder / "key");
  CHECK_FALSE(fs::exists(folder / "key"));
  std::string wrapped = vault.wrap("a", key);
  CHECK(wrapped.find(key) == std::string::npos);
  CHECK(vault.wrap("a", key) != wrapped);
  struct stat info {};
  REQUIRE(::stat((folder / "key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  Vault again(folder / "key");
  CHECK(again.unwrap("a", wrapped) == key);
  CHECK_THROWS_AS(again.unwrap("b", wrapped), Error);
  Vault other(folder / "other");
  CHECK_THROWS_AS(other.unwrap("a", wrapped), Error);
  wrapped[14] ^= 1;
  CHECK_THROWS_AS(again.unwrap("a", wrapped), Error);
  CHECK_THROWS_AS(again.unwrap("a", "short"), Error);
  fs::remove_all(folder);
}

}  // namespace penstock::objects
