// The inputs and outputs that a component declares.
#include "pipelines/ir/reader.h"

namespace penstock::ir {

namespace {

template <class Def>
int position(const std::vector<Def>& list, std::string_view name) {
  const auto at = std::lower_bound(list.begin(), list.end(), name,
                                   [](const Def& def, std::string_view wanted) { return def.name < wanted; });
  return at != list.end() && at->name == name ? static_cast<int>(at - list.begin()) : -1;
}

ParameterType read_type(const json::object& spec, const std::string& path) {
  static constexpr ParameterType kAll[] = {
      ParameterType::Unspecified, ParameterType::Double,          ParameterType::Integer,
      ParameterType::String,      ParameterType::Boolean,         ParameterType::List,
      ParameterType::Struct,      ParameterType::TaskFinalStatus, ParameterType::TaskConfig};
  const json::value* value = member(spec, "parameterType");
  if (value == nullptr) {
    const std::string old = string_member(spec, "type", path);
    if (old == "INT") return ParameterType::Integer;
    if (old == "DOUBLE") return ParameterType::Double;
    if (old == "STRING") return ParameterType::String;
    if (old.empty() || old == "PRIMITIVE_TYPE_UNSPECIFIED") return ParameterType::Unspecified;
    throw invalid("{}.type: unknown type \"{}\"; use parameterType", path, old);
  }
  if (value->is_int64() && value->get_int64() >= 0 && value->get_int64() < 9) return kAll[value->get_int64()];
  const std::string name = string_member(spec, "parameterType", path);
  for (const auto type : kAll) {
    if (type_name(type) == name) return type;
  }
  throw invalid("{}.parameterType: unknown type \"{}\"", path, name);
}

ParameterDef read_parameter(std::string_view name, const json::object& spec, const std::string& path) {
  ParameterDef def;
  def.name = std::string(name);
  def.type = read_type(spec, path);
  def.optional = bool_member(spec, "isOptional", path);
  def.literals = array_member(spec, "literals", path);
  def.default_value = member(spec, "defaultValue");
  if (def.default_value != nullptr) {
    def.optional = true;
    convert(*def.default_value, def.type, path + ".defaultValue");
  }
  return def;
}

ArtifactDef read_artifact(std::string_view name, const json::object& spec, const std::string& path) {
  ArtifactDef def;
  def.name = std::string(name);
  def.list = bool_member(spec, "isArtifactList", path);
  def.optional = bool_member(spec, "isOptional", path);
  def.metadata = object_member(spec, "metadata", path);
  if (const auto* type = object_member(spec, "artifactType", path)) {
    for (const std::string_view key : {"schemaTitle", "schemaVersion", "instanceSchema", "schemaUri"}) {
      const std::string text = string_member(*type, key, path + ".artifactType");
      if (!text.empty()) def.type[key] = text;
    }
  }
  if (def.type.empty()) def.type = {{"schemaTitle", "system.Artifact"}, {"schemaVersion", "0.0.1"}};
  return def;
}

template <class Def, class Read>
void read_all(std::vector<Def>& into, const json::object& definitions, std::string_view kind, const std::string& path,
              Read read) {
  const json::object* list = object_member(definitions, kind, path);
  if (list == nullptr) return;
  into.reserve(list->size());
  for (const auto& [name, spec] : *list) {
    const std::string at = fmt::format("{}.{}.{}", path, kind, std::string_view(name));
    into.push_back(read(name, as_object(spec, at), at));
  }
  std::sort(into.begin(), into.end(), [](const Def& a, const Def& b) { return a.name < b.name; });
}

}  // namespace

int Component::input_parameter(std::string_view wanted) const { return position(input_parameters, wanted); }
int Component::input_artifact(std::string_view wanted) const { return position(input_artifacts, wanted); }
int Component::output_parameter(std::string_view wanted) const { return position(output_parameters, wanted); }
int Component::output_artifact(std::string_view wanted) const { return position(output_artifacts, wanted); }

namespace {

void read_passthroughs(Component& component, const json::object& spec, const std::string& path) {
  constexpr std::array<std::string_view, 6> kFields{
      "RESOURCES",         "ENV", "KUBERNETES_AFFINITY", "KUBERNETES_TOLERATIONS", "KUBERNETES_NODE_SELECTOR",
      "KUBERNETES_VOLUMES"};
  const auto* list = array_member(spec, "taskConfigPassthroughs", path);
  if (list == nullptr) return;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string at = fmt::format("{}.taskConfigPassthroughs[{}]", path, i);
    const auto& item = as_object((*list)[i], at);
    const auto* field = member(item, "field");
    int64_t number = field != nullptr && field->is_int64() ? field->get_int64() : 0;
    if (field != nullptr && field->is_string()) {
      const auto known = std::find(kFields.begin(), kFields.end(), to_view(field->get_string()));
      if (known != kFields.end()) number = known - kFields.begin() + 1;
    }
    if (number < 1 || number > static_cast<int64_t>(kFields.size())) {
      throw invalid("{}.field: it must be one of {}", at, fmt::join(kFields, ", "));
    }
    component.passthroughs.push_back({static_cast<Passthrough::Field>(number), bool_member(item, "applyToTask", at)});
  }
}

}  // namespace

void read_definitions(Component& component, const json::object& spec, const std::string& path) {
  read_passthroughs(component, spec, path);
  if (const auto* inputs = object_member(spec, "inputDefinitions", path)) {
    const std::string at = path + ".inputDefinitions";
    read_all(component.input_parameters, *inputs, "parameters", at, read_parameter);
    read_all(component.input_artifacts, *inputs, "artifacts", at, read_artifact);
  }
  if (const auto* outputs = object_member(spec, "outputDefinitions", path)) {
    const std::string at = path + ".outputDefinitions";
    read_all(component.output_parameters, *outputs, "parameters", at, read_parameter);
    read_all(component.output_artifacts, *outputs, "artifacts", at, read_artifact);
  }
}

}  // namespace penstock::ir
