#include "pipelines/store/models.h"
#include "pipelines/store/queries.h"
#include "pipelines/store/rows.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace {

// Ids that sort by time: the indexes on them grow at their end instead of everywhere. UUID version 7.
std::string ordered_uuid(Time at) {
  std::string id = new_uuid();
  const std::string millis = fmt::format("{:012x}", static_cast<uint64_t>(to_micros(at) / 1000) & 0xffff'ffff'ffff);
  id.replace(0, 8, millis, 0, 8);
  id.replace(9, 4, millis, 8, 4);
  id[14] = '7';
  return id;
}

void insert_run(db::Connection& c, const Run& run) {
  c.execute(
      "INSERT INTO runs (run_id, experiment_id, namespace, display_name, description, storage_state, state, "
      "created_at, scheduled_at, finished_at, recurring_run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      run.run_id, run.experiment_id, run.name_space, run.display_name, run.description, to_string(run.storage_state),
      to_string(run.state), to_micros(run.created_at), to_micros(run.scheduled_at), to_micros(run.finished_at),
      run.recurring_run_id);
  const PipelineVersionReference& reference = run.pipeline_version_reference;
  c.execute(
      "INSERT INTO run_bodies (seq, pipeline_id, pipeline_version_id, spec_hash, pipeline_name, parameters, "
      "pipeline_root, service_account, error_code, error_message, state_history, disable_caching, "
      "plugins_input) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      c.last_insert_id(), reference.pipeline_id, reference.pipeline_version_id, run.spec_hash, run.pipeline_name,
      to_text(run.runtime_config.parameters), run.runtime_config.pipeline_root, run.service_account, run.error.code,
      run.error.message, store::history_entry(run.created_at, to_string(run.state)),
      run.runtime_config.disable_caching ? 1 : 0, run.plugins_input.empty() ? "" : to_text(run.plugins_input));
}

void set_storage_state(db::Connection& c, std::string_view run_id, StorageState state) {
  if (c.execute("UPDATE runs SET storage_state = ? WHERE run_id = ?", to_string(state), run_id) == 0) {
    throw not_found("Run {} not found", run_id);
  }
}

Run load_run(db::Connection& c, std::string_view run_id) {
  db::Rows rows =
      c.query(fmt::format("SELECT {} FROM runs t{} WHERE t.run_id = ?", store::kRunColumns, store::kRunJoin), run_id);
  if (!rows.next()) throw not_found("Run {} not found", run_id);
  return store::read_run(rows);
}

}  // namespace

namespace store {

int64_t run_seq(db::Connection& c, std::string_view run_id) {
  db::Rows rows = c.query("SELECT seq FROM runs WHERE run_id = ?", run_id);
  if (!rows.next()) throw not_found("Run {} not found", run_id);
  return rows.integer(0);
}

void set_run_state(db::Connection& c, std::string_view run_id, RunState state, const Status& error, Time at) {
  const int64_t seq = run_seq(c, run_id);
  const std::string_view name = to_string(state);
  c.execute(
      "UPDATE run_bodies SET error_code = ?, error_message = ?, state_history = state_history || "
      "CASE WHEN (SELECT state FROM runs WHERE seq = ?) = ? THEN '' ELSE ? END WHERE seq = ?",
      error.code, error.message, seq, name, history_entry(at, name), seq);
  c.execute("UPDATE runs SET state = ?, finished_at = ? WHERE seq = ?", name, is_final(state) ? to_micros(at) : 0, seq);
}

void put_spec(db::Connection& c, std::string_view hash, std::string_view text) {
  c.execute("INSERT INTO specs (hash, text, bytes) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING", hash, text,
            text.size());
}

void drop_unused_spec(db::Connection& c, std::string_view hash) {
  c.execute(
      "DELETE FROM specs WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM run_bodies b WHERE b.spec_hash = specs.hash) "
      "AND NOT EXISTS (SELECT 1 FROM pipeline_versions v WHERE v.spec_hash = specs.hash) "
      "AND NOT EXISTS (SELECT 1 FROM recurring_runs r WHERE r.spec_hash = specs.hash)",
      hash);
}

void check_takes_runs(db::Connection& c, std::string_view experiment_id) {
  db::Rows rows = c.query("SELECT storage_state FROM experiments WHERE experiment_id = ?", experiment_id);
  if (!rows.next()) throw not_found("Experiment {} not found", experiment_id);
  if (storage_state_from(rows.text(0)) == StorageState::Archived) {
    throw Error(Code::FailedPrecondition,
                fmt::format("Experiment {} is archived and takes no runs; unarchive it first", experiment_id),
                "experiment_id");
  }
}

}  // namespace store

void Store::catch_up_lists() {
  database_.post_read([columns = run_columns_](db::Connection& c) { columns->catch_up(c); });
}

