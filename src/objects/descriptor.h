// File descriptors and the few calls on them that the object store makes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/uio.h>
#include <unistd.h>

namespace penstock::objects {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Throws what errno says: ResourceExhausted when the disk is full, Internal otherwise.
[[noreturn]] void throw_disk(std::string_view doing);
void write_all(int fd, std::string_view bytes);
// Writes all of `parts`, which it changes, from `offset` on.
void write_parts(int fd, std::vector<iovec>& parts, uint64_t offset);
void sync_folder(const std::filesystem::path& folder);
// Makes a file of mode 0600, atomically and synced.
void write_secret(const std::filesystem::path& file, std::string_view text);

}  // namespace penstock::objects
