#include "base/schema.h"

#include "base/error.h"
#include "base/fields.h"

namespace penstock {

namespace {

constexpr std::pair<std::string_view, std::string_view> kPlain[] = {
    {"string", R"({"type":"string"})"},
    {"bool", R"({"type":"boolean"})"},
    {"int32", R"({"type":"integer","format":"int32"})"},
    {"int64", R"({"type":"string","format":"int64"})"},
    {"number", R"({"type":"number","format":"double"})"},
    {"time", R"({"type":"string","format":"date-time"})"},
    {"bytes", R"({"type":"string","format":"byte"})"},
    {"any", R"({})"},
    {"object", R"({"type":"object","additionalProperties":true})"},
    {"map", R"({"type":"object","additionalProperties":{"type":"string"}})"},
    {"file", R"({"type":"string","format":"binary"})"}};

json::array words_of(std::string_view text) {
  json::array words;
  while (true) {
    const size_t bar = text.find('|');
    words.emplace_back(text.substr(0, bar));
    if (bar == std::string_view::npos) return words;
    text.remove_prefix(bar + 1);
  }
}

}  // namespace

json::object Schemas::refer(std::string_view name) {
  referred_.emplace(name);
  return {{"$ref", fmt::format("#/components/schemas/{}", name)}};
}

json::object Schemas::type(std::string_view text) {
  for (const auto& [name, schema] : kPlain) {
    if (text == name) return parse_json(schema).as_object();
  }
  if (text.starts_with('[')) return {{"type", "array"}, {"items", type(text.substr(1, text.size() - 2))}};
  if (text.starts_with('{')) {
    return {{"type", "object"}, {"additionalProperties", type(text.substr(1, text.size() - 2))}};
  }
  if (text.find('|') != std::string_view::npos) return {{"type", "string"}, {"enum", words_of(text)}};
  return refer(text);
}

json::object Schemas::reference(const fields::Table& table) {
  add(table);
  return refer(table.name());
}

void Schemas::add(const fields::Table& table) {
  const auto [known, added] = tables_.emplace(table.name(), &table);
  if (!added) {
    if (known->second != &table) throw internal("two tables of fields have the name {}", table.name());
    return;
  }
  if (schemas_.contains(table.name())) throw internal("the schema {} is there twice", table.name());
  // First a placeholder: a table may refer to itself through others.
  schemas_[table.name()] = {};
  schemas_[table.name()] = table.schema(this);
}

void Schemas::add(std::string_view name, const std::vector<SchemaField>& fields, std::string_view doc) {
  json::object properties;
  json::array required;
  for (const SchemaField& field : fields) {
    std::string_view field_name = field.name;
    if (field_name.ends_with('!')) {
      field_name.remove_suffix(1);
      required.emplace_back(field_name);
    }
    json::object property = type(field.type);
    if (!field.doc.empty()) property["description"] = field.doc;
    properties[field_name] = std::move(property);
  }
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  if (!doc.empty()) schema["description"] = doc;
  if (!schemas_.emplace(name, std::move(schema)).second) throw internal("the schema {} is there twice", name);
}

json::object Schemas::take() {
  for (const std::string& name : referred_) {
    if (!schemas_.contains(name)) throw internal("no schema has the name {}", name);
  }
  json::object out;
  for (auto& [name, schema] : schemas_) out[name] = std::move(schema);
  return out;
}

}  // namespace penstock
