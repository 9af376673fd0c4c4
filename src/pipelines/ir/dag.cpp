// The tasks of a dag: where their inputs come from, and their policies.
#include <cmath>

#include "pipelines/ir/reader.h"

namespace penstock::ir {

class DagReader {
 public:
  DagReader(Reader& reader, Component& component, const json::object& spec, std::string path)
      : reader_(reader), component_(component), dag_(*component.dag), spec_(spec), path_(std::move(path)) {}

  void read() {
    const json::object* tasks = object_member(spec_, "tasks", path_);
    if (tasks != nullptr) {
      dag_.tasks.resize(tasks->size());
      size_t index = 0;
      for (const auto& [name, value] : *tasks) {
        Task& task = dag_.tasks[index];
        task.index = static_cast<int>(index++);
        task.name = std::string(name);
        names_.emplace(task.name, task.index);
        find_component(task, as_object(value, task_path(task)));
      }
      for (Task& task : dag_.tasks) read_task(task, (*tasks).find(task.name)->value().get_object());
    }
    for (Task& task : dag_.tasks) edges(task);
    if (const auto* outputs = object_member(spec_, "outputs", path_)) read_outputs(*outputs);
    link_dag(dag_, path_);
  }

 private:
  std::string task_path(const Task& task) const { return fmt::format("{}.tasks.{}", path_, task.name); }

  void find_component(Task& task, const json::object& spec) {
    const std::string path = task_path(task);
    const auto* reference = object_member(spec, "componentRef", path);
    const std::string name = reference != nullptr ? string_member(*reference, "name", path + ".componentRef") : "";
    if (name.empty()) throw invalid("{}.componentRef.name: missing", path);
    const auto& components = reader_.pipeline.components;
    const auto at = components.find(name);
    if (at == components.end()) throw invalid("{}.componentRef.name: there is no component \"{}\"", path, name);
    task.component = &at->second;
  }

  int sibling(const json::object& spec, std::string_view key, const std::string& path) const {
    const std::string name = string_member(spec, key, path);
    if (name.empty()) throw invalid("{}.{}: missing", path, key);
    const auto at = names_.find(name);
    if (at == names_.end()) {
      throw invalid("{}.{}: there is no task \"{}\" in {}", path, key, name, path_);
    }
    return at->second;
  }

  void read_task(Task& task, const json::object& spec) {
    const std::string path = task_path(task);
    if (const auto* info = object_member(spec, "taskInfo", path)) {
      task.display_name = string_member(*info, "name", path + ".taskInfo");
    }
    if (task.display_name.empty()) task.display_name = task.name;
    if (const auto* inputs = object_member(spec, "inputs", path)) read_inputs(task, *inputs, path + ".inputs");
    if (const auto* names = array_member(spec, "dependentTasks", path)) {
      for (const auto& name : *names) {
        if (!name.is_string()) throw invalid("{}.dependentTasks: must be names of tasks", path);
        const auto at = names_.find(to_view(name.get_string()));
        if (at == names_.end()) {
          throw invalid("{}.dependentTasks: there is no task \"{}\" in {}", path, to_view(name.get_string()), path_);
        }
        task.upstream.push_back(at->second);
      }
    }
    if (const auto* caching = object_member(spec, "cachingOptions", path)) {
      task.cache = bool_member(*caching, "enableCache", path + ".cachingOptions");
      task.cache_key = string_member(*caching, "cacheKey", path + ".cachingOptions");
    }
    read_trigger(task, spec, path);
    read_iterator(task, spec, path);
    read_retry(task, spec, path);
    check_required(task, path);
  }

  void read_inputs(Task& task, const json::object& inputs, const std::string& path) {
    if (const auto* parameters = object_member(inputs, "parameters", path)) {
      for (const auto& [name, value] : *parameters) {
        const std::string at = fmt::format("{}.parameters.{}", path, std::string_view(name));
        task.parameters.push_back(read_parameter(task, name, as_object(value, at), at));
      }
    }
    if (const auto* artifacts = object_member(inputs, "artifacts", path)) {
      for (const auto& [name, value] : *artifacts) {
        const std::string at = fmt::format("{}.artifacts.{}", path, std::string_view(name));
        task.artifacts.push_back(read_artifact(task, name, as_object(value, at), at));
      }
    }
  }

