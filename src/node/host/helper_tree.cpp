#include "node/host/helper_tree.h"

#include <cctype>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>

#include <fmt/format.h>

namespace penstock::node {

namespace {

// /proc files say 0 bytes: read to the end.
std::string read_proc(const std::string& path) {
  std::string text;
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char buffer[4096];
  for (ssize_t size; (size = read(file, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(size));
  close(file);
  return text;
}

std::vector<int> numbered_entries(const std::string& folder) {
  std::vector<int> numbers;
  DIR* listing = opendir(folder.c_str());
  if (listing == nullptr) return numbers;
  while (dirent* entry = readdir(listing)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0]))) numbers.push_back(std::atoi(entry->d_name));
  }
  closedir(listing);
  return numbers;
}

uint64_t proportional_memory(int pid) {
  std::istringstream lines(read_proc(fmt::format("/proc/{}/smaps_rollup", pid)));
  for (std::string word; lines >> word;) {
    uint64_t kib = 0;
    if (word == "Pss:" && lines >> kib) return kib << 10;
  }
  return 0;
}

uint64_t resident_memory(int pid) {
  std::istringstream fields(read_proc(fmt::format("/proc/{}/statm", pid)));
  uint64_t size = 0, resident = 0;
  fields >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

std::vector<int> children_of(int pid) {
  std::vector<int> children;
  // Each thread has its own.
  for (int thread : numbered_entries(fmt::format("/proc/{}/task", pid))) {
    std::istringstream pids(read_proc(fmt::format("/proc/{}/task/{}/children", pid, thread)));
    for (int child; pids >> child;) children.push_back(child);
  }
  return children;
}

std::vector<int> descendants_of(int pid) {
  std::vector<int> found = children_of(pid);
  for (size_t i = 0; i < found.size(); ++i) {
    std::vector<int> more = children_of(found[i]);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

void kill_trees(const std::vector<int>& roots) {
  std::unordered_set<int> killed;
  for (bool found_more = true; found_more;) {
    found_more = false;
    for (int root : roots) {
      std::vector<int> tree = descendants_of(root);
      tree.push_back(root);
      // Stopped first, so that none starts others while the list is gone through.
      for (int pid : tree) {
        if (killed.insert(pid).second) {
          kill(pid, SIGSTOP);
          found_more = true;
        }
      }
    }
  }
  for (int pid : killed) kill(pid, SIGKILL);
}

uint64_t memory_of(const std::vector<int>& pids, uint64_t limit) {
  uint64_t resident = 0;
  for (int pid : pids) resident += resident_memory(pid);
  if (resident <= limit) return resident;
  uint64_t proportional = 0;
  for (int pid : pids) {
    uint64_t share = proportional_memory(pid);
    proportional += share;
  }
  return proportional;
}

std::string environment_of(int pid, const std::string& name) {
  std::string all = read_proc(fmt::format("/proc/{}/environ", pid));
  std::string start = name + "=";
  for (size_t at = 0; at < all.size();) {
    size_t end = all.find('\0', at);
    if (end == std::string::npos) end = all.size();
    if (all.compare(at, start.size(), start) == 0) return all.substr(at + start.size(), end - at - start.size());
    at = end + 1;
  }
  return {};
}

std::vector<int> all_processes() { return numbered_entries("/proc"); }

int threads_of(const std::vector<int>& pids) {
  size_t count = 0;
  for (int pid : pids) count += numbered_entries(fmt::format("/proc/{}/task", pid)).size();
  return static_cast<int>(count);
}

int threads_of_user(unsigned user) {
  std::vector<int> its;
  for (int pid : all_processes()) {
    struct stat info;
    if (stat(fmt::format("/proc/{}/task", pid).c_str(), &info) == 0 && info.st_uid == user) its.push_back(pid);
  }
  return threads_of(its);
}

}  // namespace penstock::node
