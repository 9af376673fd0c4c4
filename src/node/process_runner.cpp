#include "node/process_runner.h"

#include <csignal>

namespace penstock::node {

Async<ProcessStatus> ProcessRunner::run(ProcessSpec spec) {
  if (stopping_) {
    ProcessStatus refused;
    refused.id = spec.id;
    refused.message = "the server is stopping";
    co_return refused;
  }
  auto process = std::make_shared<Process>(executor_);
  processes_[spec.id] = process;
  spawner_.start(std::move(spec));
  co_await process->ended.wait();
  co_return process->status;
}

void ProcessRunner::on_change(const ProcessStatus& status) {
  const auto found = processes_.find(status.id);
  if (status.running) {
    if (found == processes_.end()) spawner_.signal(status.id, SIGKILL);
    return;
  }
  if (found != processes_.end()) {
    found->second->status = status;
    found->second->ended.set();
    processes_.erase(found);
  }
  spawner_.forget(status.id);
}

Async<> ProcessRunner::end_strangers(std::string prefix) {
  const auto known = co_await spawner_.list();
  std::vector<std::shared_ptr<Process>> strangers;
  for (const auto& status : known) {
    if (!status.id.starts_with(prefix) || processes_.contains(status.id)) continue;
    if (!status.running) {
      spawner_.forget(status.id);
      continue;
    }
    auto process = std::make_shared<Process>(executor_);
    processes_[status.id] = process;
    strangers.push_back(process);
    spawner_.signal(status.id, SIGKILL);
  }
  for (const auto& process : strangers) co_await process->ended.wait();
}

void ProcessRunner::kill_all() {
  stopping_ = true;
  for (const auto& [id, process] : processes_) spawner_.signal(id, SIGKILL);
}

}  // namespace penstock::node