Async<Run> Store::create_run(Run run, std::string spec) {
  const Time now = clock_.now();
  if (run.run_id.empty()) run.run_id = ordered_uuid(now);
  if (run.experiment_id.empty()) run.experiment_id = default_experiment_id_;
  if (run.created_at == Time{}) run.created_at = now;
  if (run.scheduled_at == Time{}) run.scheduled_at = run.created_at;
  run.storage_state = StorageState::Available;
  co_await database_.write([&](db::Connection& c) {
    store::check_takes_runs(c, run.experiment_id);
    if (!spec.empty()) store::put_spec(c, run.spec_hash, spec);
    insert_run(c, run);
    c.execute("UPDATE experiments SET last_run_created_at = ? WHERE experiment_id = ?", to_micros(run.created_at),
              run.experiment_id);
  });
  run.state_history.push_back({run.created_at, std::string(to_string(run.state)), {}});
  // After a wave of runs the next list has little left to read.
  constexpr int64_t kWave = 500;
  if (++created_runs_ % kWave == 0) catch_up_lists();
  co_return run;
}

Async<Run> Store::get_run(std::string run_id) {
  co_return co_await database_.read([&](db::Connection& c) { return load_run(c, run_id); });
}

Async<Page<Run>> Store::list_runs(std::string experiment_id, db::ListRequest request, std::string recurring_run_id) {
  db::List list(store::run_model(), request);
  if (!recurring_run_id.empty()) list.only("recurring_run_id", std::move(recurring_run_id));
  if (!experiment_id.empty()) list.only("experiment_id", std::move(experiment_id));
  co_return co_await database_.read([&](db::Connection& c) {
    Page<Run> page;
    auto result = list.read(
        c, store::kRunColumns, store::kRunJoin, [&](db::Rows& rows) { page.items.push_back(store::read_run(rows)); },
        run_columns_.get());
    page.total_size = result.total_size;
    page.next_page_token = std::move(result.next_page_token);
    return page;
  });
}

void store::delete_run(db::Connection& c, std::string_view run_id) {
  const Run run = load_run(c, run_id);
  const int64_t seq = run_seq(c, run_id);
  c.execute("DELETE FROM runs WHERE seq = ?", seq);
  c.execute("DELETE FROM run_bodies WHERE seq = ?", seq);
  c.execute("DELETE FROM run_metrics WHERE run_seq = ?", seq);
  c.execute("DELETE FROM run_labels WHERE run_id = ?", run_id);
  c.execute("DELETE FROM unmeasured_runs WHERE run_id = ?", run_id);
  delete_events(c, run_id);
  delete_tasks(c, run_id);
  drop_unused_spec(c, run.spec_hash);
}

Async<> Store::delete_run(std::string run_id) {
  co_await database_.write([&](db::Connection& c) { store::delete_run(c, run_id); });
}

Async<> Store::archive_run(std::string run_id) {
  co_await database_.write([&](db::Connection& c) { set_storage_state(c, run_id, StorageState::Archived); });
}

Async<> Store::unarchive_run(std::string run_id) {
  co_await database_.write([&](db::Connection& c) {
    const Run run = load_run(c, run_id);
    db::Rows rows = c.query("SELECT storage_state FROM experiments WHERE experiment_id = ?", run.experiment_id);
    if (rows.next() && rows.text(0) == to_string(StorageState::Archived)) {
      throw Error(Code::FailedPrecondition,
                  fmt::format("Run {} is in the archived experiment {}; unarchive the experiment first", run_id,
                              run.experiment_id));
    }
    set_storage_state(c, run_id, StorageState::Available);
  });
}

Async<> Store::set_run_state(std::string run_id, RunState state, Status error, Time at) {
  co_await database_.write([&](db::Connection& c) { store::set_run_state(c, run_id, state, error, at); });
}

Async<std::vector<Run>> Store::active_runs() {
  co_return co_await database_.read([](db::Connection& c) {
    std::vector<Run> runs;
    db::Rows rows = c.query(fmt::format(
        "SELECT {} FROM runs t{} WHERE t.state IN ('RUNTIME_STATE_UNSPECIFIED', 'PENDING', 'RUNNING', 'CANCELING', "
        "'PAUSED') ORDER BY t.seq",
        store::kRunColumns, store::kRunJoin));
    while (rows.next()) runs.push_back(store::read_run(rows));
    return runs;
  });
}

Async<std::string> Store::get_spec(std::string hash) {
  co_return co_await database_.read([&](db::Connection& c) {
    db::Rows rows = c.query("SELECT text FROM specs WHERE hash = ?", hash);
    if (!rows.next()) throw not_found("Pipeline spec {} not found", hash);
    return rows.string(0);
  });
}

Async<std::map<std::string, std::string>> Store::get_specs(std::vector<std::string> hashes, size_t max_bytes) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::map<std::string, std::string> specs;
    for (const std::string& hash : hashes) {
      if (specs.contains(hash)) continue;
      db::Rows size = c.query("SELECT bytes FROM specs INDEXED BY specs_bytes WHERE hash = ?", hash);
      if (!size.next() || static_cast<size_t>(size.integer(0)) > max_bytes) continue;
      db::Rows rows = c.query("SELECT text FROM specs WHERE hash = ?", hash);
      if (rows.next()) specs.emplace(hash, rows.string(0));
    }
    return specs;
  });
}

}  // namespace penstock::pipelines
