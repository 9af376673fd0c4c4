#include "node/agent.h"

#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "node/agent_state.h"
#include "node/bundled_kfp.h"
#include "node/capacity.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] ? name : "penstock";
}

Resources node_capacity(const AgentOptions& options, const std::vector<int>& gpus) {
  Resources capacity = machine_capacity();
  if (options.cpus) capacity.cpu_milli = static_cast<int64_t>(*options.cpus * 1000);
  if (options.memory) capacity.memory = *options.memory;
  capacity.gpus = static_cast<int64_t>(gpus.size());
  capacity.pods = options.max_pods;
  return capacity;
}

std::vector<int> node_gpus(const AgentOptions& options) {
  if (!options.gpus) return gpu_ids();
  std::vector<int> ids;
  for (int id = 0; id < *options.gpus; ++id) ids.push_back(id);
  return ids;
}

bool is_finished(const json::object& pod) {
  const auto* status = find_object(pod, "status");
  const auto phase = status ? get_string(*status, "phase") : std::string();
  return phase == "Succeeded" || phase == "Failed";
}

uint64_t version_number(const json::object& object) {
  uint64_t number = 0;
  for (const char c : kube::resource_version_of(object)) number = number * 10 + static_cast<uint64_t>(c - '0');
  return number;
}

QueuedPod queued_pod(const json::object& pod) {
  QueuedPod queued;
  queued.key = kube::uid_of(pod);
  queued.request = pod_request(pod);
  const auto& metadata = pod.at("metadata").get_object();
  queued.created = to_micros(parse_time(get_string(metadata, "creationTimestamp")).value_or(Time{}));
  queued.version = version_number(pod);
  const auto group = kube::label_of(pod, "scheduling.x-k8s.io/pod-group");
  if (group.empty()) return queued;
  queued.group = fmt::format("{}/{}", kube::namespace_of(pod), group);
  const auto* annotations = find_object(metadata, "annotations");
  const auto size = annotations ? get_string(*annotations, "scheduling.x-k8s.io/min-member") : std::string();
  for (const char c : size) {
    if (c < '0' || c > '9' || size.size() > 6) {
      throw Error(Code::InvalidArgument, fmt::format("\"{}\" is no number of pods", size),
                  "metadata.annotations[scheduling.x-k8s.io/min-member]");
    }
  }
  queued.group_size = size.empty() ? 1 : std::max(1, std::stoi(size));
  return queued;
}

}  // namespace

Agent::State::State(kube::Api& a, Loop& c, Spawner& s, AgentOptions o)
    : api(a),
      control(c),
      spawner(s),
      options(std::move(o)),
      clock(options.clock ? *options.clock : system_clock),
      gpu_numbers(node_gpus(options)),
      scheduler(node_capacity(options, gpu_numbers), gpu_numbers),
      pool(std::make_unique<BlockingPool>(2)),
      watcher(std::make_shared<FileWatcher>(c.executor())),
      scope(c.executor(), "node agent"),
      wakes_changed(c.executor()),
      any_late(c.executor()),
      any_queued(c.executor()),
      any_to_forget(c.executor()) {
  if (options.node_name.empty()) options.node_name = host_name();
  place = {options.node_name, options.host_ip};
  context = {options.node_name, options.host_ip, scheduler.capacity().cpu_milli, scheduler.capacity().memory};
  volume_options = {options.data, options.allow_host_path, {}, options.host_folders};
  if (options.images) images = std::make_unique<ImageStore>(options.data, options.container_engine);
  if (options.python_steps && !options.images) {
    PythonEnvOptions python_options;
    python_options.data = options.data;
    python_options.python = options.python;
    python_options.kfp_path = options.kfp_path;
    python = std::make_unique<PythonEnv>(control, spawner, std::move(python_options));
  }
}

