// From a ProcessSpec to the LaunchPlan that the new process carries out.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/helper_tasks.h"
#include "node/host/helper_tree.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr int kLimitedNice = 10;  // what stands in for a CPU limit that cannot be set
constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void require_no_zero(const std::string& text, std::string_view what) {
  if (text.find('\0') != std::string::npos) throw invalid("{} holds a zero byte, which no process can be given", what);
}

std::string variable(const std::vector<std::string>& environment, std::string_view name, std::string_view fallback) {
  for (const std::string& entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return std::string(fallback);
}

bool has_variable(const std::vector<std::string>& environment, const std::string& name) {
  return std::any_of(environment.begin(), environment.end(),
                     [&](const std::string& entry) { return entry.starts_with(name + "="); });
}

std::vector<std::string> candidate_paths(const std::string& program, const std::string& path) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> found;
  for (size_t at = 0; at <= path.size();) {
    size_t end = std::min(path.find(':', at), path.size());
    std::string folder = path.substr(at, end - at);
    found.push_back(folder.empty() ? "./" + program : folder + "/" + program);
    at = end + 1;
  }
  return found;
}

// Without "//" and a "/" at the end. Throws when it cannot be a mount point.
std::string clean_target(const std::string& target) {
  require_no_zero(target, "a mount path");
  if (target.empty() || target[0] != '/')
    throw invalid("the mount path \"{}\" is not absolute: begin it with \"/\"", target);
  std::string clean;
  for (const fs::path& part : fs::path(target).relative_path()) {
    if (part == "..") throw invalid("the mount path \"{}\" holds \"..\": write the path that is meant", target);
    if (part.empty() || part == ".") continue;
    clean += "/" + part.native();
  }
  if (clean.empty()) throw invalid("the mount path \"{}\" is the root: choose a folder below it", target);
  if (is_below(clean, kHidden)) throw invalid("the mount path \"{}\" is reserved", target);
  return clean;
}

}  // namespace

void HelperTasks::prepare(Task& task) {
  ProcessSpec& spec = task.spec;
  if (spec.id.empty()) throw invalid("a process without an id");
  if (spec.argv.empty() || spec.argv[0].empty())
    throw invalid("no command is given: the first argument names the program");
  for (const std::string& argument : spec.argv) require_no_zero(argument, "the command");
  for (const std::string& entry : spec.env) require_no_zero(entry, "the environment");
  require_no_zero(spec.cwd, "the working folder");
  task.status.id = spec.id;
  task.status.sandboxed = spec.sandbox && sandbox_ != nullptr;
  if (spec.sandbox && sandbox_ == nullptr) task.status.message = problem_;
  if (!task.status.sandboxed) {
    if (!spec.tmp.empty() && !has_variable(spec.env, "TMPDIR")) spec.env.push_back("TMPDIR=" + spec.tmp.native());
    spec.env.push_back(fmt::format("PENSTOCK_PROCESS={}:{}", mark_, spec.id));
    if (!spec.mounts.empty())
      task.status.message += task.status.message.empty() ? "mounts need the sandbox" : "; no mounts";
  }
  prepare_command(task);
  if (task.status.sandboxed) prepare_mounts(task);
  prepare_limits(task);
  task.plan.input = null_;
  make_log_pipe(task);
}

void HelperTasks::prepare_command(Task& task) {
  task.paths = candidate_paths(task.spec.argv[0], variable(task.spec.env, "PATH", kDefaultPath));
  for (const std::string& path : task.paths) task.candidates.push_back(path.c_str());
  task.candidates.push_back(nullptr);
  task.arguments.assign(2, nullptr);
  for (const std::string& argument : task.spec.argv) task.arguments.push_back(argument.c_str());
  task.arguments.push_back(nullptr);
  for (const std::string& entry : task.spec.env) task.environment.push_back(entry.c_str());
  task.environment.push_back(nullptr);
  task.plan.candidates = task.candidates.data();
  task.plan.argv = task.arguments.data() + 2;
  task.plan.envp = task.environment.data();
  task.plan.cwd = task.spec.cwd.empty() ? "/" : task.spec.cwd.c_str();
}

void HelperTasks::prepare_mounts(Task& task) {
  ProcessSpec& spec = task.spec;
  for (const Mount& shared : sandbox_->shared_below_tmp()) spec.mounts.push_back(shared);
  for (const std::string& device : spec.devices) {
    if (!is_below(device, "/dev")) throw invalid("the device \"{}\" is not below /dev", device);
    spec.mounts.push_back({device, device, false});
  }
  for (Mount& mount : spec.mounts) mount.target = clean_target(mount.target);
  // A folder is mounted before what is mounted inside it.
  std::stable_sort(spec.mounts.begin(), spec.mounts.end(),
                   [](const Mount& left, const Mount& right) { return left.target < right.target; });
  for (const Mount& mount : spec.mounts) {
    MountPlan& plan = task.mounts.emplace_back();
    plan.target = mount.target.c_str();
    plan.read_only = mount.read_only;
    task.sources.push_back(std::make_unique<std::string>());
    sandbox_->locate(mount.source, plan, *task.sources.back());
  }
  if (!spec.tmp.empty()) {
    MountPlan plan;
    plan.target = "/tmp";
    std::string relative;
    sandbox_->locate(spec.tmp, plan, relative);
    task.tmp = plan.root == std::string_view("/") ? "/" + relative : std::string(plan.root) + "/" + relative;
    task.plan.tmp = task.tmp.c_str();
  }
  task.plan.mounts = task.mounts.data();
  task.plan.mount_count = static_cast<int>(task.mounts.size());
  task.proc_covers = sandbox_->prepare(task.plan);
}

void HelperTasks::prepare_limits(Task& task) {
  const ProcessSpec& spec = task.spec;
  GroupLimits limits{spec.memory_limit, spec.cpu_limit, spec.pids_limit};
  if (!limits.any()) return;
  task.group = cgroups_.create(limits);
  task.plan.join = task.group.join.data();
  task.plan.join_count = static_cast<int>(task.group.join.size());
  const GroupLimits& unmet = task.group.unmet;
  task.watch_memory = unmet.memory != 0;
  std::string note;
  if (unmet.cpu != 0) {
    task.plan.nice = kLimitedNice;
    note = "the CPU limit is not enforced, as control groups are not writable here";
  }
  if (unmet.pids != 0) {
    if (geteuid() != 0) {
      task.plan.process_limit = static_cast<uint64_t>(counted_threads(task.status.sandboxed) + unmet.pids);
    } else {
      note += std::string(note.empty() ? "" : "; ") +
              "the limit of processes is not enforced, as control groups are not writable here";
    }
  }
  if (!note.empty()) task.status.message += (task.status.message.empty() ? "" : "; ") + note;
}

// What the kernel counts against RLIMIT_NPROC: all that the user runs, but in a user namespace only what runs there.
// Root is exempt from it.
int HelperTasks::counted_threads(bool sandboxed) const {
  if (!sandboxed) return threads_of_user(geteuid());
  std::vector<int> inside = sandbox_->spare_pids();
  inside.push_back(sandbox_->maker_pid());
  for (const auto& [pid, task] : running_) {
    if (!task->status.sandboxed) continue;
    std::vector<int> tree = descendants_of(pid);
    inside.push_back(pid);
    inside.insert(inside.end(), tree.begin(), tree.end());
  }
  return threads_of(inside);
}

}  // namespace penstock::node
