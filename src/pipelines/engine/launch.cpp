// A leaf's LaunchSpec or ImportSpec, from its resolved inputs.
#include <cmath>

#include "pipelines/argo/template.h"
#include "pipelines/engine/state.h"
#include "pipelines/engine/texts.h"
#include "pipelines/ir/reader.h"

namespace penstock::engine {

namespace {

json::object artifact_json(json::object artifact) {
  artifact.erase("id");
  return artifact;
}

json::object inputs_of(const Instance& instance) {
  const ir::Component& component = *instance.component;
  json::object parameters, artifacts, result;
  for (size_t i = 0; i < component.input_parameters.size(); ++i) {
    if (instance.inputs.parameters[i]) parameters[component.input_parameters[i].name] = *instance.inputs.parameters[i];
  }
  for (size_t i = 0; i < component.input_artifacts.size(); ++i) {
    if (!instance.inputs.artifacts[i]) continue;
    json::array list;
    for (const auto& artifact : *instance.inputs.artifacts[i]) list.push_back(artifact_json(artifact.as_object()));
    artifacts[component.input_artifacts[i].name] = json::object{{"artifacts", std::move(list)}};
  }
  if (!parameters.empty()) result["parameterValues"] = std::move(parameters);
  if (!artifacts.empty()) result["artifacts"] = std::move(artifacts);
  return result;
}

json::object outputs_of(const Instance& instance, const std::string& prefix) {
  json::object artifacts, result;
  for (const auto& def : instance.component->output_artifacts) {
    json::object artifact{{"name", def.name}, {"type", def.type}, {"uri", prefix + "/" + path_segment(def.name)}};
    artifact["metadata"] = def.metadata != nullptr ? *def.metadata : json::object();
    artifacts[def.name] = json::object{{"artifacts", json::array{std::move(artifact)}}};
  }
  if (!artifacts.empty()) result["artifacts"] = std::move(artifacts);
  return result;
}

// Fills an executor's texts in with the task's inputs and the job's names.
class Filler {
 public:
  Filler(const Instance& instance, const LaunchSpec& spec, std::string workspace)
      : instance_(instance), spec_(spec), workspace_(std::move(workspace)) {}

  std::string operator()(std::string_view text) const {
    return substitute(text, [this](std::string_view expression) -> std::optional<std::string> {
      std::string_view rest;
      if (const auto name = bracketed(expression, "$.inputs.parameters", rest); name && rest.empty()) {
        const int index = instance_.component->input_parameter(*name);
        if (index < 0) return std::nullopt;
        const Value& value = instance_.inputs.parameters[static_cast<size_t>(index)];
        return value ? ir::text_of(*value) : std::string();
      }
      const JobPlaceholders job{spec_.run_name,     spec_.run_resource_name, spec_.run_id,
                                spec_.task_name,    spec_.parent_task_id,    spec_.created_at,
                                spec_.scheduled_at, spec_.pipeline_root,     workspace_};
      return job.find(expression);
    });
  }

  // The texts of a whole value, at any depth.
  json::value operator()(const json::value& value) const {
    if (value.is_string()) return json::value((*this)(to_view(value.get_string())));
    if (value.is_array()) {
      json::array list;
      for (const auto& item : value.get_array()) list.push_back((*this)(item));
      return list;
    }
    if (value.is_object()) {
      json::object object;
      for (const auto& [key, member] : value.get_object()) object[(*this)(std::string_view(key))] = (*this)(member);
      return object;
    }
    return value;
  }

