// The JSON of the API's messages. Private to this folder.
#pragma once

#include "base/fields.h"
#include "metadata/metadata.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines::api {

const Fields<Experiment>& experiment_fields();
const Fields<Pipeline>& pipeline_fields();
const Fields<Status>& status_fields();

struct PackageUrl {
  std::string pipeline_url;
};

// What a message has beyond its record.
struct VersionMessage : PipelineVersion {
  PackageUrl package;
  json::object pipeline_spec;
};
const Fields<VersionMessage>& version_fields();

struct RunMessage : Run {
  std::string pipeline_version_id;  // deprecated form of pipeline_version_reference
  json::object pipeline_spec;
  json::object run_details;
  json::object plugins_output;
  json::value tasks;
  int32_t task_count = 0;
};
const Fields<RunMessage>& run_fields();

struct CronSchedule {
  Time start_time{}, end_time{};
  std::string cron;
};
struct PeriodicSchedule {
  Time start_time{}, end_time{};
  int64_t interval_second = 0;
};
struct TriggerMessage {
  CronSchedule cron_schedule;
  PeriodicSchedule periodic_schedule;
};
enum class RecurringMode { Unspecified, Enable, Disable };
enum class RecurringStatus { Unspecified, Enabled, Disabled };
struct RecurringRunMessage : RecurringRun {
  std::string pipeline_version_id;  // deprecated form of pipeline_version_reference
  json::object pipeline_spec;
  TriggerMessage schedule;
  RecurringMode mode = RecurringMode::Unspecified;
  RecurringStatus status = RecurringStatus::Unspecified;
};
const Fields<RecurringRunMessage>& recurring_run_fields();
const Fields<RecurringRunMessage>& schedule_fields();  // trigger and no_catchup alone

struct CreatePipelineMessage {
  Pipeline pipeline;
  VersionMessage pipeline_version;
};
const Fields<CreatePipelineMessage>& create_pipeline_fields();

struct RetryRun {
  std::string run_id;
  std::vector<std::string> task_ids;
};
const Fields<RetryRun>& retry_run_fields();

// Texts of messages; `spec` is put in as it is (JSON text), or left out when empty.
std::string version_text(const PipelineVersion& version, std::string_view spec);
std::string run_text(RunMessage run, std::string_view spec);
std::string recurring_run_text(const RecurringRun& run, std::string_view spec);

// run_details.task_details, with each task's children.
json::array task_details(const std::vector<TaskRecord>& tasks);
// The newer PipelineTask message. `children` are the ids of its child tasks.
json::object task_json(const TaskRecord& task, const std::vector<std::string>& children);
json::object artifact_json(const metadata::Artifact& artifact);
json::object artifact_task_json(const metadata::Link& link);

// IOType's name, from its name or its number; "" for UNSPECIFIED. InvalidArgument.
std::string read_io_type(std::string_view text, std::string_view field);
bool is_output(std::string_view io_type);
// The schema's title of an artifact's type: "system.Dataset" of "Dataset". InvalidArgument for what is none.
std::string schema_title_of(std::string_view artifact_type, std::string_view field);

// At most 20, of at most 63 characters each, keys without dots. InvalidArgument.
void check_tags(const Tags& tags);

}  // namespace penstock::pipelines::api
