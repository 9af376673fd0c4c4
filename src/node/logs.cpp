#include "node/logs.h"

#include <functional>

#include <map>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>

#include "base/error.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kBlock = 256 * 1024;

class File {
 public:
  explicit File(const fs::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return fd_ >= 0; }
  int64_t size() const {
    struct stat info {};
    return ::fstat(fd_, &info) == 0 ? info.st_size : 0;
  }
  // Where the data begins after a hole at the head.
  int64_t data_start() const {
    const off_t start = ::lseek(fd_, 0, SEEK_DATA);
    return start < 0 ? 0 : start;
  }
  // At most `max` bytes of what was written from `offset` on, which moves past a hole; empty at the end.
  std::string read_data(int64_t& offset, int64_t max) const {
    if (const off_t data = ::lseek(fd_, offset, SEEK_DATA); data > offset) offset = data;
    if (const off_t hole = ::lseek(fd_, offset, SEEK_HOLE); hole > offset) max = std::min<int64_t>(max, hole - offset);
    return read(offset, max);
  }
  // At most `max` bytes from `offset`; empty at the end.
  std::string read(int64_t offset, int64_t max) const {
    std::string bytes(static_cast<size_t>(max), '\0');
    ssize_t n = 0;
    do n = ::pread(fd_, bytes.data(), bytes.size(), offset);
    while (n < 0 && errno == EINTR);
    bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return bytes;
  }
  // Where the last `lines` lines begin, looking back no further than `floor`.
  int64_t tail_start(int64_t lines, int64_t floor) const {
    int64_t end = size();
    if (lines <= 0) return end;
    if (end > floor && read(end - 1, 1) == "\n") --end;  // ends the last line, begins none
    while (end > floor) {
      const int64_t begin = std::max(floor, end - kBlock / 4);
      const auto block = read(begin, end - begin);
      for (size_t at = block.size(); at-- > 0;) {
        if (block[at] == '\n' && --lines == 0) return begin + static_cast<int64_t>(at) + 1;
      }
      end = begin;
    }
    return floor;
  }

 private:
  int fd_;
};

}  // namespace

namespace {

fs::path log_folder(const fs::path& data, std::string_view ns, std::string_view uid) {
  return data / "logs" / ns / uid.substr(0, 1);
}

}  // namespace

fs::path log_path(const fs::path& data, std::string_view ns, std::string_view pod, std::string_view uid,
                  std::string_view container) {
  return log_folder(data, ns, uid) / fmt::format("{}_{}_{}.log", pod, uid, container);
}

namespace {

// Calls `visit` with each log of those pods. Each folder is read once, for all the pods that have logs in it.
void visit_logs(const fs::path& data, std::string_view ns, const std::set<std::string>& uids,
                const std::function<void(const fs::directory_entry&)>& visit) {
  std::set<fs::path> folders;
  for (const auto& uid : uids) {
    if (!uid.empty() && uid.find('/') == std::string::npos) folders.insert(log_folder(data, ns, uid));
  }
  std::error_code ignored;
  for (const auto& folder : folders) {
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      // <pod>_<uid>_<container>.log; neither of the first two holds a "_".
      const auto name = entry.path().filename().string();
      const auto first = name.find('_');
      const auto second = first == std::string::npos ? first : name.find('_', first + 1);
      if (second == std::string::npos) continue;
      if (uids.contains(name.substr(first + 1, second - first - 1))) visit(entry);
    }
  }
}

}  // namespace

void remove_logs(const fs::path& data, std::string_view ns, const std::set<std::string>& uids) {
  visit_logs(data, ns, uids, [](const fs::directory_entry& entry) {
    std::error_code ignored;
    fs::remove(entry.path(), ignored);
  });
}

int64_t log_bytes(const fs::path& data, std::string_view ns, const std::set<std::string>& uids) {
  int64_t bytes = 0;
  visit_logs(data, ns, uids, [&](const fs::directory_entry& entry) {
    std::error_code error;
    const auto size = entry.file_size(error);
    if (!error) bytes += static_cast<int64_t>(size);
  });
  return bytes;
}

std::string log_tail(const fs::path& path, int64_t max_lines, int64_t max_bytes) {
  const File file(path);
  if (!file.is_open()) return {};
  const int64_t floor = std::max(file.data_start(), file.size() - max_bytes);
  return file.read(file.tail_start(max_lines, floor), max_bytes);
}

FileWatcher::FileWatcher(Executor executor) : executor_(executor), inotify_(executor) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) throw_errno("cannot watch files (inotify_init1)");
  inotify_.assign(fd);
}

FileWatcher::~FileWatcher() = default;

void FileWatcher::watch(const fs::path& path) {
  auto& file = files_[path.string()];
  if (++file.followers > 1) return;
  file.changed = std::make_shared<Signal>(executor_);
  file.descriptor = ::inotify_add_watch(inotify_.native_handle(), path.c_str(), IN_MODIFY);
  if (file.descriptor < 0) {
    const int error = errno;
    files_.erase(path.string());
    errno = error;
    throw_errno(fmt::format("cannot watch {}", path.string()));
  }
  paths_[file.descriptor] = path.string();
  arm();
}

