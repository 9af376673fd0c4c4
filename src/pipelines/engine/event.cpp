#include "pipelines/engine/event.h"

#include "base/error.h"
#include "pipelines/engine/command.h"

namespace penstock::engine {

namespace {

constexpr std::string_view kEventNames[] = {"RunStarted",   "TaskStarted",    "TaskSucceeded",   "TaskFailed",
                                            "TaskCanceled", "ImportFinished", "ImportFailed",    "CacheHit",
                                            "CacheMiss",    "TimerFired",     "CancelRequested", "TaskWaiting"};
constexpr std::string_view kTypeNames[] = {"ROOT", "RUNTIME",   "IMPORTER",    "DAG", "CONDITION", "CONDITION_BRANCH",
                                           "LOOP", "ITERATION", "EXIT_HANDLER"};
constexpr std::string_view kStateNames[] = {"PENDING", "RUNNING",  "SUCCEEDED", "SKIPPED",
                                            "FAILED",  "CANCELED", "CACHED"};

template <class Enum, size_t n>
Enum from_name(const std::string_view (&names)[n], std::string_view name, std::string_view what) {
  for (size_t i = 0; i < n; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  throw invalid("unknown {} \"{}\"", what, name);
}

json::object object_of(const json::object& object, std::string_view key) {
  const auto* found = find_object(object, key);
  return found != nullptr ? *found : json::object();
}

json::object to_json(const Outputs& outputs) {
  json::object result;
  if (!outputs.parameters.empty()) result["parameters"] = outputs.parameters;
  if (!outputs.artifacts.empty()) result["artifacts"] = outputs.artifacts;
  return result;
}

Outputs outputs_from_json(const json::object& object) {
  return {object_of(object, "parameters"), object_of(object, "artifacts")};
}

}  // namespace

std::string_view name_of(TaskType type) { return kTypeNames[static_cast<size_t>(type)]; }
std::string_view name_of(TaskState state) { return kStateNames[static_cast<size_t>(state)]; }
TaskState task_state_from(std::string_view name) { return from_name<TaskState>(kStateNames, name, "task state"); }
TaskType task_type_from(std::string_view name) { return from_name<TaskType>(kTypeNames, name, "task type"); }

json::object to_json(const Event& event) {
  json::object result{{"e", kEventNames[static_cast<size_t>(event.type)]}, {"time", to_micros(event.time)}};
  if (event.task != kNoTask) result["task"] = event.task;
  if (event.attempt != 0) result["attempt"] = event.attempt;
  if (!event.outputs.parameters.empty() || !event.outputs.artifacts.empty()) result["outputs"] = to_json(event.outputs);
  if (!event.source_task_id.empty()) result["source"] = event.source_task_id;
  if (event.code != 0) result["code"] = event.code;
  if (!event.message.empty()) result["message"] = event.message;
  if (!event.retriable) result["retriable"] = false;
  if (event.infrastructure) result["infrastructure"] = true;
  return result;
}

Event event_from_json(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) throw invalid("an event is an object, not {}", to_text(value).substr(0, 80));
  Event event;
  event.type = from_name<Event::Type>(kEventNames, get_string(*object, "e"), "event");
  event.time = from_micros(get_int(*object, "time"));
  event.task = static_cast<TaskId>(get_int(*object, "task", kNoTask));
  event.attempt = static_cast<int>(get_int(*object, "attempt"));
  event.outputs = outputs_from_json(object_of(*object, "outputs"));
  event.source_task_id = get_string(*object, "source");
  event.code = static_cast<int>(get_int(*object, "code"));
  event.message = get_string(*object, "message");
  event.retriable = get_bool(*object, "retriable", true);
  event.infrastructure = get_bool(*object, "infrastructure");
  return event;
}

json::object to_json(const TaskRecord& record) {
  json::object result{{"task", record.task},
                      {"task_id", record.task_id},
                      {"path", record.path},
                      {"name", record.name},
                      {"display_name", record.display_name},
                      {"type", name_of(record.type)},
                      {"state", name_of(record.state)},
                      {"create_time", to_micros(record.create_time)}};
  if (record.parent != kNoTask) {
    result["parent"] = record.parent;
    result["parent_task_id"] = record.parent_task_id;
  }
  if (record.attempt != 0) result["attempt"] = record.attempt;
  if (record.iteration_index >= 0) result["iteration_index"] = record.iteration_index;
  if (record.iteration_count >= 0) result["iteration_count"] = record.iteration_count;
  if (record.start_time != Time{}) result["start_time"] = to_micros(record.start_time);
  if (record.end_time != Time{}) result["end_time"] = to_micros(record.end_time);
  result["change_time"] = to_micros(record.change_time);
  if (!record.waiting.empty()) result["waiting"] = record.waiting;
  if (record.inputs) result["inputs"] = *record.inputs;
  if (record.outputs) result["outputs"] = to_json(*record.outputs);
  if (record.error != TaskError{}) {
    result["error"] = json::object{{"code", record.error.code}, {"message", record.error.message}};
  }
  if (!record.fingerprint.empty()) result["fingerprint"] = record.fingerprint;
  if (!record.cached_from.empty()) result["cached_from"] = record.cached_from;
  if (!record.cache_note.empty()) result["cache_note"] = record.cache_note;
  return result;
}

TaskRecord task_record_from_json(const json::value& value) {
  const auto* found = value.if_object();
  if (found == nullptr) throw invalid("a task record is an object, not {}", to_text(value).substr(0, 80));
  const json::object& object = *found;
  TaskRecord record;
  record.task = static_cast<TaskId>(get_int(object, "task", kNoTask));
  record.parent = static_cast<TaskId>(get_int(object, "parent", kNoTask));
  record.task_id = get_string(object, "task_id");
  record.parent_task_id = get_string(object, "parent_task_id");
  record.path = get_string(object, "path");
  record.name = get_string(object, "name");
  record.display_name = get_string(object, "display_name");
  record.type = task_type_from(get_string(object, "type"));
  record.state = task_state_from(get_string(object, "state"));
  record.attempt = static_cast<int>(get_int(object, "attempt"));
  record.iteration_index = get_int(object, "iteration_index", -1);
  record.iteration_count = get_int(object, "iteration_count", -1);
  record.create_time = from_micros(get_int(object, "create_time"));
  record.start_time = from_micros(get_int(object, "start_time"));
  record.end_time = from_micros(get_int(object, "end_time"));
  record.change_time = from_micros(get_int(object, "change_time"));
  record.waiting = get_string(object, "waiting");
  if (const auto* inputs = find_object(object, "inputs")) record.inputs = std::make_shared<json::object>(*inputs);
  if (const auto* outputs = find_object(object, "outputs")) {
    record.outputs = std::make_shared<Outputs>(outputs_from_json(*outputs));
  }
  if (const auto* error = find_object(object, "error")) {
    record.error = {static_cast<int>(get_int(*error, "code")), get_string(*error, "message")};
  }
  record.fingerprint = get_string(object, "fingerprint");
  record.cached_from = get_string(object, "cached_from");
  record.cache_note = get_string(object, "cache_note");
  return record;
}

}  // namespace penstock::engine
