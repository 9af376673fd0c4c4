// Templates that do something themselves: container, script, resource and suspend.
#include "pipelines/argo/translator.h"

namespace penstock::argo {

namespace {

// Where Argo puts a script; programs may know it.
constexpr std::string_view kScriptPath = "/argo/staging/script";
constexpr std::string_view kV2Component = "pipelines.kubeflow.org/v2_component";

json::value merged_lists(const json::value* first, const json::value* second) {
  json::array list;
  std::set<std::string> names;
  for (const auto* one : {first, second}) {
    if (one == nullptr || !one->is_array()) continue;
    for (const auto& item : one->get_array()) {
      if (names.insert(string_at(item, {"name"})).second) list.push_back(item);
    }
  }
  return list;
}

// kubectl's other words for the kinds that there are.
std::string kind_of(std::string_view word) {
  static constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"configmap", "ConfigMap"},
      {"cm", "ConfigMap"},
      {"event", "Event"},
      {"ev", "Event"},
      {"namespace", "Namespace"},
      {"ns", "Namespace"},
      {"persistentvolumeclaim", "PersistentVolumeClaim"},
      {"pvc", "PersistentVolumeClaim"},
      {"pod", "Pod"},
      {"po", "Pod"},
      {"secret", "Secret"}};
  std::string lower(word);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const auto& [name, kind] : kKinds) {
    if (lower == name || lower == std::string(name) + "s") return std::string(kind);
  }
  return std::string(word);
}

struct DeleteStep {
  std::string kind, name, ns;
  bool missing_ok = false;
};

// Nothing for any other command, also for one with a flag that would have to be obeyed and cannot.
std::optional<DeleteStep> delete_step(const json::object& spec) {
  const auto* container = find_object(spec, "container");
  if (container == nullptr || find(spec, "outputs") != nullptr || find(spec, "sidecars") != nullptr ||
      find(spec, "initContainers") != nullptr) {
    return std::nullopt;
  }
  std::vector<std::string> words;
  for (const std::string_view list : {"command", "args"}) {
    const auto* given = find_array(*container, list);
    if (given == nullptr) continue;
    for (const auto& word : *given) words.push_back(ir::text_of(word));
  }
  if (words.size() < 4 || words[0] != "kubectl" || words[1] != "delete") return std::nullopt;
  DeleteStep step;
  std::vector<std::string> plain;
  for (size_t i = 2; i < words.size(); ++i) {
    const std::string flag = words[i].substr(0, words[i].find('='));
    const bool joined = flag.size() < words[i].size();
    const std::string value = joined ? words[i].substr(flag.size() + 1) : "";
    if (!words[i].starts_with('-')) {
      plain.push_back(words[i]);
    } else if (flag == "--ignore-not-found") {
      step.missing_ok = value != "false";
    } else if (flag == "--wait" || flag == "--now" || flag == "--force" || (flag == "--cascade" && joined)) {
      // Nothing here takes longer, or is left behind.
    } else if (flag == "-n" || flag == "--namespace" || flag == "-o" || flag == "--output" ||
               flag == "--grace-period" || flag == "--timeout") {
      if (!joined && ++i == words.size()) return std::nullopt;
      if (flag == "-n" || flag == "--namespace") step.ns = joined ? value : words[i];
    } else {
      return std::nullopt;
    }
  }
  if (plain.size() != 2) return std::nullopt;
  step.kind = kind_of(plain[0]);
  step.name = plain[1];
  return step;
}

}  // namespace

bool is_delete_step(const Template& from) { return delete_step(*from.spec).has_value(); }

class LeafTranslator {
 public:
  LeafTranslator(Translator& translator, Template& from) : translator_(translator), from_(from), spec_(*from.spec) {}

