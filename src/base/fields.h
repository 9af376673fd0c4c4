// Structs that travel as JSON, by a table of their fields that stands in a .cpp:
//
//   const Fields<Experiment>& experiment_fields() {
//     static const auto fields = Fields<Experiment>("Experiment")
//         .add("experiment_id", &Experiment::experiment_id, {.output_only = true, .doc = "…"})
//         .add("display_name", &Experiment::display_name, {.required = true, .max_length = 128});
//     return fields;
//   }
//
// The JSON is protobuf's: names in snake_case (read in lowerCamelCase too), empty and zero fields left out, 64-bit
// integers as strings, times as RFC 3339, enums by name (read by number too), null read as absent. Reading throws
// InvalidArgument with the path of what is wrong: an unknown field, a wrong type, a broken limit.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/clock.h"
#include "base/json.h"

namespace penstock {

class Schemas;  // schema.h

struct FieldOptions {
  bool required = false;     // must be there and not empty
  bool output_only = false;  // accepted from clients and ignored
  bool always = false;       // written even when empty
  size_t max_length = 0;     // of a string, in bytes; 0: any
  std::string_view doc{};
  std::string_view schema{};  // of a value or an object that is put together by hand: its type, as schema.h writes it
};

struct EnumName {
  int number;
  std::string_view name;
};

namespace fields {

// Reads and writes one C++ type. `where` points at a value of that type.
class Type {
 public:
  virtual ~Type() = default;
  virtual void read(void* where, const json::value& value, const std::string& path) const = 0;
  virtual json::value write(const void* where) const = 0;
  virtual bool empty(const void* where) const = 0;
  // OpenAPI. With `named`, tables are put there and referred to.
  virtual json::object schema(Schemas* named) const = 0;
};
using TypePtr = std::shared_ptr<const Type>;  // shared between tables that have fields of the type

TypePtr string_type();
TypePtr bool_type();
TypePtr int32_type();
TypePtr int64_type();
TypePtr double_type();
TypePtr time_type();
TypePtr value_type();   // json::value: any JSON
TypePtr object_type();  // json::object: google.protobuf.Struct
TypePtr string_map_type();
// `names` must outlive the type. get and set convert between the enum and its number.
TypePtr enum_type(std::span<const EnumName> names, int (*get)(const void*), void (*set)(void*, int));

class Table;
json::object schema_of(const Table& table, Schemas* named);

[[noreturn]] void fail(const std::string& path, std::string_view why);

// The fields of a struct, with the struct's type erased.
class Table {
 public:
  explicit Table(std::string name) : name_(std::move(name)) {}
  void add(std::string_view name, size_t offset, TypePtr type, const FieldOptions& options);
  void read(void* where, const json::value& value, const std::string& path) const;
  json::object write(const void* where) const;
  bool empty(const void* where) const;
  json::object schema(Schemas* named = nullptr) const;
  const std::string& name() const { return name_; }

 private:
  struct Field {
    std::string name;
    std::string camel;
    size_t offset;
    TypePtr type;
    FieldOptions options;
  };
  const Field* find(std::string_view name) const;
  std::string name_;
  std::vector<Field> fields_;
};

template <class T>
class ArrayType : public Type {
 public:
  explicit ArrayType(TypePtr item) : item_(std::move(item)) {}
  void read(void* where, const json::value& value, const std::string& path) const override {
    if (!value.is_array()) fail(path, "expected a list");
    auto& items = *static_cast<std::vector<T>*>(where);
    for (size_t i = 0; i < value.as_array().size(); ++i) {
      item_->read(&items.emplace_back(), value.as_array()[i], path + "[" + std::to_string(i) + "]");
    }
  }
  json::value write(const void* where) const override {
    json::array out;
    for (const T& item : *static_cast<const std::vector<T>*>(where)) out.push_back(item_->write(&item));
    return out;
  }
  bool empty(const void* where) const override { return static_cast<const std::vector<T>*>(where)->empty(); }
  json::object schema(Schemas* named) const override { return {{"type", "array"}, {"items", item_->schema(named)}}; }

