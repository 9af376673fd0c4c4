#include "pipelines/run/pod.h"

#include "base/error.h"

namespace penstock::pipelines {

namespace {

// Adds volumes, mounts and variables for one KubernetesExecutorConfig; its dynamic values are resolved already.
class PlatformWriter {
 public:
  PlatformWriter(const json::object& platform, json::object& metadata, json::object& spec, json::object& container)
      : platform_(platform), metadata_(metadata), spec_(spec), container_(container) {}

  void write(json::array& env, json::array& mounts, json::array& volumes) {
    env_ = &env;
    mounts_ = &mounts;
    volumes_ = &volumes;
    keyed_env("secretAsEnv", "secretName", "secretKey", "secretKeyRef");
    keyed_env("configMapAsEnv", "configMapName", "configMapKey", "configMapKeyRef");
    each("fieldPathAsEnv", [&](const json::object& item) {
      env_->push_back({{"name", get_string(item, "name")},
                       {"valueFrom", {{"fieldRef", {{"fieldPath", get_string(item, "fieldPath")}}}}}});
    });
    object_volumes();
    claims();
    scratch();
    init_containers();
    placement();
    rest();
  }

 private:
  template <class Use>
  void each(std::string_view key, Use use) {
    const auto* list = find_array(platform_, key);
    if (list == nullptr) return;
    for (const auto& item : *list) {
      if (!item.is_object()) throw invalid("platform setting {}: every entry must be an object", key);
      use(item.get_object());
    }
  }

  void mount(const std::string& volume, const json::object& item, bool read_only) {
    json::object entry{{"name", volume}, {"mountPath", get_string(item, "mountPath")}};
    if (read_only) entry["readOnly"] = true;
    if (const auto sub_path = get_string(item, "subPath"); !sub_path.empty()) entry["subPath"] = sub_path;
    mounts_->push_back(std::move(entry));
  }

  void keyed_env(std::string_view key, std::string_view name_key, std::string_view item_key,
                 std::string_view reference) {
    each(key, [&](const json::object& item) {
      const auto name = get_string(item, name_key);
      const auto* pairs = find_array(item, "keyToEnv");
      if (pairs == nullptr) return;
      for (const auto& pair : *pairs) {
        json::object source{{"name", name}, {"key", string_at(pair, {item_key})}};
        if (const auto* optional = item.if_contains("optional")) source["optional"] = *optional;
        env_->push_back({{"name", string_at(pair, {"envVar"})}, {"valueFrom", {{reference, std::move(source)}}}});
      }
    });
  }

  void object_volumes() {
    each("secretAsVolume", [&](const json::object& item) {
      const auto name = get_string(item, "secretName");
      add_volume(item, "secret", {{"secretName", name}});
    });
    each("configMapAsVolume", [&](const json::object& item) {
      const auto name = get_string(item, "configMapName");
      add_volume(item, "configMap", {{"name", name}});
    });
  }

  void add_volume(const json::object& item, std::string_view kind, json::object source) {
    if (const auto* optional = item.if_contains("optional")) source["optional"] = *optional;
    const auto volume = fmt::format("{}-{}", kind == "secret" ? "secret" : "config", volumes_->size());
    volumes_->push_back({{"name", volume}, {kind, std::move(source)}});
    mount(volume, item, true);
  }

  void claims() {
    each("pvcMount", [&](const json::object& item) {
      const auto claim = get_string(item, "pvcName", get_string(item, "constant"));
      if (claim.empty()) throw invalid("platform setting pvcMount: the claim's name is empty");
      const auto volume = fmt::format("claim-{}", volumes_->size());
      volumes_->push_back({{"name", volume}, {"persistentVolumeClaim", {{"claimName", claim}}}});
      mount(volume, item, false);
    });
  }

