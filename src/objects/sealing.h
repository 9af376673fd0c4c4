// Encryption of contents at rest. A content is sealed with AES-256 in counter mode, which keeps its length and lets it
// be read from anywhere. Its key is made of its object's key and a nonce of its own, so that no two contents share a
// key stream. Damage by accident is found by the contents' checksums, as without encryption; somebody who can write to
// the disk can change what a sealed content says without being noticed, but not read it.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace penstock::objects {

inline constexpr size_t kKeySize = 32;

std::string random_bytes(size_t count);
// Of one content. Both are raw bytes.
std::string content_key(std::string_view object_key, std::string_view nonce);

// Seals and opens: it is its own inverse. Belongs to one coroutine.
class StreamCipher {
 public:
  explicit StreamCipher(std::string_view content_key, uint64_t offset = 0);
  void apply(char* data, size_t size);  // the next bytes, in place

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

// Keeps the server's master key, in a file of mode 0600 that is made when it is first needed. Whoever loses the file
// loses all objects that the server sealed. Keys of objects are kept wrapped by it (AES-256-GCM). Thread-safe.
class Vault {
 public:
  explicit Vault(std::filesystem::path file) : file_(std::move(file)) {}
  // `name` tells keys apart that are made of the master key; the same one is needed to unwrap.
  std::string wrap(std::string_view name, std::string_view key);
  // Throws DataLoss when it was wrapped by another key.
  std::string unwrap(std::string_view name, std::string_view wrapped);

 private:
  std::string named_key(std::string_view name);
  std::filesystem::path file_;
  std::mutex mutex_;
  std::string master_;  // empty until it is needed
};

}  // namespace penstock::objects
