#include "pipelines/api/messages.h"

#include <unordered_map>

#include "base/error.h"
#include "pipelines/api/plugins.h"

namespace penstock::pipelines::api {

namespace {

constexpr EnumName kStorageStateNames[] = {{0, "STORAGE_STATE_UNSPECIFIED"}, {1, "AVAILABLE"}, {2, "ARCHIVED"}};
constexpr EnumName kRunStateNames[] = {{0, "RUNTIME_STATE_UNSPECIFIED"},
                                       {1, "PENDING"},
                                       {2, "RUNNING"},
                                       {3, "SUCCEEDED"},
                                       {4, "SKIPPED"},
                                       {5, "FAILED"},
                                       {6, "CANCELING"},
                                       {7, "CANCELED"},
                                       {8, "PAUSED"}};

const Fields<PipelineVersionReference>& reference_fields() {
  static const auto kFields = Fields<PipelineVersionReference>("PipelineVersionReference")
                                  .add("pipeline_id", &PipelineVersionReference::pipeline_id)
                                  .add("pipeline_version_id", &PipelineVersionReference::pipeline_version_id,
                                       {.doc = "The newest version of the pipeline when it is missing."});
  return kFields;
}

const Fields<RuntimeConfig>& runtime_config_fields() {
  static const auto kFields = Fields<RuntimeConfig>("RuntimeConfig")
                                  .add("parameters", &RuntimeConfig::parameters, {.doc = "Values by parameter name."})
                                  .add("pipeline_root", &RuntimeConfig::pipeline_root)
                                  .add("disable_caching", &RuntimeConfig::disable_caching,
                                       {.doc = "No task of the run takes from the cache or leaves anything in it."});
  return kFields;
}

const Fields<StateChange>& state_change_fields() {
  static const auto kFields = Fields<StateChange>("RuntimeStatus")
                                  .add("update_time", &StateChange::update_time)
                                  .add("state", &StateChange::state)
                                  .add("error", &StateChange::error, status_fields());
  return kFields;
}

const Fields<PackageUrl>& package_url_fields() {
  static const auto kFields = Fields<PackageUrl>("Url").add("pipeline_url", &PackageUrl::pipeline_url);
  return kFields;
}

// Puts `"name":<text>` into an object's text as its last member.
std::string with_member(std::string object, std::string_view name, std::string_view text) {
  if (text.empty()) return object;
  object.pop_back();
  fmt::format_to(std::back_inserter(object), "{}\"{}\":{}}}", object.size() > 1 ? "," : "", name, text);
  return object;
}

// RuntimeState has no CACHED.
std::string_view runtime_state(std::string_view task_state) {
  return task_state == "CACHED" ? std::string_view("SUCCEEDED") : task_state;
}

json::array history_json(const std::vector<StateChange>& history) {
  json::array out;
  for (StateChange change : history) {
    change.state = runtime_state(change.state);
    out.push_back(state_change_fields().write(change));
  }
  return out;
}

void put_text(json::object& out, std::string_view key, std::string_view text) {
  if (!text.empty()) out[key] = text;
}

void put_time(json::object& out, std::string_view key, Time time) {
  if (time != Time{}) out[key] = format_time(time, true);
}

// An artifact's number in metadata's table, as text; empty when it has none.
std::string artifact_id(const json::value& artifact) {
  if (!artifact.is_object()) return {};
  for (const std::string_view key : {"artifact_id", "id"}) {
    const json::value* id = find(artifact.as_object(), key);
    if (id && id->is_string()) return to_std(id->as_string());
    if (id && id->is_int64()) return std::to_string(id->as_int64());
  }
  return {};
}

// {key: {"artifact_ids": […]}} of an engine's inputs or outputs.
json::object artifact_lists(const json::object& side) {
  json::object out;
  const json::object* artifacts = find_object(side, "artifacts");
  if (!artifacts) return out;
  for (const auto& [key, value] : *artifacts) {
    const json::array* list = value.is_array() ? &value.as_array() : nullptr;
    if (value.is_object()) list = find_array(value.as_object(), "artifacts");
    if (!list) continue;
    json::array ids;
    for (const json::value& artifact : *list) {
      if (std::string id = artifact_id(artifact); !id.empty()) ids.emplace_back(std::move(id));
    }
    json::object entry;
    if (!ids.empty()) entry["artifact_ids"] = std::move(ids);
    out[key] = std::move(entry);
  }
  return out;
}

std::string_view schema_title(const json::value& type) {
  if (type.is_string()) return to_view(type.as_string());
  if (!type.is_object()) return {};
  for (const std::string_view key : {"schemaTitle", "schema_title"}) {
    const json::value* title = find(type.as_object(), key);
    if (title && title->is_string()) return to_view(title->as_string());
  }
  return {};
}

// "system.Metrics" is "Metric" in the newer messages; the others lose their prefix.
std::string short_type(std::string_view title) {
  if (title.starts_with("system.")) title.remove_prefix(7);
  if (title.empty()) return "Artifact";
  if (title.ends_with("Metrics")) title.remove_suffix(1);
  return std::string(title);
}

json::object reference_json(const json::value& artifact) {
  json::object out;
  if (!artifact.is_object()) return out;
  const json::object& object = artifact.as_object();
  put_text(out, "artifact_id", artifact_id(artifact));
  put_text(out, "name", get_string(object, "name"));
  const json::value* type = find(object, "type");
  out["type"] = short_type(type ? schema_title(*type) : std::string_view());
  put_text(out, "uri", get_string(object, "uri"));
  const json::object* metadata = find_object(object, "metadata");
  if (metadata && !metadata->empty()) out["metadata"] = *metadata;
  return out;
}

// One parameter or artifact list of the newer messages, from {"value" or "artifacts", "type", "producer"}.
json::object io_json(std::string_view key_name, std::string_view key, const json::object& entry,
                     std::string_view type) {
  json::object out{{"type", get_string(entry, "type", type)}, {key_name, key}};
  if (const json::object* producer = find_object(entry, "producer")) out["producer"] = *producer;
  return out;
}

json::object inputs_json(const json::object& side) {
  json::object out;
  json::array parameters, artifacts;
  if (const json::object* entries = find_object(side, "parameters")) {
    for (const auto& [key, value] : *entries) {
      if (!value.is_object()) continue;
      json::object parameter =
          io_json("parameter_key", std::string_view(key.data(), key.size()), value.as_object(), "COMPONENT_INPUT");
      if (const json::value* inner = find(value.as_object(), "value")) parameter["value"] = *inner;
      parameters.push_back(std::move(parameter));
    }
  }
  if (const json::object* entries = find_object(side, "artifacts")) {
    for (const auto& [key, value] : *entries) {
      if (!value.is_object()) continue;
      json::object artifact =
          io_json("artifact_key", std::string_view(key.data(), key.size()), value.as_object(), "COMPONENT_INPUT");
      json::array list;
      if (const json::array* inner = find_array(value.as_object(), "artifacts")) {
        for (const json::value& item : *inner) list.push_back(reference_json(item));
      }
      artifact["artifacts"] = std::move(list);
      artifacts.push_back(std::move(artifact));
    }
  }
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (!artifacts.empty()) out["artifacts"] = std::move(artifacts);
  return out;
}

json::object outputs_json(const TaskRecord& task) {
  const std::string_view type = task.iteration_index >= 0 ? "ITERATOR_OUTPUT" : "OUTPUT";
  json::object producer{{"task_name", task.name}};
  if (task.iteration_index >= 0) producer["iteration"] = std::to_string(task.iteration_index);
  json::object out;
  json::array parameters, artifacts;
  if (const json::object* entries = find_object(task.outputs, "parameters")) {
    for (const auto& [key, value] : *entries) {
      parameters.push_back(
          json::object{{"value", value}, {"type", type}, {"parameter_key", key}, {"producer", producer}});
    }
  }
  if (const json::object* entries = find_object(task.outputs, "artifacts")) {
    for (const auto& [key, value] : *entries) {
      json::array list;
      if (value.is_array()) {
        for (const json::value& item : value.as_array()) list.push_back(reference_json(item));
      }
      artifacts.push_back(
          json::object{{"artifacts", std::move(list)}, {"type", type}, {"artifact_key", key}, {"producer", producer}});
    }
  }
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (!artifacts.empty()) out["artifacts"] = std::move(artifacts);
  return out;
}

const Fields<TriggerMessage>& trigger_fields() {
  static const auto kCron = Fields<CronSchedule>("CronSchedule")
                                .add("start_time", &CronSchedule::start_time)
                                .add("end_time", &CronSchedule::end_time)
                                .add("cron", &CronSchedule::cron);
  static const auto kPeriodic = Fields<PeriodicSchedule>("PeriodicSchedule")
                                    .add("start_time", &PeriodicSchedule::start_time)
                                    .add("end_time", &PeriodicSchedule::end_time)
                                    .add("interval_second", &PeriodicSchedule::interval_second);
  static const auto kTrigger = Fields<TriggerMessage>("Trigger")
                                   .add("cron_schedule", &TriggerMessage::cron_schedule, kCron)
                                   .add("periodic_schedule", &TriggerMessage::periodic_schedule, kPeriodic);
  return kTrigger;
}

}  // namespace

const Fields<Status>& status_fields() {
  static const auto kFields = Fields<Status>("Status").add("code", &Status::code).add("message", &Status::message);
  return kFields;
}

const Fields<Experiment>& experiment_fields() {
  static const auto kFields =
      Fields<Experiment>("Experiment")
          .add("experiment_id", &Experiment::experiment_id, {.output_only = true})
          .add("display_name", &Experiment::display_name, {.required = true, .max_length = 128})
          .add("description", &Experiment::description)
          .add("created_at", &Experiment::created_at, {.output_only = true})
          .add("namespace", &Experiment::name_space, {.max_length = 63})
          .add("storage_state", &Experiment::storage_state, kStorageStateNames, {.output_only = true})
          .add("last_run_created_at", &Experiment::last_run_created_at, {.output_only = true, .always = true});
  return kFields;
}

const Fields<Pipeline>& pipeline_fields() {
  static const auto kFields = Fields<Pipeline>("Pipeline")
                                  .add("pipeline_id", &Pipeline::pipeline_id, {.output_only = true})
                                  .add("display_name", &Pipeline::display_name)
                                  .add("name", &Pipeline::name, {.max_length = 128})
                                  .add("description", &Pipeline::description)
                                  .add("created_at", &Pipeline::created_at, {.output_only = true})
                                  .add("namespace", &Pipeline::name_space, {.max_length = 63})
                                  .add("tags", &Pipeline::tags);
  return kFields;
}

const Fields<VersionMessage>& version_fields() {
  static const auto kFields =
      Fields<VersionMessage>("PipelineVersion")
          .add("pipeline_id", &VersionMessage::pipeline_id)
          .add("pipeline_version_id", &VersionMessage::pipeline_version_id, {.output_only = true})
          .add("display_name", &VersionMessage::display_name)
          .add("name", &VersionMessage::name, {.max_length = 127})
          .add("description", &VersionMessage::description)
          .add("created_at", &VersionMessage::created_at, {.output_only = true})
          .add("package_url", &VersionMessage::package, package_url_fields())
          .add("code_source_url", &VersionMessage::code_source_url)
          .add("pipeline_spec", &VersionMessage::pipeline_spec)
          .add("tags", &VersionMessage::tags);
  return kFields;
}

const Fields<RunMessage>& run_fields() {
  // created_at, scheduled_at and finished_at are always there, 1970 when unset: clients rely on it.
  static const auto kFields =
      Fields<RunMessage>("Run")
          .add("experiment_id", &RunMessage::experiment_id, {.max_length = 64})
          .add("run_id", &RunMessage::run_id, {.output_only = true})
          .add("display_name", &RunMessage::display_name, {.required = true, .max_length = 1'024})
          .add("storage_state", &RunMessage::storage_state, kStorageStateNames, {.output_only = true})
          .add("description", &RunMessage::description)
          .add("pipeline_version_id", &RunMessage::pipeline_version_id)
          .add("pipeline_spec", &RunMessage::pipeline_spec)
          .add("pipeline_version_reference", &RunMessage::pipeline_version_reference, reference_fields())
          .add("runtime_config", &RunMessage::runtime_config, runtime_config_fields())
          .add("service_account", &RunMessage::service_account)
          .add("created_at", &RunMessage::created_at, {.output_only = true, .always = true})
          .add("scheduled_at", &RunMessage::scheduled_at, {.output_only = true, .always = true})
          .add("finished_at", &RunMessage::finished_at, {.output_only = true, .always = true})
          .add("state", &RunMessage::state, kRunStateNames, {.output_only = true})
          .add("error", &RunMessage::error, status_fields(), {.output_only = true})
          .add("run_details", &RunMessage::run_details, {.output_only = true, .schema = "RunDetails"})
          .add("recurring_run_id", &RunMessage::recurring_run_id)
          .add("state_history", &RunMessage::state_history, state_change_fields(), {.output_only = true})
          .add("plugins_input", &RunMessage::plugins_input)
          .add("plugins_output", &RunMessage::plugins_output)
          .add("task_count", &RunMessage::task_count, {.output_only = true})
          .add("tasks", &RunMessage::tasks, {.output_only = true, .schema = "[PipelineTask]"});
  return kFields;
}

const Fields<RecurringRunMessage>& schedule_fields() {
  static const auto kFields = Fields<RecurringRunMessage>("Schedule")
                                  .add("trigger", &RecurringRunMessage::schedule, trigger_fields())
                                  .add("no_catchup", &RecurringRunMessage::no_catchup);
  return kFields;
}

const Fields<RecurringRunMessage>& recurring_run_fields() {
  using M = RecurringRunMessage;
  static constexpr EnumName kModes[] = {{0, "MODE_UNSPECIFIED"}, {1, "ENABLE"}, {2, "DISABLE"}};
  static constexpr EnumName kStatuses[] = {{0, "STATUS_UNSPECIFIED"}, {1, "ENABLED"}, {2, "DISABLED"}};
  static const auto kFields = Fields<M>("RecurringRun")
                                  .add("recurring_run_id", &M::recurring_run_id, {.output_only = true})
                                  .add("display_name", &M::display_name, {.required = true, .max_length = 1'024})
                                  .add("description", &M::description)
                                  .add("pipeline_version_id", &M::pipeline_version_id)
                                  .add("pipeline_spec", &M::pipeline_spec)
                                  .add("pipeline_version_reference", &M::pipeline_version_reference, reference_fields())
                                  .add("runtime_config", &M::runtime_config, runtime_config_fields())
                                  .add("service_account", &M::service_account)
                                  .add("max_concurrency", &M::max_concurrency)
                                  .add("trigger", &M::schedule, trigger_fields())
                                  .add("mode", &M::mode, kModes)
                                  .add("created_at", &M::created_at, {.output_only = true})
                                  .add("updated_at", &M::updated_at, {.output_only = true})
                                  .add("status", &M::status, kStatuses, {.output_only = true})
                                  .add("error", &M::error, status_fields(), {.output_only = true})
                                  .add("no_catchup", &M::no_catchup)
                                  .add("namespace", &M::name_space, {.max_length = 63})
                                  .add("experiment_id", &M::experiment_id, {.max_length = 64})
                                  .add("plugins_input", &M::plugins_input);
  return kFields;
}

const Fields<CreatePipelineMessage>& create_pipeline_fields() {
  static const auto kFields = Fields<CreatePipelineMessage>("CreatePipelineAndVersionRequest")
                                  .add("pipeline", &CreatePipelineMessage::pipeline, pipeline_fields())
                                  .add("pipeline_version", &CreatePipelineMessage::pipeline_version, version_fields());
  return kFields;
}

std::string version_text(const PipelineVersion& version, std::string_view spec) {
  VersionMessage message{version, {version.package_url}, {}};
  return with_member(to_text(version_fields().write(message)), "pipeline_spec", spec);
}

std::string run_text(RunMessage run, std::string_view spec) {
  run.plugins_output = plugins_output_of(run.plugins_input);
  return with_member(to_text(run_fields().write(run)), "pipeline_spec", spec);
}

std::string recurring_run_text(const RecurringRun& run, std::string_view spec) {
  RecurringRunMessage message;
  static_cast<RecurringRun&>(message) = run;
  const auto& trigger = run.trigger;
  if (!trigger.cron.empty()) {
    message.schedule.cron_schedule = {trigger.start, trigger.end, trigger.cron};
  } else if (trigger.interval.count() != 0) {
    message.schedule.periodic_schedule = {trigger.start, trigger.end, trigger.interval.count()};
  }
  message.mode = run.enabled ? RecurringMode::Enable : RecurringMode::Disable;
  message.status = run.enabled ? RecurringStatus::Enabled : RecurringStatus::Disabled;
  return with_member(to_text(recurring_run_fields().write(message)), "pipeline_spec", spec);
}

json::array task_details(const std::vector<TaskRecord>& tasks) {
  std::unordered_map<std::string_view, json::array> children;
  for (const TaskRecord& task : tasks) {
    if (!task.parent_task_id.empty()) children[task.parent_task_id].push_back(json::object{{"task_id", task.task_id}});
  }
  json::array out;
  out.reserve(tasks.size());
  for (const TaskRecord& task : tasks) {
    json::object detail{{"run_id", task.run_id},
                        {"task_id", task.task_id},
                        {"display_name", task.display_name.empty() ? task.name : task.display_name}};
    put_time(detail, "create_time", task.create_time);
    put_time(detail, "start_time", task.start_time);
    put_time(detail, "end_time", task.end_time);
    if (!task.pod_name.empty()) {
      json::object executor{{"main_job", task.pod_name}};
      json::array failed;
      for (const auto& [name, uid] : task.earlier_pods) failed.emplace_back(name);
      if (!failed.empty()) executor["failed_main_jobs"] = std::move(failed);
      detail["executor_detail"] = std::move(executor);
    }
    put_text(detail, "state", runtime_state(task.state));
    if (!task.error.empty()) detail["error"] = status_fields().write(task.error);
    if (json::object inputs = artifact_lists(task.inputs); !inputs.empty()) detail["inputs"] = std::move(inputs);
    if (json::object outputs = artifact_lists(task.outputs); !outputs.empty()) detail["outputs"] = std::move(outputs);
    put_text(detail, "parent_task_id", task.parent_task_id);
    if (!task.state_history.empty()) detail["state_history"] = history_json(task.state_history);
    put_text(detail, "pod_name", task.pod_name);
    if (const auto found = children.find(task.task_id); found != children.end()) {
      detail["child_tasks"] = std::move(found->second);
    }
    out.push_back(std::move(detail));
  }
  return out;
}

namespace {

json::object pod_json(const std::string& name, const std::string& uid) {
  json::object pod{{"name", name}, {"type", "EXECUTOR"}};
  put_text(pod, "uid", uid);
  return pod;
}

}  // namespace

json::object task_json(const TaskRecord& task, const std::vector<std::string>& children) {
  json::object out{{"name", task.name},
                   {"display_name", task.display_name.empty() ? task.name : task.display_name},
                   {"task_id", task.task_id},
                   {"run_id", task.run_id}};
  if (!task.pod_name.empty()) {
    json::array pods;
    for (const auto& [name, uid] : task.earlier_pods) pods.push_back(pod_json(name, uid));
    pods.push_back(pod_json(task.pod_name, task.pod_uid));
    out["pods"] = std::move(pods);
  }
  put_text(out, "cache_fingerprint", task.fingerprint);
  put_time(out, "create_time", task.create_time);
  put_time(out, "start_time", task.start_time);
  put_time(out, "end_time", task.end_time);
  put_text(out, "state", task.state);
  json::object status;
  put_text(status, "message", task.waiting.empty() ? task.error.message : task.waiting);
  json::object properties;
  put_text(properties, "cache", task.cache_note);
  put_text(properties, "not_applied", task.not_applied);
  if (!properties.empty()) status["custom_properties"] = std::move(properties);
  if (!status.empty()) out["status_metadata"] = std::move(status);
  json::array history;
  for (const StateChange& change : task.state_history) history.push_back(state_change_fields().write(change));
  if (!history.empty()) out["state_history"] = std::move(history);
  // An iteration is a DAG with an index there.
  put_text(out, "type", task.type == "ITERATION" ? "DAG" : task.type);
  json::object attributes;
  if (task.iteration_index >= 0) attributes["iteration_index"] = std::to_string(task.iteration_index);
  if (task.iteration_count >= 0) attributes["iteration_count"] = std::to_string(task.iteration_count);
  if (!attributes.empty()) out["type_attributes"] = std::move(attributes);
  put_text(out, "parent_task_id", task.parent_task_id);
  json::array child_tasks;
  for (const std::string& child : children) child_tasks.push_back(json::object{{"task_id", child}});
  if (!child_tasks.empty()) out["child_tasks"] = std::move(child_tasks);
  if (json::object inputs = inputs_json(task.inputs); !inputs.empty()) out["inputs"] = std::move(inputs);
  if (json::object outputs = outputs_json(task); !outputs.empty()) out["outputs"] = std::move(outputs);
  put_text(out, "scope_path", task.scope_path);
  return out;
}

json::object artifact_json(const metadata::Artifact& artifact) {
  json::object out{{"artifact_id", std::to_string(artifact.artifact_id)}};
  put_text(out, "name", artifact.name);
  put_text(out, "description", artifact.description);
  out["type"] = short_type(artifact.type);
  put_text(out, "uri", artifact.uri);
  if (!artifact.metadata.empty()) out["metadata"] = artifact.metadata;
  if (artifact.number_value != 0) out["number_value"] = artifact.number_value;
  put_time(out, "created_at", artifact.created_at);
  put_text(out, "namespace", artifact.name_space);
  return out;
}

json::object artifact_task_json(const metadata::Link& link) {
  json::object out{{"id", std::to_string(link.id)},
                   {"artifact_id", std::to_string(link.artifact_id)},
                   {"run_id", link.run_id},
                   {"task_id", link.task_id},
                   {"type", link.type}};
  json::object producer;
  put_text(producer, "task_name", link.producer);
  if (link.iteration >= 0) producer["iteration"] = std::to_string(link.iteration);
  if (!producer.empty()) out["producer"] = std::move(producer);
  put_text(out, "key", link.key);
  return out;
}

std::string read_io_type(std::string_view text, std::string_view field) {
  constexpr std::string_view kTypes[] = {"",
                                         "COMPONENT_DEFAULT_INPUT",
                                         "TASK_OUTPUT_INPUT",
                                         "COMPONENT_INPUT",
                                         "RUNTIME_VALUE_INPUT",
                                         "COLLECTED_INPUTS",
                                         "ITERATOR_INPUT",
                                         "ITERATOR_INPUT_RAW",
                                         "ITERATOR_OUTPUT",
                                         "OUTPUT",
                                         "ONE_OF_OUTPUT",
                                         "TASK_FINAL_STATUS_OUTPUT"};
  if (text == "UNSPECIFIED") return {};
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    if (text == kTypes[i] || text == std::to_string(i)) return std::string(kTypes[i]);
  }
  throw Error(Code::InvalidArgument, fmt::format("{}: {:?} is no IOType, such as OUTPUT", field, std::string(text)),
              std::string(field));
}

bool is_output(std::string_view io_type) { return io_type.ends_with("OUTPUT"); }

std::string schema_title_of(std::string_view artifact_type, std::string_view field) {
  constexpr std::string_view kTypes[] = {"",
                                         "Artifact",
                                         "Model",
                                         "Dataset",
                                         "HTML",
                                         "Markdown",
                                         "Metric",
                                         "ClassificationMetric",
                                         "SlicedClassificationMetric"};
  for (size_t i = 1; i < std::size(kTypes); ++i) {
    if (artifact_type != kTypes[i] && artifact_type != std::to_string(i)) continue;
    return fmt::format("system.{}{}", kTypes[i], kTypes[i].ends_with("Metric") ? "s" : "");
  }
  throw Error(Code::InvalidArgument,
              fmt::format("{}: {:?} is no artifact type, such as Dataset", field, std::string(artifact_type)),
              std::string(field));
}

void check_tags(const Tags& tags) {
  constexpr size_t kMaxTags = 20, kMaxLength = 63;
  if (tags.size() > kMaxTags) {
    throw Error(Code::InvalidArgument, fmt::format("{} tags are given; at most {} are allowed", tags.size(), kMaxTags),
                "tags");
  }
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > kMaxLength || value.size() > kMaxLength || key.find('.') != std::string::npos) {
      throw Error(
          Code::InvalidArgument,
          fmt::format("tag {:?}: keys and values have at most {} characters, and keys hold no dot", key, kMaxLength),
          "tags");
    }
  }
}

}  // namespace penstock::pipelines::api
