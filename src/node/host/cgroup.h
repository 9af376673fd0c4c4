// Control groups for tasks that have limits, in cgroup v2 or v1, where this user may make them. Used by the helper
// alone.
//
// Each helper has one folder, named after its data folder, in each hierarchy that it uses; each limited task has a
// folder in that. None is left behind: a task's go when it ends, and those of a helper that was killed when the next
// one starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::node {

struct GroupLimits {
  uint64_t memory = 0;  // bytes; 0: none
  double cpu = 0;       // cores; 0: none
  int pids = 0;         // 0: none
  bool any() const { return memory != 0 || cpu != 0 || pids != 0; }
};

// One task's folders, one for each hierarchy that a limit needs.
struct Group {
  std::vector<std::string> folders;
  std::vector<int> join;  // open cgroup.procs files; close_join() when the task has started
  std::string memory_folder;
  GroupLimits unmet;  // what no control group could limit
};

class Cgroups {
 public:
  // `name` is one path component, the same for every helper of a data folder. Removes what an earlier one left.
  explicit Cgroups(std::string name);
  ~Cgroups();  // removes the helper's own folders
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;

  Group create(const GroupLimits& limits);
  static void close_join(Group& group);
  // Whether the kernel killed one of its processes for memory.
  static bool out_of_memory(const Group& group);
  // Every process of the group, by pid.
  static std::vector<int> members(const Group& group);
  // Removes the folders, now or, when processes are still leaving them, at the next tidy().
  void remove(Group& group);
  // Tries again to remove what remained; true when nothing is left to do.
  bool tidy();

 private:
  struct Controller {
    std::string folder;  // of the helper; empty when it is not to be had
    bool unified = false;
  };
  void find(const char* controller, Controller& out);
  Controller claim_unified(const std::string& mount, const std::string& own, const char* controller);
  std::string enter(const Controller& controller, Group& group, const std::string& task);

  std::string name_;
  Controller memory_, cpu_, pids_;
  std::vector<std::string> leftover_;
  uint64_t next_ = 0;
};

}  // namespace penstock::node
