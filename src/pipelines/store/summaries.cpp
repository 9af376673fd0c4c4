#include "pipelines/store/summaries.h"

namespace penstock::pipelines::store {

std::optional<TaskRecord> task_summary(db::Connection& c, std::string_view run_id, std::string_view task_id) {
  db::Rows rows = c.query(
      "SELECT name, display_name, type, state, scope_path, create_time, start_time, end_time, parent_task_id, "
      "iteration_index, seq FROM tasks WHERE run_id = ? AND task_id = ?",
      run_id, task_id);
  if (!rows.next()) return std::nullopt;
  TaskRecord task;
  task.run_id = run_id;
  task.task_id = task_id;
  task.name = rows.string(0);
  task.display_name = rows.string(1);
  task.type = rows.string(2);
  task.state = rows.string(3);
  task.scope_path = rows.string(4);
  task.create_time = from_micros(rows.integer(5));
  task.start_time = from_micros(rows.integer(6));
  task.end_time = from_micros(rows.integer(7));
  task.parent_task_id = rows.string(8);
  task.iteration_index = static_cast<int32_t>(rows.integer(9));
  return task;
}

std::optional<Run> run_summary(db::Connection& c, std::string_view run_id) {
  db::Rows rows = c.query(
      "SELECT t.experiment_id, t.namespace, t.display_name, t.storage_state, t.state, t.created_at, t.finished_at, "
      "b.pipeline_id, b.pipeline_version_id, b.pipeline_name FROM runs t JOIN run_bodies b ON b.seq = t.seq "
      "WHERE t.run_id = ?",
      run_id);
  if (!rows.next()) return std::nullopt;
  Run run;
  run.run_id = run_id;
  run.experiment_id = rows.string(0);
  run.name_space = rows.string(1);
  run.display_name = rows.string(2);
  run.storage_state = storage_state_from(rows.text(3));
  run.state = run_state_from(rows.text(4));
  run.created_at = from_micros(rows.integer(5));
  run.finished_at = from_micros(rows.integer(6));
  run.pipeline_version_reference = {rows.string(7), rows.string(8)};
  run.pipeline_name = rows.string(9);
  return run;
}

std::string run_of_task(db::Connection& c, std::string_view task_id) {
  db::Rows rows = c.query("SELECT run_id FROM artifact_links WHERE task_id = ? LIMIT 1", task_id);
  return rows.next() ? rows.string(0) : std::string();
}

VersionPage versions_of_output(db::Connection& c, const metadata::Artifact& artifact, int64_t before, size_t limit) {
  // Many pipelines call an output "model": so many artifacts of the name are looked at for one page.
  constexpr int64_t kLooked = 20'000;
  const std::optional<Run> run = run_summary(c, artifact.run_id);
  const std::optional<TaskRecord> task = task_summary(c, artifact.run_id, artifact.task_id);
  VersionPage page;
  int64_t last = 0, looked = 0;
  db::Rows rows = c.query(
      "SELECT a.artifact_id, a.type = ?1 AND a.producer_key = ?2 AND coalesce(b.pipeline_name, '') = ?3 AND "
      "coalesce(k.name, '') = ?4 FROM artifacts a LEFT JOIN runs r ON r.run_id = a.run_id LEFT JOIN run_bodies b ON "
      "b.seq = r.seq LEFT JOIN tasks k ON k.run_id = a.run_id AND k.task_id = a.task_id "
      "WHERE a.name = ?5 AND a.artifact_id < ?6 ORDER BY a.artifact_id DESC LIMIT ?7",
      artifact.type, artifact.producer_key, run ? run->pipeline_name : std::string(), task ? task->name : std::string(),
      artifact.name, before, kLooked);
  while (rows.next()) {
    ++looked;
    if (rows.integer(1) != 0) {
      if (page.artifact_ids.size() == limit) {
        page.next = last;
        return page;
      }
      page.artifact_ids.push_back(rows.integer(0));
    }
    last = rows.integer(0);
  }
  if (looked == kLooked) page.next = last;
  return page;
}

}  // namespace penstock::pipelines::store
