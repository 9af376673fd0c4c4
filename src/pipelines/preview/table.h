// The head of a file of delimited text, and of text in other encodings than UTF-8. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::pipelines::preview {

struct Text {
  std::string text;      // UTF-8
  std::string encoding;  // "utf-8", "utf-16le", "utf-16be", "windows-1252"
};
// By its byte order mark, else UTF-8 where it is that, else Windows' one byte a character. With `cut`, the bytes end
// somewhere in the middle, and a character that is not whole is left out.
Text decode_text(std::string_view bytes, bool cut);
// Whether these bytes look like text at all, in one of these encodings.
bool is_text(std::string_view bytes, bool cut);

struct Table {
  char delimiter = ',';
  bool header = false;  // the first row names the columns
  size_t columns = 0;   // of the widest row
  std::vector<std::vector<std::string>> rows;
  bool truncated = false;  // rows, columns or parts of cells were left out
};

struct TableLimits {
  size_t rows = 50;
  size_t columns = 500;
  size_t cell = 2'000;  // bytes
};

// Never fails: a quote that nothing closes ends with the text. With `cut`, a last row that is not whole is left out,
// unless it is the only one. `delimiter` 0: the one of , tab ; | that fits best.
Table read_table(std::string_view text, bool cut, const TableLimits& limits, char delimiter = 0);
// Whether the text has rows of equally many cells, two or more each.
bool looks_like_table(std::string_view text, bool cut);

}  // namespace penstock::pipelines::preview
