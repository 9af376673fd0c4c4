#include "node/pod_lifecycle.h"

#include <csignal>

#include "kube/api.h"

namespace penstock::node {

namespace {

constexpr std::chrono::seconds kFirstBackOff{10};
constexpr std::chrono::seconds kLongestBackOff{300};
constexpr std::chrono::minutes kBackOffReset{10};

// `note` is what the spawner said when the process was started. Another message at its end tells why the program could
// not be run at all; a program may end with 127 by itself.
std::string end_reason(const ProcessStatus& status, std::string_view note) {
  if (status.oom_killed) return "OOMKilled";
  if (status.exit_code == 0) return "Completed";
  const bool not_run = (status.exit_code == 126 || status.exit_code == 127) && !status.message.empty() &&
                       status.message != note && !status.message.starts_with("sandbox:");
  return not_run ? "ContainerCannotRun" : "Error";
}

}  // namespace

std::string process_id(std::string_view uid, std::string_view container, int restart) {
  return fmt::format("{}/{}/{}", uid, container, restart);
}

std::optional<ProcessName> parse_process_id(std::string_view id) {
  const size_t first = id.find('/'), last = id.rfind('/');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  ProcessName name{std::string(id.substr(0, first)), std::string(id.substr(first + 1, last - first - 1)), 0};
  for (const char c : id.substr(last + 1)) {
    if (c < '0' || c > '9' || name.restart > 100'000'000) return std::nullopt;
    name.restart = name.restart * 10 + (c - '0');
  }
  return name;
}

PodLifecycle::PodLifecycle(const json::object& pod, const Place* place) : place_(place), uid_(kube::uid_of(pod)) {
  const auto* spec = find_object(pod, "spec");
  if (!spec) return;
  const auto policy = get_string(*spec, "restartPolicy", "Always");
  policy_ = policy == "Never" ? Policy::Never : policy == "OnFailure" ? Policy::OnFailure : Policy::Always;
  grace_ = std::chrono::seconds(std::max<int64_t>(0, get_int(*spec, "terminationGracePeriodSeconds", 30)));
  if (penstock::find(*spec, "activeDeadlineSeconds")) {
    active_deadline_ = std::chrono::seconds(get_int(*spec, "activeDeadlineSeconds"));
  }
  for (const bool init : {true, false}) {
    const auto* list = find_array(*spec, init ? "initContainers" : "containers");
    if (!list) continue;
    for (const auto& item : *list) {
      if (!item.is_object()) continue;
      Container container;
      container.name = get_string(item.get_object(), "name");
      container.image = get_string(item.get_object(), "image");
      container.init = init;
      container.sidecar = init && get_string(item.get_object(), "restartPolicy") == "Always";
      containers_.push_back(std::move(container));
    }
  }
  read_status(pod);
}

void PodLifecycle::read_status(const json::object& pod) {
  const auto* status = find_object(pod, "status");
  if (!status) return;
  const auto phase = get_string(*status, "phase");
  terminal_ = phase == "Succeeded" || phase == "Failed";
  failed_ = phase == "Failed";
  const auto time_of = [](const json::object& object, std::string_view key) {
    return parse_time(get_string(object, key)).value_or(Time{});
  };
  started_at_ = time_of(*status, "startTime");
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    const auto* statuses = find_array(*status, list);
    if (!statuses) continue;
    for (const auto& item : *statuses) {
      auto* container = item.is_object() ? find(get_string(item.get_object(), "name")) : nullptr;
      if (!container) continue;
      container->restart = static_cast<int>(get_int(item.get_object(), "restartCount"));
      const auto* state = find_object(item.get_object(), "state");
      if (const auto* running = state ? find_object(*state, "running") : nullptr) {
        container->state = State::Running;
        container->was_up = true;
        container->started_at = time_of(*running, "startedAt");
      }
      if (const auto* terminated = state ? find_object(*state, "terminated") : nullptr) {
        container->state = State::Ended;
        container->end = End{static_cast<int>(get_int(*terminated, "exitCode")),
                             static_cast<int>(get_int(*terminated, "signal")),
                             get_string(*terminated, "reason"),
                             get_string(*terminated, "message"),
                             time_of(*terminated, "startedAt"),
                             time_of(*terminated, "finishedAt")};
      }
    }
  }
}

