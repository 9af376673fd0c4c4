// The bytes of artifacts. The one place that knows where those of a URI lie. Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "objects/reader.h"
#include "objects/store.h"

namespace penstock::pipelines::api {

// One object or folder of an artifact: the artifact itself, or what lies at a path inside of it. Every function but the
// constructor blocks.
class ArtifactBytes {
 public:
  // `path` may be empty. InvalidArgument for one that leads out of the artifact, FailedPrecondition for a URI that is
  // not of this server's store. `store` outlives this.
  ArtifactBytes(const objects::Store& store, std::string uri, std::string_view path);

  std::unique_ptr<objects::Reader> open() const;  // null when it is no object
  objects::FolderPage list(std::string_view after, size_t limit) const;
  // Every object below it, by its path inside, behind `after`.
  std::vector<objects::ObjectInfo> files(std::string_view after, size_t limit) const;
  // One of those.
  std::unique_ptr<objects::Reader> open_file(const std::string& path_inside) const;

  std::string_view file_name() const;  // the last part of its key
  const std::string& uri() const { return uri_; }

 private:
  const objects::Store& store_;
  std::string uri_;
  std::string bucket_, key_;
};

// At most `limit` bytes of a small file that an artifact is or holds; NotFound when there is none.
std::string read_artifact_text(const objects::Store& store, const std::string& uri, size_t limit);

}  // namespace penstock::pipelines::api
