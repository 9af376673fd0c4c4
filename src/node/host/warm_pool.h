// Warm processes of Python environments, and the tasks that are forked from them.
//
// A kind is what such processes are alike in: the interpreter, its first arguments, and the environment variables, but
// for those that are each task's own. From its second use on a kind has a warm process, which runs the import
// statements that its tasks have named so far (sdk/python/kfp/dsl/executor_warm.py, which also says how the two speak).
// When tasks name others, another one is made beside it and takes over once it is ready; one whose import does what a
// fork could not hand on is thrown away, and the next leaves that import out.
//
// A warm process runs in a sandbox as a task does, with no more rights than a task. What it forks gets user, mount,
// process and IPC namespaces below its own, and the maker of sandboxes, which alone has the rights, mounts there what
// the task has. A spare is forked before its task is known. Tasks outlive their warm process.
//
// Belongs to HelperTasks, and is a part of it in a file of its own. Nothing here throws or blocks.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "node/host/spawner.h"

namespace penstock::node {

class HelperTasks;
struct Task;

class WarmPool {
 public:
  explicit WarmPool(HelperTasks& tasks);
  ~WarmPool();
  WarmPool(const WarmPool&) = delete;
  WarmPool& operator=(const WarmPool&) = delete;

  // At most so many warm processes at a time, the least recently used going first. 0: none.
  void set_limit(int limit);
  // Ends them all. Tasks go on.
  void clear();

  // Takes over a process that a warm one starts, now or within a moment; false: start it as any other.
  bool take(ProcessSpec& spec);
  // Whether take() has it, and it has not started yet.
  bool waits(const std::string& id) const;
  // Gives up one that waits.
  void cancel(const std::string& id);
  void signal(Task& task, int number);
  // A task of its own has ended, or is a process of the helper's from now on.
  void release(Task& task);

  // True when the file is one of its own.
  bool readable(int file);
  bool owns(int pid) const;
  // A child has ended: the init of a warm process. The task may be let go.
  bool reaped(int pid);

 private:
  using Clock = std::chrono::steady_clock;
  struct Warm;
  struct Kind;
  struct Spare;
  struct Waiting {
    ProcessSpec spec;
    Clock::time_point since;
  };

  Kind& kind_of(const ProcessSpec& spec);
  void learn(Kind& kind, const std::vector<std::string>& imports);
  void build(Kind& kind);
  static void put_off(Kind& kind);
  std::unique_ptr<Warm> start_warm(const Kind& kind);
  bool send_load(Warm& warm, const Kind& kind);
  void end(std::unique_ptr<Warm>& warm);
  void give_up(Kind& kind);
  Kind* oldest(bool warm);
  void make_room();
  void forget_oldest();
  void pump(Kind& kind);
  bool ask_for_spare(Kind& kind);
  bool launch(Spare& spare, ProcessSpec spec);
  bool hand_over(Spare& spare, Task& task);
  void drop(Spare& spare);
  void control_readable(Kind& kind, Warm& warm);
  void loaded(Kind& kind, Warm& warm, const std::vector<std::string>& answer);
  void channel_readable(Spare& spare);
  void came(Spare& spare, const std::vector<int>& files, int pid);
  void lost(Spare& spare);
  void set_timer();
  void tick();

  HelperTasks& tasks_;
  int limit_ = 0;
  int timer_ = -1;
  uint64_t next_ = 0;
  std::map<std::string, std::unique_ptr<Kind>> kinds_;
  std::unordered_map<int, std::unique_ptr<Spare>> spares_;  // by their channel
  std::unordered_map<int, std::unique_ptr<Task>> inits_;    // of warm processes, also of those that have been ended
};

}  // namespace penstock::node
