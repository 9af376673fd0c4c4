#include "base/fields.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/schema.h"

namespace penstock {

namespace fields {

void fail(const std::string& path, std::string_view why) {
  if (path.empty()) throw Error(Code::InvalidArgument, std::string(why));
  throw Error(Code::InvalidArgument, fmt::format("{}: {}", path, why), path);
}

namespace {

std::string join(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::string camel_case(std::string_view name) {
  std::string out;
  bool upper = false;
  for (const char c : name) {
    if (c == '_') {
      upper = true;
    } else {
      out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      upper = false;
    }
  }
  return out;
}

class StringType : public Type {
 public:
  void read(void* where, const json::value& value, const std::string& path) const override {
    if (!value.is_string()) fail(path, "expected a string");
    *static_cast<std::string*>(where) = to_std(value.as_string());
  }
  json::value write(const void* where) const override { return json::value(*static_cast<const std::string*>(where)); }
  bool empty(const void* where) const override { return static_cast<const std::string*>(where)->empty(); }
  json::object schema(Schemas*) const override { return {{"type", "string"}}; }
};

class BoolType : public Type {
 public:
  void read(void* where, const json::value& value, const std::string& path) const override {
    if (!value.is_bool()) fail(path, "expected true or false");
    *static_cast<bool*>(where) = value.as_bool();
  }
  json::value write(const void* where) const override { return *static_cast<const bool*>(where); }
  bool empty(const void* where) const override { return !*static_cast<const bool*>(where); }
  json::object schema(Schemas*) const override { return {{"type", "boolean"}}; }
};

template <class T>
class IntegerType : public Type {
 public:
  void read(void* where, const json::value& value, const std::string& path) const override {
    const int64_t number = read_int64(value, path);
    if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
      fail(path, fmt::format("{} does not fit in {} bits", number, sizeof(T) * 8));
    }
    *static_cast<T*>(where) = static_cast<T>(number);
  }
  json::value write(const void* where) const override {
    const T number = *static_cast<const T*>(where);
    if constexpr (sizeof(T) == 8) return json::value(std::to_string(number));
    return json::value(number);
  }
  bool empty(const void* where) const override { return *static_cast<const T*>(where) == 0; }
  json::object schema(Schemas*) const override {
    if constexpr (sizeof(T) == 8) return {{"type", "string"}, {"format", "int64"}};
    return {{"type", "integer"}, {"format", "int32"}};
  }
};

class DoubleType : public Type {
 public:
  void read(void* where, const json::value& value, const std::string& path) const override {
    auto& out = *static_cast<double*>(where);
    if (value.is_string()) {
      const std::string_view text = to_view(value.as_string());
      if (text == "NaN")
        out = std::numeric_limits<double>::quiet_NaN();
      else if (text == "Infinity")
        out = std::numeric_limits<double>::infinity();
      else if (text == "-Infinity")
        out = -std::numeric_limits<double>::infinity();
      else
        fail(path, "expected a number");
      return;
    }
    if (!value.is_number()) fail(path, "expected a number");
    out = value.to_number<double>();
  }
  json::value write(const void* where) const override {
    const double number = *static_cast<const double*>(where);
    if (std::isnan(number)) return json::value("NaN");
    if (std::isinf(number)) return json::value(number > 0 ? "Infinity" : "-Infinity");
    return number;
  }
  bool empty(const void* where) const override { return *static_cast<const double*>(where) == 0; }
  json::object schema(Schemas*) const override { return {{"type", "number"}, {"format", "double"}}; }
};

class TimeType : public Type {
 public:
  void read(void* where, const json::value& value, const std::string& path) const override {
    const std::optional<Time> time = value.is_string() ? parse_time(to_view(value.as_string())) : std::nullopt;
    if (!time) fail(path, "expected an RFC 3339 time such as \"2024-01-02T03:04:05Z\"");
    *static_cast<Time*>(where) = *time;
  }
  json::value write(const void* where) const override {
    return json::value(format_time(*static_cast<const Time*>(where), true));
  }
  bool empty(const void* where) const override { return *static_cast<const Time*>(where) == Time{}; }
  json::object schema(Schemas*) const override { return {{"type", "string"}, {"format", "date-time"}}; }
};

class ValueType : public Type {
 public:
  void read(void* where, const json::value& value, const std::string&) const override {
    *static_cast<json::value*>(where) = value;
  }
  json::value write(const void* where) const override { return *static_cast<const json::value*>(where); }
  bool empty(const void* where) const override { return static_cast<const json::value*>(where)->is_null(); }
  json::object schema(Schemas*) const override { return {}; }
};

class ObjectType : public Type {
 public:
  void read(void* where, const json::value& value, const std::string& path) const override {
    if (!value.is_object()) fail(path, "expected an object");
    *static_cast<json::object*>(where) = value.as_object();
  }
  json::value write(const void* where) const override { return *static_cast<const json::object*>(where); }
  bool empty(const void* where) const override { return static_cast<const json::object*>(where)->empty(); }
  json::object schema(Schemas*) const override { return {{"type", "object"}}; }
};

class StringMapType : public Type {
 public:
  using Map = std::map<std::string, std::string>;
  void read(void* where, const json::value& value, const std::string& path) const override {
    if (!value.is_object()) fail(path, "expected an object");
    for (const auto& [key, member] : value.as_object()) {
      if (!member.is_string()) fail(join(path, std::string_view(key.data(), key.size())), "expected a string");
      (*static_cast<Map*>(where))[key] = to_std(member.as_string());
    }
  }
  json::value write(const void* where) const override {
    json::object out;
    for (const auto& [key, value] : *static_cast<const Map*>(where)) out[key] = value;
    return out;
  }
  bool empty(const void* where) const override { return static_cast<const Map*>(where)->empty(); }
  json::object schema(Schemas*) const override {
    return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
  }
};

class EnumType : public Type {
 public:
  EnumType(std::span<const EnumName> names, int (*get)(const void*), void (*set)(void*, int))
      : names_(names), get_(get), set_(set) {}
  void read(void* where, const json::value& value, const std::string& path) const override {
    for (const EnumName& entry : names_) {
      const bool same = value.is_string() ? to_view(value.as_string()) == entry.name
                                          : value.is_int64() && value.as_int64() == entry.number;
      if (same) return set_(where, entry.number);
    }
    fail(path, fmt::format("{} is none of its values", to_text(value)));
  }
  json::value write(const void* where) const override {
    const int number = get_(where);
    for (const EnumName& entry : names_) {
      if (entry.number == number) return json::value(entry.name);
    }
    return number;
  }
  bool empty(const void* where) const override { return get_(where) == 0; }
  json::object schema(Schemas*) const override {
    json::array names;
    for (const EnumName& entry : names_) names.emplace_back(entry.name);
    return {{"type", "string"}, {"enum", std::move(names)}};
  }

