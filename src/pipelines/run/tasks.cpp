// The controller's hands: launching tasks as pods, and taking in how they ended.
#include "base/utf8.h"
#include "pipelines/argo/manifest.h"
#include "pipelines/run/controller.h"
#include "pipelines/run/metrics_file.h"
#include "pipelines/run/task_files.h"

namespace penstock::pipelines {

using engine::Event;

namespace {

constexpr std::string_view kMinio = "minio://";
// Seconds. Not 0: a pod that still runs stays until its processes are gone, and with it its folder. One that is over
// goes at once.
constexpr int64_t kGrace = 1;

// Collects a log's end for an error message.
class TailWriter : public http::BodyWriter {
 public:
  Async<> write(std::string_view bytes) override {
    text_ += bytes;
    if (text_.size() > 64 * 1024) text_.erase(0, text_.size() - 32 * 1024);
    co_return;
  }
  std::string text_;
};

// The same for the same task of the same run when a server that takes over makes it anew: the node finds the process
// that it was by it.
std::string pod_uid(const ActiveRun& run, const engine::LaunchSpec& spec) {
  return uuid_from(fmt::format("{}/{}/{}/{}", run.run.run_id, to_micros(run.began), spec.path, spec.attempt));
}

// Artifacts are looked for and their folders are made.
bool needs_disk(const engine::LaunchSpec& spec) {
  if (spec.kind == ir::Executor::Kind::Workload) return true;
  if (spec.component != nullptr && !spec.component->output_artifacts.empty()) return true;
  const auto* inputs = find_object(spec.executor_input, "inputs");
  const auto* artifacts = inputs ? find_object(*inputs, "artifacts") : nullptr;
  return artifacts != nullptr && !artifacts->empty();
}

// Not of the program's making. Argo's words for the same: Error, not Failed.
bool is_infrastructure(const PodOutcome& outcome) {
  return !outcome.started || outcome.reason == "NodeLost" || outcome.reason == "ContainerCannotRun";
}

}  // namespace

Flight& RunController::note_flight(ActiveRun& run, const engine::Launch& command) {
  const FlightKey key{command.task, command.attempt};
  auto& flight = run.flights[key];
  flight.spec = command.spec;
  flight.uid = pod_uid(run, *command.spec);
  flight.pod = pod_name(run.engine.info().resource_name, key.first, flight.uid);
  run.pods[flight.pod] = key;
  return flight;
}

void RunController::carry_out(const RunPtr& run, const engine::Command& command) {
  if (const auto* launch_command = std::get_if<engine::Launch>(&command)) {
    auto& flight = note_flight(*run, *launch_command);
    flight.again = run->resuming;
    flight.created = run->found_pods.erase(flight.pod) > 0;
    ++launching_;
    launched_.reset();
    scope_.spawn([this, run, c = *launch_command] { return launch(run, c); });
  } else if (const auto* check = std::get_if<engine::CheckCache>(&command)) {
    scope_.spawn([this, run, c = *check] { return check_cache(run, c); });
  } else if (const auto* import_command = std::get_if<engine::Import>(&command)) {
    scope_.spawn([this, run, c = *import_command] { return import(run, c); });
  } else if (const auto* cancel = std::get_if<engine::CancelTask>(&command)) {
    const FlightKey key{cancel->task, cancel->attempt};
    scope_.spawn([this, run, key] { return cancel_task(run, key); });
  } else if (const auto* timer = std::get_if<engine::SetTimer>(&command)) {
    scope_.spawn([this, run, c = *timer] { return fire_later(run, c); });
  }
}

std::optional<std::filesystem::path> RunController::local_path(std::string_view uri) const {
  if (!uri.starts_with(kMinio)) return std::nullopt;
  const auto rest = uri.substr(kMinio.size());
  // Each part must be a plain name: a URI may come from a task.
  for (size_t at = 0; at <= rest.size();) {
    const size_t end = std::min(rest.find('/', at), rest.size());
    const auto part = rest.substr(at, end - at);
    if (part == "." || part == ".." || part.find('\0') != std::string_view::npos) return std::nullopt;
    at = end + 1;
  }
  return options_.objects / rest;
}

namespace {

// The URIs of all artifacts that the task takes.
std::vector<std::string> input_uris(const engine::LaunchSpec& spec) {
  std::vector<std::string> uris;
  const auto* section = find_object(spec.executor_input, "inputs");
  const auto* inputs = section != nullptr ? find_object(*section, "artifacts") : nullptr;
  if (inputs == nullptr) return uris;
  for (const auto& [name, entry] : *inputs) {
    const auto* list = find(entry, "artifacts");
    if (list == nullptr || !list->is_array()) continue;
    for (const auto& artifact : list->get_array()) uris.push_back(string_at(artifact, {"uri"}));
  }
  return uris;
}

}  // namespace

std::vector<ImageMount> RunController::images_of(const engine::LaunchSpec& spec) {
  constexpr std::string_view kImage = "oci://";
  std::vector<ImageMount> images;
  for (const auto& uri : input_uris(spec)) {
    if (!uri.starts_with(kImage)) continue;
    ImageMount mount{uri.substr(kImage.size()), engine::PathMap().path_of(uri)};
    const bool known =
        std::any_of(images.begin(), images.end(), [&](const auto& m) { return m.target == mount.target; });
    if (!known) images.push_back(std::move(mount));
  }
  return images;
}

std::vector<ObjectMount> RunController::mounts_of(const engine::LaunchSpec& spec) const {
  std::vector<ObjectMount> mounts;
  auto target_of = [](std::string_view uri) { return "/minio/" + std::string(uri.substr(kMinio.size())); };
  for (const auto& uri : input_uris(spec)) {
    const auto path = local_path(uri);
    std::error_code error;
    if (!path || !std::filesystem::exists(*path, error)) continue;
    auto target = target_of(uri);
    const bool known = std::any_of(mounts.begin(), mounts.end(), [&](const auto& m) { return m.target == target; });
    if (!known) mounts.push_back({*path, std::move(target), true});
  }
  if (spec.component != nullptr && !spec.component->output_artifacts.empty()) {
    if (const auto path = local_path(spec.output_prefix))
      mounts.push_back({*path, target_of(spec.output_prefix), false});
  }
  return mounts;
}

RunController::Prepared RunController::prepare_pod(const ActiveRun& run, const engine::LaunchSpec& launched,
                                                   const Flight& flight) {
  Prepared prepared;
  // Changed where the component is told of its pod.
  std::optional<engine::LaunchSpec> changed;
  if (!launched.component->passthroughs.empty()) changed = launched;
  const auto& spec = changed ? *changed : launched;
  const auto& folder = flight.folder;
  const auto& component = *spec.component;
  if (!component.output_artifacts.empty() && !local_path(spec.output_prefix)) {
    prepared.failure =
        fmt::format("the pipeline root {} is not in this server's object store (minio://bucket/…)", spec.pipeline_root);
    return prepared;
  }
  try {
    if (spec.kind == ir::Executor::Kind::Workload) {
      if (!flight.folder_made) folders_.make(folder, engine::declares_outputs(spec));
      if (!component.output_artifacts.empty()) std::filesystem::create_directories(*local_path(spec.output_prefix));
      prepared.pod = make_workload_pod(spec, workload_host(run, flight));
      return prepared;
    }
    if (changed) pass_through(*changed);
    if (!flight.folder_made) folders_.make(folder, engine::declares_outputs(spec));
    auto paths = paths_in(folder, options_.objects, options_.sandbox);
    paths.workspace = run.engine.info().workspace_path;
    const auto resolved = engine::resolve(spec, paths);
    if (!component.output_artifacts.empty()) {
      if (options_.make_bucket_of) options_.make_bucket_of(spec.output_prefix);
      std::filesystem::create_directories(*local_path(spec.output_prefix));
    }
    if (options_.lay_out) {
      for (const std::string& uri : input_uris(spec)) options_.lay_out(uri);
    }
    PodInputs inputs;
    inputs.name = flight.pod;
    inputs.ns = run.engine.info().ns;
    inputs.spec = &spec;
    inputs.task = &resolved;
    inputs.folder = folder;
    if (options_.sandbox) {
      inputs.mounts = mounts_of(spec);
      if (options_.images) inputs.images = images_of(spec);
      inputs.workspace = run.workspace;
    } else {
      if (!run.workspace.empty()) std::filesystem::create_directories(paths.workspace);
      inputs.path_map = to_text(json::object{{kMinio, options_.objects.string() + "/"}});
    }
    prepared.pod = make_pod(inputs);
  } catch (const Error& error) {
    prepared.failure = fmt::format("the task cannot be started: {}", error.message());
  } catch (const std::filesystem::filesystem_error& error) {
    prepared.failure = fmt::format("the task cannot be started: {}", error.what());
  }
  return prepared;
}

WorkloadHost RunController::workload_host(const ActiveRun& run, const Flight& flight) const {
  WorkloadHost host;
  host.pod = flight.pod;
  host.ns = run.engine.info().ns;
  host.folder = flight.folder;
  host.sandbox = options_.sandbox;
  host.claim_folder = options_.claim_folder;
  if (options_.scratch_folder) {
    host.scratch_folder = [this, uid = flight.uid](std::string_view volume) {
      return options_.scratch_folder(uid, volume);
    };
  }
  host.object = [this](std::string_view uri) { return local_path(uri); };
  return host;
}

Async<std::string> RunController::make_task_pod(RunPtr run, FlightKey key) {
  const auto spec = run->flights.at(key).spec;
  const auto pod = run->flights.at(key).pod;
  const std::string ns = run->engine.info().ns;
  const auto uid = run->flights.at(key).uid;
  const Flight launched = run->flights.at(key);
  auto folder = launched.folder;
  if (folder.empty()) co_return "the task cannot be started: it has no folder";
  Prepared prepared;
  if (!run->engine.pipeline().config.workspace_size.empty() && run->workspace.empty()) {
    try {
      co_await ensure_workspace(run);
    } catch (const Error& error) {
      prepared.failure = fmt::format("the run's workspace cannot be made: {}", error.message());
    }
  }
  try {
    co_await ensure_claims(run);
  } catch (const Error& error) {
    prepared.failure = fmt::format("the run's volume claims cannot be made: {}", error.message());
  }
  if (!prepared.failure.empty()) {
    // Said below.
  } else if (launched.folder_made && !needs_disk(*spec)) {
    prepared = prepare_pod(*run, *spec, launched);
  } else {
    const auto work = [&] { return prepare_pod(*run, *spec, launched); };
    prepared = co_await pool_.run(work);
  }
  auto flight = run->flights.find(key);
  const bool wanted = prepared.failure.empty() && flight != run->flights.end() && !flight->second.canceled;
  if (!wanted) {
    if (flight != run->flights.end()) flight->second.folder.clear();
    give_back({std::move(folder), uid, true});
    co_return prepared.failure;
  }
  kube::WriteOptions options;
  options.durable = false;
  options.uid = uid;
  bool exists = false;
  std::string failure;
  kube::Object created;
  try {
    created = co_await api_.create(kube::kPods, std::move(prepared.pod), options);
  } catch (const Error& error) {
    exists = error.code() == Code::AlreadyExists;
    if (!exists) failure = fmt::format("the task cannot be started: {}", error.message());
  }
  if (exists) {
    // From before a crash, with the same folder: it is ours if it has our uid.
    created = co_await api_.get(kube::kPods, ns, pod);
    if (kube::uid_of(*created) == uid) {
      on_pod(*created, false);
    } else {
      failure = fmt::format("the task cannot be started: there is another pod named {}", pod);
    }
  }
  if (!failure.empty()) {
    give_back({std::move(folder), uid, true});
    if (flight = run->flights.find(key); flight != run->flights.end()) flight->second.folder.clear();
  }
  co_return failure;
}

Async<> RunController::launch(RunPtr run, engine::Launch command) {
  struct Leave {
    RunController& controller;
    ~Leave() {
      if (--controller.launching_ == 0) controller.launched_.set();
    }
  } leave{*this};
  const FlightKey key{command.task, command.attempt};
  const auto kept = run->kept.find(command.spec->path);
  if (kept != run->kept.end()) {
    engine::Outputs outputs = outputs_from(kept->second.outputs);
    post(run, Event::task_succeeded(key.first, key.second, clock_.now(), std::move(outputs)));
    co_return;
  }
  if (engine::is_claim_task(*command.spec)) {
    co_await run_volume_task(run, key);
    co_return;
  }
  if (command.spec->kind == ir::Executor::Kind::Resource) {
    co_await run_resource_task(run, key);
    co_return;
  }
  // After a restart the pod may be there, in whatever state: then nothing is made anew, and its folder stays.
  if (const auto it = run->flights.find(key); it == run->flights.end() || it->second.created) co_return;
  run->flights.at(key).created = true;
  const std::string failure = co_await make_task_pod(run, key);
  const auto it = run->flights.find(key);
  if (it == run->flights.end() || it->second.over) co_return;
  if (!failure.empty()) {
    it->second.over = true;
    Event event = Event::task_failed(key.first, key.second, clock_.now(), 1, failure, false);
    event.infrastructure = true;
    post(run, std::move(event));
  } else if (it->second.canceled) {
    co_await cancel_task(run, key);
  }
}

Async<bool> RunController::object_exists(std::string uri, bool folder) {
  auto path = local_path(uri);
  if (!path) co_return false;
  if (folder) path = path->parent_path();
  std::error_code error;
  if (std::filesystem::exists(*path, error)) co_return true;
  if (!options_.lay_out) co_return false;
  const auto work = [&] {
    try {
      options_.lay_out(uri);
    } catch (const Error& failure) {
      spdlog::warn("{} cannot be laid out: {}", uri, failure.message());
    }
  };
  co_await pool_.run(work);
  co_return std::filesystem::exists(*path, error);
}

Async<> RunController::check_cache(RunPtr run, engine::CheckCache command) {
  std::optional<CachedTask> cached;
  const auto fresh = fresh_cached_.find({run->run.pipeline_name, command.fingerprint});
  if (fresh != fresh_cached_.end()) {
    cached = fresh->second;
  } else {
    cached = co_await store_.find_cached(run->run.pipeline_name, command.fingerprint);
  }
  if (!cached) {
    post(run, Event::cache_miss(command.task, command.attempt, clock_.now(),
                                "missed: no earlier task of this pipeline has its fingerprint"));
    co_return;
  }
  engine::Outputs outputs = outputs_from(cached->outputs);
  std::string missing;
  for (const auto& [name, list] : outputs.artifacts) {
    for (const auto& artifact : list.as_array()) {
      const auto uri = string_at(artifact, {"uri"});
      if (!uri.starts_with(kMinio)) continue;
      // An artifact that was never written has no file of its own, but its folder exists.
      const bool there = co_await object_exists(uri, true);
      if (!there) missing = uri;
    }
  }
  if (missing.empty()) {
    post(run, Event::cache_hit(command.task, command.attempt, clock_.now(), std::move(outputs), cached->task_id,
                               fmt::format("hit: the outputs of task {} of run {}", cached->task_id, cached->run_id)));
  } else {
    post(run, Event::cache_miss(
                  command.task, command.attempt, clock_.now(),
                  fmt::format("missed: {} of task {} of run {} is gone", missing, cached->task_id, cached->run_id)));
  }
}

Async<> RunController::import(RunPtr run, engine::Import command) {
  const auto& spec = *command.spec;
  if (spec.uri.starts_with(kMinio)) {
    const bool there = co_await object_exists(spec.uri, false);
    if (!there) {
      post(run, Event::import_failed(command.task, command.attempt, clock_.now(), 1,
                                     fmt::format("there is no object {}", spec.uri), false));
      co_return;
    }
  }
  json::object metadata = spec.metadata;
  if (spec.download_to_workspace) {
    const auto failure = co_await import_into_workspace(run, spec.uri);
    if (!failure.empty()) {
      post(run, Event::import_failed(command.task, command.attempt, clock_.now(), 1, to_utf8(failure), false));
      co_return;
    }
    metadata["_kfp_workspace"] = true;
  }
  json::object artifact{{"name", spec.output}, {"uri", spec.uri}, {"type", spec.type}, {"metadata", metadata}};
  if (!spec.reimport) {
    const auto type = get_string(spec.type, "schemaTitle");
    const auto uri = spec.uri;
    const auto id = co_await store_.database().read(
        [&](db::Connection& c) { return metadata::find_artifact(c, uri, type, metadata); });
    if (id != 0) artifact["id"] = std::to_string(id);
  }
  engine::Outputs outputs;
  json::array list;
  list.push_back(std::move(artifact));
  outputs.artifacts[spec.output] = std::move(list);
  post(run, Event::import_finished(command.task, command.attempt, clock_.now(), std::move(outputs)));
}

Async<> RunController::cancel_task(RunPtr run, FlightKey key) {
  const auto it = run->flights.find(key);
  if (it == run->flights.end()) {
    // Not launched (a cache check, an import, a pause before a retry): it ends here.
    post(run, Event::task_canceled(key.first, key.second, clock_.now()));
    co_return;
  }
  it->second.canceled = true;
  if (it->second.over) co_return;
  const std::string pod = it->second.pod;
  bool gone = false;
  try {
    co_await api_.remove(kube::kPods, run->engine.info().ns, pod);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
    gone = true;
  }
  const auto again = run->flights.find(key);
  if (gone && again != run->flights.end() && !again->second.over) {
    again->second.over = true;
    post(run, Event::task_canceled(key.first, key.second, clock_.now()));
  }
}

Async<> RunController::fire_later(RunPtr run, engine::SetTimer command) {
  co_await sleep_for(command.delay);
  post(run, Event::timer_fired(command.task, command.attempt, clock_.now()));
}

Async<> RunController::watch_pods(std::string resource_version) {
  while (true) {
    bool expired = false;
    try {
      kube::WatchQuery query;
      query.label_selector = kRunLabel;
      query.resource_version = resource_version;
      auto watch = co_await api_.watch(kube::kPods, query);
      while (true) {
        const kube::WatchEvent event = co_await watch->next();
        if (event.type != kube::EventType::Bookmark) on_pod(*event.object, event.type == kube::EventType::Deleted);
        resource_version = kube::resource_version_of(*event.object);
      }
    } catch (const Error& error) {
      if (error.code() != Code::OutOfRange) throw;
      expired = true;
    }
    if (!expired) continue;
    // We fell behind: look at everything again.
    kube::ListQuery query;
    query.label_selector = kRunLabel;
    const kube::List pods = co_await api_.list(kube::kPods, query);
    std::set<std::string> present;
    for (const auto& pod : pods.items) {
      present.insert(std::string(kube::name_of(*pod)));
      on_pod(*pod, false);
    }
    for (const auto& [id, run] : active_) {
      for (auto& [key, flight] : run->flights) {
        if (flight.over || !flight.created || present.contains(flight.pod)) continue;
        flight.over = flight.gone = true;
        post(run, flight.canceled ? Event::task_canceled(key.first, key.second, clock_.now())
                                  : Event::task_failed(key.first, key.second, clock_.now(), 1, "its pod was deleted"));
      }
    }
    resource_version = pods.resource_version;
  }
}

bool RunController::is_known(const json::object& pod) const {
  const auto run = active_.find(std::string(kube::label_of(pod, kRunLabel)));
  return run != active_.end() && run->second->pods.contains(kube::name_of(pod));
}

void RunController::on_pod(const json::object& pod, bool deleted) {
  const auto run_it = active_.find(std::string(kube::label_of(pod, kRunLabel)));
  const auto name = kube::name_of(pod);
  const auto ns = std::string(kube::namespace_of(pod));
  if (!is_known(pod)) {
    // Of a run that is over or gone. Pods that end are removed once their end is written.
    if (deleted) {
      give_back({folder_of(pod), std::string(kube::uid_of(pod)), outcome_of(pod).finished});
    } else if (!kube::is_deleting(pod)) {
      scope_.spawn([this, ns, pod_name = std::string(name)] { return remove_pod(ns, pod_name); });
    }
    return;
  }
  auto run = run_it->second;
  const FlightKey key = run->pods.find(name)->second;
  const auto flight_it = run->flights.find(key);
  if (flight_it == run->flights.end()) return;
  auto& flight = flight_it->second;
  flight.gone = flight.gone || deleted;
  if (flight.over) return;
  flight.created = true;
  flight.uid = kube::uid_of(pod);
  if (flight.folder.empty()) flight.folder = folder_of(pod);
  PodOutcome outcome = outcome_of(pod);
  if (outcome.started && !flight.started) {
    flight.started = true;
    const Time at = outcome.started_at == Time{} ? clock_.now() : outcome.started_at;
    run->inbox.push_back(Event::task_started(key.first, key.second, at));
    // Of one that has ended, collect() tells both.
    if (!outcome.finished) kick(run);
  }
  if (!outcome.finished && !deleted) return;
  flight.over = true;
  flight.clean = outcome.finished;
  if (deleted && !outcome.finished) {
    const Time now = clock_.now();
    Event event = flight.canceled ? Event::task_canceled(key.first, key.second, now)
                                  : Event::task_failed(key.first, key.second, now, 1, "its pod was deleted");
    event.infrastructure = true;
    post(run, std::move(event));
    return;
  }
  auto object = kube::make_object(pod);
  scope_.spawn([this, run, key, outcome = std::move(outcome), object] { return collect(run, key, outcome, object); });
}

Async<std::string> RunController::last_words(kube::Object pod) {
  TailWriter tail;
  try {
    kube::LogOptions options;
    options.tail_lines = 20;
    co_await logs_.read(*pod, options, tail);
  } catch (const Error&) {
    co_return std::string();
  }
  auto& text = tail.text_;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.size() > 4000) text.erase(0, text.size() - 4000);
  co_return text;
}