 private:
  const Instance& instance_;
  const LaunchSpec& spec_;
  std::string workspace_;
};

std::string cpu_quantity(double cores) {
  const double milli = std::round(cores * 1000);
  if (std::fmod(milli, 1000) == 0) return number_text(milli / 1000);
  return number_text(milli) + "m";
}

std::string memory_quantity(double gigabytes) { return number_text(std::round(gigabytes * 1e9)); }

std::string accelerator_resource(const std::string& type) {
  std::string lower = type;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  // "nvidia.com/gpu" is a resource already; "NVIDIA_TESLA_T4" and "nvidia-tesla-t4" are models of one.
  if (type.find('/') != std::string::npos) return type;
  if (lower.find("tpu") != std::string::npos) return "google.com/tpu";
  if (lower.find("amd") != std::string::npos) return "amd.com/gpu";
  return "nvidia.com/gpu";
}

json::object read_resources(const json::object& container, const Filler& fill) {
  const std::string path = "container.resources";
  const auto* spec = ir::object_member(container, "resources", "container");
  json::object requests, limits, result;
  if (spec == nullptr) return result;
  auto quantity = [&](json::object& into, std::string_view resource, std::string_view text_key,
                      std::string_view number_key, std::string (*write)(double)) {
    std::string text = fill(ir::string_member(*spec, text_key, path));
    const double number = ir::number_member(*spec, number_key, 0, path);
    if (text.empty() && number > 0) text = write(number);
    if (!text.empty()) into[resource] = text;
  };
  quantity(limits, "cpu", "resourceCpuLimit", "cpuLimit", cpu_quantity);
  quantity(limits, "memory", "resourceMemoryLimit", "memoryLimit", memory_quantity);
  quantity(requests, "cpu", "resourceCpuRequest", "cpuRequest", cpu_quantity);
  quantity(requests, "memory", "resourceMemoryRequest", "memoryRequest", memory_quantity);
  if (const auto* accelerator = ir::object_member(*spec, "accelerator", path)) {
    std::string type = fill(ir::string_member(*accelerator, "resourceType", path));
    if (type.empty()) type = fill(ir::string_member(*accelerator, "type", path));
    std::string count = fill(ir::string_member(*accelerator, "resourceCount", path));
    if (count.empty()) count = fill(ir::string_member(*accelerator, "count", path));
    if (!count.empty() && count != "0") limits[accelerator_resource(type)] = count;
  }
  if (!requests.empty()) result["requests"] = std::move(requests);
  if (!limits.empty()) result["limits"] = std::move(limits);
  return result;
}

// Replaces the settings that name an input by that input's value.
json::value platform_of(const State& state, const Instance& parent, const json::value& setting,
                        const std::string& path) {
  if (const auto* list = setting.if_array()) {
    json::array result;
    for (const auto& item : *list) result.push_back(platform_of(state, parent, item, path));
    return result;
  }
  const auto* object = setting.if_object();
  if (object == nullptr) return setting;
  json::object result;
  // Before secretNameParameter and its like there were such members beside the others, for a volume claim's name.
  if (object->contains("mountPath") && !object->contains("pvcNameParameter") &&
      (object->contains("taskOutputParameter") || object->contains("componentInputParameter") ||
       object->contains("constant"))) {
    const Value value = platform_value(state, parent, *object);
    if (!value) throw invalid("{}: the volume claim's name has no value", path);
    result["pvcName"] = *value;
  }
  for (const auto& [key, member] : *object) {
    const std::string_view name = key;
    const std::string at = path + "." + std::string(name);
    const bool parameter =
        name.ends_with("Parameter") && name != "taskOutputParameter" && name != "componentInputParameter";
    if (member.is_object() && (parameter || name.ends_with("Json"))) {
      const Value value = platform_value(state, parent, member.get_object());
      if (!value) throw invalid("{}: the input that it names has no value", at);
      result[parameter ? name.substr(0, name.size() - 9) : name] = *value;
    } else if (name != "taskOutputParameter" && name != "componentInputParameter" &&
               !(name == "constant" && result.contains("pvcName"))) {
      if (!result.contains(name)) result[name] = platform_of(state, parent, member, at);
    }
  }
  return result;
}

json::value sorted(const json::value& value) {
  if (const auto* list = value.if_array()) {
    json::array result;
    for (const auto& item : *list) result.push_back(sorted(item));
    return result;
  }
  const auto* object = value.if_object();
  if (object == nullptr) return value;
  std::map<std::string_view, const json::value*> members;
  for (const auto& [key, member] : *object) members[key] = &member;
  json::object result;
  for (const auto& [key, member] : members) result[key] = sorted(*member);
  return result;
}

std::vector<json::value> values_of(const json::array* list) {
  return list == nullptr ? std::vector<json::value>() : std::vector<json::value>(list->begin(), list->end());
}

// The dag whose scope the task's settings speak in: an iteration's loop stands in that dag itself.
const Instance& scope_of(const State& state, const Instance& instance) {
  const Instance& parent = state.at(instance.parent);
  return parent.is_loop() ? state.at(parent.parent) : parent;
}

}  // namespace

std::shared_ptr<LaunchSpec> make_launch(const State& state, const Instance& instance) {
  auto spec = std::make_shared<LaunchSpec>();
  const ir::Executor& executor = *instance.component->executor;
  const json::object& container = *executor.spec;
  spec->task = instance.id;
  spec->attempt = instance.attempt;
  spec->path = path_of(state, instance);
  spec->task_id = task_id_of(state, instance);
  spec->pod_uid = pod_uid_of(state, instance);
  spec->parent_task_id = task_id_of(state, state.at(instance.parent));
  spec->task_name = instance.task->name;
  spec->display_name = display_name_of(instance);
  spec->component_name = instance.component->name;
  spec->executor_label = executor.label;
  spec->pipeline_root = state.info.pipeline_root;
  spec->run_id = state.info.run_id;
  spec->run_name = state.info.display_name;
  spec->run_resource_name = state.info.resource_name;
  spec->created_at = format_time(state.info.created_at);
  spec->scheduled_at = format_time(state.info.scheduled_at);
  spec->pipeline = state.pipeline;
  spec->component = instance.component;
  if (!spec->component->output_artifacts.empty()) {
    spec->output_prefix =
        fmt::format("{}/{}/{}/{}/{}", state.info.pipeline_root, path_segment(state.info.pipeline_name),
                    path_segment(state.info.run_id), path_segment(instance.task->name), output_uuid(state, instance));
  }
  spec->kind = executor.kind;
  if (spec->kind != ir::Executor::Kind::Container) {
    const auto look_up = [&](std::string_view tag) { return leaf_variable(state, instance, tag); };
    spec->workload = argo::fill_texts(json::value(container), look_up).as_object();
    json::object outputs = outputs_of(instance, spec->output_prefix);
    spec->executor_input["inputs"] = inputs_of(instance);
    spec->executor_input["outputs"] = std::move(outputs);
    return spec;
  }
  spec->image = get_string(container, "image");
  spec->command = values_of(find_array(container, "command"));
  spec->args = values_of(find_array(container, "args"));
  if (const auto* env = find_array(container, "env")) {
    for (const auto& variable : *env) {
      const auto* value = find(variable, "value");
      spec->env.emplace_back(string_at(variable, {"name"}), value != nullptr ? ir::text_of(*value) : "");
    }
  }
  const Filler fill(instance, *spec, state.info.workspace_path);
  spec->resources = read_resources(container, fill);
  if (executor.platform != nullptr) {
    spec->platform = platform_of(state, scope_of(state, instance), *executor.platform, "platform").as_object();
  }
  json::object outputs = outputs_of(instance, spec->output_prefix);
  spec->executor_input["inputs"] = inputs_of(instance);
  spec->executor_input["outputs"] = std::move(outputs);
  return spec;
}

std::shared_ptr<ImportSpec> make_import(const State& state, const Instance& instance) {
  auto spec = std::make_shared<ImportSpec>();
  const json::object& importer = *instance.component->executor->spec;
  spec->path = path_of(state, instance);
  spec->task_id = task_id_of(state, instance);
  spec->task_name = instance.task->name;
  const auto& outputs = instance.component->output_artifacts;
  if (outputs.empty()) throw invalid("the importer declares no output artifact");
  spec->output = outputs[0].name;
  spec->type = outputs[0].type;
  if (const auto* type = ir::object_member(importer, "typeSchema", "importer")) {
    for (const auto& [key, value] : *type) spec->type[key] = value;
  }
  LaunchSpec names;
  names.run_id = state.info.run_id;
  names.run_name = state.info.display_name;
  names.run_resource_name = state.info.resource_name;
  names.task_name = spec->task_name;
  names.pipeline_root = state.info.pipeline_root;
  const Filler fill(instance, names, state.info.workspace_path);
  const auto* uri = ir::object_member(importer, "artifactUri", "importer");
  const auto* constant = uri != nullptr ? ir::member(*uri, "constant") : nullptr;
  if (constant == nullptr && uri != nullptr) {
    const auto* old = ir::object_member(*uri, "constantValue", "importer.artifactUri");
    if (old != nullptr) constant = ir::member(*old, "stringValue");
  }
  if (constant != nullptr) {
    spec->uri = fill(ir::text_of(*constant));
  } else {
    const std::string input = uri != nullptr ? ir::string_member(*uri, "runtimeParameter", "importer.artifactUri") : "";
    const int index = instance.component->input_parameter(input.empty() ? "uri" : input);
    if (index >= 0 && instance.inputs.parameters[static_cast<size_t>(index)]) {
      spec->uri = ir::text_of(*instance.inputs.parameters[static_cast<size_t>(index)]);
    }
  }
  if (spec->uri.empty()) throw invalid("the importer has no URI to import");
  if (const auto* metadata = ir::object_member(importer, "metadata", "importer")) {
    spec->metadata = fill(json::value(*metadata)).as_object();
  }
  spec->reimport = ir::bool_member(importer, "reimport", "importer");
  spec->download_to_workspace = ir::bool_member(importer, "downloadToWorkspace", "importer");
  return spec;
}

std::chrono::milliseconds pause_of(const State& state, const Instance& instance) {
  const auto look_up = [&](std::string_view tag) { return leaf_variable(state, instance, tag); };
  const std::string text = argo::fill(get_string(*instance.component->executor->spec, "seconds"), look_up);
  if (text.empty()) return std::chrono::milliseconds(-1);
  const auto seconds = argo::duration_seconds(text);
  if (!seconds) throw invalid("the pause \"{}\" is no duration", text);
  return std::chrono::milliseconds(std::llround(*seconds * 1000));
}

namespace {

// "train", or in a loop "train(2:the item)", where a map is its members in order: "train(0:a:1,b:2)".
std::string node_display_name(const State& state, const Instance& leaf) {
  if (leaf.iteration < 0) return leaf.task->name;
  const Instance& loop = state.at(leaf.parent);
  const auto at = static_cast<size_t>(leaf.iteration);
  std::string item;
  if (loop.loop && loop.loop->list && at < loop.loop->list->get_array().size()) {
    const json::value& value = loop.loop->list->get_array()[at];
    if (const auto* object = value.if_object()) {
      std::map<std::string, std::string> members;
      for (const auto& [key, member] : *object) members[key] = ir::text_of(member);
      for (const auto& [key, member] : members) item += fmt::format("{}{}:{}", item.empty() ? "" : ",", key, member);
    } else {
      item = ir::text_of(value);
    }
  }
  return fmt::format("{}({}:{})", leaf.task->name, leaf.iteration, item);
}

}  // namespace

json::object failure_of(const State& state, const Instance& leaf) {
  json::object failure{{"displayName", node_display_name(state, leaf)}, {"message", leaf.error.message}};
  failure["templateName"] = leaf.component->name;
  failure["phase"] = leaf.error.infrastructure ? "Error" : "Failed";
  failure["podName"] = pod_name(state.info.resource_name, leaf.id, pod_uid_of(state, leaf));
  failure["finishedAt"] = format_time(state.now);
  return failure;
}

std::string fingerprint_of(const Instance& instance, const LaunchSpec& spec) {
  if (!instance.task->cache_key.empty()) {
    return sha256_hex(instance.component->name + std::string(1, '\0') + instance.task->cache_key);
  }
  json::object inputs, artifacts, outputs, parameters;
  const auto* given = find_object(spec.executor_input, "inputs");
  if (const auto* values = given != nullptr ? find_object(*given, "parameterValues") : nullptr) inputs = *values;
  // By URI, where the reference takes the name alone: an artifact of the same name is not the same artifact.
  for (size_t i = 0; i < instance.inputs.artifacts.size(); ++i) {
    if (!instance.inputs.artifacts[i]) continue;
    json::array list;
    for (const auto& artifact : *instance.inputs.artifacts[i]) {
      const auto raw = string_at(artifact, {"raw"});
      list.push_back(json::array{string_at(artifact, {"name"}), raw.empty() ? string_at(artifact, {"uri"}) : raw});
    }
    artifacts[instance.component->input_artifacts[i].name] = std::move(list);
  }
  for (const auto& def : instance.component->output_artifacts) {
    json::object entry{{"name", def.name}, {"type", def.type}};
    if (def.metadata != nullptr) entry["metadata"] = *def.metadata;
    outputs[def.name] = std::move(entry);
  }
  for (const auto& def : instance.component->output_parameters) parameters[def.name] = ir::type_name(def.type);
  json::array arguments(spec.command.begin(), spec.command.end());
  arguments.insert(arguments.end(), spec.args.begin(), spec.args.end());
  std::set<std::string> claims;
  if (const auto* mounts = find_array(spec.platform, "pvcMount")) {
    for (const auto& mount : *mounts) claims.insert(string_at(mount, {"pvcName"}));
  }
  // As Argo's memoization has it, the key alone decides.
  if (const auto* memo = find_object(spec.workload, "memoize")) {
    return sha256_hex(
        fmt::format("{}{}{}", get_string(*memo, "cache"), std::string(1, '\0'), get_string(*memo, "key")));
  }
  if (spec.kind == ir::Executor::Kind::Workload) {
    json::object workload = spec.workload;
    workload.erase("metadata");
    const json::object key{{"workload", std::move(workload)},
                           {"inputArtifactNames", std::move(artifacts)},
                           {"outputArtifactsSpec", std::move(outputs)},
                           {"outputParametersSpec", std::move(parameters)}};
    return sha256_hex(to_text(sorted(key)));
  }
  const json::object key{{"containerSpec", json::object{{"image", spec.image},
                                                        {"cmdArgs", std::move(arguments)},
                                                        {"pvcNames", json::array(claims.begin(), claims.end())}}},
                         {"inputArtifactNames", std::move(artifacts)},
                         {"inputParameterValues", std::move(inputs)},
                         {"outputArtifactsSpec", std::move(outputs)},
                         {"outputParametersSpec", std::move(parameters)}};
  return sha256_hex(to_text(sorted(key)));
}

}  // namespace penstock::engine
