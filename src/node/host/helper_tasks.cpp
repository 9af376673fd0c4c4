#include "node/host/helper_tasks.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sched.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/helper_tree.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr char kMark[] = "PENSTOCK_PROCESS";
constexpr size_t kKeptStacks = 16;

Time now() { return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()); }

std::string mark_of(const fs::path& data) { return sha256_hex(data.native()).substr(0, 12); }

std::string problem_of(const LaunchPlan& plan) {
  return fmt::format("{} \"{}\": {}", plan.error_step, plan.error_name, std::strerror(plan.error));
}

// Forwarded by a sandbox's init to every process of its namespace.
void forward_signal(int init, int number) {
  sigval value;
  value.sival_int = number;
  sigqueue(init, kForwardSignal, value);
}

}  // namespace

HelperTasks::HelperTasks(const fs::path& data, OnStatus on_status, Observe observe)
    : data_(data),
      on_status_(std::move(on_status)),
      observe_(std::move(observe)),
      mark_(mark_of(data)),
      cgroups_("penstock-" + mark_) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  end_leftovers();
  null_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  children_ = open(fmt::format("/proc/self/task/{}/children", getpid()).c_str(), O_RDONLY | O_CLOEXEC);
  plain_stack_ = take_stacks();
  warm_ = std::make_unique<WarmPool>(*this);
}

void HelperTasks::configure(const HelperOptions& options) {
  warm_->set_limit(options.warm);
  if (configured_ && options.sandbox == options_.sandbox && options.shared_mounts == options_.shared_mounts) return;
  configured_ = true;
  warm_->clear();
  options_ = options;
  problem_ = options.sandbox ? "" : "sandbox: turned off";
  drop_sandbox();
  if (!options.sandbox) return;
  // As the maker of the sandbox writes to files of its own below /proc.
  prctl(PR_SET_DUMPABLE, 1);
  sandbox_ = std::make_unique<Sandbox>(data_, options_.shared_mounts);
  problem_ = sandbox_->problem();
  if (problem_.empty()) probe_sandbox();
  if (!problem_.empty()) drop_sandbox();
  // Tasks of the same user must not look into this memory, which the inits of sandboxes share.
  prctl(PR_SET_DUMPABLE, 0);
}

HelperTasks::~HelperTasks() {
  close(null_);
  close(children_);
}

// Plain processes can outlive a killed helper: they are known by the variable that they were started with.
void HelperTasks::end_leftovers() {
  std::vector<int> found;
  for (int pid : all_processes()) {
    if (pid != getpid() && environment_of(pid, kMark).starts_with(mark_ + ":")) found.push_back(pid);
  }
  kill_trees(found);
}

// Whether a process can really be made: some hosts allow namespaces but not, say, a new /proc.
void HelperTasks::probe_sandbox() {
  Task task;
  task.spec.id = "probe";
  task.spec.argv = {"true"};
  task.spec.log = "/dev/null";
  prepare_command(task);
  task.proc_covers = sandbox_->prepare(task.plan);
  task.plan.input = null_;
  task.plan.output = null_;
  sandbox_->make_spare(take_stacks());
  task.sandbox = sandbox_->launch(task.plan);
  int pid = task.sandbox->pid;
  if (pid < 0) {
    problem_ = fmt::format("sandbox: no process in it: {}", std::strerror(-pid));
  } else {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (task.plan.error_step != nullptr && std::strcmp(task.plan.error_step, "exec") != 0) {
      problem_ =
          fmt::format("sandbox: {} {}: {}", task.plan.error_step, task.plan.error_name, std::strerror(task.plan.error));
    }
  }
  give_stacks(task);
  if (problem_.empty()) sandbox_->make_spare(take_stacks());
}

void HelperTasks::start(ProcessSpec spec) {
  auto known = statuses_.find(spec.id);
  if (known != statuses_.end()) {
    on_status_(known->second);
    return;
  }
  if (warm_->waits(spec.id) || warm_->take(spec)) return;
  start_cold(std::move(spec));
}

void HelperTasks::start_cold(ProcessSpec spec) {
  std::unique_ptr<Task> task = prepared(std::move(spec));
  if (task != nullptr) launch(std::move(task));
}

std::unique_ptr<Task> HelperTasks::prepared(ProcessSpec spec) {
  auto task = std::make_unique<Task>();
  task->spec = std::move(spec);
  try {
    prepare(*task);
  } catch (const Error& error) {
    cgroups_.remove(task->group);
    if (task->log_pipe >= 0) close(task->log_pipe);
    failed(task->spec, error.message(), 126);
    return nullptr;
  }
  return task;
}

// Its pid, or -errno.
int HelperTasks::make_process(Task& task) {
  if (!task.status.sandboxed) {
    return static_cast<int>(
        raw_clone(CLONE_VM | CLONE_VFORK | SIGCHLD, plain_stack_ + kStackSize, run_plain_task, &task.plan));
  }
  if (!sandbox_->has_spare()) sandbox_->make_spare(take_stacks());
  task.sandbox = sandbox_->launch(task.plan);
  return task.sandbox->pid;
}

