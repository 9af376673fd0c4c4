// What the engine wants done. The shell answers the first three with events, TimerFired for SetTimer, and TaskCanceled
// (or whatever the task came to meanwhile) for CancelTask; the others need no answer.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "pipelines/engine/event.h"
#include "pipelines/engine/launch.h"

namespace penstock::engine {

enum class TaskType { Root, Runtime, Importer, Dag, Condition, ConditionBranch, Loop, Iteration, ExitHandler };
enum class TaskState { Pending, Running, Succeeded, Skipped, Failed, Canceled, Cached };

std::string_view name_of(TaskType type);    // "RUNTIME"
std::string_view name_of(TaskState state);  // "SUCCEEDED"
TaskState task_state_from(std::string_view name);
TaskType task_type_from(std::string_view name);

struct TaskError {
  int code = 0;
  std::string message;
  bool infrastructure = false;  // not of the task's own making: it could not be run, or its outputs not be taken
  bool operator==(const TaskError&) const = default;
};

// A row of the run's task table, whole, as it stands after a change.
struct TaskRecord {
  TaskId task = kNoTask;
  TaskId parent = kNoTask;
  std::string task_id;         // a UUID: the same in every replay
  std::string parent_task_id;  // empty for the root
  std::string path;            // "root/for-loop-1/3/train"
  std::string name;            // "train"
  std::string display_name;
  TaskType type = TaskType::Runtime;
  TaskState state = TaskState::Pending;
  int attempt = 0;
  int64_t iteration_index = -1;  // of an iteration
  int64_t iteration_count = -1;  // of a loop
  Time create_time{};
  Time start_time{};   // zero while it has not started
  Time end_time{};     // zero while it has not ended
  Time change_time{};  // since when it is in this state; never before the state that it was in last
  // {"parameters": {name: {"value", "source", "producer"}}, "artifacts": {name: {"artifacts", "source", "producer"}}}:
  // source is TASK_OUTPUT_INPUT, COMPONENT_INPUT, RUNTIME_VALUE_INPUT, COMPONENT_DEFAULT_INPUT, ITERATOR_INPUT,
  // COLLECTED_INPUTS or TASK_FINAL_STATUS_OUTPUT; producer the name of the sibling task, where there is one. Of an
  // iteration only its item. Null when there are none. Shared with the later records of the task.
  std::shared_ptr<const json::object> inputs;
  std::shared_ptr<const Outputs> outputs;          // null while there are none
  TaskError error;                                 // message empty when there is none
  std::string waiting;                             // PENDING: what it waits for, where that is out of the ordinary
  std::string fingerprint;                         // of a task that may be cached
  std::shared_ptr<const std::string> not_applied;  // settings that change nothing here; null: none
  std::string cache_note;                          // of a container's task: why the cache was used, or was not
  std::string cached_from;                         // CACHED: the task id whose outputs these are
};

// Is there an earlier task with this fingerprint? CacheHit or CacheMiss.
struct CheckCache {
  TaskId task = kNoTask;
  int attempt = 0;
  std::string fingerprint;
  std::string path;                               // the task's
  std::optional<std::chrono::seconds> max_age{};  // an older one is no hit
};

// Run it: TaskStarted, then TaskSucceeded, TaskFailed or TaskCanceled.
struct Launch {
  TaskId task = kNoTask;
  int attempt = 0;
  std::shared_ptr<const LaunchSpec> spec;
};

// Record an artifact that exists already: ImportFinished or ImportFailed.
struct Import {
  TaskId task = kNoTask;
  int attempt = 0;
  std::shared_ptr<const ImportSpec> spec;
};

struct CancelTask {
  TaskId task = kNoTask;
  int attempt = 0;
};

struct SetTimer {
  TaskId task = kNoTask;
  int attempt = 0;
  std::chrono::milliseconds delay{0};
  Time until{};  // when given, it fires then, whatever the delay says
};

struct TaskChanged {
  std::shared_ptr<const TaskRecord> record;
};

// The last command of a run. No other follows.
struct RunFinished {
  TaskState state = TaskState::Succeeded;  // Succeeded, Failed or Canceled
  TaskError error;
  Time time{};
};

using Command = std::variant<CheckCache, Launch, Import, CancelTask, SetTimer, TaskChanged, RunFinished>;

json::object to_json(const TaskRecord& record);
TaskRecord task_record_from_json(const json::value& value);

}  // namespace penstock::engine
