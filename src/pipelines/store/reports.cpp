// What clients report of tasks: ones of their own, and entries of the v1 cache store.
#include "pipelines/store/models.h"
#include "pipelines/store/queries.h"
#include "pipelines/store/rows.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace store {

TaskRecord load_task(db::Connection& c, std::string_view run_id, std::string_view task_id) {
  run_seq(c, run_id);
  db::Rows rows = c.query(fmt::format("SELECT {} FROM tasks t WHERE t.run_id = ? AND t.task_id = ?", kTaskColumns),
                          run_id, task_id);
  if (!rows.next()) throw not_found("Task {} not found in run {}", task_id, run_id);
  return read_task(rows);
}

TaskRecord put_reported_task(db::Connection& c, TaskRecord task) {
  task.state_history.clear();
  task.earlier_pods.clear();
  write_tasks(c, std::span(&task, 1));
  return load_task(c, task.run_id, task.task_id);
}

}  // namespace store

namespace {

CacheEntry read_cache_entry(db::Rows& rows) {
  CacheEntry out;
  out.id = rows.string(0);
  out.name_space = rows.string(1);
  out.pipeline_name = rows.string(2);
  out.run_id = rows.string(3);
  out.mlmd_execution_id = rows.string(4);
  out.created_at = from_micros(rows.integer(5));
  out.finished_at = from_micros(rows.integer(6));
  out.fingerprint = rows.string(7);
  return out;
}

constexpr std::string_view kCacheEntryColumns =
    "t.id, t.namespace, t.pipeline_name, t.run_id, t.mlmd_execution_id, t.created_at, t.finished_at, t.fingerprint";

}  // namespace

Async<TaskRecord> Store::create_task(TaskRecord task) {
  task.reported = true;
  if (task.task_id.empty()) task.task_id = new_uuid();
  if (task.create_time == Time{}) task.create_time = clock_.now();
  co_return co_await database_.write([&](db::Connection& c) {
    store::run_seq(c, task.run_id);
    std::string above = "root";
    if (!task.parent_task_id.empty()) above = store::load_task(c, task.run_id, task.parent_task_id).scope_path;
    if (task.scope_path.empty()) task.scope_path = fmt::format("{}/{}", above, task.name);
    db::Rows rows = c.query("SELECT MAX(position) FROM tasks WHERE run_id = ?", task.run_id);
    if (rows.next()) task.position = rows.integer(0) + 1;
    return store::put_reported_task(c, task);
  });
}

Async<std::vector<TaskRecord>> Store::change_tasks(std::string run_id, std::vector<std::string> task_ids,
                                                   std::function<void(TaskRecord&)> change) {
  co_return co_await database_.write([&](db::Connection& c) {
    store::run_seq(c, run_id);
    std::vector<TaskRecord> changed;
    for (const std::string& id : task_ids) {
      TaskRecord task = store::load_task(c, run_id, id);
      if (!task.reported) {
        throw Error(Code::FailedPrecondition,
                    fmt::format("Task {} is carried out by this server, which alone writes of it; only tasks that a "
                                "client has created can be changed",
                                id),
                    "task_id");
      }
      change(task);
      if (!task.parent_task_id.empty()) store::load_task(c, run_id, task.parent_task_id);
      changed.push_back(store::put_reported_task(c, std::move(task)));
    }
    return changed;
  });
}

Async<TaskRecord> Store::find_by_fingerprint(std::string fingerprint) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::optional<TaskRecord> found;
    {
      db::Rows rows =
          c.query(fmt::format("SELECT {} FROM tasks t WHERE t.reported = 1 AND t.fingerprint = ? AND "
                              "t.state IN ('SUCCEEDED', 'CACHED') ORDER BY t.create_time DESC, t.seq DESC LIMIT 1",
                              store::kTaskColumns),
                  fingerprint);
      if (rows.next()) found = store::read_task(rows);
    }
    std::vector<std::pair<std::string, std::string>> kept;
    {
      db::Rows rows = c.query("SELECT run_id, task_id FROM cached_tasks WHERE fingerprint = ? ORDER BY created_at DESC",
                              fingerprint);
      while (rows.next()) kept.emplace_back(rows.string(0), rows.string(1));
    }
    for (const auto& [run_id, task_id] : kept) {
      db::Rows rows =
          c.query(fmt::format("SELECT {} FROM tasks t WHERE t.run_id = ? AND t.task_id = ?", store::kTaskColumns),
                  run_id, task_id);
      if (!rows.next()) continue;  // its run was deleted
      TaskRecord task = store::read_task(rows);
      if (!found || task.create_time > found->create_time) found = std::move(task);
      break;
    }
    if (!found) throw not_found("no successful task has the fingerprint {}", fingerprint);
    return *found;
  });
}

Async<CacheEntry> Store::create_cache_entry(CacheEntry entry) {
  entry.id = new_uuid();
  if (entry.created_at == Time{}) entry.created_at = clock_.now();
  co_await database_.write([&](db::Connection& c) {
    c.execute(
        "INSERT INTO cache_entries (id, namespace, pipeline_name, run_id, mlmd_execution_id, created_at, finished_at, "
        "fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        entry.id, entry.name_space, entry.pipeline_name, entry.run_id, entry.mlmd_execution_id,
        to_micros(entry.created_at), to_micros(entry.finished_at), entry.fingerprint);
  });
  co_return entry;
}

Async<Page<CacheEntry>> Store::list_cache_entries(db::ListRequest request) {
  db::List list(store::cache_entry_model(), request);
  co_return co_await store::read_page(database_, std::move(list), kCacheEntryColumns, read_cache_entry);
}

}  // namespace penstock::pipelines