  void run() {
    ir::Executor executor;
    executor.label = from_.component->name;
    executor.daemon = ir::bool_member(spec_, "daemon", from_.path);
    json::object made;
    if (ir::member(spec_, "resource") != nullptr) {
      executor.kind = ir::Executor::Kind::Resource;
      made = resource();
    } else if (ir::member(spec_, "http") != nullptr) {
      executor.kind = ir::Executor::Kind::Http;
      made = http();
    } else if (ir::member(spec_, "suspend") != nullptr) {
      executor.kind = ir::Executor::Kind::Suspend;
      made = suspend();
    } else if (const auto step = delete_step(spec_)) {
      executor.kind = ir::Executor::Kind::Resource;
      made = delete_resource(*step);
    } else {
      executor.kind = ir::Executor::Kind::Workload;
      made = workload();
    }
    paths(made);
    memoize(made);
    translator_.check_leaf(made, from_, from_.path);
    executor.spec = &translator_.keep(std::move(made)).get_object();
    std::string names = translator_.not_applied_;
    add_names(names, not_applied_);
    if (!names.empty()) executor.not_applied = std::make_shared<const std::string>(std::move(names));
    auto& kept = translator_.pipeline_.executors.emplace(executor.label, std::move(executor)).first->second;
    from_.component->executor = &kept;
  }

 private:
  // By name, so that references in them are filled in.
  void paths(json::object& made) {
    const ir::Component& component = *from_.component;
    json::object parameters, artifacts, inputs, constants;
    for (const auto& def : component.output_parameters) {
      if (def.found == ir::Found::File || def.found == ir::Found::JsonPath) parameters[def.name] = def.at;
      if (def.found == ir::Found::Constant) constants[def.name] = def.at;
    }
    for (const auto& def : component.output_artifacts) artifacts[def.name] = def.path;
    for (const auto& def : component.input_artifacts) inputs[def.name] = def.path;
    json::object outputs;
    if (!parameters.empty()) outputs["parameters"] = std::move(parameters);
    if (!artifacts.empty()) outputs["artifacts"] = std::move(artifacts);
    if (!outputs.empty()) made["outputs"] = std::move(outputs);
    if (!inputs.empty()) made["inputs"] = std::move(inputs);
    if (!constants.empty()) made["constants"] = std::move(constants);
  }

  // {"key", "cache": the name of Argo's config map}: what the cache finds its outputs by.
  void memoize(json::object& made) {
    const auto* memo = ir::object_member(spec_, "memoize", from_.path);
    if (memo == nullptr) return;
    const std::string path = from_.path + ".memoize";
    check_fields(*memo, path, {"key", "maxAge", "cache"});
    const std::string key = ir::string_member(*memo, "key", path);
    if (key.empty()) throw invalid("{}.key: missing", path);
    const auto* cache = ir::object_member(*memo, "cache", path);
    const auto* map = cache != nullptr ? ir::object_member(*cache, "configMap", path + ".cache") : nullptr;
    std::string name = map != nullptr ? ir::string_member(*map, "name", path + ".cache.configMap") : "";
    if (name.empty()) name = "/" + from_.component->name;
    made["memoize"] = json::object{{"key", key}, {"cache", name}};
  }

  // Of templates that have no pod.
  void note_pod_fields(std::initializer_list<std::string_view> more) {
    for (const std::string_view name : {"initContainers", "sidecars", "volumes", "podSpecPatch"}) {
      if (ir::member(spec_, name) != nullptr) add_names(not_applied_, name);
    }
    for (const std::string_view name : more) {
      if (ir::member(spec_, name) == nullptr) continue;
      throw Error(Code::InvalidArgument, fmt::format("{}.{}: not supported for pauses and requests", from_.path, name),
                  fmt::format("{}.{}", from_.path, name));
    }
  }

  json::object suspend() {
    const std::string path = from_.path + ".suspend";
    note_pod_fields({"activeDeadlineSeconds", "timeout"});
    const auto* body = ir::object_member(spec_, "suspend", from_.path);
    check_fields(*body, path, {"duration"});
    const auto* duration = ir::member(*body, "duration");
    if (duration == nullptr) return {{"seconds", ""}};  // until it is resumed
    const std::string text = any_text(*duration, path + ".duration");
    if (text.find("{{") == std::string::npos && !duration_seconds(text)) {
      throw invalid("{}.duration: \"{}\" is no duration; write it as \"30s\", \"5m\" or \"1h\"", path, text);
    }
    return {{"seconds", text}};
  }

