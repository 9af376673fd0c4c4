#include "pipelines/preview/archive_list.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>

#include "base/error.h"
#include "base/utf8.h"

namespace penstock::pipelines::preview {

namespace {

constexpr size_t kChunk = 64 * 1024;

// What libarchive reads the file through. A limit that is passed ends its reading with an error.
struct Source {
  objects::Reader& reader;
  const ArchiveLimits& limits;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::now() + limits.time;
  uint64_t at = 0, taken = 0;
  std::string chunk{};
  bool over = false;
  std::exception_ptr error{};
};

la_ssize_t read_some(archive* a, void* data, const void** buffer) {
  auto& source = *static_cast<Source*>(data);
  if (source.taken >= source.limits.bytes || std::chrono::steady_clock::now() > source.deadline) {
    source.over = true;
    archive_set_error(a, EIO, "it takes too long");
    return ARCHIVE_FATAL;
  }
  try {
    source.chunk = source.reader.read(source.at, kChunk);
  } catch (...) {
    source.error = std::current_exception();
    archive_set_error(a, EIO, "reading failed");
    return ARCHIVE_FATAL;
  }
  source.at += source.chunk.size();
  source.taken += source.chunk.size();
  *buffer = source.chunk.data();
  return static_cast<la_ssize_t>(source.chunk.size());
}

la_int64_t seek(archive*, void* data, la_int64_t offset, int whence) {
  auto& source = *static_cast<Source*>(data);
  const auto size = static_cast<la_int64_t>(source.reader.size());
  const la_int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? static_cast<la_int64_t>(source.at) : size;
  if (offset < -from || offset > size - from) return ARCHIVE_FATAL;
  source.at = static_cast<uint64_t>(from + offset);
  return from + offset;
}

la_int64_t skip(archive*, void* data, la_int64_t count) {
  auto& source = *static_cast<Source*>(data);
  const uint64_t step = std::min<uint64_t>(static_cast<uint64_t>(count), source.reader.size() - source.at);
  source.at += step;
  return static_cast<la_int64_t>(step);
}

std::string_view kind_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return "link";
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG: return "file";
    case AE_IFDIR: return "folder";
    case AE_IFLNK: return "link";
    default: return "other";
  }
}

struct Free {
  void operator()(archive* a) const { archive_read_free(a); }
};

}  // namespace

ArchiveList list_archive(objects::Reader& reader, const ArchiveLimits& limits) {
  Source source{reader, limits};
  const std::unique_ptr<archive, Free> a(archive_read_new());
  archive_read_support_format_tar(a.get());
  archive_read_support_format_zip(a.get());
  archive_read_support_filter_gzip(a.get());
  archive_read_support_filter_bzip2(a.get());
  archive_read_support_filter_xz(a.get());
  archive_read_support_filter_zstd(a.get());
  archive_read_set_callback_data(a.get(), &source);
  archive_read_set_read_callback(a.get(), read_some);
  archive_read_set_seek_callback(a.get(), seek);
  archive_read_set_skip_callback(a.get(), skip);
  ArchiveList list;
  int status = archive_read_open1(a.get());
  while (status == ARCHIVE_OK || status == ARCHIVE_WARN) {
    archive_entry* entry = nullptr;
    status = archive_read_next_header(a.get(), &entry);
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) break;
    if (list.entries.size() == limits.entries || std::chrono::steady_clock::now() > source.deadline) {
      source.over = true;
      break;
    }
    const char* name = archive_entry_pathname(entry);
    list.entries.push_back({to_utf8(name ? name : ""), std::string(kind_of(entry)),
                            static_cast<uint64_t>(std::max<la_int64_t>(archive_entry_size(entry), 0))});
  }
  if (source.error) std::rethrow_exception(source.error);
  if (!source.over && status != ARCHIVE_EOF) {
    const char* why = archive_error_string(a.get());
    list.problem = to_utf8(why ? why : "it is damaged");
    if (list.entries.empty()) throw invalid("the archive cannot be read: {}", list.problem);
  }
  const char* format = archive_format_name(a.get());
  list.format = format ? format : "";
  list.truncated = source.over;
  return list;
}

}  // namespace penstock::pipelines::preview
