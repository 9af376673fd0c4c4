#include "pipelines/preview/npy.h"

#include <charconv>

#include "base/error.h"
#include "base/utf8.h"

namespace penstock::pipelines::preview {

namespace {

constexpr size_t kMaxType = 4'000;
constexpr size_t kMaxDimensions = 64;

// What stands behind `'key':` in the header, which is a dict as Python prints it.
std::string_view value_of(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) throw invalid("the array's header names no {}", key);
  header.remove_prefix(at + key.size() + 3);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

// A text in quotes, or a list with all that is in it.
std::string type_of(std::string_view value) {
  if (value.starts_with('\'')) {
    const size_t end = value.find('\'', 1);
    if (end == std::string_view::npos) throw invalid("the array's type has no end");
    return to_utf8(value.substr(1, std::min(end - 1, kMaxType)));
  }
  if (!value.starts_with('[')) throw invalid("the array's type is neither a text nor a list");
  int depth = 0;
  for (size_t i = 0; i < value.size() && i < kMaxType; ++i) {
    if (value[i] == '[') ++depth;
    if (value[i] == ']' && --depth == 0) return to_utf8(value.substr(0, i + 1));
  }
  throw invalid("the array's type has no end");
}

std::vector<int64_t> shape_of(std::string_view value) {
  std::vector<int64_t> shape;
  if (!value.starts_with('(')) throw invalid("the array's shape is no tuple");
  value.remove_prefix(1);
  while (true) {
    value.remove_prefix(std::min(value.find_first_not_of(" ,L"), value.size()));
    if (value.starts_with(')')) return shape;
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || number < 0 || shape.size() == kMaxDimensions) {
      throw invalid("the array's shape is no tuple of sizes");
    }
    shape.push_back(number);
    value.remove_prefix(static_cast<size_t>(end - value.data()));
  }
}

}  // namespace

NpyHeader read_npy_header(std::string_view bytes) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (!bytes.starts_with(kMagic) || bytes.size() < 12) throw invalid("it does not begin as an array's file does");
  const auto at = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  const bool short_length = at(6) == 1;  // the format's version
  const size_t begin = short_length ? 10 : 12;
  const size_t length = short_length ? at(8) | at(9) << 8 : at(8) | at(9) << 8 | at(10) << 16 | at(11) << 24;
  const std::string_view header = bytes.substr(begin, length);
  NpyHeader out;
  out.dtype = type_of(value_of(header, "descr"));
  out.shape = shape_of(value_of(header, "shape"));
  out.fortran_order = value_of(header, "fortran_order").starts_with("True");
  return out;
}

}  // namespace penstock::pipelines::preview