  json::object delete_resource(const DeleteStep& step) {
    json::object metadata{{"name", step.name}};
    if (!step.ns.empty()) metadata["namespace"] = step.ns;
    json::object manifest{{"apiVersion", "v1"}, {"kind", step.kind}, {"metadata", std::move(metadata)}};
    json::object made{{"action", "delete"}, {"manifest", std::move(manifest)}, {"missingIsError", !step.missing_ok}};
    deadline(made);
    return made;
  }

  json::object resource() {
    const std::string path = from_.path + ".resource";
    note_pod_fields({});
    const auto* body = ir::object_member(spec_, "resource", from_.path);
    add_names(not_applied_, check_fields(*body, path,
                                         {"action", "manifest", "successCondition", "failureCondition", "mergeStrategy",
                                          "setOwnerReference", "flags"}));
    const std::string action = ir::string_member(*body, "action", path);
    bool known = false;
    for (const std::string_view one : {"get", "create", "apply", "delete", "replace", "patch"}) known |= one == action;
    if (!known) {
      throw invalid("{}.action: \"{}\" is none of get, create, apply, delete, replace and patch", path, action);
    }
    if (ir::string_member(*body, "manifest", path).empty()) throw invalid("{}.manifest: missing", path);
    if (ir::bool_member(*body, "setOwnerReference", path)) add_names(not_applied_, "setOwnerReference");
    if (const auto* flags = ir::array_member(*body, "flags", path); flags != nullptr && !flags->empty()) {
      add_names(not_applied_, "flags");
    }
    json::object made;
    for (const std::string_view name :
         {"action", "manifest", "successCondition", "failureCondition", "mergeStrategy"}) {
      const std::string text = ir::string_member(*body, name, path);
      if (!text.empty()) made[name] = text;
    }
    deadline(made);
    return made;
  }

  json::object http() {
    const std::string path = from_.path + ".http";
    note_pod_fields({"activeDeadlineSeconds", "timeout"});
    const auto* body = ir::object_member(spec_, "http", from_.path);
    check_fields(*body, path, {"method", "url", "headers", "body", "timeoutSeconds", "successCondition"});
    json::object made;
    for (const std::string_view name : {"method", "url", "body", "successCondition"}) {
      const std::string text = ir::string_member(*body, name, path);
      if (!text.empty()) made[name] = text;
    }
    if (!made.contains("url")) throw invalid("{}.url: missing", path);
    if (const auto* condition = made.if_contains("successCondition")) {
      const std::string text = ir::text_of(*condition);
      if (text.find("{{") == std::string::npos) translator_.parse_expression(text, path + ".successCondition");
    }
    made["timeoutSeconds"] = whole(*body, "timeoutSeconds", 30, path);
    json::array headers;
    if (const auto* list = ir::array_member(*body, "headers", path)) {
      for (size_t i = 0; i < list->size(); ++i) {
        const std::string at = fmt::format("{}.headers[{}]", path, i);
        const auto& header = ir::as_object((*list)[i], at);
        check_fields(header, at, {"name", "value"});
        if (ir::string_member(header, "name", at).empty()) throw invalid("{}.name: missing", at);
        headers.push_back(
            {{"name", ir::string_member(header, "name", at)}, {"value", ir::string_member(header, "value", at)}});
      }
    }
    made["headers"] = std::move(headers);
    return made;
  }

