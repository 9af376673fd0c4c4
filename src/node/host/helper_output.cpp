// The way from a process's standard output to its log. A pipe, and not the file itself: a process that prints nothing
// costs no file, and on some file systems making one costs more than starting the process.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/helper_tasks.h"

namespace penstock::node {

namespace {

constexpr size_t kBuffer = 64 << 10;
// Of one process in one turn, so that others get theirs.
constexpr size_t kTurn = 1 << 20;

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

void HelperTasks::write_log(Task& task, std::string_view bytes) {
  if (!task.log) task.log.emplace(task.spec.log, task.spec.log_limit);
  task.log->write(bytes);
  if (task.status.message.empty()) task.status.message = task.log->problem();
}

void HelperTasks::close_log(Task& task) {
  if (task.log_pipe >= 0) {
    outputs_.erase(task.log_pipe);
    // Not left to close(): a process that is just being made may hold a copy for a moment.
    observe_(task.log_pipe, false);
    close(task.log_pipe);
    task.log_pipe = -1;
  }
  if (task.log) task.log->close();
}

}  // namespace penstock::node
