#include "objects/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "base/clock.h"
#include "base/error.h"
#include "objects/engine.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

bool is_temporary(const fs::path& path) { return path.filename().native().starts_with(kTemporary); }

}  // namespace

std::optional<Location> parse_uri(std::string_view uri) {
  const size_t colon = uri.find("://");
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view rest = uri.substr(colon + 3);
  rest = rest.substr(0, rest.find('?'));  // provider settings
  const size_t slash = rest.find('/');
  Location out;
  out.scheme = uri.substr(0, colon);
  out.bucket = rest.substr(0, slash);
  if (slash != std::string_view::npos) out.key = rest.substr(slash + 1);
  if (out.bucket.empty()) return std::nullopt;
  return out;
}

Store::Store(fs::path root, Engine* engine) : root_(std::move(root)), engine_(engine) {
  fs::create_directories(root_);
  make_bucket(kDefaultBucket);
}

fs::path Store::bucket_path(std::string_view bucket) const {
  const bool plain =
      !bucket.empty() && bucket.size() <= 255 && bucket[0] != '.' &&
      std::ranges::all_of(bucket, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '.' || c == '_'; });
  if (!plain) {
    throw Error(Code::InvalidArgument,
                fmt::format("invalid bucket name {:?}: use letters, digits, -, . and _", std::string(bucket)),
                "bucket");
  }
  return root_ / bucket;
}

fs::path Store::path_of(std::string_view bucket, std::string_view key) const {
  fs::path path = bucket_path(bucket);
  const auto bad = [&](std::string_view why) {
    return Error(Code::InvalidArgument, fmt::format("invalid object key {:?}: {}", std::string(key), why), "key");
  };
  while (key.ends_with('/')) key.remove_suffix(1);  // a folder
  if (key.size() > 3'000) throw bad("it has more than 3000 bytes");
  if (key.find('\0') != std::string_view::npos) throw bad("it holds a NUL byte");
  std::string_view rest = key;
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") throw bad("empty parts, \".\" and \"..\" are not allowed");
    if (part.size() > 255) throw bad("a part between slashes has more than 255 bytes");
    path /= part;
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  return path;
}

std::optional<fs::path> Store::uri_to_path(std::string_view uri) const {
  const std::optional<Location> location = parse_uri(uri);
  if (!location) return std::nullopt;
  if (location->scheme != "minio" && !(location->scheme == "s3" && has_bucket(location->bucket))) return std::nullopt;
  return path_of(location->bucket, location->key);
}

std::optional<std::string> Store::path_to_uri(const fs::path& path) const {
  const fs::path inside = path.lexically_normal().lexically_relative(root_.lexically_normal());
  if (inside.empty() || *inside.begin() == "..") return std::nullopt;
  return "minio://" + inside.generic_string();
}

std::optional<fs::path> Store::find(std::string_view bucket, std::string_view key) const {
  if (auto path = find_file(bucket, key)) return path;
  if (engine_ == nullptr || !engine_->materialise(bucket, key)) return std::nullopt;
  return find_file(bucket, key);
}

void Store::lay_out(std::string_view uri) const {
  if (engine_ == nullptr || !uri_to_path(uri)) return;
  const Location location = *parse_uri(uri);
  if (!location.key.empty()) engine_->materialise_all(location.bucket, location.key);
}

void Store::make_bucket_of(std::string_view uri) {
  const std::optional<Location> location = parse_uri(uri);
  if (!location || location->scheme != "minio") return;
  const bool known =
      engine_ != nullptr ? engine_->find_bucket(location->bucket) != nullptr : has_bucket(location->bucket);
  if (!known) make_bucket(location->bucket);
}

std::optional<fs::path> Store::find_file(std::string_view bucket, std::string_view key) const {
  const fs::path path = path_of(bucket, key);
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return std::nullopt;
  const fs::path real_bucket = fs::canonical(bucket_path(bucket), error);
  if (error) return std::nullopt;
  const fs::path inside = real.lexically_relative(real_bucket);
  if (inside.empty() || *inside.begin() == "..") return std::nullopt;
  return real;
}