  json::object workload() {
    if (const auto* annotations = ir::object_member(spec_, "metadata", from_.path);
        annotations != nullptr && find_path(*ir::member(spec_, "metadata"), {"annotations", kV2Component}) != nullptr) {
      throw invalid(
          "{}.metadata.annotations[{}]: workflows of the v2-compatible mode need a launcher that is not here; compile "
          "the "
          "pipeline in the mode V1_LEGACY, or with version 2 of the SDK",
          from_.path, kV2Component);
    }
    json::object made;
    const bool script = ir::member(spec_, "script") != nullptr;
    const std::string path = from_.path + (script ? ".script" : ".container");
    const auto* body = ir::object_member(spec_, script ? "script" : "container", from_.path);
    if (body == nullptr) {
      container_set(made);
    } else {
      made["main"] = container(*body, path, script);
    }
    json::array files, objects;
    if (script) {
      const std::string source = ir::string_member(*body, "source", path);
      if (source.empty()) throw invalid("{}.source: missing", path);
      files.push_back(json::object{{"path", kScriptPath}, {"data", source}, {"mode", 0755}});
      auto& main = made["main"].get_object();
      auto& args = main["args"];
      if (!args.is_array()) args = json::array();
      args.get_array().emplace_back(kScriptPath);
    }
    input_contents(files, objects);
    if (!files.empty()) made["files"] = std::move(files);
    if (!objects.empty()) made["objects"] = std::move(objects);
    const auto* mounts = find_array(made["main"].get_object(), "volumeMounts");
    for (const std::string_view list : {"initContainers", "sidecars"}) {
      json::array containers = others(list, mounts != nullptr ? *mounts : json::array());
      if (!containers.empty()) made[list] = std::move(containers);
    }
    made["volumes"] = volumes();
    if (const auto* metadata = ir::object_member(spec_, "metadata", from_.path)) made["metadata"] = *metadata;
    deadline(made);
    json::array patches;
    for (const auto* from : {translator_.spec_, &spec_}) {
      const std::string text = ir::string_member(*from, "podSpecPatch", from_.path);
      if (!text.empty()) patches.emplace_back(text);
    }
    if (!patches.empty()) made["podSpecPatch"] = std::move(patches);
    return made;
  }

  void deadline(json::object& made) {
    if (const auto* value = ir::member(spec_, "activeDeadlineSeconds")) {
      made["activeDeadlineSeconds"] = any_text(*value, from_.path + ".activeDeadlineSeconds");
    }
    if (const auto* value = ir::member(spec_, "timeout")) {
      const std::string text = any_text(*value, from_.path + ".timeout");
      if (text.find("{{") == std::string::npos && !duration_seconds(text)) {
        throw invalid("{}.timeout: \"{}\" is no duration", from_.path, text);
      }
      made["timeout"] = text;
    }
  }

  json::object container(const json::object& body, const std::string& path, bool script) {
    std::string names =
        check_fields(body, path,
                     {"name", "image", "command", "args", "env", "envFrom", "resources", "volumeMounts", "workingDir",
                      "source", "mirrorVolumeMounts"},
                     {"imagePullPolicy", "ports", "securityContext", "stdin", "stdinOnce", "tty", "livenessProbe",
                      "readinessProbe", "startupProbe", "lifecycle", "terminationMessagePath",
                      "terminationMessagePolicy", "volumeDevices", "resizePolicy", "restartPolicy"});
    add_names(not_applied_, names);
    if (!script && ir::member(body, "source") != nullptr) throw invalid("{}.source: only scripts have one", path);
    if (ir::string_member(body, "image", path).empty()) throw invalid("{}.image: missing", path);
    json::object made;
    for (const std::string_view name : {"image", "workingDir"}) {
      const std::string text = ir::string_member(body, name, path);
      if (!text.empty()) made[name] = text;
    }
    for (const std::string_view name : {"command", "args"}) {
      const auto* value = ir::member(body, name);
      if (value == nullptr) continue;
      json::array words;
      if (value->is_array()) {
        for (const auto& word : value->get_array()) words.emplace_back(any_text(word, path + "." + std::string(name)));
      } else {
        words.emplace_back(any_text(*value, path + "." + std::string(name)));
      }
      made[name] = std::move(words);
    }
    if (const auto* env = ir::array_member(body, "env", path)) {
      json::array list;
      for (const auto& item : *env) {
        json::object variable = ir::as_object(item, path + ".env");
        if (auto* value = variable.if_contains("value"); value != nullptr && !value->is_null()) {
          *value = any_text(*value, path + ".env.value");
        }
        list.push_back(std::move(variable));
      }
      made["env"] = std::move(list);
    }
    for (const std::string_view name : {"envFrom", "volumeMounts"}) {
      if (const auto* list = ir::array_member(body, name, path)) made[name] = *list;
    }
    if (const auto* resources = ir::object_member(body, "resources", path)) made["resources"] = *resources;
    return made;
  }

