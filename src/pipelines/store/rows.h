// Between the store's records and rows of its tables. Private to this folder.
#pragma once

#include <algorithm>
#include "db/database.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines::store {

// Column lists of the alias t (and b for run_bodies), in the order in which the readers below take them.
inline constexpr std::string_view kExperimentColumns =
    "t.experiment_id, t.namespace, t.display_name, t.description, t.created_at, t.storage_state, "
    "t.last_run_created_at";
inline constexpr std::string_view kPipelineColumns =
    "t.pipeline_id, t.namespace, t.name, t.display_name, t.description, t.created_at, t.tags, "
    "t.default_version_id";
inline constexpr std::string_view kVersionColumns =
    "t.pipeline_id, t.pipeline_version_id, t.name, t.display_name, t.description, t.created_at, t.package_url, "
    "t.code_source_url, t.spec_hash, t.tags";
inline constexpr std::string_view kRunColumns =
    "t.run_id, t.experiment_id, t.namespace, t.display_name, t.description, t.storage_state, t.state, t.created_at, "
    "t.scheduled_at, t.finished_at, t.recurring_run_id, b.pipeline_id, b.pipeline_version_id, b.spec_hash, "
    "b.pipeline_name, b.parameters, b.pipeline_root, b.service_account, b.error_code, b.error_message, "
    "b.state_history, b.disable_caching, b.plugins_input";
inline constexpr std::string_view kRunJoin = " JOIN run_bodies b ON b.seq = t.seq";
inline constexpr std::string_view kTaskColumns =
    "t.run_id, t.task_id, t.parent_task_id, t.position, t.name, t.display_name, t.type, t.state, t.scope_path, "
    "t.create_time, t.start_time, t.end_time, t.error_code, t.error_message, t.pod_name, t.attempt, "
    "t.iteration_index, t.iteration_count, t.fingerprint, t.state_history, t.inputs, t.outputs, t.pod_uid, "
    "t.earlier_pods, t.cache_note, t.not_applied, t.reported, t.waiting";
inline constexpr int kTaskColumnCount = static_cast<int>(std::ranges::count(kTaskColumns, ',')) + 1;

inline constexpr std::string_view kRecurringRunColumns =
    "t.recurring_run_id, t.experiment_id, t.namespace, t.display_name, t.description, t.pipeline_id, "
    "t.pipeline_version_id, t.spec_hash, t.parameters, t.pipeline_root, t.service_account, t.max_concurrency, t.cron, "
    "t.interval_second, t.start_time, t.end_time, t.enabled, t.no_catchup, t.created_at, t.updated_at, t.last_fire, "
    "t.fires, t.error_code, t.error_message, t.disable_caching, t.plugins_input";

Experiment read_experiment(db::Rows& rows);
Pipeline read_pipeline(db::Rows& rows);
PipelineVersion read_version(db::Rows& rows);
Run read_run(db::Rows& rows);
RecurringRun read_recurring_run(db::Rows& rows);
TaskRecord read_task(db::Rows& rows);

std::string tags_text(const Tags& tags);

// A state history is text, so that a change appends without reading it: "<microseconds> <STATE>\n" each.
std::string history_entry(Time at, std::string_view state);
std::vector<StateChange> read_history(std::string_view text);

// Deletes a spec to which no run and no version refers any more.
void drop_unused_spec(db::Connection& connection, std::string_view hash);

}  // namespace penstock::pipelines::store
