// The controller's hands: launching tasks as pods, and taking in how they ended.
#include <algorithm>

#include "base/utf8.h"
#include "pipelines/run/controller.h"
#include "pipelines/run/notes.h"
#include "pipelines/run/task_files.h"

namespace penstock::pipelines {

using engine::Event;

namespace {

constexpr std::string_view kMinio = "minio://";

// Artifacts are looked for and their folders are made.
bool needs_disk(const engine::LaunchSpec& spec) {
  if (spec.kind == ir::Executor::Kind::Workload) return true;
  if (spec.component != nullptr && !spec.component->output_artifacts.empty()) return true;
  const auto* inputs = find_object(spec.executor_input, "inputs");
  const auto* artifacts = inputs ? find_object(*inputs, "artifacts") : nullptr;
  return artifacts != nullptr && !artifacts->empty();
}

}  // namespace

Flight& RunController::note_flight(ActiveRun& run, const engine::Launch& command) {
  const FlightKey key{command.task, command.attempt};
  auto& flight = run.flights[key];
  flight.spec = command.spec;
  flight.uid = command.spec->pod_uid;
  flight.pod = engine::pod_name(run.engine.info().resource_name, key.first, flight.uid);
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
  if (command.spec->kind == ir::Executor::Kind::Http) {
    co_await run_http_task(run, key);
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
  if (run->kept.contains(command.path)) {
    post(run, Event::cache_miss(command.task, command.attempt, clock_.now(),
                                "off: the task is kept as it was before the run was retried"));
    co_return;
  }
  const auto holds = [&](const std::string& from) { return is_at_or_below(command.path, from); };
  if (std::ranges::any_of(run->again, holds)) {
    post(run, Event::cache_miss(command.task, command.attempt, clock_.now(), "off: the task was asked to run again"));
    co_return;
  }
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
  const Time now = clock_.now();
  if (command.max_age && now - cached->created > *command.max_age) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - cached->created);
    post(run, Event::cache_miss(command.task, command.attempt, now,
                                fmt::format("missed: the outputs of task {} of run {} are {} s old, more than the {} s "
                                            "that are allowed",
                                            cached->task_id, cached->run_id, age.count(), command.max_age->count())));
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
  const Time now = clock_.now();
  const auto delay =
      command.until == Time{} ? command.delay : std::chrono::ceil<std::chrono::milliseconds>(command.until - now);
  co_await sleep_for(std::max(delay, std::chrono::milliseconds(0)));
  post(run, Event::timer_fired(command.task, command.attempt, clock_.now()));
}

}  // namespace penstock::pipelines
