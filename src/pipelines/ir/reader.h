// The steps of reading a spec, one source file each. Internal to ir/ and argo/.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/ir/spec.h"

namespace penstock::ir {

// A member in lowerCamelCase or, as protobuf's JSON also allows, in snake_case. Null when absent or null.
const json::value* member(const json::object& object, std::string_view camel_name);
// The same, of one type: throws InvalidArgument naming `path` when it is of another.
const json::object* object_member(const json::object& object, std::string_view name, std::string_view path);
const json::array* array_member(const json::object& object, std::string_view name, std::string_view path);
std::string string_member(const json::object& object, std::string_view name, std::string_view path);
bool bool_member(const json::object& object, std::string_view name, std::string_view path);
double number_member(const json::object& object, std::string_view name, double fallback, std::string_view path);
const json::object& as_object(const json::value& value, std::string_view path);

// Fills in inputs and outputs of a component, not its implementation.
void read_definitions(Component& component, const json::object& spec, const std::string& path);

struct Reader {
  Pipeline& pipeline;
  bool old_schema = false;  // 2.0.0: inputs have no optional mark

  void read();

 private:
  void read_executors();
  void read_info();
  void read_config();
  static const json::object* own_platform(const json::object& component, std::string_view label,
                                          const std::string& path);
  void read_implementation(Component& component, const json::object& spec, const std::string& path, bool dags);
};

// Reads the dag of `component`. All components' definitions must have been read.
void read_dag(Reader& reader, Component& component, const json::object& spec, const std::string& path);

// Fills in upstream, downstream, roots and after_failure, and checks types and cycles.
void link_dag(Dag& dag, const std::string& path);

// Refuses components that contain themselves, and marks which dag outputs are collected by loops.
void check_components(Pipeline& pipeline);

}  // namespace penstock::ir