  void scratch() {
    each("emptyDirMounts", [&](const json::object& item) {
      json::object source;
      for (const auto key : {"medium", "sizeLimit"}) {
        if (const auto text = get_string(item, key); !text.empty()) source[key] = text;
      }
      const std::string name = get_string(item, "volumeName", fmt::format("scratch-{}", volumes_->size()));
      volumes_->push_back({{"name", name}, {"emptyDir", std::move(source)}});
      mount(name, item, false);
    });
    each("genericEphemeralVolume", [&](const json::object& item) {
      const std::string name = get_string(item, "volumeName", fmt::format("ephemeral-{}", volumes_->size()));
      json::object claim{{"resources", {{"requests", {{"storage", get_string(item, "size", "1Gi")}}}}}};
      if (const auto* modes = find_array(item, "accessModes")) claim["accessModes"] = *modes;
      if (!get_bool(item, "defaultStorageClass")) {
        if (const auto text = get_string(item, "storageClassName"); !text.empty()) claim["storageClassName"] = text;
      }
      json::object holder{{"spec", std::move(claim)}};
      if (const auto* metadata = find_object(item, "metadata")) holder["metadata"] = *metadata;
      volumes_->push_back({{"name", name}, {"ephemeral", {{"volumeClaimTemplate", std::move(holder)}}}});
      mount(name, item, false);
    });
    if (const auto* memory = find_object(platform_, "enabledSharedMemory")) {
      const std::string name = get_string(*memory, "volumeName", "shm");
      json::object source{{"medium", "Memory"}};
      if (const auto size = get_string(*memory, "size"); !size.empty()) source["sizeLimit"] = size;
      volumes_->push_back({{"name", name}, {"emptyDir", std::move(source)}});
      mounts_->push_back({{"name", name}, {"mountPath", "/dev/shm"}});
    }
  }

  void init_containers() {
    json::array list;
    each("initContainers", [&](const json::object& item) {
      json::object container{{"name", get_string(item, "name", fmt::format("init-{}", list.size()))}};
      for (const auto key : {"image", "command", "args", "env", "volumeMounts", "restartPolicy", "resources"}) {
        if (const auto* value = item.if_contains(key)) container[key] = *value;
      }
      list.push_back(std::move(container));
    });
    if (!list.empty()) spec_["initContainers"] = std::move(list);
  }

  // A member that is the JSON of what the others say in parts, or nothing.
  static const json::value* whole(const json::object& item, std::string_view key) {
    const auto* value = item.if_contains(key);
    return value != nullptr && !value->is_null() ? value : nullptr;
  }

  static json::object selector_term(const json::object& item) {
    json::object term;
    for (const auto key : {"matchExpressions", "matchFields"}) {
      if (const auto* list = find_array(item, key)) term[key] = *list;
    }
    return term;
  }

  void placement() {
    if (const auto* selector = find_object(platform_, "nodeSelector")) {
      if (const auto* json = whole(*selector, "nodeSelectorJson"); json != nullptr && json->is_object()) {
        spec_["nodeSelector"] = *json;
      } else if (const auto* labels = find_object(*selector, "labels")) {
        spec_["nodeSelector"] = *labels;
      }
    }
    json::array tolerations;
    each("tolerations", [&](const json::object& item) {
      const auto* json = whole(item, "tolerationJson");
      if (json == nullptr) {
        if (!item.empty() && !item.contains("tolerationJson")) tolerations.push_back(item);
      } else if (json->is_array()) {
        for (const auto& one : json->get_array()) tolerations.push_back(one);
      } else if (json->is_object() && !json->get_object().empty()) {
        tolerations.push_back(*json);
      }
    });
    if (!tolerations.empty()) spec_["tolerations"] = std::move(tolerations);
    json::object nodes;
    json::array required, preferred;
    each("nodeAffinity", [&](const json::object& item) {
      if (const auto* json = whole(item, "nodeAffinityJson"); json != nullptr && json->is_object()) {
        for (const auto& [key, value] : json->get_object()) nodes[key] = value;
        return;
      }
      json::object term = selector_term(item);
      if (term.empty()) return;
      if (const auto weight = get_int(item, "weight"); weight > 0) {
        preferred.push_back({{"weight", weight}, {"preference", std::move(term)}});
      } else {
        required.push_back(std::move(term));
      }
    });
    if (!required.empty()) {
      nodes["requiredDuringSchedulingIgnoredDuringExecution"] = {{"nodeSelectorTerms", std::move(required)}};
    }
    if (!preferred.empty()) nodes["preferredDuringSchedulingIgnoredDuringExecution"] = std::move(preferred);
    if (!nodes.empty()) spec_["affinity"] = {{"nodeAffinity", std::move(nodes)}};
  }

