// Bytes on their way into the store.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "objects/checksum.h"
#include "objects/engine.h"

namespace penstock::objects {

// A whole content that no object refers to yet: the bytes of a small one, the synced file of a large one, which goes
// when this does unless the engine took it.
class Staged {
 public:
  Staged() = default;
  Staged(Staged&&) noexcept = default;
  Staged& operator=(Staged&&) noexcept = default;

  uint64_t size = 0;
  uint32_t crc = 0;
  std::string md5, sha256;         // raw
  std::vector<std::string> extra;  // raw, in the order of Upload's `extra`
  std::string data;                // when there is no file
  struct File {
    std::filesystem::path path;
    int64_t number = 0;
    bool kept = false;
    ~File();
  };
  std::unique_ptr<File> file;
};

// Takes one body, piece by piece, in constant memory. Belongs to one coroutine. Of a large one, what has come is hashed
// and written by the engine's pool while more comes.
class Upload {
 public:
  static constexpr size_t kSmall = 128 * 1024;  // up to here in the log

  Upload(Engine& engine, std::vector<Algorithm> extra);
  Upload(const Upload&) = delete;
  // ResourceExhausted when the disk is full.
  Async<> write(std::string_view piece);
  uint64_t size() const { return size_; }
  // Synced when it is a file.
  Async<Staged> finish();

 private:
  struct Large;
  Engine& engine_;
  std::vector<Algorithm> extra_;
  uint64_t size_ = 0;
  std::string small_;             // all of it, up to kSmall
  std::shared_ptr<Large> large_;  // then this; shared with the work that still runs when a client goes away
};

}  // namespace penstock::objects