  ParameterSource read_parameter(const Task& task, std::string_view name, const json::object& spec,
                                 const std::string& path) {
    ParameterSource source;
    source.name = std::string(name);
    source.input = task.component->input_parameter(name);
    const std::string parent_input = string_member(spec, "componentInputParameter", path);
    if (const auto* output = object_member(spec, "taskOutputParameter", path)) {
      source.kind = ParameterSource::Kind::TaskOutput;
      source.producer = sibling(*output, "producerTask", path + ".taskOutputParameter");
      const std::string key = string_member(*output, "outputParameterKey", path + ".taskOutputParameter");
      const Component& producer = *dag_.tasks[static_cast<size_t>(source.producer)].component;
      source.output = producer.output_parameter(key);
      if (source.output < 0) {
        throw invalid("{}.taskOutputParameter.outputParameterKey: task \"{}\" has no output parameter \"{}\"", path,
                      dag_.tasks[static_cast<size_t>(source.producer)].name, key);
      }
    } else if (const auto* runtime = object_member(spec, "runtimeValue", path)) {
      read_runtime_value(source, *runtime, path + ".runtimeValue");
    } else if (!parent_input.empty()) {
      source.kind = ParameterSource::Kind::ComponentInput;
      source.component_input = component_.input_parameter(parent_input);
      if (source.component_input < 0) {
        throw invalid("{}.componentInputParameter: {} has no input parameter \"{}\"", path, component_.name,
                      parent_input);
      }
    } else if (const auto* status = object_member(spec, "taskFinalStatus", path)) {
      source.kind = ParameterSource::Kind::FinalStatus;
      source.producer = sibling(*status, "producerTask", path + ".taskFinalStatus");
    } else {
      throw invalid(
          "{}: says no source (taskOutputParameter, runtimeValue, componentInputParameter or taskFinalStatus)", path);
    }
    const std::string selector = string_member(spec, "parameterExpressionSelector", path);
    if (!selector.empty()) source.selector = parse(selector, path + ".parameterExpressionSelector");
    return source;
  }

  void read_runtime_value(ParameterSource& source, const json::object& runtime, const std::string& path) {
    source.kind = ParameterSource::Kind::Constant;
    if (const auto* constant = runtime.if_contains("constant")) {
      source.constant = constant;
      return;
    }
    if (const auto* old = object_member(runtime, "constantValue", path)) {
      json::value value;
      if (const auto* text = member(*old, "stringValue"))
        value = *text;
      else if (member(*old, "intValue"))
        value = static_cast<int64_t>(number_member(*old, "intValue", 0, path));
      else if (member(*old, "doubleValue"))
        value = number_member(*old, "doubleValue", 0, path);
      else
        throw invalid("{}.constantValue: has none of stringValue, intValue and doubleValue", path);
      source.constant = &reader_.pipeline.values.emplace_back(std::move(value));
      return;
    }
    source.run_parameter = string_member(runtime, "runtimeParameter", path);
    if (source.run_parameter.empty()) throw invalid("{}: has neither constant nor runtimeParameter", path);
    source.kind = ParameterSource::Kind::RunParameter;
    if (reader_.pipeline.root->input_parameter(source.run_parameter) < 0) {
      throw invalid("{}.runtimeParameter: the pipeline has no input parameter \"{}\"", path, source.run_parameter);
    }
  }

  ArtifactSource read_artifact(const Task& task, std::string_view name, const json::object& spec,
                               const std::string& path) {
    ArtifactSource source;
    source.name = std::string(name);
    source.input = task.component->input_artifact(name);
    if (const auto* output = object_member(spec, "taskOutputArtifact", path)) {
      source.producer = sibling(*output, "producerTask", path + ".taskOutputArtifact");
      const std::string key = string_member(*output, "outputArtifactKey", path + ".taskOutputArtifact");
      const Task& producer = dag_.tasks[static_cast<size_t>(source.producer)];
      source.output = producer.component->output_artifact(key);
      if (source.output < 0) {
        throw invalid("{}.taskOutputArtifact.outputArtifactKey: task \"{}\" has no output artifact \"{}\"", path,
                      producer.name, key);
      }
      return source;
    }
    const std::string parent_input = string_member(spec, "componentInputArtifact", path);
    if (parent_input.empty()) {
      throw invalid("{}: says no source (taskOutputArtifact or componentInputArtifact)", path);
    }
    source.component_input = component_.input_artifact(parent_input);
    if (source.component_input < 0) {
      throw invalid("{}.componentInputArtifact: {} has no input artifact \"{}\"", path, component_.name, parent_input);
    }
    return source;
  }

