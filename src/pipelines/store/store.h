// The tables of experiments, pipelines, versions, runs, tasks, events and specs.
//
// Two faces: free functions in namespace `store` work on a connection, so that several of them can share one
// transaction (Database::write); class Store wraps them as coroutines for a single call. All of them may be called
// from any loop. Names of what is missing or double are in the errors: NotFound, AlreadyExists, FailedPrecondition.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "db/database.h"
#include "db/columns.h"
#include "db/list.h"
#include "pipelines/store/records.h"
#include "pipelines/store/summaries.h"

namespace penstock::pipelines {

namespace store {

// --- runs, as the controller needs them ---

// Writes a run's state; appends to its state history when it changed. `finished_at` is kept when the state is final
// and cleared otherwise. NotFound when the run is gone.
void set_run_state(db::Connection& connection, std::string_view run_id, RunState state, const Status& error, Time at);

// Appends to a run's log of events: event i gets the number first_seq + i. AlreadyExists when one of them is there,
// so that two writers cannot both continue a log.
void write_events(db::Connection& connection, std::string_view run_id, int64_t first_seq,
                  std::span<const std::string> events);
struct EventLog {
  std::vector<std::string> events;
  int64_t in_rows = 0;  // how many of them the tables of tasks and artifacts and the run's own row reflect
};
EventLog read_events(db::Connection& connection, std::string_view run_id);
void write_progress(db::Connection& connection, std::string_view run_id, int64_t events);
// A run's change to `state`.
struct RunChange {
  int64_t seq = 0;
  std::string delivery;  // 32 hexadecimal digits
  std::string run_id;
  std::string state;
  Time at{};
  std::optional<Run> run;  // as it is now; none when it was deleted
};
void delete_run(db::Connection& connection, std::string_view run_id);  // with its tasks and events; NotFound
void delete_events(db::Connection& connection, std::string_view run_id);

// Inserts or replaces rows by (run_id, task_id). A change of `state` is added to the row's state history, with the
// record's end_time, start_time or create_time as its time, whichever is set last.
void write_tasks(db::Connection& connection, std::span<const TaskRecord> tasks);
void delete_tasks(db::Connection& connection, std::string_view run_id);
TaskRecord load_task(db::Connection& connection, std::string_view run_id, std::string_view task_id);  // NotFound
// Writes a task that a client reports, and reads it back with what the store keeps of it.
TaskRecord put_reported_task(db::Connection& connection, TaskRecord task);

// Keeps a run's metrics; of one whose node has reported that name before, the earlier value stays. Returns for each
// whether it was stored. NotFound without the run.
std::vector<bool> put_metrics(db::Connection& connection, std::string_view run_id, std::span<const RunMetric> metrics);

void put_cached(db::Connection& connection, std::string_view pipeline_name, std::string_view fingerprint,
                const CachedTask& task, Time at);

// Stores a spec once by its hash (sha256 of `text`).
void put_spec(db::Connection& connection, std::string_view hash, std::string_view text);

}  // namespace store

// Lists of a resource: see db/list.h for paging, sorting and filters.
template <class T>
struct Page {
  std::vector<T> items;
  int64_t total_size = 0;
  std::string next_page_token;
};

// A run at a glance.
struct RunSummary {
  Run run;
  std::map<std::string, int64_t> tasks{};     // how many of its steps are in each state
  std::optional<TaskRecord> first_failure{};  // of one that has failed
};

struct Overview {
  std::vector<RunSummary> active, failed;  // not ended, the newest first; failed, the latest first
  std::map<std::string, int64_t> runs;     // how many are in each state, archived ones included
  std::map<std::string, int64_t> counts;   // of rows, by table
};

class Store {
 public:
  // Makes the Default experiment when it is not there. Both must outlive the store.
  Store(db::Database& database, const Clock& clock);
  static const db::Migrations& migrations();
  db::Database& database() { return database_; }
  Time now() const { return clock_.now(); }

