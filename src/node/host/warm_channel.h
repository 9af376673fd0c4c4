// Messages between the helper and warm processes: fields that end in a zero byte, and files (executor_warm.py).
#pragma once

#include <string>
#include <vector>

namespace penstock::node {

struct WarmMessage {
  bool any = false;   // false: there is none yet
  bool gone = false;  // the other end is closed
  std::vector<std::string> fields;
  std::vector<int> files;  // the receiver's to close
  int pid = -1;            // of the sender, where this process asked to be told
};

// Two ends that do not block here; the first tells who sends. Both -1 when there can be none.
struct WarmEnds {
  int own = -1, other = -1;
};
WarmEnds make_warm_channel();

// False when it cannot be sent now.
bool send_warm(int channel, const std::string& fields, const std::vector<int>& files = {});
WarmMessage receive_warm(int channel);

// The same fields in a file without a name, for what may be long. -1: no memory.
int file_of(const std::string& fields);

}  // namespace penstock::node
