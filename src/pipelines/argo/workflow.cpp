#include "pipelines/argo/workflow.h"

#include "pipelines/argo/translator.h"

namespace penstock::argo {

namespace {

constexpr std::string_view kPipelineSpec = "pipelines.kubeflow.org/pipeline_spec";

// What the SDK tells of the pipeline beside the workflow; null when it tells nothing that can be read.
json::value pipeline_note(const json::object& workflow) {
  const auto* metadata = find_object(workflow, "metadata");
  const auto* annotations = metadata != nullptr ? find_object(*metadata, "annotations") : nullptr;
  const auto* note = annotations != nullptr ? annotations->if_contains(kPipelineSpec) : nullptr;
  if (note == nullptr || !note->is_string()) return nullptr;
  try {
    return parse_json(to_view(note->get_string()));
  } catch (const Error&) {
    return nullptr;
  }
}

// "dag", "steps", …; which of them a template has.
std::vector<std::string_view> bodies_of(const json::object& spec) {
  std::vector<std::string_view> found;
  for (const std::string_view body :
       {"container", "script", "containerSet", "dag", "steps", "resource", "suspend", "http"}) {
    if (ir::member(spec, body) != nullptr) found.push_back(body);
  }
  return found;
}

template <class Def>
void sort_definitions(std::vector<Def>& list, const std::string& path) {
  std::sort(list.begin(), list.end(), [](const Def& a, const Def& b) { return a.name < b.name; });
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].name.empty()) throw invalid("{}: one has no name", path);
    if (i > 0 && list[i].name == list[i - 1].name) throw invalid("{}: there are two named \"{}\"", path, list[i].name);
  }
}

ir::ArtifactDef artifact_def(const json::object& spec, const std::string& path) {
  ir::ArtifactDef def;
  def.name = ir::string_member(spec, "name", path);
  def.type = {{"schemaTitle", "system.Artifact"}, {"schemaVersion", "0.0.1"}};
  def.path = ir::string_member(spec, "path", path);
  def.optional = ir::bool_member(spec, "optional", path);
  def.mode = static_cast<int>(ir::number_member(spec, "mode", -1, path));
  def.global_name = ir::string_member(spec, "globalName", path);
  if (!def.path.empty() && def.path[0] != '/') throw invalid("{}.path: \"{}\" must be absolute", path, def.path);
  return def;
}

class Definitions {
 public:
  Definitions(ir::Pipeline& pipeline, const Template& from)
      : pipeline_(pipeline), from_(from), component_(*from.component), spec_(*from.spec) {}

  void read() {
    if (const auto* inputs = ir::object_member(spec_, "inputs", from_.path))
      read_inputs(*inputs, from_.path + ".inputs");
    if (const auto* outputs = ir::object_member(spec_, "outputs", from_.path)) {
      read_outputs(*outputs, from_.path + ".outputs");
    }
    if (from_.captures) add_result();
    sort_definitions(component_.input_parameters, from_.path + ".inputs.parameters");
    sort_definitions(component_.input_artifacts, from_.path + ".inputs.artifacts");
    sort_definitions(component_.output_parameters, from_.path + ".outputs.parameters");
    sort_definitions(component_.output_artifacts, from_.path + ".outputs.artifacts");
  }

 private:
  bool is_leaf() const { return ir::member(spec_, "dag") == nullptr && ir::member(spec_, "steps") == nullptr; }

