#include "pipelines/run/controller.h"

#include "metadata/metadata.h"
#include "pipelines/run/notes.h"
#include "pipelines/run/task_files.h"
#include "pipelines/run/watching.h"
#include "pipelines/run/workspace.h"

namespace penstock::pipelines {

using engine::Event;

namespace {

// What need not be done at once is done together. Long beside a short task; short for somebody who watches.
constexpr std::chrono::milliseconds kLater{20};

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
      journal_(options_.data / "journal"),
      scope_(control.executor(), "run controller"),
      launched_(control.executor()),
      deadlines_changed_(control.executor()),
      any_later_(control.executor()) {
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
  kube::List pods = co_await api_.list(kube::kPods, query);
  // What happens from here on, the watch tells: also of a pod that is made again and cancelled before the watch begins.
  const std::string version = pods.resource_version;
  std::map<std::string, std::set<std::string, std::less<>>> found;
  for (const auto& pod : pods.items) {
    found[std::string(kube::label_of(*pod, kRunLabel))].insert(std::string(kube::name_of(*pod)));
  }
  for (const auto& run : runs) {
    std::set<std::string, std::less<>> names = std::move(found[run.run_id]);
    co_await resume(run, std::move(names));
  }
  journal_.begin();
  co_await launched_.wait();
  // Of tasks whose end is written nothing needs to stay.
  for (const auto& pod : pods.items) {
    if (outcome_of(*pod).finished && !is_known(*pod)) {
      co_await remove_pod(std::string(kube::namespace_of(*pod)), std::string(kube::name_of(*pod)));
    }
  }
  pods = co_await api_.list(kube::kPods, query);
  reclaim_folders(pods);
  for (const auto& pod : pods.items) on_pod(*pod, false);
  scope_.spawn([this, version] { return watch_pods(version); });
  scope_.spawn([this] { return later_loop(); });
  scope_.spawn([this] { return deadline_loop(); });
  if (!runs.empty()) spdlog::info("took up {} runs that were in progress", runs.size());
}

void RunController::reclaim_folders(const kube::List& pods) {
  std::set<std::filesystem::path> used;
  std::set<std::string> owners;
  for (const auto& pod : pods.items) {
    used.insert(folder_of(*pod));
    owners.emplace(kube::uid_of(*pod));
  }
  for (const auto& [id, run] : active_) {
    for (const auto& [key, flight] : run->flights) owners.insert(flight.uid);
  }
  pool_.post([this, used = std::move(used), owners = std::move(owners)] {
    folders_.reclaim(used);
    std::error_code error;
    for (const auto& staged : std::filesystem::directory_iterator(options_.data / "staged", error)) {
      if (!owners.contains(staged.path().filename())) remove_folder(staged.path());
    }
  });
}

void RunController::give_back(EndedFolder folder) {
  if (folder.path.empty()) return;
  returned_.push_back(std::move(folder));
  any_later_.set();
}

Async<> RunController::stop() {
  if (options_.stores != nullptr) options_.stores->stop();
  co_await scope_.stop();
}

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
  if (info.pipeline_root.empty()) info.pipeline_root = spec->pipeline->runtime_root;
  if (info.pipeline_root.empty()) info.pipeline_root = spec->pipeline->default_root;
  if (info.pipeline_root.empty()) info.pipeline_root = options_.pipeline_root;
  const std::string root = info.pipeline_root;
  info.pipeline_root = stores::without_query(root);
  info.ns = run.name_space.empty() ? options_.ns : run.name_space;
  info.created_at = run.created_at;
  info.scheduled_at = run.scheduled_at == Time{} ? run.created_at : run.scheduled_at;
  info.images = options_.images;
  info.caching = options_.caching && !run.runtime_config.disable_caching;
  if (!spec->pipeline->config.workspace_size.empty() && !options_.sandbox) {
    info.workspace_path = options_.claim_folder(info.ns, workspace_claim_name(info.resource_name)).string();
  }
  engine::Engine engine(spec->pipeline, info, run.runtime_config.parameters);
  auto active = std::make_shared<ActiveRun>(std::move(run), std::move(engine), control_.executor());
  active->root = root;
  co_return active;
}

Async<> RunController::resume(Run run, std::set<std::string, std::less<>> found_pods) {
  const std::string run_id = run.run_id;
  std::string failure;
  try {
    auto active = co_await load(run);
    active->found_pods = std::move(found_pods);
    auto log = co_await store_.load_events(run_id);
    // What the former server wrote to the journal and not to the database.
    const auto in_database = static_cast<int64_t>(log.events.size());
    auto journaled = journal_.found(run_id, in_database);
    if (!journaled.empty()) co_await store_.append_events(run_id, in_database, journaled);
    std::move(journaled.begin(), journaled.end(), std::back_inserter(log.events));
    replay(*active, log);
    for (const auto& [key, flight] : active->flights) {
      if (!flight.folder.empty()) folders_.claim(flight.folder, flight.uid);
    }
    active_.emplace(run_id, active);
    if (!active->rows.empty()) schedule_rows(active);
    note_deadline(*active, active->engine.started() ? active->began : clock_.now());
    if (!active->engine.started()) {
      post(active, Event::run_started(clock_.now()));
    } else if (active->engine.finished()) {
      // It ended, but the row was not written: cannot be, as both are in one transaction.
      active_.erase(run_id);
    } else {
      if (run.state == RunState::Canceling && !active->engine.canceling()) {
        post(active, Event::cancel_requested(clock_.now()));
      }
      active->resuming = true;
      for (const auto& command : active->engine.resume_commands()) carry_out(active, command);
      active->resuming = false;
    }
  } catch (const Error& error) {
    failure = error.message();
  }
  if (!failure.empty()) {
    spdlog::error("run {} cannot go on: {}", run_id, failure);
    co_await store_.set_run_state(run_id, RunState::Failed,
                                  {static_cast<int>(Code::Internal), "the run cannot go on: " + failure}, clock_.now());
    if (on_changed_) on_changed_(co_await store_.get_run(run_id));
  }
}

void RunController::replay(ActiveRun& run, const store::EventLog& log) {
  for (size_t i = 0; i < log.events.size(); ++i) {
    if (i == static_cast<size_t>(log.in_rows)) run.rows = {};
    const auto line = parse_json(log.events[i]);
    if (take_note(run, line, folders_.root())) continue;
    Batch batch;  // was carried out by the former server; what is still to be done, resume_commands() tells
    auto event = engine::event_from_json(line);
    take_in(run, event, batch, true);
    for (const auto& command : batch.commands) {
      if (const auto* launched = std::get_if<engine::Launch>(&command)) note_flight(run, *launched);
    }
  }
  if (log.in_rows >= static_cast<int64_t>(log.events.size())) run.rows = {};
  run.next_seq = static_cast<int64_t>(log.events.size());
}

Async<> RunController::start(std::string run_id) {
  co_await on_control([this, &run_id]() -> Async<> {
    if (active_.contains(run_id)) co_return;
    Run run = co_await store_.get_run(run_id);
    auto active = co_await load(std::move(run));
    if (!active_.emplace(run_id, active).second) co_return;
    note_deadline(*active, clock_.now());
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

Async<> RunController::resume_paused(std::string run_id) {
  co_await on_control([this, &run_id]() -> Async<> {
    const auto it = active_.find(run_id);
    auto events = it != active_.end() ? it->second->engine.resumptions(clock_.now()) : std::vector<Event>();
    if (events.empty()) {
      throw Error(Code::FailedPrecondition, fmt::format("run {} cannot be resumed: nothing in it is paused", run_id));
    }
    auto active = it->second;
    active->durable_wanted = true;
    for (Event& event : events) post(active, std::move(event));
    co_await active->idle.wait();
  });
}

Async<> RunController::retry(std::string run_id, std::vector<std::string> from) {
  co_await on_control([this, &run_id, &from]() -> Async<> {
    Run run = co_await store_.get_run(run_id);
    const bool failed = run.state == RunState::Failed || run.state == RunState::Canceled;
    if (active_.contains(run_id) || !(failed || (!from.empty() && is_final(run.state)))) {
      throw Error(Code::Aborted,
                  fmt::format("run {} cannot be retried: it is {}, and only a FAILED or CANCELED run can", run_id,
                              to_string(run.state)));
    }
    const auto tasks = co_await store_.list_tasks(run_id);
    auto active = co_await load(std::move(run));
    std::vector<std::string> notes;
    // Before its events are deleted, so that those in the journal are not taken for them.
    if (!journal_.append_reset(run_id, active->journaled)) {
      throw Error(Code::Unavailable, fmt::format("run {} cannot be retried now: the journal has no room", run_id));
    }
    const auto& pipeline = active->engine.pipeline();
    const auto runs_again = [&](const TaskRecord& task) {
      return std::ranges::any_of(from, [&](const auto& path) { return follows_from(pipeline, task.scope_path, path); });
    };
    for (const auto& path : from) notes.push_back(again_note(path));
    active->again = from;
    for (const auto& task : tasks) {
      if (task.type == "RUNTIME" && (task.state == "SUCCEEDED" || task.state == "CACHED") &&
          is_kept_by_retry(pipeline, task.scope_path) && !runs_again(task)) {
        auto& kept = active->kept[task.scope_path];
        kept = {task.outputs, task.pod_name, task.pod_uid};
        notes.push_back(kept_note(task.scope_path, kept));
      }
    }
    const Time now = clock_.now();
    co_await store_.database().write([&](db::Connection& c) {
      store::delete_events(c, run_id);
      store::delete_tasks(c, run_id);
      store::write_events(c, run_id, 0, notes);
      store::set_run_state(c, run_id, RunState::Pending, {}, now);
    });
    active->next_seq = static_cast<int64_t>(notes.size());
    if (!active_.emplace(run_id, active).second) co_return;
    note_deadline(*active, now);
    post(active, Event::run_started(now));
  });
}

Async<> RunController::forget(std::string run_id) {
  co_await on_control([this, &run_id]() -> Async<> {
    scope_.spawn([this, run_id] { return drop_workspace(run_id); });
    const auto it = active_.find(run_id);
    if (it != active_.end()) {
      auto active = it->second;
      active->forgotten = true;
      active->inbox.clear();
      active_.erase(it);
      if (active->driving) co_await active->idle.wait();
      journal_.saved(active->journaled);
      std::erase_if(fresh_cached_, [&](const auto& entry) { return entry.second.run_id == run_id; });
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
  kick(run);
}

void RunController::kick(const RunPtr& run) {
  run->idle.reset();
  if (run->driving) return;
  run->driving = true;
  scope_.spawn([this, run] { return drive(run); });
}

void RunController::take_in(ActiveRun& run, Event& event, Batch& batch, bool replayed) {
  const auto flight = run.flights.find({event.task, event.attempt});
  const bool produces = event.type == Event::Type::TaskSucceeded || event.type == Event::Type::ImportFinished;
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
      } else if (replayed) {
        metadata_.reserve_artifact_id(id);
      }
      // In a replay it may be there or not; what is there stays.
      if (fresh || (replayed && produces)) {
        metadata::Artifact row;
        row.artifact_id = id;
        row.name = get_string(artifact, "name", name);
        row.uri = get_string(artifact, "uri");
        if (const auto* type = find_object(artifact, "type")) {
          row.instance_schema = get_string(*type, "instanceSchema");
          row.type = get_string(*type, "schemaTitle");
          if (row.type.empty()) row.type = metadata::title_of_schema(row.instance_schema);
          row.type_version = get_string(*type, "schemaVersion");
        }
        if (const auto* meta = find_object(artifact, "metadata")) row.metadata = *meta;
        row.created_at = event.time;
        row.run_id = run.run.run_id;
        row.name_space = run.run.name_space;
        row.producer_key = name;
        if (flight != run.flights.end()) row.task_id = flight->second.spec->task_id;
        run.rows.add(std::move(row));
      }
    }
  }
  if (flight != run.flights.end()) {
    const auto& launched = flight->second;
    if (const auto kept = run.kept.find(launched.spec->path); kept != run.kept.end()) {
      run.rows.set_pod(launched.spec->task_id, kept->second.pod, kept->second.uid);
      run.kept.erase(kept);
    } else if ((launched.created || replayed) && !engine::is_claim_task(*launched.spec)) {
      // Of a replayed one it is not known whether its pod was there yet; its log is found by the name in either case.
      run.rows.set_pod(launched.spec->task_id, launched.pod, launched.uid);
    }
  }
  if (event.type == Event::Type::TaskSucceeded && flight != run.flights.end() &&
      !flight->second.spec->fingerprint.empty()) {
    const auto& spec = *flight->second.spec;
    run.rows.add_cached(spec.fingerprint, spec.task_id, event.outputs);
    if (!replayed) {
      fresh_cached_[{run.run.pipeline_name, spec.fingerprint}] = {run.run.run_id, spec.task_id,
                                                                  outputs_json(event.outputs), event.time};
    }
  }
  if (event.type == Event::Type::RunStarted) {
    run.rows.begin(event.time);
    run.began = event.time;
  }
  if (event.type == Event::Type::CancelRequested) run.rows.cancel(event.time);
  if (event.type == Event::Type::TaskWaiting && flight != run.flights.end()) flight->second.waiting = event.message;
  for (auto& command : run.engine.step(event)) {
    if (auto* changed = std::get_if<engine::TaskChanged>(&command)) {
      run.rows.add(run.run.run_id, std::move(changed->record));
    } else if (auto* finished = std::get_if<engine::RunFinished>(&command)) {
      run.rows.finish(std::move(*finished));
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
          batch.ended_folders.push_back({flight->second.folder, flight->second.uid, flight->second.clean});
        }
        run.pods.erase(flight->second.pod);
        run.flights.erase(flight);
      }
      break;
    default: break;
  }
}

Async<> RunController::drive(RunPtr run) {
  while (!run->inbox.empty() || run->rows_due) {
    auto events = std::exchange(run->inbox, {});
    const auto known = run->unsaved.size();
    auto batch = std::make_shared<Batch>();  // the writer thread may still hold it when we are cancelled
    for (auto& event : events) {
      take_in(*run, event, *batch, false);
      run->unsaved.push_back(to_text(engine::to_json(event)));
    }
    lend_folders(*run, *batch);
    if (run->rows_due || run->durable_wanted || run->rows.finished()) {
      batch->rows = std::exchange(run->rows, {});
      run->rows_due = false;
    } else {
      schedule_rows(run);
    }
    const std::span<const std::string> fresh(run->unsaved.begin() + static_cast<std::ptrdiff_t>(known),
                                             run->unsaved.end());
    const bool journaled = !batch->rows && journal_.append(run->run.run_id, run->next_seq + static_cast<int64_t>(known),
                                                           fresh, run->journaled);
    if (!journaled) co_await commit(run, batch);
    if (run->forgotten) break;
    for (const auto& command : batch->commands) carry_out(run, command);
    for (auto& pod : batch->ended_pods) ended_pods_.emplace_back(run->engine.info().ns, std::move(pod));
    if (!ended_pods_.empty()) any_later_.set();
    for (auto& folder : batch->ended_folders) give_back(std::move(folder));
    if (batch->rows) written(run, *batch->rows);
  }
  run->driving = false;
  run->idle.set();
}

// A task that starts now must be found in its folder by a server that takes over.
void RunController::lend_folders(ActiveRun& run, const Batch& batch) {
  for (const auto& command : batch.commands) {
    const auto* launched = std::get_if<engine::Launch>(&command);
    if (launched == nullptr || engine::is_claim_task(*launched->spec) || run.kept.contains(launched->spec->path)) {
      continue;
    }
    auto& flight = note_flight(run, *launched);
    auto lent = folders_.lend(flight.uid, engine::declares_outputs(*launched->spec));
    run.unsaved.push_back(folder_note({launched->task, launched->attempt}, lent.path));
    flight.folder = std::move(lent.path);
    flight.folder_made = lent.made;
  }
}

// The rows are in the database.
void RunController::written(const RunPtr& run, const RunRows& rows) {
  if (const auto state = rows.state()) {
    run->run.state = *state;
    run->run.error = rows.error();
  }
  for (const auto& cached : rows.cached()) {
    const auto at = fresh_cached_.find({run->run.pipeline_name, cached.fingerprint});
    if (at != fresh_cached_.end() && at->second.task_id == cached.task_id) fresh_cached_.erase(at);
  }
  if (rows.finished()) {
    const auto& config = run->engine.pipeline().config;
    const bool has_claims = !config.workspace_size.empty() || config.claims != nullptr;
    if (rows.state() == RunState::Succeeded && has_claims) {
      scope_.spawn([this, id = run->run.run_id] { return drop_workspace(id); });
    }
    active_.erase(run->run.run_id);
  }
  if (rows.state() && on_changed_) on_changed_(run->run);
  publish(run->run, rows);
}

void RunController::schedule_rows(const RunPtr& run) {
  if (std::exchange(run->rows_scheduled, true)) return;
  with_rows_.push_back(run);
  any_later_.set();
}

void RunController::note_deadline(const ActiveRun& run, Time began) {
  const auto limit = run.engine.pipeline().config.active_deadline;
  if (limit.count() == 0) return;
  deadlines_.emplace(began + limit, run.run.run_id);
  deadlines_changed_.set();
}

Async<> RunController::deadline_loop() {
  while (true) {
    deadlines_changed_.reset();
    if (deadlines_.empty()) {
      co_await deadlines_changed_.wait();
      continue;
    }
    const auto left = deadlines_.begin()->first - clock_.now();
    if (left.count() > 0) {
      co_await deadlines_changed_.wait_for(left);
      continue;
    }
    const auto run = active_.find(deadlines_.begin()->second);
    deadlines_.erase(deadlines_.begin());
    if (run == active_.end() || run->second->engine.canceling()) continue;
    const auto limit = run->second->engine.pipeline().config.active_deadline;
    if (run->second->began + limit > clock_.now()) continue;  // of before a retry
    post(run->second,
         Event::cancel_requested(clock_.now(), static_cast<int>(Code::DeadlineExceeded),
                                 fmt::format("the run took longer than its activeDeadlineSeconds, {}", limit.count())));
  }
}

Async<> RunController::later_loop() {
  while (true) {
    co_await any_later_.wait();
    co_await sleep_for(kLater);
    any_later_.reset();
    for (const auto& [ns, pod] : std::exchange(ended_pods_, {})) {
      scope_.spawn([this, ns, pod] { return remove_pod(ns, pod); });
    }
    if (!returned_.empty()) {
      pool_.post([this, folders = std::exchange(returned_, {})] {
        for (const auto& folder : folders) {
          folders_.give_back(folder.path, folder.owner, folder.clean);
          if (!folder.owner.empty()) remove_folder(staging_folder(options_.data, folder.owner));
        }
      });
    }
    for (const auto& run : std::exchange(with_rows_, {})) {
      run->rows_scheduled = false;
      if (run->forgotten || (run->rows.empty() && run->unsaved.empty())) continue;
      run->rows_due = true;
      kick(run);
    }
  }
}

// Every event that is not there into the database, with the batch's rows.
Async<> RunController::commit(RunPtr run, std::shared_ptr<Batch> batch) {
  const auto first_seq = run->next_seq;
  const auto count = static_cast<int64_t>(run->unsaved.size());
  const auto durability = run->durable_wanted ? db::Durability::Synced : db::Durability::Relaxed;
  const Time now = clock_.now();
  std::chrono::milliseconds pause(100);
  // Named, and `batch` held by it: g++ 12 destroys captures twice of a closure that is written inside a co_await.
  const auto write = [&, batch](db::Connection& c) {
    store::write_events(c, run->run.run_id, first_seq, run->unsaved);
    if (batch->rows) batch->rows->write(c, run->run, first_seq + count, now);
  };
  if (batch->rows && !batch->rows->metrics_files().empty()) co_await read_metrics(run, batch);
  while (!run->forgotten) {
    std::string failure;
    try {
      co_await store_.database().write(write, durability);
    } catch (const Error& error) {
      failure = error.message();
    }
    if (failure.empty()) break;
    // Nothing may happen that isn't written: the run waits until it can be (a full disk, most likely).
    spdlog::error("run {} waits: its progress cannot be written: {}", run->run.run_id, failure);
    co_await sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(5000));
  }
  run->next_seq += count;
  run->unsaved.clear();
  journal_.saved(run->journaled);
  run->durable_wanted = false;
}

}  // namespace penstock::pipelines
