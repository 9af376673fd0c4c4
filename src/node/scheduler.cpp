#include "node/scheduler.h"

#include "base/error.h"
#include "node/pod_config.h"
#include "node/quantity.h"

namespace penstock::node {

namespace {

// A missing request is the limit.
const json::value* amount(const json::object& container, std::string_view name) {
  const auto* request = container_resource(container, "requests", name);
  return request ? request : container_resource(container, "limits", name);
}

struct Asked {
  Resources request;
  bool cpu_given = false;
};

Asked container_request(const json::object& container, const std::string& path) {
  Asked asked;
  const auto read = [&](std::string_view name, bool milli) -> int64_t {
    const auto* value = amount(container, name);
    if (!value) return 0;
    const auto field = fmt::format("{}.resources.requests.{}", path, name);
    const auto quantity = Quantity::read(*value, field);
    if (quantity < Quantity()) throw Error(Code::InvalidArgument, "a request must not be negative", field);
    return milli ? quantity.milli() : quantity.units();
  };
  asked.cpu_given = amount(container, "cpu") != nullptr;
  asked.request.cpu_milli = read("cpu", true);
  asked.request.memory = read("memory", false);
  asked.request.gpus = read("nvidia.com/gpu", false);
  return asked;
}

void add_to(Resources& sum, const Resources& more, int64_t sign = 1) {
  sum.cpu_milli += sign * more.cpu_milli;
  sum.memory += sign * more.memory;
  sum.gpus += sign * more.gpus;
  sum.pods += sign * more.pods;
}

}  // namespace

Resources pod_request(const json::object& pod) {
  Asked sum, largest;
  const auto* spec = find_object(pod, "spec");
  if (!spec) throw Error(Code::InvalidArgument, "a pod needs a spec", "spec");
  if (const auto* containers = find_array(*spec, "containers")) {
    for (size_t i = 0; i < containers->size(); ++i) {
      if (!(*containers)[i].is_object()) continue;
      const auto asked = container_request((*containers)[i].get_object(), fmt::format("spec.containers[{}]", i));
      add_to(sum.request, asked.request);
      sum.cpu_given = sum.cpu_given || asked.cpu_given;
    }
  }
  if (const auto* containers = find_array(*spec, "initContainers")) {
    for (size_t i = 0; i < containers->size(); ++i) {
      if (!(*containers)[i].is_object()) continue;
      const auto asked = container_request((*containers)[i].get_object(), fmt::format("spec.initContainers[{}]", i));
      largest.request.cpu_milli = std::max(largest.request.cpu_milli, asked.request.cpu_milli);
      largest.request.memory = std::max(largest.request.memory, asked.request.memory);
      largest.request.gpus = std::max(largest.request.gpus, asked.request.gpus);
      largest.cpu_given = largest.cpu_given || asked.cpu_given;
    }
  }
  Resources result;
  result.cpu_milli = std::max(sum.request.cpu_milli, largest.request.cpu_milli);
  if (!sum.cpu_given) result.cpu_milli = std::max(result.cpu_milli, kDefaultCpuMilli);
  result.memory = std::max(sum.request.memory, largest.request.memory);
  result.gpus = std::max(sum.request.gpus, largest.request.gpus);
  result.pods = 1;
  return result;
}

Scheduler::Scheduler(Resources capacity) : capacity_(capacity) {
  for (int id = 0; id < capacity.gpus; ++id) free_gpus_.insert(id);
}

Scheduler::Scheduler(Resources capacity, std::vector<int> gpu_ids)
    : capacity_(capacity), free_gpus_(gpu_ids.begin(), gpu_ids.end()) {
  capacity_.gpus = static_cast<int64_t>(free_gpus_.size());
}

int Scheduler::needs(const Resources& request) {
  return (request.cpu_milli > 0 ? kCpu : 0) | (request.memory > 0 ? kMemory : 0) | (request.gpus > 0 ? kGpu : 0) |
         (request.pods > 0 ? kPods : 0);
}

int Scheduler::shortage(const Resources& request) const {
  int kinds = 0;
  if (request.cpu_milli > 0 && used_.cpu_milli + request.cpu_milli > capacity_.cpu_milli) kinds |= kCpu;
  if (request.memory > 0 && used_.memory + request.memory > capacity_.memory) kinds |= kMemory;
  if (request.gpus > static_cast<int64_t>(free_gpus_.size())) kinds |= kGpu;
  if (request.pods > 0 && used_.pods + request.pods > capacity_.pods) kinds |= kPods;
  return kinds;
}

void Scheduler::add(QueuedPod pod) {
  const auto key = pod.key;
  if (waiting_.contains(key) || held_.contains(key)) return;
  const auto& placed = waiting_.emplace(key, Waiting{pod, std::nullopt}).first->second.pod;
  if (pod.group.empty()) return enqueue({key}, placed);
  group_of_[key] = pod.group;
  auto& group = groups_[pod.group];
  ++group.members;
  if (group.started) return enqueue({key}, placed);
  group.gathering.push_back(key);
  if (static_cast<int64_t>(group.gathering.size()) < pod.group_size) return;
  group.started = true;
  auto keys = std::move(group.gathering);
  group.gathering.clear();
  enqueue(std::move(keys), placed);
}

void Scheduler::enqueue(std::vector<std::string> keys, const QueuedPod& last) {
  const Order order{last.created, last.version, last.key};
  Entry entry;
  for (const auto& key : keys) {
    auto& waiting = waiting_.at(key);
    waiting.entry = order;
    add_to(entry.request, waiting.pod.request);
  }
  entry.keys = std::move(keys);
  const int kinds = needs(entry.request);
  queues_[static_cast<size_t>(kinds)].emplace(order, std::move(entry));
}

void Scheduler::adopt(const std::string& key, const Resources& request, const std::vector<int>& gpus) {
  if (!held_.emplace(key, Held{request, gpus}).second) return;
  add_to(used_, request);
  for (const int id : gpus) free_gpus_.erase(id);
}

void Scheduler::drop_entry(const Waiting& waiting) {
  if (!waiting.entry) return;
  for (auto& queue : queues_) {
    const auto found = queue.find(*waiting.entry);
    if (found == queue.end()) continue;
    auto entry = std::move(found->second);
    queue.erase(found);
    std::erase(entry.keys, waiting.pod.key);
    if (entry.keys.empty()) return;
    // The rest of its group: no longer complete, so it gathers again.
    auto& group = groups_[waiting.pod.group];
    group.started = false;
    group.gathering = entry.keys;
    for (const auto& key : entry.keys) waiting_.at(key).entry.reset();
    return;
  }
}

void Scheduler::leave_group(const std::string& group_name, const std::string& key) {
  const auto found = groups_.find(group_name);
  if (found == groups_.end()) return;
  std::erase(found->second.gathering, key);
  if (--found->second.members == 0) groups_.erase(found);
}

void Scheduler::remove(const std::string& key) {
  if (const auto found = waiting_.find(key); found != waiting_.end()) {
    drop_entry(found->second);
    waiting_.erase(found);
  }
  if (const auto found = held_.find(key); found != held_.end()) {
    add_to(used_, found->second.request, -1);
    free_gpus_.insert(found->second.gpus.begin(), found->second.gpus.end());
    held_.erase(found);
  }
  if (const auto found = group_of_.find(key); found != group_of_.end()) {
    leave_group(found->second, key);
    group_of_.erase(found);
  }
}

void Scheduler::place(const Entry& entry, Decision& decision) {
  for (const auto& key : entry.keys) {
    const auto found = waiting_.find(key);
    Held held{found->second.pod.request, {}};
    for (int64_t i = 0; i < held.request.gpus; ++i) {
      held.gpus.push_back(*free_gpus_.begin());
      free_gpus_.erase(free_gpus_.begin());
    }
    add_to(used_, held.request);
    decision.placed.push_back({key, held.gpus});
    held_.emplace(key, std::move(held));
    waiting_.erase(found);
  }
}

void Scheduler::refuse(const Entry& entry, Decision& decision) {
  static constexpr std::pair<Kind, const char*> kReasons[] = {
      {kCpu, "OutOfcpu"}, {kMemory, "OutOfmemory"}, {kGpu, "OutOfnvidia.com/gpu"}, {kPods, "OutOfpods"}};
  const auto& request = entry.request;
  const int kinds = (request.cpu_milli > capacity_.cpu_milli ? kCpu : 0) |
                    (request.memory > capacity_.memory ? kMemory : 0) | (request.gpus > capacity_.gpus ? kGpu : 0) |
                    (request.pods > capacity_.pods ? kPods : 0);
  std::string reason;
  for (const auto& [kind, text] : kReasons) {
    if (reason.empty() && (kinds & kind)) reason = text;
  }
  auto message = fmt::format("the pod{} can never run on this machine: {}", entry.keys.size() > 1 ? " group" : "",
                             lacking(request, kinds, capacity_, "present"));
  const auto keys = entry.keys;
  for (const auto& key : keys) {
    decision.refused.push_back({key, reason, message});
    waiting_.at(key).entry.reset();
    remove(key);
  }
}

Scheduler::Decision Scheduler::decide() {
  Decision decision;
  int shortages = 0;
  while (true) {
    std::map<Order, Entry>* first = nullptr;
    for (size_t kinds = 0; kinds < queues_.size(); ++kinds) {
      auto& queue = queues_[kinds];
      if (queue.empty() || (static_cast<int>(kinds) & shortages)) continue;
      if (!first || queue.begin()->first < first->begin()->first) first = &queue;
    }
    if (!first) return decision;
    const auto& request = first->begin()->second.request;
    if (request.cpu_milli > capacity_.cpu_milli || request.memory > capacity_.memory || request.gpus > capacity_.gpus ||
        request.pods > capacity_.pods) {
      refuse(first->extract(first->begin()).mapped(), decision);
    } else if (const int lacks = shortage(request)) {
      shortages |= lacks;
    } else {
      place(first->extract(first->begin()).mapped(), decision);
    }
  }
}

std::string Scheduler::lacking(const Resources& request, int kinds, const Resources& present,
                               std::string_view word) const {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view name, const std::string& asked, const std::string& there) {
    parts.push_back(fmt::format("insufficient {}: asked {}, {} {}", name, asked, word, there));
  };
  const auto at_least_0 = [](int64_t n) { return std::max<int64_t>(n, 0); };
  if (kinds & kCpu) {
    add("cpu", Quantity::of_milli(request.cpu_milli).text(), Quantity::of_milli(at_least_0(present.cpu_milli)).text());
  }
  if (kinds & kMemory) add("memory", bytes_text(request.memory), bytes_text(at_least_0(present.memory)));
  if (kinds & kGpu) add("nvidia.com/gpu", std::to_string(request.gpus), std::to_string(at_least_0(present.gpus)));
  if (kinds & kPods) add("pods", std::to_string(request.pods), std::to_string(at_least_0(present.pods)));
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string Scheduler::why_waiting(const std::string& key) const {
  const auto found = waiting_.find(key);
  if (found == waiting_.end()) return {};
  const auto& waiting = found->second;
  if (!waiting.entry) {
    const auto group = groups_.find(waiting.pod.group);
    const auto there = group == groups_.end() ? 0 : group->second.gathering.size();
    return fmt::format("0/1 nodes are available: pod group \"{}\" has {} of {} pods", waiting.pod.group, there,
                       waiting.pod.group_size);
  }
  Resources request = waiting.pod.request;
  for (const auto& queue : queues_) {
    if (const auto entry = queue.find(*waiting.entry); entry != queue.end()) request = entry->second.request;
  }
  Resources free = capacity_;
  add_to(free, used_, -1);
  free.gpus = static_cast<int64_t>(free_gpus_.size());
  const int kinds = shortage(request);
  if (kinds == 0) return "0/1 nodes are available: earlier pods wait for the same resources";
  return "0/1 nodes are available: " + lacking(request, kinds, free, "free");
}

}  // namespace penstock::node