Async<> Agent::State::start() {
  for (const char* folder : {"pods", "logs", "volumes", "tasks"}) fs::create_directories(options.data / folder);
  recovering = true;
  spawner.set_on_change([weak = weak_from_this(), &loop = control](const ProcessStatus& status) {
    const auto state = weak.lock();
    if (!state) return;
    if (loop.running_here()) return state->process_changed(status);
    loop.post([state, status] { state->process_changed(status); });
  });
  if (options.images) {
    auto unpack = [this] { return unpack_bundled_kfp(options.data); };
    bundled_kfp = co_await pool->run(unpack);
  }
  const auto processes = co_await spawner.list();
  // What was told meanwhile is newer than the list.
  for (const auto& status : processes) {
    const auto name = parse_process_id(status.id);
    known_processes[name ? name->uid : std::string()].try_emplace(status.id, status);
  }
  const kube::ListQuery all;
  const auto list = co_await api.list(kube::kPods, all);
  recover(list);
  scope.spawn([this] { return tick_loop(); });
  scope.spawn([this] { return late_loop(); });
  scope.spawn([this] { return unschedulable_loop(); });
  scope.spawn([this] { return forget_loop(); });
  scope.spawn([this] { return watch_pods(); });
  for (const auto* resource : {&kube::kSecrets, &kube::kConfigMaps, &kube::kPersistentVolumeClaims}) {
    scope.spawn([this, resource] { return watch_config(*resource); });
  }
}

// Goes on with what a former server left: processes find their pods, pods their processes.
void Agent::State::recover(const kube::List& list) {
  recovering = false;
  std::set<std::string> uids;
  for (const auto& object : list.items) {
    uids.insert(std::string(kube::uid_of(*object)));
    seen(object);
  }
  for (const auto& [uid, processes] : known_processes) {
    if (pods.contains(uid)) continue;
    for (const auto& [id, status] : processes) process_changed(status);
  }
  known_processes.clear();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options.data / "pods", error)) {
    const auto uid = entry.path().filename().string();
    if (uids.contains(uid)) {
      left_folders.insert(uid);
    } else {
      remove_folder(uid);
    }
  }
}

Async<> Agent::State::stop() {
  stopping = true;
  watcher->stop();
  co_await scope.stop();
  if (python) co_await python->stop();
  spawner.set_on_change({});
  pods.clear();
  pool.reset();
}

Async<> Agent::State::watch_pods() {
  while (true) {
    bool expired = false;
    std::string problem;
    try {
      co_await watch_pods_once();
    } catch (const Error& error) {
      expired = error.code() == Code::OutOfRange;
      problem = error.what();
    }
    if (!expired) {
      spdlog::warn("node agent: the watch of pods failed: {}", problem);
      co_await sleep_for(std::chrono::seconds(1));
    }
  }
}

Async<> Agent::State::watch_pods_once() {
  const kube::ListQuery all;
  const auto list = co_await api.list(kube::kPods, all);
  kube::WatchQuery query;
  query.resource_version = list.resource_version;
  const auto watch = co_await api.watch(kube::kPods, query);
  std::set<std::string_view> uids;
  for (const auto& object : list.items) {
    uids.insert(kube::uid_of(*object));
    seen(object);
  }
  std::vector<PodPtr> missed;
  for (const auto& [uid, pod] : pods) {
    if (!uids.contains(uid)) missed.push_back(pod);
  }
  for (const auto& pod : missed) deleted(*pod->object);
  while (true) {
    const auto event = co_await watch->next();
    if (event.type == kube::EventType::Deleted) deleted(*event.object);
    if (event.type == kube::EventType::Added || event.type == kube::EventType::Modified) seen(event.object);
  }
}

