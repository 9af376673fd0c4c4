// A Spawner for tests that really starts processes, without a sandbox and without a helper.
#pragma once

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <map>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "node/host/spawner.h"

namespace penstock::node {

// Lives on one loop, except that a thread for each process waits for its end.
class LocalSpawner : public Spawner {
 public:
  explicit LocalSpawner(Loop& loop) : loop_(loop) {}
  ~LocalSpawner() override {
    for (auto& thread : threads_) thread.join();
  }

  void set_on_change(OnChange on_change) override { on_change_ = std::move(on_change); }

  void start(ProcessSpec spec) override {
    ++starts;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string log = spec.log.empty() ? "/dev/null" : spec.log.string();
    if (!spec.log.empty()) std::filesystem::create_directories(spec.log.parent_path());
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addchdir_np(&actions, spec.cwd.c_str());
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    ProcessStatus status;
    status.id = spec.id;
    const int error = posix_spawnp(&status.pid, spec.argv[0].c_str(), &actions, &attributes, pointers(spec.argv).data(),
                                   pointers(spec.env).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
      status.exit_code = 127;
      status.message = spec.argv[0] + ": " + std::strerror(error);
      report(status);
      return;
    }
    status.running = true;
    processes_[spec.id] = status;
    report(status);
    threads_.emplace_back([this, status]() mutable {
      int result = 0;
      ::waitpid(status.pid, &result, 0);
      status.running = false;
      status.signal = WIFSIGNALED(result) ? WTERMSIG(result) : 0;
      status.exit_code = WIFSIGNALED(result) ? 128 + WTERMSIG(result) : WEXITSTATUS(result);
      loop_.post([this, status] {
        processes_[status.id] = status;
        report(status);
      });
    });
  }

  void signal(const std::string& id, int signal) override {
    const auto found = processes_.find(id);
    if (found != processes_.end() && found->second.running) ::kill(-found->second.pid, signal);
  }
  void forget(const std::string& id) override { processes_.erase(id); }
  Async<std::vector<ProcessStatus>> list() override {
    std::vector<ProcessStatus> all;
    for (const auto& [id, status] : processes_) all.push_back(status);
    co_return all;
  }
  std::string sandbox_problem() const override { return "a test's"; }

  int starts = 0;

 private:
  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    for (auto& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
  }
  void report(const ProcessStatus& status) {
    loop_.post([this, status] {
      if (on_change_) on_change_(status);
    });
  }

  Loop& loop_;
  OnChange on_change_;
  std::map<std::string, ProcessStatus> processes_;
  std::vector<std::thread> threads_;
};

}  // namespace penstock::node
