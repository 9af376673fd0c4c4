#include "pipelines/argo/manifest.h"

#include <algorithm>
#include <unordered_map>

#include "objects/store.h"
#include "pipelines/ir/spec.h"
#include "pipelines/run/pod.h"

namespace penstock::argo {

using pipelines::Run;
using pipelines::RunState;
using pipelines::TaskRecord;

namespace {

constexpr std::string_view kNamespace = "kubeflow";

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

uint32_t fnv32a(std::string_view text) {
  uint32_t hash = 2'166'136'261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619u;
  return hash;
}

json::value time_or_null(Time time) {
  if (time == Time{}) return nullptr;
  return json::value(format_time(time));
}

json::object s3_of(std::string_view uri) {
  json::object s3;
  if (const auto location = objects::parse_uri(uri)) s3 = {{"bucket", location->bucket}, {"key", location->key}};
  return s3;
}

// [{"name", "value"}] of a store's parameters: a value itself, or {"value": …}.
json::array parameters_of(const json::object& side, bool wrapped) {
  json::array out;
  const json::object* parameters = find_object(side, "parameters");
  if (!parameters) return out;
  for (const auto& [name, entry] : *parameters) {
    const json::value* value = &entry;
    if (wrapped) value = entry.is_object() ? entry.as_object().if_contains("value") : nullptr;
    if (value) out.push_back({{"name", name}, {"value", ir::text_of(*value)}});
  }
  return out;
}

json::array artifacts_of(const json::object& side) {
  json::array out;
  const json::object* artifacts = find_object(side, "artifacts");
  if (!artifacts) return out;
  for (const auto& [name, entry] : *artifacts) {
    const json::array* list = entry.if_array();
    if (!list && entry.is_object()) list = find_array(entry.as_object(), "artifacts");
    if (!list) continue;
    for (const json::value& artifact : *list) {
      json::object s3 = s3_of(string_at(artifact, {"uri"}));
      if (!s3.empty()) out.push_back({{"name", name}, {"s3", std::move(s3)}});
    }
  }
  return out;
}

json::object io_of(const json::object& side, bool inputs) {
  json::object out;
  if (json::array parameters = parameters_of(side, inputs); !parameters.empty()) out["parameters"] = parameters;
  if (json::array artifacts = artifacts_of(side); !artifacts.empty()) out["artifacts"] = artifacts;
  return out;
}

// The status' nodes.
class Nodes {
 public:
  Nodes(const Run& run, const std::vector<TaskRecord>& tasks, const ir::Pipeline& pipeline, std::string entry)
      : workflow_(workflow_name(run)), entry_(std::move(entry)), tasks_(tasks) {
    for (size_t i = 0; i < tasks.size(); ++i) at_.emplace(tasks[i].task_id, i);
    components_.resize(tasks.size());
    children_.resize(tasks.size());
    for (size_t i = 0; i < tasks.size(); ++i) {
      const TaskRecord& task = tasks[i];
      const auto parent = at_.find(task.parent_task_id);
      if (parent == at_.end()) {
        if (!task.reported) components_[i] = pipeline.root;
        continue;
      }
      children_[parent->second].push_back(i);
      if (const ir::Component* above = components_[parent->second]) components_[i] = component_in(*above, task);
    }
  }

  json::object write() {
    json::object nodes;
    std::vector<std::vector<std::string>> next(tasks_.size());
    for (size_t i = 0; i < tasks_.size(); ++i) link(i, next);
    for (size_t i = 0; i < tasks_.size(); ++i) {
      json::object node = node_of(i);
      if (!next[i].empty()) node["children"] = json::array(next[i].begin(), next[i].end());
      nodes[id(i)] = std::move(node);
    }
    return nodes;
  }

 private:
  std::string id(size_t i) const { return node_id(workflow_, tasks_[i].scope_path); }
  bool is_loop(size_t i) const { return tasks_[i].iteration_count >= 0; }

  // Null when the dag has no task of that name.
  const ir::Task* task_in(const ir::Dag& dag, std::string_view name) {
    auto& names = by_name_[&dag];
    if (names.empty()) {
      for (const ir::Task& task : dag.tasks) names.emplace(task.name, &task);
    }
    const auto found = names.find(name);
    return found == names.end() ? nullptr : found->second;
  }

  // Of a task below one of `above`: an iteration has its loop's.
  const ir::Component* component_in(const ir::Component& above, const TaskRecord& task) {
    if (task.iteration_index >= 0) return &above;
    const ir::Task* spec = above.dag ? task_in(*above.dag, task.name) : nullptr;
    return spec ? spec->component : nullptr;
  }

