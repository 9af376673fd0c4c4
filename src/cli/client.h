// What the commands ask a server, and how they show it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"

namespace penstock::cli {

// Prints as json, yaml or a table.
enum class Format { Table, Json, Yaml };
Format parse_format(const std::string& text);

class Client {
 public:
  explicit Client(std::string url);  // "http://127.0.0.1:8080"; a trailing /pipeline is fine

  // Throw Error with the server's own message; Unavailable says how to start a server.
  json::value get(const std::string& path) const;
  json::value post(const std::string& path, const json::value& body) const;
  // Body pieces as they come, until the server ends or `on_data` returns false.
  void stream(const std::string& path, const std::function<bool(std::string_view)>& on_data) const;

  // A run by its id, the beginning of its id, or its name (the newest of that name).
  json::value find_run(const std::string& text) const;
  // Every item of a list, over all of its pages.
  json::array list(const std::string& path, const std::string& key) const;

 private:
  std::string url_;
};

using Rows = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell; wide characters count as they are shown. With a `width` that is not 0, lines
// are no wider where that can be had by shortening cells of the widest columns, but not of the first: an ellipsis
// stands for what is missing, and at least 12 columns of a cell stay.
std::string table(const std::vector<std::string>& header, const Rows& rows, size_t width = 0);
// Of standard output, in columns; 0 where it is no terminal: what others read is not shortened.
size_t terminal_width();

// "12.3s", "2m05s", "1h02m".
std::string duration_text(const std::string& from, const std::string& to);

void print(const json::value& value, Format format);  // Json or Yaml

// Control characters of text from outside are not sent to the terminal.
std::string printable(std::string_view text);

}  // namespace penstock::cli