PodLifecycle::Container* PodLifecycle::find(std::string_view name) {
  for (auto& container : containers_) {
    if (container.name == name) return &container;
  }
  return nullptr;
}

bool PodLifecycle::is_live(const Container& container) const {
  return container.state == State::Starting || container.state == State::Running;
}

bool PodLifecycle::live() const {
  return std::any_of(containers_.begin(), containers_.end(), [&](const auto& c) { return is_live(c); });
}

bool PodLifecycle::live(std::string_view name) const {
  if (terminal_) return false;
  for (const auto& container : containers_) {
    if (container.name == name) return is_live(container) || (!stopping_ && container.state != State::Ended);
  }
  return false;
}

bool PodLifecycle::started(std::string_view name) const {
  for (const auto& container : containers_) {
    if (container.name != name) continue;
    return is_live(container) || container.restart > 0 ||
           (container.end && container.end->reason != "ContainerCannotRun");
  }
  return false;
}

bool PodLifecycle::wants(const Launch& launch) const {
  return std::any_of(containers_.begin(), containers_.end(), [&](const auto& c) {
    return c.name == launch.container && c.restart == launch.restart && c.state == State::Preparing;
  });
}

bool PodLifecycle::init_done() const {
  return std::all_of(containers_.begin(), containers_.end(), [](const auto& c) {
    return !c.init || (c.sidecar && c.was_up) || (c.state == State::Ended && c.end && c.end->exit_code == 0);
  });
}

Effects PodLifecycle::bind(Time now) {
  Effects effects;
  bound_ = true;
  unschedulable_.clear();
  if (started_at_ == Time{}) started_at_ = now;
  advance(now, effects);
  return effects;
}

Effects PodLifecycle::resume(const std::vector<ProcessStatus>& known, Time now) {
  Effects effects;
  bound_ = true;
  if (terminal_) return effects;
  if (started_at_ == Time{}) {
    started_at_ = now;
    for (const auto& process : known) {
      if (process.started_at != Time{}) started_at_ = std::min(started_at_, process.started_at);
    }
  }
  for (auto& container : containers_) recover(container, known, now, effects);
  if (!stopping_) advance(now, effects);
  return effects;
}

void PodLifecycle::recover(Container& container, const std::vector<ProcessStatus>& known, Time now, Effects& effects) {
  const ProcessStatus* newest = nullptr;
  int restart = -1;
  for (const auto& process : known) {
    const auto name = parse_process_id(process.id);
    if (!name || name->container != container.name || name->restart <= restart) continue;
    newest = &process;
    restart = name->restart;
  }
  if (newest && restart >= container.restart) {
    if (container.state == State::Ended && restart == container.restart) return;  // recorded, and not yet forgotten
    container.restart = restart;
    container.state = State::Starting;
    container.end.reset();
    const auto more = process_changed(*newest, now);
    effects.launch.insert(effects.launch.end(), more.launch.begin(), more.launch.end());
    effects.signals.insert(effects.signals.end(), more.signals.begin(), more.signals.end());
    effects.changed = effects.changed || more.changed;
    effects.urgent = effects.urgent || more.urgent;
    return;
  }
  if (container.state == State::Running) {
    End end{137, 0, "NodeLost", "the process was lost while the server was down", container.started_at, now};
    if (policy_ == Policy::Never && !container.sidecar) {
      reason_ = "NodeLost";
      message_ = fmt::format("container \"{}\": {}", container.name, end.message);
    }
    ended(container, std::move(end), now, effects);
  } else if (container.state == State::Ended && container.end && restarts(container, *container.end)) {
    const auto end = *container.end;
    ended(container, end, now, effects);
  }
}

