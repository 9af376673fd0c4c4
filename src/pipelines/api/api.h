// KFP's REST API, v2beta1: experiments, pipelines and their versions, runs, tasks, artifacts, logs. Served under
// /apis/v2beta1 and, for clients that were pointed at the UI, under /pipeline/apis/v2beta1.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/schema.h"
#include "http/router.h"
#include "metadata/metadata.h"
#include "metadata/references.h"
#include "objects/store.h"
#include "pipelines/store/retention.h"
#include "pipelines/store/spec_cache.h"
#include "pipelines/store/store.h"
#include "stores/stores.h"

namespace penstock::pipelines {

// Which part of a task's log is read.
struct LogPart {
  bool follow = false;  // until the task has ended
  std::optional<int64_t> offset, tail_lines, limit_bytes;
  std::function<void(int64_t)> at{};  // told before each write where its bytes stand in the log
};
inline constexpr std::string_view kDefaultNamespace = "kubeflow";  // of runs that name none

// What the API asks of the run controller. Called on a server loop; implementations go to their own.
class RunControl {
 public:
  virtual ~RunControl() = default;
  // The run is committed and PENDING: begin it.
  virtual Async<> start(std::string run_id) = 0;
  // The run is not final: bring it to CANCELING, and CANCELED when its tasks have ended.
  virtual Async<> terminate(std::string run_id) = 0;
  // Ends the pauses of the run that wait for somebody, and those that have a length. FailedPrecondition when there are
  // none.
  virtual Async<> resume_paused(std::string run_id) = 0;
  // The run is FAILED or CANCELED: do what failed again. With the paths of tasks, any run that has ended: do these, and
  // what comes after them, again as well, whatever they gave. Aborted when it cannot.
  virtual Async<> retry(std::string run_id, std::vector<std::string> from) = 0;
  // The run is about to be deleted: stop its tasks and let go of it.
  virtual Async<> forget(std::string run_id) = 0;
  // Throws NotFound, and says why, when the task has no log; before the first byte of an answer.
  // `attempt`: from 0; the last one when it is -1.
  virtual Async<> check_log(std::string run_id, std::string task_id, int attempt) = 0;
  // Writes the task's log, or the part of it. NotFound when there is none.
  virtual Async<> read_log(std::string run_id, std::string task_id, int attempt, LogPart part,
                           http::BodyWriter& out) = 0;
  // Deletes the logs of a run's tasks.
  virtual Async<> drop_logs(std::string run_namespace, std::vector<TaskRecord> tasks) = 0;
  // How many bytes they have.
  virtual Async<int64_t> log_bytes(std::string run_namespace, std::vector<TaskRecord> tasks) = 0;
};

// Contents that something outside of the database refers to, as model servers do. Called on a server loop.
class ContentHolders {
 public:
  virtual ~ContentHolders() = default;
  virtual Async<metadata::OtherHolds> holds() = 0;
};

// What the API asks of the rules of retention (retention.h). Called on a server loop.
class RetentionControl {
 public:
  virtual ~RetentionControl() = default;
  // What would go now, and why, in the words of the API; by `rules` instead of those that are kept when they are given.
  virtual Async<json::object> dry_run(std::optional<std::vector<RetentionRule>> rules) = 0;
  // Does it, and says how much it was.
  virtual Async<json::object> sweep() = 0;
  virtual void changed() = 0;  // a rule
};

// What the API asks of the scheduler of recurring runs. Called on a server loop.
class RecurringControl {
 public:
  virtual ~RecurringControl() = default;
  // One was made, deleted, enabled or disabled.
  virtual void changed() = 0;
  // The scheduled times of the next `count` fires as things stand; those that are past are still to be made up for. One
  // without a time of creation is taken as made now. InvalidArgument for a trigger that is none.
  virtual std::vector<Time> upcoming(const RecurringRun& recurring, size_t count) const = 0;
};

// A pipeline that is part of the program.
struct Example {
  std::string_view name;
  std::string_view description;
  std::string_view source;  // Python
  std::string_view spec;    // the JSON that it compiles to
};

struct ApiOptions {
  uint64_t max_body_bytes = 128ull << 20;  // of a request, and of a package once unpacked
  std::string commit_sha = "unknown";
  std::string tag_name = "unknown";
  // Packages are imported over HTTPS from public addresses; from these hosts also over HTTP and from private ones.
  std::vector<std::string> package_hosts;
  std::chrono::milliseconds package_timeout{30'000};
  std::span<const Example> examples{};
};

// Everything referred to must outlive the router.
struct ApiContext {
  Store& store;
  metadata::Store& metadata;
  objects::Store& objects;
  SpecCache& specs;
  RunControl& runs;
  BlockingPool& blocking;  // for archives, big specs and files
  ApiOptions options{};
  stores::Stores* stores = nullptr;       // other than the embedded one; null: there are none
  RecurringControl* recurring = nullptr;  // null: recurring runs are kept, but never due
  ContentHolders* holders = nullptr;      // null: there are none
  RetentionControl* retention = nullptr;  // null: rules are kept, but nothing follows from them
};

void add_routes(http::Router& router, const ApiContext& context);
// The schemas of the API's messages, for its document.
void add_schemas(Schemas& schemas);

}  // namespace penstock::pipelines
