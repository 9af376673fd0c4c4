#include "pipelines/run/resource_path.h"

#include <charconv>
#include <vector>

#include "base/error.h"
#include "pipelines/ir/spec.h"

namespace penstock::pipelines {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

const json::value* step(const json::value& value, std::string_view name) {
  if (const auto* object = value.if_object()) return object->if_contains(name);
  const auto* list = value.if_array();
  size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool number = error == std::errc{} && end == name.data() + name.size();
  return list != nullptr && number && index < list->size() ? &(*list)[index] : nullptr;
}

// What stands between braces: ".a.b[0]['c.d']" as its names.
std::vector<std::string> names_of(std::string_view path) {
  std::vector<std::string> names;
  const auto fail = [&] { return invalid("the JSONPath \"{}\" is malformed or uses what is not supported", path); };
  size_t at = path.starts_with('$') ? 1 : 0;
  while (at < path.size()) {
    if (path[at] == '[') {
      const bool quoted = at + 1 < path.size() && (path[at + 1] == '\'' || path[at + 1] == '"');
      const std::string closing = quoted ? std::string{path[at + 1], ']'} : "]";
      const size_t begin = at + (quoted ? 2 : 1), end = path.find(closing, begin);
      if (end == std::string_view::npos) throw fail();
      const auto name = path.substr(begin, end - begin);
      if (!quoted && name.find_first_not_of("0123456789") != std::string_view::npos) throw fail();
      names.emplace_back(name);
      at = end + closing.size();
      continue;
    }
    if (path[at] == '.') ++at;
    std::string name;
    for (; at < path.size() && path[at] != '.' && path[at] != '['; ++at) {
      if (path[at] == '\\' && at + 1 < path.size()) ++at;
      name += path[at];
    }
    if (name.empty() || name == "*") throw fail();
    names.push_back(std::move(name));
  }
  return names;
}

const json::value* look_up(const json::object& resource, const std::vector<std::string>& names) {
  const json::value* value = nullptr;
  for (const auto& name : names) {
    value = value == nullptr ? resource.if_contains(name) : step(*value, name);
    if (value == nullptr) return nullptr;
  }
  return value;
}

// "a, b in (c, d), e" at its commas.
std::vector<std::string_view> requirements_of(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t from = 0;
  int depth = 0;
  for (size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] == '(') ++depth;
    if (at < text.size() && text[at] == ')') --depth;
    if (at < text.size() && (text[at] != ',' || depth > 0)) continue;
    parts.push_back(trimmed(text.substr(from, at - from)));
    from = at + 1;
  }
  return parts;
}

std::optional<double> number(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  return !copy.empty() && *end == 0 ? std::optional(value) : std::nullopt;
}

bool is_listed(std::string_view list, std::string_view value) {
  for (const auto part : requirements_of(list)) {
    if (part == value) return true;
  }
  return false;
}

bool requirement_holds(const json::object& resource, std::string_view text) {
  const size_t end = text.find_first_of(" =!<>", text.starts_with('!') ? 1 : 0);
  const bool negated = text.starts_with('!');
  const auto name =
      trimmed(text.substr(negated ? 1 : 0, end == std::string_view::npos ? end : end - (negated ? 1 : 0)));
  if (name.empty()) throw invalid("the condition \"{}\" names no member", text);
  const json::value* found = look_up(resource, names_of(name));
  if (found != nullptr && found->is_null()) found = nullptr;
  const std::string value = found != nullptr ? ir::text_of(*found) : "";
  const auto rest = end == std::string_view::npos ? std::string_view() : trimmed(text.substr(end));
  if (negated) return found == nullptr;
  if (rest.empty()) return found != nullptr;
  for (const std::string_view op : {"==", "!=", "="}) {
    if (!rest.starts_with(op)) continue;
    const bool same = found != nullptr && value == trimmed(rest.substr(op.size()));
    return op == "!=" ? !same : same;
  }
  if (rest[0] == '<' || rest[0] == '>') {
    const auto left = number(value), right = number(trimmed(rest.substr(1)));
    if (!right) throw invalid("the condition \"{}\" compares with no number", text);
    return left && (rest[0] == '<' ? *left < *right : *left > *right);
  }
  for (const std::string_view op : {"in", "notin"}) {
    if (!rest.starts_with(op)) continue;
    const auto list = trimmed(rest.substr(op.size()));
    if (!list.starts_with('(') || !list.ends_with(')')) continue;
    const bool listed = found != nullptr && is_listed(list.substr(1, list.size() - 2), value);
    return op == "in" ? listed : !listed;
  }
  throw invalid("the condition \"{}\" cannot be read", text);
}

}  // namespace

std::optional<std::string> json_path(const json::object& resource, std::string_view path) {
  if (path.find('{') == std::string_view::npos) {
    const auto* value = look_up(resource, names_of(path));
    return value != nullptr ? std::optional(ir::text_of(*value)) : std::nullopt;
  }
  std::string result;
  for (size_t at = 0; at < path.size();) {
    const size_t begin = path.find('{', at);
    result += path.substr(at, begin == std::string_view::npos ? begin : begin - at);
    if (begin == std::string_view::npos) break;
    const size_t end = path.find('}', begin);
    if (end == std::string_view::npos) throw invalid("the JSONPath \"{}\" has no closing brace", path);
    const auto names = names_of(trimmed(path.substr(begin + 1, end - begin - 1)));
    if (names.empty()) {
      result += to_text(resource);
    } else {
      const auto* value = look_up(resource, names);
      if (value == nullptr) return std::nullopt;
      result += ir::text_of(*value);
    }
    at = end + 1;
  }
  return result;
}

bool condition_holds(const json::object& resource, std::string_view condition) {
  for (const auto part : requirements_of(condition)) {
    if (!requirement_holds(resource, part)) return false;
  }
  return true;
}

}  // namespace penstock::pipelines
