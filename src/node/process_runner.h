// Runs helper processes of the server's own through the Spawner and waits for them. Ids are given by the caller and
// must not repeat. Lives on one executor.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/async.h"
#include "node/host/spawner.h"

namespace penstock::node {

class ProcessRunner {
 public:
  ProcessRunner(Executor executor, Spawner& spawner) : executor_(executor), spawner_(spawner) {}

  // Returns when the process has ended and is forgotten. The caller that is cancelled leaves the process running.
  Async<ProcessStatus> run(ProcessSpec spec);

  // To be told of every change of a process that run() started; one that nobody here knows is ended and forgotten.
  void on_change(const ProcessStatus& status);

  // Ends the processes whose ids begin with `prefix` and that were started by an earlier server; returns when they are
  // gone.
  Async<> end_strangers(std::string prefix);

  // Ends everything that runs; run() then starts nothing any more.
  void kill_all();

 private:
  struct Process {
    explicit Process(Executor executor) : ended(executor) {}
    Signal ended;
    ProcessStatus status;
  };

  Executor executor_;
  Spawner& spawner_;
  std::map<std::string, std::shared_ptr<Process>> processes_;  // shared with the coroutines that wait
  bool stopping_ = false;
};

}  // namespace penstock::node
