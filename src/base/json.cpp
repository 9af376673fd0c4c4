#include "base/json.h"

#include <charconv>
#include <cmath>

#include <boost/json/basic_parser_impl.hpp>

#include "base/error.h"

namespace penstock {

namespace {

// Builds the value. Boost's own builder takes numbers as its parser computes them, which for one in ten of those with
// sixteen digits and more is not the nearest double: what was written would be read as another number.
struct JsonHandler {
  static constexpr size_t max_object_size = json::object::max_size();
  static constexpr size_t max_array_size = json::array::max_size();
  static constexpr size_t max_key_size = json::string::max_size();
  static constexpr size_t max_string_size = json::string::max_size();

  json::value_stack stack;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(size_t n, json::error_code&) { return stack.push_object(n), true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(size_t n, json::error_code&) { return stack.push_array(n), true; }
  bool on_key_part(json::string_view text, size_t, json::error_code&) { return stack.push_chars(text), true; }
  bool on_key(json::string_view text, size_t, json::error_code&) { return stack.push_key(text), true; }
  bool on_string_part(json::string_view text, size_t, json::error_code&) { return stack.push_chars(text), true; }
  bool on_string(json::string_view text, size_t, json::error_code&) { return stack.push_string(text), true; }
  bool on_number_part(json::string_view text, json::error_code&) { return number_.append(text), true; }
  bool on_int64(int64_t number, json::string_view, json::error_code&) {
    number_.clear();
    return stack.push_int64(number), true;
  }
  bool on_uint64(uint64_t number, json::string_view, json::error_code&) {
    number_.clear();
    return stack.push_uint64(number), true;
  }
  bool on_double(double number, json::string_view text, json::error_code& error) {
    number_.append(text);
    double nearest = number;  // stays where it is too small to be told from 0
    std::from_chars(number_.data(), number_.data() + number_.size(), nearest);
    number_.clear();
    if (!std::isfinite(nearest)) error = json::error::exponent_overflow;
    return stack.push_double(nearest), !error;
  }
  bool on_bool(bool value, json::error_code&) { return stack.push_bool(value), true; }
  bool on_null(json::error_code&) { return stack.push_null(), true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  std::string number_;  // the text of the number at hand, as far as it has come
};

}  // namespace

json::value parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = 500;
  json::basic_parser<JsonHandler> parser(options);
  parser.handler().stack.reset();
  json::error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size() && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos) {
    throw invalid("invalid JSON at byte {}: text after the value", used);
  }
  if (error) throw invalid("invalid JSON at byte {}: {}", used, error.message());
  return parser.handler().stack.release();
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
  constexpr auto kMost = std::numeric_limits<int64_t>::max();
  if (value->is_uint64()) return kMost;  // else it would be an int64
  if (value->is_double()) {
    const double number = value->get_double();
    if (number >= 0x1p63) return kMost;
    return number < -0x1p63 ? std::numeric_limits<int64_t>::min() : static_cast<int64_t>(number);
  }
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
  if (std::floor(number) == number && std::abs(number) <= 9007199254740992.0) {
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
