// What a task gets: from constants, from its dag's inputs, from its siblings' outputs.
#include "pipelines/argo/template.h"
#include "pipelines/engine/state.h"
#include "pipelines/engine/texts.h"

namespace penstock::engine {

namespace {

struct Found {
  Value value;
  std::string_view source;
  std::string_view producer;
};

const Instance* child_of(const State& state, const Instance& parent, int index) {
  const Slot& slot = parent.dag->slots[static_cast<size_t>(index)];
  return slot.child == kNoTask ? nullptr : state.instances[static_cast<size_t>(slot.child)].get();
}

bool succeeded(const Instance& instance) {
  return instance.state == TaskState::Succeeded || instance.state == TaskState::Cached;
}

template <class T>
T part_of(const std::vector<T>& values, int index) {
  return index >= 0 && static_cast<size_t>(index) < values.size() ? values[static_cast<size_t>(index)] : T();
}

Value make_value(json::value value) { return std::make_shared<const json::value>(std::move(value)); }

class InputResolver {
 public:
  InputResolver(const State& state, const Instance& parent, Instance& instance, const json::value* item)
      : state_(state), parent_(parent), instance_(instance), item_(item) {}

  void run() {
    const ir::Task& task = *instance_.task;
    const ir::Component& component = *instance_.component;
    instance_.inputs.parameters.resize(component.input_parameters.size());
    instance_.inputs.artifacts.resize(component.input_artifacts.size());
    // Constants may refer to the other inputs: those come first.
    for (const bool constants : {false, true}) {
      for (const auto& source : task.parameters) {
        if ((source.kind == ir::ParameterSource::Kind::Constant) == constants) parameter(source);
      }
    }
    defaults();
    for (const auto& source : task.artifacts) artifact(source);
    check_artifacts();
    if (!parameters_.empty()) json_["parameters"] = std::move(parameters_);
    if (!artifacts_.empty()) json_["artifacts"] = std::move(artifacts_);
    if (!json_.empty()) instance_.inputs_json = std::make_shared<const json::object>(std::move(json_));
  }

 private:
  bool is_item(int input, bool artifact) const {
    const auto& iterator = instance_.task->iterator;
    return iterator && iterator->artifacts == artifact && iterator->item_input == input;
  }

  void parameter(const ir::ParameterSource& source) {
    Found found = find(source);
    if (found.value && found.value->is_null()) found.value = nullptr;
    if (found.value && source.selector) found.value = select(source, *found.value);
    if (source.input < 0) {
      extras_[source.name] = found.value;
      return;
    }
    if (!found.value) {
      reasons_[source.input] = text_reason_.empty() ? missing_reason(source) : std::move(text_reason_);
      return;
    }
    const auto& def = instance_.component->input_parameters[static_cast<size_t>(source.input)];
    set(source.input, converted(def, found), found.source, found.producer);
  }

  Found find(const ir::ParameterSource& source) const {
    using Kind = ir::ParameterSource::Kind;
    switch (source.kind) {
      case Kind::Constant: return {constant(source), "RUNTIME_VALUE_INPUT", {}};
      case Kind::RunParameter: {
        const int index = state_.pipeline->root->input_parameter(source.run_parameter);
        return {part_of(state_.run_parameters, index), "RUNTIME_VALUE_INPUT", {}};
      }
      case Kind::ComponentInput:
        return {part_of(parent_.inputs.parameters, source.component_input), "COMPONENT_INPUT", {}};
      case Kind::FinalStatus:
        return {final_status_of(source.producer), "TASK_FINAL_STATUS_OUTPUT", producer_name(source.producer)};
      case Kind::Written: {
        text_reason_.clear();
        const bool output = source.text.size() == 1 && source.text[0].kind == ir::Reference::Kind::Output;
        return {text_value({state_, parent_, item_}, source.text, text_reason_),
                output ? "TASK_OUTPUT_INPUT" : "RUNTIME_VALUE_INPUT",
                output ? producer_name(source.text[0].task) : std::string_view()};
      }
      case Kind::TaskOutput: break;
    }
    const Instance* producer = child_of(state_, parent_, source.producer);
    if (producer == nullptr || !succeeded(*producer)) return {};
    return {part_of(producer->outputs.parameters, source.output),
            producer->is_loop() ? "COLLECTED_INPUTS" : "TASK_OUTPUT_INPUT", producer->task->name};
  }

  std::string_view producer_name(int index) const {
    return parent_.component->dag->tasks[static_cast<size_t>(index)].name;
  }