  template <class Use>
  void each(const json::object& side, std::string_view name, const std::string& path, Use use) {
    const auto* list = ir::array_member(side, name, path);
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string at = fmt::format("{}.{}[{}]", path, name, i);
      use(ir::as_object((*list)[i], at), at);
    }
  }

  void read_inputs(const json::object& inputs, const std::string& path) {
    check_fields(inputs, path, {"parameters", "artifacts"});
    each(inputs, "parameters", path, [&](const json::object& item, const std::string& at) {
      check_fields(item, at, {"name", "value", "default", "enum", "description"});
      component_.input_parameters.push_back(input_parameter(item, at));
    });
    each(inputs, "artifacts", path, [&](const json::object& item, const std::string& at) {
      check_fields(item, at, {"name", "path", "raw", "s3", "optional", "mode", "archive", "from", "description"});
      ir::ArtifactDef def = artifact_def(item, at);
      const auto* s3 = ir::object_member(item, "s3", at);
      const bool given = ir::member(item, "raw") != nullptr || (s3 != nullptr && s3->contains("key"));
      if (given && is_leaf()) def.optional = true;
      if (is_leaf() && def.path.empty()) throw invalid("{}.path: missing", at);
      component_.input_artifacts.push_back(std::move(def));
    });
  }

  ir::ParameterDef input_parameter(const json::object& item, const std::string& path) {
    ir::ParameterDef def;
    def.name = ir::string_member(item, "name", path);
    def.type = ir::ParameterType::String;
    for (const std::string_view name : {"value", "default"}) {
      const auto* value = ir::member(item, name);
      if (value == nullptr) continue;
      def.default_value = &pipeline_.values.emplace_back(any_text(*value, path + "." + std::string(name)));
      def.optional = true;
      break;
    }
    def.literals = ir::array_member(item, "enum", path);
    return def;
  }

  void read_outputs(const json::object& outputs, const std::string& path) {
    check_fields(outputs, path, {"parameters", "artifacts"});
    each(outputs, "parameters", path, [&](const json::object& item, const std::string& at) {
      check_fields(item, at, {"name", "value", "valueFrom", "description", "globalName"});
      component_.output_parameters.push_back(output_parameter(item, at));
    });
    each(outputs, "artifacts", path, [&](const json::object& item, const std::string& at) {
      check_fields(item, at,
                   {"name", "path", "optional", "mode", "from", "fromExpression", "description", "globalName"},
                   {"archive", "s3", "artifactGC", "deleted", "recurseMode"});
      ir::ArtifactDef def = artifact_def(item, at);
      // The SDK declares them for steps that write none, too.
      def.optional |= def.name == "mlpipeline-metrics" || def.name == "mlpipeline-ui-metadata";
      if (is_leaf() && def.path.empty()) throw invalid("{}.path: missing", at);
      component_.output_artifacts.push_back(std::move(def));
    });
  }

  ir::ParameterDef output_parameter(const json::object& item, const std::string& path) {
    ir::ParameterDef def;
    def.name = ir::string_member(item, "name", path);
    def.type = ir::ParameterType::String;
    const auto* from = ir::object_member(item, "valueFrom", path);
    const auto* fallback = from != nullptr ? ir::member(*from, "default") : nullptr;
    def.global_name = ir::string_member(item, "globalName", path);
    if (fallback != nullptr) {
      def.default_value = &pipeline_.values.emplace_back(any_text(*fallback, path + ".valueFrom.default"));
      def.optional = true;
    }
    if (!is_leaf()) return def;
    if (from == nullptr) {
      const auto* value = ir::member(item, "value");
      if (value == nullptr) throw invalid("{}.valueFrom: missing", path);
      def.found = ir::Found::Constant;
      def.at = any_text(*value, path + ".value");
      return def;
    }
    if (ir::member(spec_, "http") != nullptr) throw invalid("{}.valueFrom: requests have their result alone", path);
    const bool resource = ir::member(spec_, "resource") != nullptr;
    const std::string_view way = resource ? "jsonPath" : "path";
    check_fields(*from, path + ".valueFrom", {way, "default"});
    def.found = resource ? ir::Found::JsonPath : ir::Found::File;
    def.at = ir::string_member(*from, way, path + ".valueFrom");
    if (def.at.empty()) throw invalid("{}.valueFrom.{}: missing", path, way);
    if (!resource && def.at[0] != '/') throw invalid("{}.valueFrom.path: \"{}\" must be absolute", path, def.at);
    return def;
  }

  void add_result() {
    ir::ParameterDef def;
    const auto& outputs = component_.output_parameters;
    const bool taken =
        std::any_of(outputs.begin(), outputs.end(), [](const auto& one) { return one.name == "result"; });
    def.name = taken ? "outputs.result" : "result";
    def.type = ir::ParameterType::String;
    def.found = ir::Found::Stdout;
    component_.output_parameters.push_back(std::move(def));
  }

  ir::Pipeline& pipeline_;
  const Template& from_;
  ir::Component& component_;
  const json::object& spec_;
};

}  // namespace

