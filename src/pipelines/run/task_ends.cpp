// The controller's eyes: what becomes of tasks' pods, and taking in how they ended.
#include "base/utf8.h"
#include "pipelines/argo/manifest.h"
#include "pipelines/run/controller.h"
#include "pipelines/run/metrics_file.h"
#include "pipelines/run/task_files.h"

namespace penstock::pipelines {

using engine::Event;

namespace {

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

// Not of the program's making. Argo's words for the same: Error, not Failed.
bool is_infrastructure(const PodOutcome& outcome) {
  return !outcome.started || outcome.reason == "NodeLost" || outcome.reason == "ContainerCannotRun";
}

}  // namespace

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
    Event event = Event::task_started(key.first, key.second, at);
    if (flight.spec->component->executor->daemon) {
      event.outputs.parameters["ip"] = json::value(string_at(json::value(pod), {"status", "podIP"}, "127.0.0.1"));
    }
    run->inbox.push_back(std::move(event));
    // Of one that has ended, collect() tells both.
    if (!outcome.finished) kick(run);
  }
  if (!outcome.started && !outcome.finished && flight.waiting != outcome.waiting) {
    flight.waiting = outcome.waiting;
    post(run, Event::task_waiting(key.first, key.second, clock_.now(), outcome.waiting));
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
                                      const std::filesystem::path& folder, const Places& places) const {
  const auto root = places.output ? places.output->parent_path() : options_.objects;
  for (auto& [name, list] : outputs.artifacts) {
    for (auto& item : list.as_array()) {
      auto& artifact = item.as_object();
      const std::filesystem::path custom = get_string(artifact, "custom_path");
      artifact.erase("custom_path");
      if (custom.empty()) continue;
      const auto uri = get_string(artifact, "uri");
      const auto target = places.path_of(uri);
      if (!target) continue;
      // The task says where: it may write to its own place alone, and through no link that it has put there.
      const auto parent = target->parent_path();
      const auto real = std::filesystem::canonical(root) / parent.lexically_relative(root);
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
  std::vector<RunMetric> all;
  for (const auto& file : batch->rows->metrics_files()) {
    const std::string node = argo::node_id(workflow, file.scope_path);
    std::vector<RunMetric> metrics;
    try {
      const bool outside = co_await is_outside(*run, file.uri);
      if (outside && options_.stores != nullptr) {
        const std::string text = co_await read_outside(*run, file.uri, kMaxMetricsFile + 1);
        metrics = parse_metrics_file(text, file.uri, node);
      } else if (!outside) {
        const std::function<std::vector<RunMetric>()> read = [&] {
          return read_metrics_file(objects::Store(options_.objects), file.uri, node);
        };
        metrics = co_await pool_.run(read);
      }
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) {
        spdlog::warn("{} of node {}: its metrics cannot be read: {}", file.uri, node, error.message());
      }
    }
    std::ranges::move(metrics, std::back_inserter(all));
  }
  batch->rows->set_metrics(std::move(all));
}

Places RunController::places_left(const Flight& flight) const {
  Places places;
  places.objects = options_.objects;
  places.output_prefix = flight.spec->output_prefix;
  const auto staged = staged_output(options_.data, flight.uid);
  std::error_code error;
  places.staged = !places.output_prefix.empty() && std::filesystem::is_directory(staged, error);
  if (places.staged) {
    places.output = staged;
  } else if (!places.output_prefix.empty() && !places.output_prefix.starts_with("minio://")) {
    places.output = embedded_path(options_.objects, places.output_prefix);
  }
  return places;
}

Async<engine::Outputs> RunController::take_outputs(RunPtr run, FlightKey key) {
  const Flight flight = run->flights.at(key);
  const auto& spec = *flight.spec;
  std::vector<std::string> names;
  for (const auto& parameter : spec.component->output_parameters) names.push_back(parameter.name);
  const std::function<engine::Outputs()> read = [&] {
    const Places places = places_left(flight);
    if (spec.kind == ir::Executor::Kind::Workload) return collect_workload(spec, workload_host(*run, flight, places));
    const auto results = read_task_results(flight.folder, names);
    auto merged = engine::merge_executor_output(spec, results.executor_output, results.parameter_files);
    keep_custom_paths(spec, merged, flight.folder, places);
    return merged;
  };
  engine::Outputs outputs = co_await pool_.run(read);
  co_await send_outputs(run, key, outputs);
  co_return outputs;
}

Async<> RunController::collect(RunPtr run, FlightKey key, PodOutcome outcome, kube::Object pod) {
  const auto spec = run->flights.at(key).spec;
  const bool canceled = run->flights.at(key).canceled;
  const Time at = outcome.finished_at == Time{} ? clock_.now() : outcome.finished_at;
  Event event = Event::task_canceled(key.first, key.second, at);
  if (outcome.succeeded) {
    std::string problem;
    engine::Outputs outputs;
    if (engine::declares_outputs(*spec)) {
      try {
        outputs = co_await take_outputs(run, key);
      } catch (const Error& error) {
        problem = error.message();
      } catch (const std::filesystem::filesystem_error& error) {
        problem = error.what();
      }
    }
    if (options_.stores != nullptr && options_.stores->stopping()) co_return;  // the next server takes them
    const auto flight = run->flights.find(key);
    if (!problem.empty() && flight != run->flights.end() && flight->second.canceled) {
      post(run, std::move(event));
      co_return;
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