// An artifact that the task wrote where it liked goes to its place in the object store.
void RunController::keep_custom_paths(const engine::LaunchSpec& spec, engine::Outputs& outputs,
                                      const std::filesystem::path& folder) const {
  for (auto& [name, list] : outputs.artifacts) {
    for (auto& item : list.as_array()) {
      auto& artifact = item.as_object();
      const std::filesystem::path custom = get_string(artifact, "custom_path");
      artifact.erase("custom_path");
      if (custom.empty()) continue;
      const auto uri = get_string(artifact, "uri");
      const auto target = local_path(uri);
      if (!target) continue;
      // The task says where: it may write to its own place alone, and through no link that it has put there.
      const auto parent = target->parent_path();
      const auto real = std::filesystem::canonical(options_.objects) / parent.lexically_relative(options_.objects);
      std::error_code error;
      const auto led_to = std::filesystem::weakly_canonical(parent, error);
      if (error || led_to != real || !uri.starts_with(spec.output_prefix + "/")) {
        throw invalid("the output artifact {} has a custom path, and a URI that is not its task's: {}", name, uri);
      }
      if (custom == (options_.sandbox ? std::filesystem::path(engine::PathMap().path_of(uri)) : *target)) continue;
      if (!options_.sandbox) {
        keep_artifact("/", custom.relative_path(), *target);
        continue;
      }
      const auto inside = custom.lexically_normal().lexically_relative("/tmp");
      if (inside.empty() || *inside.begin() == "..") {
        throw invalid(
            "the output artifact {} was written to {}, which nothing keeps; its custom path must be below /tmp", name,
            custom.string());
      }
      keep_artifact(folder, inside, *target);
    }
  }
}

