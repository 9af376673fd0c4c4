#include "pipelines/api/package.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <memory>

#include "base/error.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kChunk = 64 * 1024;

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](unsigned char x, unsigned char y) {
           return std::tolower(x) == std::tolower(y);
         });
}

bool ends_with(std::string_view name, std::string_view ending) {
  return name.size() >= ending.size() && same_ignoring_case(name.substr(name.size() - ending.size()), ending);
}

bool is_text_name(std::string_view name) {
  return ends_with(name, ".yaml") || ends_with(name, ".yml") || ends_with(name, ".json");
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.find_last_of("/\\");
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The value of `name` in a header such as `form-data; name="a"; filename="b;c"`.
std::optional<std::string> header_parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at != std::string_view::npos) {
    header.remove_prefix(at + 1);
    const size_t equals = header.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = trim(header.substr(0, equals));
    header.remove_prefix(equals + 1);
    std::string value;
    if (header.starts_with('"')) {
      size_t i = 1;
      for (; i < header.size() && header[i] != '"'; ++i) {
        if (header[i] == '\\' && i + 1 < header.size() && (header[i + 1] == '"' || header[i + 1] == '\\')) ++i;
        value += header[i];
      }
      header.remove_prefix(std::min(i, header.size()));
    } else {
      value = trim(header.substr(0, header.find(';')));
    }
    if (same_ignoring_case(key, name)) return value;
    at = header.find(';');
  }
  return std::nullopt;
}

struct Part {
  std::string_view disposition;
  std::string_view content;
};

Part read_part(std::string_view part) {
  const size_t split = part.find("\r\n\r\n");
  if (split == std::string_view::npos)
    throw invalid("the multipart body is malformed: a part has no end of its header");
  Part out;
  out.content = part.substr(split + 4);
  std::string_view headers = part.substr(0, split);
  while (!headers.empty()) {
    const size_t end = std::min(headers.find("\r\n"), headers.size());
    const std::string_view line = headers.substr(0, end);
    headers.remove_prefix(std::min(end + 2, headers.size()));
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_ignoring_case(trim(line.substr(0, colon)), "content-disposition")) {
      out.disposition = line.substr(colon + 1);
    }
  }
  return out;
}

struct CloseArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

Error too_big(size_t limit) {
  return Error(Code::ResourceExhausted, fmt::format("the package unpacks to more than the limit of {} bytes", limit),
               "body");
}

// Reads an entry's bytes; `budget` is what the whole archive may still unpack to.
std::string read_entry(archive* a, size_t& budget, size_t limit, bool keep) {
  std::string out;
  std::string chunk(kChunk, '\0');
  while (true) {
    const la_ssize_t got = archive_read_data(a, chunk.data(), chunk.size());
    if (got == 0) return out;
    if (got < 0) throw invalid("the archive is damaged: {}", archive_error_string(a) ? archive_error_string(a) : "");
    if (static_cast<size_t>(got) > budget) throw too_big(limit);
    budget -= static_cast<size_t>(got);
    if (keep) out.append(chunk.data(), static_cast<size_t>(got));
  }
}

std::string unpack(std::string_view content, bool zip, size_t limit) {
  const std::unique_ptr<archive, CloseArchive> a(archive_read_new());
  if (zip) {
    archive_read_support_format_zip(a.get());
  } else {
    archive_read_support_filter_gzip(a.get());
    archive_read_support_format_tar(a.get());
  }
  const auto damaged = [&] {
    const char* why = archive_error_string(a.get());
    return invalid("the {} file cannot be read: {}", zip ? "zip" : "tar.gz", why ? why : "it is damaged");
  };
  if (archive_read_open_memory(a.get(), content.data(), content.size()) != ARCHIVE_OK) throw damaged();
  std::string first, first_name;
  size_t budget = limit;
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  constexpr int kMaxEntries = 10'000;
  for (int entries = 0; (status = archive_read_next_header(a.get(), &entry)) == ARCHIVE_OK; ++entries) {
    if (entries == kMaxEntries) throw invalid("the archive has more than {} entries", kMaxEntries);
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* path = archive_entry_pathname(entry);
    const std::string name(path ? path : "");
    if (name == "pipeline.yaml" || name == "./pipeline.yaml") return read_entry(a.get(), budget, limit, true);
    std::string text = read_entry(a.get(), budget, limit, first_name.empty());
    if (first_name.empty()) {
      first_name = name;
      first = std::move(text);
    }
  }
  if (status != ARCHIVE_EOF) throw damaged();
  if (first_name.empty()) throw invalid("the archive holds no file; expected pipeline.yaml");
  if (!is_text_name(first_name)) {
    throw invalid("the archive holds no pipeline.yaml, and its first file {:?} is neither YAML nor JSON", first_name);
  }
  return first;
}

}  // namespace

std::vector<json::value> parse_documents(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) throw invalid("the pipeline file is empty");
  if (text[begin] == '{') {
    try {
      std::vector<json::value> documents;
      documents.push_back(parse_json(text));
      return documents;
    } catch (const Error&) {
      // A YAML flow map, or several documents.
    }
  }
  return parse_yaml(text);
}

