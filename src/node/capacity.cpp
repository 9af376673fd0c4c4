#include "node/capacity.h"

#include <sched.h>
#include <unistd.h>

#include <fstream>

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

// The smallest memory limit of our cgroup and those above it; 0 when there is none.
int64_t cgroup_memory_limit() {
  std::ifstream groups("/proc/self/cgroup");
  int64_t smallest = 0;
  for (std::string line; std::getline(groups, line);) {
    const bool unified = line.starts_with("0::");
    const size_t colon = line.rfind(':');
    if (colon == std::string::npos || (!unified && line.find(":memory:") == std::string::npos)) continue;
    const fs::path root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* name = unified ? "memory.max" : "memory.limit_in_bytes";
    for (fs::path group = line.substr(colon + 1);; group = group.parent_path()) {
      std::ifstream file(root / group.relative_path() / name);
      int64_t limit = 0;
      if (file >> limit && limit > 0 && (smallest == 0 || limit < smallest)) smallest = limit;
      if (!group.has_relative_path()) break;
    }
  }
  return smallest;
}

}  // namespace

Resources machine_capacity() {
  Resources capacity;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  const int count = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 0;
  capacity.cpu_milli = 1000 * std::max<int64_t>(1, count > 0 ? count : ::sysconf(_SC_NPROCESSORS_ONLN));
  capacity.memory = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  if (const int64_t limit = cgroup_memory_limit()) capacity.memory = std::min(capacity.memory, limit);
  return capacity;
}

std::vector<int> gpu_ids(const fs::path& dev) {
  std::vector<int> ids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dev, error)) {
    const auto name = entry.path().filename().string();
    const auto number = name.starts_with("nvidia") ? name.substr(6) : std::string();
    if (number.empty() || number.size() > 4 || number.find_first_not_of("0123456789") != std::string::npos) continue;
    ids.push_back(std::stoi(number));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<std::string> gpu_devices(const std::vector<int>& ids, const fs::path& dev) {
  std::vector<std::string> devices;
  if (ids.empty()) return devices;
  const auto add = [&](const std::string& name) {
    std::error_code error;
    if (fs::exists(dev / name, error)) devices.push_back((dev / name).string());
  };
  for (const int id : ids) add(fmt::format("nvidia{}", id));
  for (const char* shared : {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"}) add(shared);
  return devices;
}

}  // namespace penstock::node
