// What the agent does for one pod: carry out its lifecycle's effects, write its status, remove it.
#include "kube/events.h"
#include "node/agent_state.h"

namespace penstock::node {

void Agent::State::apply(const PodPtr& pod, Effects effects) {
  for (auto& wanted : effects.launch) {
    scope.spawn([this, pod, wanted] { return launch(pod, wanted); });
  }
  for (const auto& [id, signal] : effects.signals) spawner.signal(id, signal);
  set_wake(pod);
  if (effects.changed && effects.urgent) {
    write_soon(pod);
  } else if (effects.changed && !pod->late) {
    pod->late = true;
    late.push_back(pod);
    any_late.set();
  }
  settle(pod);
}

// An event of the pod, for those who ask why it does not start.
void Agent::State::tell(const PodPtr& pod, std::string reason, std::string message) {
  scope.spawn([this, object = pod->object, reason = std::move(reason), message = std::move(message)] {
    return kube::record_event(api, object, std::string(kube::kWarning), reason, message);
  });
}

// Once nothing of it runs: a pod that is over gives its resources back, and one that is being deleted goes.
void Agent::State::settle(const PodPtr& pod) {
  const auto& life = pod->life;
  if (life.live() || (!life.terminal() && !life.stopping())) return;
  scheduler.remove(pod->uid);
  decide_soon();
  if (pod->erased) return erase(pod);
  if (kube::is_deleting(*pod->object)) {
    // Also one whose processes ended by themselves meanwhile; once that is written, as somebody may want to know.
    if (pod->removing || pod->dirty || pod->writing) return;
    pod->removing = true;
    scope.spawn([this, pod] { return remove(pod); });
  } else if (life.terminal()) {
    erase_if_done(pod);
  }
}

void Agent::State::set_wake(const PodPtr& pod) {
  const auto next = pod->life.wake_at();
  if (next == pod->wake) return;
  if (pod->wake) wakes.erase({*pod->wake, pod->uid});
  pod->wake = next;
  if (!next) return;
  wakes.emplace(*next, pod->uid);
  wakes_changed.set();
}

void Agent::State::write_soon(const PodPtr& pod) {
  pod->late = false;
  pod->dirty = true;
  if (pod->writing) return;
  pod->writing = true;
  scope.spawn([this, pod] { return write(pod); });
}

// Only the status, where no more has to change.
json::object Agent::State::next_object(const AgentPod& pod, kube::WriteOptions& write_options) const {
  write_options.durable = false;
  const auto& now = *pod.object;
  const auto* spec = find_object(now, "spec");
  const bool bind = pod.bound && get_string(*spec, "nodeName").empty();
  const auto* metadata = find_object(now, "metadata");
  const auto* annotations = find_object(*metadata, "annotations");
  const bool annotate =
      !pod.unsandboxed.empty() && (!annotations || get_string(*annotations, kSandboxAnnotation) != pod.unsandboxed);
  if (!bind && !annotate) {
    write_options.subresource = "status";
    json::object next;
    for (const char* member : {"apiVersion", "kind", "metadata"}) {
      if (const auto* value = find(now, member)) next[member] = *value;
    }
    next["status"] = pod.life.status();
    return next;
  }
  write_options.whole = true;
  json::object next = compact_copy(now);
  next["status"] = pod.life.status();
  if (bind) next["spec"].get_object()["nodeName"] = place.node_name;
  if (annotate) {
    auto& target = next["metadata"].get_object()["annotations"];
    if (!target.is_object()) target = json::object();
    target.get_object()[kSandboxAnnotation] = pod.unsandboxed;
  }
  return next;
}

Async<> Agent::State::write(PodPtr pod) {
  int failures = 0;
  while (pod->dirty && !pod->erased) {
    pod->dirty = false;
    const bool last = pod->life.terminal();
    const auto ended = pod->processes;
    bool conflict = false;
    std::string problem;
    try {
      kube::WriteOptions write_options;
      auto next = next_object(*pod, write_options);
      const auto written = co_await api.update(kube::kPods, std::move(next), write_options);
      // A later version may have come through the watch already.
      if (!pod->erased) pod->object = written;
      pod->recorded = pod->recorded || last;
      std::erase_if(pod->processes,
                    [&](const auto& id) { return std::find(ended.begin(), ended.end(), id) != ended.end(); });
      forget(ended);
    } catch (const Error& error) {
      if (error.code() == Code::NotFound) break;  // its deletion is on its way
      conflict = error.code() == Code::Aborted;
      problem = error.what();
    }
    if (problem.empty()) continue;
    pod->dirty = true;
    if (conflict) {
      if (!co_await refresh(pod)) break;
      continue;
    }
    spdlog::error("node agent: the status of pod {}/{} could not be written: {}", pod->ns, pod->name, problem);
    co_await sleep_for(std::chrono::milliseconds(100) * (1 << std::min(failures++, 9)));
  }
  pod->writing = false;
  settle(pod);
}

// False when the pod is gone.
Async<bool> Agent::State::refresh(PodPtr pod) {
  try {
    const auto object = co_await api.get(kube::kPods, pod->ns, pod->name);
    if (kube::uid_of(*object) != pod->uid) co_return false;
    pod->object = object;
    co_return true;
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
  co_return false;
}

void Agent::State::begin_removal(const PodPtr& pod) {
  if (pod->erased) return;
  if (pod->life.terminal()) return settle(pod);
  const auto& metadata = pod->object->at("metadata").get_object();
  const std::chrono::seconds grace(get_int(metadata, "deletionGracePeriodSeconds", 30));
  apply(pod, pod->life.remove(grace, clock.now()));
}

Async<> Agent::State::remove(PodPtr pod) {
  kube::DeleteOptions delete_options;
  delete_options.grace_period_seconds = 0;
  delete_options.uid = pod->uid;
  delete_options.durable = false;
  try {
    co_await api.remove(kube::kPods, pod->ns, pod->name, delete_options);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound && error.code() != Code::Aborted) {
      pod->removing = false;  // the next event of the pod tries again
      spdlog::error("node agent: pod {}/{} could not be removed: {}", pod->ns, pod->name, error.what());
    }
  }
}

// An ended pod is let go when its end is written and has come back: an older state of it that is still on its way
// through the watch must find it known.
void Agent::State::erase_if_done(const PodPtr& pod) {
  if (!pod->recorded || !pod->seen_terminal || pod->dirty || pod->writing || pod->erased) return;
  forget(std::exchange(pod->processes, {}));
  if (pod->wake) wakes.erase({*pod->wake, pod->uid});
  pod->wake.reset();
  if (pod->has_folder) left_folders.insert(pod->uid);
  pods.erase(pod->uid);
}

void Agent::State::erase(const PodPtr& pod) {
  forget(std::exchange(pod->processes, {}));
  if (pod->wake) wakes.erase({*pod->wake, pod->uid});
  pod->wake.reset();
  const auto waiters = config_waiters.find(pod->ns);
  if (waiters != config_waiters.end()) waiters->second.erase(pod->uid);
  left_folders.erase(pod->uid);
  if (pods.erase(pod->uid) > 0 && pod->has_folder) remove_folder(pod->uid);
}

}  // namespace penstock::node