  // One pod: "set" are the containers beside the main one, which is called main or else the first.
  void container_set(json::object& made) {
    const std::string path = from_.path + ".containerSet";
    const auto* body = ir::object_member(spec_, "containerSet", from_.path);
    check_fields(*body, path, {"containers", "volumeMounts"});
    const auto* list = ir::array_member(*body, "containers", path);
    if (list == nullptr || list->empty()) throw invalid("{}.containers: missing", path);
    const auto* mounts = ir::array_member(*body, "volumeMounts", path);
    json::array set;
    std::map<std::string, std::vector<std::string>> waits;
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string at = fmt::format("{}.containers[{}]", path, i);
      json::object given = ir::as_object((*list)[i], at);
      const std::string name = ir::string_member(given, "name", at);
      const bool label = !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == name.npos;
      if (!label) throw invalid("{}.name: \"{}\" is no name for a container", at, name);
      if (waits.contains(name)) throw invalid("{}.name: there is another container \"{}\"", at, name);
      json::array before;
      if (const auto* dependencies = ir::array_member(given, "dependencies", at)) before = *dependencies;
      given.erase("dependencies");
      json::object one = container(given, at, false);
      if (one["command"].is_null()) throw invalid("{}.command: missing", at);
      one["name"] = name;
      for (const auto& word : before) waits[name].push_back(any_text(word, at + ".dependencies"));
      waits[name];
      if (!before.empty()) one["dependencies"] = std::move(before);
      if (mounts != nullptr) {
        auto& own = one["volumeMounts"];
        if (!own.is_array()) own = json::array();
        own.get_array().insert(own.get_array().end(), mounts->begin(), mounts->end());
      }
      set.push_back(std::move(one));
    }
    check_order(waits, path);
    auto main =
        std::find_if(set.begin(), set.end(), [](const auto& one) { return string_at(one, {"name"}) == "main"; });
    const auto& outputs = *from_.component;
    if (main == set.end() && !(outputs.output_parameters.empty() && outputs.output_artifacts.empty())) {
      throw invalid("{}.containers: outputs are those of the container \"main\", which is missing", path);
    }
    if (main == set.end()) main = set.begin();
    made["main"] = *main;
    set.erase(main);
    made["set"] = std::move(set);
  }

  static void check_order(const std::map<std::string, std::vector<std::string>>& waits, const std::string& path) {
    std::set<std::string> done;
    for (bool more = true; more;) {
      more = false;
      for (const auto& [name, before] : waits) {
        const bool ready =
            std::all_of(before.begin(), before.end(), [&](const auto& one) { return done.contains(one); });
        if (ready && done.insert(name).second) more = true;
      }
    }
    for (const auto& [name, before] : waits) {
      for (const auto& one : before) {
        if (!waits.contains(one)) throw invalid("{}.containers: there is no container \"{}\"", path, one);
      }
      if (!done.contains(name)) throw invalid("{}.containers: \"{}\" waits for itself", path, name);
    }
  }

  json::array others(std::string_view list, const json::array& main_mounts) {
    json::array made;
    const auto* containers = ir::array_member(spec_, list, from_.path);
    if (containers == nullptr) return made;
    for (size_t i = 0; i < containers->size(); ++i) {
      const std::string path = fmt::format("{}.{}[{}]", from_.path, list, i);
      const auto& body = ir::as_object((*containers)[i], path);
      json::object one = container(body, path, false);
      one["name"] = ir::string_member(body, "name", path);
      if (to_view(one["name"].get_string()).empty()) throw invalid("{}.name: missing", path);
      const auto* mirror = ir::member(body, "mirrorVolumeMounts");
      if (mirror != nullptr && any_text(*mirror, path + ".mirrorVolumeMounts") != "false") {
        json::array mounts = main_mounts;
        if (const auto* own = find_array(one, "volumeMounts")) mounts.insert(mounts.end(), own->begin(), own->end());
        if (!mounts.empty()) one["volumeMounts"] = std::move(mounts);
      }
      made.push_back(std::move(one));
    }
    return made;
  }

  // The template's own before the workflow's; claims of volumeClaimTemplates among the latter.
  json::value volumes() {
    json::value own =
        merged_lists(ir::array_member(spec_, "volumes", from_.path) != nullptr ? ir::member(spec_, "volumes") : nullptr,
                     ir::member(*translator_.spec_, "volumes"));
    if (const auto* claims = ir::array_member(*translator_.spec_, "volumeClaimTemplates", "spec")) {
      for (const auto& claim : *claims) {
        const std::string name = string_at(claim, {"metadata", "name"});
        own.get_array().push_back(json::object{
            {"name", name}, {"persistentVolumeClaim", {{"claimName", fmt::format("{{{{workflow.name}}}}-{}", name)}}}});
      }
    }
    // Only what is mounted: the others may name inputs of other templates.
    json::array used;
    std::set<std::string> wanted;
    auto note = [&](const json::object* container) {
      const auto* mounts = container != nullptr ? find_array(*container, "volumeMounts") : nullptr;
      if (mounts == nullptr) return;
      for (const auto& mount : *mounts) wanted.insert(string_at(mount, {"name"}));
    };
    note(ir::object_member(spec_, "container", from_.path));
    note(ir::object_member(spec_, "script", from_.path));
    for (const std::string_view list : {"initContainers", "sidecars"}) {
      const auto* containers = ir::array_member(spec_, list, from_.path);
      if (containers == nullptr) continue;
      for (const auto& container : *containers) note(container.if_object());
    }
    if (const auto* set = ir::object_member(spec_, "containerSet", from_.path)) {
      note(set);
      const auto* containers = ir::array_member(*set, "containers", from_.path + ".containerSet");
      for (size_t i = 0; containers != nullptr && i < containers->size(); ++i) note((*containers)[i].if_object());
    }
    for (auto& volume : own.get_array()) {
      if (!volume.is_object() || !wanted.contains(string_at(volume, {"name"}))) continue;
      // One that is only named is an empty folder.
      if (volume.get_object().size() == 1) volume.get_object()["emptyDir"] = json::object();
      used.push_back(std::move(volume));
    }
    return used;
  }

  void input_contents(json::array& files, json::array& objects) {
    const auto* inputs = ir::object_member(spec_, "inputs", from_.path);
    const auto* list = inputs != nullptr ? ir::array_member(*inputs, "artifacts", from_.path + ".inputs") : nullptr;
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string path = fmt::format("{}.inputs.artifacts[{}]", from_.path, i);
      const auto& artifact = ir::as_object((*list)[i], path);
      const std::string at = ir::string_member(artifact, "path", path);
      if (const auto* raw = ir::object_member(artifact, "raw", path)) {
        files.push_back(json::object{{"path", at},
                                     {"data", ir::string_member(*raw, "data", path + ".raw")},
                                     {"mode", ir::number_member(artifact, "mode", 0644, path)}});
      } else if (const auto* s3 = ir::object_member(artifact, "s3", path)) {
        const std::string key = ir::string_member(*s3, "key", path + ".s3");
        if (key.empty()) continue;  // where an argument's artifact lies is known
        std::string bucket = ir::string_member(*s3, "bucket", path + ".s3");
        if (bucket.empty()) bucket = "mlpipeline";
        objects.push_back(json::object{{"path", at}, {"uri", fmt::format("minio://{}/{}", bucket, key)}});
      }
    }
  }

  Translator& translator_;
  Template& from_;
  const json::object& spec_;
  std::string not_applied_;
};

void Translator::read_leaf(Template& from) {
  LeafTranslator leaf(*this, from);
  leaf.run();
  ir::Executor& executor = pipeline_.executors.find(from.component->name)->second;
  std::string names = executor.not_applied ? *executor.not_applied : std::string();
  for (const std::string_view name : {"nodeSelector", "tolerations", "affinity", "schedulerName", "priorityClassName",
                                      "priority", "securityContext", "hostAliases", "archiveLocation", "metrics",
                                      "executor", "automountServiceAccountToken", "serviceAccountName"}) {
    const auto* value = ir::member(*from.spec, name);
    const bool empty = value == nullptr || (value->is_object() && value->get_object().empty()) ||
                       (value->is_array() && value->get_array().empty());
    if (!empty) add_names(names, name);
  }
  if (!names.empty()) executor.not_applied = std::make_shared<const std::string>(std::move(names));
  executor.not_applied_in_images = executor.not_applied;
}

}  // namespace penstock::argo