  static cel::Expression parse(const std::string& text, const std::string& path) {
    try {
      return cel::Expression::parse(text);
    } catch (const Error& error) {
      throw invalid("{}: {}", path, error.message());
    }
  }

  void read_trigger(Task& task, const json::object& spec, const std::string& path) {
    const auto* policy = object_member(spec, "triggerPolicy", path);
    if (policy == nullptr) return;
    const std::string at = path + ".triggerPolicy";
    const std::string condition = string_member(*policy, "condition", at);
    if (!condition.empty()) task.condition = parse(condition, at + ".condition");
    const std::string strategy = string_member(*policy, "strategy", at);
    task.when_completed = strategy == "ALL_UPSTREAM_TASKS_COMPLETED" || strategy == "2";
    if (!task.when_completed && !strategy.empty() && strategy != "ALL_UPSTREAM_TASKS_SUCCEEDED" &&
        strategy != "TRIGGER_STRATEGY_UNSPECIFIED") {
      throw invalid("{}.strategy: unknown strategy \"{}\"", at, strategy);
    }
  }

  void read_iterator(Task& task, const json::object& spec, const std::string& path) {
    const auto* parameters = object_member(spec, "parameterIterator", path);
    const auto* artifacts = object_member(spec, "artifactIterator", path);
    if (parameters == nullptr && artifacts == nullptr) return;
    if (parameters != nullptr && artifacts != nullptr) {
      throw invalid("{}: has both a parameterIterator and an artifactIterator", path);
    }
    Iterator iterator;
    iterator.artifacts = artifacts != nullptr;
    const std::string at = path + (artifacts ? ".artifactIterator" : ".parameterIterator");
    const json::object& settings = artifacts ? *artifacts : *parameters;
    const std::string item = string_member(settings, "itemInput", at);
    iterator.item_input = artifacts ? task.component->input_artifact(item) : task.component->input_parameter(item);
    if (iterator.item_input < 0) {
      throw invalid("{}.itemInput: component \"{}\" has no input \"{}\"", at, task.component->name, item);
    }
    const auto* items = object_member(settings, "items", at);
    if (items == nullptr) throw invalid("{}.items: missing", at);
    read_items(task, iterator, *items, at + ".items");
    if (const auto* policy = object_member(spec, "iteratorPolicy", path)) {
      const double limit = number_member(*policy, "parallelismLimit", 0, path + ".iteratorPolicy");
      if (limit < 0 || std::floor(limit) != limit || limit > 1e9) {
        throw invalid("{}.iteratorPolicy.parallelismLimit: must be a whole number, 0 for no limit", path);
      }
      iterator.parallelism = static_cast<int64_t>(limit);
    }
    task.iterator = iterator;
  }

  void read_items(const Task& task, Iterator& iterator, const json::object& items, const std::string& path) {
    const std::string key = iterator.artifacts ? "inputArtifact" : "inputParameter";
    const std::string input = string_member(items, key, path);
    if (!input.empty()) {
      iterator.list_input =
          iterator.artifacts ? task.component->input_artifact(input) : task.component->input_parameter(input);
      if (iterator.list_input < 0) {
        throw invalid("{}.{}: component \"{}\" has no input \"{}\"", path, key, task.component->name, input);
      }
      return;
    }
    const auto* raw = iterator.artifacts ? nullptr : member(items, "raw");
    if (raw == nullptr) {
      throw invalid("{}: has {}", path, iterator.artifacts ? "no inputArtifact" : "neither raw nor inputParameter");
    }
    if (raw->is_array()) {
      iterator.raw = raw;
      return;
    }
    json::value list;
    try {
      list = parse_json(string_member(items, "raw", path));
    } catch (const Error& error) {
      throw invalid("{}.raw: must be a JSON list: {}", path, error.message());
    }
    if (!list.is_array()) throw invalid("{}.raw: must be a JSON list, not {}", path, to_text(list).substr(0, 80));
    iterator.raw = &reader_.pipeline.values.emplace_back(std::move(list));
  }