Async<> RunController::read_metrics(RunPtr run, std::shared_ptr<Batch> batch) {
  const std::string workflow = argo::workflow_name(run->run);
  const auto read = [&] {
    const objects::Store objects(options_.objects);
    std::vector<RunMetric> all;
    for (const auto& file : batch->rows->metrics_files()) {
      auto metrics = read_metrics_file(objects, file.uri, argo::node_id(workflow, file.scope_path));
      std::ranges::move(metrics, std::back_inserter(all));
    }
    return all;
  };
  batch->rows->set_metrics(co_await pool_.run(read));
}

Async<> RunController::collect(RunPtr run, FlightKey key, PodOutcome outcome, kube::Object pod) {
  const auto spec = run->flights.at(key).spec;
  const auto folder = run->flights.at(key).folder;
  const bool canceled = run->flights.at(key).canceled;
  const Time at = outcome.finished_at == Time{} ? clock_.now() : outcome.finished_at;
  Event event = Event::task_canceled(key.first, key.second, at);
  if (outcome.succeeded) {
    std::string problem;
    engine::Outputs outputs;
    if (engine::declares_outputs(*spec)) {
      try {
        std::vector<std::string> names;
        for (const auto& parameter : spec->component->output_parameters) names.push_back(parameter.name);
        const WorkloadHost host = workload_host(*run, run->flights.at(key));
        const auto read = [&] {
          if (spec->kind == ir::Executor::Kind::Workload) return collect_workload(*spec, host);
          const auto results = read_task_results(folder, names);
          auto merged = engine::merge_executor_output(*spec, results.executor_output, results.parameter_files);
          keep_custom_paths(*spec, merged, folder);
          return merged;
        };
        outputs = co_await pool_.run(read);
      } catch (const Error& error) {
        problem = error.message();
      } catch (const std::filesystem::filesystem_error& error) {
        problem = error.what();
      }
    }
    event = problem.empty() ? Event::task_succeeded(key.first, key.second, at, std::move(outputs))
                            : Event::task_failed(key.first, key.second, at, 1, to_utf8(problem));
    event.infrastructure = !problem.empty();
  } else if (!canceled) {
    std::string message;
    if (outcome.reason.empty()) {
      message = fmt::format("exit code {}", outcome.exit_code);
    } else {
      message = outcome.reason;
    }
    if (!outcome.message.empty()) message += ": " + outcome.message;
    if (outcome.started && outcome.message.empty()) {
      const std::string words = co_await last_words(pod);
      if (!words.empty()) message += "\n" + words;
    }
    event =
        Event::task_failed(key.first, key.second, at, outcome.exit_code == 0 ? 1 : outcome.exit_code, to_utf8(message));
    event.infrastructure = is_infrastructure(outcome);
  }
  post(run, std::move(event));
}

Async<> RunController::remove_pod(std::string ns, std::string name) {
  try {
    kube::DeleteOptions options;
    options.grace_period_seconds = kGrace;
    options.durable = false;
    co_await api_.remove(kube::kPods, ns, name, options);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) spdlog::warn("cannot remove pod {}/{}: {}", ns, name, error.message());
  }
}

}  // namespace penstock::pipelines
