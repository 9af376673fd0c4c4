#include "node/host/cgroup.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr int kCpuPeriodMicros = 100'000;

bool write_value(const std::string& path, const std::string& value) {
  int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  bool written = write(file, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  close(file);
  return written;
}

std::string read_value(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool has_word(const std::string& text, const std::string& word, const char* separators) {
  std::string padded = text;
  for (char& letter : padded) {
    if (std::string_view(separators).find(letter) != std::string_view::npos) letter = ' ';
  }
  std::istringstream words(padded);
  for (std::string next; words >> next;) {
    if (next == word) return true;
  }
  return false;
}

// A mounted hierarchy that holds `controller` ("" for the unified one), and this process's folder in it.
struct Hierarchy {
  std::string mount, own;
};

Hierarchy find_hierarchy(const std::string& controller) {
  Hierarchy found;
  std::string root;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, mount_root, point, word, type, source, options;
    fields >> id >> parent >> device >> mount_root >> point;
    while (fields >> word && word != "-") {
    }
    fields >> type >> source >> options;
    bool matches = controller.empty() ? type == "cgroup2" : type == "cgroup" && has_word(options, controller, ",");
    if (!matches) continue;
    found.mount = point;
    root = mount_root;
  }
  if (found.mount.empty()) return found;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    size_t first = line.find(':');
    size_t second = line.find(':', first + 1);
    std::string names = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? !names.empty() : !has_word(names, controller, ",")) continue;
    std::string path = line.substr(second + 1);
    if (root != "/" && path.starts_with(root)) path = path.substr(root.size());
    found.own = path == "/" ? "" : path;
  }
  return found;
}

// Kills what an earlier helper's tasks left, and removes their folders.
void clear_folder(const std::string& folder, std::vector<std::string>& leftover) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (!entry.is_directory(error)) continue;
    std::ifstream members(entry.path() / "cgroup.procs");
    for (int pid; members >> pid;) kill(pid, SIGKILL);
    if (rmdir(entry.path().c_str()) != 0 && errno != ENOENT) leftover.push_back(entry.path());
  }
}

bool make_folder(const std::string& folder) { return mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST; }

}  // namespace

Cgroups::Cgroups(std::string name) : name_(std::move(name)) {
  find("memory", memory_);
  find("cpu", cpu_);
  find("pids", pids_);
  std::vector<std::string> cleared;
  for (const Controller* controller : {&memory_, &cpu_, &pids_}) {
    if (controller->folder.empty() || std::find(cleared.begin(), cleared.end(), controller->folder) != cleared.end())
      continue;
    cleared.push_back(controller->folder);
    clear_folder(controller->folder, leftover_);
  }
}

Cgroups::~Cgroups() {
  tidy();
  for (const Controller* controller : {&memory_, &cpu_, &pids_}) {
    if (!controller->folder.empty()) rmdir(controller->folder.c_str());
  }
}

void Cgroups::find(const char* controller, Controller& out) {
  Hierarchy own = find_hierarchy(controller);
  if (!own.mount.empty()) {
    std::string folder = own.mount + own.own + "/" + name_;
    if (access((own.mount + own.own).c_str(), W_OK) == 0) out.folder = folder;
    return;
  }
  Hierarchy unified = find_hierarchy("");
  if (!unified.mount.empty()) out = claim_unified(unified.mount, unified.own, controller);
}

// A folder whose children can have the controller: below our own group if it is ours to share out, or at the top.
Cgroups::Controller Cgroups::claim_unified(const std::string& mount, const std::string& own, const char* controller) {
  for (const std::string& parent : {mount + own, mount}) {
    if (access((parent + "/cgroup.procs").c_str(), W_OK) != 0) continue;
    std::string folder = parent + "/" + name_;
    if (!has_word(read_value(parent + "/cgroup.subtree_control"), controller, " \n") &&
        !write_value(parent + "/cgroup.subtree_control", std::string("+") + controller)) {
      continue;
    }
    if (!make_folder(folder)) continue;
    if (write_value(folder + "/cgroup.subtree_control", std::string("+") + controller)) return {folder, true};
    rmdir(folder.c_str());
  }
  return {};
}

std::string Cgroups::enter(const Controller& controller, Group& group, const std::string& task) {
  if (controller.folder.empty()) return {};
  std::string folder = controller.folder + "/" + task;
  if (std::find(group.folders.begin(), group.folders.end(), folder) != group.folders.end()) return folder;
  // The helper's own folder is made when the first limit asks for it.
  if (!make_folder(folder) && (!make_folder(controller.folder) || !make_folder(folder))) return {};
  int join = open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  if (join < 0) {
    rmdir(folder.c_str());
    return {};
  }
  group.folders.push_back(folder);
  group.join.push_back(join);
  return folder;
}

Group Cgroups::create(const GroupLimits& limits) {
  Group group;
  std::string task = fmt::format("{}-{}", getpid(), ++next_);
  if (limits.memory != 0) {
    std::string folder = enter(memory_, group, task);
    std::string bytes = fmt::format("{}", limits.memory);
    const char* name = memory_.unified ? "/memory.max" : "/memory.limit_in_bytes";
    if (folder.empty() || !write_value(folder + name, bytes)) group.unmet.memory = limits.memory;
    // Swap is counted only where the kernel was started so.
    write_value(folder + (memory_.unified ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes"),
                memory_.unified ? "0" : bytes);
    if (memory_.unified) write_value(folder + "/memory.oom.group", "1");
    group.memory_folder = folder;
  }
  if (limits.cpu != 0) {
    std::string folder = enter(cpu_, group, task);
    int64_t quota = std::max<int64_t>(1000, static_cast<int64_t>(limits.cpu * kCpuPeriodMicros));
    bool set = !folder.empty() &&
               (cpu_.unified ? write_value(folder + "/cpu.max", fmt::format("{} {}", quota, kCpuPeriodMicros))
                             : write_value(folder + "/cpu.cfs_quota_us", fmt::format("{}", quota)));
    if (!set) group.unmet.cpu = limits.cpu;
  }
  if (limits.pids != 0) {
    std::string folder = enter(pids_, group, task);
    if (folder.empty() || !write_value(folder + "/pids.max", fmt::format("{}", limits.pids)))
      group.unmet.pids = limits.pids;
  }
  return group;
}

void Cgroups::close_join(Group& group) {
  for (int file : group.join) close(file);
  group.join.clear();
}

bool Cgroups::out_of_memory(const Group& group) {
  if (group.memory_folder.empty()) return false;
  for (const char* name : {"/memory.events", "/memory.oom_control"}) {
    std::istringstream fields(read_value(group.memory_folder + name));
    std::string key;
    for (uint64_t value; fields >> key >> value;) {
      if (key == "oom_kill" && value > 0) return true;
    }
  }
  return false;
}

std::vector<int> Cgroups::members(const Group& group) {
  std::vector<int> pids;
  if (group.folders.empty()) return pids;
  std::ifstream file(group.folders.front() + "/cgroup.procs");
  for (int pid; file >> pid;) pids.push_back(pid);
  return pids;
}

void Cgroups::remove(Group& group) {
  close_join(group);
  for (std::string& folder : group.folders) {
    if (rmdir(folder.c_str()) != 0 && errno != ENOENT) leftover_.push_back(std::move(folder));
  }
  group.folders.clear();
}

bool Cgroups::tidy() {
  std::erase_if(leftover_, [](const std::string& folder) { return rmdir(folder.c_str()) == 0 || errno == ENOENT; });
  return leftover_.empty();
}

}  // namespace penstock::node