  Value final_status_of(int index) const {
    const Slot& slot = parent_.dag->slots[static_cast<size_t>(index)];
    const Instance* producer = child_of(state_, parent_, index);
    json::object error;
    if (producer != nullptr && !producer->error.message.empty()) {
      error = {{"code", producer->error.code}, {"message", producer->error.message}};
    }
    return make_value(json::object{{"state", final_status(producer, slot.outcome)},
                                   {"error", std::move(error)},
                                   {"pipelineJobResourceName", state_.info.resource_name},
                                   {"pipelineTaskName", producer_name(index)}});
  }

  // Constants hold the text of what the author wrote: other inputs and the job's names stand in it as placeholders.
  Value constant(const ir::ParameterSource& source) const {
    if (to_text_has_placeholder(*source.constant)) return make_value(filled(*source.constant));
    return Value(state_.pipeline, source.constant);
  }

  static bool to_text_has_placeholder(const json::value& value) {
    if (value.is_string()) return to_view(value.get_string()).find("{{$") != std::string_view::npos;
    if (const auto* list = value.if_array()) {
      return std::any_of(list->begin(), list->end(), to_text_has_placeholder);
    }
    if (const auto* object = value.if_object()) {
      for (const auto& [key, member] : *object) {
        if (to_text_has_placeholder(member)) return true;
      }
    }
    return false;
  }

  json::value filled(const json::value& value) const {
    if (const auto* list = value.if_array()) {
      json::array result;
      for (const auto& item : *list) result.push_back(filled(item));
      return result;
    }
    if (const auto* object = value.if_object()) {
      json::object result;
      for (const auto& [key, member] : *object) result[key] = filled(member);
      return result;
    }
    if (!value.is_string()) return value;
    const std::string_view text = to_view(value.get_string());
    // A constant that is one placeholder takes the value itself, of whatever type.
    std::string_view rest;
    if (text.starts_with("{{$") && text.ends_with("}}")) {
      const auto name = bracketed(text.substr(2, text.size() - 4), "$.inputs.parameters", rest);
      if (const Value* other = name && rest.empty() ? named(*name) : nullptr) return *other ? **other : json::value();
    }
    return json::value(substitute(text, [this](std::string_view expression) { return look_up(expression); }));
  }

  std::optional<std::string> look_up(std::string_view expression) const {
    std::string_view rest;
    if (const auto name = bracketed(expression, "$.inputs.parameters", rest)) {
      const Value* other = rest.empty() ? named(*name) : nullptr;
      if (other == nullptr) return std::nullopt;
      return *other ? ir::text_of(**other) : std::string();
    }
    std::vector<std::string> storage;
    const std::string parent_id = task_id_of(state_, parent_);
    return job_placeholders(state_, instance_.task->name, parent_id, storage).find(expression);
  }

  // Another input of the task; null when it has none of this name.
  const Value* named(std::string_view name) const {
    if (const auto extra = extras_.find(name); extra != extras_.end()) return &extra->second;
    const int index = instance_.component->input_parameter(name);
    return index < 0 ? nullptr : &instance_.inputs.parameters[static_cast<size_t>(index)];
  }

  Value select(const ir::ParameterSource& source, const json::value& value) const {
    // The selector sees the value as text: parseJson(string_value)["key"].
    const json::value text = json::value(ir::text_of(value));
    cel::Environment environment;
    environment.variable = [&](std::string_view name) -> const json::value* {
      if (name == "string_value") return &text;
      if (name == "struct_value" || name == "list_value" || name == "number_value" || name == "value") return &value;
      return nullptr;
    };
    try {
      return make_value(source.selector->evaluate(environment));
    } catch (const Error& error) {
      throw invalid("inputs.parameters.{}: {}: {}", source.name, source.selector->text(), error.message());
    }
  }

  Value converted(const ir::ParameterDef& def, const Found& found) const {
    if (def.literals == nullptr && ir::is_exactly(*found.value, def.type)) return found.value;
    const bool hands_on = instance_.component->dag != nullptr;
    try {
      const std::string where = "inputs.parameters." + def.name;
      json::value value = ir::convert(*found.value, def.type, where);
      check_literals(def, value);
      return make_value(std::move(value));
    } catch (const Error&) {
      // A dag only hands its inputs on: whoever uses them says whether they fit.
      if (hands_on) return found.value;
      throw;
    }
  }

  static void check_literals(const ir::ParameterDef& def, const json::value& value) {
    if (def.literals == nullptr) return;
    for (const auto& allowed : *def.literals) {
      if (ir::text_of(allowed) == ir::text_of(value)) return;
    }
    throw invalid("inputs.parameters.{}: {} is not one of the allowed values {}", def.name, to_text(value),
                  to_text(*def.literals));
  }