std::string workflow_name(const json::object& workflow) {
  std::string name = string_at(pipeline_note(workflow), {"name"});
  if (name.empty()) name = string_at(workflow, {"metadata", "name"});
  if (name.empty()) name = string_at(workflow, {"metadata", "generateName"});
  while (name.ends_with('-')) name.pop_back();
  return name;
}

void Translator::read() {
  workflow_ = &pipeline_.spec.get_object();
  check_fields(*workflow_, "workflow", {"apiVersion", "kind", "metadata", "spec"}, {"status"});
  const std::string version = get_string(*workflow_, "apiVersion");
  if (!version.empty() && !version.starts_with("argoproj.io/")) {
    throw invalid("apiVersion: \"{}\" is no version of argoproj.io", version);
  }
  spec_ = ir::object_member(*workflow_, "spec", "workflow");
  if (spec_ == nullptr) throw invalid("spec: missing");
  pipeline_.name = workflow_name(*workflow_);
  if (pipeline_.name.empty()) throw invalid("metadata.name: missing; every workflow needs a name or a generateName");
  pipeline_.description = string_at(pipeline_note(*workflow_), {"description"});
  read_spec();
  find_templates();
  read_root();
  Template& entry = templates_.find(get_string(*spec_, "entrypoint"))->second;
  for (auto& [name, from] : templates_) {
    if (&from != &entry) read_implementation(from, *from.component);
  }
  // The root stands for it, unless it is called as well.
  if (called_.contains(entry.component)) read_implementation(entry, *entry.component);
  mark_recursion();
}

void Translator::read_spec() {
  not_applied_ =
      check_fields(*spec_, "spec",
                   {"entrypoint", "templates", "arguments", "onExit", "parallelism", "volumes", "volumeClaimTemplates",
                    "volumeClaimGC", "activeDeadlineSeconds", "podSpecPatch", "serviceAccountName", "hooks"},
                   {"automountServiceAccountToken",
                    "executor",
                    "artifactRepositoryRef",
                    "nodeSelector",
                    "affinity",
                    "tolerations",
                    "imagePullSecrets",
                    "hostNetwork",
                    "dnsPolicy",
                    "dnsConfig",
                    "ttlStrategy",
                    "ttlSecondsAfterFinished",
                    "priority",
                    "schedulerName",
                    "podGC",
                    "podPriorityClassName",
                    "podPriority",
                    "hostAliases",
                    "securityContext",
                    "podDisruptionBudget",
                    "metrics",
                    "archiveLogs",
                    "workflowMetadata",
                    "podMetadata",
                    "artifactGC"});
  // The SDK writes this account into every workflow.
  const std::string account = ir::string_member(*spec_, "serviceAccountName", "spec");
  if (!account.empty() && account != "pipeline-runner") add_names(not_applied_, "serviceAccountName");
  const double deadline = ir::number_member(*spec_, "activeDeadlineSeconds", 0, "spec");
  if (!(deadline >= 0) || deadline > 1e9) throw invalid("spec.activeDeadlineSeconds: {} is no time", deadline);
  pipeline_.config.active_deadline = std::chrono::seconds(static_cast<int64_t>(deadline));
  const double parallelism = ir::number_member(*spec_, "parallelism", 0, "spec");
  if (!(parallelism >= 0) || parallelism > 1e6) throw invalid("spec.parallelism: must be a whole number");
  pipeline_.config.max_in_flight = static_cast<int>(parallelism);
  pipeline_.config.claims = ir::array_member(*spec_, "volumeClaimTemplates", "spec");
  if (pipeline_.config.claims != nullptr) {
    for (const auto& claim : *pipeline_.config.claims) {
      if (!string_at(claim, {"metadata", "name"}).empty()) continue;
      throw invalid("spec.volumeClaimTemplates: each needs its metadata.name");
    }
  }
}

