#include "pipelines/engine/texts.h"

#include <ctime>

#include "base/utf8.h"
#include "pipelines/argo/expr.h"
#include "pipelines/argo/template.h"

namespace penstock::engine {

namespace {

using Kind = ir::Reference::Kind;

Value make_value(json::value value) { return std::make_shared<const json::value>(std::move(value)); }

std::optional<std::string> workflow_variable(const State& state, std::string_view name);

std::string_view phase_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::Succeeded: return "Succeeded";
    case Outcome::Skipped: return "Skipped";
    case Outcome::Omitted: return "Omitted";
    case Outcome::Failed:
    case Outcome::Canceled: return "Failed";
    case Outcome::Errored: return "Error";
    case Outcome::Running: return "Running";
    case Outcome::Open: return "Pending";
  }
  return "Pending";
}

uint32_t result_of(const Slot& slot) {
  uint32_t result = 0;
  if (slot.any_succeeded) result |= ir::kAnySucceeded;
  if (slot.all_failed) result |= ir::kAllFailed;
  if (slot.daemoned) result |= ir::kDaemoned;
  switch (slot.outcome) {
    case Outcome::Succeeded: return result | ir::kSucceeded;
    case Outcome::Skipped: return result | ir::kSkipped;
    case Outcome::Omitted: return result | ir::kOmitted;
    case Outcome::Failed: return result | ir::kFailed;
    case Outcome::Errored: return result | ir::kErrored;
    default: return result;
  }
}

// As Argo gives items to expressions: texts, and maps of texts.
json::value item_names(const json::value& item) {
  const auto* object = item.if_object();
  if (object == nullptr) return json::value(ir::text_of(item));
  json::object names;
  for (const auto& [key, member] : *object) names[key] = ir::text_of(member);
  return names;
}

// workflow.parameters.x, workflow.creationTimestamp.s: each step a map.
void add_workflow_name(const State& state, const std::vector<std::string>& path, json::object& names) {
  auto& workflow = names["workflow"];
  if (!workflow.is_object()) workflow = json::object();
  if (path.size() < 2) return;
  if (path[1] == "parameters") {
    auto& parameters = workflow.get_object()["parameters"].emplace_object();
    const auto& root = *state.pipeline->root;
    for (size_t i = 0; i < root.input_parameters.size(); ++i) {
      const Value& value = state.run_parameters[i];
      if (value) parameters[root.input_parameters[i].name] = ir::text_of(*value);
    }
    return;
  }
  std::string name = path[1];
  json::value* at = &workflow.get_object()[path[1]];
  for (size_t i = 2; i < path.size(); ++i) {
    name += "." + path[i];
    if (!at->is_object()) *at = json::object();
    at = &at->get_object()[path[i]];
  }
  const auto text = workflow_variable(state, name);
  if (text) *at = *text;
}

json::value evaluated_value(const argo::Expression& expression, const json::object& names) {
  try {
    return expression.evaluate(names);
  } catch (const Error& error) {
    throw invalid("{{{{={}}}}}: {}", expression.text(), error.message());
  }
}

// Null, with the reason, when it gives nothing.
Value evaluated(const argo::Expression& expression, const json::object& names, std::string& reason) {
  const json::value value = evaluated_value(expression, names);
  if (value.is_null()) reason = fmt::format("{{{{={}}}}} gives nothing", expression.text());
  return value.is_null() ? nullptr : make_value(json::value(to_utf8(ir::text_of(value))));
}

class TextFiller {
 public:
  explicit TextFiller(const TextScope& scope) : scope_(scope) {}

  Value value(const ir::Reference& reference, std::string& reason) const {
    switch (reference.kind) {
      case Kind::Literal: return make_value(json::value(reference.text));
      case Kind::Input: return input(reference, reason);
      case Kind::Inputs: return make_value(json::value(to_text(parameters_of(scope_.dag))));
      case Kind::Output: return output(reference, reason);
      case Kind::Outputs: return all_outputs(reference);
      case Kind::Fact: return make_value(json::value(fact(reference)));
      case Kind::Item: return item(reference);
      case Kind::Run: {
        auto text = run_variable(scope_.state, reference.text);
        if (!text) reason = fmt::format("workflow.{} has no value", reference.text);
        return text ? make_value(json::value(*text)) : nullptr;
      }
      case Kind::Expression: return expression(reference, reason);
    }
    return nullptr;
  }