  void set(int index, Value value, std::string_view source, std::string_view producer) {
    json::object entry{{"value", *value}, {"source", source}};
    if (!producer.empty()) entry["producer"] = producer;
    parameters_[instance_.component->input_parameters[static_cast<size_t>(index)].name] = std::move(entry);
    instance_.inputs.parameters[static_cast<size_t>(index)] = std::move(value);
  }

  std::string missing_reason(const ir::ParameterSource& source) const {
    if (source.kind == ir::ParameterSource::Kind::TaskOutput) {
      const auto& producer = parent_.component->dag->tasks[static_cast<size_t>(source.producer)];
      return fmt::format("task {} has left no output \"{}\"", producer.name,
                         producer.component->output_parameters[static_cast<size_t>(source.output)].name);
    }
    return "it has no value";
  }

  void defaults() {
    const auto& defs = instance_.component->input_parameters;
    for (size_t i = 0; i < defs.size(); ++i) {
      const int index = static_cast<int>(i);
      if (instance_.inputs.parameters[i] || is_item(index, false)) continue;
      if (defs[i].default_value != nullptr && !defs[i].default_value->is_null()) {
        Found found{default_of(defs[i]), "COMPONENT_DEFAULT_INPUT", {}};
        set(index, converted(defs[i], found), found.source, {});
      } else if (!defs[i].optional) {
        const auto reason = reasons_.find(index);
        throw invalid("inputs.parameters.{}: {}", defs[i].name,
                      reason != reasons_.end() ? reason->second : "it is required and has no value");
      }
    }
  }

  // A workflow's may name the run's variables.
  Value default_of(const ir::ParameterDef& def) const {
    const json::value& value = *def.default_value;
    if (!value.is_string() || to_view(value.get_string()).find("{{workflow.") == std::string_view::npos) {
      return Value(state_.pipeline, def.default_value);
    }
    return make_value(argo::fill_texts(value, [this](std::string_view tag) {
      return tag.starts_with("workflow.") ? run_variable(state_, tag.substr(9)) : std::nullopt;
    }));
  }

  Artifacts raw_artifact(const ir::ArtifactSource& source) const {
    std::string reason;
    const Value content = text_value({state_, parent_, item_}, *source.raw, reason);
    if (!content) throw invalid("inputs.artifacts.{}: {}", source.name, reason);
    const auto& def = instance_.component->input_artifacts[static_cast<size_t>(source.input)];
    return std::make_shared<const json::array>(json::array{json::object{{"name", source.name},
                                                                        {"type", def.type},
                                                                        {"uri", ""},
                                                                        {"metadata", json::object()},
                                                                        {"raw", ir::text_of(*content)}}});
  }

  void artifact(const ir::ArtifactSource& source) {
    if (source.input < 0) return;
    Artifacts list;
    json::object entry;
    if (source.raw) {
      list = raw_artifact(source);
      entry["source"] = "RUNTIME_VALUE_INPUT";
    } else if (!source.global.empty()) {
      const auto found = state_.global_artifacts.find(source.global);
      if (found != state_.global_artifacts.end()) list = found->second;
      entry["source"] = "RUNTIME_VALUE_INPUT";
    } else if (source.from) {
      list = text_artifacts({state_, parent_, item_}, *source.from);
      entry["source"] = "TASK_OUTPUT_INPUT";
    } else if (source.producer < 0) {
      list = part_of(parent_.inputs.artifacts, source.component_input);
      entry["source"] = "COMPONENT_INPUT";
    } else {
      const Instance* producer = child_of(state_, parent_, source.producer);
      if (producer != nullptr && succeeded(*producer)) list = part_of(producer->outputs.artifacts, source.output);
      entry["source"] = producer != nullptr && producer->is_loop() ? "COLLECTED_INPUTS" : "TASK_OUTPUT_INPUT";
      entry["producer"] = producer_name(source.producer);
    }
    if (!list) return;
    const auto& def = instance_.component->input_artifacts[static_cast<size_t>(source.input)];
    entry["artifacts"] = *list;
    artifacts_[def.name] = std::move(entry);
    instance_.inputs.artifacts[static_cast<size_t>(source.input)] = std::move(list);
  }

  void check_artifacts() const {
    const auto& defs = instance_.component->input_artifacts;
    for (size_t i = 0; i < defs.size(); ++i) {
      if (instance_.inputs.artifacts[i] || defs[i].optional || is_item(static_cast<int>(i), true)) continue;
      throw invalid("inputs.artifacts.{}: it is required and no task has left it", defs[i].name);
    }
  }

