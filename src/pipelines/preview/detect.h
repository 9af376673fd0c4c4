// What an artifact's bytes are: by what they begin with, then by the file's name and the artifact's type. Pure.
#pragma once

#include <string>
#include <string_view>

namespace penstock::pipelines::preview {

enum class Kind {
  Empty,
  Csv,
  Json,
  JsonLines,
  Notebook,
  Markdown,
  Html,
  Text,
  Image,
  Parquet,
  Npy,
  Archive,
  Model,
  Binary
};
std::string_view to_string(Kind kind);  // "jsonl"

struct Detected {
  Kind kind = Kind::Binary;
  std::string media_type = "application/octet-stream";
  std::string format{};  // of a model or binary: "pickle"
};

inline constexpr size_t kDetectBytes = 64 * 1024;  // as many of the first ones as are looked at

// `head`: the first bytes, all of them unless `cut`. `schema_title`: the artifact's type.
Detected detect(std::string_view head, bool cut, std::string_view file_name, std::string_view schema_title);

}  // namespace penstock::pipelines::preview
