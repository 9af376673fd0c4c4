// The messages of v1beta1, and how the store's records look in them. Private to this folder.
#pragma once

#include <map>

#include "base/fields.h"
#include "pipelines/api/messages.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::v1 {

using namespace api;

enum class ResourceType { Unknown, Experiment, Job, Pipeline, PipelineVersion, Namespace };
enum class Relationship { Unknown, Owner, Creator };
struct ResourceKey {
  ResourceType type = ResourceType::Unknown;
  std::string id;
};
struct ResourceReference {
  ResourceKey key;
  std::string name;
  Relationship relationship = Relationship::Unknown;
};
using References = std::vector<ResourceReference>;
// The id of the first reference of that type; empty when there is none.
std::string referred(const References& references, ResourceType type);
ResourceType read_resource_type(std::string_view text, std::string_view field);  // InvalidArgument

struct Parameter {
  std::string name, value;
};
struct RuntimeConfigV1 {
  json::object parameters;
  std::string pipeline_root;
};
struct PipelineSpec {
  std::string pipeline_id, pipeline_name, workflow_manifest, pipeline_manifest;
  std::vector<Parameter> parameters;
  RuntimeConfigV1 runtime_config;
};

struct ExperimentMessage {
  std::string id, name, description;
  Time created_at{}, last_run_created_at{};
  References resource_references;
  StorageState storage_state = StorageState::Available;
};
const Fields<ExperimentMessage>& experiment_message_fields();

struct VersionV1 {
  std::string id, name, description, code_source_url;
  Time created_at{};
  std::vector<Parameter> parameters;
  PackageUrl package_url;
  References resource_references;
};
const Fields<VersionV1>& version_v1_fields();

struct PipelineV1 {
  std::string id, name, description, error;
  Time created_at{};
  std::vector<Parameter> parameters;
  PackageUrl url;
  VersionV1 default_version;
  References resource_references;
};
const Fields<PipelineV1>& pipeline_v1_fields();

const Fields<RunMetric>& metric_fields();

struct RunV1 {
  std::string id, name, description, service_account, status, error;
  StorageState storage_state = StorageState::Available;
  PipelineSpec pipeline_spec;
  References resource_references;
  Time created_at{}, scheduled_at{}, finished_at{};
  std::vector<RunMetric> metrics;
};
const Fields<RunV1>& run_v1_fields();

enum class JobMode { Unknown, Enabled, Disabled };
struct JobV1 {
  std::string id, name, description, service_account, status, error;
  PipelineSpec pipeline_spec;
  References resource_references;
  int64_t max_concurrency = 0;
  TriggerMessage trigger;
  JobMode mode = JobMode::Unknown;
  Time created_at{}, updated_at{};
  bool enabled = false, no_catchup = false;
};
const Fields<JobV1>& job_v1_fields();

// "Running". A canceled run has failed.
std::string_view status_of(RunState state);

// What records refer to, for their messages.
using Names = std::map<std::string, std::string>;  // by id
using Specs = std::map<std::string, std::string>;  // texts by hash

ExperimentMessage to_v1(const Experiment& experiment);
RunV1 to_v1(const Run& run, const Names& names, std::string_view spec, std::vector<RunMetric> metrics);
JobV1 to_v1(const RecurringRun& recurring, const Names& names, std::string_view spec);
// `spec` may be null: then there are no parameters.
VersionV1 to_v1(const PipelineVersion& version, const Names& names, const Spec* spec);

// Whether a stored spec is a Workflow, as the v1 SDK compiles them.
bool is_workflow(std::string_view spec);

}  // namespace penstock::pipelines::v1
