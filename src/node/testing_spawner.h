// A Spawner for tests that starts nothing: it keeps what it was asked for, and the test says how each process ends.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node/host/spawner.h"

namespace penstock::node {

// Lives on one executor; every call and every on_change comes on it.
class FakeSpawner : public Spawner {
 public:
  // Decides at once how a started process ends; empty: it runs until finish().
  using Script = std::function<std::optional<int>(const ProcessSpec&)>;

  explicit FakeSpawner(Executor executor) : executor_(executor), changed_(executor) {}

  void set_script(Script script) { script_ = std::move(script); }
  void set_sandbox_problem(std::string problem) { sandbox_problem_ = std::move(problem); }

  void set_on_change(OnChange on_change) override { on_change_ = std::move(on_change); }

  void start(ProcessSpec spec) override {
    ProcessStatus status{.id = spec.id, .running = true, .pid = next_pid_++};
    status.sandboxed = spec.sandbox && sandbox_problem_.empty();
    status.started_at = SystemClock().now();
    ++starts_[spec.id];
    started_.push_back(spec);
    processes_[spec.id] = status;
    report(status);
    if (script_) {
      if (const auto exit_code = script_(spec)) finish(spec.id, *exit_code);
    }
    notify();
  }

  void signal(const std::string& id, int signal) override {
    const auto found = processes_.find(id);
    if (found == processes_.end() || !found->second.running) return;
    signals_.emplace_back(id, signal);
    if (signal == 9 || !ignores_sigterm_) {
      ProcessStatus end;
      end.signal = signal;
      finish(id, 128 + signal, end);
    }
    notify();
  }

  void forget(const std::string& id) override {
    forgotten_.push_back(id);
    processes_.erase(id);
    notify();
  }

  Async<std::vector<ProcessStatus>> list() override {
    std::vector<ProcessStatus> all;
    for (const auto& [id, status] : processes_) all.push_back(status);
    // As with the real one, what changes meanwhile is told before this answer comes.
    if (while_listing_) std::exchange(while_listing_, {})();
    co_await asio::post(executor_, use_async);
    co_return all;
  }

  std::string sandbox_problem() const override { return sandbox_problem_; }

  // Ends a process; of `as` the signal, message and oom_killed are taken.
  void finish(const std::string& id, int exit_code, ProcessStatus as = {}) {
    auto& status = processes_[id];
    status.id = id;
    status.running = false;
    status.exit_code = exit_code;
    status.signal = as.signal;
    status.oom_killed = as.oom_killed;
    status.message = as.message;
    status.finished_at = SystemClock().now();
    report(status);
    notify();
  }

  // Called in the middle of the next list().
  void set_while_listing(std::function<void()> call) { while_listing_ = std::move(call); }
  // As if a former server had started it.
  void add_known(ProcessStatus status) { processes_[status.id] = std::move(status); }
  void ignore_sigterm() { ignores_sigterm_ = true; }

  const std::vector<ProcessSpec>& started() const { return started_; }
  const std::vector<std::pair<std::string, int>>& signals() const { return signals_; }
  const std::vector<std::string>& forgotten() const { return forgotten_; }
  const std::map<std::string, ProcessStatus>& processes() const { return processes_; }
  int starts_of(const std::string& id) const {
    const auto found = starts_.find(id);
    return found == starts_.end() ? 0 : found->second;
  }
  // Called after every call that changed something.
  void set_observer(std::function<void()> observer) { observer_ = std::move(observer); }
  // Waits for the next call of any kind.
  Async<> changed() {
    changed_.reset();
    co_await changed_.wait();
  }

 private:
  void report(const ProcessStatus& status) {
    asio::post(executor_, [this, status] {
      if (on_change_) on_change_(status);
    });
  }
  void notify() {
    changed_.set();
    if (observer_) observer_();
  }

  Executor executor_;
  Signal changed_;
  std::function<void()> observer_, while_listing_;
  OnChange on_change_;
  Script script_;
  std::string sandbox_problem_;
  bool ignores_sigterm_ = false;
  int next_pid_ = 1000;
  std::vector<ProcessSpec> started_;
  std::vector<std::pair<std::string, int>> signals_;
  std::vector<std::string> forgotten_;
  std::map<std::string, ProcessStatus> processes_;
  std::map<std::string, int> starts_;
};

}  // namespace penstock::node
