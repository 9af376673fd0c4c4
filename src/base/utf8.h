// UTF-8, which JSON needs and processes need not write.
#pragma once

#include <string>
#include <string_view>

namespace penstock {

bool is_utf8(std::string_view text);
// The text with U+FFFD for each byte that belongs to no character.
std::string to_utf8(std::string_view text);

}  // namespace penstock
