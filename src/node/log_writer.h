// A container's log, written by whoever holds the other end of its output.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace penstock::node {

// The file is made by the first output, as making one is dear on some file systems. What cannot be written is lost: a
// full disk must not stop the process. Takes no locks; belongs to one thread.
class LogWriter {
 public:
  // `limit`: bytes on disk, about, see ProcessSpec::log_limit; 0: any. An empty path: nothing is kept.
  explicit LogWriter(std::filesystem::path path = {}, uint64_t limit = 0) : path_(std::move(path)), limit_(limit) {}
  ~LogWriter() { close(); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void write(std::string_view bytes);
  void close();
  // Why nothing could be written; empty when all is well.
  const std::string& problem() const { return problem_; }

 private:
  void check_limit();

  std::filesystem::path path_;
  uint64_t limit_ = 0;
  int file_ = -1;
  bool cut_ = false;
  uint64_t unchecked_ = 0;  // bytes written since the limit was looked at
  std::string problem_;
};

}  // namespace penstock::node