void HelperTasks::launch(std::unique_ptr<Task> task) {
  int pid = make_process(*task);
  // Many at a time: the next is as urgent as this one.
  if (pid > 0 && task->status.sandboxed && !running_.empty()) prepare_ahead();
  if (pid < 0) {
    give_stacks(*task);
    task->plan.error_step = "start";
    task->plan.error_name = task->plan.argv[0];
    task->plan.error = -pid;
    return not_begun(*task);
  }
  begun(std::move(task), pid);
}

void HelperTasks::not_begun(Task& task) {
  close(task.plan.output);
  if (task.log_pipe >= 0) close(task.log_pipe);
  cgroups_.remove(task.group);
  failed(task.spec, problem_of(task.plan), 126);
}

void HelperTasks::begun(std::unique_ptr<Task> task, int pid) {
  close(task->plan.output);
  Cgroups::close_join(task->group);
  ProcessStatus& status = task->status;
  status.running = true;
  status.pid = pid;
  status.started_at = now();
  if (!status.sandboxed) ++plain_running_;
  if (task->watch_memory) ++watched_;
  watch_output(*task);
  pids_[status.id] = pid;
  statuses_[status.id] = status;
  on_status_(status);
  running_[pid] = std::move(task);
}

void HelperTasks::watch_output(Task& task) {
  if (task.log_pipe < 0) return;
  outputs_[task.log_pipe] = &task;
  observe_(task.log_pipe, true);
}

int HelperTasks::start_keeper(Task& task) {
  try {
    prepare(task);
  } catch (const Error&) {
    if (task.log_pipe >= 0) close(task.log_pipe);
    return -1;
  }
  const int pid = make_process(task);
  close(task.plan.output);
  if (pid < 0) {
    give_stacks(task);
    close(task.log_pipe);
    return -1;
  }
  task.status.pid = pid;
  watch_output(task);
  return pid;
}

void HelperTasks::keeper_ended(Task& task) {
  if (task.log_pipe >= 0) copy_output(task, std::numeric_limits<size_t>::max());
  close_log(task);
  give_stacks(task);
}

// A task that is no child of this process; its init has told, or is gone with all that ran there.
void HelperTasks::forked_ended(Task& task, int wait_status) {
  auto found = running_.find(task.status.pid);
  std::unique_ptr<Task> kept = std::move(found->second);
  running_.erase(found);
  warm_->release(*kept);
  ended(*kept, wait_status);
}

// One whose init went before it had started it.
void HelperTasks::forked_lost(Task& task) {
  auto found = running_.find(task.status.pid);
  std::unique_ptr<Task> kept = std::move(found->second);
  running_.erase(found);
  warm_->release(*kept);
  close_log(*kept);
  if (kept->watch_memory) --watched_;
  cgroups_.remove(kept->group);
  pids_.erase(kept->status.id);
  start_cold(std::move(kept->spec));
}

void HelperTasks::failed(const ProcessSpec& spec, std::string message, int exit_code, int signal) {
  ProcessStatus status;
  status.id = spec.id;
  status.exit_code = exit_code;
  status.signal = signal;
  status.message = std::move(message);
  status.started_at = status.finished_at = now();
  statuses_[spec.id] = status;
  on_status_(status);
}

bool HelperTasks::reap() {
  while (true) {
    // Looked at before it is taken away, so that its pid still means it while its strays are looked for.
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return true;
    int pid = info.si_pid;
    auto found = running_.find(pid);
    std::unique_ptr<Task> task;
    if (found != running_.end()) {
      task = std::move(found->second);
      running_.erase(found);
      if (!task->status.sandboxed) {
        --plain_running_;
        kill(-pid, SIGKILL);
        std::vector<int> strays = strays_of(*task, true);
        if (!strays.empty()) kill_trees(strays);
      }
    }
    int wait_status = 0;
    waitpid(pid, &wait_status, 0);
    if (task != nullptr) {
      ended(*task, wait_status);
      give_stacks(*task);
    } else if (warm_->reaped(pid)) {
      continue;
    } else if (auto left = leaving_.find(pid); left != leaving_.end()) {
      give_stacks(*left->second);
      leaving_.erase(left);
    } else if (sandbox_ != nullptr) {
      give_stacks(sandbox_->drop_spare(pid));
    }
    if (sandbox_ != nullptr && pid == sandbox_->maker_pid()) return false;
  }
}

void HelperTasks::prepare_ahead() {
  if (sandbox_ != nullptr && sandbox_->wants_spare()) sandbox_->make_spare(take_stacks());
}

void HelperTasks::ended(Task& task, int wait_status) {
  const LaunchPlan& plan = task.plan;
  if (plan.ended) wait_status = plan.wait_status;
  ProcessStatus& status = task.status;
  status.running = false;
  status.pid = 0;
  status.finished_at = now();
  status.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  status.exit_code = status.signal != 0 ? 128 + status.signal : WEXITSTATUS(wait_status);
  if (plan.error_step != nullptr) status.message = problem_of(plan);
  if (!task.problem.empty()) status.message = task.problem;
  status.oom_killed = task.killed_for_memory || (status.exit_code != 0 && Cgroups::out_of_memory(task.group));
  if (task.log_pipe >= 0) copy_output(task, std::numeric_limits<size_t>::max());
  close_log(task);
  if (task.watch_memory) --watched_;
  cgroups_.remove(task.group);
  untidy_ = !cgroups_.tidy();
  pids_.erase(status.id);
  statuses_[status.id] = status;
  on_status_(status);
  if (forgotten_.erase(status.id) > 0) statuses_.erase(status.id);
}