  // Argo's children are what comes next: a dag's first tasks, a loop's iterations, the tasks that wait for this one.
  // What waits for a dag or a loop hangs at its last tasks.
  void link(size_t i, std::vector<std::vector<std::string>>& next) {
    if (is_loop(i) || !components_[i] || !components_[i]->dag) {
      for (const size_t child : children_[i]) next[i].push_back(id(child));
      return;
    }
    std::unordered_map<std::string_view, size_t> by_name;
    for (const size_t child : children_[i]) by_name.emplace(tasks_[child].name, child);
    const ir::Dag& dag = *components_[i]->dag;
    for (const ir::Task& task : dag.tasks) {
      const auto found = by_name.find(task.name);
      if (found == by_name.end()) continue;
      if (task.upstream.empty()) next[i].push_back(id(found->second));
      for (const int below : task.downstream) {
        const auto waiting = by_name.find(dag.tasks[static_cast<size_t>(below)].name);
        if (waiting == by_name.end()) continue;
        std::vector<size_t> last;
        outbound(found->second, last);
        for (const size_t from : last) next[from].push_back(id(waiting->second));
      }
    }
    for (const size_t child : children_[i]) {
      if (tasks_[child].reported) next[i].push_back(id(child));
    }
  }

  void outbound(size_t i, std::vector<size_t>& out) {
    const size_t before = out.size();
    if (is_loop(i)) {
      for (const size_t child : children_[i]) outbound(child, out);
    } else if (components_[i] && components_[i]->dag) {
      for (const size_t child : children_[i]) {
        const ir::Task* task = task_in(*components_[i]->dag, tasks_[child].name);
        if (task && task->downstream.empty()) outbound(child, out);
      }
    }
    if (out.size() == before) out.push_back(i);
  }

  std::string_view type_of(size_t i) const {
    if (tasks_[i].state == "SKIPPED") return "Skipped";
    if (is_loop(i)) return "TaskGroup";
    const ir::Executor* executor = components_[i] ? components_[i]->executor : nullptr;
    if (executor && executor->kind == ir::Executor::Kind::Suspend) return "Suspend";
    if (executor && executor->kind == ir::Executor::Kind::Http) return "HTTP";
    const bool dag = components_[i] ? components_[i]->dag != nullptr : tasks_[i].type != "RUNTIME";
    return dag && tasks_[i].type != "IMPORTER" ? "DAG" : "Pod";
  }

  json::object node_of(size_t i) const {
    const TaskRecord& task = tasks_[i];
    const bool root = i == 0 && task.parent_task_id.empty();
    std::string display = task.display_name.empty() ? task.name : task.display_name;
    if (root) display = workflow_;
    json::object node{{"id", id(i)},
                      {"name", node_name(workflow_, task.scope_path)},
                      {"displayName", std::move(display)},
                      {"type", type_of(i)},
                      {"phase", phase_of(task.state)},
                      {"startedAt", time_or_null(task.start_time == Time{} ? task.create_time : task.start_time)},
                      {"finishedAt", time_or_null(task.end_time)}};
    if (components_[i]) node["templateName"] = template_name(*components_[i]);
    if (!root) node["templateScope"] = "local/" + workflow_;
    if (const auto parent = at_.find(task.parent_task_id); parent != at_.end()) {
      node["boundaryID"] = node_id(workflow_, tasks_[parent->second].scope_path);
    }
    std::string message = task.error.message;
    if (message.empty() && task.state == "CANCELED") message = "terminated";
    if (!message.empty()) node["message"] = std::move(message);
    if (json::object inputs = io_of(task.inputs, true); !inputs.empty()) node["inputs"] = std::move(inputs);
    json::object outputs = io_of(task.outputs, false);
    if (type_of(i) == "Pod" && (task.state == "SUCCEEDED" || task.state == "CACHED")) outputs["exitCode"] = "0";
    if (!outputs.empty()) node["outputs"] = std::move(outputs);
    return node;
  }

  std::string template_name(const ir::Component& component) const {
    return component.name == "root" ? entry_ : component.name;
  }

