// JSON helpers over Boost.JSON, and YAML read into the same values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace penstock {

namespace json = boost::json;

// Parses one JSON text. Throws InvalidArgument with the offset of the fault.
json::value parse_json(std::string_view text);

// Parses every document of a YAML text (JSON is YAML). Plain scalars get JSON types by YAML 1.2's core schema with
// 1.1's yes/no left as strings; quoted ones are strings. Anchors are followed, bounded against expansion bombs
// (`max_nodes`). Throws InvalidArgument with line and column.
std::vector<json::value> parse_yaml(std::string_view text, size_t max_nodes = 20'000'000);

// Writes a value as block YAML which parse_yaml reads back unchanged.
std::string to_yaml(const json::value& value);

// Members by name; null where absent or of another type.
const json::value* find(const json::value& value, std::string_view key);
const json::value* find(const json::object& object, std::string_view key);
const json::object* find_object(const json::object& object, std::string_view key);
const json::array* find_array(const json::object& object, std::string_view key);
std::string get_string(const json::object& object, std::string_view key, std::string_view fallback = {});
int64_t get_int(const json::object& object, std::string_view key, int64_t fallback = 0);
bool get_bool(const json::object& object, std::string_view key, bool fallback = false);

// Nested members: find_path(pod, {"metadata", "name"}).
const json::value* find_path(const json::value& value, std::initializer_list<std::string_view> path);
std::string string_at(const json::value& value, std::initializer_list<std::string_view> path,
                      std::string_view fallback = {});

inline std::string to_std(const json::string& text) { return std::string(text.data(), text.size()); }
inline std::string_view to_view(const json::string& text) { return {text.data(), text.size()}; }

// A copy whose members lie in few blocks of memory of its own: quick to make and to drop, for objects that are not
// changed much afterwards.
json::object compact_copy(const json::object& object);

// One-line JSON text.
std::string to_text(const json::value& value);
std::string to_text(const json::object& object);
// A number as protojson and Python's json print it: integral doubles below 2^53 without fraction.
std::string number_text(double number);

}  // namespace penstock
