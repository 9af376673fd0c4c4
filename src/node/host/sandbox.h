// The helper's half of the sandbox: a template of mounts that is built once, and a maker that clones tasks from it.
//
// The maker is a process that shares the helper's memory and files and lives in the template's namespaces: as root in a
// mount namespace of its own, otherwise in a user namespace that maps the user to itself. It makes each sandbox with
// one clone, the helper's own child, and always one before its task is known: a task then waits for its own mounts
// only. So the helper stays in the host's namespaces, where it starts plain processes and opens logs, and a sandboxed
// task costs no copy of any memory.
#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "node/host/sandbox_child.h"
#include "node/host/spawner.h"

namespace penstock::node {

// As LaunchPlan wants them, ended by null. Shared with the tasks that are still starting when a template is replaced.
using ProcCovers = std::shared_ptr<const std::vector<const char*>>;

class Sandbox {
 public:
  // Builds the template. `data` must exist. Does not throw: see problem().
  Sandbox(const std::filesystem::path& data, const std::vector<Mount>& shared);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // Why nothing can be sandboxed here; empty when all is well.
  const std::string& problem() const { return problem_; }
  int maker_pid() const { return maker_; }

  // Fills in what every sandboxed task needs: masks of /proc, capabilities.
  // The caller keeps the result as long as the plan.
  [[nodiscard]] ProcCovers prepare(LaunchPlan& plan) const;
  // Where `source` is reached in the template: sets root, source and from_skeleton. The text of `relative` must outlive
  // the plan. Throws NotFound when it does not exist, InvalidArgument when it is not absolute.
  void locate(const std::filesystem::path& source, MountPlan& mount, std::string& relative) const;
  bool has_spare() const { return !spares_.empty(); }
  // There is room for one more, and the maker is free.
  bool wants_spare() const { return spares_.size() < kSpares && turn_.load() == 0; }
  // Has one more sandbox made, with two stacks for it; does not wait for that. The maker must be free.
  void make_spare(char* stacks);
  // Waits for the maker: a process that it has just made is among them.
  std::vector<int> spare_pids();
  // Forgets the spare which has ended and been waited for, and gives back its stacks; null: `pid` is no spare.
  char* drop_spare(int pid);
  // Ends all of them, and gives back their stacks.
  std::vector<char*> drop_spares();
  // Gives `plan` to a spare, of which there must be one. The result's pid is that of its init, or -errno. Result, plan
  // and stacks must stay until that has been waited for; the plan's files may be closed.
  [[nodiscard]] std::unique_ptr<SpareSandbox> launch(LaunchPlan& plan);
  // Makes the mounts of `plan` in a namespace made from a sandbox of this template; an error is in the plan.
  void attach(LaunchPlan& plan, int mount_namespace);
  // What all tasks have there, but for what a process in its user namespace mounts itself: /proc and /dev/shm. Returns
  // 0 or -errno.
  int attach_common(int mount_namespace);
  // Shared mounts that a task's own /tmp, /var/tmp or /dev/shm covers: to be made for each task.
  const std::vector<Mount>& shared_below_tmp() const { return shared_below_tmp_; }

 private:
  static int run_maker(void* sandbox);
  void build();
  void serve();
  void order(std::function<void()> work);

  std::filesystem::path data_;
  std::vector<Mount> shared_;
  std::vector<Mount> shared_below_tmp_;
  std::string problem_;
  int maker_ = -1;
  char* maker_stack_ = nullptr;
  int own_namespace_ = -1;  // the maker's, of mounts
  int helper_alive_ = -1;
  bool root_ = false;  // no user namespace was needed
  bool var_tmp_ = false;
  int last_capability_ = 40;
  ProcCovers proc_covers_;
  void await_maker();

  static constexpr size_t kSpares = 2;
  std::deque<std::unique_ptr<SpareSandbox>> spares_;  // the oldest first
  std::function<void()> work_;  // what the maker is to do, if it is not to make the last of the spares
  // 1: it is the maker's. 0: the maker is done.
  std::atomic<uint32_t> turn_{0};
};

// Builds the template in the calling process, which must be alone in its mount namespace with the right to mount, and
// makes it this process's root. Returns whether there is a /var/tmp. Throws Error.
struct TemplateOptions {
  std::filesystem::path data;
  std::vector<Mount> shared;
  bool root = false;
};
struct TemplateResult {
  bool var_tmp = false;
  std::vector<const char*> proc_covers;
};
TemplateResult build_template(const TemplateOptions& options);

// Whether `path` is `folder` or below it, by their texts.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace penstock::node
