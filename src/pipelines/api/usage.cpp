#include "pipelines/api/usage.h"

#include <algorithm>

#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kBatch = 100;
constexpr int kMaxPage = 1000;

struct Unmeasured {
  int64_t artifact_id = 0;
  std::string uri, pipeline;
  bool imported = false;  // the content is not the run's
  int64_t bytes = 0;
};

// Blocks. Objects of other places take no space here.
int64_t bytes_at(const objects::Store& objects, const std::string& uri) {
  const auto location = objects::parse_uri(uri);
  if (!location || location->scheme != "minio" || location->key.empty() || !objects.has_bucket(location->bucket)) {
    return 0;
  }
  int64_t bytes = 0;
  for (const auto& object : objects.list(location->bucket, location->key, SIZE_MAX)) {
    const auto rest = std::string_view(object.key).substr(location->key.size());
    if (rest.empty() || rest.starts_with('/')) bytes += static_cast<int64_t>(object.size);
  }
  return bytes;
}

Async<std::vector<Unmeasured>> weigh(const ApiContext& context, std::vector<Unmeasured> artifacts) {
  const auto work = [&] {
    for (auto& one : artifacts) one.bytes = one.imported ? 0 : bytes_at(context.objects, one.uri);
  };
  co_await context.blocking.run(work);
  co_return artifacts;
}

std::vector<Unmeasured> read_unmeasured(db::Rows rows) {
  std::vector<Unmeasured> out;
  while (rows.next()) {
    out.push_back({rows.integer(0), rows.string(1), rows.string(2), rows.text(3) == "IMPORTER"});
  }
  return out;
}

Async<bool> measure_artifacts(const ApiContext& context) {
  auto& database = context.store.database();
  auto found = co_await database.read([](db::Connection& c) {
    return read_unmeasured(
        c.query("SELECT a.artifact_id, a.uri, coalesce(b.pipeline_name, ''), coalesce(k.type, '') FROM artifacts a "
                "LEFT JOIN runs t ON t.run_id = a.run_id LEFT JOIN run_bodies b ON b.seq = t.seq LEFT JOIN tasks k ON "
                "k.run_id = a.run_id AND k.task_id = a.task_id WHERE a.bytes < 0 LIMIT ?",
                kBatch));
  });
  if (found.empty()) co_return false;
  found = co_await weigh(context, std::move(found));
  const auto keep = [&](db::Connection& c) {
    for (const auto& one : found) metadata::set_artifact_bytes(c, one.artifact_id, one.bytes, one.pipeline);
  };
  co_await database.write(keep, db::Durability::Relaxed);
  co_return true;
}

Async<> measure_run(const ApiContext& context, std::string run_id) {
  auto& database = context.store.database();
  const Run run = co_await context.store.get_run(run_id);
  auto tasks = co_await context.store.list_tasks(run_id);
  const int64_t logs = co_await context.runs.log_bytes(run.name_space, std::move(tasks));
  auto found = co_await database.read([&](db::Connection& c) {
    return read_unmeasured(
        c.query("SELECT a.artifact_id, a.uri, ?, coalesce(k.type, '') FROM artifacts a LEFT JOIN "
                "tasks k ON k.run_id = a.run_id AND k.task_id = a.task_id WHERE a.run_id = ? ORDER BY "
                "a.artifact_id",
                run.pipeline_name, run_id));
  });
  found = co_await weigh(context, std::move(found));
  const auto keep = [&](db::Connection& c) {
    // Deleted meanwhile, or ended once more?
    db::Rows still = c.query("SELECT finished_at FROM runs WHERE run_id = ?", run_id);
    if (!still.next()) return;
    for (const auto& one : found) metadata::set_artifact_bytes(c, one.artifact_id, one.bytes, one.pipeline);
    const int64_t before = metadata::space_of_run(c, run_id).log_bytes;
    if (logs != before) {
      metadata::add_space(c, {run_id, run.pipeline_name, run.name_space}, {0, 0, logs - before});
    }
    if (still.integer(0) == to_micros(run.finished_at)) {
      c.execute("DELETE FROM unmeasured_runs WHERE run_id = ?", run_id);
    }
  };
  co_await database.write(keep, db::Durability::Relaxed);
}

Async<bool> measure_runs(const ApiContext& context) {
  const auto runs = co_await context.store.database().read([](db::Connection& c) {
    std::vector<std::string> out;
    db::Rows rows = c.query("SELECT run_id FROM unmeasured_runs LIMIT ?", kBatch);
    while (rows.next()) out.push_back(rows.string(0));
    return out;
  });
  for (const auto& run : runs) {
    bool gone = false;
    try {
      co_await measure_run(context, run);
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) throw;
      gone = true;
    }
    if (gone) {
      co_await context.store.database().write(
          [&](db::Connection& c) { c.execute("DELETE FROM unmeasured_runs WHERE run_id = ?", run); });
    }
  }
  co_return static_cast<int64_t>(runs.size()) == kBatch;
}

Async<Response> usage(const ApiContext& context, Request& request) {
  const std::string by = request.query_or("by", "namespace");
  if (by != "namespace" && by != "pipeline" && by != "run") {
    throw Error(Code::InvalidArgument, fmt::format("by: is {:?}; expected namespace, pipeline or run", by), "by");
  }
  const int size = int_query(request, "page_size", 100);
  const int skip = int_query(request, "skip", 0);
  if (size < 1 || size > kMaxPage) {
    throw Error(Code::InvalidArgument, fmt::format("page_size: is {}; expected 1 to {}", size, kMaxPage), "page_size");
  }
  if (skip < 0) throw Error(Code::InvalidArgument, "skip: is less than 0", "skip");
  co_await measure_space(context);
  co_return co_await context.store.database().read([&](db::Connection& c) {
    json::array items;
    {
      db::Rows rows = c.query(
          "SELECT namespace, name, artifact_bytes, artifacts, log_bytes FROM used_space WHERE scope = ? ORDER BY "
          "artifact_bytes + log_bytes DESC, namespace, name LIMIT ? OFFSET ?",
          by, size, skip);
      while (rows.next()) {
        json::object item{{"namespace", rows.text(0)}};
        if (by != "namespace") item[by == "run" ? "run_id" : "pipeline"] = rows.text(1);
        item["bytes"] = rows.integer(2) + rows.integer(4);
        item["artifact_bytes"] = rows.integer(2);
        item["artifacts"] = rows.integer(3);
        item["log_bytes"] = rows.integer(4);
        items.push_back(std::move(item));
      }
    }
    db::Rows total =
        c.query("SELECT count(*), coalesce(sum(artifact_bytes + log_bytes), 0) FROM used_space WHERE scope = ?", by);
    total.next();
    return http::json_response(
        json::object{{"usage", std::move(items)}, {"total_size", total.integer(0)}, {"total_bytes", total.integer(1)}});
  });
}

}  // namespace

Async<> measure_space(const ApiContext& context) {
  bool more = true;
  while (more) more = co_await measure_runs(context);
  more = true;
  while (more) more = co_await measure_artifacts(context);
}

void add_usage_routes(Routes& routes) { routes.add_at(Method::Get, "/apis/penstock/v1/usage", usage); }

}  // namespace penstock::pipelines::api