  // --- experiments ---
  // Fills in id, time and state. AlreadyExists when (namespace, display_name) is taken.
  Async<Experiment> create_experiment(Experiment experiment);
  Async<Experiment> get_experiment(std::string experiment_id);
  Async<Page<Experiment>> list_experiments(db::ListRequest request);
  Async<> delete_experiment(std::string experiment_id);   // its runs stay; Aborted for the Default one
  Async<> archive_experiment(std::string experiment_id);  // and its runs
  Async<> unarchive_experiment(std::string experiment_id);
  const std::string& default_experiment_id() const { return default_experiment_id_; }

  // --- pipelines and versions ---
  Async<Pipeline> create_pipeline(Pipeline pipeline);
  // Both or neither. `spec` is the spec's JSON text.
  Async<std::pair<Pipeline, PipelineVersion>> create_pipeline_and_version(Pipeline pipeline, PipelineVersion version,
                                                                          std::string spec);
  Async<Pipeline> get_pipeline(std::string pipeline_id);
  Async<Pipeline> get_pipeline_by_name(std::string name);
  Async<Page<Pipeline>> list_pipelines(db::ListRequest request);
  // Replaces display_name, description and tags by those of `pipeline`.
  Async<Pipeline> update_pipeline(Pipeline pipeline);
  // FailedPrecondition when it has versions and not `cascade`.
  Async<> delete_pipeline(std::string pipeline_id, bool cascade);
  Async<PipelineVersion> create_version(PipelineVersion version, std::string spec);
  Async<PipelineVersion> get_version(std::string pipeline_id, std::string version_id);  // pipeline_id may be empty
  Async<PipelineVersion> latest_version(std::string pipeline_id);
  // What v1 clients take when they name no version: until a newer one is made.
  Async<> set_default_version(std::string pipeline_id, std::string version_id);
  // By pipeline; the newest where none was set. Pipelines without versions are not in it.
  Async<std::map<std::string, PipelineVersion>> default_versions(std::vector<std::string> pipeline_ids);
  Async<Page<PipelineVersion>> list_versions(std::string pipeline_id, db::ListRequest request);
  Async<PipelineVersion> update_version(PipelineVersion version);
  Async<> delete_version(std::string pipeline_id, std::string version_id);

  // The names of those of `ids` that are experiments, recurring runs, pipelines or versions.
  Async<std::map<std::string, std::string>> names_of(std::vector<std::string> ids);

  // --- specs ---
  Async<std::string> get_spec(std::string hash);  // its JSON text
  // The texts of those of `hashes` which are at most `max_bytes` long.
  Async<std::map<std::string, std::string>> get_specs(std::vector<std::string> hashes, size_t max_bytes);

  // --- runs ---
  // Commits the run, synced. Fills in id, times and state, the Default experiment when none is given, and stores the
  // spec under run.spec_hash when `spec` is not empty. NotFound for the experiment, FailedPrecondition when it is
  // archived.
  Async<Run> create_run(Run run, std::string spec);
  Async<Run> get_run(std::string run_id);
  // `experiment_id` and `recurring_run_id` may be empty: all.
  Async<Page<Run>> list_runs(std::string experiment_id, db::ListRequest request, std::string recurring_run_id = {});
  Async<> delete_run(std::string run_id);  // with its tasks and events
  Async<> archive_run(std::string run_id);
  Async<> unarchive_run(std::string run_id);  // FailedPrecondition in an archived experiment
  Async<> set_run_state(std::string run_id, RunState state, Status error, Time at);
  // Every run that is not in a final state, oldest first: what a start has to take up again.
  Async<std::vector<Run>> active_runs();

  // At most `most` runs of each list; those that failed before `failed_since` are not in it.
  Async<Overview> overview(int64_t most, Time failed_since);

