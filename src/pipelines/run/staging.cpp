// The controller's porter: what tasks take from other stores is brought before they start, and what they made is taken
// there before it is said that they have succeeded.
#include "http/url.h"
#include "pipelines/run/controller.h"
#include "pipelines/run/places.h"
#include "pipelines/run/task_files.h"

namespace penstock::pipelines {

namespace fs = std::filesystem;

stores::Ask RunController::ask_for(const ActiveRun& run, std::string uri) const {
  return {run.engine.info().ns, std::move(uri), run.root, nullptr};
}

Async<bool> RunController::is_outside(const ActiveRun& run, std::string uri) const {
  if (uri.find("://") == std::string::npos) co_return false;  // a plain path, as of local runs: it stands for itself
  if (options_.stores == nullptr) co_return !uri.starts_with("minio://");
  co_return co_await options_.stores->is_outside(run.engine.info().ns, std::move(uri), run.root);
}

// Throws what is wrong with a URI or with the settings of its store.
Async<Places> RunController::find_places(RunPtr run, FlightKey key) {
  const Flight flight = run->flights.at(key);
  const auto& spec = *flight.spec;
  Places places;
  places.objects = options_.objects;
  places.output_prefix = spec.output_prefix;
  for (const std::string& uri : input_uris(spec)) {
    const bool outside = co_await is_outside(*run, uri);
    if (!outside) {
      const auto path = embedded_path(options_.objects, uri);
      if (path && !uri.starts_with("minio://")) places.inputs[uri] = *path;
    } else if (options_.stores != nullptr && !(options_.images && uri.starts_with("oci://"))) {
      const auto there = options_.stores->local_path(uri);
      places.inputs[uri] = there ? *there : staged_input(options_.data, flight.uid, uri);
    }
  }
  if (spec.component == nullptr || spec.component->output_artifacts.empty()) co_return places;
  places.staged = co_await is_outside(*run, spec.output_prefix);
  if (places.staged && options_.stores == nullptr) {
    throw invalid("the pipeline root {} is not in this server's object store (minio://bucket/…)", spec.pipeline_root);
  }
  if (places.staged) {
    stores::Stores::check_root(spec.output_prefix);
    places.output = staged_output(options_.data, flight.uid);
  } else if (!spec.output_prefix.starts_with("minio://")) {
    places.output = embedded_path(options_.objects, spec.output_prefix);
  }
  co_return places;
}

Async<> RunController::fetch_inputs(RunPtr run, FlightKey key, const Places& places,
                                    const std::function<void()>& waits) {
  const fs::path own = staging_folder(options_.data, run->flights.at(key).uid);
  const auto stop = run->flights.at(key).stop;
  for (const auto& [uri, path] : places.inputs) {
    const bool is_own = path.native().starts_with(own.native() + "/");
    std::error_code error;
    if (!is_own || fs::exists(fs::symlink_status(path, error))) continue;
    waits();
    stores::Ask ask = ask_for(*run, uri);
    ask.stop = stop;
    co_await options_.stores->fetch(std::move(ask), path);
  }
}

Async<> RunController::send_outputs(RunPtr run, FlightKey key, engine::Outputs& outputs) {
  const Flight flight = run->flights.at(key);
  const auto& spec = *flight.spec;
  if (options_.stores == nullptr || spec.output_prefix.empty()) co_return;
  const fs::path folder = staged_output(options_.data, flight.uid);
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(folder, error))) co_return;
  note_unwritten(outputs, spec.output_prefix, folder);
  stores::Ask ask = ask_for(*run, spec.output_prefix);
  ask.stop = flight.stop;
  co_await options_.stores->put(std::move(ask), folder);
}

Async<std::string> RunController::read_outside(const ActiveRun& run, std::string uri, uint64_t limit) const {
  co_return co_await options_.stores->read(ask_for(run, std::move(uri)), limit);
}

// Why there is none; empty when there is one.
Async<std::string> RunController::missing_import(const ActiveRun& run, std::string uri) {
  std::string failure;
  if (uri.find("://") == std::string::npos) co_return failure;
  try {
    const bool outside = co_await is_outside(run, uri);
    bool there = false;
    if (!outside) {
      there = co_await object_exists(uri, false);
    } else if (options_.stores == nullptr || (options_.images && uri.starts_with("oci://"))) {
      there = true;  // the container engine gets it
    } else {
      there = co_await options_.stores->exists(ask_for(run, uri));
    }
    if (!there) failure = fmt::format("there is no object {}", http::redacted(uri));
  } catch (const Error& error) {
    failure = error.message();
  }
  co_return failure;
}

// An artifact of an earlier task: is it still where it was put?
Async<bool> RunController::is_kept(const ActiveRun& run, const json::value& artifact) {
  const std::string uri = string_at(artifact, {"uri"});
  if (uri.find("://") == std::string::npos || (artifact.is_object() && get_bool(artifact.get_object(), "unwritten")))
    co_return true;
  bool there = false;
  try {
    const bool outside = co_await is_outside(run, uri);
    if (!outside) {
      // One that was never written has no file of its own, but its folder exists.
      there = co_await object_exists(uri, true);
    } else if (options_.stores != nullptr) {
      there = co_await options_.stores->exists(ask_for(run, uri));
    }
  } catch (const Error& error) {
    spdlog::warn("whether {} is still there cannot be told: {}", uri, error.message());
  }
  co_return there;
}

}  // namespace penstock::pipelines
