// How a pod's log is read; given by whatever runs pods.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "http/message.h"
#include "kube/api.h"

namespace penstock::kube {

struct LogOptions {
  std::string container;  // empty: the only one, or the first
  bool follow = false;    // until the container has ended
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
  std::optional<int64_t> offset;      // from this byte on; what the log has lost is passed over
  std::function<void(int64_t)> at{};  // told before each write() where its bytes stand in the log
};

class PodLogs {
 public:
  virtual ~PodLogs() = default;
  // Throws what read() would throw before its first byte, so that a client gets a status for it.
  virtual Async<> check(const json::object& pod, LogOptions options) = 0;
  // Throws NotFound before the first byte when there is no such pod, container or log.
  virtual Async<> read(const json::object& pod, LogOptions options, http::BodyWriter& out) = 0;
  // Deletes the logs of pods that are gone, by their namespace and uids. Those that there are not are no error.
  virtual Async<> erase(std::string ns, std::set<std::string> uids) = 0;
  // How many bytes those logs have.
  virtual Async<int64_t> size(std::string ns, std::set<std::string> uids) = 0;
};

}  // namespace penstock::kube
