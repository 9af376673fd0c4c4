#include "pipelines/schedule/macros.h"

#include <array>
#include <optional>
#include <utility>

#include <absl/time/time.h>

namespace penstock::pipelines {

namespace {

constexpr std::string_view kDefaultLayout = "20060102150405";
constexpr size_t kLongestMacro = 1'000;

// Longer ones before those that they begin with.
constexpr std::array<std::pair<std::string_view, std::string_view>, 24> kGoWords{{
    {"January", "%B"}, {"Jan", "%b"},     {"Monday", "%A"}, {"Mon", "%a"}, {"MST", "%Z"}, {"2006", "%Y"},
    {"Z07:00", "Z"},   {"-07:00", "%Ez"}, {"-0700", "%z"},  {"01", "%m"},  {"02", "%d"},  {"03", "%I"},
    {"04", "%M"},      {"05", "%S"},      {"06", "%y"},     {"15", "%H"},  {"PM", "%p"},  {"_2", "%e"},
    {"1", "-%m"},      {"2", "-%d"},      {"3", "-%I"},     {"4", "-%M"},  {"5", "-%S"},  {"pm", "l%p"},
}};

std::string format_one(std::string_view format, absl::Time time) {
  if (format == "Z") return "Z";
  const bool bare = format.starts_with('-'), small = format.starts_with('l');
  if (bare || small) format.remove_prefix(1);
  std::string text = absl::FormatTime(std::string(format), time, absl::UTCTimeZone());
  if (bare && text.size() > 1 && text[0] == '0') text.erase(0, 1);
  if (small) {
    for (auto& c : text) c = static_cast<char>(c | 0x20);
  }
  return text;
}

std::optional<std::string> square_value(std::string_view name, const MacroValues& values) {
  if (name == "Index") return std::to_string(values.index);
  if (name == "RunUUID" || name == "uuid") return values.run_id;
  for (const auto& [word, time] :
       {std::pair{std::string_view("ScheduledTime"), values.scheduled},
        std::pair{std::string_view("CurrentTime"), values.now},
        std::pair{std::string_view("schedule"), values.scheduled}, std::pair{std::string_view("now"), values.now}}) {
    if (name == word) return format_go(kDefaultLayout, time);
    if (name.starts_with(word) && name.size() > word.size() && name[word.size()] == '.') {
      return format_go(name.substr(word.size() + 1), time);
    }
  }
  return std::nullopt;
}

std::optional<std::string> curly_value(std::string_view name, const MacroValues& values) {
  for (const auto& [word, time] : {std::pair{std::string_view("$.scheduledTime.strftime("), values.scheduled},
                                   std::pair{std::string_view("$.currentTime.strftime("), values.now}}) {
    if (!name.starts_with(word)) continue;
    auto format = name.substr(word.size());
    const bool quoted = format.size() >= 3 && (format.front() == '\'' || format.front() == '"') &&
                        format.ends_with(std::string{format.front(), ')'});
    if (!quoted) return std::nullopt;
    format = format.substr(1, format.size() - 3);
    return absl::FormatTime(std::string(format), absl::FromUnixMicros(to_micros(time)), absl::UTCTimeZone());
  }
  return std::nullopt;
}

json::value expand_value(const json::value& value, const MacroValues& values) {
  if (value.is_string()) return json::value(expand_macros(to_view(value.get_string()), values));
  if (value.is_object()) return expand_macros(value.get_object(), values);
  if (!value.is_array()) return value;
  json::array out;
  for (const auto& item : value.get_array()) out.push_back(expand_value(item, values));
  return out;
}

}  // namespace

std::string format_go(std::string_view layout, Time time) {
  const auto at = absl::FromUnixMicros(to_micros(time));
  std::string out;
  while (!layout.empty()) {
    bool found = false;
    for (const auto& [word, format] : kGoWords) {
      if (!layout.starts_with(word)) continue;
      out += format_one(format, at);
      layout.remove_prefix(word.size());
      found = true;
      break;
    }
    if (found) continue;
    out += layout[0];
    layout.remove_prefix(1);
  }
  return out;
}

std::string expand_macros(std::string_view text, const MacroValues& values) {
  std::string out;
  while (!text.empty()) {
    const bool square = text.starts_with("[["), curly = text.starts_with("{{");
    const std::string_view ahead = text.substr(0, kLongestMacro);
    const size_t end = square ? ahead.find("]]") : curly ? ahead.find("}}") : std::string_view::npos;
    std::optional<std::string> value;
    if (end != std::string_view::npos) {
      const auto name = text.substr(2, end - 2);
      value = square ? square_value(name, values) : curly_value(name, values);
    }
    if (value) {
      out += *value;
      text.remove_prefix(end + 2);
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

json::object expand_macros(const json::object& parameters, const MacroValues& values) {
  json::object out;
  for (const auto& [name, value] : parameters) out.emplace(name, expand_value(value, values));
  return out;
}

}  // namespace penstock::pipelines
