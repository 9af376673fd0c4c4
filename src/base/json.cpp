#include "base/json.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include <yaml-cpp/yaml.h>

#include "base/error.h"

namespace penstock {

json::value parse_json(std::string_view text) {
  json::error_code error;
  json::parse_options options;
  options.max_depth = 500;
  json::stream_parser parser(json::storage_ptr{}, options);
  const size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && used < text.size() && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos) {
    throw invalid("invalid JSON at byte {}: text after the value", used);
  }
  if (!error) parser.finish(error);
  if (error) throw invalid("invalid JSON at byte {}: {}", used, error.message());
  return parser.release();
}

namespace {

bool is_integer(const std::string& s) {
  size_t i = (s[0] == '-' || s[0] == '+') ? 1 : 0;
  if (i == s.size()) return false;
  for (; i < s.size(); ++i) {
    if (s[i] < '0' || s[i] > '9') return false;
  }
  return true;
}

json::value plain_scalar(const std::string& s) {
  if (s.empty() || s == "~" || s == "null" || s == "Null" || s == "NULL") return nullptr;
  if (s == "true" || s == "True" || s == "TRUE") return true;
  if (s == "false" || s == "False" || s == "FALSE") return false;
  const char c = s[0];
  if (!(c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9'))) return json::value(s);
  if (is_integer(s)) {
    int64_t number = 0;
    const char* begin = s.data() + (c == '+' ? 1 : 0);
    const auto [end, error] = std::from_chars(begin, s.data() + s.size(), number);
    if (error == std::errc{} && end == s.data() + s.size()) return number;
    return std::strtod(s.c_str(), nullptr);
  }
  if (s.size() > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
    char* end = nullptr;
    const int64_t number = std::strtoll(s.c_str() + 2, &end, s[1] == 'x' ? 16 : 8);
    if (*end == 0) return number;
    return json::value(s);
  }
  if (s.find_first_not_of("0123456789+-.eE") != std::string::npos) return json::value(s);
  char* end = nullptr;
  const double number = std::strtod(s.c_str(), &end);
  if (*end == 0 && std::isfinite(number)) return number;
  return json::value(s);
}

struct YamlReader {
  size_t left;

  json::value convert(const YAML::Node& node, int depth) {
    if (depth > 200) throw invalid("invalid YAML: nested deeper than 200 levels");
    if (left-- == 0) throw invalid("invalid YAML: expands to too many values");
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return json::value(node.Scalar());
        return plain_scalar(node.Scalar());
      case YAML::NodeType::Sequence: {
        json::array array;
        array.reserve(node.size());
        for (const auto& item : node) array.push_back(convert(item, depth + 1));
        return array;
      }
      case YAML::NodeType::Map: {
        json::object object;
        object.reserve(node.size());
        for (const auto& entry : node) {
          if (!entry.first.IsScalar()) {
            throw invalid("invalid YAML at line {}: a key must be a scalar", entry.first.Mark().line + 1);
          }
          const std::string& key = entry.first.Scalar();
          if (key == "<<" && entry.second.IsMap()) {
            for (const auto& merged : entry.second) {
              object.emplace(merged.first.Scalar(), convert(merged.second, depth + 1));
            }
            continue;
          }
          object[key] = convert(entry.second, depth + 1);
        }
        return object;
      }
      default: return nullptr;
    }
  }
};

bool is_plain_safe(std::string_view s) {
  if (s.empty() || s.size() > 120) return false;
  if (!plain_scalar(std::string(s)).is_string()) return false;
  if (s == "yes" || s == "no" || s == "on" || s == "off" || s == "y" || s == "n") return false;
  for (const char c : s) {
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                      c == '-' || c == '.' || c == '/';
    if (!safe) return false;
  }
  return s[0] != '-' && s[0] != '.';
}

void write_yaml(const json::value& value, int indent, std::string& out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  auto scalar = [&](const json::value& v) {
    if (v.is_string() && is_plain_safe(to_view(v.get_string()))) return to_std(v.get_string());
    return to_text(v);
  };
  auto nested = [](const json::value& v) {
    return (v.is_object() && !v.get_object().empty()) || (v.is_array() && !v.get_array().empty());
  };
  if (value.is_object()) {
    for (const auto& [key, member] : value.get_object()) {
      out += pad + (is_plain_safe(key) ? std::string(key) : to_text(json::value(key))) + ":";
      if (nested(member)) {
        out += "\n";
        write_yaml(member, indent + 2, out);
      } else {
        out += " " + scalar(member) + "\n";
      }
    }
  } else if (value.is_array()) {
    for (const auto& item : value.get_array()) {
      if (nested(item)) {
        std::string inner;
        write_yaml(item, indent + 2, inner);
        inner[static_cast<size_t>(indent)] = '-';
        out += inner;
      } else {
        out += pad + "- " + scalar(item) + "\n";
      }
    }
  } else {
    out += pad + scalar(value) + "\n";
  }
}

}  // namespace

std::vector<json::value> parse_yaml(std::string_view text, size_t max_nodes) {
  std::vector<json::value> documents;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && (text[first] == '{' || text[first] == '[')) {
    try {
      documents.push_back(parse_json(text));
      return documents;
    } catch (const Error&) {
      // Flow-style YAML is no JSON: read it below.
    }
  }
  try {
    // Each value of its own takes a character at least; the rest is room for what anchors repeat.
    YamlReader reader{std::min(max_nodes, 100'000 + 10 * text.size())};
    std::istringstream stream{std::string(text)};
    for (const auto& node : YAML::LoadAll(stream)) documents.push_back(reader.convert(node, 0));
  } catch (const YAML::Exception& error) {
    throw invalid("invalid YAML at line {}, column {}: {}", error.mark.line + 1, error.mark.column + 1, error.msg);
  }
  return documents;
}

std::string to_yaml(const json::value& value) {
  std::string out;
  if ((value.is_object() && value.get_object().empty()) || (value.is_array() && value.get_array().empty())) {
    return to_text(value) + "\n";
  }
  write_yaml(value, 0, out);
  return out;
}

const json::value* find(const json::object& object, std::string_view key) { return object.if_contains(key); }

const json::value* find(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  return object ? object->if_contains(key) : nullptr;
}

const json::object* find_object(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value ? value->if_object() : nullptr;
}

const json::array* find_array(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value ? value->if_array() : nullptr;
}

std::string get_string(const json::object& object, std::string_view key, std::string_view fallback) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return std::string(fallback);
  return to_std(value->get_string());
}

int64_t get_int(const json::object& object, std::string_view key, int64_t fallback) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) return fallback;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<int64_t>(value->get_uint64());
  if (value->is_double()) return static_cast<int64_t>(value->get_double());
  if (value->is_string()) {
    int64_t number = fallback;
    const auto text = to_view(value->get_string());
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
  }
  return fallback;
}

