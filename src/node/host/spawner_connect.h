// How a server reaches its helper: blocking, at start-up and after the helper has died.
#pragma once

#include <string>
#include <vector>

#include "node/host/spawner.h"

namespace penstock::node {

struct HelperConnection {
  int socket = -1;  // owned by who receives it
  int helper_pid = 0;
  std::string problem;  // why it cannot sandbox
  std::vector<ProcessStatus> statuses;
  std::string rest;  // what came after them
};

// Throws as connect_spawner does.
HelperConnection connect_helper(const HelperOptions& options);

}  // namespace penstock::node