  Artifacts artifacts(const ir::Reference& reference) const {
    const json::value given = evaluated_value(*reference.expression, names_of(reference));
    const auto* object = given.if_object();
    const auto* place = object != nullptr ? object->if_contains(kPlace) : nullptr;
    if (given.is_null()) return nullptr;
    if (place == nullptr) throw invalid("{{{{={}}}}} gives no artifact", reference.expression->text());
    const auto& pair = place->get_array();
    const auto task_index = static_cast<int>(pair[0].get_int64());
    const auto output = static_cast<size_t>(pair[1].get_int64());
    return task_index < 0 ? scope_.dag.inputs.artifacts[output] : child(task_index)->outputs.artifacts[output];
  }

 private:
  const Slot& slot(int task) const { return scope_.dag.dag->slots[static_cast<size_t>(task)]; }
  const ir::Task& task(int index) const { return scope_.dag.component->dag->tasks[static_cast<size_t>(index)]; }

  const Instance* child(int task) const {
    const TaskId id = slot(task).child;
    return id == kNoTask ? nullptr : scope_.state.instances[static_cast<size_t>(id)].get();
  }

  Value input(const ir::Reference& reference, std::string& reason) const {
    const Value& value = scope_.dag.inputs.parameters[static_cast<size_t>(reference.index)];
    if (!value) {
      const auto& def = scope_.dag.component->input_parameters[static_cast<size_t>(reference.index)];
      reason = fmt::format("inputs.parameters.{} has no value", def.name);
    }
    return value;
  }

  Value output(const ir::Reference& reference, std::string& reason) const {
    const auto index = static_cast<size_t>(reference.index);
    const Instance* producer = child(reference.task);
    if (producer != nullptr && index < producer->outputs.parameters.size() && producer->outputs.parameters[index]) {
      return producer->outputs.parameters[index];
    }
    const auto& def = task(reference.task).component->output_parameters[index];
    if (def.default_value != nullptr) return Value(scope_.state.pipeline, def.default_value);
    reason = fmt::format("task {} has left no output \"{}\"; it is {}", task(reference.task).name, def.name,
                         phase_of(slot(reference.task).outcome));
    return nullptr;
  }

  static json::object parameters_of(const Instance& instance) {
    json::object all;
    for (size_t i = 0; i < instance.inputs.parameters.size(); ++i) {
      if (!instance.inputs.parameters[i]) continue;
      all[instance.component->input_parameters[i].name] = ir::text_of(*instance.inputs.parameters[i]);
    }
    return all;
  }

  json::object outputs_of(int index) const {
    json::object all;
    const Instance* producer = child(index);
    const auto& defs = task(index).component->output_parameters;
    for (size_t i = 0; producer != nullptr && i < producer->outputs.parameters.size(); ++i) {
      if (producer->outputs.parameters[i]) all[defs[i].name] = *producer->outputs.parameters[i];
    }
    return all;
  }

  // Of a loop the lists of each output are turned into a list of one map an item.
  Value all_outputs(const ir::Reference& reference) const {
    json::object all = outputs_of(reference.task);
    if (!task(reference.task).iterator) return make_value(json::value(to_text(all)));
    json::array items;
    for (const auto& [name, list] : all) {
      if (!list.is_array()) continue;
      for (size_t i = 0; i < list.get_array().size(); ++i) {
        if (items.size() <= i) items.push_back(json::object());
        items[i].get_object()[name] = list.get_array()[i];
      }
    }
    return make_value(std::move(items));
  }

  std::string fact(const ir::Reference& reference) const {
    const Instance* of = child(reference.task);
    if (reference.text == "status") return std::string(phase_of(slot(reference.task).outcome));
    if (of == nullptr) return "";
    if (reference.text == "ip") return of->address;
    if (reference.text == "exitCode") return std::to_string(of->error.code);
    if (reference.text == "id") return task_id_of(scope_.state, *of);
    const Time at = reference.text == "startedAt" ? of->started : of->ended;
    return at == Time{} ? "" : format_time(at);
  }

  Value item(const ir::Reference& reference) const {
    if (scope_.item == nullptr) throw invalid("{{{{item}}}} has no value here");
    if (reference.text.empty()) return make_value(json::value(ir::text_of(*scope_.item)));
    const auto* member = find(*scope_.item, reference.text);
    if (member == nullptr) {
      throw invalid("the item {} has no member \"{}\"", to_text(*scope_.item).substr(0, 80), reference.text);
    }
    return make_value(json::value(ir::text_of(*member)));
  }

