// The controller's hands: launching tasks as pods, and taking in how they ended.
#include <algorithm>

#include "base/utf8.h"
#include "pipelines/run/controller.h"
#include "pipelines/run/notes.h"
#include "pipelines/run/places.h"
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

std::vector<ObjectMount> RunController::mounts_of(const engine::LaunchSpec& spec, const Places& places) {
  std::vector<ObjectMount> mounts;
  const auto target_of = [](std::string_view uri) {
    return std::filesystem::path(engine::PathMap().path_of(uri)).lexically_normal().string();
  };
  for (const auto& uri : input_uris(spec)) {
    const auto path = places.path_of(uri);
    std::error_code error;
    if (!path || !std::filesystem::exists(*path, error)) continue;
    auto target = target_of(uri);
    const bool known = std::any_of(mounts.begin(), mounts.end(), [&](const auto& m) { return m.target == target; });
    if (!known) mounts.push_back({*path, std::move(target), true});
  }
  if (spec.component != nullptr && !spec.component->output_artifacts.empty()) {
    if (const auto path = places.path_of(spec.output_prefix))
      mounts.push_back({*path, target_of(spec.output_prefix), false});
  }
  return mounts;
}

json::object RunController::make_container_pod(const ActiveRun& run, const engine::LaunchSpec& spec,
                                               const Flight& flight, const Places& places) {
  auto paths = paths_in(flight.folder, options_.objects, options_.sandbox);
  paths.workspace = run.engine.info().workspace_path;
  const auto own = options_.sandbox ? std::vector<std::pair<std::string, std::string>>() : places.prefixes();
  paths.prefixes.insert(paths.prefixes.begin(), own.begin(), own.end());
  const auto resolved = engine::resolve(spec, paths);
  PodInputs inputs;
  inputs.name = flight.pod;
  inputs.ns = run.engine.info().ns;
  inputs.spec = &spec;
  inputs.task = &resolved;
  inputs.folder = flight.folder;
  if (options_.sandbox) {
    inputs.mounts = mounts_of(spec, places);
    if (options_.images) inputs.images = images_of(spec);
    inputs.workspace = run.workspace;
  } else {
    if (!run.workspace.empty()) std::filesystem::create_directories(paths.workspace);
    json::object map{{kMinio, options_.objects.string() + "/"}};
    for (const auto& [prefix, path] : own) map[prefix] = path;
    inputs.path_map = to_text(map);
  }
  return make_pod(inputs);
}

RunController::Prepared RunController::prepare_pod(const ActiveRun& run, const engine::LaunchSpec& launched,
                                                   const Flight& flight, const Places& places) {
  Prepared prepared;
  // Changed where the component is told of its pod.
  std::optional<engine::LaunchSpec> changed;
  if (!launched.component->passthroughs.empty()) changed = launched;
  const auto& spec = changed ? *changed : launched;
  try {
    if (!flight.folder_made) folders_.make(flight.folder, engine::declares_outputs(spec));
    if (!spec.component->output_artifacts.empty()) {
      const auto output = places.path_of(spec.output_prefix);
      if (!output) throw invalid("the pipeline root {} names no place", spec.pipeline_root);
      if (!places.staged && options_.make_bucket_of) options_.make_bucket_of(spec.output_prefix);
      std::filesystem::create_directories(*output);
    }
    if (options_.lay_out) {
      for (const std::string& uri : input_uris(spec)) {
        if (!places.inputs.contains(uri) || uri.starts_with("s3://")) options_.lay_out(uri);
      }
    }
    if (spec.kind == ir::Executor::Kind::Workload) {
      prepared.pod = make_workload_pod(spec, workload_host(run, flight, places));
      return prepared;
    }
    if (changed) pass_through(*changed);
    prepared.pod = make_container_pod(run, spec, flight, places);
  } catch (const Error& error) {
    prepared.failure = fmt::format("the task cannot be started: {}", error.message());
  } catch (const std::filesystem::filesystem_error& error) {
    prepared.failure = fmt::format("the task cannot be started: {}", error.what());
  }
  return prepared;
}

WorkloadHost RunController::workload_host(const ActiveRun& run, const Flight& flight, const Places& places) const {
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
  host.object = [places](std::string_view uri) { return places.path_of(uri); };
  return host;
}

Async<RunController::Prepared> RunController::prepare_task(RunPtr run, FlightKey key, const Flight& launched,
                                                           const std::function<void()>& waits) {
  const auto spec = launched.spec;
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
  if (!prepared.failure.empty()) co_return prepared;
  Places places;
  try {
    places = co_await find_places(run, key);
    co_await fetch_inputs(run, key, places, waits);
  } catch (const Error& error) {
    prepared.failure = fmt::format("the task cannot be started: {}", error.message());
  } catch (const std::filesystem::filesystem_error& error) {
    prepared.failure = fmt::format("the task cannot be started: {}", error.what());
  }
  if (!prepared.failure.empty()) co_return prepared;
  if (launched.folder_made && !needs_disk(*spec)) co_return prepare_pod(*run, *spec, launched, places);
  const std::function<Prepared()> work = [&] { return prepare_pod(*run, *spec, launched, places); };
  prepared = co_await pool_.run(work);
  co_return prepared;
}

Async<std::string> RunController::make_task_pod(RunPtr run, FlightKey key, std::function<void()> waits) {
  const auto pod = run->flights.at(key).pod;
  const std::string ns = run->engine.info().ns;
  const auto uid = run->flights.at(key).uid;
  const Flight launched = run->flights.at(key);
  auto folder = launched.folder;
  if (folder.empty()) co_return "the task cannot be started: it has no folder";
  Prepared prepared = co_await prepare_task(run, key, launched, waits);
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
    bool left = false;
    void now() {
      if (!std::exchange(left, true) && --controller.launching_ == 0) controller.launched_.set();
    }
    ~Leave() { now(); }
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
  // A task whose inputs are not all here has no process that could be found again.
  const std::function<void()> waits = [&leave] { leave.now(); };
  const std::string failure = co_await make_task_pod(run, key, waits);
  if (options_.stores != nullptr && options_.stores->stopping()) co_return;  // the next server does it
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
  auto path = embedded_path(options_.objects, uri);
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
      const bool there = co_await is_kept(*run, artifact);
      if (!there) missing = string_at(artifact, {"uri"});
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
  const std::string missing = co_await missing_import(*run, spec.uri);
  if (!missing.empty()) {
    if (options_.stores != nullptr && options_.stores->stopping()) co_return;
    post(run, Event::import_failed(command.task, command.attempt, clock_.now(), 1, to_utf8(missing), false));
    co_return;
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
  it->second.stop->set();
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
