#include "pipelines/store/models.h"
#include "pipelines/store/queries.h"
#include "pipelines/store/rows.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace store {

namespace {

constexpr std::string_view kUpsertTask =
    "INSERT INTO tasks (run_id, task_id, parent_task_id, position, name, display_name, type, state, scope_path, "
    "create_time, start_time, end_time, error_code, error_message, pod_name, attempt, iteration_index, "
    "iteration_count, fingerprint, state_history, inputs, outputs, pod_uid, earlier_pods, cache_note, "
    "not_applied, reported, waiting) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, task_id) DO UPDATE SET parent_task_id = excluded.parent_task_id, "
    "name = excluded.name, display_name = excluded.display_name, type = excluded.type, "
    // The first change is no change when the row has that state; then only the later ones are added.
    "state_history = state_history || CASE WHEN state = ?29 THEN ?30 ELSE excluded.state_history END, "
    "earlier_pods = earlier_pods || CASE WHEN pod_uid = '' OR excluded.pod_uid IN ('', pod_uid) THEN '' "
    "ELSE pod_name || ' ' || pod_uid || char(10) END || excluded.earlier_pods, cache_note = excluded.cache_note, "
    "not_applied = excluded.not_applied, waiting = excluded.waiting, "
    "state = excluded.state, scope_path = excluded.scope_path, create_time = excluded.create_time, "
    "start_time = excluded.start_time, end_time = excluded.end_time, error_code = excluded.error_code, "
    "error_message = excluded.error_message, "
    "pod_name = CASE excluded.pod_name WHEN '' THEN pod_name ELSE excluded.pod_name END, "
    "pod_uid = CASE excluded.pod_uid WHEN '' THEN pod_uid ELSE excluded.pod_uid END, attempt = excluded.attempt, "
    "iteration_index = excluded.iteration_index, iteration_count = excluded.iteration_count, "
    "fingerprint = excluded.fingerprint, inputs = excluded.inputs, outputs = excluded.outputs";

std::string object_text(const json::object& object) { return object.empty() ? std::string() : to_text(object); }

}  // namespace

void write_tasks(db::Connection& c, std::span<const TaskRecord> tasks) {
  for (const TaskRecord& task : tasks) {
    std::string first, later;
    std::string_view first_state = task.state;
    if (task.state_history.empty()) {
      first = history_entry(std::max({task.create_time, task.start_time, task.end_time}), task.state);
    } else {
      first_state = task.state_history[0].state;
      first = history_entry(task.state_history[0].update_time, first_state);
    }
    for (size_t i = 1; i < task.state_history.size(); ++i) {
      later += history_entry(task.state_history[i].update_time, task.state_history[i].state);
    }
    std::string earlier;
    for (const auto& [name, uid] : task.earlier_pods) earlier += name + " " + uid + "\n";
    c.execute(kUpsertTask, task.run_id, task.task_id, task.parent_task_id, task.position, task.name, task.display_name,
              task.type, task.state, task.scope_path, to_micros(task.create_time), to_micros(task.start_time),
              to_micros(task.end_time), task.error.code, task.error.message, task.pod_name, task.attempt,
              task.iteration_index, task.iteration_count, task.fingerprint, first + later, object_text(task.inputs),
              object_text(task.outputs), task.pod_uid, earlier, task.cache_note, task.not_applied, task.reported,
              task.waiting, first_state, later);
  }
}

void delete_tasks(db::Connection& c, std::string_view run_id) {
  c.execute("DELETE FROM tasks WHERE run_id = ?", run_id);
}

void write_events(db::Connection& c, std::string_view run_id, int64_t first_seq, std::span<const std::string> events) {
  for (const std::string& event : events) {
    c.execute("INSERT INTO run_events (run_id, seq, event) VALUES (?, ?, ?)", run_id, first_seq++, event);
  }
}

EventLog read_events(db::Connection& c, std::string_view run_id) {
  EventLog log;
  {
    db::Rows rows = c.query("SELECT event FROM run_events WHERE run_id = ? ORDER BY seq", run_id);
    while (rows.next()) log.events.push_back(rows.string(0));
  }
  db::Rows rows = c.query("SELECT events FROM run_progress WHERE run_id = ?", run_id);
  if (rows.next()) log.in_rows = rows.integer(0);
  return log;
}

void write_progress(db::Connection& c, std::string_view run_id, int64_t events) {
  c.execute("INSERT OR REPLACE INTO run_progress (run_id, events) VALUES (?, ?)", run_id, events);
}

void delete_events(db::Connection& c, std::string_view run_id) {
  c.execute("DELETE FROM run_events WHERE run_id = ?", run_id);
  c.execute("DELETE FROM run_progress WHERE run_id = ?", run_id);
}

void put_cached(db::Connection& c, std::string_view pipeline_name, std::string_view fingerprint, const CachedTask& task,
                Time at) {
  c.execute(
      "INSERT INTO cached_tasks (pipeline_name, fingerprint, run_id, task_id, outputs, created_at) "
      "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (pipeline_name, fingerprint) DO UPDATE SET run_id = excluded.run_id, "
      "task_id = excluded.task_id, outputs = excluded.outputs, created_at = excluded.created_at",
      pipeline_name, fingerprint, task.run_id, task.task_id, to_text(task.outputs), to_micros(at));
}

}  // namespace store

