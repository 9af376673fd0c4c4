// KFP's REST API, v2beta1: experiments, pipelines and their versions, runs, tasks, artifacts, logs. Served under
// /apis/v2beta1 and, for clients that were pointed at the UI, under /pipeline/apis/v2beta1.
#pragma once

#include "base/async.h"
#include "base/clock.h"
#include "http/router.h"
#include "metadata/metadata.h"
#include "objects/store.h"
#include "pipelines/store/spec_cache.h"
#include "pipelines/store/store.h"
#include "stores/stores.h"

namespace penstock::pipelines {

inline constexpr std::string_view kDefaultNamespace = "kubeflow";  // of runs that name none

// What the API asks of the run controller. Called on a server loop; implementations go to their own.
class RunControl {
 public:
  virtual ~RunControl() = default;
  // The run is committed and PENDING: begin it.
  virtual Async<> start(std::string run_id) = 0;
  // The run is not final: bring it to CANCELING, and CANCELED when its tasks have ended.
  virtual Async<> terminate(std::string run_id) = 0;
  // The run is FAILED or CANCELED: do what failed again. Aborted when it cannot.
  virtual Async<> retry(std::string run_id) = 0;
  // The run is about to be deleted: stop its tasks and let go of it.
  virtual Async<> forget(std::string run_id) = 0;
  // Throws NotFound, and says why, when the task has no log; before the first byte of an answer.
  // `attempt`: from 0; the last one when it is -1.
  virtual Async<> check_log(std::string run_id, std::string task_id, int attempt) = 0;
  // Writes the task's log; with `follow` until the task has ended. NotFound when there is none.
  virtual Async<> read_log(std::string run_id, std::string task_id, int attempt, bool follow,
                           http::BodyWriter& out) = 0;
  // Deletes the logs of a run's tasks.
  virtual Async<> drop_logs(std::string run_namespace, std::vector<TaskRecord> tasks) = 0;
};

// What the API asks of the scheduler of recurring runs. Called on a server loop.
class RecurringControl {
 public:
  virtual ~RecurringControl() = default;
  // One was made, deleted, enabled or disabled.
  virtual void changed() = 0;
};

struct ApiOptions {
  uint64_t max_body_bytes = 128ull << 20;  // of a request, and of a package once unpacked
  std::string commit_sha = "unknown";
  std::string tag_name = "unknown";
  // Packages are imported over HTTPS from public addresses; from these hosts also over HTTP and from private ones.
  std::vector<std::string> package_hosts;
  std::chrono::milliseconds package_timeout{30'000};
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
};

void add_routes(http::Router& router, const ApiContext& context);

}  // namespace penstock::pipelines
