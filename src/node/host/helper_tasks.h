// The processes of one helper: started, watched, ended, remembered until their results are recorded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "node/host/cgroup.h"
#include "node/host/sandbox.h"
#include "node/host/sandbox_child.h"
#include "node/host/spawner.h"
#include "node/log_writer.h"
#include "node/host/warm_pool.h"

namespace penstock::node {

// A running process and all that its LaunchPlan points to.
struct Task {
  ProcessSpec spec;
  ProcessStatus status;
  LaunchPlan plan;
  std::vector<std::string> paths;  // candidates for exec
  std::vector<const char*> candidates, arguments, environment;
  std::vector<MountPlan> mounts;
  std::vector<std::unique_ptr<std::string>> sources;
  std::string tmp;
  ProcCovers proc_covers;
  Group group;
  bool watch_memory = false;
  bool killed_for_memory = false;
  int log_pipe = -1;  // what the process prints comes here
  std::optional<LogWriter> log;
  std::unique_ptr<SpareSandbox> sandbox;
  int spare_channel = -1;  // to the init of a task that a warm process has forked; none: -1
  std::string problem;     // why such a one was not started
};

class HelperTasks {
 public:
  using OnStatus = std::function<void(const ProcessStatus&)>;
  // To be told, or not any more, when a file can be read: take_output() is called then.
  using Observe = std::function<void(int file, bool add)>;

  // `data` must be canonical. Ends what processes an earlier helper of the same data folder left behind.
  HelperTasks(const std::filesystem::path& data, OnStatus on_status, Observe observe);
  ~HelperTasks();
  HelperTasks(const HelperTasks&) = delete;
  HelperTasks& operator=(const HelperTasks&) = delete;

  // What the server wants of the sandbox; to be called before start(). Builds the template anew when it changes; what
  // runs stays in the old one.
  void configure(const HelperOptions& options);
  void start(ProcessSpec spec);
  void signal(const std::string& id, int number);
  // One that still runs is forgotten when it ends.
  void forget(const std::string& id);
  // Has the next sandbox made, unless enough are. For a moment in which nobody waits: beside a task that is just
  // starting, it would hold that one up, as mounts are made one at a time.
  void prepare_ahead();
  // What a process printed, into its log; or what a warm process says.
  void take_output(int file);
  // Takes in every child that has ended. False when the sandbox's maker is gone, without which nothing works.
  bool reap();
  // To be called every kWatchMillis while needs_watch(): memory limits that the kernel does not hold by itself.
  void watch();
  bool needs_watch() const { return watched_ > 0 || untidy_; }
  // Nothing runs and every result has been recorded.
  bool idle() const { return statuses_.empty(); }
  const std::map<std::string, ProcessStatus>& statuses() const { return statuses_; }
  const std::string& sandbox_problem() const { return problem_; }

  static constexpr int kWatchMillis = 100;

 private:
  friend class WarmPool;
  void start_cold(ProcessSpec spec);
  // Null when it cannot be: then its end is told already.
  std::unique_ptr<Task> prepared(ProcessSpec spec);
  void prepare(Task& task);
  void prepare_command(Task& task);
  void prepare_mounts(Task& task);
  void prepare_limits(Task& task);
  void make_log_pipe(Task& task);
  void watch_output(Task& task);
  bool copy_output(Task& task, size_t most);
  void write_log(Task& task, std::string_view bytes);
  void close_log(Task& task);
  int make_process(Task& task);
  void launch(std::unique_ptr<Task> task);
  void begun(std::unique_ptr<Task> task, int pid);
  void not_begun(Task& task);
  // A process that is nobody's task. Its pid, or -1.
  int start_keeper(Task& task);
  void keeper_ended(Task& task);
  void forked_ended(Task& task, int wait_status);
  void forked_lost(Task& task);
  void failed(const ProcessSpec& spec, std::string message, int exit_code, int signal = 0);
  void ended_early(const std::string& id, int number);
  void ended(Task& task, int wait_status);
  void probe_sandbox();
  void drop_sandbox();
  void give_stacks(const Task& task);
  void end_leftovers();
  std::vector<int> strays_of(const Task& task, bool last);
  std::vector<int> tree_of(const Task& task);
  int counted_threads(bool sandboxed) const;
  void check_memory(Task& task);
  char* take_stacks();
  void give_stacks(char* stacks);

  std::filesystem::path data_;
  bool configured_ = false;
  HelperOptions options_;
  OnStatus on_status_;
  Observe observe_;
  std::string mark_;  // begins the PENSTOCK_PROCESS variable of plain processes
  Cgroups cgroups_;
  std::unique_ptr<Sandbox> sandbox_;
  std::string problem_;
  std::unordered_map<int, std::unique_ptr<Task>> running_;  // by pid
  // Inits whose tasks have ended, on their own way out: their stacks are still in use.
  std::unordered_map<int, std::unique_ptr<Task>> leaving_;
  std::unordered_map<int, Task*> outputs_;         // running ones by log_pipe
  std::unordered_map<std::string, int> pids_;      // of running processes
  std::map<std::string, ProcessStatus> statuses_;  // running, and ended but not forgotten
  std::set<std::string> forgotten_;                // running, to be forgotten at their end
  std::vector<char*> free_stacks_;
  char* plain_stack_ = nullptr;
  int null_ = -1;
  int children_ = -1;  // /proc/…/children of this process
  std::vector<char> buffer_;
  size_t plain_running_ = 0;
  int watched_ = 0;
  bool untidy_ = false;
  std::unique_ptr<WarmPool> warm_;
};

}  // namespace penstock::node
