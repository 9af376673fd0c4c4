#include "objects/remote/file_remote.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "objects/descriptor.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPiece = 1 << 20;

std::string version_of(const struct stat& info) {
  return fmt::format("{}-{}.{}-{}", info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size);
}

}  // namespace

FileRemote::FileRemote(fs::path root, std::shared_ptr<const Stop> stop)
    : root_(std::move(root)), stop_(std::move(stop)), fd_(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0) throw not_found("there is no folder {}", root_.string());
}

FileRemote::~FileRemote() { ::close(fd_); }

std::string FileRemote::name_of(std::string_view key) const { return "file://" + (root_ / key).string(); }

int FileRemote::open(const std::string& key, int flags) const {
  if (key.find('\0') != std::string::npos) throw invalid("{}: it holds a NUL byte", name_of({}));
  open_how how{};
  // A pipe that is in the folder must not hold us up; beside O_PATH, openat2 takes no such flag.
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | ((flags & O_PATH) == 0 ? O_NONBLOCK : 0));
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const int fd = static_cast<int>(::syscall(SYS_openat2, fd_, key.empty() ? "." : key.c_str(), &how, sizeof how));
  if (fd < 0 && (errno == ELOOP || errno == EXDEV)) {
    throw Error(Code::PermissionDenied, fmt::format("{}: links are not followed", name_of(key)));
  }
  if (fd < 0 && errno == EACCES) {
    throw Error(Code::PermissionDenied, fmt::format("{}: the server may not read it", name_of(key)));
  }
  return fd;
}

std::optional<RemoteObject> FileRemote::find(const std::string& key) {
  const Descriptor file(open(key, O_RDONLY));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return RemoteObject{key, static_cast<uint64_t>(info.st_size), version_of(info)};
}

// One page: what is there is at hand.
RemotePage FileRemote::list(const std::string& prefix, const std::string&, size_t limit) {
  RemotePage page;
  const size_t slash = prefix.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : prefix.substr(0, slash);
  if (!Descriptor(open(folder, O_PATH | O_DIRECTORY))) return page;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root_ / folder, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    stop_->check();
    if (it->symlink_status(error).type() != fs::file_type::regular) continue;
    std::string key = it->path().lexically_relative(root_).generic_string();
    if (!key.starts_with(prefix)) continue;
    const uint64_t size = it->file_size(error);
    page.objects.push_back({std::move(key), size, ""});
    if (limit == 1) break;  // it is asked whether there is any
  }
  std::ranges::sort(page.objects, {}, &RemoteObject::key);
  return page;
}

void FileRemote::read(const RemoteObject& object, uint64_t offset, uint64_t length,
                      const std::function<bool(std::string_view)>& sink) {
  const Descriptor file(open(object.key, O_RDONLY));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) throw not_found("{}: it is gone", name_of(object.key));
  if (!object.version.empty() && version_of(info) != object.version) {
    throw Error(Code::FailedPrecondition, fmt::format("{}: it was changed while it was read", name_of(object.key)));
  }
  std::string piece(std::min<uint64_t>(kPiece, length), '\0');
  for (uint64_t at = 0; at < length;) {
    stop_->check();
    const size_t want = std::min<uint64_t>(piece.size(), length - at);
    const ssize_t got = ::pread(file.get(), piece.data(), want, static_cast<off_t>(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading " + name_of(object.key));
    if (got == 0) throw Error(Code::FailedPrecondition, fmt::format("{}: it became shorter", name_of(object.key)));
    at += static_cast<uint64_t>(got);
    if (!sink({piece.data(), static_cast<size_t>(got)})) return;
  }
}

void FileRemote::put(const std::string& key, int file, uint64_t size) {
  // Step by step, so that no link is walked through.
  Descriptor folder(open("", O_RDONLY | O_DIRECTORY));
  const fs::path path(key);
  for (const auto& part : path.parent_path()) {
    if (part == "." || part == "..") throw invalid("{}: \"..\" is not followed", name_of(key));
    if (::mkdirat(folder.get(), part.c_str(), 0777) != 0 && errno != EEXIST) throw_disk("making " + name_of(key));
    folder = Descriptor(::openat(folder.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) throw Error(Code::FailedPrecondition, fmt::format("{}: a file or link is in the way", name_of(key)));
  }
  const std::string name = path.filename(), fresh = ".penstock-" + new_uuid();
  if (name.empty()) return;  // a folder
  const Descriptor out(::openat(folder.get(), fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!out) throw_disk("writing " + name_of(key));
  try {
    off_t at = 0;
    while (static_cast<uint64_t>(at) < size) {
      stop_->check();
      const uint64_t want = std::min<uint64_t>(size - static_cast<uint64_t>(at), 64u << 20);
      const ssize_t got = ::sendfile(out.get(), file, &at, want);
      if (got < 0) throw_disk("writing " + name_of(key));
      if (got == 0) throw Error(Code::FailedPrecondition, "the file became shorter while it was sent");
    }
    if (::fsync(out.get()) != 0) throw_disk("writing " + name_of(key));
    if (::renameat(folder.get(), fresh.c_str(), folder.get(), name.c_str()) != 0) throw_disk("writing " + name_of(key));
    ::fsync(folder.get());
  } catch (...) {
    ::unlinkat(folder.get(), fresh.c_str(), 0);
    throw;
  }
}

void FileRemote::remove(const std::string& key) {
  fs::path folder = fs::path(key).parent_path();
  const Descriptor parent(open(folder, O_RDONLY | O_DIRECTORY));
  if (!parent || ::unlinkat(parent.get(), fs::path(key).filename().c_str(), 0) != 0) return;
  // Folders that became empty.
  for (; !folder.empty(); folder = folder.parent_path()) {
    const Descriptor above(open(folder.parent_path(), O_RDONLY | O_DIRECTORY));
    if (!above || ::unlinkat(above.get(), folder.filename().c_str(), AT_REMOVEDIR) != 0) return;
  }
}

std::optional<fs::path> FileRemote::local_path(const std::string& key) {
  const Descriptor found(open(key, O_PATH));
  if (!found) throw not_found("there is no {}", name_of(key));
  return (root_ / key).lexically_normal();
}

}  // namespace penstock::objects