void Agent::State::seen(const kube::Object& object) {
  const auto* spec = find_object(*object, "spec");
  const auto node = spec ? get_string(*spec, "nodeName") : std::string();
  if (!node.empty() && node != place.node_name) return;
  const bool finished = is_finished(*object);
  const auto known = pods.find(std::string(kube::uid_of(*object)));
  if (known == pods.end()) {
    // One that is over needs nothing more, unless a former server did not come to remove it.
    if (!finished || kube::is_deleting(*object)) add(object);
    return;
  }
  const auto pod = known->second;
  if (version_number(*object) > version_number(*pod->object)) pod->object = object;
  if (finished) pod->seen_terminal = true;
  if (kube::is_deleting(*object)) begin_removal(pod);
  erase_if_done(pod);
}

void Agent::State::add(const kube::Object& object) {
  const auto pod = std::make_shared<AgentPod>(object, &place);
  pods[pod->uid] = pod;
  QueuedPod request;
  try {
    request = queued_pod(*object);
  } catch (const Error& error) {
    const auto message = error.field().empty() ? error.message() : error.field() + ": " + error.message();
    return apply(pod, pod->life.fail("InvalidPod", message, clock.now()));
  }
  std::vector<ProcessStatus> processes;
  if (const auto known = known_processes.find(pod->uid); known != known_processes.end()) {
    for (const auto& [id, status] : known->second) processes.push_back(status);
  }
  const auto* spec = find_object(*object, "spec");
  if (processes.empty() && get_string(*spec, "nodeName").empty()) {
    if (kube::is_deleting(*object)) return begin_removal(pod);
    scheduler.add(std::move(request));
    queued.push_back(pod->uid);
    any_queued.set();
    return decide_soon();
  }
  pod->bound = pod->has_folder = true;
  pod->gpus = saved_gpus(pod->uid);
  scheduler.adopt(pod->uid, request.request, pod->gpus);
  for (const auto& process : processes) {
    if (!process.running) pod->processes.push_back(process.id);
  }
  apply(pod, pod->life.resume(processes, clock.now()));
  if (kube::is_deleting(*object)) begin_removal(pod);
}

void Agent::State::deleted(const json::object& object) {
  const std::string uid(kube::uid_of(object));
  const auto known = pods.find(uid);
  if (known == pods.end()) {
    if (left_folders.erase(uid) > 0) remove_folder(uid);
    return;
  }
  const auto pod = known->second;
  pod->erased = true;
  apply(pod, pod->life.remove(std::chrono::seconds(0), clock.now()));
}

void Agent::State::remove_folder(const std::string& uid) {
  if (uid.empty() || !pool) return;
  pool->post([folder = pod_folder(options.data, uid)] {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  });
}

void Agent::State::process_changed(const ProcessStatus& status) {
  if (status.id.starts_with(PythonEnv::kIdPrefix)) {
    if (python) python->on_process_change(status);
    return;
  }
  const auto name = parse_process_id(status.id);
  const auto uid = name ? name->uid : std::string();
  if (recovering) {
    known_processes[uid][status.id] = status;
    return;
  }
  const auto known = pods.find(uid);
  if (known == pods.end()) {
    // Of no pod: a pod that was deleted while the server was down, or one whose end is recorded.
    if (status.running) {
      spawner.signal(status.id, SIGKILL);
    } else {
      forget({status.id});
    }
    return;
  }
  const auto pod = known->second;
  auto change = status;
  if (status.warm && status.running) ++warm_starts;
  if (!status.sandboxed && pod->unsandboxed.empty() && status.running) {
    pod->unsandboxed = "none: " + (options.sandbox ? spawner.sandbox_problem() : "the server is told not to");
  }
  if (!status.running) {
    pod->processes.push_back(status.id);
    const auto* container = container_of(*pod->object, name->container);
    if (status.exit_code != 0 && status.message.empty() && container &&
        get_string(*container, "terminationMessagePolicy") == "FallbackToLogsOnError") {
      change.message = log_tail(log_of(*pod->object, name->container), 80, 2048);
    }
    watcher->poke(log_of(*pod->object, name->container));
  }
  apply(pod, pod->life.process_changed(change, clock.now()));
}