 private:
  std::span<const EnumName> names_;
  int (*get_)(const void*);
  void (*set_)(void*, int);
};

template <class T>
TypePtr shared() {
  static const auto type = std::make_shared<T>();
  return type;
}

}  // namespace

TypePtr string_type() { return shared<StringType>(); }
TypePtr bool_type() { return shared<BoolType>(); }
TypePtr int32_type() { return shared<IntegerType<int32_t>>(); }
TypePtr int64_type() { return shared<IntegerType<int64_t>>(); }
TypePtr double_type() { return shared<DoubleType>(); }
TypePtr time_type() { return shared<TimeType>(); }
TypePtr value_type() { return shared<ValueType>(); }
TypePtr object_type() { return shared<ObjectType>(); }
TypePtr string_map_type() { return shared<StringMapType>(); }
TypePtr enum_type(std::span<const EnumName> names, int (*get)(const void*), void (*set)(void*, int)) {
  return std::make_shared<EnumType>(names, get, set);
}

void Table::add(std::string_view name, size_t offset, TypePtr type, const FieldOptions& options) {
  fields_.push_back({std::string(name), camel_case(name), offset, std::move(type), options});
}

const Table::Field* Table::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (field.name == name || field.camel == name) return &field;
  }
  return nullptr;
}

void Table::read(void* where, const json::value& value, const std::string& path) const {
  if (!value.is_object()) fail(path, fmt::format("expected an object ({})", name_));
  std::vector<bool> seen(fields_.size());
  for (const auto& [key, member] : value.as_object()) {
    const Field* field = find(std::string_view(key.data(), key.size()));
    if (!field) {
      const std::string name(key.data(), key.size());
      throw Error(Code::InvalidArgument,
                  path.empty() ? fmt::format("unknown field {:?} in {}", name, name_)
                               : fmt::format("{}: unknown field {:?} in {}", path, name, name_),
                  join(path, name));
    }
    const size_t index = static_cast<size_t>(field - fields_.data());
    if (seen[index]) fail(join(path, field->name), "the field is given twice");
    seen[index] = true;
    if (member.is_null() || field->options.output_only) continue;
    field->type->read(static_cast<char*>(where) + field->offset, member, join(path, field->name));
  }
  for (const Field& field : fields_) {
    const void* at = static_cast<const char*>(where) + field.offset;
    if (field.options.required && field.type->empty(at)) fail(join(path, field.name), "it is required and missing");
    if (field.options.max_length == 0) continue;
    const auto& text = *static_cast<const std::string*>(at);
    if (text.size() > field.options.max_length) {
      fail(join(path, field.name),
           fmt::format("it has {} bytes; at most {} are allowed", text.size(), field.options.max_length));
    }
  }
}

json::object Table::write(const void* where) const {
  json::object out;
  for (const Field& field : fields_) {
    const void* at = static_cast<const char*>(where) + field.offset;
    if (field.options.always || !field.type->empty(at)) out[field.name] = field.type->write(at);
  }
  return out;
}

bool Table::empty(const void* where) const {
  for (const Field& field : fields_) {
    if (!field.type->empty(static_cast<const char*>(where) + field.offset)) return false;
  }
  return true;
}

json::object schema_of(const Table& table, Schemas* named) { return named ? named->reference(table) : table.schema(); }

json::object Table::schema(Schemas* named) const {
  json::object properties;
  json::array required;
  for (const Field& field : fields_) {
    const bool by_name = named && !field.options.schema.empty();
    json::object property = by_name ? named->type(field.options.schema) : field.type->schema(named);
    if (!field.options.doc.empty()) property["description"] = field.options.doc;
    if (field.options.output_only) property["readOnly"] = true;
    if (field.options.max_length) property["maxLength"] = field.options.max_length;
    if (field.options.required) required.emplace_back(field.name);
    properties[field.name] = std::move(property);
  }
  json::object out{{"type", "object"}, {"title", name_}, {"properties", std::move(properties)}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

}  // namespace fields

int64_t read_int64(const json::value& value, const std::string& path) {
  if (value.is_int64()) return value.as_int64();
  if (value.is_uint64()) fields::fail(path, "the integer does not fit in 64 bits");
  if (value.is_double()) {
    const double number = value.as_double();
    if (std::trunc(number) == number && std::abs(number) < 9.2e18) return static_cast<int64_t>(number);
  }
  if (value.is_string()) {
    const std::string_view text = to_view(value.as_string());
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size() && !text.empty()) return number;
  }
  fields::fail(path, "expected an integer");
}

}  // namespace penstock
