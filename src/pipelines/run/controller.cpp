#include "pipelines/run/controller.h"

#include "metadata/metadata.h"
#include "pipelines/run/task_files.h"

namespace penstock::pipelines {

using engine::Event;
using engine::TaskState;

// What one transaction writes.
struct RunController::Batch {
  std::vector<Event> events;
  std::vector<std::shared_ptr<const engine::TaskRecord>> records;
  std::vector<metadata::Artifact> artifacts;
  std::vector<metadata::Link> links;
  struct Cached {
    std::string fingerprint;
    std::string task_id;
    engine::Outputs outputs;
  };
  std::vector<Cached> cached;
  // task id → pod name and uid: what its log is found by
  std::map<std::string, std::pair<std::string, std::string>> pods;
  std::optional<engine::RunFinished> finished;
  bool begins = false;
  bool cancels = false;
  std::vector<engine::Command> commands;
  // Removed once the end is written: until then a server that takes over may have to read it again.
  std::vector<std::string> ended_pods;
  std::vector<std::pair<std::filesystem::path, bool>> ended_folders;  // of pods that are gone; clean
};

struct RunController::Watcher {
  Watcher(std::string id, Executor ex) : run_id(std::move(id)), executor(ex), ready(ex) {}
  std::string run_id;
  Executor executor;
  std::deque<std::string> lines;  // touched on `executor` only, as is `ready`
  Signal ready;
  bool done = false;
};

json::object outputs_json(const engine::Outputs& outputs) {
  json::object object;
  if (!outputs.parameters.empty()) object["parameters"] = outputs.parameters;
  if (!outputs.artifacts.empty()) object["artifacts"] = outputs.artifacts;
  return object;
}

engine::Outputs outputs_from(const json::object& object) {
  engine::Outputs outputs;
  if (const auto* parameters = find_object(object, "parameters")) outputs.parameters = *parameters;
  if (const auto* artifacts = find_object(object, "artifacts")) outputs.artifacts = *artifacts;
  return outputs;
}

namespace {

RunState run_state_of(TaskState state) {
  switch (state) {
    case TaskState::Succeeded: return RunState::Succeeded;
    case TaskState::Canceled: return RunState::Canceled;
    case TaskState::Skipped: return RunState::Skipped;
    default: return RunState::Failed;
  }
}

// {"value", "source", "producer"} of the engine as the API's {"value", "type", "producer": {"task_name"}}.
json::object stored_io(const json::object& inputs) {
  json::object stored;
  for (const auto& [group, members] : inputs) {
    if (!members.is_object()) continue;
    auto& target = stored[group].emplace_object();
    for (const auto& [name, member] : members.get_object()) {
      const auto* object = member.if_object();
      if (object == nullptr) {
        target.emplace(name, member);
        continue;
      }
      json::object entry;
      for (const auto& [key, value] : *object) {
        if (key == "source") {
          entry["type"] = value;
        } else if (key == "producer") {
          entry["producer"] = {{"task_name", value}};
        } else {
          entry.emplace(key, value);
        }
      }
      target.emplace(name, std::move(entry));
    }
  }
  return stored;
}

TaskRecord stored_record(const std::string& run_id, const engine::TaskRecord& from) {
  TaskRecord record;
  record.run_id = run_id;
  record.task_id = from.task_id;
  record.parent_task_id = from.parent_task_id;
  record.position = from.task;
  record.name = from.name;
  record.display_name = from.display_name;
  record.type = engine::name_of(from.type);
  record.state = engine::name_of(from.state);
  record.scope_path = from.path;
  record.create_time = from.create_time;
  record.start_time = from.start_time;
  record.end_time = from.end_time;
  if (from.inputs) record.inputs = stored_io(*from.inputs);
  if (from.outputs) record.outputs = outputs_json(*from.outputs);
  record.error = {from.error.code, from.error.message};
  record.attempt = from.attempt;
  record.iteration_index = static_cast<int32_t>(from.iteration_index);
  record.iteration_count = static_cast<int32_t>(from.iteration_count);
  record.fingerprint = from.fingerprint;
  return record;
}

json::object task_line(const TaskRecord& record) {
  json::object task{{"task_id", record.task_id}, {"name", record.name}, {"display_name", record.display_name},
                    {"path", record.scope_path}, {"type", record.type}, {"state", record.state},
                    {"attempt", record.attempt}};
  if (record.start_time != Time{}) task["start_time"] = format_time(record.start_time, true);
  if (record.end_time != Time{}) task["end_time"] = format_time(record.end_time, true);
  if (!record.error.empty()) task["error"] = {{"code", record.error.code}, {"message", record.error.message}};
  return task;
}

json::object run_line(const Run& run, RunState state, const Status& error) {
  json::object line{{"run_id", run.run_id}, {"display_name", run.display_name}, {"state", to_string(state)}};
  if (!error.empty()) line["error"] = {{"code", error.code}, {"message", error.message}};
  return line;
}

}  // namespace

RunController::RunController(Loop& control, kube::Api& api, kube::PodLogs& logs, Store& store,
                             metadata::Store& metadata, SpecCache& specs, const Clock& clock, BlockingPool& pool,
                             RunOptions options)
    : control_(control),
      api_(api),
      logs_(logs),
      store_(store),
      metadata_(metadata),
      specs_(specs),
      clock_(clock),
      pool_(pool),
      options_(std::move(options)),
      folders_(options_.data),
      scope_(control.executor(), "run controller"),
      launched_(control.executor()) {
  launched_.set();
}

RunController::~RunController() = default;

Async<> RunController::on_control(std::function<Async<>()> make) {
  if (control_.running_here()) {
    co_await make();
  } else {
    co_await on(control_.executor(), std::move(make));
  }
}

Async<> RunController::start() {
  const auto runs = co_await store_.active_runs();
  // Runs first, so that the pods which the watch tells of find theirs.
  kube::ListQuery query;
  query.label_selector = kRunLabel;
  const kube::List pods = co_await api_.list(kube::kPods, query);
  std::vector<RunPtr> resumed;
  std::map<std::string, std::set<std::string, std::less<>>> found;
  for (const auto& pod : pods.items) {
    found[std::string(kube::label_of(*pod, kRunLabel))].insert(std::string(kube::name_of(*pod)));
  }
  for (const auto& run : runs) {
    std::set<std::string, std::less<>> names = std::move(found[run.run_id]);
    co_await resume(run, std::move(names));
  }
  for (const auto& pod : pods.items) on_pod(*pod, false);
  const std::string version = pods.resource_version;
  scope_.spawn([this, version] { return watch_pods(version); });
  co_await launched_.wait();
  reclaim_folders(pods);
  if (!runs.empty()) spdlog::info("took up {} runs that were in progress", runs.size());
}

void RunController::reclaim_folders(const kube::List& pods) {
  std::set<std::filesystem::path> used;
  for (const auto& pod : pods.items) used.insert(folder_of(*pod));
  for (const auto& [id, run] : active_) {
    for (const auto& [key, flight] : run->flights) used.insert(flight.folder);
  }
  pool_.post([this, used = std::move(used)] { folders_.reclaim(used); });
}

void RunController::give_back(std::filesystem::path folder, bool clean) {
  if (folder.empty()) return;
  pool_.post([this, folder = std::move(folder), clean] { folders_.give_back(folder, clean); });
}

Async<> RunController::stop() { co_await scope_.stop(); }

Async<RunController::RunPtr> RunController::load(Run run) {
  auto spec = specs_.find(run.spec_hash);
  if (!spec) {
    auto text = co_await store_.get_spec(run.spec_hash);
    spec = specs_.parse(std::move(text));
  }
  engine::RunInfo info;
  info.run_id = run.run_id;
  info.display_name = run.display_name;
  info.resource_name = resource_name(run.pipeline_name, run.run_id);
  info.pipeline_root = run.runtime_config.pipeline_root;
  if (info.pipeline_root.empty()) info.pipeline_root = spec->pipeline->default_root;
  if (info.pipeline_root.empty()) info.pipeline_root = options_.pipeline_root;
  info.ns = run.name_space.empty() ? options_.ns : run.name_space;
  info.created_at = run.created_at;
  info.scheduled_at = run.scheduled_at == Time{} ? run.created_at : run.scheduled_at;
  engine::Engine engine(spec->pipeline, info, run.runtime_config.parameters);
  co_return std::make_shared<ActiveRun>(std::move(run), std::move(engine), control_.executor());
}

Async<> RunController::resume(Run run, std::set<std::string, std::less<>> found_pods) {
  const std::string run_id = run.run_id;
  std::string failure;
  try {
    auto active = co_await load(run);
    active->found_pods = std::move(found_pods);
    const auto events = co_await store_.load_events(run_id);
    for (const auto& text : events) {
      const auto event = engine::event_from_json(parse_json(text));
      if (event.type == Event::Type::RunStarted) active->began = event.time;
      active->engine.step(event);
    }
    active->next_seq = static_cast<int64_t>(events.size());
    active_.emplace(run_id, active);
    if (!active->engine.started()) {
      post(active, Event::run_started(clock_.now()));
    } else if (active->engine.finished()) {
      // It ended, but the row was not written: cannot be, as both are in one transaction.
      active_.erase(run_id);
    } else {
      if (run.state == RunState::Canceling && !active->engine.canceling()) {
        post(active, Event::cancel_requested(clock_.now()));
      }
      for (const auto& command : active->engine.resume_commands()) carry_out(active, command);
    }
  } catch (const Error& error) {
    failure = error.message();
  }
  if (!failure.empty()) {
    spdlog::error("run {} cannot go on: {}", run_id, failure);
    co_await store_.set_run_state(run_id, RunState::Failed,
                                  {static_cast<int>(Code::Internal), "the run cannot go on: " + failure}, clock_.now());
  }
}

Async<> RunController::start(std::string run_id) {
  co_await on_control([this, &run_id]() -> Async<> {
    if (active_.contains(run_id)) co_return;
    Run run = co_await store_.get_run(run_id);
    auto active = co_await load(std::move(run));
    if (!active_.emplace(run_id, active).second) co_return;
    post(active, Event::run_started(clock_.now()));
  });
}

Async<> RunController::terminate(std::string run_id) {
  co_await on_control([this, &run_id]() -> Async<> {
    const auto it = active_.find(run_id);
    if (it == active_.end()) {
      const Run run = co_await store_.get_run(run_id);
      throw Error(Code::FailedPrecondition,
                  fmt::format("run {} cannot be terminated: it is {}", run_id, to_string(run.state)));
    }
    auto active = it->second;
    if (active->engine.canceling()) co_return;
    active->durable_wanted = true;
    post(active, Event::cancel_requested(clock_.now()));
    co_await active->idle.wait();
  });
}

Async<> RunController::retry(std::string run_id) {
  co_await on_control([this, &run_id]() -> Async<> {
    Run run = co_await store_.get_run(run_id);
    if (active_.contains(run_id) || (run.state != RunState::Failed && run.state != RunState::Canceled)) {
      throw Error(Code::Aborted,
                  fmt::format("run {} cannot be retried: it is {}, and only a FAILED or CANCELED run can", run_id,
                              to_string(run.state)));
    }
    const auto tasks = co_await store_.list_tasks(run_id);
    auto active = co_await load(std::move(run));
    for (const auto& task : tasks) {
      if (task.type == "RUNTIME" && (task.state == "SUCCEEDED" || task.state == "CACHED")) {
        active->kept[task.scope_path] = task.outputs;
      }
    }
    const Time now = clock_.now();
    co_await store_.database().write([&](db::Connection& c) {
      store::delete_events(c, run_id);
      store::delete_tasks(c, run_id);
      store::set_run_state(c, run_id, RunState::Pending, {}, now);
    });
    if (!active_.emplace(run_id, active).second) co_return;
    post(active, Event::run_started(now));
  });
}

Async<> RunController::forget(std::string run_id) {
  co_await on_control([this, &run_id]() -> Async<> {
    const auto it = active_.find(run_id);
    if (it != active_.end()) {
      auto active = it->second;
      active->forgotten = true;
      active->inbox.clear();
      active_.erase(it);
      if (active->driving) co_await active->idle.wait();
      for (const auto& [pod, key] : active->pods) {
        const std::string ns = active->engine.info().ns, name = pod;
        scope_.spawn([this, ns, name] { return remove_pod(ns, name); });
      }
    }
  });
}

void RunController::post(const RunPtr& run, Event event) {
  if (run->forgotten) return;
  run->inbox.push_back(std::move(event));
  run->idle.reset();
  if (run->driving) return;
  run->driving = true;
  scope_.spawn([this, run] { return drive(run); });
}

void RunController::take_in(ActiveRun& run, Event& event, Batch& batch) {
  const auto flight = run.flights.find({event.task, event.attempt});
  // Artifacts get their ids before the engine sees them, so that consumers can be linked to them.
  for (auto& [name, list] : event.outputs.artifacts) {
    if (!list.is_array()) continue;
    for (auto& item : list.get_array()) {
      auto& artifact = item.as_object();
      int64_t id = get_int(artifact, "id");
      const bool fresh = id == 0;
      if (fresh) {
        id = metadata_.next_artifact_id();
        artifact["id"] = std::to_string(id);
        metadata::Artifact row;
        row.artifact_id = id;
        row.name = get_string(artifact, "name", name);
        row.uri = get_string(artifact, "uri");
        if (const auto* type = find_object(artifact, "type")) {
          row.type = get_string(*type, "schemaTitle", "system.Artifact");
          row.type_version = get_string(*type, "schemaVersion");
        }
        if (const auto* meta = find_object(artifact, "metadata")) row.metadata = *meta;
        row.created_at = event.time;
        row.run_id = run.run.run_id;
        row.name_space = run.run.name_space;
        row.producer_key = name;
        if (flight != run.flights.end()) row.task_id = flight->second.spec->task_id;
        batch.artifacts.push_back(std::move(row));
      }
    }
  }
  if (flight != run.flights.end() && !flight->second.uid.empty()) {
    batch.pods[flight->second.spec->task_id] = {flight->second.pod, flight->second.uid};
  }
  if (event.type == Event::Type::TaskSucceeded && flight != run.flights.end() &&
      !flight->second.spec->fingerprint.empty()) {
    batch.cached.push_back({flight->second.spec->fingerprint, flight->second.spec->task_id, event.outputs});
  }
  if (event.type == Event::Type::RunStarted) {
    batch.begins = true;
    run.began = event.time;
  }
  batch.cancels = batch.cancels || event.type == Event::Type::CancelRequested;
  for (auto& command : run.engine.step(event)) {
    if (auto* changed = std::get_if<engine::TaskChanged>(&command)) {
      batch.records.push_back(std::move(changed->record));
    } else if (auto* finished = std::get_if<engine::RunFinished>(&command)) {
      batch.finished = std::move(*finished);
    } else {
      batch.commands.push_back(std::move(command));
    }
  }
  switch (event.type) {
    case Event::Type::TaskSucceeded:
    case Event::Type::TaskFailed:
    case Event::Type::TaskCanceled:
      if (flight != run.flights.end()) {
        if (flight->second.created && !flight->second.gone) {
          batch.ended_pods.push_back(flight->second.pod);
        } else {
          batch.ended_folders.emplace_back(flight->second.folder, flight->second.clean);
        }
        run.pods.erase(flight->second.pod);
        run.flights.erase(flight);
      }
      break;
    default: break;
  }
}

namespace {

// INPUT and OUTPUT links of a record that has just been launched or ended.
void link_artifacts(const std::string& run_id, const engine::TaskRecord& record, std::vector<metadata::Link>& links) {
  auto add = [&](const json::object& artifacts, bool input) {
    for (const auto& [key, member] : artifacts) {
      const json::value* list = &member;
      if (const auto* object = member.if_object()) list = object->if_contains("artifacts");
      if (list == nullptr || !list->is_array()) continue;
      for (const auto& artifact : list->get_array()) {
        const auto id = artifact.is_object() ? get_int(artifact.get_object(), "id") : 0;
        if (id == 0) continue;
        metadata::Link link;
        link.artifact_id = id;
        link.run_id = run_id;
        link.task_id = record.task_id;
        link.direction = input ? metadata::Direction::Input : metadata::Direction::Output;
        link.key = key;
        links.push_back(std::move(link));
      }
    }
  };
  const bool runs = record.type == engine::TaskType::Runtime || record.type == engine::TaskType::Importer;
  if (!runs) return;
  if (record.inputs && (record.state == TaskState::Running || record.state == TaskState::Cached)) {
    if (const auto* artifacts = find_object(*record.inputs, "artifacts")) add(*artifacts, true);
  }
  if (record.outputs && (record.state == TaskState::Succeeded || record.state == TaskState::Cached)) {
    add(record.outputs->artifacts, false);
  }
}

}  // namespace

Async<> RunController::drive(RunPtr run) {
  while (!run->inbox.empty()) {
    auto events = std::move(run->inbox);
    run->inbox.clear();
    auto batch = std::make_shared<Batch>();  // the writer thread may still hold it when we are cancelled
    for (auto& event : events) {
      take_in(*run, event, *batch);
      batch->events.push_back(std::move(event));
    }
    for (const auto& record : batch->records) {
      link_artifacts(run->run.run_id, *record, batch->links);
    }
    co_await commit(run, batch);
    if (run->forgotten) break;
    for (const auto& record : batch->records) {
      if (!watchers_.empty())
        publish(run->run.run_id, to_text(json::object{{"task", task_line(stored_record(run->run.run_id, *record))}}));
    }
    for (const auto& pod : batch->ended_pods) {
      scope_.spawn([this, ns = run->engine.info().ns, pod] { return remove_pod(ns, pod); });
    }
    for (auto& [folder, clean] : batch->ended_folders) give_back(std::move(folder), clean);
    for (const auto& command : batch->commands) carry_out(run, command);
    if (batch->finished) finish(run);
  }
  run->driving = false;
  run->idle.set();
}

void RunController::write_batch(db::Connection& c, const Run& run, const Batch& batch, int64_t first_seq, Time now) {
  std::vector<std::string> events;
  events.reserve(batch.events.size());
  for (const auto& event : batch.events) events.push_back(to_text(engine::to_json(event)));
  store::write_events(c, run.run_id, first_seq, events);
  std::vector<TaskRecord> records;
  records.reserve(batch.records.size());
  for (const auto& record : batch.records) {
    records.push_back(stored_record(run.run_id, *record));
    if (const auto pod = batch.pods.find(record->task_id); pod != batch.pods.end()) {
      records.back().pod_name = pod->second.first;
      records.back().pod_uid = pod->second.second;
    }
  }
  store::write_tasks(c, records);
  for (const auto& artifact : batch.artifacts) metadata::put_artifact(c, artifact);
  for (const auto& link : batch.links) metadata::put_link(c, link);
  for (const auto& cached : batch.cached) {
    store::put_cached(c, run.pipeline_name, cached.fingerprint,
                      {run.run_id, cached.task_id, outputs_json(cached.outputs)}, now);
  }
  if (batch.begins) store::set_run_state(c, run.run_id, RunState::Running, {}, now);
  if (batch.cancels && !batch.finished) store::set_run_state(c, run.run_id, RunState::Canceling, {}, now);
  if (batch.finished) {
    store::set_run_state(c, run.run_id, run_state_of(batch.finished->state),
                         {batch.finished->error.code, batch.finished->error.message}, batch.finished->time);
  }
}

Async<> RunController::commit(RunPtr run, std::shared_ptr<Batch> batch) {
  const std::string run_id = run->run.run_id;
  const auto first_seq = run->next_seq;
  const auto durability = run->durable_wanted ? db::Durability::Synced : db::Durability::Relaxed;
  const Time now = clock_.now();
  std::chrono::milliseconds pause(100);
  // Named, and `batch` held by it: g++ 12 destroys captures twice of a closure that is written inside a co_await.
  const auto write = [&, batch](db::Connection& c) { write_batch(c, run->run, *batch, first_seq, now); };
  while (!run->forgotten) {
    std::string failure;
    try {
      co_await store_.database().write(write, durability);
    } catch (const Error& error) {
      failure = error.message();
    }
    if (failure.empty()) break;
    // Nothing may happen that isn't written: the run waits until it can be (a full disk, most likely).
    spdlog::error("run {} waits: its progress cannot be written: {}", run_id, failure);
    co_await sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(5000));
  }
  run->next_seq += static_cast<int64_t>(batch->events.size());
  run->durable_wanted = false;
  if (batch->begins) run->run.state = RunState::Running;
  if (batch->cancels) run->run.state = RunState::Canceling;
  if (batch->begins || batch->cancels) {
    publish(run_id, to_text(json::object{{"run", run_line(run->run, run->run.state, {})}}));
  }
  if (batch->finished) {
    run->run.state = run_state_of(batch->finished->state);
    run->run.error = {batch->finished->error.code, batch->finished->error.message};
  }
}

