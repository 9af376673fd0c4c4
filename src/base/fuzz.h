// What the fuzz targets (*_fuzz.cpp) share. Each takes any bytes: they are read, or refused with an Error that blames
// them. Anything else, such as another exception, a broken invariant or an Error that blames us, ends the program.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace penstock::fuzz {

inline std::string_view text(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// At most `most` parts; the last one holds the rest.
inline std::vector<std::string_view> split(std::string_view text, char by, size_t most) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < most) {
    const size_t end = text.find(by);
    if (end == std::string_view::npos) break;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

// True when `work` did not refuse.
template <class Work>
bool taken(Work work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    CHECK_INVARIANT(error.code() != Code::Internal && error.code() != Code::Unknown);
    CHECK_INVARIANT(!error.message().empty());
    return false;
  }
}

}  // namespace penstock::fuzz
