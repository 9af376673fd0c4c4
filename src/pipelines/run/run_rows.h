// What events mean for the tables that the API reads: the newest state of each task that changed, artifacts with their
// links, the cache, and the run's own state.
//
// The log of events comes first; rows follow a moment later, many events' in one transaction, together with the number
// of events that they stand for. After a crash the rest is made again from the log.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "db/database.h"
#include "metadata/metadata.h"
#include "pipelines/engine/engine.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines {

// {"parameters", "artifacts"} as the store keeps a task's outputs, and back.
json::object outputs_json(const engine::Outputs& outputs);
engine::Outputs outputs_from(const json::object& object);

class RunRows {
 public:
  void add(const std::string& run_id, std::shared_ptr<const engine::TaskRecord> record);
  void add(metadata::Artifact artifact) { artifacts_.push_back(std::move(artifact)); }
  // What the task's log is found by.
  void set_pod(const std::string& task_id, const std::string& name, const std::string& uid) {
    auto& pods = pods_[task_id];
    if (pods.empty() || pods.back().second != uid) pods.emplace_back(name, uid);
  }
  void add_cached(std::string fingerprint, std::string task_id, engine::Outputs outputs);
  // Files in which tasks have left numbers for the whole run, as v1 pipelines do; they are to be read before write().
  struct MetricsFile {
    std::string scope_path;  // of the task
    std::string uri;
  };
  const std::vector<MetricsFile>& metrics_files() const { return metrics_files_; }
  void set_metrics(std::vector<RunMetric> metrics) { metrics_ = std::move(metrics); }
  void begin(Time at) { begins_ = at; }
  void cancel(Time at) { cancels_ = at; }
  void finish(engine::RunFinished finished) { finished_ = std::move(finished); }

  struct Cached {
    std::string fingerprint;
    std::string task_id;
    engine::Outputs outputs;
  };
  const std::vector<Cached>& cached() const { return cached_; }

  bool empty() const;
  const std::optional<engine::RunFinished>& finished() const { return finished_; }
  // The run's state after this, if it changes.
  std::optional<RunState> state() const;
  Status error() const;

  // In the caller's transaction. `events` is how many events of the run's log are in the rows now.
  void write(db::Connection& connection, const Run& run, int64_t events, Time now) const;
  // For those who watch: {"task": …} and {"run": …}, a line each.
  std::string lines(const Run& run) const;

 private:
  struct Task {
    std::shared_ptr<const engine::TaskRecord> record;
    std::vector<StateChange> history;
  };
  std::vector<Task> tasks_;  // in the order of their first change
  std::unordered_map<std::string, size_t> task_at_;
  std::vector<metadata::Artifact> artifacts_;
  std::vector<metadata::Link> links_;
  std::vector<Cached> cached_;
  std::vector<MetricsFile> metrics_files_;
  std::vector<RunMetric> metrics_;
  // Name and uid, one of each attempt, by task id.
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> pods_;
  std::optional<Time> begins_, cancels_;
  std::optional<engine::RunFinished> finished_;
};

// Lines of lines(), for a watcher's beginning.
std::string task_line(const TaskRecord& record);
std::string run_line(const Run& run);

}  // namespace penstock::pipelines
