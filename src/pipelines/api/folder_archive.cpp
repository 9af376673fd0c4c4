#include "pipelines/api/folder_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <clocale>

#include <deque>

#include "base/error.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kPiece = 256 * 1024;

struct Free {
  void operator()(archive* a) const { archive_write_free(a); }
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

// For this thread, while it lives: that names are in UTF-8, which a zip says of them.
class Utf8Names {
 public:
  Utf8Names() : before_(::uselocale(locale())) {}
  ~Utf8Names() { ::uselocale(before_); }

 private:
  static locale_t locale() {
    static const locale_t kLocale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return kLocale;  // none, and with it no change, where the system has no such locale
  }
  locale_t before_;
};

}  // namespace

struct FolderArchive::State {
  ArtifactBytes folder;
  std::string made{};
  std::unique_ptr<archive, Free> out{archive_write_new()};
  std::deque<objects::ObjectInfo> files{};
  std::string after{};
  std::unique_ptr<objects::Reader> current{};
  uint64_t at = 0;
  bool listed = false, closed = false;

  void check(la_ssize_t status) {
    if (status >= ARCHIVE_WARN) return;
    const char* why = archive_error_string(out.get());
    throw internal("cannot pack {}: {}", folder.uri(), why ? why : "");
  }

  void open(ArchiveFormat format) {
    if (format == ArchiveFormat::Zip) {
      check(archive_write_set_format_zip(out.get()));
    } else {
      check(archive_write_add_filter_gzip(out.get()));
      check(archive_write_set_format_gnutar(out.get()));  // which takes names of any length and bytes
    }
    check(archive_write_set_bytes_per_block(out.get(), 0));
    const auto write = [](archive*, void* data, const void* bytes, size_t size) -> la_ssize_t {
      static_cast<State*>(data)->made.append(static_cast<const char*>(bytes), size);
      return static_cast<la_ssize_t>(size);
    };
    check(archive_write_open(out.get(), this, nullptr, write, nullptr));
  }

  void begin_file() {
    if (files.empty() && !listed) {
      constexpr size_t kAtOnce = 1'000;
      for (objects::ObjectInfo& info : folder.files(after, kAtOnce)) files.push_back(std::move(info));
      listed = files.size() < kAtOnce;
      if (!files.empty()) after = files.back().key;
    }
    if (files.empty()) {
      check(archive_write_close(out.get()));
      closed = true;
      return;
    }
    const std::string name = std::move(files.front().key);
    files.pop_front();
    current = folder.open_file(name);
    at = 0;
    if (!current) return;  // it went since it was listed
    const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(current->size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    const Utf8Names names;
    check(archive_write_header(out.get(), entry.get()));
  }

  void continue_file() {
    const std::string piece = current->read(at, kPiece);
    if (piece.empty()) {
      if (at < current->size()) throw Error(Code::DataLoss, "a file shrank while it was packed");
      current.reset();
      return;
    }
    at += piece.size();
    check(archive_write_data(out.get(), piece.data(), piece.size()));
  }
};

FolderArchive::FolderArchive(ArtifactBytes folder, ArchiveFormat format)
    : state_(std::make_unique<State>(State{std::move(folder)})) {
  state_->open(format);
}
FolderArchive::~FolderArchive() = default;

std::string FolderArchive::next() {
  State& state = *state_;
  while (!state.closed && state.made.size() < kPiece) {
    if (state.current) {
      state.continue_file();
    } else {
      state.begin_file();
    }
  }
  return std::exchange(state.made, {});
}

}  // namespace penstock::pipelines::api