void RunController::finish(const RunPtr& run) {
  const std::string run_id = run->run.run_id;
  active_.erase(run_id);
  publish(run_id, to_text(json::object{{"run", run_line(run->run, run->run.state, run->run.error)}}));
  for (const auto& watcher : watchers_) {
    if (watcher->run_id != run_id) continue;
    asio::post(watcher->executor, [watcher] {
      watcher->done = true;
      watcher->ready.set();
    });
  }
}

void RunController::publish(const std::string& run_id, const std::string& line) {
  for (const auto& watcher : watchers_) {
    if (watcher->run_id != run_id) continue;
    asio::post(watcher->executor, [watcher, line] {
      watcher->lines.push_back(line);
      watcher->ready.set();
    });
  }
}

Async<> RunController::watch(std::string run_id, http::BodyWriter& out) {
  auto watcher = std::make_shared<Watcher>(run_id, co_await asio::this_coro::executor);
  co_await on_control([this, &watcher]() -> Async<> {
    watchers_.push_back(watcher);
    co_return;
  });
  // From here on every change reaches the watcher; what was before is read now, and a change may come twice.
  std::exception_ptr failure;
  try {
    const Run run = co_await store_.get_run(run_id);
    for (const auto& task : co_await store_.list_tasks(run_id)) {
      const std::string text = to_text(json::object{{"task", task_line(task)}}) + "\n";
      co_await out.write(text);
    }
    const std::string text = to_text(json::object{{"run", run_line(run, run.state, run.error)}}) + "\n";
    co_await out.write(text);
    if (is_final(run.state)) watcher->done = true;
    while (true) {
      while (!watcher->lines.empty()) {
        const std::string line = watcher->lines.front() + "\n";
        watcher->lines.pop_front();
        co_await out.write(line);
      }
      if (watcher->done) break;
      watcher->ready.reset();
      co_await watcher->ready.wait();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  control_.post([this, watcher] { watchers_.remove(watcher); });
  if (failure) std::rethrow_exception(failure);
}

void RunController::add_watch_route(http::Router& router) {
  for (const auto prefix : {"", "/pipeline"}) {
    router.add(http::Method::Get, fmt::format("{}/apis/v2beta1/runs/{{run_id}}:watch", prefix),
               [this](http::Request& request) -> Async<http::Response> {
                 const std::string run_id = request.params.find("run_id")->second;
                 co_await store_.get_run(run_id);
                 http::Response response;
                 response.set("Content-Type", "application/x-ndjson");
                 response.stream = [this, run_id](http::BodyWriter& out) { return watch(run_id, out); };
                 co_return response;
               });
  }
}

Async<> RunController::read_log(std::string run_id, std::string task_id, bool follow, http::BodyWriter& out) {
  const TaskRecord task = co_await store_.get_task(run_id, task_id);
  if (task.pod_name.empty()) {
    throw not_found("task {} of run {} has no log: it {}", task.name, run_id,
                    task.state == "CACHED" ? "took the outputs of an earlier task" : "has not been started");
  }
  const Run run = co_await store_.get_run(run_id);
  const std::string ns = run.name_space.empty() ? options_.ns : run.name_space;
  const json::object pod{{"metadata", {{"name", task.pod_name}, {"namespace", ns}, {"uid", task.pod_uid}}}};
  kube::LogOptions options;
  options.container = "main";
  options.follow = follow && (task.state == "RUNNING" || task.state == "PENDING");
  co_await logs_.read(pod, options, out);
}

}  // namespace penstock::pipelines
