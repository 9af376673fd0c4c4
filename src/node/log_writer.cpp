#include "node/log_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace penstock::node {

namespace {

constexpr uint64_t kCheckEvery = 1 << 20;
constexpr std::string_view kCutNote = "\n[penstock: this log is over its limit; its middle part is left out here]\n";

// Makes the folder too when it is missing.
int open_log(const std::filesystem::path& path) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  const int file = ::open(path.c_str(), kFlags, 0644);
  if (file >= 0 || errno != ENOENT) return file;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  return ::open(path.c_str(), kFlags, 0644);
}

}  // namespace

void LogWriter::write(std::string_view bytes) {
  if (path_.empty() || bytes.empty()) return;
  if (file_ < 0 && problem_.empty()) {
    file_ = open_log(path_);
    if (file_ < 0) problem_ = fmt::format("open the log {}: {}", path_.native(), std::strerror(errno));
  }
  if (file_ < 0) return;
  unchecked_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t size = ::write(file_, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  if (limit_ == 0 || unchecked_ < std::min(kCheckEvery, limit_ / 8)) return;
  unchecked_ = 0;
  check_limit();
}

void LogWriter::close() {
  if (file_ < 0) return;
  if (limit_ != 0) check_limit();
  ::close(file_);
  file_ = -1;
}

// The writer goes on at the end of its file; the middle of the file gives its blocks back to the disk. What stays is
// the first quarter of the limit, a note, and the last part; readers see zero bytes between.
void LogWriter::check_limit() {
  constexpr int64_t kBlock = 4096;
  struct stat info = {};
  ::fstat(file_, &info);
  const int64_t limit = static_cast<int64_t>(limit_);
  if (info.st_blocks * 512 <= limit || info.st_size <= limit) return;
  const int64_t head = std::max(kBlock, limit / 4 / kBlock * kBlock);
  const int64_t tail = (info.st_size - limit / 2) / kBlock * kBlock;
  if (tail <= head) return;
  // By a descriptor of its own: where a file is open for appending, pwrite() appends.
  const int file = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return;
  if (!cut_ && ::pwrite(file, kCutNote.data(), kCutNote.size(), head - static_cast<int64_t>(kCutNote.size())) > 0) {
    cut_ = true;
  }
  // Where a file system cannot make holes, the log starts anew: its writer appends.
  if (::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, head, tail - head) != 0 &&
      ::ftruncate(file, 0) == 0) {
    cut_ = ::pwrite(file, kCutNote.data(), kCutNote.size(), 0) > 0;
  }
  ::close(file);
}

}  // namespace penstock::node
