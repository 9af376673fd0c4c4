#include "db/functions.h"

#include <sqlite3.h>

#include <array>

namespace penstock::db {

namespace {

constexpr std::array<unsigned char, 256> make_lower() {
  std::array<unsigned char, 256> lower{};
  for (size_t i = 0; i < lower.size(); ++i) {
    lower[i] = static_cast<unsigned char>(i >= 'A' && i <= 'Z' ? i + 32 : i);
  }
  return lower;
}
constexpr auto kLower = make_lower();

bool contains(const unsigned char* text, size_t length, const unsigned char* part, size_t part_length) {
  if (part_length == 0) return true;
  if (length < part_length) return false;
  const unsigned char first = kLower[part[0]];
  const unsigned char* const last = text + (length - part_length);
  for (; text <= last; ++text) {
    if (kLower[*text] != first) continue;
    size_t i = 1;
    while (i < part_length && kLower[text[i]] == kLower[part[i]]) ++i;
    if (i == part_length) return true;
  }
  return false;
}

void contains_text(sqlite3_context* context, int, sqlite3_value** values) {
  const unsigned char* text = sqlite3_value_text(values[0]);
  const unsigned char* part = sqlite3_value_text(values[1]);
  if (!text || !part) return sqlite3_result_int(context, 0);
  const auto length = static_cast<size_t>(sqlite3_value_bytes(values[0]));
  const auto part_length = static_cast<size_t>(sqlite3_value_bytes(values[1]));
  sqlite3_result_int(context, contains(text, length, part, part_length));
}

}  // namespace

void register_functions(sqlite3* handle) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  sqlite3_create_function_v2(handle, "contains_text", 2, kFlags, nullptr, contains_text, nullptr, nullptr, nullptr);
}

}  // namespace penstock::db
