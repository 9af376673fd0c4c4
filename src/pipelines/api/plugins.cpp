#include "pipelines/api/plugins.h"

#include <algorithm>

#include "base/error.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kMaxPlugins = 16;
constexpr size_t kMaxBytes = 64 * 1024;
constexpr size_t kMaxTotal = 256 * 1024;
constexpr int kMaxDepth = 10;

int depth_of(const json::value& value) {
  int inner = 0;
  if (const json::object* object = value.if_object()) {
    for (const auto& [key, member] : *object) inner = std::max(inner, depth_of(member));
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& item : *array) inner = std::max(inner, depth_of(item));
  } else {
    return 0;
  }
  return inner + 1;
}

}  // namespace

void check_plugins_input(const json::object& input) {
  const auto refuse = [](std::string_view name, std::string_view why) {
    const std::string field = name.empty() ? "plugins_input" : fmt::format("plugins_input.{}", name);
    throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, why), field);
  };
  if (input.size() > kMaxPlugins) refuse("", fmt::format("it has {} plugins; at most {}", input.size(), kMaxPlugins));
  size_t total = 0;
  for (const auto& [name, settings] : input) {
    const std::string_view plugin(name.data(), name.size());
    if (plugin.empty()) refuse("", "a plugin has no name");
    if (!settings.is_object()) refuse(plugin, "expected an object");
    if (depth_of(settings) > kMaxDepth) refuse(plugin, fmt::format("it is nested more than {} deep", kMaxDepth));
    const size_t size = to_text(settings).size();
    if (size > kMaxBytes) refuse(plugin, fmt::format("it has {} bytes; at most {}", size, kMaxBytes));
    total += size + plugin.size();
  }
  if (total > kMaxTotal) refuse("", fmt::format("it has {} bytes; at most {}", total, kMaxTotal));
}

json::object plugins_output_of(const json::object& input) {
  json::object out;
  for (const auto& [name, settings] : input) {
    out[name] = json::object{{"state", "PLUGIN_FAILED"}, {"state_message", "this server does not have the plugin"}};
  }
  return out;
}

}  // namespace penstock::pipelines::api