// A pod that is given without a status, as it is gone, has.
bool Agent::State::has_started(const json::object& pod, std::string_view container) const {
  if (const auto known = pods.find(std::string(kube::uid_of(pod))); known != pods.end()) {
    return known->second->life.started(container);
  }
  const auto* status = find_object(pod, "status");
  if (status == nullptr) return true;
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    const auto* statuses = find_array(*status, list);
    if (statuses == nullptr) continue;
    for (const auto& item : *statuses) {
      if (string_at(item, {"name"}) == container) return find_path(item, {"state", "waiting"}) == nullptr;
    }
  }
  return false;
}

void Agent::State::decide_soon() {
  if (deciding) return;
  deciding = true;
  control.post([weak = weak_from_this()] {
    const auto state = weak.lock();
    if (state && !state->stopping) state->decide();
  });
}

void Agent::State::decide() {
  deciding = false;
  const auto decision = scheduler.decide();
  const auto now = clock.now();
  for (const auto& refusal : decision.refused) {
    const auto known = pods.find(refusal.key);
    if (known == pods.end()) continue;
    const auto pod = known->second;
    apply(pod, pod->life.fail(refusal.reason, refusal.message, now));
    tell(pod, "FailedScheduling", refusal.message);
  }
  for (const auto& placement : decision.placed) {
    const auto known = pods.find(placement.key);
    if (known == pods.end()) continue;
    const auto pod = known->second;
    pod->bound = true;
    pod->gpus = placement.gpus;
    if (!pod->gpus.empty()) {
      pod->has_folder = true;
      save_gpus(*pod);
    }
    apply(pod, pod->life.bind(now));
  }
}

void Agent::State::tick() {
  const auto now = clock.now();
  while (!wakes.empty() && wakes.begin()->first <= now) {
    const auto uid = wakes.begin()->second;
    wakes.erase(wakes.begin());
    const auto known = pods.find(uid);
    if (known == pods.end()) continue;
    const auto pod = known->second;
    pod->wake.reset();
    apply(pod, pod->life.tick(now));
  }
}

Async<> Agent::State::tick_loop() {
  while (true) {
    tick();
    wakes_changed.reset();
    if (wakes.empty()) {
      co_await wakes_changed.wait();
    } else {
      co_await wakes_changed.wait_for(wakes.begin()->first - clock.now());
    }
  }
}

Async<> Agent::State::late_loop() {
  while (true) {
    co_await any_late.wait();
    co_await sleep_for(options.running_delay);
    any_late.reset();
    for (const auto& pod : std::exchange(late, {})) {
      if (pod->late) write_soon(pod);
    }
  }
}

Async<> Agent::State::unschedulable_loop() {
  while (true) {
    co_await any_queued.wait();
    any_queued.reset();
    const auto batch = std::exchange(queued, {});
    co_await sleep_for(options.unschedulable_delay);
    for (const auto& uid : batch) {
      const auto known = pods.find(uid);
      if (known == pods.end() || !scheduler.waits(uid)) continue;
      const auto pod = known->second;
      auto why = scheduler.why_waiting(uid);
      apply(pod, pod->life.unschedulable(why, clock.now()));
      tell(pod, "FailedScheduling", std::move(why));
    }
  }
}

void Agent::State::forget(std::vector<std::string> ids) {
  if (ids.empty()) return;
  to_forget.insert(to_forget.end(), ids.begin(), ids.end());
  any_to_forget.set();
}

Async<> Agent::State::forget_loop() {
  while (true) {
    co_await any_to_forget.wait();
    any_to_forget.reset();
    const auto batch = std::exchange(to_forget, {});
    if (options.written) co_await options.written();
    for (const auto& id : batch) spawner.forget(id);
  }
}

Agent::Agent(kube::Api& api, Loop& control, Spawner& spawner, AgentOptions options)
    : state_(std::make_shared<State>(api, control, spawner, std::move(options))) {}

