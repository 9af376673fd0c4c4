// The status object of a pod, as Kubernetes writes it: PodLifecycle::status() and what it needs.
#include "node/pod_lifecycle.h"

namespace penstock::node {

namespace {

json::value condition(std::string_view type, bool is_true, Time since, std::string_view reason = {},
                      std::string_view message = {}) {
  json::object result{{"type", type}, {"status", is_true ? "True" : "False"}};
  result["lastTransitionTime"] = format_time(since);
  if (!reason.empty()) result["reason"] = reason;
  if (!message.empty()) result["message"] = message;
  return result;
}

template <class End>
json::object terminated(const End& end) {
  json::object result{{"exitCode", end.exit_code}};
  if (end.signal != 0) result["signal"] = end.signal;
  result["reason"] = end.reason;
  if (!end.message.empty()) result["message"] = end.message;
  // Fractions, because a step here is often shorter than a second.
  result["startedAt"] = format_time(end.started_at, true);
  result["finishedAt"] = format_time(end.finished_at, true);
  return result;
}

}  // namespace

json::value PodLifecycle::container_status(const Container& container) const {
  json::object state;
  switch (container.state) {
    case State::Running: state["running"] = json::object{{"startedAt", format_time(container.started_at, true)}}; break;
    case State::Ended: state["terminated"] = terminated(*container.end); break;
    default: {
      std::string_view reason = container.waiting_reason;
      if (reason.empty()) reason = init_done() || container.init ? "ContainerCreating" : "PodInitializing";
      json::object waiting{{"reason", reason}};
      if (!container.waiting_message.empty()) waiting["message"] = container.waiting_message;
      state["waiting"] = std::move(waiting);
    }
  }
  const bool running = container.state == State::Running;
  const bool done = container.state == State::Ended && container.end->exit_code == 0;
  json::object last;
  if (container.last) last["terminated"] = terminated(*container.last);
  return json::object{{"name", container.name},
                      {"image", container.image},
                      {"imageID", ""},
                      {"ready", container.init && !container.sidecar ? done : running},
                      {"started", running},
                      {"restartCount", container.restart},
                      {"state", std::move(state)},
                      {"lastState", std::move(last)}};
}

json::array PodLifecycle::conditions() const {
  if (!bound_) {
    if (unschedulable_.empty()) return {};
    return {condition("PodScheduled", false, unschedulable_at_, "Unschedulable", unschedulable_)};
  }
  const bool initialized = init_done();
  const Time latest = std::max({started_at_, initialized_at_, ready_at_, finished_at_});
  bool ready = !terminal_;
  for (const auto& container : containers_) {
    ready = ready && ((container.init && !container.sidecar) || container.state == State::Running);
  }
  std::string_view reason;
  if (terminal_) {
    reason = failed_ ? "PodFailed" : "PodCompleted";
  } else if (!ready) {
    reason = "ContainersNotReady";
  }
  json::array result;
  result.push_back(condition("PodScheduled", true, started_at_));
  result.push_back(condition("Initialized", initialized,
                             initialized ? std::max(started_at_, initialized_at_) : started_at_,
                             initialized ? "" : "ContainersNotInitialized"));
  result.push_back(condition("ContainersReady", ready, latest, reason));
  result.push_back(condition("Ready", ready, latest, reason));
  return result;
}

json::object PodLifecycle::status() const {
  json::object result;
  bool main_started = false;
  for (const auto& container : containers_) {
    main_started = main_started || (!container.init && (container.state >= State::Running || container.restart > 0));
  }
  result["phase"] = terminal_ ? (failed_ ? "Failed" : "Succeeded") : main_started ? "Running" : "Pending";
  if (auto list = conditions(); !list.empty()) result["conditions"] = std::move(list);
  if (!reason_.empty() && (terminal_ || stopping_)) {
    result["reason"] = reason_;
    result["message"] = message_;
  }
  if (!bound_) return result;
  result["hostIP"] = place_->host_ip;
  result["podIP"] = place_->host_ip;
  result["startTime"] = format_time(started_at_, true);
  json::array init, main;
  for (const auto& container : containers_) {
    (container.init ? init : main).push_back(container_status(container));
  }
  if (!init.empty()) result["initContainerStatuses"] = std::move(init);
  result["containerStatuses"] = std::move(main);
  return result;
}

}  // namespace penstock::node
