// What is going on: for a page that shows the whole server at a glance.
#include "pipelines/store/rows.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace {

constexpr std::string_view kLeaves = "('RUNTIME', 'IMPORTER')";

std::vector<Run> read_runs(db::Connection& c, std::string_view where, int64_t most) {
  std::vector<Run> runs;
  db::Rows rows = c.query(
      fmt::format("SELECT {} FROM runs t{} WHERE {} LIMIT ?", store::kRunColumns, store::kRunJoin, where), most);
  while (rows.next()) runs.push_back(store::read_run(rows));
  return runs;
}

int64_t count(db::Connection& c, std::string_view table) {
  db::Rows rows = c.query(fmt::format("SELECT count(*) FROM {}", table));
  return rows.next() ? rows.integer(0) : 0;
}

void add_tasks(db::Connection& c, RunSummary& summary) {
  db::Rows rows =
      c.query(fmt::format("SELECT state, count(*) FROM tasks WHERE run_id = ? AND type IN {} GROUP BY state", kLeaves),
              summary.run.run_id);
  while (rows.next()) summary.tasks[rows.string(0)] = rows.integer(1);
}

// The task whose failure came first: those that follow from it come later.
void add_first_failure(db::Connection& c, RunSummary& summary) {
  db::Rows rows =
      c.query(fmt::format("SELECT {} FROM tasks t WHERE t.run_id = ? AND t.state = 'FAILED' AND t.type IN {} "
                          "ORDER BY t.end_time, t.position LIMIT 1",
                          store::kTaskColumns, kLeaves),
              summary.run.run_id);
  if (rows.next()) summary.first_failure = store::read_task(rows);
}

}  // namespace

Async<Overview> Store::overview(int64_t most, Time failed_since) {
  co_return co_await database_.read([most, failed_since](db::Connection& c) {
    Overview out;
    {
      db::Rows rows = c.query("SELECT state, count(*) FROM runs GROUP BY state");
      while (rows.next()) out.runs[rows.string(0)] = rows.integer(1);
    }
    for (const std::string_view table :
         {"experiments", "pipelines", "pipeline_versions", "recurring_runs", "artifacts"}) {
      out.counts[std::string(table)] = count(c, table);
    }
    for (Run& run :
         read_runs(c, "t.state IN ('PENDING', 'RUNNING', 'CANCELING', 'PAUSED') ORDER BY t.created_at DESC", most)) {
      RunSummary& summary = out.active.emplace_back(RunSummary{std::move(run)});
      add_tasks(c, summary);
    }
    const std::string failed = fmt::format(
        "t.state = 'FAILED' AND t.storage_state = 'AVAILABLE' AND t.finished_at >= {} ORDER BY t.finished_at DESC",
        to_micros(failed_since));
    for (Run& run : read_runs(c, failed, most)) {
      RunSummary& summary = out.failed.emplace_back(RunSummary{std::move(run)});
      add_tasks(c, summary);
      add_first_failure(c, summary);
    }
    return out;
  });
}

}  // namespace penstock::pipelines
