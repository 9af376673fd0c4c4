#include "pipelines/preview/table.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <set>

#include "base/utf8.h"

namespace penstock::pipelines::preview {

namespace {

constexpr std::string_view kDelimiters = ",\t;|";
constexpr size_t kSniffedRows = 30;

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

std::string from_utf16(std::string_view bytes, bool big) {
  std::string out;
  const auto unit = [&](size_t at) {
    const auto a = static_cast<uint8_t>(bytes[at]), b = static_cast<uint8_t>(bytes[at + 1]);
    return static_cast<uint32_t>(big ? a << 8 | b : b << 8 | a);
  };
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const uint32_t c = unit(i);
    const bool high = c >= 0xd800 && c < 0xdc00;
    if (high && i + 3 < bytes.size()) {
      const uint32_t low = unit(i + 2);
      if (low >= 0xdc00 && low < 0xe000) {
        append_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
        i += 2;
        continue;
      }
    }
    append_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
  }
  return out;
}

std::string from_windows_1252(std::string_view bytes) {
  constexpr uint16_t kHigh[32] = {0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                  0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd,
                                  0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                  0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};
  std::string out;
  for (const char one : bytes) {
    const auto c = static_cast<uint8_t>(one);
    append_utf8(out, c >= 0x80 && c < 0xa0 ? kHigh[c - 0x80] : c);
  }
  return out;
}

// Without the bytes of a last character that is not whole.
std::string_view whole_characters(std::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(4, bytes.size()); ++back) {
    const auto c = static_cast<uint8_t>(bytes[bytes.size() - back]);
    if ((c & 0xc0) == 0x80) continue;
    const size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return length > back ? bytes.substr(0, bytes.size() - back) : bytes;
  }
  return bytes;
}

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](char one) {
    const auto c = static_cast<uint8_t>(one);
    return c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b;
  });
}

bool is_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

// Takes one row after the other.
class RowReader {
 public:
  RowReader(std::string_view text, char delimiter, const TableLimits& limits)
      : text_(text), delimiter_(delimiter), limits_(limits) {}

  bool at_end() const { return at_ >= text_.size(); }
  bool shortened() const { return shortened_; }
  // `whole` tells whether the row's end was there.
  std::vector<std::string> next(bool& whole) {
    row_.clear();
    cell_.clear();
    columns_ = 0;
    bool quoted = false;
    whole = false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (quoted) {
        if (c != '"') {
          put(c);
        } else if (at_ < text_.size() && text_[at_] == '"') {
          put('"');
          ++at_;
        } else {
          quoted = false;
        }
      } else if (c == '"' && cell_.empty()) {
        quoted = true;
      } else if (c == delimiter_) {
        end_cell();
      } else if (c == '\n' || c == '\r') {
        if (c == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
        whole = true;
        break;
      } else {
        put(c);
      }
    }
    end_cell();
    return std::move(row_);
  }
  size_t columns() const { return columns_; }

 private:
  void put(char c) {
    if (cell_.size() < limits_.cell) {
      cell_ += c;
    } else {
      shortened_ = true;
    }
  }
  void end_cell() {
    ++columns_;
    if (row_.size() < limits_.columns) {
      row_.push_back(to_utf8(whole_characters(cell_)));
    } else {
      shortened_ = true;
    }
    cell_.clear();
  }
  std::string_view text_;
  char delimiter_;
  const TableLimits& limits_;
  size_t at_ = 0;
  std::vector<std::string> row_;
  std::string cell_;
  size_t columns_ = 0;
  bool shortened_ = false;
};

// How many of the first rows have as many cells as most of them, and how many cells that are.
struct Fit {
  size_t rows = 0, same = 0, columns = 0;
  bool operator<(const Fit& other) const {
    const size_t mine = same * std::max<size_t>(other.rows, 1), theirs = other.same * std::max<size_t>(rows, 1);
    return mine != theirs ? mine < theirs : columns < other.columns;
  }
};

Fit fit_of(std::string_view text, bool cut, char delimiter) {
  const TableLimits limits{.columns = 0, .cell = 1};
  RowReader reader(text, delimiter, limits);
  std::map<size_t, size_t> counts;
  Fit fit;
  while (!reader.at_end() && fit.rows < kSniffedRows) {
    bool whole = false;
    reader.next(whole);
    if (!whole && cut && fit.rows > 0) break;
    ++fit.rows;
    ++counts[reader.columns()];
  }
  for (const auto& [columns, rows] : counts) {
    if (rows >= fit.same) fit.same = rows, fit.columns = columns;
  }
  if (fit.columns < 2) fit.same = 0;
  return fit;
}

std::pair<char, Fit> best_delimiter(std::string_view text, bool cut) {
  char best = ',';
  Fit most;
  for (const char delimiter : kDelimiters) {
    const Fit fit = fit_of(text, cut, delimiter);
    if (most < fit) {
      most = fit;
      best = delimiter;
    }
  }
  return {best, most};
}

// A first row of distinct names, none of them a number, as rows of data seldom are.
bool names_columns(const std::vector<std::vector<std::string>>& rows) {
  if (rows.size() < 2) return false;
  std::set<std::string_view> names;
  for (size_t i = 0; i < rows[0].size(); ++i) {
    const std::string& cell = rows[0][i];
    // An index without a name comes first, as pandas writes it.
    if ((cell.empty() && i > 0) || is_number(cell) || !names.insert(cell).second) return false;
  }
  return true;
}

}  // namespace

Text decode_text(std::string_view bytes, bool cut) {
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  if (bytes.starts_with("\xff\xfe")) return {from_utf16(bytes.substr(2), false), "utf-16le"};
  if (bytes.starts_with("\xfe\xff")) return {from_utf16(bytes.substr(2), true), "utf-16be"};
  const std::string_view whole = cut ? whole_characters(bytes) : bytes;
  if (is_utf8(whole)) return {std::string(whole), "utf-8"};
  return {from_windows_1252(bytes), "windows-1252"};
}

bool is_text(std::string_view bytes, bool cut) {
  const Text decoded = decode_text(bytes, cut);
  if (has_control_characters(decoded.text)) return false;
  if (decoded.encoding != "windows-1252") return true;
  // Mostly plain letters: random bytes are not.
  const auto high = std::ranges::count_if(bytes, [](char c) { return static_cast<uint8_t>(c) >= 0x80; });
  return static_cast<size_t>(high) * 5 < bytes.size() * 2;
}

Table read_table(std::string_view text, bool cut, const TableLimits& limits, char delimiter) {
  Table table;
  table.delimiter = delimiter != 0 ? delimiter : best_delimiter(text, cut).first;
  RowReader reader(text, table.delimiter, limits);
  while (!reader.at_end()) {
    if (table.rows.size() == limits.rows) {
      table.truncated = true;
      break;
    }
    bool whole = false;
    std::vector<std::string> row = reader.next(whole);
    if (!whole && cut && !table.rows.empty()) break;
    if (row.size() == 1 && row[0].empty() && reader.columns() == 1) continue;  // an empty line
    table.columns = std::max(table.columns, reader.columns());
    table.rows.push_back(std::move(row));
  }
  table.truncated |= cut || reader.shortened();
  table.header = names_columns(table.rows);
  return table;
}

bool looks_like_table(std::string_view text, bool cut) {
  const Fit fit = best_delimiter(text, cut).second;
  return fit.rows >= 2 && fit.same == fit.rows;
}

}  // namespace penstock::pipelines::preview
