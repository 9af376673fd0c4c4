#include "pipelines/api/v1/messages.h"

#include <algorithm>

#include "pipelines/argo/manifest.h"
#include "pipelines/ir/spec.h"

namespace penstock::pipelines::v1 {

namespace {

constexpr EnumName kResourceTypes[] = {{0, "UNKNOWN_RESOURCE_TYPE"}, {1, "EXPERIMENT"}, {2, "JOB"}, {3, "PIPELINE"},
                                       {4, "PIPELINE_VERSION"},      {5, "NAMESPACE"}};
constexpr EnumName kRelationships[] = {{0, "UNKNOWN_RELATIONSHIP"}, {1, "OWNER"}, {2, "CREATOR"}};
// The wire's numbers differ between experiments and runs; names are what clients send.
constexpr EnumName kStorageStates[] = {
    {0, "STORAGESTATE_UNSPECIFIED"}, {1, "STORAGESTATE_AVAILABLE"}, {2, "STORAGESTATE_ARCHIVED"}};
constexpr EnumName kJobModes[] = {{0, "UNKNOWN_MODE"}, {1, "ENABLED"}, {2, "DISABLED"}};
constexpr EnumName kMetricFormats[] = {{0, "UNSPECIFIED"}, {1, "RAW"}, {2, "PERCENTAGE"}};

const Fields<ResourceReference>& reference_fields() {
  static const auto kKey =
      Fields<ResourceKey>("ResourceKey").add("type", &ResourceKey::type, kResourceTypes).add("id", &ResourceKey::id);
  static const auto kFields = Fields<ResourceReference>("ResourceReference")
                                  .add("key", &ResourceReference::key, kKey)
                                  .add("name", &ResourceReference::name)
                                  .add("relationship", &ResourceReference::relationship, kRelationships);
  return kFields;
}

const Fields<Parameter>& parameter_fields() {
  static const auto kFields =
      Fields<Parameter>("Parameter").add("name", &Parameter::name).add("value", &Parameter::value, {.always = true});
  return kFields;
}

const Fields<PackageUrl>& url_fields() {
  static const auto kFields = Fields<PackageUrl>("Url").add("pipeline_url", &PackageUrl::pipeline_url);
  return kFields;
}

const Fields<PipelineSpec>& pipeline_spec_fields() {
  static const auto kConfig = Fields<RuntimeConfigV1>("RuntimeConfig")
                                  .add("parameters", &RuntimeConfigV1::parameters)
                                  .add("pipeline_root", &RuntimeConfigV1::pipeline_root);
  static const auto kFields = Fields<PipelineSpec>("PipelineSpec")
                                  .add("pipeline_id", &PipelineSpec::pipeline_id)
                                  .add("pipeline_name", &PipelineSpec::pipeline_name)
                                  .add("workflow_manifest", &PipelineSpec::workflow_manifest)
                                  .add("pipeline_manifest", &PipelineSpec::pipeline_manifest)
                                  .add("parameters", &PipelineSpec::parameters, parameter_fields())
                                  .add("runtime_config", &PipelineSpec::runtime_config, kConfig);
  return kFields;
}

const Fields<TriggerMessage>& trigger_fields() {
  static const auto kCron = Fields<CronSchedule>("CronSchedule")
                                .add("start_time", &CronSchedule::start_time)
                                .add("end_time", &CronSchedule::end_time)
                                .add("cron", &CronSchedule::cron);
  static const auto kPeriodic = Fields<PeriodicSchedule>("PeriodicSchedule")
                                    .add("start_time", &PeriodicSchedule::start_time)
                                    .add("end_time", &PeriodicSchedule::end_time)
                                    .add("interval_second", &PeriodicSchedule::interval_second);
  static const auto kFields = Fields<TriggerMessage>("Trigger")
                                  .add("cron_schedule", &TriggerMessage::cron_schedule, kCron)
                                  .add("periodic_schedule", &TriggerMessage::periodic_schedule, kPeriodic);
  return kFields;
}

void refer(References& to, ResourceType type, const std::string& id, Relationship relationship, const Names& names) {
  if (id.empty()) return;
  const auto name = names.find(id);
  to.push_back({{type, id}, name == names.end() ? std::string() : name->second, relationship});
}

PipelineSpec spec_message(const PipelineVersionReference& reference, const RuntimeConfig& config,
                          std::string pipeline_name, std::string_view spec) {
  PipelineSpec out;
  out.pipeline_id = reference.pipeline_id;
  out.pipeline_name = std::move(pipeline_name);
  const bool workflow = is_workflow(spec);
  (workflow ? out.workflow_manifest : out.pipeline_manifest) = spec;
  for (const auto& [name, value] : config.parameters) out.parameters.push_back({std::string(name), ir::text_of(value)});
  if (!workflow) out.runtime_config = {config.parameters, config.pipeline_root};
  return out;
}

}  // namespace

std::string referred(const References& references, ResourceType type) {
  const auto found = std::ranges::find_if(references, [&](const auto& one) { return one.key.type == type; });
  return found == references.end() ? std::string() : found->key.id;
}

ResourceType read_resource_type(std::string_view text, std::string_view field) {
  for (const EnumName& entry : kResourceTypes) {
    if (text == entry.name || text == std::to_string(entry.number)) return static_cast<ResourceType>(entry.number);
  }
  throw Error(Code::InvalidArgument,
              fmt::format("{}: {:?} is no resource type, such as EXPERIMENT", field, std::string(text)),
              std::string(field));
}

const Fields<ExperimentMessage>& experiment_message_fields() {
  using M = ExperimentMessage;
  static const auto kFields = Fields<M>("Experiment")
                                  .add("id", &M::id, {.output_only = true})
                                  .add("name", &M::name, {.required = true, .max_length = 128})
                                  .add("description", &M::description)
                                  .add("created_at", &M::created_at, {.output_only = true})
                                  .add("resource_references", &M::resource_references, reference_fields())
                                  .add("storage_state", &M::storage_state, kStorageStates, {.output_only = true})
                                  .add("last_run_created_at", &M::last_run_created_at, {.output_only = true});
  return kFields;
}

const Fields<VersionV1>& version_v1_fields() {
  using M = VersionV1;
  static const auto kFields = Fields<M>("PipelineVersion")
                                  .add("id", &M::id, {.output_only = true})
                                  .add("name", &M::name, {.max_length = 127})
                                  .add("created_at", &M::created_at, {.output_only = true})
                                  .add("parameters", &M::parameters, parameter_fields())
                                  .add("code_source_url", &M::code_source_url)
                                  .add("package_url", &M::package_url, url_fields())
                                  .add("resource_references", &M::resource_references, reference_fields())
                                  .add("description", &M::description);
  return kFields;
}

const Fields<PipelineV1>& pipeline_v1_fields() {
  using M = PipelineV1;
  static const auto kFields = Fields<M>("Pipeline")
                                  .add("id", &M::id, {.output_only = true})
                                  .add("created_at", &M::created_at, {.output_only = true})
                                  .add("name", &M::name, {.max_length = 128})
                                  .add("description", &M::description)
                                  .add("parameters", &M::parameters, parameter_fields())
                                  .add("url", &M::url, url_fields())
                                  .add("error", &M::error, {.output_only = true})
                                  .add("default_version", &M::default_version, version_v1_fields())
                                  .add("resource_references", &M::resource_references, reference_fields());
  return kFields;
}

const Fields<RunMetric>& metric_fields() {
  static const auto kFields = Fields<RunMetric>("RunMetric")
                                  .add("name", &RunMetric::name)
                                  .add("node_id", &RunMetric::node_id)
                                  .add("number_value", &RunMetric::number_value, {.always = true})
                                  .add("format", &RunMetric::format, kMetricFormats);
  return kFields;
}

const Fields<RunV1>& run_v1_fields() {
  using M = RunV1;
  static const auto kFields = Fields<M>("Run")
                                  .add("id", &M::id, {.output_only = true})
                                  .add("name", &M::name, {.required = true, .max_length = 1'024})
                                  .add("storage_state", &M::storage_state, kStorageStates, {.output_only = true})
                                  .add("description", &M::description)
                                  .add("pipeline_spec", &M::pipeline_spec, pipeline_spec_fields())
                                  .add("resource_references", &M::resource_references, reference_fields())
                                  .add("service_account", &M::service_account)
                                  .add("created_at", &M::created_at, {.output_only = true, .always = true})
                                  .add("scheduled_at", &M::scheduled_at, {.output_only = true, .always = true})
                                  .add("finished_at", &M::finished_at, {.output_only = true, .always = true})
                                  .add("status", &M::status, {.output_only = true})
                                  .add("error", &M::error, {.output_only = true})
                                  .add("metrics", &M::metrics, metric_fields(), {.output_only = true});
  return kFields;
}

const Fields<JobV1>& job_v1_fields() {
  using M = JobV1;
  static const auto kFields = Fields<M>("Job")
                                  .add("id", &M::id, {.output_only = true})
                                  .add("name", &M::name, {.required = true, .max_length = 1'024})
                                  .add("description", &M::description)
                                  .add("pipeline_spec", &M::pipeline_spec, pipeline_spec_fields())
                                  .add("resource_references", &M::resource_references, reference_fields())
                                  .add("service_account", &M::service_account)
                                  .add("max_concurrency", &M::max_concurrency)
                                  .add("trigger", &M::trigger, trigger_fields())
                                  .add("mode", &M::mode, kJobModes)
                                  .add("created_at", &M::created_at, {.output_only = true})
                                  .add("updated_at", &M::updated_at, {.output_only = true})
                                  .add("status", &M::status, {.output_only = true})
                                  .add("error", &M::error, {.output_only = true})
                                  .add("enabled", &M::enabled)
                                  .add("no_catchup", &M::no_catchup);
  return kFields;
}

std::string_view status_of(RunState state) {
  switch (state) {
    case RunState::Pending:
    case RunState::Paused: return "Pending";
    case RunState::Running: return "Running";
    case RunState::Succeeded: return "Succeeded";
    case RunState::Skipped: return "Skipped";
    case RunState::Failed:
    case RunState::Canceled: return "Failed";
    case RunState::Canceling: return "Terminating";
    case RunState::Unspecified: break;
  }
  return "Unknown";
}

ExperimentMessage to_v1(const Experiment& experiment) {
  return {experiment.experiment_id, experiment.display_name,        experiment.description,
          experiment.created_at,    experiment.last_run_created_at, {},
          experiment.storage_state};
}

RunV1 to_v1(const Run& run, const Names& names, std::string_view spec, std::vector<RunMetric> metrics) {
  RunV1 out;
  out.id = run.run_id;
  out.name = run.display_name;
  out.description = run.description;
  out.service_account = run.service_account;
  out.status = status_of(run.state);
  out.error = run.error.message;
  out.storage_state = run.storage_state;
  out.pipeline_spec = spec_message(run.pipeline_version_reference, run.runtime_config, run.pipeline_name, spec);
  refer(out.resource_references, ResourceType::Experiment, run.experiment_id, Relationship::Owner, names);
  refer(out.resource_references, ResourceType::Job, run.recurring_run_id, Relationship::Creator, names);
  refer(out.resource_references, ResourceType::PipelineVersion, run.pipeline_version_reference.pipeline_version_id,
        Relationship::Creator, names);
  out.created_at = run.created_at;
  out.scheduled_at = run.scheduled_at;
  out.finished_at = run.finished_at;
  out.metrics = std::move(metrics);
  return out;
}

JobV1 to_v1(const RecurringRun& recurring, const Names& names, std::string_view spec) {
  JobV1 out;
  out.id = recurring.recurring_run_id;
  out.name = recurring.display_name;
  out.description = recurring.description;
  out.service_account = recurring.service_account;
  out.status = recurring.enabled ? "Enabled" : "Disabled";
  out.error = recurring.error.message;
  const auto& reference = recurring.pipeline_version_reference;
  const auto name = names.find(reference.pipeline_id);
  out.pipeline_spec =
      spec_message(reference, recurring.runtime_config, name == names.end() ? std::string() : name->second, spec);
  refer(out.resource_references, ResourceType::Experiment, recurring.experiment_id, Relationship::Owner, names);
  refer(out.resource_references, ResourceType::PipelineVersion, reference.pipeline_version_id, Relationship::Creator,
        names);
  out.max_concurrency = recurring.max_concurrency;
  const Trigger& trigger = recurring.trigger;
  if (!trigger.cron.empty()) {
    out.trigger.cron_schedule = {trigger.start, trigger.end, trigger.cron};
  } else if (trigger.interval.count() != 0) {
    out.trigger.periodic_schedule = {trigger.start, trigger.end, trigger.interval.count()};
  }
  out.mode = recurring.enabled ? JobMode::Enabled : JobMode::Disabled;
  out.created_at = recurring.created_at;
  out.updated_at = recurring.updated_at;
  out.enabled = recurring.enabled;
  out.no_catchup = recurring.no_catchup;
  return out;
}

VersionV1 to_v1(const PipelineVersion& version, const Names& names, const Spec* spec) {
  VersionV1 out;
  out.id = version.pipeline_version_id;
  out.name = version.name;
  out.description = version.description;
  out.code_source_url = version.code_source_url;
  out.created_at = version.created_at;
  out.package_url.pipeline_url = version.package_url;
  refer(out.resource_references, ResourceType::Pipeline, version.pipeline_id, Relationship::Owner, names);
  if (spec && spec->pipeline && spec->pipeline->root) {
    for (const ir::ParameterDef& parameter : spec->pipeline->root->input_parameters) {
      // In the older form of IR defaults stand outside of the spec.
      const json::value* value = find(spec->pipeline->runtime_parameters, parameter.name);
      if (!value) value = parameter.default_value;
      out.parameters.push_back({parameter.name, value ? ir::text_of(*value) : std::string()});
    }
  }
  return out;
}

bool is_workflow(std::string_view spec) {
  // Cheap where it is none, as nearly all specs of a list are.
  if (spec.find("\"Workflow\"") == std::string_view::npos) return false;
  return ir::is_v1_workflow(parse_json(spec));
}

}  // namespace penstock::pipelines::v1
