// Where the artifacts that one task takes and makes lie on this machine. Those of the embedded store lie in its
// folders; those of other stores are brought to, and taken from, a folder of the task:
//
//   <data>/staged/<uid of its pod>/in/<hash of the URI>/<last part of its key>
//                                 /out/                                          the task's output prefix
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/engine/launch.h"

namespace penstock::pipelines {

struct Places {
  std::filesystem::path objects;                                     // of the embedded store
  std::map<std::string, std::filesystem::path, std::less<>> inputs;  // by URI; of those not of the form minio://
  std::string output_prefix;
  std::optional<std::filesystem::path> output;  // for all below the prefix, where it is not of the form minio://
  bool staged = false;                          // outputs go elsewhere after the task

  std::optional<std::filesystem::path> path_of(std::string_view uri) const;
  // For a task without mounts: each URI's path, longest first.
  std::vector<std::pair<std::string, std::string>> prefixes() const;
};

// The file or folder of a URI "minio://bucket/key", or "s3://…" in a bucket of this store; empty where its parts are no
// plain names, as a URI may come from a task.
std::optional<std::filesystem::path> embedded_path(const std::filesystem::path& objects, std::string_view uri);

std::filesystem::path staging_folder(const std::filesystem::path& data, const std::string& uid);
std::filesystem::path staged_input(const std::filesystem::path& data, const std::string& uid, const std::string& uri);
std::filesystem::path staged_output(const std::filesystem::path& data, const std::string& uid);

// The artifacts that a task takes, but for those that it finds in its workspace and those that were never written.
std::vector<std::string> input_uris(const engine::LaunchSpec& spec);

// Notes on each artifact below the prefix whether its task left anything of it in `folder`: of one that did not, no
// store has anything.
void note_unwritten(engine::Outputs& outputs, const std::string& prefix, const std::filesystem::path& folder);

}  // namespace penstock::pipelines