// Children of this process that `task` left behind: descendants whose own parents have ended come to the subreaper.
// `last`: the task ends now, and nothing that belongs to nobody is to stay.
std::vector<int> HelperTasks::strays_of(const Task& task, bool last) {
  std::vector<int> strays;
  char buffer[4096];
  std::string text;
  off_t at = 0;
  for (ssize_t size; (size = pread(children_, buffer, sizeof buffer, at)) > 0; at += size) {
    text.append(buffer, static_cast<size_t>(size));
  }
  std::vector<int> own;  // of the sandbox
  if (sandbox_ != nullptr) {
    own = sandbox_->spare_pids();
    own.push_back(sandbox_->maker_pid());
  }
  std::istringstream pids(text);
  for (int pid; pids >> pid;) {
    if (pid == task.status.pid || running_.contains(pid) || leaving_.contains(pid) || warm_->owns(pid)) continue;
    if (std::find(own.begin(), own.end(), pid) != own.end()) continue;
    const std::string mark = environment_of(pid, kMark);
    if (mark.starts_with(mark_ + ":warm/")) continue;  // a spare that has not told of itself yet
    bool its = getsid(pid) == task.status.pid || mark == mark_ + ":" + task.spec.id;
    if (its || (last && plain_running_ == 0)) strays.push_back(pid);
  }
  return strays;
}

std::vector<int> HelperTasks::tree_of(const Task& task) {
  std::vector<int> tree = descendants_of(task.status.pid);
  // The init of a sandbox is part of the helper.
  if (task.status.sandboxed) return tree;
  // First, so that a shell does not see its children die of the signal before it gets it itself.
  tree.insert(tree.begin(), task.status.pid);
  for (int stray : strays_of(task, false)) {
    tree.push_back(stray);
    std::vector<int> below = descendants_of(stray);
    tree.insert(tree.end(), below.begin(), below.end());
  }
  return tree;
}

void HelperTasks::signal(const std::string& id, int number) {
  if (number <= 0 || number >= 64) return;
  auto found = pids_.find(id);
  if (found == pids_.end()) {
    if (warm_->waits(id)) ended_early(id, number);
    return;
  }
  Task& task = *running_.at(found->second);
  if (task.spare_channel >= 0) return warm_->signal(task, number);
  if (task.status.sandboxed) {
    if (number == SIGKILL) {
      kill(task.status.pid, SIGKILL);
    } else {
      forward_signal(task.status.pid, number);
    }
    return;
  }
  if (number == SIGKILL) {
    std::vector<int> roots = strays_of(task, false);
    roots.push_back(task.status.pid);
    kill_trees(roots);
  } else {
    for (int pid : tree_of(task)) kill(pid, number);
  }
}

// By a signal, before it had a process.
void HelperTasks::ended_early(const std::string& id, int number) {
  warm_->cancel(id);
  ProcessSpec spec;
  spec.id = id;
  failed(spec, "", 128 + number, number);
}

void HelperTasks::forget(const std::string& id) {
  auto found = statuses_.find(id);
  if (found == statuses_.end()) return;
  if (!found->second.running) {
    statuses_.erase(found);
  } else {
    forgotten_.insert(id);
  }
}

void HelperTasks::watch() {
  for (auto& [pid, task] : running_) {
    if (task->watch_memory) check_memory(*task);
  }
  if (untidy_) untidy_ = !cgroups_.tidy();
}

void HelperTasks::check_memory(Task& task) {
  if (task.killed_for_memory) return;
  if (memory_of(tree_of(task), task.spec.memory_limit) <= task.spec.memory_limit) return;
  task.killed_for_memory = true;
  signal(task.spec.id, SIGKILL);
}

void HelperTasks::drop_sandbox() {
  if (sandbox_ != nullptr) {
    for (char* stacks : sandbox_->drop_spares()) give_stacks(stacks);
  }
  sandbox_.reset();
}

void HelperTasks::give_stacks(const Task& task) {
  if (task.sandbox != nullptr) give_stacks(task.sandbox->stacks);
}

char* HelperTasks::take_stacks() {
  if (!free_stacks_.empty()) {
    char* stacks = free_stacks_.back();
    free_stacks_.pop_back();
    return stacks;
  }
  void* memory = mmap(nullptr, 2 * kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) throw_errno("memory for a stack");
  return static_cast<char*>(memory);
}

void HelperTasks::give_stacks(char* stacks) {
  if (stacks == nullptr) return;
  if (free_stacks_.size() < kKeptStacks) {
    free_stacks_.push_back(stacks);
  } else {
    munmap(stacks, 2 * kStackSize);
  }
}

}  // namespace penstock::node
