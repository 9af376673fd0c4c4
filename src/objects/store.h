// Objects as tasks and this program's other parts see them: bucket b's object k is the file <root>/b/k, which tasks on
// this machine read and write directly. What clients of S3 have put lies in the engine (engine.h) and is laid out as a
// file when it is asked for by its path. Every function blocks on the disk: call it on a BlockingPool. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "objects/reader.h"

namespace penstock::objects {

inline constexpr std::string_view kDefaultBucket = "mlpipeline";

struct Location {
  std::string scheme;  // "minio", "s3", …
  std::string bucket;
  std::string key;  // without a leading slash; empty for the bucket itself
};

// "minio://mlpipeline/v2/artifacts/x". Empty when `uri` has no scheme and bucket.
std::optional<Location> parse_uri(std::string_view uri);

struct ObjectInfo {
  std::string key;
  uint64_t size = 0;
};

class Engine;

class Store {
 public:
  // Makes the folder and the default bucket. Without an engine there are files alone.
  explicit Store(std::filesystem::path root, Engine* engine = nullptr);
  const std::filesystem::path& root() const { return root_; }

  // Throws InvalidArgument for a bucket or key that could leave its folder ("..", empty parts, NUL, a leading dot of
  // a bucket), or that no file can be called.
  std::filesystem::path path_of(std::string_view bucket, std::string_view key) const;
  // Of a minio:// URI, or an s3:// one of a bucket that exists here. Empty when the URI is of another place.
  std::optional<std::filesystem::path> uri_to_path(std::string_view uri) const;
  // "minio://mlpipeline/a/b" for a path below the root; empty for others.
  std::optional<std::string> path_to_uri(const std::filesystem::path& path) const;

  // The path of an object or of a folder of objects which exists. Empty when it does not, or when symbolic links, which
  // tasks can make, lead out of the root.
  std::optional<std::filesystem::path> find(std::string_view bucket, std::string_view key) const;
  // Lays out what `uri` names, an object or all those below it, so that a task finds it at its path.
  void lay_out(std::string_view uri) const;
  // Makes the bucket that `uri` is in, if it is one of this store's and not there.
  void make_bucket_of(std::string_view uri);

  bool has_bucket(std::string_view bucket) const;
  void make_bucket(std::string_view bucket);

  // Atomic and synced: readers see the old content or the new. NotFound without the bucket.
  void put(std::string_view bucket, std::string_view key, std::string_view content);
  // At most `limit` bytes from the start. NotFound.
  std::string get(std::string_view bucket, std::string_view key, uint64_t limit = UINT64_MAX) const;
  // For reading pieces of it, where it lies. Null when there is no object of that key.
  std::unique_ptr<Reader> open(std::string_view bucket, std::string_view key) const;
  // Objects whose key starts with `prefix` and comes behind `after`, by key, at most `limit`. Symbolic links are not
  // followed.
  std::vector<ObjectInfo> list(std::string_view bucket, std::string_view prefix, size_t limit = 1'000,
                               std::string_view after = {}) const;
  // What lies right below `folder`, an empty one being the bucket, behind the page that ended with `after`.
  FolderPage list_folder(std::string_view bucket, std::string_view folder, std::string_view after,
                         size_t limit = 1'000) const;
  // True when it was there. Removes folders that become empty.
  bool remove(std::string_view bucket, std::string_view key);

 private:
  std::filesystem::path bucket_path(std::string_view bucket) const;
  std::optional<std::filesystem::path> find_file(std::string_view bucket, std::string_view key) const;
  std::vector<ObjectInfo> list_files(std::string_view bucket, std::string_view prefix, size_t limit,
                                     std::string_view after) const;
  std::filesystem::path root_;
  Engine* engine_;
};

}  // namespace penstock::objects