UploadedFile find_upload(std::string_view content_type, std::string_view body, std::string_view field) {
  const std::optional<std::string> boundary = header_parameter(content_type, "boundary");
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  if (!same_ignoring_case(type, "multipart/form-data") || !boundary || boundary->empty()) {
    throw invalid("expected a multipart/form-data body with the file in its field {:?}", std::string(field));
  }
  // A delimiter starts a line; the body's start counts as one.
  const std::string delimiter = "\r\n--" + *boundary;
  size_t at = body.starts_with(std::string_view(delimiter).substr(2)) ? delimiter.size() - 2 : body.find(delimiter);
  if (at == std::string_view::npos) throw invalid("the multipart body has no part");
  if (!body.starts_with(std::string_view(delimiter).substr(2))) at += delimiter.size();
  while (!body.substr(at).starts_with("--")) {
    const size_t line = body.find("\r\n", at);
    const size_t end = line == std::string_view::npos ? line : body.find(delimiter, line);
    if (end == std::string_view::npos) throw invalid("the multipart body ends before its last boundary");
    const Part part = read_part(body.substr(line + 2, end > line + 2 ? end - line - 2 : 0));
    if (header_parameter(part.disposition, "name") == field) {
      return {header_parameter(part.disposition, "filename").value_or(""), part.content};
    }
    at = end + delimiter.size();
  }
  throw invalid("the multipart body has no field {:?} with the pipeline file", std::string(field));
}

std::vector<json::value> read_package(std::string_view file_name, std::string_view content, size_t limit) {
  if (content.empty()) throw invalid("the pipeline file is empty");
  if (is_text_name(file_name)) {
    if (content.size() > limit) throw too_big(limit);
    return parse_documents(content);
  }
  if (content.starts_with("PK")) return parse_documents(unpack(content, true, limit));
  if (content.starts_with("\x1f\x8b")) return parse_documents(unpack(content, false, limit));
  throw invalid("{:?} is no pipeline package: expected .yaml, .yml, .json, a zip or a tar.gz file",
                std::string(base_name(file_name)));
}

namespace {

namespace fs = std::filesystem;

// Packs files as they are read.
class FolderPacker {
 public:
  explicit FolderPacker(size_t limit) : limit_(limit), archive_(archive_write_new()) {
    archive_write_add_filter_gzip(archive_);
    archive_write_set_format_pax_restricted(archive_);
    if (archive_write_open2(archive_, this, nullptr, write, nullptr, nullptr) != ARCHIVE_OK)
      throw internal("no archive");
  }
  ~FolderPacker() { archive_write_free(archive_); }
  FolderPacker(const FolderPacker&) = delete;

  void add(const fs::path& path, const std::string& name) {
    const auto status = fs::symlink_status(path);
    archive_entry* entry = archive_entry_new();
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> guard(entry, archive_entry_free);
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_perm(entry, static_cast<__LA_MODE_T>(status.permissions()) & 0777);
    if (fs::is_symlink(status)) {
      archive_entry_set_filetype(entry, AE_IFLNK);
      archive_entry_set_symlink(entry, fs::read_symlink(path).c_str());
      check(archive_write_header(archive_, entry), name);
    } else if (fs::is_directory(status)) {
      archive_entry_set_filetype(entry, AE_IFDIR);
      check(archive_write_header(archive_, entry), name);
    } else if (fs::is_regular_file(status)) {
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_size(entry, static_cast<la_int64_t>(fs::file_size(path)));
      check(archive_write_header(archive_, entry), name);
      add_content(path, name);
    }
  }

  std::string finish() {
    check(archive_write_close(archive_), "the end");
    return std::move(out_);
  }

 private:
  static la_ssize_t write(archive* a, void* self, const void* bytes, size_t size) {
    auto& packer = *static_cast<FolderPacker*>(self);
    if (packer.out_.size() + size > packer.limit_) {
      packer.full_ = true;
      archive_set_error(a, ENOSPC, "it is too large");
      return -1;
    }
    packer.out_.append(static_cast<const char*>(bytes), size);
    return static_cast<la_ssize_t>(size);
  }

  void check(la_ssize_t result, const std::string& name) const {
    if (full_) {
      throw Error(Code::ResourceExhausted, fmt::format("the folder is larger than {} MiB when packed", limit_ >> 20));
    }
    if (result >= ARCHIVE_OK) return;
    const char* why = archive_error_string(archive_);
    throw internal("cannot pack {}: {}", name, why ? why : "");
  }

  void add_content(const fs::path& path, const std::string& name) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes(256 * 1024);
    while (file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())) || file.gcount() > 0) {
      check(archive_write_data(archive_, bytes.data(), static_cast<size_t>(file.gcount())), name);
    }
  }

  const size_t limit_;
  std::string out_;
  bool full_ = false;
  archive* archive_;
};

}  // namespace

std::string pack_folder_tar_gz(const std::string& name, const std::filesystem::path& folder, size_t limit) {
  FolderPacker packer(limit);
  packer.add(folder, name + "/");
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) packer.add(path, name + "/" + path.lexically_relative(folder).string());
  return packer.finish();
}

std::string pack_tar_gz(const std::string& name, std::string_view content) {
  struct Free {
    void operator()(archive* a) const { archive_write_free(a); }
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
  };
  std::string out(content.size() + content.size() / 8 + 64 * 1024, '\0');  // gzip adds little to what it cannot shorten
  size_t used = 0;
  const std::unique_ptr<archive, Free> a(archive_write_new());
  archive_write_add_filter_gzip(a.get());
  archive_write_set_format_ustar(a.get());
  if (archive_write_open_memory(a.get(), out.data(), out.size(), &used) != ARCHIVE_OK) throw internal("no archive");
  const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  if (archive_write_header(a.get(), entry.get()) != ARCHIVE_OK ||
      archive_write_data(a.get(), content.data(), content.size()) < 0 || archive_write_close(a.get()) != ARCHIVE_OK) {
    const char* why = archive_error_string(a.get());
    throw internal("cannot pack {}: {}", name, why ? why : "");
  }
  out.resize(used);
  return out;
}

}  // namespace penstock::pipelines::api