  void rest() {
    each("imagePullSecret", [&](const json::object& item) {
      auto& secrets = spec_["imagePullSecrets"];
      if (!secrets.is_array()) secrets = json::array();
      secrets.get_array().push_back(json::object{{"name", get_string(item, "secretName")}});
    });
    if (const auto* meta = find_object(platform_, "podMetadata")) {
      for (const auto key : {"labels", "annotations"}) {
        if (const auto* values = find_object(*meta, key)) {
          for (const auto& [name, value] : *values) metadata_[key].as_object().emplace(name, value);
        }
      }
    }
    if (const auto policy = get_string(platform_, "imagePullPolicy"); !policy.empty()) {
      container_["imagePullPolicy"] = policy;
    }
    if (const auto seconds = get_int(platform_, "activeDeadlineSeconds"); seconds > 0) {
      spec_["activeDeadlineSeconds"] = seconds;
    }
    if (const auto* context = find_object(platform_, "securityContext")) container_["securityContext"] = *context;
  }

  const json::object& platform_;
  json::object& metadata_;
  json::object& spec_;
  json::object& container_;
  json::array* env_ = nullptr;
  json::array* mounts_ = nullptr;
  json::array* volumes_ = nullptr;
};

json::array strings(const std::vector<std::string>& values) {
  json::array array;
  array.reserve(values.size());
  for (const auto& value : values) array.emplace_back(value);
  return array;
}

}  // namespace

json::object make_pod(const PodInputs& in) {
  const auto& launch = *in.spec;
  json::object metadata{{"name", in.name},
                        {"namespace", in.ns},
                        {"labels",
                         {{kRunLabel, launch.run_id},
                          {kTaskLabel, std::to_string(launch.task)},
                          {kAttemptLabel, std::to_string(launch.attempt)}}},
                        {"annotations",
                         {{"pipelines.kubeflow.org/task_display_name", launch.display_name},
                          {"pipelines.kubeflow.org/task_path", launch.path},
                          {kTmpAnnotation, in.folder.string()}}}};
  json::array env;
  for (const auto& [name, value] : in.task->env) env.push_back({{"name", name}, {"value", value}});
  env.push_back({{"name", "KFP_POD_NAME"}, {"value", in.name}});
  env.push_back({{"name", "KFP_POD_UID"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.uid"}}}}}});
  env.push_back({{"name", "KFP_RETRY_INDEX"}, {"value", std::to_string(launch.attempt)}});
  if (!in.path_map.empty()) env.push_back({{"name", "PENSTOCK_PATH_MAP"}, {"value", in.path_map}});
  json::array mounts, volumes;
  for (size_t i = 0; i < in.mounts.size(); ++i) {
    const auto volume = fmt::format("object-{}", i);
    volumes.push_back({{"name", volume}, {"hostPath", {{"path", in.mounts[i].source.string()}}}});
    json::object entry{{"name", volume}, {"mountPath", in.mounts[i].target}};
    if (in.mounts[i].read_only) entry["readOnly"] = true;
    mounts.push_back(std::move(entry));
  }
  for (size_t i = 0; i < in.images.size(); ++i) {
    const auto volume = fmt::format("image-{}", i);
    volumes.push_back({{"name", volume}, {"image", {{"reference", in.images[i].reference}}}});
    mounts.push_back({{"name", volume}, {"mountPath", in.images[i].target}, {"readOnly", true}});
  }
  if (!in.workspace.empty()) {
    volumes.push_back({{"name", "kfp-workspace"}, {"persistentVolumeClaim", {{"claimName", in.workspace}}}});
    mounts.push_back({{"name", "kfp-workspace"}, {"mountPath", "/kfp-workspace"}});
  }
  json::object spec{{"restartPolicy", "Never"}};
  json::object container{{"name", "main"}, {"image", in.task->image}};
  if (!launch.platform.empty()) PlatformWriter(launch.platform, metadata, spec, container).write(env, mounts, volumes);
  if (!in.task->command.empty()) container["command"] = strings(in.task->command);
  if (!in.task->args.empty()) container["args"] = strings(in.task->args);
  // $(NAME) and $$ in a command are Kubernetes' own expansion, which KFP's placeholders never mean.
  for (const auto key : {"command", "args"}) {
    if (auto* list = container.if_contains(key)) {
      for (auto& item : list->as_array()) {
        auto& text = item.as_string();
        for (size_t at = 0; at + 1 < text.size(); ++at) {
          if (text[at] != '$' || (text[at + 1] != '(' && text[at + 1] != '$')) continue;
          text.insert(at, "$");
          ++at;
        }
      }
    }
  }
  container["env"] = std::move(env);
  if (!launch.resources.empty()) container["resources"] = launch.resources;
  if (!mounts.empty()) container["volumeMounts"] = std::move(mounts);
  if (!volumes.empty()) spec["volumes"] = std::move(volumes);
  json::array containers;
  containers.push_back(std::move(container));
  spec["containers"] = std::move(containers);
  return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", std::move(metadata)}, {"spec", std::move(spec)}};
}

void pass_through(engine::LaunchSpec& spec) {
  if (spec.component == nullptr || spec.component->passthroughs.empty()) return;
  using Field = ir::Passthrough::Field;
  json::object metadata{{"labels", json::object()}, {"annotations", json::object()}}, pod, container;
  json::array env, mounts, volumes;
  for (const auto& [name, value] : spec.env) env.push_back({{"name", name}, {"value", value}});
  PlatformWriter(spec.platform, metadata, pod, container).write(env, mounts, volumes);
  json::object config;
  const auto drop = [&](std::initializer_list<std::string_view> settings) {
    for (const auto setting : settings) spec.platform.erase(setting);
  };
  for (const auto& [field, apply] : spec.component->passthroughs) {
    switch (field) {
      case Field::Resources:
        config["resources"] = spec.resources;
        if (!apply) spec.resources.clear();
        break;
      case Field::Env:
        config["env"] = env;
        if (!apply) spec.env.clear();
        if (!apply) drop({"secretAsEnv", "configMapAsEnv", "fieldPathAsEnv"});
        break;
      case Field::Affinity:
        if (const auto* affinity = pod.if_contains("affinity")) config["affinity"] = *affinity;
        if (!apply) drop({"nodeAffinity", "podAffinity"});
        break;
      case Field::Tolerations:
        if (const auto* tolerations = pod.if_contains("tolerations")) config["tolerations"] = *tolerations;
        if (!apply) drop({"tolerations"});
        break;
      case Field::NodeSelector:
        if (const auto* selector = pod.if_contains("nodeSelector")) config["nodeSelector"] = *selector;
        if (!apply) drop({"nodeSelector"});
        break;
      case Field::Volumes:
        config["volumes"] = volumes;
        config["volumeMounts"] = mounts;
        if (!apply) {
          drop({"secretAsVolume", "configMapAsVolume", "pvcMount", "emptyDirMounts", "genericEphemeralVolume",
                "enabledSharedMemory"});
        }
        break;
    }
  }
  auto& inputs = spec.executor_input["inputs"];
  if (!inputs.is_object()) inputs = json::object();
  auto& values = inputs.get_object()["parameterValues"];
  if (!values.is_object()) values = json::object();
  for (const auto& parameter : spec.component->input_parameters) {
    if (parameter.type == ir::ParameterType::TaskConfig) values.get_object()[parameter.name] = config;
  }
}

std::filesystem::path folder_of(const json::object& pod) {
  const auto* metadata = find_object(pod, "metadata");
  const auto* annotations = metadata ? find_object(*metadata, "annotations") : nullptr;
  return annotations ? get_string(*annotations, kTmpAnnotation) : std::string();
}

std::string resource_name(std::string_view pipeline_name, std::string_view run_id) {
  std::string name;
  for (const char c : pipeline_name) {
    if (name.size() >= 36) break;
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      name += c;
    } else if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c + 32);
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (name.empty()) name = "run";
  // An id begins with the time: runs that start together differ at its end only.
  return fmt::format("{}-{}", name, run_id.substr(run_id.size() - std::min<size_t>(run_id.size(), 12)));
}

namespace {

// Of a pod that has not started.
std::string waiting_of(const json::object& status) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    const auto* statuses = find_array(status, list);
    if (statuses == nullptr) continue;
    for (const auto& entry : *statuses) {
      const auto* waiting = find_path(entry, {"state", "waiting"});
      const auto message = waiting != nullptr ? string_at(*waiting, {"message"}) : std::string();
      if (!message.empty()) return string_at(*waiting, {"reason"}) + ": " + message;
    }
  }
  const auto* conditions = find_array(status, "conditions");
  if (conditions == nullptr) return {};
  for (const auto& condition : *conditions) {
    if (string_at(condition, {"type"}) != "PodScheduled" || string_at(condition, {"status"}) != "False") continue;
    return string_at(condition, {"reason"}) + ": " + string_at(condition, {"message"});
  }
  return {};
}

}  // namespace

PodOutcome outcome_of(const json::object& pod) {
  PodOutcome outcome;
  const auto* status = find_object(pod, "status");
  if (status == nullptr) return outcome;
  const auto phase = get_string(*status, "phase");
  outcome.finished = phase == "Succeeded" || phase == "Failed";
  outcome.succeeded = phase == "Succeeded";
  outcome.started = phase == "Running" || outcome.succeeded;
  if (!outcome.started && !outcome.finished) outcome.waiting = waiting_of(*status);
  outcome.reason = get_string(*status, "reason");
  outcome.message = get_string(*status, "message");
  if (const auto start = parse_time(get_string(*status, "startTime"))) outcome.started_at = *start;
  // Of init containers only what kept the others from running: sidecars end as they like.
  if (const auto* init = find_array(*status, "initContainerStatuses"); init != nullptr && phase == "Failed") {
    const auto* mains = find_array(*status, "containerStatuses");
    const bool ran = mains != nullptr && !mains->empty() && find_path((*mains)[0], {"state", "terminated"}) != nullptr;
    for (const auto& entry : *init) {
      const auto* ended = find_path(entry, {"state", "terminated"});
      const int code = ended != nullptr ? static_cast<int>(get_int(ended->as_object(), "exitCode")) : 0;
      if (ran || code == 0) continue;
      outcome.exit_code = code;
      outcome.message = fmt::format("container {} ended with exit code {}", string_at(entry, {"name"}), code);
      if (const auto why = string_at(*ended, {"message"}); !why.empty()) outcome.message += ": " + why;
      break;
    }
  }
  const auto* containers = find_array(*status, "containerStatuses");
  if (containers == nullptr) return outcome;
  for (const auto& entry : *containers) {
    if (const auto* running = find_path(entry, {"state", "running"})) {
      outcome.started = true;
      if (const auto at = parse_time(string_at(*running, {"startedAt"}))) outcome.started_at = *at;
    }
    const auto* ended = find_path(entry, {"state", "terminated"});
    if (ended == nullptr || !ended->is_object()) continue;
    const auto& state = ended->get_object();
    if (const auto at = parse_time(get_string(state, "startedAt"))) {
      outcome.started = true;
      outcome.started_at = *at;
    }
    if (const auto at = parse_time(get_string(state, "finishedAt"))) outcome.finished_at = *at;
    const int code = static_cast<int>(get_int(state, "exitCode"));
    if (code == 0) continue;
    outcome.exit_code = code;
    if (const auto reason = get_string(state, "reason"); reason != "Error" && outcome.reason.empty()) {
      outcome.reason = reason;
    }
    if (auto message = get_string(state, "message"); !message.empty() && outcome.message.empty()) {
      outcome.message = std::move(message);
    }
  }
  return outcome;
}

}  // namespace penstock::pipelines
