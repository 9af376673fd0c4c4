// The engine's state: the tasks that are alive, and what waits for what. Internal to engine/.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipelines/engine/engine.h"
#include "pipelines/engine/placeholders.h"

namespace penstock::engine {

// Values are shared between the tasks that pass them on: a list that a loop runs over exists once.
using Value = std::shared_ptr<const json::value>;
using Artifacts = std::shared_ptr<const json::array>;

// By position among the component's inputs or outputs; null where there is none.
struct Values {
  std::vector<Value> parameters;
  std::vector<Artifacts> artifacts;
};

// Omitted and Errored are told apart from Skipped and Failed in dags by branches only.
enum class Outcome : uint8_t { Open, Running, Succeeded, Skipped, Failed, Canceled, Omitted, Errored };

// A task of a dag that runs.
struct Slot {
  TaskId child = kNoTask;
  int waiting = 0;
  Outcome outcome = Outcome::Open;
  bool admitted = false;                           // counts against the dag's parallelism
  bool any_succeeded = false, all_failed = false;  // of a loop's items
  bool daemoned = false;                           // a daemon that runs: what waits for it has been told
};

struct DagState {
  std::vector<Slot> slots;
  int unsettled = 0;
  bool failed = false;
  TaskError error;          // of the first failure
  int64_t running = 0;      // that are admitted
  std::deque<TaskId> held;  // that wait for one of these to end
  int daemons = 0;          // that run, and are not needed once they are alone
};

struct LoopState {
  Value list;           // either this
  Artifacts artifacts;  // or this
  int64_t count = 0;
  int64_t next = 0;  // the iteration to start next
  int64_t active = 0;
  bool failed = false;
  bool any_succeeded = false, all_failed = true;
  bool queued = false;  // in State::loops
  TaskError error;
  // [output][iteration]
  std::vector<std::vector<Value>> parameters;
  std::vector<std::vector<Artifacts>> artifact_lists;
};

enum class Phase : uint8_t { Queued, CheckingCache, Launched, Importing, Timer, Paused, Expanded, Done };

// A task that is alive, or whose outputs are still wanted.
struct Instance {
  TaskId id = kNoTask;
  TaskId parent = kNoTask;
  const ir::Task* task = nullptr;  // null for the root; of an iteration, the loop's
  const ir::Component* component = nullptr;
  TaskType type = TaskType::Runtime;
  TaskState state = TaskState::Pending;
  Phase phase = Phase::Queued;
  bool in_flight = false;
  int attempt = 0;
  int64_t iteration = -1;
  int depth = 0;
  Values inputs;
  Values outputs;
  std::shared_ptr<const json::object> inputs_json;
  std::shared_ptr<const Outputs> outputs_json;
  Time created{}, started{}, ended{};
  Time began{};    // of the first attempt
  Time changed{};  // of its state, or of what is known of its children; never goes back
  TaskError error;
  std::string waiting;
  std::string fingerprint;
  std::string cached_from;
  std::string cache_note;
  std::chrono::milliseconds delay{0};
  std::chrono::seconds last_attempt{0};      // how long the attempt took that has failed last
  std::shared_ptr<const LaunchSpec> launch;  // while launched or checking the cache
  std::shared_ptr<const ImportSpec> import;  // while importing
  std::unique_ptr<DagState> dag;
  std::unique_ptr<LoopState> loop;
  bool stopping = false;              // a dag that has taken too long: what is in it ends
  bool released = false;              // a daemon that is not needed any more
  std::string address;                // of a daemon's pod
  mutable std::string path, task_id;  // kept by path_of() and task_id_of() once they were asked for

  bool is_loop() const { return task != nullptr && task->iterator && iteration < 0; }
  bool is_leaf() const { return !is_loop() && component->executor != nullptr; }
};

struct State {
  std::shared_ptr<const ir::Pipeline> pipeline;
  RunInfo info;
  std::vector<Value> run_parameters;                        // by position among the root's inputs
  std::vector<std::unique_ptr<Instance>> instances;         // by id; null once nothing wants them
  std::deque<TaskId> ready;                                 // to be launched or expanded, in this order
  std::map<int, std::deque<TaskId>, std::greater<>> loops;  // with iterations to start, by depth: inner ones first
  std::deque<TaskId> settled;                               // have ended; their parents do not know yet
  int in_flight = 0;
  bool started = false;
  bool canceling = false;
  TaskError cancel_error;  // message empty: somebody wished it
  bool finished = false;
  bool paused = false;  // there is more to expand, when the timer of the root fires
  RunFinished result;
  json::array failures;  // leaves that failed for good, as exit handlers may ask for them
  int stopping = 0;      // instances that are
  // Outputs that have a global name.
  std::map<std::string, Value, std::less<>> globals;
  std::map<std::string, Artifacts, std::less<>> global_artifacts;
  Time now{};  // of the event at hand
  std::vector<Command> commands;

  Instance& at(TaskId id) { return *instances[static_cast<size_t>(id)]; }
  const Instance& at(TaskId id) const { return *instances[static_cast<size_t>(id)]; }
  Instance* find(TaskId id) {
    return id >= 0 && static_cast<size_t>(id) < instances.size() ? instances[static_cast<size_t>(id)].get() : nullptr;
  }
};

// names.cpp
const std::string& path_of(const State& state, const Instance& instance);
const std::string& task_id_of(const State& state, const Instance& instance);
std::string output_uuid(const State& state, const Instance& instance);
// Of its present attempt. The same when a server that takes over makes the pod anew: the node finds the process that it
// was by it.
std::string pod_uid_of(const State& state, const Instance& instance);
std::string name_of(const Instance& instance);
std::string display_name_of(const Instance& instance);
JobPlaceholders job_placeholders(const State& state, const std::string& task_name, const std::string& parent_id,
                                 std::vector<std::string>& storage);
TaskRecord record_of(const State& state, const Instance& instance);

// inputs.cpp: fills in inputs and inputs_json. Throws InvalidArgument naming the input.
// `item` is that of a loop whose inputs are texts.
void resolve_inputs(const State& state, const Instance& parent, Instance& instance, const json::value* item = nullptr);
void resolve_item(Instance& instance, const Instance& loop);
// The value of a platform setting's InputParameterSpec; null when it is absent.
Value platform_value(const State& state, const Instance& parent, const json::object& spec);
// The variables of a condition, over inputs that are resolved.
bool condition_holds(const Instance& instance);
std::string_view final_status(const Instance* producer, Outcome outcome);

// launch.cpp
std::shared_ptr<LaunchSpec> make_launch(const State& state, const Instance& instance);
std::shared_ptr<ImportSpec> make_import(const State& state, const Instance& instance);
std::string fingerprint_of(const Instance& instance, const LaunchSpec& spec);
// How long a Suspend waits; less than 0: until somebody resumes it. Throws InvalidArgument.
std::chrono::milliseconds pause_of(const State& state, const Instance& instance);
// A leaf that has failed, as {{workflow.failures}} lists it.
json::object failure_of(const State& state, const Instance& leaf);

}  // namespace penstock::engine
