#include "pipelines/store/models.h"

namespace penstock::pipelines::store {

using db::ColumnKind;
using db::ListModel;

const ListModel& experiment_model() {
  static const ListModel kModel{.name = "Experiment",
                                .table = "experiments",
                                .key = "seq",
                                .columns = {{"id", "experiment_id"},
                                            {"experiment_id", "experiment_id"},
                                            {"name", "display_name"},
                                            {"display_name", "display_name"},
                                            {"created_at", "created_at", ColumnKind::Time},
                                            {"last_run_created_at", "last_run_created_at", ColumnKind::Time},
                                            {"description", "description"},
                                            {"namespace", "namespace"},
                                            {"storage_state", "storage_state"}}};
  return kModel;
}

const ListModel& pipeline_model() {
  static const ListModel kModel{.name = "Pipeline",
                                .table = "pipelines",
                                .key = "seq",
                                .columns = {{"id", "pipeline_id"},
                                            {"pipeline_id", "pipeline_id"},
                                            {"name", "name"},
                                            {"display_name", "display_name"},
                                            {"created_at", "created_at", ColumnKind::Time},
                                            {"description", "description"},
                                            {"namespace", "namespace"}},
                                .tags_column = "tags"};
  return kModel;
}

const ListModel& version_model() {
  static const ListModel kModel{.name = "PipelineVersion",
                                .table = "pipeline_versions",
                                .key = "seq",
                                .columns = {{"id", "pipeline_version_id"},
                                            {"pipeline_version_id", "pipeline_version_id"},
                                            {"pipeline_id", "pipeline_id", ColumnKind::Text, true},
                                            {"name", "name"},
                                            {"display_name", "display_name"},
                                            {"created_at", "created_at", ColumnKind::Time},
                                            {"description", "description"}},
                                .tags_column = "tags"};
  return kModel;
}

const ListModel& run_model() {
  static const ListModel kModel{.name = "Run",
                                .table = "runs",
                                .key = "seq",
                                .columns = {{"run_id", "run_id"},
                                            {"id", "run_id"},
                                            {"display_name", "display_name"},
                                            {"name", "display_name"},
                                            {"created_at", "created_at", ColumnKind::Time},
                                            {"finished_at", "finished_at", ColumnKind::Time},
                                            {"scheduled_at", "scheduled_at", ColumnKind::Time},
                                            {"description", "description"},
                                            {"storage_state", "storage_state", ColumnKind::Text, true, true},
                                            {"status", "state", ColumnKind::Text, true, true},
                                            {"state", "state", ColumnKind::Text, true, true},
                                            {"namespace", "namespace", ColumnKind::Text, false, true},
                                            {"experiment_id", "experiment_id", ColumnKind::Text, true, true},
                                            {"recurring_run_id", "recurring_run_id", ColumnKind::Text, false, true}},
                                .changes_table = "run_list_changes",
                                .side_values = db::SideValues{"metric:", "run_metrics", "run_seq", "v.newest = 1"}};
  return kModel;
}

const ListModel& recurring_run_model() {
  static const ListModel kModel{.name = "RecurringRun",
                                .table = "recurring_runs",
                                .key = "seq",
                                .columns = {{"recurring_run_id", "recurring_run_id"},
                                            {"id", "recurring_run_id"},
                                            {"display_name", "display_name"},
                                            {"name", "display_name"},
                                            {"created_at", "created_at", ColumnKind::Time},
                                            {"updated_at", "updated_at", ColumnKind::Time},
                                            {"description", "description"},
                                            {"experiment_id", "experiment_id", ColumnKind::Text, true}}};
  return kModel;
}

const ListModel& task_model() {
  static const ListModel kModel{.name = "Task",
                                .table = "tasks",
                                .key = "seq",
                                .columns = {{"position", "position", ColumnKind::Integer},
                                            {"name", "name"},
                                            {"display_name", "display_name"},
                                            {"task_id", "task_id"},
                                            {"id", "task_id"},
                                            {"run_id", "run_id", ColumnKind::Text, true},
                                            {"pods", "pod_name"},
                                            {"cache_fingerprint", "fingerprint"},
                                            {"create_time", "create_time", ColumnKind::Time},
                                            {"created_at", "create_time", ColumnKind::Time},
                                            {"start_time", "start_time", ColumnKind::Time},
                                            {"end_time", "end_time", ColumnKind::Time},
                                            {"status", "state"},
                                            {"state", "state"},
                                            {"parent_task_id", "parent_task_id", ColumnKind::Text, true},
                                            {"scope_path", "scope_path"}},
                                .default_sort = "position"};
  return kModel;
}

// Only what an index tells: there are as many executions as tasks.
const ListModel& execution_model() {
  static const ListModel kModel{.name = "Execution",
                                .table = "tasks",
                                .key = "seq",
                                .columns = {{"execution_id", "seq", ColumnKind::Integer},
                                            {"id", "seq", ColumnKind::Integer},
                                            {"run_id", "run_id"}},
                                .default_sort = "execution_id"};
  return kModel;
}

const ListModel& cache_entry_model() {
  static const ListModel kModel{.name = "CacheEntry",
                                .table = "cache_entries",
                                .key = "seq",
                                .columns = {{"id", "id"},
                                            {"namespace", "namespace"},
                                            {"pipelineName", "pipeline_name"},
                                            {"pipeline_name", "pipeline_name"},
                                            {"runId", "run_id"},
                                            {"run_id", "run_id"},
                                            {"mlmdExecutionID", "mlmd_execution_id"},
                                            {"created_at", "created_at", ColumnKind::Time},
                                            {"finished_at", "finished_at", ColumnKind::Time},
                                            {"fingerprint", "fingerprint"}}};
  return kModel;
}

}  // namespace penstock::pipelines::store
