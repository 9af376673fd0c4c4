// What this machine has to give to pods.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "node/scheduler.h"

namespace penstock::node {

// CPUs that this process may use, memory (the cgroup's limit where that is less). Pods: not filled in.
Resources machine_capacity();

// The numbers of /dev/nvidia[0-9]+, in order.
std::vector<int> gpu_ids(const std::filesystem::path& dev = "/dev");

// The device files that a process needs for these GPUs, as far as they exist.
std::vector<std::string> gpu_devices(const std::vector<int>& ids, const std::filesystem::path& dev = "/dev");

}  // namespace penstock::node
