// Finds a text in others, ASCII letters in both cases: what SQL's LIKE '%text%' finds, without its wildcards.
#pragma once

#include <string>
#include <string_view>

namespace penstock::db {

class TextSearch {
 public:
  // What is searched in is followed by this many bytes that may be read, whatever they are.
  static constexpr size_t kPadding = 16;

  explicit TextSearch(std::string_view wanted);
  bool in(std::string_view text) const;

 private:
  bool equals(const char* at) const;
  std::string lower_;
  char first_[2] = {}, last_[2] = {};  // its ends in both cases
};

}  // namespace penstock::db