  const State& state_;
  const Instance& parent_;
  Instance& instance_;
  const json::value* item_;
  mutable std::string text_reason_;
  std::map<std::string, Value, std::less<>> extras_;
  std::map<int, std::string> reasons_;
  json::object json_, parameters_, artifacts_;
};

}  // namespace

void resolve_inputs(const State& state, const Instance& parent, Instance& instance, const json::value* item) {
  InputResolver(state, parent, instance, item).run();
}

void resolve_item(Instance& instance, const Instance& loop) {
  const ir::Iterator& iterator = *instance.task->iterator;
  const size_t input = static_cast<size_t>(iterator.item_input);
  const size_t index = static_cast<size_t>(instance.iteration);
  instance.inputs = loop.inputs;
  json::object json;
  if (iterator.artifacts) {
    const json::value& artifact = (*loop.loop->artifacts)[index];
    instance.inputs.artifacts[input] = std::make_shared<const json::array>(json::array{artifact});
    json["artifacts"] =
        json::object{{instance.component->input_artifacts[input].name,
                      json::object{{"artifacts", json::array{artifact}}, {"source", "ITERATOR_INPUT"}}}};
  } else {
    const auto& def = instance.component->input_parameters[input];
    const json::value& item = loop.loop->list->get_array()[index];
    Value value(loop.loop->list, &item);
    if (instance.component->executor != nullptr && !item.is_null()) {
      json::value fitting = ir::convert(item, def.type, "inputs.parameters." + def.name);
      if (fitting != item) value = make_value(std::move(fitting));
    }
    const std::string_view source = iterator.raw != nullptr ? "ITERATOR_INPUT_RAW" : "ITERATOR_INPUT";
    json["parameters"] = json::object{{def.name, json::object{{"value", *value}, {"source", source}}}};
    instance.inputs.parameters[input] = item.is_null() ? nullptr : std::move(value);
  }
  instance.inputs_json = std::make_shared<const json::object>(std::move(json));
}

Value platform_value(const State& state, const Instance& parent, const json::object& spec) {
  if (const auto* runtime = penstock::find(spec, "runtimeValue")) {
    const auto* constant = penstock::find(*runtime, "constant");
    return constant != nullptr && !constant->is_null() ? Value(state.pipeline, constant) : nullptr;
  }
  if (const auto* constant = penstock::find(spec, "constant")) return Value(state.pipeline, constant);
  const std::string input = get_string(spec, "componentInputParameter");
  if (!input.empty()) return part_of(parent.inputs.parameters, parent.component->input_parameter(input));
  const auto* output = find_object(spec, "taskOutputParameter");
  if (output == nullptr || !parent.dag) return nullptr;
  for (const auto& task : parent.component->dag->tasks) {
    if (task.name != get_string(*output, "producerTask")) continue;
    const Instance* producer = child_of(state, parent, task.index);
    if (producer == nullptr || !succeeded(*producer)) return nullptr;
    return part_of(producer->outputs.parameters,
                   producer->component->output_parameter(get_string(*output, "outputParameterKey")));
  }
  return nullptr;
}

bool condition_holds(const Instance& instance) {
  static const json::value kNull;
  cel::Environment environment;
  environment.parameter = [&](std::string_view name) -> const json::value* {
    const int index = instance.component->input_parameter(name);
    if (index < 0) return nullptr;
    const Value& value = instance.inputs.parameters[static_cast<size_t>(index)];
    return value ? value.get() : &kNull;
  };
  json::value artifacts;
  environment.variable = [&](std::string_view name) -> const json::value* {
    if (name != "inputs.artifacts") return nullptr;
    json::object all;
    for (size_t i = 0; i < instance.inputs.artifacts.size(); ++i) {
      if (!instance.inputs.artifacts[i]) continue;
      all[instance.component->input_artifacts[i].name] = json::object{{"artifacts", *instance.inputs.artifacts[i]}};
    }
    artifacts = std::move(all);
    return &artifacts;
  };
  try {
    return instance.task->condition->holds(environment);
  } catch (const Error& error) {
    throw invalid("the condition {} cannot be evaluated: {}", instance.task->condition->text(), error.message());
  }
}

std::string_view final_status(const Instance* producer, Outcome outcome) {
  // As the reference backend, whose pipelines compare with it: COMPLETE where its own documents say SUCCEEDED.
  if (producer != nullptr && producer->state == TaskState::Cached) return "CACHED";
  switch (outcome) {
    case Outcome::Succeeded: return "COMPLETE";
    case Outcome::Failed: return "FAILED";
    case Outcome::Canceled: return "CANCELED";
    case Outcome::Skipped: return "SKIPPED";
    default: return "RUNNING";
  }
}

}  // namespace penstock::engine
