#include "objects/file_tree.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "objects/checksum.h"

namespace penstock::objects {

namespace {

int open_beneath(int folder, const std::string& name, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
}

FileStamp stamp_of(const struct stat& info) {
  return {info.st_ino, int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec,
          static_cast<uint64_t>(info.st_size)};
}

std::optional<FileStamp> stamp_of(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return stamp_of(info);
}

void sync_opened(const Descriptor& folder) {
  const Descriptor readable(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable) ::fsync(readable.get());
}

std::pair<std::string, std::string> split_key(std::string_view key) {
  const size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return {".", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

}  // namespace

std::string FileStamp::text() const { return fmt::format("{}:{}:{}", inode, modified, size); }
std::string FileStamp::etag() const { return hex(digest_of(Algorithm::Md5, text())) + "-1"; }
Time FileStamp::time() const { return from_micros(modified / 1'000); }

std::string after_prefix(std::string_view prefix) {
  std::string out(prefix);
  while (!out.empty() && static_cast<uint8_t>(out.back()) == 0xff) out.pop_back();
  if (!out.empty()) out.back() = static_cast<char>(static_cast<uint8_t>(out.back()) + 1);
  return out;
}

bool FileTree::can_be_file(std::string_view key) {
  if (key.empty() || key.size() > 3'000 || key.find('\0') != std::string_view::npos) return false;
  while (true) {
    const size_t slash = std::min(key.find('/'), key.size());
    const auto part = key.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    if (slash == key.size()) return !part.starts_with(kTemporary);
    key.remove_prefix(slash + 1);
  }
}

Descriptor FileTree::open_bucket(std::string_view bucket) const {
  return Descriptor(::open((root_ / bucket).c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

std::optional<FileStamp> FileTree::stat(std::string_view bucket, std::string_view key) const {
  if (!can_be_file(key)) return std::nullopt;
  const Descriptor folder = open_bucket(bucket);
  if (!folder) return std::nullopt;
  const Descriptor file(open_beneath(folder.get(), std::string(key), O_PATH));
  return file ? stamp_of(file.get()) : std::nullopt;
}

Descriptor FileTree::open(std::string_view bucket, std::string_view key) const {
  if (!can_be_file(key)) return {};
  const Descriptor folder = open_bucket(bucket);
  if (!folder) return {};
  Descriptor file(open_beneath(folder.get(), std::string(key), O_RDONLY | O_NONBLOCK));
  if (!file || !stamp_of(file.get())) return {};
  return file;
}

bool FileTree::remove(std::string_view bucket, std::string_view key) const {
  if (!can_be_file(key)) return false;
  const Descriptor root = open_bucket(bucket);
  if (!root) return false;
  auto [parent, name] = split_key(key);
  {
    const Descriptor folder(open_beneath(root.get(), parent, O_PATH | O_DIRECTORY));
    if (!folder || ::unlinkat(folder.get(), name.c_str(), 0) != 0) return false;
    // Else the file could come back after a loss of power, and stand for what has been written over it.
    sync_opened(folder);
  }
  while (parent != ".") {
    auto [above, last] = split_key(parent);
    const Descriptor folder(open_beneath(root.get(), above, O_PATH | O_DIRECTORY));
    if (!folder || ::unlinkat(folder.get(), last.c_str(), AT_REMOVEDIR) != 0) break;
    parent = above;
  }
  return true;
}

namespace {

void remove_empty(int parent, const std::string& name) {
  {
    const int fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    DIR* stream = ::fdopendir(fd);
    if (stream == nullptr) {
      ::close(fd);
      return;
    }
    while (const dirent* entry = ::readdir(stream)) {
      const std::string inner(entry->d_name);
      if (entry->d_type == DT_DIR && inner != "." && inner != "..") remove_empty(::dirfd(stream), inner);
    }
    ::closedir(stream);
  }
  ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
}

}  // namespace

void FileTree::remove_bucket(std::string_view bucket) const {
  const Descriptor root(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root) remove_empty(root.get(), std::string(bucket));
}

FileTree::Replacement::Replacement(const FileTree& tree, std::string_view bucket, std::string_view key) {
  if (!can_be_file(key)) throw invalid("no file can be called {:?}", std::string(key));
  folder_ = tree.open_bucket(bucket);
  if (!folder_) throw not_found("bucket {} does not exist", bucket);
  std::string_view rest = key;
  for (size_t slash; (slash = rest.find('/')) != std::string_view::npos; rest.remove_prefix(slash + 1)) {
    const std::string part(rest.substr(0, slash));
    ::mkdirat(folder_.get(), part.c_str(), 0755);
    Descriptor inner(::openat(folder_.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner && (errno == ENOSPC || errno == EDQUOT)) throw_disk("making a folder");
    if (!inner) {
      throw Error(Code::FailedPrecondition, fmt::format("object {}: {} is in its way and is no folder", key, part),
                  "key");
    }
    folder_ = std::move(inner);
  }
  name_ = rest;
  temporary_ = fmt::format("{}{}", kTemporary, new_uuid());
  file_ = Descriptor(::openat(folder_.get(), temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file_) throw_disk("creating an object's file");
}

FileTree::Replacement::~Replacement() {
  if (!temporary_.empty()) ::unlinkat(folder_.get(), temporary_.c_str(), 0);
}

FileStamp FileTree::Replacement::finish() {
  if (::fdatasync(file_.get()) != 0) throw_disk("syncing an object");
  return stamp_of(file_.get()).value();
}

void FileTree::Replacement::commit() {
  if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()) != 0) {
    if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) {
      throw Error(Code::FailedPrecondition, fmt::format("object {}: a folder is in its way", name_), "key");
    }
    throw_disk("storing an object");
  }
  temporary_.clear();
  sync_opened(folder_);
}

FileTree::Walker::Walker(const FileTree& tree, std::string_view bucket) : bucket_(tree.open_bucket(bucket)) {}

bool FileTree::Walker::enter(int parent, const std::string& name, std::string prefix) {
  const int fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  Frame frame;
  frame.prefix = std::move(prefix);
  frame.folder = Descriptor(::dup(fd));
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    ::close(fd);
    return false;
  }
  while (const dirent* entry = ::readdir(stream)) {
    std::string found(entry->d_name);
    if (found == "." || found == ".." || found.starts_with(kTemporary)) continue;
    if (entry->d_type == DT_DIR) found += '/';
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG) frame.names.push_back(std::move(found));
  }
  ::closedir(stream);
  std::ranges::sort(frame.names);
  frames_.push_back(std::move(frame));
  return true;
}

// From the top frame's place to the first file that is not before `from`, into folders and out of them.
void FileTree::Walker::settle(std::string_view from) {
  while (!frames_.empty()) {
    Frame& top = frames_.back();
    if (top.at == top.names.size()) {
      frames_.pop_back();
      if (!frames_.empty()) ++frames_.back().at;
      continue;
    }
    const std::string& name = top.names[top.at];
    std::string key = top.prefix + name;
    const bool folder = name.back() == '/';
    if (key < from && !(folder && from.starts_with(key))) {
      ++top.at;
      continue;
    }
    if (folder) {
      const std::string plain = name.substr(0, name.size() - 1);
      if (!enter(top.folder.get(), plain, std::move(key))) ++top.at;
      continue;
    }
    struct stat info {};
    if (::fstatat(top.folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) {
      ++top.at;  // gone meanwhile
      continue;
    }
    key_ = std::move(key);
    stamp_ = stamp_of(info);
    return;
  }
}

void FileTree::Walker::seek(std::string_view from) {
  if (!bucket_) return;
  // Folders that are on the way to it are not read again.
  while (!frames_.empty() && !from.starts_with(frames_.back().prefix)) frames_.pop_back();
  if (frames_.empty()) {
    if (!enter(bucket_.get(), ".", "")) return;
  } else {
    auto& top = frames_.back();
    const auto rest = from.substr(top.prefix.size());
    // The folder that holds it sorts before it.
    const auto first = std::ranges::lower_bound(top.names, rest);
    top.at = static_cast<size_t>(first - top.names.begin());
    if (top.at > 0 && rest.starts_with(top.names[top.at - 1])) --top.at;
  }
  settle(from);
}

void FileTree::Walker::next() {
  if (frames_.empty()) return;
  ++frames_.back().at;
  settle({});
}

}  // namespace penstock::objects
