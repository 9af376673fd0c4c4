// What the objects of a workflow may hold.
#include <cmath>

#include "pipelines/argo/translator.h"

namespace penstock::argo {

std::string check_fields(const json::object& object, std::string_view path,
                         std::initializer_list<std::string_view> known,
                         std::initializer_list<std::string_view> without_effect) {
  std::string names;
  for (const auto& [key, value] : object) {
    const std::string_view name = key;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const bool empty = value.is_null() || (value.is_array() && value.get_array().empty()) ||
                       (value.is_object() && value.get_object().empty());
    if (empty) continue;
    if (std::find(without_effect.begin(), without_effect.end(), name) == without_effect.end()) {
      throw Error(Code::InvalidArgument, fmt::format("{}.{}: this field of workflows is not supported", path, name),
                  fmt::format("{}.{}", path, name));
    }
    add_names(names, name);
  }
  return names;
}

void add_names(std::string& list, std::string_view names) {
  if (names.empty()) return;
  if (!list.empty()) list += ", ";
  list += names;
}

std::string any_text(const json::value& value, std::string_view path) {
  if (value.is_string()) return to_std(value.get_string());
  if (value.is_number() || value.is_bool()) return ir::text_of(value);
  throw invalid("{}: must be a text, a number or a truth value, not {}", path, to_text(value).substr(0, 80));
}

int64_t whole(const json::object& object, std::string_view name, int64_t fallback, const std::string& path) {
  const double number = ir::number_member(object, name, static_cast<double>(fallback), path);
  if (!(number >= 0) || number > 1e9 || std::floor(number) != number) {
    throw invalid("{}.{}: must be a whole number of at least 0", path, name);
  }
  return static_cast<int64_t>(number);
}

}  // namespace penstock::argo