  static std::chrono::milliseconds read_duration(const json::object& spec, std::string_view key,
                                                 std::chrono::milliseconds fallback, const std::string& path) {
    const std::string text = string_member(spec, key, path);
    if (text.empty()) return fallback;
    char* end = nullptr;
    const double seconds = std::strtod(text.c_str(), &end);
    // Not negative, and within what a timer can wait for.
    if (end == text.c_str() || std::string_view(end) != "s" || !(seconds >= 0) || seconds > 3.15e9) {
      throw invalid("{}.{}: \"{}\" is not a duration; write it in seconds, as \"30s\"", path, key, text);
    }
    return std::chrono::milliseconds(static_cast<int64_t>(std::llround(seconds * 1000)));
  }

  static void read_retry(Task& task, const json::object& spec, const std::string& path) {
    const auto* policy = object_member(spec, "retryPolicy", path);
    if (policy == nullptr) return;
    const std::string at = path + ".retryPolicy";
    RetryPolicy& retry = task.retry;
    const double count = number_member(*policy, "maxRetryCount", 0, at);
    if (count < 0 || count > 1e6 || std::floor(count) != count) {
      throw invalid("{}.maxRetryCount: must be a whole number of at least 0", at);
    }
    retry.max_retries = static_cast<int>(count);
    retry.backoff = read_duration(*policy, "backoffDuration", retry.backoff, at);
    retry.factor = number_member(*policy, "backoffFactor", retry.factor, at);
    if (!(retry.factor >= 0) || retry.factor > 1e6) throw invalid("{}.backoffFactor: must be at least 0", at);
    if (retry.factor == 0) retry.factor = 2.0;  // protobuf's zero stands for absent
    retry.max_backoff = read_duration(*policy, "backoffMaxDuration", retry.max_backoff, at);
  }

  // Marks which of the component's inputs the task gives, in order to name the first that it lacks.
  void check_required(const Task& task, const std::string& path) const {
    if (reader_.old_schema) return;
    const Component& component = *task.component;
    std::vector<char> given(component.input_parameters.size(), 0);
    for (const auto& source : task.parameters) {
      if (source.input >= 0) given[static_cast<size_t>(source.input)] = 1;
    }
    if (task.iterator && !task.iterator->artifacts) given[static_cast<size_t>(task.iterator->item_input)] = 1;
    for (size_t i = 0; i < given.size(); ++i) {
      const ParameterDef& def = component.input_parameters[i];
      if (!given[i] && !def.optional) {
        throw invalid("{}.inputs.parameters.{}: missing; component \"{}\" requires it", path, def.name, component.name);
      }
    }
    given.assign(component.input_artifacts.size(), 0);
    for (const auto& source : task.artifacts) {
      if (source.input >= 0) given[static_cast<size_t>(source.input)] = 1;
    }
    if (task.iterator && task.iterator->artifacts) given[static_cast<size_t>(task.iterator->item_input)] = 1;
    for (size_t i = 0; i < given.size(); ++i) {
      const ArtifactDef& def = component.input_artifacts[i];
      if (!given[i] && !def.optional) {
        throw invalid("{}.inputs.artifacts.{}: missing; component \"{}\" requires it", path, def.name, component.name);
      }
    }
  }

  // Waits for whoever it takes something from, the executor's platform settings included.
  void edges(Task& task) {
    for (const auto& source : task.parameters) {
      if (source.producer >= 0) task.upstream.push_back(source.producer);
    }
    for (const auto& source : task.artifacts) {
      if (source.producer >= 0) task.upstream.push_back(source.producer);
    }
    const Executor* executor = task.component->executor;
    if (executor != nullptr && executor->platform != nullptr) collect_producers(task, *executor->platform);
    std::sort(task.upstream.begin(), task.upstream.end());
    task.upstream.erase(std::unique(task.upstream.begin(), task.upstream.end()), task.upstream.end());
  }

