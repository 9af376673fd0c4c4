// Carries out runs: keeps an engine for each run in progress, writes its events, turns its commands into pods, and
// pods' ends into its events.
//
// Lives on the control loop. For each run, one coroutine at a time takes the waiting events in: it steps the engine,
// writes the events to the journal, and only then acts. The events and the rows that follow from them go to the
// database a moment later, many in one transaction; the end of a run, and what a client waits for, at once. The journal
// outlives the server's death; after a loss of power a task that ended in the last instant may run again.
#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/async.h"
#include "base/clock.h"
#include "kube/api.h"
#include "http/router.h"
#include "kube/pod_logs.h"
#include "metadata/metadata.h"
#include "pipelines/api/api.h"
#include "pipelines/run/active_run.h"
#include "pipelines/run/journal.h"
#include "pipelines/run/places.h"
#include "pipelines/run/pod.h"
#include "pipelines/run/task_files.h"
#include "pipelines/run/workload.h"
#include "pipelines/store/spec_cache.h"
#include "pipelines/store/store.h"
#include "stores/stores.h"

namespace penstock::pipelines {

struct RunOptions {
  std::filesystem::path data;
  std::filesystem::path objects;  // bucket folders; minio://bucket/key is objects/bucket/key
  // Makes sure that what the URI names lies there, also when it came by S3; blocks. May be empty.
  std::function<void(std::string_view uri)> lay_out;
  // Makes the bucket of a URI that a task will write to; blocks. May be empty.
  std::function<void(std::string_view uri)> make_bucket_of;
  stores::Stores* stores = nullptr;   // other stores than the embedded one; null: there are none
  std::string ns{kDefaultNamespace};  // where pods of runs without a namespace go
  std::string pipeline_root = "minio://mlpipeline/v2/artifacts";
  bool sandbox = true;  // tasks see mounts
  bool images = false;  // the node has the files of images: artifacts oci://… are mounted
  bool caching = true;  // false: as if every run said disable_caching
  // Where this machine keeps a volume claim, by namespace and name.
  std::function<std::filesystem::path(std::string_view ns, std::string_view claim)> claim_folder;
  // And an emptyDir of a pod.
  std::function<std::filesystem::path(std::string_view pod_uid, std::string_view volume)> scratch_folder;
};

class RunController : public RunControl {
 public:
  // All references must outlive the controller.
  RunController(Loop& control, kube::Api& api, kube::PodLogs& logs, Store& store, metadata::Store& metadata,
                SpecCache& specs, const Clock& clock, BlockingPool& pool, RunOptions options);
  ~RunController() override;

  // Takes up every run that was in progress; returns when the pods of all its tasks exist.
  Async<> start();
  // Stops following; tasks run on and are found again by the next start.
  Async<> stop();

  Async<> start(std::string run_id) override;
  Async<> terminate(std::string run_id) override;
  Async<> resume_paused(std::string run_id) override;
  Async<> retry(std::string run_id, std::vector<std::string> from) override;
  Async<> forget(std::string run_id) override;
  Async<> check_log(std::string run_id, std::string task_id, int attempt) override;
  Async<> read_log(std::string run_id, std::string task_id, int attempt, LogPart part, http::BodyWriter& out) override;
  Async<> drop_logs(std::string run_namespace, std::vector<TaskRecord> tasks) override;
  Async<int64_t> log_bytes(std::string run_namespace, std::vector<TaskRecord> tasks) override;

  // One line of JSON for each task and the run as they are, then one for each change, until the run is in a final
  // state.
  Async<> watch(std::string run_id, http::BodyWriter& out);
  // GET /apis/v2beta1/runs/{run_id}:watch, an addition of ours.
  void add_watch_route(http::Router& router);

  size_t active_runs() const { return active_.size(); }
  // Called on the control loop when a run's state has changed in the database; set before start().
  void set_on_changed(std::function<void(const Run&)> on_changed) { on_changed_ = std::move(on_changed); }

 private:
  using RunPtr = std::shared_ptr<ActiveRun>;  // shared with the coroutines that act for the run
  struct Watcher;

  Async<> on_control(std::function<Async<>()> make);
  // `found_pods`: those of the run that a former server made.
  Async<> resume(Run run, std::set<std::string, std::less<>> found_pods);
  Async<RunPtr> load(Run run);
  void post(const RunPtr& run, engine::Event event);
  Async<> drive(RunPtr run);
  Async<> commit(RunPtr run, std::shared_ptr<Batch> batch);
  Async<> read_metrics(RunPtr run, std::shared_ptr<Batch> batch);
  // `replayed`: from the log, after a restart.
  void take_in(ActiveRun& run, engine::Event& event, Batch& batch, bool replayed);
  void replay(ActiveRun& run, const store::EventLog& log);
  void kick(const RunPtr& run);
  void schedule_rows(const RunPtr& run);
  Async<> later_loop();
  void written(const RunPtr& run, const RunRows& rows);