void PodLifecycle::advance(Time now, Effects& effects) {
  if (terminal_ || !bound_) return;
  if (stopping_) {
    if (!live() && mains_ended_) return finish(failed_, now, effects);
    if (!live() && !reason_.empty()) finish(true, now, effects);
    return;
  }
  for (auto& container : containers_) {
    if (!container.init) continue;
    if (container.sidecar && container.was_up) {
      if (container.state == State::Waiting) launch(container, effects);
      continue;
    }
    if (container.state == State::Waiting) return launch(container, effects);
    if (container.state != State::Ended) return;
    if (container.end->exit_code != 0) return finish(true, now, effects);
  }
  if (initialized_at_ == Time{}) initialized_at_ = now;
  bool all_ended = true, failed = false;
  for (auto& container : containers_) {
    if (container.init) continue;
    if (container.state == State::Waiting) launch(container, effects);
    all_ended = all_ended && container.state == State::Ended;
    failed = failed || (container.end && container.end->exit_code != 0);
  }
  if (!all_ended) return;
  const bool sidecars = std::any_of(containers_.begin(), containers_.end(),
                                    [](const auto& c) { return c.sidecar && c.state != State::Ended; });
  if (!sidecars) return finish(failed, now, effects);
  mains_ended_ = true;
  failed_ = failed;
  stop(grace_, now, effects);
  if (!live()) finish(failed, now, effects);
}

void PodLifecycle::launch(Container& container, Effects& effects) {
  container.state = State::Preparing;
  effects.launch.push_back({container.name, container.restart});
}

void PodLifecycle::finish(bool failed, Time now, Effects& effects) {
  terminal_ = true;
  failed_ = failed;
  finished_at_ = now;
  effects.changed = effects.urgent = true;
}

Effects PodLifecycle::spawned(const Launch& launch) {
  Effects effects;
  auto* container = find(launch.container);
  if (!container || container->state != State::Preparing || container->restart != launch.restart) return effects;
  container->state = State::Starting;
  container->note.clear();
  container->waiting_reason.clear();
  container->waiting_message.clear();
  return effects;
}

Effects PodLifecycle::process_changed(const ProcessStatus& status, Time now) {
  Effects effects;
  const auto name = parse_process_id(status.id);
  auto* container = name ? find(name->container) : nullptr;
  if (!container || container->restart != name->restart || !is_live(*container)) return effects;
  const bool ran = container->state == State::Running;
  const Time started = status.started_at == Time{} ? now : status.started_at;
  if (status.running) {
    if (ran) return effects;
    container->state = State::Running;
    container->started_at = started;
    container->was_up = true;
    container->note = status.message;
    if (!container->init && ready_at_ == Time{}) ready_at_ = now;
    effects.changed = true;
    // Asked to stop before its process was there.
    if (stopping_) effects.signals.emplace_back(status.id, killed_ ? SIGKILL : SIGTERM);
    if (container->sidecar) advance(now, effects);
    return effects;
  }
  container->was_up = true;
  End end{status.exit_code, status.signal, end_reason(status, container->note),
          status.message,   started,       status.finished_at == Time{} ? now : status.finished_at};
  ended(*container, std::move(end), now, effects);
  advance(now, effects);
  return effects;
}

bool PodLifecycle::restarts(const Container& container, const End& end) const {
  if (stopping_ || terminal_) return false;
  if (container.sidecar) return true;
  if (policy_ == Policy::Never) return false;
  if (policy_ == Policy::Always && !container.init) return true;
  return end.exit_code != 0;
}

void PodLifecycle::ended(Container& container, End end, Time now, Effects& effects) {
  effects.changed = true;
  if (!restarts(container, end)) {
    container.state = State::Ended;
    container.end = std::move(end);
    return;
  }
  if (end.finished_at - end.started_at >= kBackOffReset) container.back_off = std::chrono::seconds(0);
  const auto wait = container.back_off;
  container.back_off = wait.count() == 0 ? kFirstBackOff : std::min(wait * 2, kLongestBackOff);
  ++container.restart;
  container.restart_at = now + wait;
  container.last = std::move(end);
  container.end.reset();
  container.state = wait.count() == 0 ? State::Waiting : State::BackingOff;
  if (wait.count() == 0) return;
  container.waiting_reason = "CrashLoopBackOff";
  container.waiting_message =
      fmt::format("back-off {}s before container \"{}\" is started again", wait.count(), container.name);
  effects.urgent = true;
}

