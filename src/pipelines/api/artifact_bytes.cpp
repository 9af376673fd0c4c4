#include "pipelines/api/artifact_bytes.h"

#include "base/error.h"

namespace penstock::pipelines::api {

namespace {

void check_path(std::string_view path) {
  const auto bad = [&](std::string_view why) {
    return Error(Code::InvalidArgument, fmt::format("path is {:?}: {}", std::string(path), why), "path");
  };
  if (path.size() > 3'000) throw bad("it has more than 3000 bytes");
  if (path.find('\0') != std::string_view::npos) throw bad("it holds a NUL byte");
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") {
      throw bad("it is one inside of the artifact; empty parts, \".\" and \"..\" are not allowed");
    }
    if (slash == std::string_view::npos) return;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

ArtifactBytes::ArtifactBytes(const objects::Store& store, std::string uri, std::string_view path)
    : store_(store), uri_(std::move(uri)) {
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!path.empty()) check_path(path);
  auto location = objects::parse_uri(uri_);
  if (!location || !store.uri_to_path(uri_)) {
    throw Error(Code::FailedPrecondition,
                fmt::format("{} is not kept by this server", uri_.empty() ? "an artifact without a URI" : uri_));
  }
  bucket_ = std::move(location->bucket);
  key_ = std::move(location->key);
  while (key_.ends_with('/')) key_.pop_back();
  if (!path.empty()) key_ += key_.empty() ? std::string(path) : fmt::format("/{}", path);
}

std::unique_ptr<objects::Reader> ArtifactBytes::open() const { return store_.open(bucket_, key_); }

objects::FolderPage ArtifactBytes::list(std::string_view after, size_t limit) const {
  return store_.list_folder(bucket_, key_, after, limit);
}

std::vector<objects::ObjectInfo> ArtifactBytes::files(std::string_view after, size_t limit) const {
  const std::string prefix = key_.empty() ? std::string() : key_ + '/';
  std::vector<objects::ObjectInfo> found =
      store_.list(bucket_, prefix, limit, after.empty() ? std::string() : fmt::format("{}{}", prefix, after));
  for (objects::ObjectInfo& info : found) info.key.erase(0, prefix.size());
  return found;
}

std::unique_ptr<objects::Reader> ArtifactBytes::open_file(const std::string& path_inside) const {
  return store_.open(bucket_, key_.empty() ? path_inside : fmt::format("{}/{}", key_, path_inside));
}

std::string_view ArtifactBytes::file_name() const {
  const std::string_view key = key_;
  return key.substr(key.find_last_of('/') + 1);
}

std::string read_artifact_text(const objects::Store& store, const std::string& uri, size_t limit) {
  const ArtifactBytes bytes(store, uri, "");
  const auto reader = bytes.open();
  if (!reader) throw not_found("there is no object {}", uri);
  return reader->read(0, limit);
}

}  // namespace penstock::pipelines::api