 private:
  TypePtr item_;
};

class TableType : public Type {
 public:
  explicit TableType(const Table& table) : table_(table) {}
  void read(void* where, const json::value& value, const std::string& path) const override {
    table_.read(where, value, path);
  }
  json::value write(const void* where) const override { return table_.write(where); }
  bool empty(const void* where) const override { return table_.empty(where); }
  json::object schema(Schemas* named) const override { return schema_of(table_, named); }

 private:
  const Table& table_;  // a function's static, as in the example above
};

template <class M>
TypePtr type_of() {
  if constexpr (std::is_same_v<M, std::string>)
    return string_type();
  else if constexpr (std::is_same_v<M, bool>)
    return bool_type();
  else if constexpr (std::is_same_v<M, int32_t>)
    return int32_type();
  else if constexpr (std::is_same_v<M, int64_t>)
    return int64_type();
  else if constexpr (std::is_same_v<M, double>)
    return double_type();
  else if constexpr (std::is_same_v<M, Time>)
    return time_type();
  else if constexpr (std::is_same_v<M, json::value>)
    return value_type();
  else if constexpr (std::is_same_v<M, json::object>)
    return object_type();
  else if constexpr (std::is_same_v<M, std::map<std::string, std::string>>)
    return string_map_type();
  else if constexpr (std::is_same_v<M, std::vector<std::string>>)
    return std::make_shared<ArrayType<std::string>>(string_type());
  else
    static_assert(sizeof(M) == 0, "give the field's table or its enum's names");
}

}  // namespace fields

template <class T>
class Fields {
 public:
  explicit Fields(std::string name) : table_(std::make_shared<fields::Table>(std::move(name))) {}

  // B is T or a base of it.
  template <class M, class B>
  Fields& add(std::string_view name, M B::*member, const FieldOptions& options = {}) {
    return put(name, member, fields::type_of<M>(), options);
  }
  template <class M, class B>  // another struct with a table
  Fields& add(std::string_view name, M B::*member, const Fields<M>& table, const FieldOptions& options = {}) {
    return put(name, member, std::make_shared<fields::TableType>(table.table()), options);
  }
  template <class M, class B>
  Fields& add(std::string_view name, std::vector<M> B::*member, const Fields<M>& table,
              const FieldOptions& options = {}) {
    return put(name, member, std::make_shared<fields::ArrayType<M>>(std::make_shared<fields::TableType>(table.table())),
               options);
  }
  template <class M, class B>
  requires std::is_enum_v<M> Fields& add(std::string_view name, M B::*member, std::span<const EnumName> names,
                                         const FieldOptions& options = {}) {
    return put(name, member,
               fields::enum_type(
                   names, [](const void* where) { return static_cast<int>(*static_cast<const M*>(where)); },
                   [](void* where, int number) { *static_cast<M*>(where) = static_cast<M>(number); }),
               options);
  }

  // `path` is put before the paths in messages. Fields that are absent keep the default that T gives them.
  T read(const json::value& value, const std::string& path = {}) const {
    T out{};
    table_->read(&out, value, path);
    return out;
  }
  json::object write(const T& value) const { return table_->write(&value); }
  json::object schema() const { return table_->schema(); }
  const fields::Table& table() const { return *table_; }

 private:
  template <class M, class B>
  Fields& put(std::string_view name, M B::*member, fields::TypePtr type, const FieldOptions& options) {
    static const T probe{};
    const auto offset = reinterpret_cast<const char*>(&(probe.*member)) - reinterpret_cast<const char*>(&probe);
    table_->add(name, static_cast<size_t>(offset), std::move(type), options);
    return *this;
  }
  std::shared_ptr<fields::Table> table_;  // shared: copies of a Fields describe the same struct
};

// Reading the values that protobuf's JSON allows, for hand-made messages too. Throw InvalidArgument naming `path`.
int64_t read_int64(const json::value& value, const std::string& path);

}  // namespace penstock
