// Values and their types.
#include <cmath>

#include "pipelines/ir/reader.h"

namespace penstock::ir {

std::string_view type_name(ParameterType type) {
  switch (type) {
    case ParameterType::Double: return "NUMBER_DOUBLE";
    case ParameterType::Integer: return "NUMBER_INTEGER";
    case ParameterType::String: return "STRING";
    case ParameterType::Boolean: return "BOOLEAN";
    case ParameterType::List: return "LIST";
    case ParameterType::Struct: return "STRUCT";
    case ParameterType::TaskFinalStatus: return "TASK_FINAL_STATUS";
    case ParameterType::TaskConfig: return "TASK_CONFIG";
    case ParameterType::Unspecified: break;
  }
  return "PARAMETER_TYPE_ENUM_UNSPECIFIED";
}

namespace {

constexpr int64_t kLargest = 9007199254740992;  // 2^53: up to it, a double holds every whole number
constexpr double kMaxInteger = static_cast<double>(kLargest);

bool is_exact(int64_t number) { return number >= -kLargest && number <= kLargest; }

std::string excerpt(const json::value& value) {
  std::string text = to_text(value);
  if (text.size() > 80) text = text.substr(0, 77) + "…";
  return text;
}

// As the reference prints values into text: 1.0 is "1" at any depth.
void append_text(const json::value& value, std::string& out) {
  if (value.is_double()) {
    out += number_text(value.get_double());
  } else if (const auto* list = value.if_array()) {
    out += '[';
    for (size_t i = 0; i < list->size(); ++i) {
      if (i > 0) out += ',';
      append_text((*list)[i], out);
    }
    out += ']';
  } else if (const auto* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, member_value] : *object) {
      if (!first) out += ',';
      first = false;
      out += json::serialize(json::string_view(key));
      out += ':';
      append_text(member_value, out);
    }
    out += '}';
  } else {
    out += to_text(value);
  }
}

bool is_whole(double number) { return std::floor(number) == number && std::abs(number) <= kMaxInteger; }

bool has_whole_doubles(const json::value& value) {
  if (value.is_double()) return is_whole(value.get_double());
  if (const auto* list = value.if_array()) return std::any_of(list->begin(), list->end(), has_whole_doubles);
  const auto* object = value.if_object();
  return object != nullptr && std::any_of(object->begin(), object->end(),
                                          [](const auto& entry) { return has_whole_doubles(entry.value()); });
}

void make_integers(json::value& value) {
  if (value.is_double() && is_whole(value.get_double())) {
    value = static_cast<int64_t>(value.get_double());
  } else if (auto* list = value.if_array()) {
    for (auto& item : *list) make_integers(item);
  } else if (auto* object = value.if_object()) {
    for (auto& [key, item] : *object) make_integers(item);
  }
}

// protobuf's numbers are doubles, so that compilers write 1.0 for every 1 inside of lists and structs, and the
// reference backend gives it to tasks as 1.
json::value with_integers(const json::value& value) {
  json::value result = value;
  if (has_whole_doubles(value)) make_integers(result);
  return result;
}

[[noreturn]] void mismatch(const json::value& value, ParameterType type, std::string_view where) {
  throw invalid("{}: {} is not a {}", where, excerpt(value), type_name(type));
}

}  // namespace

std::string text_of(const json::value& value) {
  if (value.is_string()) return to_std(value.get_string());
  std::string out;
  append_text(value, out);
  return out;
}

bool is_exactly(const json::value& value, ParameterType type) {
  switch (type) {
    case ParameterType::String: return value.is_string();
    case ParameterType::Double: return value.is_double();
    case ParameterType::Boolean: return value.is_bool();
    case ParameterType::List: return value.is_array() && !has_whole_doubles(value);
    case ParameterType::Integer: return value.is_int64() && is_exact(value.get_int64());
    case ParameterType::Struct:
    case ParameterType::TaskFinalStatus:
    case ParameterType::TaskConfig: return value.is_object() && !has_whole_doubles(value);
    case ParameterType::Unspecified: break;
  }
  return true;
}

json::value convert(const json::value& value, ParameterType type, std::string_view where) {
  switch (type) {
    case ParameterType::String:
      if (value.is_string()) return value;
      if (value.is_null()) mismatch(value, type, where);
      return json::value(text_of(value));
    case ParameterType::Integer: {
      if (value.is_int64() && is_exact(value.get_int64())) return value;
      if (!value.is_double()) mismatch(value, type, where);
      const double number = value.to_number<double>();
      if (std::floor(number) != number || std::abs(number) > kMaxInteger) mismatch(value, type, where);
      return static_cast<int64_t>(number);
    }
    case ParameterType::Double:
      if (!value.is_number()) mismatch(value, type, where);
      return value.to_number<double>();
    case ParameterType::Boolean:
      if (!value.is_bool()) mismatch(value, type, where);
      return value;
    case ParameterType::List:
      if (!value.is_array()) mismatch(value, type, where);
      return with_integers(value);
    case ParameterType::Struct:
    case ParameterType::TaskFinalStatus:
    case ParameterType::TaskConfig:
      if (!value.is_object()) mismatch(value, type, where);
      return with_integers(value);
    case ParameterType::Unspecified: break;
  }
  return value;
}

const json::value* member(const json::object& object, std::string_view camel_name) {
  const json::value* value = object.if_contains(camel_name);
  if (value == nullptr) {
    std::string snake;
    for (const char c : camel_name) {
      if (c >= 'A' && c <= 'Z') {
        snake += '_';
        snake += static_cast<char>(c - 'A' + 'a');
      } else {
        snake += c;
      }
    }
    if (snake.size() != camel_name.size()) value = object.if_contains(snake);
  }
  return value == nullptr || value->is_null() ? nullptr : value;
}

const json::object& as_object(const json::value& value, std::string_view path) {
  if (!value.is_object()) throw invalid("{}: must be an object, not {}", path, excerpt(value));
  return value.get_object();
}

const json::object* object_member(const json::object& object, std::string_view name, std::string_view path) {
  const auto* value = member(object, name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) throw invalid("{}.{}: must be an object, not {}", path, name, excerpt(*value));
  return &value->get_object();
}

const json::array* array_member(const json::object& object, std::string_view name, std::string_view path) {
  const auto* value = member(object, name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) throw invalid("{}.{}: must be a list, not {}", path, name, excerpt(*value));
  return &value->get_array();
}

std::string string_member(const json::object& object, std::string_view name, std::string_view path) {
  const auto* value = member(object, name);
  if (value == nullptr) return {};
  if (value->is_string()) return to_std(value->get_string());
  // YAML reads an unquoted 2.1 as a number.
  if (value->is_number() || value->is_bool()) return text_of(*value);
  throw invalid("{}.{}: must be a string, not {}", path, name, excerpt(*value));
}

bool bool_member(const json::object& object, std::string_view name, std::string_view path) {
  const auto* value = member(object, name);
  if (value == nullptr) return false;
  if (!value->is_bool()) throw invalid("{}.{}: must be true or false, not {}", path, name, excerpt(*value));
  return value->get_bool();
}

double number_member(const json::object& object, std::string_view name, double fallback, std::string_view path) {
  const auto* value = member(object, name);
  if (value == nullptr) return fallback;
  if (value->is_number()) return value->to_number<double>();
  if (value->is_string()) {  // protobuf's JSON writes 64-bit integers as strings
    const std::string text = to_std(value->get_string());
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (!text.empty() && *end == 0) return number;
  }
  throw invalid("{}.{}: must be a number, not {}", path, name, excerpt(*value));
}

}  // namespace penstock::ir