  // An executor may serve tasks of several dags: a producer that is not here is not meant for this task.
  void collect_producers(Task& task, const json::object& object) {
    for (const auto& [key, value] : object) {
      if (value.is_object()) {
        if (std::string_view(key) == "taskOutputParameter") {
          const auto at = names_.find(string_member(value.get_object(), "producerTask", "platforms"));
          if (at != names_.end() && at->second != task.index) task.upstream.push_back(at->second);
        } else {
          collect_producers(task, value.get_object());
        }
      } else if (value.is_array()) {
        for (const auto& item : value.get_array()) {
          if (item.is_object()) collect_producers(task, item.get_object());
        }
      }
    }
  }

  void read_outputs(const json::object& outputs) {
    const std::string path = path_ + ".outputs";
    if (const auto* parameters = object_member(outputs, "parameters", path)) {
      for (const auto& [name, value] : *parameters) {
        const std::string at = fmt::format("{}.parameters.{}", path, std::string_view(name));
        dag_.parameter_outputs.push_back(parameter_output(name, as_object(value, at), at));
      }
    }
    if (const auto* artifacts = object_member(outputs, "artifacts", path)) {
      for (const auto& [name, value] : *artifacts) {
        const std::string at = fmt::format("{}.artifacts.{}", path, std::string_view(name));
        dag_.artifact_outputs.push_back(artifact_output(name, as_object(value, at), at));
      }
    }
  }

  DagOutput::Selector selector(const json::object& spec, std::string_view key, bool artifact, const std::string& path) {
    DagOutput::Selector result;
    result.producer = sibling(spec, "producerSubtask", path);
    const std::string output = string_member(spec, key, path);
    const Task& producer = dag_.tasks[static_cast<size_t>(result.producer)];
    result.output =
        artifact ? producer.component->output_artifact(output) : producer.component->output_parameter(output);
    if (result.output < 0) {
      throw invalid("{}.{}: task \"{}\" has no output \"{}\"", path, key, producer.name, output);
    }
    return result;
  }

  DagOutput parameter_output(std::string_view name, const json::object& spec, const std::string& path) {
    DagOutput result;
    result.output = component_.output_parameter(name);
    if (result.output < 0) throw invalid("{}: {} declares no output parameter of this name", path, component_.name);
    if (const auto* value = object_member(spec, "valueFromParameter", path)) {
      result.selectors.push_back(selector(*value, "outputParameterKey", false, path + ".valueFromParameter"));
    } else if (const auto* oneof = object_member(spec, "valueFromOneof", path)) {
      if (const auto* list = array_member(*oneof, "parameterSelectors", path + ".valueFromOneof")) {
        for (const auto& item : *list) {
          const std::string at = path + ".valueFromOneof.parameterSelectors";
          result.selectors.push_back(selector(as_object(item, at), "outputParameterKey", false, at));
        }
      }
    }
    if (result.selectors.empty()) throw invalid("{}: says no task that produces it", path);
    return result;
  }

  DagOutput artifact_output(std::string_view name, const json::object& spec, const std::string& path) {
    DagOutput result;
    result.output = component_.output_artifact(name);
    if (result.output < 0) throw invalid("{}: {} declares no output artifact of this name", path, component_.name);
    if (const auto* list = array_member(spec, "artifactSelectors", path)) {
      for (const auto& item : *list) {
        const std::string at = path + ".artifactSelectors";
        result.selectors.push_back(selector(as_object(item, at), "outputArtifactKey", true, at));
      }
    }
    if (result.selectors.empty()) throw invalid("{}: says no task that produces it", path);
    return result;
  }

  Reader& reader_;
  Component& component_;
  Dag& dag_;
  const json::object& spec_;
  std::string path_;
  std::unordered_map<std::string_view, int> names_;
};

void read_dag(Reader& reader, Component& component, const json::object& spec, const std::string& path) {
  component.dag = std::make_unique<Dag>();
  DagReader(reader, component, spec, path).read();
}

}  // namespace penstock::ir
