#include "objects/descriptor.h"

#include <cerrno>
#include <climits>
#include <fcntl.h>

#include "base/error.h"

namespace penstock::objects {

void throw_disk(std::string_view doing) {
  if (errno == ENOSPC || errno == EDQUOT) {
    throw Error(Code::ResourceExhausted, "the disk of the object store is full");
  }
  throw_errno(doing);
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_disk("writing an object");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void write_parts(int fd, std::vector<iovec>& parts, uint64_t offset) {
  size_t at = 0;
  while (at < parts.size()) {
    const auto count = static_cast<int>(std::min<size_t>(parts.size() - at, IOV_MAX));
    ssize_t written = ::pwritev(fd, &parts[at], count, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_disk("writing the object log");
    offset += static_cast<uint64_t>(written);
    while (at < parts.size() && static_cast<size_t>(written) >= parts[at].iov_len) {
      written -= static_cast<ssize_t>(parts[at].iov_len);
      ++at;
    }
    if (at < parts.size()) {
      parts[at].iov_base = static_cast<char*>(parts[at].iov_base) + written;
      parts[at].iov_len -= static_cast<size_t>(written);
    }
  }
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened) ::fsync(opened.get());
}

void write_secret(const std::filesystem::path& file, std::string_view text) {
  const auto temporary = file.string() + ".tmp";
  {
    const Descriptor out(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) throw_errno(fmt::format("cannot write {}", temporary));
    write_all(out.get(), text);
    if (::fsync(out.get()) != 0) throw_errno(fmt::format("cannot write {}", temporary));
  }
  std::filesystem::rename(temporary, file);
  sync_folder(file.parent_path());
}

}  // namespace penstock::objects
