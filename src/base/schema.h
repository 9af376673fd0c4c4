// JSON schemas by name, as an OpenAPI document holds them: those of field tables (fields.h), and those of messages that
// are put together by hand, which are written here as lists of names and types.
//
// A type is written as one of string, bool, int32, int64 (in JSON a string of digits), number, time (RFC 3339), bytes
// (base64), any, object, map (of strings), file (the raw bytes of a body); as an enum, A|B|C; as a list, [type]; as a
// map, {type}; or as the name of a schema.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace penstock {

namespace fields {
class Table;
}

struct SchemaField {
  std::string_view name;  // with a ! behind it: it is always there
  std::string_view type;
  std::string_view doc{};
};

class Schemas {
 public:
  // The table's schema and those of the tables in it. The same name twice must be the same table.
  void add(const fields::Table& table);
  void add(std::string_view name, const std::vector<SchemaField>& fields, std::string_view doc = {});

  // The schema of a type as it is written; names become references.
  json::object type(std::string_view text);
  json::object reference(const fields::Table& table);

  // All schemas. Throws Internal naming a type that was referred to and never added.
  json::object take();

 private:
  json::object refer(std::string_view name);
  std::map<std::string, json::object, std::less<>> schemas_;
  std::map<std::string, const fields::Table*, std::less<>> tables_;
  std::set<std::string, std::less<>> referred_;
};

}  // namespace penstock
