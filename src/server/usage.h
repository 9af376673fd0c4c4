// What this server and its tasks use of the machine, as the kernel counts it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <vector>

namespace penstock::server {

struct Usage {
  double cpu_cores = 0;  // busy since the last look, or since the process began
  int64_t memory = 0;    // resident bytes
  int64_t processes = 0;
};

struct Disk {
  uint64_t capacity = 0, free = 0;  // bytes, of the file system
};

// Thread-safe; blocks for a few milliseconds.
class UsageMeter {
 public:
  struct Sample {
    Usage server, tasks;
  };
  // `tasks`: the processes from which tasks' processes descend.
  Sample look(const std::vector<int>& tasks);

 private:
  struct Last {
    std::chrono::steady_clock::time_point at{};
    double seconds = 0;  // of CPU
  };
  static double cores(Last& last, double seconds, double rate);
  std::mutex mutex_;
  Last server_, tasks_;
  double server_rate_ = 0, tasks_rate_ = 0;
};

// Zeros where it cannot be told.
Disk disk_of(const std::filesystem::path& path);

}  // namespace penstock::server
