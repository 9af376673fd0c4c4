#include "pipelines/ir/spec.h"

#include "pipelines/ir/reader.h"

namespace penstock::ir {

namespace {

const json::object* platform_of(const Pipeline& pipeline) {
  const auto* platform = pipeline.platform_spec.if_object();
  const auto* platforms = platform ? object_member(*platform, "platforms", "platform_spec") : nullptr;
  return platforms ? object_member(*platforms, "kubernetes", "platforms") : nullptr;
}

const json::object* platform_executors(const Pipeline& pipeline) {
  const auto* kubernetes = platform_of(pipeline);
  const auto* deployment = kubernetes ? object_member(*kubernetes, "deploymentSpec", "platforms.kubernetes") : nullptr;
  return deployment ? object_member(*deployment, "executors", "platforms.kubernetes.deploymentSpec") : nullptr;
}

// Those of `names` that are there; null: none.
std::shared_ptr<const std::string> present(const json::object* object, std::initializer_list<std::string_view> names) {
  std::string found;
  if (object == nullptr) return nullptr;
  for (const std::string_view name : names) {
    if (member(*object, name) != nullptr) found += (found.empty() ? "" : ", ") + std::string(name);
  }
  return found.empty() ? nullptr : std::make_shared<const std::string>(std::move(found));
}

void set_platform(Executor& executor, const json::object* platform) {
  executor.platform = platform;
  executor.not_applied = present(platform, {"nodeSelector", "tolerations", "nodeAffinity", "podAffinity",
                                            "imagePullPolicy", "imagePullSecret", "securityContext"});
  executor.not_applied_in_images = present(platform, {"nodeSelector", "tolerations", "nodeAffinity", "podAffinity"});
}

// The PipelineJob form's parameters: plain values, or {"intValue": "5"} of schema 2.0.0.
json::object job_parameters(const json::object& config) {
  if (const auto* values = object_member(config, "parameterValues", "runtimeConfig")) return *values;
  json::object result;
  const auto* old = object_member(config, "parameters", "runtimeConfig");
  if (old == nullptr) return result;
  for (const auto& [name, value] : *old) {
    const auto* object = value.if_object();
    const std::string path = fmt::format("runtimeConfig.parameters.{}", std::string_view(name));
    if (object != nullptr && member(*object, "stringValue") != nullptr) {
      result[name] = *member(*object, "stringValue");
    } else if (object != nullptr && member(*object, "intValue") != nullptr) {
      result[name] = static_cast<int64_t>(number_member(*object, "intValue", 0, path));
    } else if (object != nullptr && member(*object, "doubleValue") != nullptr) {
      result[name] = number_member(*object, "doubleValue", 0, path);
    } else {
      result[name] = value;
    }
  }
  return result;
}

struct Documents {
  json::value spec;
  json::value platform;
};

// The resource forms `kind: Pipeline` and `kind: PipelineVersion`: the second holds the spec.
bool take_manifest(json::value& document, Documents& into) {
  auto* object = document.if_object();
  if (object == nullptr) return false;
  const std::string kind = get_string(*object, "kind");
  if (kind == "Pipeline") return true;
  if (kind != "PipelineVersion") return false;
  auto* spec = object->if_contains("spec");
  if (spec == nullptr || !spec->is_object()) throw invalid("spec: missing in the PipelineVersion");
  auto& members = spec->get_object();
  if (auto* inner = members.if_contains("pipelineSpec")) into.spec = std::move(*inner);
  if (auto* platform = members.if_contains("platformSpec")) into.platform = std::move(*platform);
  return true;
}

Documents sort_documents(std::vector<json::value> documents) {
  Documents result;
  for (auto& document : documents) {
    if (document.is_null() || take_manifest(document, result)) continue;
    const auto* object = document.if_object();
    if (object == nullptr) throw invalid("a pipeline is an object, not {}", to_text(document).substr(0, 80));
    if (result.spec.is_null() && !object->contains("platforms")) {
      result.spec = std::move(document);
    } else if (result.platform.is_null() && object->contains("platforms")) {
      result.platform = std::move(document);
    } else {
      throw invalid("more than one pipeline in the file");
    }
  }
  if (result.spec.is_null()) throw invalid("there is no pipeline in the file");
  return result;
}

}  // namespace

bool is_v1_workflow(const json::value& document) {
  return string_at(document, {"kind"}) == "Workflow" || string_at(document, {"kind"}) == "CronWorkflow";
}

void Reader::read() {
  const auto& spec = pipeline.spec.get_object();
  read_info();
  read_executors();
  const json::object* components = object_member(spec, "components", "pipeline");
  if (components != nullptr) {
    for (const auto& [name, value] : *components) {
      const std::string path = fmt::format("components.{}", std::string_view(name));
      Component& component = pipeline.components[std::string(name)];
      component.name = std::string(name);
      read_definitions(component, as_object(value, path), path);
    }
  }
  const json::object* root_spec = object_member(spec, "root", "pipeline");
  if (root_spec == nullptr) throw invalid("root: missing; the pipeline has no tasks");
  // No component can have this name: it has a character that keys of `components` never lead with.
  Component& root = pipeline.components["/root"];
  root.name = "root";
  read_definitions(root, *root_spec, "root");
  pipeline.root = &root;
  if (find(*root_spec, "dag") == nullptr) throw invalid("root: must have a dag");
  // Executors first: a dag asks its tasks' components for them.
  for (const bool dags : {false, true}) {
    if (components != nullptr) {
      for (const auto& [name, value] : *components) {
        read_implementation(pipeline.components.find(std::string_view(name))->second, value.get_object(),
                            fmt::format("components.{}", std::string_view(name)), dags);
      }
    }
    read_implementation(root, *root_spec, "root", dags);
  }
  check_components(pipeline);
  read_config();
}

void Reader::read_config() {
  const auto* kubernetes = platform_of(pipeline);
  const std::string path = "platforms.kubernetes.pipelineConfig";
  const auto* config = kubernetes ? object_member(*kubernetes, "pipelineConfig", "platforms.kubernetes") : nullptr;
  if (config == nullptr) return;
  pipeline.config.not_applied =
      present(config, {"resourceTtlOnCompletion", "resourceTtlOnSuccess", "resourceTtlOnFailure"});
  const double deadline = number_member(*config, "activeDeadlineSeconds", 0, path);
  if (deadline < 0 || deadline > 1e9) throw invalid("{}.activeDeadlineSeconds: {} is no time", path, deadline);
  pipeline.config.active_deadline = std::chrono::seconds(static_cast<int64_t>(deadline));
  const auto* workspace = object_member(*config, "workspace", path);
  if (workspace == nullptr) return;
  pipeline.config.workspace_size = string_member(*workspace, "size", path + ".workspace");
  if (pipeline.config.workspace_size.empty()) throw invalid("{}.workspace.size: missing", path);
  const auto* claim = object_member(*workspace, "kubernetes", path + ".workspace");
  if (claim != nullptr) {
    pipeline.config.workspace_patch = object_member(*claim, "pvcSpecPatch", path + ".workspace.kubernetes");
  }
}

void Reader::read_info() {
  const auto& spec = pipeline.spec.get_object();
  const json::object* info = object_member(spec, "pipelineInfo", "pipeline");
  pipeline.name = info != nullptr ? string_member(*info, "name", "pipelineInfo") : "";
  if (pipeline.name.empty()) throw invalid("pipelineInfo.name: missing; every pipeline needs a name");
  pipeline.display_name = string_member(*info, "displayName", "pipelineInfo");
  pipeline.description = string_member(*info, "description", "pipelineInfo");
  pipeline.default_root = string_member(spec, "defaultPipelineRoot", "pipeline");
  const std::string version = string_member(spec, "schemaVersion", "pipeline");
  if (!version.empty() && !version.starts_with("2.")) {
    throw invalid("schemaVersion: \"{}\" is not supported; compile the pipeline with schema 2.1.0", version);
  }
  old_schema = version.starts_with("2.0");
}

void Reader::read_executors() {
  const auto* deployment = object_member(pipeline.spec.get_object(), "deploymentSpec", "pipeline");
  const auto* executors = deployment ? object_member(*deployment, "executors", "deploymentSpec") : nullptr;
  if (executors == nullptr) return;
  const json::object* platform = platform_executors(pipeline);
  for (const auto& [label, value] : *executors) {
    const std::string path = fmt::format("deploymentSpec.executors.{}", std::string_view(label));
    const json::object& spec = as_object(value, path);
    Executor executor;
    executor.label = std::string(label);
    if (const auto* container = object_member(spec, "container", path)) {
      executor.spec = container;
      if (string_member(*container, "image", path + ".container").empty()) {
        throw invalid("{}.container.image: missing", path);
      }
      array_member(*container, "command", path + ".container");
      array_member(*container, "args", path + ".container");
      array_member(*container, "env", path + ".container");
      object_member(*container, "resources", path + ".container");
    } else if (const auto* importer = object_member(spec, "importer", path)) {
      executor.kind = Executor::Kind::Importer;
      executor.spec = importer;
    } else {
      throw invalid("{}: neither a container nor an importer; other kinds of executors are not supported", path);
    }
    if (platform != nullptr) {
      set_platform(executor, object_member(*platform, label, "platforms.kubernetes executors"));
    }
    pipeline.executors.emplace(std::string(label), std::move(executor));
  }
}

// What the component itself says of its executor, for platforms whose document does not.
const json::object* Reader::own_platform(const json::object& component, std::string_view label,
                                         const std::string& path) {
  const json::array* specs = array_member(component, "singlePlatformSpecs", path);
  if (specs == nullptr) return nullptr;
  for (const json::value& item : *specs) {
    const std::string at = path + ".singlePlatformSpecs";
    const json::object& one = as_object(item, at);
    if (string_member(one, "platform", at) != "kubernetes") continue;
    const json::object* deployment = object_member(one, "deploymentSpec", at);
    const json::object* executors = deployment ? object_member(*deployment, "executors", at) : nullptr;
    if (executors != nullptr) return object_member(*executors, label, at + ".deploymentSpec.executors");
  }
  return nullptr;
}

void Reader::read_implementation(Component& component, const json::object& spec, const std::string& path, bool dags) {
  const json::object* dag = object_member(spec, "dag", path);
  const std::string label = string_member(spec, "executorLabel", path);
  if (dag != nullptr && !label.empty()) throw invalid("{}: has both a dag and an executorLabel", path);
  if (dags && dag != nullptr) read_dag(*this, component, *dag, path + ".dag");
  if (dags || dag != nullptr) return;
  if (label.empty()) throw invalid("{}: has neither a dag nor an executorLabel", path);
  const auto executor = pipeline.executors.find(label);
  if (executor == pipeline.executors.end()) {
    throw invalid("{}.executorLabel: there is no executor \"{}\" in deploymentSpec.executors", path, label);
  }
  component.executor = &executor->second;
  if (executor->second.platform == nullptr) set_platform(executor->second, own_platform(spec, label, path));
}

std::shared_ptr<const Pipeline> from_json(json::value spec, json::value platform_spec) {
  if (!spec.is_object()) throw invalid("a pipeline is an object, not {}", to_text(spec).substr(0, 80));
  if (is_v1_workflow(spec)) {
    throw invalid("kind: {} of the v1 SDK is no PipelineSpec", string_at(spec, {"kind"}));
  }
  auto pipeline = std::make_shared<Pipeline>();
  for (const std::string_view key : {"pipelineSpec", "pipeline_spec"}) {
    auto* inner = spec.get_object().if_contains(key);
    if (inner == nullptr || !inner->is_object()) continue;
    for (const std::string_view platform_key : {"platformSpec", "platform_spec"}) {
      if (auto* platform = spec.get_object().if_contains(platform_key)) platform_spec = std::move(*platform);
    }
    if (const auto* config = object_member(spec.get_object(), "runtimeConfig", "pipeline job")) {
      pipeline->runtime_parameters = job_parameters(*config);
      pipeline->runtime_root = string_member(*config, "gcsOutputDirectory", "runtimeConfig");
    }
    json::value moved = std::move(*inner);
    spec = std::move(moved);
    break;
  }
  pipeline->spec = std::move(spec);
  pipeline->platform_spec = std::move(platform_spec);
  Reader{*pipeline}.read();
  return pipeline;
}

std::shared_ptr<const Pipeline> read_pipeline(std::string_view yaml_or_json) {
  Documents documents = sort_documents(parse_yaml(yaml_or_json));
  return from_json(std::move(documents.spec), std::move(documents.platform));
}

}  // namespace penstock::ir
