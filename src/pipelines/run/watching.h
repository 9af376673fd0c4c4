// One reader of a run's changes. Private to the controller.
#pragma once

#include "pipelines/run/controller.h"

namespace penstock::pipelines {

struct RunController::Watcher {
  Watcher(std::string id, Executor ex) : run_id(std::move(id)), executor(ex), ready(ex) {}
  std::string run_id;
  Executor executor;
  std::string lines;  // touched on `executor` only, as is `ready`
  Signal ready;
  bool done = false;
};

}  // namespace penstock::pipelines