  const std::string workflow_;
  const std::string entry_;  // the template of the root
  const std::vector<TaskRecord>& tasks_;
  std::unordered_map<std::string_view, size_t> at_;  // by task id
  std::unordered_map<const ir::Dag*, std::unordered_map<std::string_view, const ir::Task*>> by_name_;
  std::vector<const ir::Component*> components_;  // null: not known
  std::vector<std::vector<size_t>> children_;
};

json::object dag_template(const ir::Component& component) {
  json::array tasks;
  for (const ir::Task& task : component.dag->tasks) {
    json::object out{{"name", task.name}, {"template", task.component->name}};
    json::array upstream;
    for (const int i : task.upstream) upstream.emplace_back(component.dag->tasks[static_cast<size_t>(i)].name);
    if (!upstream.empty()) out["dependencies"] = std::move(upstream);
    tasks.push_back(std::move(out));
  }
  return {{"name", component.name}, {"dag", {{"tasks", std::move(tasks)}}}};
}

json::object template_of(const ir::Component& component) {
  if (component.dag) return dag_template(component);
  json::object container;
  if (component.executor && component.executor->kind == ir::Executor::Kind::Container) {
    for (const std::string_view key : {"image", "command", "args"}) {
      if (const json::value* value = find(*component.executor->spec, key)) container[key] = *value;
    }
  }
  return {{"name", component.name}, {"container", std::move(container)}};
}

json::object spec_of(const Run& run, const ir::Pipeline& pipeline, const json::object* original) {
  json::object spec;
  const json::object* given = original ? find_object(*original, "spec") : nullptr;
  json::array parameters;
  if (given) {
    spec = *given;
    const json::object* arguments = find_object(spec, "arguments");
    if (const json::array* declared = arguments ? find_array(*arguments, "parameters") : nullptr)
      parameters = *declared;
  } else {
    json::array templates;
    if (pipeline.root) templates.push_back(template_of(*pipeline.root));
    for (const auto& [name, component] : pipeline.components) {
      if (&component != pipeline.root) templates.push_back(template_of(component));
    }
    spec["entrypoint"] = "root";
    spec["templates"] = std::move(templates);
  }
  for (const auto& [name, value] : run.runtime_config.parameters) {
    const std::string_view wanted(name.data(), name.size());
    const auto same = [wanted](const json::value& p) { return string_at(p, {"name"}) == wanted; };
    const auto found = std::ranges::find_if(parameters, same);
    json::object parameter{{"name", name}, {"value", ir::text_of(value)}};
    if (found == parameters.end()) {
      parameters.push_back(std::move(parameter));
    } else {
      *found = std::move(parameter);
    }
  }
  if (!parameters.empty()) spec["arguments"] = json::object{{"parameters", std::move(parameters)}};
  if (!run.service_account.empty()) spec["serviceAccountName"] = run.service_account;
  return spec;
}

json::object metadata_of(const Run& run, const json::object* original) {
  json::object metadata;
  if (const json::object* given = original ? find_object(*original, "metadata") : nullptr) metadata = *given;
  metadata["name"] = workflow_name(run);
  metadata["namespace"] = run.name_space.empty() ? kNamespace : std::string_view(run.name_space);
  metadata["uid"] = run.run_id;
  metadata["creationTimestamp"] = format_time(run.created_at);
  json::value& labels = metadata["labels"];
  if (!labels.is_object()) labels = json::object();
  labels.as_object()["pipeline/runid"] = run.run_id;
  labels.as_object()["workflows.argoproj.io/phase"] = phase_of(to_string(run.state));
  if (is_final(run.state)) labels.as_object()["workflows.argoproj.io/completed"] = "true";
  json::value& annotations = metadata["annotations"];
  if (!annotations.is_object()) annotations = json::object();
  annotations.as_object()["pipelines.kubeflow.org/run_name"] = run.display_name;
  return metadata;
}

}  // namespace

std::string workflow_name(const Run& run) { return pipelines::resource_name(run.pipeline_name, run.run_id); }

std::string node_name(std::string_view workflow, std::string_view scope_path) {
  std::string name(workflow);
  size_t at = scope_path.find('/');  // after "root"
  while (at != std::string_view::npos) {
    const size_t end = std::min(scope_path.find('/', at + 1), scope_path.size());
    const std::string_view part = scope_path.substr(at + 1, end - at - 1);
    name += is_number(part) ? fmt::format("({})", part) : fmt::format(".{}", part);
    at = end == scope_path.size() ? std::string_view::npos : end;
  }
  return name;
}

std::string node_id(std::string_view workflow, std::string_view scope_path) {
  const std::string name = node_name(workflow, scope_path);
  return name == workflow ? name : fmt::format("{}-{}", workflow, fnv32a(name));
}

std::string_view phase_of(std::string_view state) {
  if (state == "SUCCEEDED" || state == "CACHED") return "Succeeded";
  if (state == "RUNNING" || state == "CANCELING") return "Running";
  if (state == "SKIPPED") return "Skipped";
  if (state == "FAILED" || state == "CANCELED") return "Failed";
  return "Pending";
}

json::object workflow_manifest(const Run& run, const std::vector<TaskRecord>& tasks, const ir::Pipeline& pipeline,
                               const json::object* original) {
  size_t steps = 0, done = 0;
  for (const TaskRecord& task : tasks) {
    if (task.type != "RUNTIME" && task.type != "IMPORTER") continue;
    ++steps;
    done += phase_of(task.state) == "Succeeded";
  }
  json::object spec = spec_of(run, pipeline, original);
  const Time started = tasks.empty() ? run.created_at : tasks[0].create_time;
  json::object status{{"phase", phase_of(to_string(run.state))},
                      {"startedAt", time_or_null(started)},
                      {"finishedAt", time_or_null(run.finished_at)},
                      {"progress", fmt::format("{}/{}", done, steps)},
                      {"nodes", Nodes(run, tasks, pipeline, get_string(spec, "entrypoint", "root")).write()}};
  std::string message = run.error.message;
  if (message.empty() && run.state == RunState::Canceled) message = "Stopped with strategy 'Terminate'";
  if (!message.empty()) status["message"] = std::move(message);
  if (is_final(run.state)) {
    json::object completed{{"type", "Completed"}, {"status", "True"}};
    status["conditions"] = json::array{std::move(completed)};
  }
  return {{"apiVersion", "argoproj.io/v1alpha1"},
          {"kind", "Workflow"},
          {"metadata", metadata_of(run, original)},
          {"spec", std::move(spec)},
          {"status", std::move(status)}};
}

}  // namespace penstock::argo