bool Store::has_bucket(std::string_view bucket) const {
  std::error_code error;
  return fs::is_directory(bucket_path(bucket), error);
}

void Store::make_bucket(std::string_view bucket) {
  const fs::path path = bucket_path(bucket);
  if (engine_ != nullptr && !engine_->find_bucket(bucket)) {
    Bucket made;
    made.name = bucket;
    made.owner = engine_->owner();
    engine_->create_bucket_now(std::move(made));
  }
  fs::create_directories(path);
  sync_folder(root_);
}

void Store::put(std::string_view bucket, std::string_view key, std::string_view content) {
  if (!has_bucket(bucket)) throw not_found("bucket {} does not exist", bucket);
  const fs::path path = path_of(bucket, key);
  if (path == bucket_path(bucket)) throw Error(Code::InvalidArgument, "an object needs a key", "key");
  const FileTree files(root_);
  files.replace(
      bucket, key, [&](int fd) { write_all(fd, content); }, [](const FileStamp&) {});
}

std::string Store::get(std::string_view bucket, std::string_view key, uint64_t limit) const {
  const std::optional<fs::path> path = find(bucket, key);
  const Descriptor file(path ? ::open(path->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1);
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw not_found("object {} not found in bucket {}", key, bucket);
  }
  std::string content(std::min<uint64_t>(limit, static_cast<uint64_t>(info.st_size)), '\0');
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = ::read(file.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(fmt::format("reading the object {}", key));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  content.resize(filled);
  return content;
}

std::vector<ObjectInfo> Store::list(std::string_view bucket, std::string_view prefix, size_t limit,
                                    std::string_view after) const {
  const BucketPtr known = engine_ != nullptr && has_bucket(bucket) ? engine_->find_bucket(bucket) : nullptr;
  if (!known) return list_files(bucket, prefix, limit, after);
  std::vector<ObjectInfo> out;
  ListQuery query;
  query.prefix = prefix;
  query.after = after;
  while (out.size() < limit) {
    query.limit = std::min<size_t>(limit - out.size(), 1'000);
    ListPage page = engine_->list_now(*known, query);
    for (Object& object : page.objects) out.push_back({std::move(object.key), object.size});
    if (!page.truncated) break;
    query.after = page.next;
  }
  return out;
}

std::vector<ObjectInfo> Store::list_files(std::string_view bucket, std::string_view prefix, size_t limit,
                                          std::string_view after) const {
  const fs::path base = bucket_path(bucket);
  if (!has_bucket(bucket)) throw not_found("bucket {} does not exist", bucket);
  // Only the deepest folder that the prefix names is walked.
  const size_t slash = prefix.rfind('/');
  const std::string_view folder = slash == std::string_view::npos ? std::string_view() : prefix.substr(0, slash);
  std::vector<ObjectInfo> out;
  if (!find_file(bucket, folder)) return out;
  const fs::path start = path_of(bucket, folder);
  std::error_code error;
  for (fs::recursive_directory_iterator it(start, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error) || it->is_symlink(error) || is_temporary(it->path())) continue;
    std::string key = it->path().lexically_relative(base).generic_string();
    if (key.starts_with(prefix) && key > after) out.push_back({std::move(key), it->file_size(error)});
  }
  std::ranges::sort(out, {}, &ObjectInfo::key);
  if (out.size() > limit) out.resize(limit);
  return out;
}

bool Store::remove(std::string_view bucket, std::string_view key) {
  const fs::path base = bucket_path(bucket);
  const fs::path path = path_of(bucket, key);
  if (engine_ != nullptr && path != base && engine_->find_bucket(bucket)) {
    return engine_->remove_now(bucket, std::string(key));
  }
  std::error_code error;
  if (path == base || fs::is_directory(fs::symlink_status(path, error)) || !fs::remove(path, error)) return false;
  for (fs::path folder = path.parent_path(); folder != base; folder = folder.parent_path()) {
    if (::rmdir(folder.c_str()) != 0) break;
  }
  return true;
}

}  // namespace penstock::objects
