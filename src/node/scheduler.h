// Which pending pods start now, and on which GPUs. Pure: no clock, no input or output; the agent feeds it.
//
// Order is arrival. A pod that does not fit makes each resource that it lacks *short*: no later pod may take any of a
// short resource, so that what is freed collects for the one at the head and nobody starves. Later pods which need
// none of the short resources pass it.
//
// A pod group (label scheduling.x-k8s.io/pod-group, its size in the annotation scheduling.x-k8s.io/min-member) waits
// until that many of its pods are there and then takes its place in the queue as one entry, that of its last arrival:
// all of them start together or none. Members beyond the minimum are scheduled one by one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace penstock::node {

struct Resources {
  int64_t cpu_milli = 0;
  int64_t memory = 0;  // bytes
  int64_t gpus = 0;
  int64_t pods = 0;

  bool operator==(const Resources&) const = default;
};

inline constexpr int64_t kDefaultCpuMilli = 100;  // counted for a pod that says nothing, so that they queue at all

// What a pod's containers ask for: the sum of its containers, or its largest init container where that is more.
// A missing request is its limit. Throws InvalidArgument naming the field.
Resources pod_request(const json::object& pod);

struct QueuedPod {
  std::string key;  // the pod's uid
  Resources request;
  int64_t created = 0;   // orders the queue,
  uint64_t version = 0;  // then this
  std::string group;     // with its namespace; empty: none
  int64_t group_size = 1;
};

struct Placement {
  std::string key;
  std::vector<int> gpus;  // their ids
};

// Why a pod can never run here, in Kubernetes' words.
struct Refusal {
  std::string key;
  std::string reason;  // "OutOfcpu"
  std::string message;
};

class Scheduler {
 public:
  // capacity.gpus GPUs with the ids from 0.
  explicit Scheduler(Resources capacity);
  Scheduler(Resources capacity, std::vector<int> gpu_ids);

  void add(QueuedPod pod);
  // A pod that is running already (found again after a restart): counted even beyond the capacity.
  void adopt(const std::string& key, const Resources& request, const std::vector<int>& gpus);
  // It ended, or waits no more. Unknown keys are ignored.
  void remove(const std::string& key);

  struct Decision {
    std::vector<Placement> placed;  // these hold their resources until remove()
    std::vector<Refusal> refused;   // these are no longer known
  };
  // Costs nothing per pod that goes on waiting.
  Decision decide();

  bool waits(const std::string& key) const { return waiting_.contains(key); }
  size_t waiting_count() const { return waiting_.size(); }
  // For the condition PodScheduled: "0/1 nodes are available: insufficient cpu: asked 4, free 1.5".
  std::string why_waiting(const std::string& key) const;

  const Resources& capacity() const { return capacity_; }
  const Resources& used() const { return used_; }

 private:
  enum Kind { kCpu = 1, kMemory = 2, kGpu = 4, kPods = 8 };
  struct Order {
    int64_t created;
    uint64_t version;
    std::string key;
    auto operator<=>(const Order&) const = default;
  };
  struct Entry {  // one pod, or a whole group
    std::vector<std::string> keys;
    Resources request;
  };
  struct Waiting {
    QueuedPod pod;
    std::optional<Order> entry;  // empty while its group is not complete
  };
  struct Held {
    Resources request;
    std::vector<int> gpus;
  };
  struct Group {
    std::vector<std::string> gathering;
    bool started = false;
    int64_t members = 0;  // known in any state; the group is dropped with the last
  };

  static int needs(const Resources& request);
  int shortage(const Resources& request) const;
  void enqueue(std::vector<std::string> keys, const QueuedPod& last);
  void drop_entry(const Waiting& waiting);
  void leave_group(const std::string& group, const std::string& key);
  void place(const Entry& entry, Decision& decision);
  void refuse(const Entry& entry, Decision& decision);
  std::string lacking(const Resources& request, int kinds, const Resources& present, std::string_view word) const;

  Resources capacity_;
  Resources used_;
  std::set<int> free_gpus_;
  std::unordered_map<std::string, Waiting> waiting_;
  std::unordered_map<std::string, Held> held_;
  std::unordered_map<std::string, std::string> group_of_;  // of waiting and of placed pods
  std::map<std::string, Group> groups_;
  // By the set of resources needed: the head of each is all that has to be looked at.
  std::array<std::map<Order, Entry>, 16> queues_;
};

}  // namespace penstock::node
