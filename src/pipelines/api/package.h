// A pipeline package as people upload it: YAML, JSON, zip or tar.gz. Private to this folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace penstock::pipelines::api {

struct UploadedFile {
  std::string name;          // as the client calls it
  std::string_view content;  // inside the body that was parsed
};

// The part `field` of a multipart/form-data body. InvalidArgument when the body is none or has no such part.
UploadedFile find_upload(std::string_view content_type, std::string_view body, std::string_view field);

// The documents of a file's text, JSON or YAML. InvalidArgument.
std::vector<json::value> parse_documents(std::string_view text);

// The documents of a package. The kind is told by the name's ending (.yaml, .yml, .json), then by the first bytes (zip,
// gzip). Of an archive: the entry pipeline.yaml, or else its first file, which must be YAML or JSON. InvalidArgument
// for what is none of these or empty, ResourceExhausted when it unpacks to more than `limit` bytes.
std::vector<json::value> read_package(std::string_view file_name, std::string_view content, size_t limit);

// A tar.gz of a folder under the name `name`, links as links; only what it is packed to is held. Blocks. Throws
// ResourceExhausted when that is more than `limit` bytes.
std::string pack_folder_tar_gz(const std::string& name, const std::filesystem::path& folder, size_t limit);

// A tar.gz with one file.
std::string pack_tar_gz(const std::string& name, std::string_view content);

}  // namespace penstock::pipelines::api