Effects PodLifecycle::cannot_start(const Launch& launch, std::string reason, std::string message, int exit_code,
                                   Time now) {
  Effects effects;
  auto* container = find(launch.container);
  if (!container || !wants(launch)) return effects;
  End end{exit_code, 0, std::move(reason), std::move(message), now, now};
  if (container->sidecar) {  // to no avail: the pod fails
    container->state = State::Ended;
    container->end = std::move(end);
    effects.changed = true;
  } else {
    ended(*container, std::move(end), now, effects);
  }
  advance(now, effects);
  return effects;
}

Effects PodLifecycle::waiting(const Launch& launch, std::string reason, std::string message) {
  Effects effects;
  auto* container = find(launch.container);
  if (!container || !wants(launch)) return effects;
  container->state = State::Waiting;
  effects.changed = effects.urgent = container->waiting_reason != reason || container->waiting_message != message;
  container->waiting_reason = std::move(reason);
  container->waiting_message = std::move(message);
  return effects;
}

Effects PodLifecycle::retry(Time now) {
  Effects effects;
  advance(now, effects);
  return effects;
}

void PodLifecycle::stop(std::chrono::seconds grace, Time now, Effects& effects) {
  const bool first = !stopping_;
  stopping_ = true;
  for (auto& container : containers_) {
    if (container.state == State::Preparing || container.state == State::BackingOff) container.state = State::Waiting;
  }
  const auto kill_at = now + grace;
  if (!kill_at_ || kill_at < *kill_at_) kill_at_ = kill_at;
  const bool kill = !killed_ && grace.count() == 0;
  if (!first && !kill) return;
  killed_ = killed_ || kill;
  for (const auto& container : containers_) {
    if (!is_live(container)) continue;
    effects.signals.emplace_back(process_id(uid_, container.name, container.restart), kill ? SIGKILL : SIGTERM);
  }
}

Effects PodLifecycle::remove(std::chrono::seconds grace, Time now) {
  Effects effects;
  stop(std::max(grace, std::chrono::seconds(0)), now, effects);
  return effects;
}

Effects PodLifecycle::fail(std::string reason, std::string message, Time now) {
  Effects effects;
  if (terminal_) return effects;
  reason_ = std::move(reason);
  message_ = std::move(message);
  finish(true, now, effects);
  return effects;
}

Effects PodLifecycle::unschedulable(std::string message, Time now) {
  Effects effects;
  effects.changed = effects.urgent = unschedulable_ != message;
  if (unschedulable_.empty()) unschedulable_at_ = now;
  unschedulable_ = std::move(message);
  return effects;
}

std::optional<Time> PodLifecycle::wake_at() const {
  std::optional<Time> first;
  const auto at = [&](Time time) { first = first ? std::min(*first, time) : time; };
  if (terminal_ || !bound_) return first;
  if (stopping_ && kill_at_ && !killed_ && live()) at(*kill_at_);
  if (!stopping_ && active_deadline_) at(started_at_ + *active_deadline_);
  for (const auto& container : containers_) {
    if (container.state == State::BackingOff) at(container.restart_at);
  }
  return first;
}

Effects PodLifecycle::tick(Time now) {
  Effects effects;
  if (terminal_ || !bound_) return effects;
  if (stopping_ && kill_at_ && now >= *kill_at_ && !killed_) stop(std::chrono::seconds(0), now, effects);
  if (!stopping_ && active_deadline_ && now >= started_at_ + *active_deadline_) {
    reason_ = "DeadlineExceeded";
    message_ = fmt::format("the pod ran longer than its activeDeadlineSeconds, {}", active_deadline_->count());
    stop(grace_, now, effects);
    effects.changed = true;
  }
  for (auto& container : containers_) {
    if (container.state == State::BackingOff && now >= container.restart_at) container.state = State::Waiting;
  }
  advance(now, effects);
  return effects;
}

}  // namespace penstock::node