bool get_bool(const json::object& object, std::string_view key, bool fallback) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

const json::value* find_path(const json::value& value, std::initializer_list<std::string_view> path) {
  const json::value* at = &value;
  for (const auto key : path) {
    at = find(*at, key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string string_at(const json::value& value, std::initializer_list<std::string_view> path,
                      std::string_view fallback) {
  const auto* at = find_path(value, path);
  return at != nullptr && at->is_string() ? to_std(at->get_string()) : std::string(fallback);
}

std::string number_text(double number) {
  if (std::floor(number) == number && std::abs(number) < 9007199254740992.0) {
    return fmt::format("{}", static_cast<int64_t>(number));
  }
  return fmt::format("{}", number);
}

namespace {

void write_text(const json::value& value, std::string& out);

void write_text(const json::object& object, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [key, member] : object) {
    if (!first) out += ',';
    first = false;
    out += json::serialize(json::string_view(key));
    out += ':';
    write_text(member, out);
  }
  out += '}';
}

// Boost.JSON prints 0.1 as 1E-1; people and other parsers read 0.1 more gladly.
void write_text(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::double_: {
      const double number = value.get_double();
      if (!std::isfinite(number)) {
        out += "null";
      } else {
        std::string text = fmt::format("{}", number);
        if (text.find_first_of(".e") == std::string::npos) text += ".0";
        out += text;
      }
      return;
    }
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& item : value.get_array()) {
        if (!first) out += ',';
        first = false;
        write_text(item, out);
      }
      out += ']';
      return;
    }
    case json::kind::object: write_text(value.get_object(), out); return;
    case json::kind::string: out += json::serialize(value.get_string()); return;
    default: out += json::serialize(value);
  }
}

}  // namespace

json::object compact_copy(const json::object& object) {
  constexpr size_t kFirstBlock = 2048;
  return json::object(object, json::make_shared_resource<json::monotonic_resource>(kFirstBlock));
}

std::string to_text(const json::value& value) {
  std::string out;
  write_text(value, out);
  return out;
}

std::string to_text(const json::object& object) {
  std::string out;
  write_text(object, out);
  return out;
}

}  // namespace penstock
