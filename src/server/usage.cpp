#include "server/usage.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>
#include <unordered_map>

#include <dirent.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>

namespace penstock::server {

namespace {

struct Process {
  int parent = 0;
  double seconds = 0;     // of CPU
  double waited_for = 0;  // and of its children that have ended
  int64_t memory = 0;
};

// A line of /proc/PID/stat: "7 (name with spaces) S 1 …".
bool parse_stat(std::string_view text, Process& out) {
  const size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return false;
  text.remove_prefix(std::min(name_end + 2, text.size()));
  std::vector<int64_t> fields;
  while (!text.empty() && fields.size() < 22) {
    const size_t space = std::min(text.find(' '), text.size());
    int64_t number = 0;
    std::from_chars(text.data(), text.data() + space, number);
    fields.push_back(number);
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  if (fields.size() < 22) return false;
  static const double kTicks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  static const int64_t kPage = ::sysconf(_SC_PAGESIZE);
  // From the third field on: state, ppid, …, utime and stime (14, 15), cutime and cstime, …, rss (24).
  out.parent = static_cast<int>(fields[1]);
  out.seconds = static_cast<double>(fields[11] + fields[12]) / kTicks;
  out.waited_for = static_cast<double>(fields[13] + fields[14]) / kTicks;
  out.memory = fields[21] * kPage;
  return true;
}

std::unordered_map<int, Process> all_processes() {
  std::unordered_map<int, Process> out;
  DIR* folder = ::opendir("/proc");
  if (folder == nullptr) return out;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view name = entry->d_name;
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string line;
    Process process;
    if (std::getline(file, line) && parse_stat(line, process)) out.emplace(pid, process);
  }
  ::closedir(folder);
  return out;
}

}  // namespace

double UsageMeter::cores(Last& last, double seconds, double rate) {
  const auto now = std::chrono::steady_clock::now();
  const double passed = std::chrono::duration<double>(now - last.at).count();
  // Looks that follow each other closely see the same.
  if (last.at != std::chrono::steady_clock::time_point() && passed < 0.5) return rate;
  const double used = last.at == std::chrono::steady_clock::time_point() ? 0 : std::max(0.0, seconds - last.seconds);
  last = {now, seconds};
  return used / passed;
}

UsageMeter::Sample UsageMeter::look(const std::vector<int>& tasks) {
  const auto processes = all_processes();
  std::unordered_map<int, std::vector<int>> children;
  for (const auto& [pid, process] : processes) children[process.parent].push_back(pid);
  Sample sample;
  double server_seconds = 0, task_seconds = 0;
  if (const auto own = processes.find(::getpid()); own != processes.end()) {
    server_seconds = own->second.seconds;
    sample.server.memory = own->second.memory;
    sample.server.processes = 1;
  }
  std::vector<int> waiting = tasks;
  while (!waiting.empty()) {
    const int pid = waiting.back();
    waiting.pop_back();
    const auto process = processes.find(pid);
    if (process == processes.end()) continue;
    task_seconds += process->second.seconds + process->second.waited_for;
    sample.tasks.memory += process->second.memory;
    ++sample.tasks.processes;
    const auto below = children.find(pid);
    if (below != children.end()) waiting.insert(waiting.end(), below->second.begin(), below->second.end());
  }
  std::lock_guard lock(mutex_);
  sample.server.cpu_cores = server_rate_ = cores(server_, server_seconds, server_rate_);
  sample.tasks.cpu_cores = tasks_rate_ = cores(tasks_, task_seconds, tasks_rate_);
  return sample;
}

Disk disk_of(const std::filesystem::path& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return {};
  return {static_cast<uint64_t>(info.f_blocks) * info.f_frsize, static_cast<uint64_t>(info.f_bavail) * info.f_frsize};
}

}  // namespace penstock::server
