// Serves files that are part of the program from where they are mapped, in the form that the client takes: brotli,
// gzip or as they are. A strong ETag for each form; files whose names hold their content's hash never change.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/message.h"

namespace penstock::http {

struct StaticFile {
  std::string_view path;  // "/assets/index-4fd1.js"
  std::string_view type;  // its Content-Type
  std::string_view hash;  // of its content
  bool immutable;         // the path changes with the content
  std::string_view plain;
  std::string_view gzip, brotli;  // empty where they are not smaller
};

struct StaticOptions {
  // Added to every answer.
  std::vector<std::pair<std::string, std::string>> headers;
  // The first segments of paths that other parts own: nothing is answered there.
  std::vector<std::string> foreign;
};

class StaticFiles {
 public:
  // `files` outlive this; "/index.html" is among them.
  StaticFiles(std::span<const StaticFile> files, StaticOptions options);

  // For GET and HEAD: the file at the path, index.html at "/", and index.html as well for a person's navigation to a
  // path that is the application's own (it asks for text/html). Nothing: there is no such file.
  std::optional<Response> find(const Request& request) const;

 private:
  Response answer(const Request& request, const StaticFile& file) const;
  std::unordered_map<std::string_view, const StaticFile*> files_;
  StaticOptions options_;
};

}  // namespace penstock::http