void Translator::find_captures(const json::value& value) {
  if (const auto* list = value.if_array()) {
    for (const auto& item : *list) find_captures(item);
  } else if (const auto* object = value.if_object()) {
    for (const auto& [key, member] : *object) find_captures(member);
  } else if (value.is_string()) {
    constexpr std::string_view kResult = ".outputs.result";
    const std::string_view text = to_view(value.get_string());
    for (size_t at = text.find(kResult); at != std::string_view::npos; at = text.find(kResult, at + 1)) {
      // "tasks.NAME.outputs.result", or tasks['NAME'] in an expression.
      std::string_view before = text.substr(0, at);
      const bool brackets = before.ends_with("']") || before.ends_with("\"]");
      if (brackets) before.remove_suffix(2);
      const size_t begin = before.find_last_of(brackets ? "'\"" : ".{ (");
      captured_.emplace(before.substr(begin == std::string_view::npos ? 0 : begin + 1));
    }
  }
}

void Translator::find_templates() {
  const auto* list = ir::array_member(*spec_, "templates", "spec");
  if (list == nullptr || list->empty()) throw invalid("spec.templates: missing");
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string at = fmt::format("spec.templates[{}]", i);
    const auto& spec = ir::as_object((*list)[i], at);
    const std::string name = ir::string_member(spec, "name", at);
    if (name.empty()) throw invalid("{}.name: missing", at);
    Template& made = templates_[name];
    if (made.spec != nullptr) throw invalid("{}.name: there is another template \"{}\"", at, name);
    made.spec = &spec;
    made.path = "spec.templates." + name;
    made.component = &pipeline_.components[name];
    made.component->name = name;
    check_fields(spec, made.path,
                 {"name",
                  "inputs",
                  "outputs",
                  "metadata",
                  "container",
                  "script",
                  "dag",
                  "steps",
                  "containerSet",
                  "resource",
                  "suspend",
                  "retryStrategy",
                  "activeDeadlineSeconds",
                  "timeout",
                  "parallelism",
                  "failFast",
                  "initContainers",
                  "sidecars",
                  "volumes",
                  "podSpecPatch",
                  "annotations",
                  "memoize",
                  "daemon",
                  "http"},
                 {"nodeSelector", "tolerations", "affinity", "schedulerName", "priorityClassName", "priority",
                  "securityContext", "hostAliases", "archiveLocation", "metrics", "executor",
                  "automountServiceAccountToken", "serviceAccountName"});
    const auto bodies = bodies_of(spec);
    if (bodies.size() != 1) {
      throw invalid(
          "{}: needs one of container, script, containerSet, dag, steps, resource, suspend and http; it has {}",
          made.path, bodies.empty() ? "none" : fmt::format("{}", fmt::join(bodies, ", ")));
    }
    if (ir::bool_member(spec, "daemon", made.path) && bodies[0] != "container" && bodies[0] != "script") {
      throw Error(Code::InvalidArgument,
                  fmt::format("{}.daemon: only containers and scripts can be daemons", made.path),
                  made.path + ".daemon");
    }
  }
  find_captures(*workflow_->if_contains("spec"));
  // A task's name asks for its template's result.
  for (const auto& [name, from] : templates_) {
    json::array calls;
    if (const auto* dag = ir::object_member(*from.spec, "dag", from.path)) {
      if (const auto* tasks = ir::array_member(*dag, "tasks", from.path)) calls = *tasks;
    }
    if (const auto* steps = ir::array_member(*from.spec, "steps", from.path)) {
      for (const auto& group : *steps) {
        if (group.is_array()) {
          calls.insert(calls.end(), group.get_array().begin(), group.get_array().end());
        } else {
          calls.push_back(group);
        }
      }
    }
    for (const auto& call : calls) {
      if (!captured_.contains(string_at(call, {"name"}))) continue;
      const auto callee = templates_.find(string_at(call, {"template"}));
      if (callee == templates_.end()) continue;
      const bool runs = ir::member(*callee->second.spec, "container") != nullptr ||
                        ir::member(*callee->second.spec, "script") != nullptr ||
                        ir::member(*callee->second.spec, "containerSet") != nullptr ||
                        ir::member(*callee->second.spec, "http") != nullptr;
      callee->second.captures |= runs;
    }
  }
  for (auto& [name, from] : templates_) Definitions(pipeline_, from).read();
}

void Translator::read_implementation(Template& from, ir::Component& into) {
  if (ir::member(*from.spec, "dag") != nullptr) return read_dag(from, into);
  if (ir::member(*from.spec, "steps") != nullptr) return read_steps(from, into);
  read_leaf(from);
}

