// Process trees, as /proc shows them. For signals to plain processes and for memory limits that are watched.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::node {

// The children of this process or of another, by pid; empty when it is gone.
std::vector<int> children_of(int pid);
// All processes below `pid`, without it.
std::vector<int> descendants_of(int pid);
// Kills `roots` and all that descends from them, until none is left that can still start others.
void kill_trees(const std::vector<int>& roots);
// Bytes of memory that `pids` hold, shared pages counted once, if that is over `limit`; otherwise some sum below it.
uint64_t memory_of(const std::vector<int>& pids, uint64_t limit);
// The value of an environment variable that the process started with; empty when it has none or may not be read.
std::string environment_of(int pid, const std::string& name);
// Every process of this machine that may be looked into.
std::vector<int> all_processes();
// How many threads these have.
int threads_of(const std::vector<int>& pids);
// How many threads this user runs.
int threads_of_user(unsigned user);

}  // namespace penstock::node