namespace {

void require_run(db::Connection& c, std::string_view run_id) {
  db::Rows rows = c.query("SELECT 1 FROM runs WHERE run_id = ?", run_id);
  if (!rows.next()) throw not_found("Run {} not found", run_id);
}

}  // namespace

Async<> Store::append_events(std::string run_id, int64_t first_seq, std::vector<std::string> events) {
  co_await database_.write([&](db::Connection& c) { store::write_events(c, run_id, first_seq, events); },
                           db::Durability::Relaxed);
}

Async<store::EventLog> Store::load_events(std::string run_id) {
  co_return co_await database_.read([&](db::Connection& c) { return store::read_events(c, run_id); });
}

Async<> Store::upsert_tasks(std::vector<TaskRecord> tasks) {
  co_await database_.write([&](db::Connection& c) { store::write_tasks(c, tasks); }, db::Durability::Relaxed);
}

Async<std::vector<TaskRecord>> Store::list_tasks(std::string run_id) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::vector<TaskRecord> tasks;
    db::Rows rows = c.query(
        fmt::format("SELECT {} FROM tasks t WHERE t.run_id = ? ORDER BY t.position, t.seq", store::kTaskColumns),
        run_id);
    while (rows.next()) tasks.push_back(store::read_task(rows));
    return tasks;
  });
}

Async<Page<TaskRecord>> Store::list_tasks(std::string run_id, std::string parent_task_id, db::ListRequest request) {
  db::List list(store::task_model(), request);
  if (!parent_task_id.empty()) list.only("parent_task_id", std::move(parent_task_id));
  list.only("run_id", run_id);
  co_return co_await database_.read([&](db::Connection& c) {
    require_run(c, run_id);
    Page<TaskRecord> page;
    auto result = list.read(
        c, store::kTaskColumns, "", [&](db::Rows& rows) { page.items.push_back(store::read_task(rows)); }, nullptr);
    page.total_size = result.total_size;
    page.next_page_token = std::move(result.next_page_token);
    return page;
  });
}

namespace {

store::Execution read_execution(db::Rows& rows) {
  store::Execution out;
  out.task = store::read_task(rows);
  out.execution_id = rows.integer(store::kTaskColumnCount);
  return out;
}

const std::string& execution_columns() {
  static const std::string kColumns = fmt::format("{}, t.seq", store::kTaskColumns);
  return kColumns;
}

}  // namespace

Async<Page<store::Execution>> Store::list_executions(std::string run_id, db::ListRequest request) {
  if (request.sort_by.empty() && request.page_token.empty()) request.sort_by = "execution_id desc";
  db::List list(store::execution_model(), request);
  if (!run_id.empty()) list.only("run_id", std::move(run_id));
  co_return co_await store::read_page(database_, std::move(list), execution_columns(), read_execution);
}

Async<store::Execution> Store::get_execution(int64_t execution_id) {
  co_return co_await database_.read([&](db::Connection& c) {
    return store::first_row(
        c.query(fmt::format("SELECT {} FROM tasks t WHERE t.seq = ?", execution_columns()), execution_id),
        read_execution, "Execution", std::to_string(execution_id));
  });
}

Async<TaskRecord> Store::get_task(std::string run_id, std::string task_id_or_name) {
  co_return co_await database_.read([&](db::Connection& c) {
    require_run(c, run_id);
    for (const std::string_view condition : {"t.task_id = ?", "t.name = ? ORDER BY t.position DESC LIMIT 1"}) {
      db::Rows rows =
          c.query(fmt::format("SELECT {} FROM tasks t WHERE t.run_id = ? AND {}", store::kTaskColumns, condition),
                  run_id, task_id_or_name);
      if (rows.next()) return store::read_task(rows);
    }
    throw not_found("Task {} not found in run {}", task_id_or_name, run_id);
  });
}

Async<std::map<std::string, std::vector<std::string>>> Store::child_tasks(std::string run_id,
                                                                          std::vector<std::string> parents) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::map<std::string, std::vector<std::string>> children;
    for (const std::string& parent : parents) {
      db::Rows rows = c.query("SELECT task_id FROM tasks WHERE parent_task_id = ? AND run_id = ? ORDER BY position",
                              parent, run_id);
      while (rows.next()) children[parent].push_back(rows.string(0));
    }
    return children;
  });
}

Async<std::optional<CachedTask>> Store::find_cached(std::string pipeline_name, std::string fingerprint) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::optional<CachedTask> found;
    db::Rows rows = c.query(
        "SELECT run_id, task_id, outputs, created_at FROM cached_tasks WHERE pipeline_name = ? AND fingerprint = ?",
        pipeline_name, fingerprint);
    if (rows.next()) {
      found.emplace(CachedTask{rows.string(0), rows.string(1), parse_json(rows.text(2)).as_object(),
                               from_micros(rows.integer(3))});
    }
    return found;
  });
}

Async<> Store::put_cached(std::string pipeline_name, std::string fingerprint, CachedTask task) {
  const Time now = clock_.now();
  co_await database_.write([&](db::Connection& c) { store::put_cached(c, pipeline_name, fingerprint, task, now); },
                           db::Durability::Relaxed);
}

}  // namespace penstock::pipelines
