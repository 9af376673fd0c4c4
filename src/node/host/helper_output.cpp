// The way from a process's standard output to its log. A pipe, and not the file itself: a process that prints nothing
// costs no file, and on some file systems making one costs more than starting the process.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/helper_tasks.h"

namespace penstock::node {

namespace {

constexpr size_t kBuffer = 64 << 10;
// Of one process in one turn, so that others get theirs.
constexpr size_t kTurn = 1 << 20;
constexpr uint64_t kCheckEvery = 1 << 20;
// Makes the folder too when it is missing.
int open_log(const std::filesystem::path& path) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  const int file = open(path.c_str(), kFlags, 0644);
  if (file >= 0 || errno != ENOENT) return file;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  return open(path.c_str(), kFlags, 0644);
}

constexpr char kCutNote[] = "\n[penstock: this log is over its limit; its middle part is left out here]\n";

}  // namespace

void HelperTasks::make_log_pipe(Task& task) {
  if (task.spec.log.empty()) {
    task.plan.output = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw internal("no pipe for the output: {}", std::strerror(errno));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  task.log_pipe = ends[0];
  task.plan.output = ends[1];
}

void HelperTasks::take_output(int file) {
  auto found = outputs_.find(file);
  if (found == outputs_.end()) {
    warm_->readable(file);
    return;
  }
  Task& task = *found->second;
  if (copy_output(task, kTurn)) return;
  close_log(task);
  // Of a sandbox, the init closes the last end when nothing runs in it any more. What it does then, giving back its
  // mounts, nobody needs to wait for.
  if (!task.status.sandboxed || !task.plan.ended) return;
  auto running = running_.find(task.status.pid);
  if (running == running_.end()) return;  // a keeper
  int pid = running->first;
  auto owner = std::move(running->second);
  running_.erase(running);
  ended(*owner, 0);
  leaving_[pid] = std::move(owner);
}

// False when the last end of the pipe is closed.
bool HelperTasks::copy_output(Task& task, size_t most) {
  buffer_.resize(kBuffer);
  for (size_t copied = 0; copied < most;) {
    ssize_t size = read(task.log_pipe, buffer_.data(), buffer_.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    write_log(task, {buffer_.data(), static_cast<size_t>(size)});
    copied += static_cast<size_t>(size);
  }
  return true;
}

// What cannot be written is lost: a full disk must not stop the process.
void HelperTasks::write_log(Task& task, std::string_view bytes) {
  if (task.log_file < 0 && !task.log_failed) {
    task.log_file = open_log(task.spec.log);
    task.log_failed = task.log_file < 0;
    if (task.log_failed && task.status.message.empty()) {
      task.status.message = fmt::format("open the log {}: {}", task.spec.log.native(), std::strerror(errno));
    }
  }
  if (task.log_file < 0) return;
  task.log_unchecked += bytes.size();
  while (!bytes.empty()) {
    ssize_t size = write(task.log_file, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  if (task.spec.log_limit == 0 || task.log_unchecked < std::min(kCheckEvery, task.spec.log_limit / 8)) return;
  task.log_unchecked = 0;
  check_log(task);
}

void HelperTasks::close_log(Task& task) {
  if (task.log_pipe >= 0) {
    outputs_.erase(task.log_pipe);
    // Not left to close(): a process that is just being made may hold a copy for a moment.
    observe_(task.log_pipe, false);
    close(task.log_pipe);
    task.log_pipe = -1;
  }
  if (task.log_file >= 0) {
    if (task.spec.log_limit != 0) check_log(task);
    close(task.log_file);
    task.log_file = -1;
  }
}

// The task goes on writing at the end of its file; the middle of the file gives its blocks back to the disk. What stays
// is the first quarter of the limit, a note, and the last part; readers see zero bytes between.
void HelperTasks::check_log(Task& task) {
  constexpr int64_t kBlock = 4096;
  struct stat info = {};
  fstat(task.log_file, &info);
  int64_t limit = static_cast<int64_t>(task.spec.log_limit);
  if (info.st_blocks * 512 <= limit || info.st_size <= limit) return;
  int64_t head = std::max(kBlock, limit / 4 / kBlock * kBlock);
  int64_t tail = (info.st_size - limit / 2) / kBlock * kBlock;
  if (tail <= head) return;
  // By a descriptor of its own: where a file is open for appending, pwrite() appends.
  int file = open(task.spec.log.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return;
  std::string_view note = kCutNote;
  if (!task.log_cut && pwrite(file, note.data(), note.size(), head - static_cast<int64_t>(note.size())) > 0) {
    task.log_cut = true;
  }
  // Where a file system cannot make holes, the log starts anew: its writer appends.
  if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, head, tail - head) != 0 && ftruncate(file, 0) == 0) {
    task.log_cut = pwrite(file, note.data(), note.size(), 0) > 0;
  }
  close(file);
}

}  // namespace penstock::node
