// Standard base64 with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace penstock {

std::string base64_encode(std::string_view bytes);
// Empty when `text` is not base64.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace penstock
