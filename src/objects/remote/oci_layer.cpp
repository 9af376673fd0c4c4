// Layers are made by others: each name is walked step by step from the folder's descriptor, and no link is followed.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include <archive.h>
#include <archive_entry.h>

#include "objects/descriptor.h"
#include "objects/remote/oci_image.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kWhiteout = ".wh.", kOpaque = ".wh..wh..opq";

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

[[noreturn]] void refuse(const std::string& name, std::string_view why) {
  throw invalid("the layer has {:?}, which {}", name, why);
}

class Layer {
 public:
  Layer(const fs::path& folder, const Stop& stop)
      : folder_(folder), stop_(stop), root_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!root_) throw_errno("opening " + folder.string());
  }

  void apply(const fs::path& file) {
    const Archive reader(archive_read_new(), archive_read_free);
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_format_tar(reader.get());
    if (archive_read_open_filename(reader.get(), file.c_str(), 1 << 18) != ARCHIVE_OK) fail(reader.get());
    archive_entry* entry = nullptr;
    while (true) {
      stop_.check();
      const int result = archive_read_next_header(reader.get(), &entry);
      if (result == ARCHIVE_EOF) return;
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) fail(reader.get());
      take(reader.get(), entry);
    }
  }

 private:
  [[noreturn]] static void fail(archive* reader) {
    const char* words = archive_error_string(reader);
    throw invalid("a layer cannot be unpacked: {}", words != nullptr ? words : "it is no tar file");
  }

  // The name's parts; "./" goes. Empty for the folder itself.
  static std::vector<std::string> parts_of(const std::string& name) {
    std::vector<std::string> parts;
    for (const auto& part : fs::path(name).relative_path()) {
      if (part == "..") refuse(name, "leads out of its folder");
      if (!part.empty() && part != ".") parts.push_back(part.string());
    }
    return parts;
  }

  // Makes what is missing of the folders above; a link or file in the way goes, as an upper layer's folder replaces it.
  Descriptor enter(const std::vector<std::string>& parts, size_t count) const {
    Descriptor at(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (size_t i = 0; i < count; ++i) {
      const char* name = parts[i].c_str();
      int next = ::openat(at.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (next < 0) {
        ::unlinkat(at.get(), name, 0);
        if (::mkdirat(at.get(), name, 0755) != 0) throw_disk("unpacking a layer");
        next = ::openat(at.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) throw_errno("unpacking a layer");
      }
      at = Descriptor(next);
    }
    return at;
  }

  static void clear(int folder, const std::string& name) {
    if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return;
    // A folder: no other process is in here, so that its path holds.
    fs::remove_all(fs::path(fmt::format("/proc/self/fd/{}", folder)) / name);
  }

  void empty(const Descriptor& folder) const {
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/self/fd/{}", folder.get()))) {
      fs::remove_all(entry.path());
    }
  }

  void take(archive* reader, archive_entry* entry) {
    const char* raw = archive_entry_pathname(entry);
    const std::string name = raw != nullptr ? raw : "";
    const auto parts = parts_of(name);
    if (parts.empty()) return;
    const Descriptor parent = enter(parts, parts.size() - 1);
    const std::string& last = parts.back();
    if (last == kOpaque) return empty(parent);
    if (last.starts_with(kWhiteout)) return clear(parent.get(), last.substr(kWhiteout.size()));
    if (const char* hard = archive_entry_hardlink(entry)) return link(parent, last, hard);
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR: enter(parts, parts.size()); return;
      case AE_IFREG: return write(reader, entry, parent, last);
      case AE_IFLNK: return symlink(parent, parts, archive_entry_symlink(entry));
      default: return;  // devices and the like
    }
  }

  void write(archive* reader, archive_entry* entry, const Descriptor& parent, const std::string& name) const {
    clear(parent.get(), name);
    const Descriptor out(
        ::openat(parent.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out) throw_disk("unpacking a layer");
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    while (true) {
      stop_.check();
      const int result = archive_read_data_block(reader, &data, &size, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK) fail(reader);
      std::vector<iovec> piece{{const_cast<void*>(data), size}};
      write_parts(out.get(), piece, static_cast<uint64_t>(offset));
    }
    if (archive_entry_size(entry) > 0) {
      if (::ftruncate(out.get(), archive_entry_size(entry)) != 0) throw_disk("unpacking a layer");
    }
    ::fchmod(out.get(), (archive_entry_perm(entry) & 0777) | 0400);
  }

  void link(const Descriptor& parent, const std::string& name, const std::string& to) const {
    const auto parts = parts_of(to);
    if (parts.empty()) refuse(to, "is no file to link to");
    const Descriptor folder = enter(parts, parts.size() - 1);
    struct stat info {};
    if (::fstatat(folder.get(), parts.back().c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) {
      refuse(to, "is no file to link to");
    }
    clear(parent.get(), name);
    if (::linkat(folder.get(), parts.back().c_str(), parent.get(), name.c_str(), 0) != 0) {
      throw_disk("unpacking a layer");
    }
  }

  // One that stays inside, written relative: the folder is not the root of who reads it.
  void symlink(const Descriptor& parent, const std::vector<std::string>& parts, const char* raw) const {
    if (raw == nullptr) return;
    const fs::path to = raw;
    fs::path here;
    for (size_t i = 0; i + 1 < parts.size(); ++i) here /= parts[i];
    const fs::path led = (to.is_absolute() ? to.relative_path() : here / to).lexically_normal();
    if (!led.empty() && *led.begin() == "..") refuse(to.string(), "leads out of its folder");
    const fs::path relative = led.lexically_relative(here.empty() ? fs::path(".") : here);
    clear(parent.get(), parts.back());
    if (::symlinkat(relative.empty() ? "." : relative.c_str(), parent.get(), parts.back().c_str()) != 0) {
      throw_disk("unpacking a layer");
    }
  }

  fs::path folder_;
  const Stop& stop_;
  Descriptor root_;
};

}  // namespace

void apply_layer(const fs::path& layer, const fs::path& folder, const Stop& stop) { Layer(folder, stop).apply(layer); }

}  // namespace penstock::objects
