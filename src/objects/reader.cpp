#include "objects/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "objects/engine.h"
#include "objects/store.h"

namespace penstock::objects {

namespace {

constexpr uint64_t kVerifiedFirst = 8u << 20;  // larger files are verified in the background

std::string read_file(int fd, uint64_t offset, size_t length) {
  std::string out(length, '\0');
  size_t filled = 0;
  while (filled < length) {
    const ssize_t got = ::pread(fd, out.data() + filled, length - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_disk("reading an object");
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  out.resize(filled);
  return out;
}

class FileReader : public Reader {
 public:
  FileReader(Descriptor file, uint64_t size) : file_(std::move(file)), size_(size) {}
  uint64_t size() const override { return size_; }
  std::string read(uint64_t offset, size_t length) override {
    if (offset >= size_) return {};
    return read_file(file_.get(), offset, std::min<uint64_t>(length, size_ - offset));
  }
  int file() const override { return file_.get(); }

 private:
  Descriptor file_;
  uint64_t size_;
};

// Of contents in a row, as an upload in parts leaves them. The one that was read last stays open.
class ContentReader : public Reader {
 public:
  ContentReader(Engine& engine, std::vector<Content> contents) : engine_(engine), contents_(std::move(contents)) {
    for (const Content& content : contents_) size_ += content.size;
  }
  uint64_t size() const override { return size_; }
  std::string read(uint64_t offset, size_t length) override {
    std::string out;
    uint64_t begin = 0;
    for (size_t i = 0; i < contents_.size() && out.size() < length; begin += contents_[i++].size) {
      const uint64_t at = offset + out.size();
      if (at < begin || at >= begin + contents_[i].size) continue;
      open(i);
      const uint64_t inside = at - begin;
      const size_t wanted = std::min<uint64_t>(length - out.size(), contents_[i].size - inside);
      const std::string piece = open_ ? read_file(open_.get(), inside, wanted) : small_.substr(inside, wanted);
      if (piece.size() != wanted) throw Error(Code::DataLoss, "an object is shorter than what was stored");
      out += piece;
    }
    return out;
  }

 private:
  void open(size_t i) {
    if (at_ == i) return;
    const Content& content = contents_[i];
    small_.clear();
    open_ = Descriptor();
    if (engine_.in_log(content)) {
      small_ = engine_.read_small(content);
    } else {
      if (content.size <= kVerifiedFirst) engine_.verify(content);
      open_ = engine_.open_content(content);
    }
    at_ = i;
  }
  Engine& engine_;
  std::vector<Content> contents_;
  uint64_t size_ = 0;
  size_t at_ = SIZE_MAX;
  Descriptor open_;
  std::string small_;
};

}  // namespace

std::unique_ptr<Reader> open_object(Engine& engine, const Bucket& bucket, const Object& object) {
  if (object.marker) return nullptr;
  if (object.file) {
    Descriptor file = engine.files().open(bucket.name, object.key);
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0) return nullptr;
    return std::make_unique<FileReader>(std::move(file), static_cast<uint64_t>(info.st_size));
  }
  if (object.meta.contains("sse")) return std::make_unique<FileReader>(engine.unseal(object), object.size);
  if (object.parts.empty() && object.content.id != 0 && !engine.in_log(object.content)) {
    if (object.content.size <= kVerifiedFirst) engine.verify(object.content);
    return std::make_unique<FileReader>(engine.open_content(object.content), object.content.size);
  }
  std::vector<Content> contents;
  for (const Part& part : engine.parts_now(object)) contents.push_back(part.content);
  if (object.parts.empty() && object.content.id != 0) contents.push_back(object.content);
  return std::make_unique<ContentReader>(engine, std::move(contents));
}

std::unique_ptr<Reader> Store::open(std::string_view bucket, std::string_view key) const {
  if (key.empty() || key.ends_with('/')) return nullptr;
  if (const auto path = find_file(bucket, key)) {
    Descriptor file(::open(path->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (file && ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode)) {
      return std::make_unique<FileReader>(std::move(file), static_cast<uint64_t>(info.st_size));
    }
  }
  const BucketPtr known = engine_ != nullptr ? engine_->find_bucket(bucket) : nullptr;
  const auto object = known ? engine_->find_now(*known, std::string(key)) : std::nullopt;
  return object && !object->file ? open_object(*engine_, *known, *object) : nullptr;
}

FolderPage Store::list_folder(std::string_view bucket, std::string_view folder, std::string_view after,
                              size_t limit) const {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  path_of(bucket, folder);  // throws when it is none
  FolderPage page;
  if (!has_bucket(bucket)) return page;
  const BucketPtr known = engine_ != nullptr ? engine_->find_bucket(bucket) : nullptr;
  const std::string prefix = folder.empty() ? std::string() : fmt::format("{}/", folder);
  std::vector<std::pair<std::string, FolderEntry>> found;  // by the name with which it is in order
  bool more = false;
  if (known) {
    ListQuery query;
    query.prefix = prefix;
    query.delimiter = "/";
    if (!after.empty()) query.after = fmt::format("{}{}", prefix, after);
    query.limit = limit + 1;  // the folder itself may be an object, which is not shown
    const ListPage list = engine_->list_now(*known, query);
    for (const Object& object : list.objects) {
      std::string name = object.key.substr(prefix.size());
      if (!name.empty()) found.push_back({name, {name, false, object.size}});
    }
    for (const std::string& group : list.prefixes) {
      const std::string name = group.substr(prefix.size());
      found.push_back({name, {name.substr(0, name.size() - 1), true, 0}});
    }
    more = list.truncated;
  } else if (const auto path = find_file(bucket, folder)) {
    std::error_code error;
    for (std::filesystem::directory_iterator it(*path, error), end; !error && it != end; it.increment(error)) {
      std::string name = it->path().filename();
      if (it->is_symlink(error) || name.starts_with(kTemporary)) continue;
      if (it->is_directory(error)) {
        found.push_back({name + '/', {name, true, 0}});
      } else if (it->is_regular_file(error)) {
        found.push_back({name, {name, false, it->file_size(error)}});
      }
    }
    std::erase_if(found, [&](const auto& entry) { return entry.first <= after; });
  }
  std::ranges::sort(found, {}, [](const auto& entry) -> const std::string& { return entry.first; });
  if (found.size() > limit) {
    found.resize(limit);
    more = true;
  }
  for (auto& [name, entry] : found) page.entries.push_back(std::move(entry));
  if (more && !found.empty()) page.next = found.back().first;
  return page;
}

}  // namespace penstock::objects
