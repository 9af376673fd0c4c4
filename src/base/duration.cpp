#include "base/duration.h"

#include <algorithm>
#include <charconv>

namespace penstock {

std::optional<std::chrono::seconds> read_duration(std::string_view text) {
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  const int64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : 0;
  if (error != std::errc() || seconds == 0 || count <= 0 || count > 1'000'000'000 / seconds) return std::nullopt;
  return std::chrono::seconds(count * seconds);
}

}  // namespace penstock