  // --- metrics of runs ---
  // Of each metric, whether it was stored: false when its node has reported that name before. NotFound without the run.
  Async<std::vector<bool>> report_metrics(std::string run_id, std::vector<RunMetric> metrics);
  Async<std::map<std::string, std::vector<RunMetric>>> metrics_of(std::vector<std::string> run_ids);  // by run

  // --- recurring runs ---
  // Commits it, synced. Fills in id, times and experiment; stores the spec as create_run does.
  Async<RecurringRun> create_recurring_run(RecurringRun recurring, std::string spec);
  Async<RecurringRun> get_recurring_run(std::string id);
  Async<Page<RecurringRun>> list_recurring_runs(std::string experiment_id, db::ListRequest request);
  Async<> delete_recurring_run(std::string id);  // its runs stay
  Async<> enable_recurring_run(std::string id, bool enabled);
  Async<std::vector<RecurringRun>> enabled_recurring_runs();
  // A run was made for the scheduled time, or could not be, as `error` says.
  Async<> record_fire(std::string id, Time scheduled, int64_t fires, Status error);
  // How many of its runs are not in a final state.
  Async<int64_t> count_active_runs(std::string recurring_run_id);

  // --- runs' changes of state, for those who are told of them (../notify) ---
  Async<> record_run_changes(bool wanted);                         // from now on, in each change's own transaction
  Async<std::vector<store::RunChange>> run_changes(int64_t most);  // the oldest
  Async<> drop_run_change(int64_t seq);

  // --- a run's tasks, events and the cache ---
  Async<> append_events(std::string run_id, int64_t first_seq, std::vector<std::string> events);  // Relaxed
  Async<store::EventLog> load_events(std::string run_id);
  Async<> upsert_tasks(std::vector<TaskRecord> tasks);  // Relaxed
  Async<std::vector<TaskRecord>> list_tasks(std::string run_id);
  // `parent_task_id` restricts to the children of a task when given.
  Async<Page<TaskRecord>> list_tasks(std::string run_id, std::string parent_task_id, db::ListRequest request);
  // Tasks of a run, or of all with an empty one; newest first unless the request says otherwise.
  Async<Page<store::Execution>> list_executions(std::string run_id, db::ListRequest request);
  Async<store::Execution> get_execution(int64_t execution_id);  // NotFound
  // By id, or by name when no task has that id (the last one of that name).
  Async<TaskRecord> get_task(std::string run_id, std::string task_id_or_name);
  // The ids of the children of each of `parents`, in order.
  Async<std::map<std::string, std::vector<std::string>>> child_tasks(std::string run_id,
                                                                     std::vector<std::string> parents);
  // --- tasks that clients report ---
  // Fills in what is missing: id, time, position. NotFound for the run and for the parent.
  Async<TaskRecord> create_task(TaskRecord task);
  // `change` gets each task as it is now, on the writer's thread, and may throw: then none of them changes. NotFound,
  // and FailedPrecondition for a task that the engine carries out.
  Async<std::vector<TaskRecord>> change_tasks(std::string run_id, std::vector<std::string> task_ids,
                                              std::function<void(TaskRecord&)> change);
  // The newest successful task with this fingerprint, of any pipeline. NotFound.
  Async<TaskRecord> find_by_fingerprint(std::string fingerprint);
  Async<CacheEntry> create_cache_entry(CacheEntry entry);
  Async<Page<CacheEntry>> list_cache_entries(db::ListRequest request);

  Async<std::optional<CachedTask>> find_cached(std::string pipeline_name, std::string fingerprint);
  Async<> put_cached(std::string pipeline_name, std::string fingerprint, CachedTask task);  // Relaxed

 private:
  void catch_up_lists();

  db::Database& database_;
  const Clock& clock_;
  std::shared_ptr<db::Columns> run_columns_;  // shared with reads that nobody waits for
  std::atomic<int64_t> created_runs_ = 0;
  std::string default_experiment_id_;
};

}  // namespace penstock::pipelines
