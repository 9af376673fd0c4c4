#include "pipelines/api/delete_run.h"

#include <limits>

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kBatch = 200;

void remove_object(objects::Store& objects, const std::string& uri) {
  const auto location = objects::parse_uri(uri);
  if (!location || location->scheme != "minio" || location->key.empty()) return;
  if (!objects.has_bucket(location->bucket)) return;
  const auto whole = std::numeric_limits<size_t>::max();
  for (const auto& object : objects.list(location->bucket, location->key, whole)) {
    // "a/model" is not of the artifact "a/mod".
    const auto rest = std::string_view(object.key).substr(location->key.size());
    if (rest.empty() || rest.starts_with('/')) objects.remove(location->bucket, object.key);
  }
}

// `root`: the pipeline root of the run that goes; empty when it is gone already.
void note_contents(db::Connection& c, const metadata::Removal& removal, const std::string& root) {
  for (const auto& artifact : removal.goes) {
    if (artifact.uri.empty() || !artifact.own) continue;
    store::Leftover leftover;
    leftover.uri = artifact.uri;
    leftover.name_space = artifact.name_space;
    leftover.root = root;
    store::add_leftover(c, leftover);
  }
}

void note_logs(db::Connection& c, const Run& run, const std::vector<TaskRecord>& tasks) {
  store::Leftover leftover;
  leftover.name_space = run.name_space;
  for (const auto& task : tasks) {
    if (!task.pod_uid.empty()) leftover.pods.push_back(task.pod_uid);
    for (const auto& [name, uid] : task.earlier_pods) leftover.pods.push_back(uid);
  }
  if (!leftover.pods.empty()) store::add_leftover(c, leftover);
}

bool has_ended(db::Connection& c, const std::string& run_id) {
  db::Rows rows = c.query("SELECT state FROM runs WHERE run_id = ?", run_id);
  return rows.next() && is_final(run_state_from(rows.text(0)));
}

int64_t bytes_of(const metadata::Removal& removal) {
  int64_t bytes = 0;
  for (const auto& artifact : removal.goes) bytes += std::max<int64_t>(0, artifact.bytes);
  return bytes;
}

DeletedRun delete_rows(db::Connection& c, const Run& run, const std::vector<TaskRecord>& tasks, DeleteRun options,
                       const metadata::OtherHolds& holds) {
  DeletedRun out;
  if (options.only_ended && !has_ended(c, run.run_id)) return out;
  if (options.with_artifacts) {
    auto removal = metadata::removal_of(c, {run.run_id}, {run.run_id}, holds);
    store::mark_imports(c, removal);
    metadata::remove(c, {run.run_id}, removal);
    // Imports that stay, as another run has taken them, are nobody's to delete later.
    c.execute(
        "UPDATE artifacts SET orphan = 0 WHERE run_id = ?1 AND task_id IN (SELECT t.task_id FROM tasks t WHERE "
        "t.run_id "
        "= ?1 AND t.type = 'IMPORTER')",
        run.run_id);
    note_contents(c, removal, run.runtime_config.pipeline_root);
    c.execute("DELETE FROM cached_tasks WHERE run_id = ?", run.run_id);
    out.bytes = bytes_of(removal);
  } else {
    // The run refers to other runs' artifacts no more.
    c.execute(
        "DELETE FROM artifact_links WHERE run_id = ?1 AND artifact_id IN (SELECT a.artifact_id FROM artifacts a WHERE "
        "a.run_id <> ?1)",
        run.run_id);
  }
  note_logs(c, run, tasks);
  if (const int64_t logs = metadata::space_of_run(c, run.run_id).log_bytes; logs != 0) {
    metadata::add_space(c, {run.run_id, run.pipeline_name, run.name_space}, {0, 0, -logs});
    out.bytes += logs;
  }
  store::delete_run(c, run.run_id);
  out.done = true;
  return out;
}

// False when it lies in another store that cannot be reached now: it is tried again later.
Async<bool> remove_content(const ApiContext& context, const store::Leftover& leftover) {
  if (context.stores != nullptr && stores::is_writable_scheme(leftover.uri.substr(0, leftover.uri.find("://")))) {
    const std::string ns = leftover.name_space.empty() ? std::string(kDefaultNamespace) : leftover.name_space;
    const stores::Ask ask{ns, leftover.uri, leftover.root};
    try {
      const bool outside = co_await context.stores->is_outside(ns, ask.uri, ask.root);
      if (outside) {
        co_await context.stores->remove(ask);
        co_return true;
      }
    } catch (const Error& error) {
      spdlog::warn("what lies at {} could not be deleted: {}", leftover.uri, error.message());
      co_return false;
    }
  }
  const auto remove = [&] { remove_object(context.objects, leftover.uri); };
  co_await context.blocking.run(remove);
  co_return true;
}

// An artifact, or somebody's hold, that lies at the uri by now.
bool is_referred_to(db::Connection& c, const std::string& uri, const metadata::OtherHolds& holds) {
  return metadata::why_kept(c, uri, holds).has_value();
}

}  // namespace

Async<metadata::OtherHolds> other_holds(const ApiContext& context) {
  metadata::OtherHolds holds;
  if (context.holders != nullptr) holds = co_await context.holders->holds();
  co_return holds;
}

Async<DeletedRun> delete_run(const ApiContext& context, Run run, DeleteRun options) {
  if (!options.only_ended) co_await context.runs.forget(run.run_id);
  const auto tasks = co_await context.store.list_tasks(run.run_id);
  const auto holds = co_await other_holds(context);
  const DeletedRun out = co_await context.store.database().write(
      [&](db::Connection& c) { return delete_rows(c, run, tasks, options, holds); });
  if (!out.done) co_return out;
  if (options.only_ended) co_await context.runs.forget(run.run_id);
  co_await clear_leftovers(context);
  co_return out;
}

Async<> clear_leftovers(const ApiContext& context) {
  auto& database = context.store.database();
  int64_t after = 0;
  while (true) {
    auto batch = co_await database.read([after](db::Connection& c) { return store::leftovers(c, after, kBatch); });
    if (batch.empty()) co_return;
    after = batch.back().seq;
    const auto holds = co_await other_holds(context);
    co_await database.read([&](db::Connection& c) {
      for (auto& one : batch) {
        if (!one.uri.empty() && is_referred_to(c, one.uri, holds)) one.uri.clear();
      }
      return 0;
    });
    std::vector<store::Leftover> done;
    for (auto& one : batch) {
      bool removed = one.uri.empty();
      if (!removed) removed = co_await remove_content(context, one);
      if (!removed) continue;
      std::vector<TaskRecord> tasks;
      for (const auto& pod : one.pods) tasks.emplace_back().pod_uid = pod;
      if (!tasks.empty()) co_await context.runs.drop_logs(one.name_space, std::move(tasks));
      done.push_back(std::move(one));
    }
    co_await database.write([&](db::Connection& c) { store::drop_leftovers(c, done); });
  }
}

Async<int64_t> clear_orphans(const ApiContext& context) {
  const auto holds = co_await other_holds(context);
  const int64_t bytes = co_await context.store.database().write([&](db::Connection& c) {
    const auto removal = metadata::unneeded_orphans(c, kBatch, holds);
    metadata::remove(c, {}, removal);
    note_contents(c, removal, {});
    return bytes_of(removal);
  });
  co_await clear_leftovers(context);
  co_return bytes;
}

}  // namespace penstock::pipelines::api
