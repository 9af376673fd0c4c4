// What the store keeps, as plain structs. Member names are those of KFP's v2beta1 messages where there is one.
// A Time of zero means "not set".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "pipelines/schedule/trigger.h"

namespace penstock::pipelines {

enum class StorageState { Unspecified, Available, Archived };
std::string_view to_string(StorageState state);  // "AVAILABLE"
StorageState storage_state_from(std::string_view name);

// The numbers are KFP's RuntimeState.
enum class RunState { Unspecified, Pending, Running, Succeeded, Skipped, Failed, Canceling, Canceled, Paused };
std::string_view to_string(RunState state);  // "RUNNING"
RunState run_state_from(std::string_view name);
// True for Succeeded, Skipped, Failed and Canceled.
bool is_final(RunState state);

// google.rpc.Status. code 0 with an empty message: no error.
struct Status {
  int32_t code = 0;
  std::string message;
  bool empty() const { return code == 0 && message.empty(); }
};

struct Experiment {
  std::string experiment_id;
  std::string display_name;
  std::string description;
  Time created_at{};
  std::string name_space;
  StorageState storage_state = StorageState::Available;
  Time last_run_created_at{};
};

using Tags = std::map<std::string, std::string>;

struct Pipeline {
  std::string pipeline_id;
  std::string name;          // unique in its namespace
  std::string display_name;  // the name when empty
  std::string description;
  Time created_at{};
  std::string name_space;
  Tags tags;
  std::string default_version_id;  // that v1 clients have chosen; empty: the newest
};

struct PipelineVersion {
  std::string pipeline_id;
  std::string pipeline_version_id;
  std::string name;  // unique in its pipeline
  std::string display_name;
  std::string description;
  Time created_at{};
  std::string package_url;
  std::string code_source_url;
  std::string spec_hash;  // of its spec in the table of specs
  Tags tags;
};

struct PipelineVersionReference {
  std::string pipeline_id;
  std::string pipeline_version_id;
};

struct RuntimeConfig {
  json::object parameters;
  std::string pipeline_root;
  bool disable_caching = false;  // no task of the run takes from the cache or leaves anything in it
};

struct StateChange {
  Time update_time{};
  std::string state;
  Status error;
};

struct Run {
  std::string run_id;
  std::string experiment_id;
  std::string display_name;
  std::string description;
  std::string name_space;
  StorageState storage_state = StorageState::Available;
  // Where the spec came from; both empty when the client sent the spec itself. spec_hash names the spec in any case.
  PipelineVersionReference pipeline_version_reference;
  std::string spec_hash;
  std::string pipeline_name;  // the spec's pipelineInfo.name
  RuntimeConfig runtime_config;
  json::object plugins_input;
  std::string service_account;
  std::string recurring_run_id;
  Time created_at{};
  Time scheduled_at{};
  Time finished_at{};
  RunState state = RunState::Pending;
  Status error;
  std::vector<StateChange> state_history;
};

// A number that a run's task has reported, as the v1 API knows it. The numbers of the formats are KFP's.
enum class MetricFormat { Unspecified, Raw, Percentage };
struct RunMetric {
  std::string name;
  std::string node_id;  // of the run's workflow manifest (../argo/manifest.h)
  double number_value = 0;
  MetricFormat format = MetricFormat::Unspecified;
};

// An entry of the v1 cache store: a client says that its task has this fingerprint.
struct CacheEntry {
  std::string id;
  std::string name_space;
  std::string pipeline_name;
  std::string run_id;
  std::string mlmd_execution_id;
  Time created_at{};
  Time finished_at{};
  std::string fingerprint;
};

// A run that is made again and again.
struct RecurringRun {
  std::string recurring_run_id;
  std::string experiment_id;
  std::string display_name;
  std::string description;
  std::string name_space;
  // As of a Run. Without a version, each run takes the pipeline's latest.
  PipelineVersionReference pipeline_version_reference;
  std::string spec_hash;  // empty with a reference
  RuntimeConfig runtime_config;
  json::object plugins_input;
  std::string service_account;
  int64_t max_concurrency = 1;
  Trigger trigger;
  bool enabled = true;
  bool no_catchup = false;
  Time created_at{};
  Time updated_at{};
  Time last_fire{};   // its scheduled time; Time{}: none yet
  int64_t fires = 0;  // how many runs were made
  Status error;       // of the last attempt to make one
};

// One row of the table of tasks: an instance of a task, a loop, an iteration, a condition or the root of a run.
struct TaskRecord {
  std::string run_id;
  std::string task_id;  // unique in the run; the engine's deterministic uuid
  std::string parent_task_id;
  int64_t position = 0;  // creation order in the run; lists are sorted by it
  std::string name;
  std::string display_name;
  std::string type;        // ROOT, RUNTIME, CONDITION_BRANCH, CONDITION, LOOP, ITERATION, EXIT_HANDLER, IMPORTER, DAG
  std::string state;       // PENDING, RUNNING, SUCCEEDED, SKIPPED, FAILED, CANCELED, CACHED
  std::string scope_path;  // "root/for-loop-1/3/train"
  Time create_time{};
  Time start_time{};
  Time end_time{};
  // inputs: {"parameters": {name: {"value", "type" (IOType), "producer": {"task_name"}}}, "artifacts": {name:
  // {"artifacts": […], "type", "producer"}}}; outputs: {"parameters": {name: value}, "artifacts": {name: […]}}. An
  // artifact is {"id" (of metadata's table), "name", "uri", "type", "metadata"}.
  json::object inputs;
  json::object outputs;
  Status error;
  std::string pod_name;  // kept when a later write leaves it empty, as is pod_uid
  std::string pod_uid;
  std::vector<std::pair<std::string, std::string>> earlier_pods;  // name and uid; of earlier attempts. Kept likewise.
  std::string waiting;                                            // while PENDING: what for
  std::string cache_note;                                         // "hit: …", "missed: …" or "off: …"
  std::string not_applied;                                        // names of settings that change nothing here
  int32_t attempt = 0;
  int32_t iteration_index = -1;  // -1: not an iteration
  int32_t iteration_count = -1;  // -1: not a loop
  std::string fingerprint;       // of the cache; empty when caching is off
  bool reported = false;         // by a client, not one that the engine carries out
  // Kept by the store. When written: the changes since the last write; one to `state` when there is none.
  std::vector<StateChange> state_history;
};

// A finished task whose outputs a later one with the same fingerprint may take.
struct CachedTask {
  std::string run_id;
  std::string task_id;
  json::object outputs;
  Time created{};  // set by the store
};

}  // namespace penstock::pipelines