  static constexpr std::string_view kPlace = "$artifact";

  // In the place of an artifact.
  static json::value place_of(int task, size_t index, const Artifacts& artifacts) {
    if (!artifacts) return nullptr;
    return json::object{{kPlace, json::array{task, static_cast<int64_t>(index)}}};
  }

  json::object names_of(const ir::Reference& reference) const {
    json::object names;
    for (const auto& path : reference.expression->paths()) {
      if (path[0] == "inputs") names["inputs"] = inputs_of(scope_.dag);
      if (path[0] == "item" && scope_.item != nullptr) names["item"] = item_names(*scope_.item);
      if (path[0] == "workflow") add_workflow_name(scope_.state, path, names);
    }
    for (const int index : reference.tasks) {
      for (const std::string_view siblings : {"tasks", "steps"}) {
        auto& all = names[siblings];
        if (!all.is_object()) all = json::object();
        all.get_object()[task(index).name] = sibling_names(index);
      }
    }
    return names;
  }

  Value expression(const ir::Reference& reference, std::string& reason) const {
    return evaluated(*reference.expression, names_of(reference), reason);
  }

  static json::object inputs_of(const Instance& dag) {
    json::object artifacts;
    for (size_t i = 0; i < dag.inputs.artifacts.size(); ++i) {
      artifacts[dag.component->input_artifacts[i].name] = place_of(-1, i, dag.inputs.artifacts[i]);
    }
    return {{"parameters", parameters_of(dag)}, {"artifacts", std::move(artifacts)}};
  }

  json::object sibling_names(int index) const {
    json::object parameters, outputs;
    const auto& defs = task(index).component->output_parameters;
    for (const auto& [name, value] : outputs_of(index)) parameters[name] = ir::text_of(value);
    for (const auto& def : defs) {
      if (!parameters.contains(def.name) && def.default_value != nullptr) parameters[def.name] = *def.default_value;
      const auto* value = def.found == ir::Found::Stdout ? parameters.if_contains(def.name) : nullptr;
      if (value != nullptr) outputs["result"] = *value;
    }
    outputs["parameters"] = std::move(parameters);
    json::object artifacts, names;
    const Instance* producer = child(index);
    for (size_t i = 0; producer != nullptr && i < producer->outputs.artifacts.size(); ++i) {
      artifacts[task(index).component->output_artifacts[i].name] = place_of(index, i, producer->outputs.artifacts[i]);
    }
    outputs["artifacts"] = std::move(artifacts);
    names["outputs"] = std::move(outputs);
    for (const std::string_view about : {"status", "exitCode", "id", "ip", "startedAt", "finishedAt"}) {
      names[about] = fact({.kind = Kind::Fact, .text = std::string(about), .task = index});
    }
    return names;
  }

  const TextScope& scope_;
};