// Of the hooks the one named exit, or onExit.
std::string Translator::exit_handler() const {
  const auto* hooks = ir::object_member(*spec_, "hooks", "spec");
  const auto* hook = hooks != nullptr ? ir::object_member(*hooks, "exit", "spec.hooks") : nullptr;
  if (hook == nullptr) return ir::string_member(*spec_, "onExit", "spec");
  const std::string name = ir::string_member(*hook, "template", "spec.hooks.exit");
  if (name.empty()) throw invalid("spec.hooks.exit.template: missing");
  return name;
}

// The root takes what the run is given; it is the entrypoint itself where that is a dag and nothing comes after it.
void Translator::read_root() {
  const std::string entry = ir::string_member(*spec_, "entrypoint", "spec");
  const std::string handler = exit_handler();
  for (const auto& [field, name] : {std::pair{"entrypoint", entry}, std::pair{"onExit", handler}}) {
    if (name.empty() && std::string_view(field) == "onExit") continue;
    if (name.empty()) throw invalid("spec.entrypoint: missing");
    if (!templates_.contains(name)) throw invalid("spec.{}: there is no template \"{}\"", field, name);
  }
  // No template can have this name.
  ir::Component& root = pipeline_.components["/root"];
  root.name = "root";
  pipeline_.root = &root;
  json::object arguments;
  if (const auto* given = ir::object_member(*spec_, "arguments", "spec")) arguments = *given;
  check_fields(arguments, "spec.arguments", {"parameters", "artifacts"});
  arguments.erase("artifacts");  // the entrypoint's call has them
  Template holder{.spec = &keep(json::object{{"inputs", arguments}, {"dag", json::object()}}).get_object(),
                  .path = "spec.arguments",
                  .component = &root};
  Definitions(pipeline_, holder).read();
  Template& first = templates_.find(entry)->second;
  // An entrypoint's input that the workflow has no argument for: with its own default, or given by nobody.
  for (const auto& def : first.component->input_parameters) {
    if (root.input_parameter(def.name) >= 0) continue;
    root.input_parameters.push_back(def);
    sort_definitions(root.input_parameters, "spec.arguments.parameters");
  }
  const bool inner = first.spec->contains("dag") || first.spec->contains("steps");
  const auto* hooks = ir::object_member(*spec_, "hooks", "spec");
  const bool alone = handler.empty() && (hooks == nullptr || hooks->empty());
  if (inner && alone && first.component->input_artifacts.empty()) {
    read_implementation(first, root);
  } else {
    add_exit_handler(root, handler, entry);
  }
}

namespace {

bool reaches_itself(const ir::Component& component) {
  std::set<const ir::Component*> seen;
  std::vector<const ir::Component*> open{&component};
  while (!open.empty()) {
    const ir::Component& next = *open.back();
    open.pop_back();
    if (next.dag == nullptr) continue;
    for (const auto& task : next.dag->tasks) {
      if (task.component == &component) return true;
      if (seen.insert(task.component).second) open.push_back(task.component);
    }
  }
  return false;
}

}  // namespace

// What is repeated by recursion is meant to come to something else each time.
void Translator::mark_recursion() {
  for (auto& [name, component] : pipeline_.components) {
    if (component.dag == nullptr || !reaches_itself(component)) continue;
    pipeline_.recursive = true;
    for (auto& task : component.dag->tasks) task.cache = false;
  }
}

std::shared_ptr<const ir::Pipeline> read_workflow(json::value workflow) {
  if (string_at(workflow, {"kind"}) != "Workflow") {
    throw invalid("kind: \"{}\" is not supported; expected a Workflow", string_at(workflow, {"kind"}));
  }
  auto pipeline = std::make_shared<ir::Pipeline>();
  pipeline->spec = std::move(workflow);
  Translator(*pipeline).read();
  return pipeline;
}

std::shared_ptr<const ir::Pipeline> read_either(json::value spec, json::value platform_spec) {
  if (ir::is_v1_workflow(spec)) return read_workflow(std::move(spec));
  return ir::from_json(std::move(spec), std::move(platform_spec));
}

}  // namespace penstock::argo
