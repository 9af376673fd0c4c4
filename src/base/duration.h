// Times as people write them in options and rules.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace penstock {

// "90s", "15m", "12h", "30d": more than nothing. Empty when it is none.
std::optional<std::chrono::seconds> read_duration(std::string_view text);

}  // namespace penstock
