#include "node/oci/image_store.h"

#include <fstream>

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

struct CloseArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

// Removes what it names, unless it has been moved away.
struct Scratch {
  fs::path path;
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

bool is_device(const archive_entry* entry) {
  const auto type = archive_entry_filetype(const_cast<archive_entry*>(entry));
  return type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO || type == AE_IFSOCK;
}

std::string image_id(const json::object& image) {
  std::string id = get_string(image, "Id");
  if (id.starts_with("sha256:")) id.erase(0, 7);
  if (id.size() < 24 || id.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw internal("the engine says no id of the image");
  }
  return id.substr(0, 24);
}

}  // namespace

void unpack_tar(const fs::path& tar, const fs::path& folder) {
  // What is below must not be reached through links that the archive made.
  constexpr int kFlags = ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT;
  fs::create_directories(folder);
  const std::unique_ptr<archive, CloseArchive> in(archive_read_new());
  archive_read_support_format_tar(in.get());
  if (archive_read_open_filename(in.get(), tar.c_str(), 1 << 16) != ARCHIVE_OK) {
    throw internal("the image's files cannot be read: {}", archive_error_string(in.get()));
  }
  archive_entry* entry = nullptr;
  int status;
  while ((status = archive_read_next_header(in.get(), &entry)) == ARCHIVE_OK) {
    if (is_device(entry)) continue;
    auto inside = [&](const char* name) {
      return (folder / fs::path(name).relative_path().lexically_normal()).string();
    };
    const std::string path = inside(archive_entry_pathname(entry));
    archive_entry_set_pathname(entry, path.c_str());
    if (const char* link = archive_entry_hardlink(entry)) {
      const std::string target = inside(link);
      archive_entry_set_hardlink(entry, target.c_str());
    }
    const int extracted = archive_read_extract(in.get(), entry, kFlags);
    if (extracted != ARCHIVE_OK && extracted != ARCHIVE_WARN) {
      throw internal("the image's file {} cannot be written: {}", path, archive_error_string(in.get()));
    }
  }
  if (status != ARCHIVE_EOF) throw internal("the image's files are damaged: {}", archive_error_string(in.get()));
}

Async<> ensure_image(const ContainerEngine& engine, std::string image, std::string pull_policy,
                     std::string registry_auth) {
  if (image.empty()) throw invalid("the container names no image");
  const bool there = co_await engine.has_image(image);
  if (there && pull_policy != "Always") co_return;
  if (pull_policy == "Never") {
    throw not_found("ErrImageNeverPull: the image {} is not there, and its pull policy is Never", image);
  }
  std::string failure;
  try {
    co_await engine.pull(image, std::move(registry_auth));
  } catch (const Error& error) {
    failure = error.message();
  }
  if (!failure.empty()) throw not_found("ErrImagePull: {}: {}", image, failure);
}

ImageStore::ImageStore(fs::path data, fs::path socket)
    : folder_(std::move(data) / "images"), engine_(std::move(socket)), loop_("images") {}

Async<fs::path> ImageStore::files(std::string reference, std::string pull_policy, std::string registry_auth) {
  auto work = [&]() -> Async<fs::path> {
    co_return co_await unpack(std::move(reference), std::move(pull_policy), std::move(registry_auth));
  };
  co_return co_await on(loop_.executor(), std::move(work));
}

Async<fs::path> ImageStore::unpack(std::string reference, std::string pull_policy, std::string registry_auth) {
  co_await ensure_image(engine_, reference, std::move(pull_policy), std::move(registry_auth));
  const json::object image = co_await engine_.inspect_image(reference);
  const fs::path folder = folder_ / image_id(image);
  if (fs::exists(folder)) co_return folder;
  fs::create_directories(folder_);
  const std::string suffix = random_suffix(8);
  const Scratch tar{folder.string() + "." + suffix + ".tar"}, fresh{folder.string() + "." + suffix};
  std::ofstream out(tar.path, std::ios::binary);
  // A container that never runs: engines give the files of containers only.
  json::object config{{"Image", reference}, {"Cmd", json::array{"true"}}};
  const std::string container = co_await engine_.create("penstock-files-" + suffix, std::move(config));
  std::string failure;
  try {
    co_await engine_.export_files(container, [&out](std::string_view bytes) {
      out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    });
  } catch (const Error& error) {
    failure = error.message();
  }
  co_await engine_.remove(container);
  out.close();
  if (failure.empty() && !out) failure = "they cannot be written to the disk";
  if (!failure.empty()) throw internal("the files of the image {}: {}", reference, failure);
  unpack_tar(tar.path, fresh.path);
  std::error_code error;
  fs::rename(fresh.path, folder, error);  // another task may have been quicker
  if (!fs::exists(folder)) throw internal("the files of the image {}: {}", reference, error.message());
  co_return folder;
}

}  // namespace penstock::node