void FileWatcher::unwatch(const fs::path& path) {
  const auto found = files_.find(path.string());
  if (found == files_.end() || --found->second.followers > 0) return;
  if (inotify_.is_open()) ::inotify_rm_watch(inotify_.native_handle(), found->second.descriptor);
  paths_.erase(found->second.descriptor);
  found->second.changed->set();
  files_.erase(found);
}

uint64_t FileWatcher::version(const fs::path& path) const {
  const auto found = files_.find(path.string());
  return found == files_.end() ? 0 : found->second.version;
}

Async<> FileWatcher::wait(fs::path path, uint64_t seen) {
  while (true) {
    const auto found = files_.find(path.string());
    if (found == files_.end() || found->second.version > seen) co_return;
    const auto changed = found->second.changed;
    co_await changed->wait();
  }
}

void FileWatcher::bump(File& file) {
  ++file.version;
  std::exchange(file.changed, std::make_shared<Signal>(executor_))->set();
}

void FileWatcher::poke(const fs::path& path) {
  const auto found = files_.find(path.string());
  if (found != files_.end()) bump(found->second);
}

void FileWatcher::stop() {
  boost::system::error_code ignored;
  inotify_.close(ignored);
  for (auto& [path, file] : files_) bump(file);
}

void FileWatcher::arm() {
  if (armed_ || paths_.empty() || !inotify_.is_open()) return;
  armed_ = true;
  inotify_.async_wait(asio::posix::descriptor_base::wait_read, [this](boost::system::error_code error) {
    if (error) return;  // stopped
    armed_ = false;
    read_events();
    arm();
  });
}

void FileWatcher::read_events() {
  alignas(inotify_event) char buffer[16 * 1024];
  while (true) {
    const ssize_t n = ::read(inotify_.native_handle(), buffer, sizeof buffer);
    if (n <= 0) return;
    for (ssize_t at = 0; at < n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if (event->mask & IN_Q_OVERFLOW) {
        for (auto& [path, file] : files_) bump(file);
      }
      const auto path = paths_.find(event->wd);
      if (path == paths_.end()) continue;
      const auto file = files_.find(path->second);
      if (file != files_.end()) bump(file->second);
    }
  }
}

namespace {

// Watches a file for as long as it lives, from any executor.
class Following {
 public:
  Following(Loop& control, std::shared_ptr<FileWatcher> watcher, fs::path path)
      : control_(control), watcher_(std::move(watcher)), path_(std::move(path)) {}
  ~Following() {
    control_.post([watcher = watcher_, path = path_] { watcher->unwatch(path); });
  }

 private:
  Loop& control_;
  std::shared_ptr<FileWatcher> watcher_;
  fs::path path_;
};

struct Progress {
  int64_t offset = 0;
  int64_t left = 0;                   // bytes that may still be written
  std::function<void(int64_t)> at{};  // told where they stand
};

Async<> copy_to_end(const File& file, Progress& progress, BlockingPool& pool, http::BodyWriter& out) {
  while (progress.left > 0) {
    const int64_t max = std::min(kBlock, progress.left);
    const auto bytes = co_await pool.run([&] { return file.read_data(progress.offset, max); });
    if (bytes.empty()) co_return;
    if (progress.at) progress.at(progress.offset);
    progress.offset += static_cast<int64_t>(bytes.size());
    progress.left -= static_cast<int64_t>(bytes.size());
    co_await out.write(bytes);
  }
}

struct Seen {
  uint64_t version = 0;
  bool live = false;
};

}  // namespace

Async<> copy_log(fs::path path, kube::LogOptions options, LogReader reader, http::BodyWriter& out) {
  const File file(path);
  if (!file.is_open()) throw not_found("there is no log {}", path.filename().string());
  Progress progress;
  progress.left = options.limit_bytes.value_or(std::numeric_limits<int64_t>::max());
  progress.offset = co_await reader.pool.run([&] {
    const int64_t start = file.data_start();
    const int64_t tail = options.tail_lines ? file.tail_start(*options.tail_lines, start) : start;
    return std::max(tail, options.offset.value_or(0));
  });
  progress.at = options.at;
  if (!options.follow) {
    co_await copy_to_end(file, progress, reader.pool, out);
    co_return;
  }
  co_await on(reader.control.executor(), [&]() -> Async<> {
    reader.watcher->watch(path);
    co_return;
  });
  const Following following(reader.control, reader.watcher, path);
  while (progress.left > 0) {
    // What is seen here comes before the reading, so that nothing written in between is missed.
    const auto seen = co_await on(reader.control.executor(), [&]() -> Async<Seen> {
      Seen now;
      now.version = reader.watcher->version(path);
      now.live = now.version != 0 && reader.is_live();
      co_return now;
    });
    co_await copy_to_end(file, progress, reader.pool, out);
    if (!seen.live) co_return;
    co_await on(reader.control.executor(), [&, version = seen.version] { return reader.watcher->wait(path, version); });
  }
}

}  // namespace penstock::node