  void lend_folders(ActiveRun& run, const Batch& batch);
  static Flight& note_flight(ActiveRun& run, const engine::Launch& command);
  void carry_out(const RunPtr& run, const engine::Command& command);
  Async<> launch(RunPtr run, engine::Launch command);
  struct Prepared {
    json::object pod;
    std::string failure;  // not empty: there is no pod
  };
  // Blocks but for a task of which everything on disk is there.
  Prepared prepare_pod(const ActiveRun& run, const engine::LaunchSpec& launched, const Flight& flight,
                       const Places& places);
  json::object make_container_pod(const ActiveRun& run, const engine::LaunchSpec& spec, const Flight& flight,
                                  const Places& places);
  void keep_custom_paths(const engine::LaunchSpec& spec, engine::Outputs& outputs, const std::filesystem::path& folder,
                         const Places& places) const;
  // AlreadyExists when there is one of that name that has not all its labels. One that has is from before a crash.
  Async<> create_own_claim(json::object claim);
  // The claim's name; empty for a run that has no workspace. Makes it when it is not there.
  Async<std::string> ensure_workspace(RunPtr run);
  Async<> drop_workspace(std::string run_id);
  // Those of volumeClaimTemplates.
  Async<> ensure_claims(RunPtr run);
  WorkloadHost workload_host(const ActiveRun& run, const Flight& flight, const Places& places) const;
  Async<> run_resource_task(RunPtr run, FlightKey key);
  Async<> run_http_task(RunPtr run, FlightKey key);
  Async<> expire_resource_task(RunPtr run, FlightKey key, std::chrono::milliseconds after);
  Async<engine::Outputs> act_on_resource(RunPtr run, FlightKey key);
  Async<std::string> import_into_workspace(RunPtr run, std::string uri);
  // Runs that may take only so long.
  void note_deadline(const ActiveRun& run, Time began);
  Async<> deadline_loop();
  // A moment later, off this loop. Of a task whose processes may still run the folder is not `clean`.
  void give_back(EndedFolder folder);
  // `waits` is called before what may take long: bringing what the task takes from elsewhere.
  Async<std::string> make_task_pod(RunPtr run, FlightKey key, std::function<void()> waits);
  Async<Prepared> prepare_task(RunPtr run, FlightKey key, const Flight& launched, const std::function<void()>& waits);
  stores::Ask ask_for(const ActiveRun& run, std::string uri) const;
  Async<bool> is_outside(const ActiveRun& run, std::string uri) const;
  Async<Places> find_places(RunPtr run, FlightKey key);
  Async<> fetch_inputs(RunPtr run, FlightKey key, const Places& places, const std::function<void()>& waits);
  Async<> send_outputs(RunPtr run, FlightKey key, engine::Outputs& outputs);
  Async<std::string> read_outside(const ActiveRun& run, std::string uri, uint64_t limit) const;
  Async<std::string> missing_import(const ActiveRun& run, std::string uri);
  Async<bool> is_kept(const ActiveRun& run, const json::value& artifact);
  // Of a task that has ended: what it left.
  Places places_left(const Flight& flight) const;
  Async<engine::Outputs> take_outputs(RunPtr run, FlightKey key);
  Async<> run_volume_task(RunPtr run, FlightKey key);
  Async<engine::Outputs> change_claim(const engine::LaunchSpec& spec, std::string ns, bool again);
  Async<> check_cache(RunPtr run, engine::CheckCache command);
  Async<> import(RunPtr run, engine::Import command);
  Async<> cancel_task(RunPtr run, FlightKey key);
  Async<> fire_later(RunPtr run, engine::SetTimer command);

  // Task folders that no pod has: a server that was killed left them.
  void reclaim_folders(const kube::List& pods);
  Async<> watch_pods(std::string resource_version);
  void on_pod(const json::object& pod, bool deleted);
  bool is_known(const json::object& pod) const;  // of a task in flight
  Async<> collect(RunPtr run, FlightKey key, PodOutcome outcome, kube::Object pod);
  Async<> remove_pod(std::string ns, std::string name);
  Async<std::string> last_words(kube::Object pod);
  static std::vector<ObjectMount> mounts_of(const engine::LaunchSpec& spec, const Places& places);
  static std::vector<ImageMount> images_of(const engine::LaunchSpec& spec);
  // Whether the object of a URI of the embedded store is there, or with `folder` what it would be in; what clients of
  // S3 have put is laid out as a file for it.
  Async<bool> object_exists(std::string uri, bool folder);

  struct TaskLog {
    json::object pod;  // what its log is found by
    kube::LogOptions options;
  };
  Async<TaskLog> log_of(std::string run_id, std::string task_id, int attempt);
  void publish(const Run& run, const RunRows& rows);

  Loop& control_;
  kube::Api& api_;
  kube::PodLogs& logs_;
  Store& store_;
  metadata::Store& metadata_;
  SpecCache& specs_;
  const Clock& clock_;
  BlockingPool& pool_;
  RunOptions options_;
  std::function<void(const Run&)> on_changed_;
  TaskFolders folders_;
  Journal journal_;
  Scope scope_;
  int launching_ = 0;
  Signal launched_;  // set while no pod is being made
  // Tasks for the cache that the database does not have yet, by pipeline and fingerprint.
  std::map<std::pair<std::string, std::string>, CachedTask> fresh_cached_;
  std::vector<RunPtr> with_rows_;                                // that wait to be written
  std::vector<std::pair<std::string, std::string>> ended_pods_;  // to be removed: namespace and name
  std::vector<EndedFolder> returned_;                            // to be given back
  std::multimap<Time, std::string> deadlines_;                   // runs' ids
  Signal deadlines_changed_;
  Signal any_later_;  // one of these is not empty
  std::unordered_map<std::string, RunPtr> active_;
  std::list<std::shared_ptr<Watcher>> watchers_;  // shared with the request that reads it
};

}  // namespace penstock::pipelines