std::string quoted_for(const std::string& value, char quote) {
  std::string result;
  for (const char c : value) {
    if (c == quote || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string time_variable(Time time, std::string_view form) {
  if (form.empty() || form == "RFC3339") return format_time(time);
  const std::time_t seconds = to_micros(time) / 1'000'000;
  if (form == "s") return std::to_string(seconds);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const std::string format = std::string("%") + std::string(form);
  return form.size() == 1 && std::strftime(text, sizeof text, format.c_str(), &parts) > 0 ? text : "";
}

}  // namespace

Value text_value(const TextScope& scope, const ir::Text& text, std::string& reason) {
  const TextFiller filler(scope);
  if (text.size() == 1) return filler.value(text[0], reason);
  std::string all;
  for (const auto& reference : text) {
    const Value value = filler.value(reference, reason);
    if (!value) return nullptr;
    all += ir::text_of(*value);
  }
  return make_value(json::value(all));
}

Artifacts text_artifacts(const TextScope& scope, const ir::Text& text) {
  return TextFiller(scope).artifacts(text.at(0));
}

std::string condition_text(const TextScope& scope, const ir::Text& text) {
  const TextFiller filler(scope);
  std::string all, reason;
  char quote = 0;
  for (const auto& reference : text) {
    const Value value = filler.value(reference, reason);
    if (!value) throw invalid("the condition cannot be evaluated: {}", reason);
    const std::string piece = ir::text_of(*value);
    if (reference.kind != Kind::Literal) {
      all += quote != 0 ? quoted_for(piece, quote) : piece;
      continue;
    }
    for (size_t i = 0; i < piece.size(); ++i) {
      if (quote != 0 && piece[i] == '\\') {
        ++i;
      } else if (quote != 0) {
        if (piece[i] == quote) quote = 0;
      } else if (piece[i] == '"' || piece[i] == '\'') {
        quote = piece[i];
      }
    }
    all += piece;
  }
  return all;
}

std::string json_text(const TextScope& scope, const ir::Text& text, bool inside_strings) {
  const TextFiller filler(scope);
  std::string all, reason;
  for (const auto& reference : text) {
    const Value value = filler.value(reference, reason);
    if (!value) throw invalid("{}", reason);
    std::string piece = ir::text_of(*value);
    if (inside_strings && reference.kind != Kind::Literal) {
      piece = json::serialize(json::string_view(piece));
      piece = piece.substr(1, piece.size() - 2);
    }
    all += piece;
  }
  return all;
}

std::optional<std::string> run_variable(const State& state, std::string_view name) {
  if (name == "name") return state.info.resource_name;
  if (name == "uid") return state.info.run_id;
  if (name == "namespace") return state.info.ns;
  if (name == "scheduledTime") return format_time(state.info.scheduled_at);
  constexpr std::string_view kCreated = "creationTimestamp";
  if (name.starts_with(kCreated)) {
    return time_variable(state.info.created_at, name.size() > kCreated.size() ? name.substr(kCreated.size() + 1) : "");
  }
  const ir::Component& root = *state.pipeline->root;
  if (name == "parameters" || name == "parameters.json") {
    json::array all;
    for (size_t i = 0; i < root.input_parameters.size(); ++i) {
      if (!state.run_parameters[i]) continue;
      all.push_back(json::object{{"name", root.input_parameters[i].name}, {"value", *state.run_parameters[i]}});
    }
    return to_text(json::value(std::move(all)));
  }
  if (name.starts_with("parameters.")) {
    const int index = root.input_parameter(name.substr(11));
    if (index < 0 || !state.run_parameters[static_cast<size_t>(index)]) return std::nullopt;
    return ir::text_of(*state.run_parameters[static_cast<size_t>(index)]);
  }
  if (state.instances.empty() || !state.instances[0]) return std::nullopt;
  const Instance& instance = *state.instances[0];
  if (name == "status") {
    const int main = state.pipeline->main_task;
    if (main < 0 || !instance.dag) return "Running";
    return std::string(phase_of(instance.dag->slots[static_cast<size_t>(main)].outcome));
  }
  if (name.starts_with("outputs.parameters.")) {
    const auto found = state.globals.find(name.substr(19));
    return found != state.globals.end() ? std::optional(ir::text_of(*found->second)) : std::nullopt;
  }
  if (name == "failures") return to_text(json::value(state.failures));
  if (name == "duration") {
    return fmt::format("{:.6f}", std::chrono::duration<double>(state.now - instance.created).count());
  }
  return std::nullopt;
}

namespace {

// run_variable(), and what the workflow itself says.
std::optional<std::string> workflow_variable(const State& state, std::string_view name) {
  for (const std::string_view map : {"labels", "annotations"}) {
    if (!name.starts_with(map) || name.size() <= map.size() || name[map.size()] != '.') continue;
    const auto* members = find_path(state.pipeline->spec, {"metadata", map});
    const auto* value = members != nullptr ? find(*members, name.substr(map.size() + 1)) : nullptr;
    return value != nullptr ? std::optional(ir::text_of(*value)) : std::nullopt;
  }
  const auto* spec = find(state.pipeline->spec, "spec");
  if (spec != nullptr && name == "mainEntrypoint") return string_at(*spec, {"entrypoint"});
  if (spec != nullptr && name == "serviceAccountName") return string_at(*spec, {"serviceAccountName"}, "default");
  if (spec != nullptr && name == "priority") return std::to_string(get_int(spec->as_object(), "priority"));
  return run_variable(state, name);
}

// Of the attempt that has failed last: exitCode, status, duration (whole seconds) and message.
std::optional<std::string> last_retry(const State& state, const Instance& instance, std::string_view name) {
  const TaskError& error = instance.error;
  if (name == "exitCode") return std::to_string(error.infrastructure && error.code == 0 ? -1 : error.code);
  if (name == "status") return error.message.empty() ? "" : error.infrastructure ? "Error" : "Failed";
  if (name == "message") return error.message;
  if (name != "duration") return std::nullopt;
  return std::to_string(instance.last_attempt.count());
}

json::object input_names(const Instance& instance) {
  json::object parameters, artifacts;
  const ir::Component& component = *instance.component;
  for (size_t i = 0; i < instance.inputs.parameters.size(); ++i) {
    if (!instance.inputs.parameters[i]) continue;
    parameters[component.input_parameters[i].name] = ir::text_of(*instance.inputs.parameters[i]);
  }
  for (const auto& def : component.input_artifacts) artifacts[def.name] = json::object{{"path", def.path}};
  return {{"parameters", std::move(parameters)}, {"artifacts", std::move(artifacts)}};
}

json::object names_in(const State& state, const Instance& instance, const argo::Expression& expression) {
  json::object names;
  for (const auto& path : expression.paths()) {
    if (path[0] == "inputs") names["inputs"] = input_names(instance);
    if (path[0] == "workflow") add_workflow_name(state, path, names);
    if (path[0] == "retries") names["retries"] = std::to_string(instance.attempt);
    if (path[0] != "lastRetry") continue;
    auto& last = names["lastRetry"].emplace_object();
    for (const std::string_view fact : {"exitCode", "status", "duration", "message"}) {
      last[fact] = last_retry(state, instance, fact).value_or("");
    }
  }
  return names;
}

}  // namespace

bool retry_holds(const State& state, const Instance& instance, const argo::Expression& expression) {
  return expression.holds(names_in(state, instance, expression));
}

std::optional<std::string> leaf_variable(const State& state, const Instance& leaf, std::string_view tag) {
  if (tag.starts_with('=')) {
    const auto expression = argo::Expression::parse(tag.substr(1));
    std::string reason;
    const Value value = evaluated(expression, names_in(state, leaf, expression), reason);
    if (!value) throw invalid("{}", reason);
    return ir::text_of(*value);
  }
  const auto parts = argo::split(tag);
  if (tag == "retries") return std::to_string(leaf.attempt);
  if (tag == "node.name") return path_of(state, leaf);
  if (parts[0] == "workflow" && parts.size() >= 2) return workflow_variable(state, tag.substr(9));
  if (parts[0] == "lastRetry" && parts.size() == 2) return last_retry(state, leaf, parts[1]);
  if (parts.size() < 2 || (parts[0] != "inputs" && parts[0] != "outputs")) return std::nullopt;
  const ir::Component& component = *leaf.component;
  if (tag == "inputs.parameters") {
    json::object all;
    for (size_t i = 0; i < component.input_parameters.size(); ++i) {
      if (leaf.inputs.parameters[i]) all[component.input_parameters[i].name] = *leaf.inputs.parameters[i];
    }
    return to_text(all);
  }
  if (tag.starts_with("inputs.parameters.")) {
    const int index = component.input_parameter(tag.substr(18));
    if (index < 0 || !leaf.inputs.parameters[static_cast<size_t>(index)]) return std::nullopt;
    return ir::text_of(*leaf.inputs.parameters[static_cast<size_t>(index)]);
  }
  if (!tag.ends_with(".path")) return std::nullopt;
  std::string_view name = tag.substr(0, tag.size() - 5);
  name = name.substr(std::min(name.size(), parts[0].size() + parts[1].size() + 2));
  if (parts[1] == "parameters") {
    const int index = component.output_parameter(name);
    return index < 0 ? std::nullopt : std::optional(component.output_parameters[static_cast<size_t>(index)].at);
  }
  const bool input = parts[0] == "inputs";
  const int index = input ? component.input_artifact(name) : component.output_artifact(name);
  if (index < 0) return std::nullopt;
  return (input ? component.input_artifacts : component.output_artifacts)[static_cast<size_t>(index)].path;
}

bool depends_hold(const Instance& dag, const ir::Depends& depends) {
  using DependsKind = ir::Depends::Kind;
  const auto holds = [&](const ir::Depends& child) { return depends_hold(dag, child); };
  switch (depends.kind) {
    case DependsKind::Always: return true;
    case DependsKind::Result:
      return (result_of(dag.dag->slots[static_cast<size_t>(depends.task)]) & depends.results) != 0;
    case DependsKind::Not: return !holds(depends.children[0]);
    case DependsKind::And: return std::all_of(depends.children.begin(), depends.children.end(), holds);
    case DependsKind::Or: return std::any_of(depends.children.begin(), depends.children.end(), holds);
  }
  return false;
}

}  // namespace penstock::engine