Agent::~Agent() = default;

Async<> Agent::start() {
  auto work = [state = state_] { return state->start(); };
  co_await on(state_->control.executor(), std::move(work));
}

Async<> Agent::stop() {
  auto work = [state = state_] { return state->stop(); };
  co_await on(state_->control.executor(), std::move(work));
}

void Agent::tick() { state_->tick(); }
Resources Agent::capacity() const { return state_->scheduler.capacity(); }
Resources Agent::used() const { return state_->scheduler.used(); }
uint64_t Agent::warm_starts() const { return state_->warm_starts; }

size_t Agent::waiting_pods() const { return state_->scheduler.waiting_count(); }

std::vector<WaitingPod> Agent::waiting(size_t most) const {
  std::vector<const AgentPod*> waiting;
  for (const auto& [uid, pod] : state_->pods) {
    if (state_->scheduler.waits(uid)) waiting.push_back(pod.get());
  }
  const auto created = [](const AgentPod* pod) {
    const auto* metadata = find_object(*pod->object, "metadata");
    return std::pair(metadata ? get_string(*metadata, "creationTimestamp") : std::string(), pod->name);
  };
  const size_t count = std::min(most, waiting.size());
  std::partial_sort(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count), waiting.end(),
                    [&](const auto* a, const auto* b) { return created(a) < created(b); });
  std::vector<WaitingPod> out;
  for (size_t i = 0; i < count; ++i) {
    const auto& pod = *waiting[i];
    out.push_back({pod.object, pod_request(*pod.object), state_->scheduler.why_waiting(pod.uid)});
  }
  return out;
}

Async<> Agent::check(const json::object& pod, kube::LogOptions options) {
  const auto container = options.container.empty() ? first_container(pod) : options.container;
  const auto* spec = find_object(pod, "spec");
  if (container.empty() || container.find('/') != std::string::npos ||
      (spec && find_array(*spec, "containers") && !container_of(pod, container))) {
    throw not_found("pod \"{}\" has no container \"{}\"", kube::name_of(pod), container);
  }
  if (fs::exists(state_->log_of(pod, container))) co_return;
  // Before its first output a container has no file.
  const auto look = [state = state_, &pod, &container]() -> Async<bool> {
    co_return state->has_started(pod, container);
  };
  const bool started = co_await on(state_->control.executor(), look);
  if (!started) {
    throw not_found("container \"{}\" of pod \"{}\" has no log: it has not started", container, kube::name_of(pod));
  }
}

Async<> Agent::read(const json::object& pod, kube::LogOptions options, http::BodyWriter& out) {
  co_await check(pod, options);
  if (options.container.empty()) options.container = first_container(pod);
  const std::string uid(kube::uid_of(pod));
  const auto path = state_->log_of(pod, options.container);
  if (!fs::exists(path)) {
    if (!options.follow) co_return;
    // Something to watch. Whose first output comes at this moment finds it, or is found.
    fs::create_directories(path.parent_path());
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) throw_errno(fmt::format("cannot make {}", path.string()));
    ::close(fd);
  }
  const auto is_live = [state = state_, uid, container = options.container] {
    const auto known = state->pods.find(uid);
    return !state->stopping && known != state->pods.end() && known->second->life.live(container);
  };
  const LogReader reader{*state_->pool, state_->control, state_->watcher, is_live};
  co_await copy_log(path, options, reader, out);
}

Async<> Agent::erase(std::string ns, std::set<std::string> uids) {
  const auto work = [&] {
    remove_logs(state_->options.data, ns, uids);
    return true;
  };
  co_await state_->pool->run(work);
}

Async<int64_t> Agent::size(std::string ns, std::set<std::string> uids) {
  const auto work = [&] { return log_bytes(state_->options.data, ns, uids); };
  co_return co_await state_->pool->run(work);
}

}  // namespace penstock::node
