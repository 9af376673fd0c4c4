// Recurring runs.
#include "pipelines/store/models.h"
#include "pipelines/store/queries.h"
#include "pipelines/store/rows.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace {

RecurringRun load(db::Connection& c, std::string_view id) {
  return store::first_row(
      c.query(fmt::format("SELECT {} FROM recurring_runs t WHERE t.recurring_run_id = ?", store::kRecurringRunColumns),
              id),
      store::read_recurring_run, "RecurringRun", id);
}

void insert(db::Connection& c, const RecurringRun& run) {
  const auto& reference = run.pipeline_version_reference;
  c.execute(
      "INSERT INTO recurring_runs (recurring_run_id, experiment_id, namespace, display_name, description, pipeline_id, "
      "pipeline_version_id, spec_hash, parameters, pipeline_root, service_account, max_concurrency, cron, "
      "interval_second, start_time, end_time, enabled, no_catchup, created_at, updated_at, last_fire, fires, "
      "error_code, error_message, disable_caching, plugins_input) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '', ?, ?)",
      run.recurring_run_id, run.experiment_id, run.name_space, run.display_name, run.description, reference.pipeline_id,
      reference.pipeline_version_id, run.spec_hash, to_text(run.runtime_config.parameters),
      run.runtime_config.pipeline_root, run.service_account, run.max_concurrency, run.trigger.cron,
      static_cast<int64_t>(run.trigger.interval.count()), to_micros(run.trigger.start), to_micros(run.trigger.end),
      run.enabled ? 1 : 0, run.no_catchup ? 1 : 0, to_micros(run.created_at), to_micros(run.updated_at),
      run.runtime_config.disable_caching ? 1 : 0, run.plugins_input.empty() ? "" : to_text(run.plugins_input));
}

}  // namespace

Async<RecurringRun> Store::create_recurring_run(RecurringRun recurring, std::string spec) {
  recurring.recurring_run_id = new_uuid();
  if (recurring.experiment_id.empty()) recurring.experiment_id = default_experiment_id_;
  recurring.created_at = recurring.updated_at = clock_.now();
  co_await database_.write([&](db::Connection& c) {
    store::check_takes_runs(c, recurring.experiment_id);
    if (!spec.empty()) store::put_spec(c, recurring.spec_hash, spec);
    insert(c, recurring);
  });
  co_return recurring;
}

Async<RecurringRun> Store::get_recurring_run(std::string id) {
  co_return co_await database_.read([&](db::Connection& c) { return load(c, id); });
}

Async<Page<RecurringRun>> Store::list_recurring_runs(std::string experiment_id, db::ListRequest request) {
  db::List list(store::recurring_run_model(), request);
  if (!experiment_id.empty()) list.only("experiment_id", std::move(experiment_id));
  co_return co_await store::read_page(database_, std::move(list), store::kRecurringRunColumns,
                                      store::read_recurring_run);
}

Async<> Store::delete_recurring_run(std::string id) {
  co_await database_.write([&](db::Connection& c) {
    const RecurringRun run = load(c, id);
    c.execute("DELETE FROM recurring_runs WHERE recurring_run_id = ?", id);
    store::drop_unused_spec(c, run.spec_hash);
  });
}

Async<> Store::enable_recurring_run(std::string id, bool enabled) {
  const Time now = clock_.now();
  co_await database_.write([&](db::Connection& c) {
    const auto changed = c.execute("UPDATE recurring_runs SET enabled = ?, updated_at = ? WHERE recurring_run_id = ?",
                                   enabled ? 1 : 0, to_micros(now), id);
    if (changed == 0) throw not_found("RecurringRun {} not found", id);
  });
}

Async<std::vector<RecurringRun>> Store::enabled_recurring_runs() {
  co_return co_await database_.read([](db::Connection& c) {
    std::vector<RecurringRun> runs;
    db::Rows rows = c.query(
        fmt::format("SELECT {} FROM recurring_runs t WHERE t.enabled = 1 ORDER BY t.seq", store::kRecurringRunColumns));
    while (rows.next()) runs.push_back(store::read_recurring_run(rows));
    return runs;
  });
}

Async<> Store::record_fire(std::string id, Time scheduled, int64_t fires, Status error) {
  co_await database_.write([&](db::Connection& c) {
    c.execute(
        "UPDATE recurring_runs SET last_fire = ?, fires = ?, error_code = ?, error_message = ? WHERE "
        "recurring_run_id = ?",
        to_micros(scheduled), fires, error.code, error.message, id);
  });
}

Async<int64_t> Store::count_active_runs(std::string recurring_run_id) {
  co_return co_await database_.read([&](db::Connection& c) {
    db::Rows rows = c.query(
        "SELECT count(*) FROM runs WHERE recurring_run_id = ? AND state NOT IN ('SUCCEEDED', 'SKIPPED', 'FAILED', "
        "'CANCELED')",
        recurring_run_id);
    return rows.next() ? rows.integer(0) : 0;
  });
}

}  // namespace penstock::pipelines
