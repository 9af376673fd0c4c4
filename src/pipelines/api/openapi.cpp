// What the API's document says of v2beta1: of each route, and of the messages that are put together by hand.
#include "pipelines/api/messages.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines {

namespace api {

namespace {

struct Documented {
  Method method;
  std::string_view path;
  http::RouteDoc doc;
};

constexpr std::string_view kList = "page_token string, page_size int32, sort_by string, filter string";
constexpr std::string_view kListOfExperiment =
    "experiment_id string, page_token string, page_size int32, sort_by string, filter string";
constexpr std::string_view kListOfRuns =
    "experiment_id string, page_token string, page_size int32, sort_by string, filter string, view DEFAULT|FULL";
constexpr std::string_view kUpload =
    "name string, display_name string, description string, tags string, code_source_url string, namespace string";
constexpr std::string_view kUploadVersion =
    "pipelineid! string, name string, display_name string, description string, tags string, code_source_url string";
constexpr std::string_view kForm = "multipart/form-data";
constexpr std::string_view kText = "text/plain";
constexpr std::string_view kBytes = "application/octet-stream";

// Below /apis/v2beta1.
const Documented kV2[] = {
    {Method::Get, "/healthz", {.summary = "That the API is up, and what it was built from.", .response = "Health"}},
    {Method::Post, "/experiments", {"Creates an experiment.", "", "Experiment", "Experiment"}},
    {Method::Get, "/experiments", {"Lists experiments.", kList, "", "ListExperimentsResponse"}},
    {Method::Get, "/experiments/{experiment_id}", {"An experiment.", "", "", "Experiment"}},
    {Method::Delete, "/experiments/{experiment_id}", {"Deletes an experiment; its runs stay."}},
    {Method::Post, "/experiments/{experiment_id}:archive", {"Archives an experiment and its runs."}},
    {Method::Post, "/experiments/{experiment_id}:unarchive", {"Brings an experiment back; its runs stay archived."}},
    {Method::Post, "/pipelines", {"Creates a pipeline without a version.", "", "Pipeline", "Pipeline"}},
    {Method::Post,
     "/pipelines/create",
     {"Creates a pipeline and its first version, from a URL.", "", "CreatePipelineAndVersionRequest", "Pipeline"}},
    {Method::Get, "/pipelines", {"Lists pipelines.", kList, "", "ListPipelinesResponse"}},
    {Method::Get, "/pipelines/{pipeline_id}", {"A pipeline.", "", "", "Pipeline"}},
    {Method::Get, "/pipelines/names/{name}", {"The pipeline of that name.", "", "", "Pipeline"}},
    {Method::Patch,
     "/pipelines/{pipeline_id}",
     {"Changes what a pipeline is called and said to be.", "", "Pipeline", "Pipeline"}},
    {Method::Delete,
     "/pipelines/{pipeline_id}",
     {"Deletes a pipeline; with cascade, its versions too.", "cascade bool"}},
    {Method::Post,
     "/pipelines/{pipeline_id}/versions",
     {"Creates a version.", "", "PipelineVersion", "PipelineVersion"}},
    {Method::Get, "/pipelines/{pipeline_id}/versions", {"Lists versions.", kList, "", "ListPipelineVersionsResponse"}},
    {Method::Get,
     "/pipelines/{pipeline_id}/versions/{pipeline_version_id}",
     {"A version, with its spec.", "", "", "PipelineVersion"}},
    {Method::Patch,
     "/pipelines/{pipeline_id}/versions/{pipeline_version_id}",
     {"Changes what a version is called and said to be.", "", "PipelineVersion", "PipelineVersion"}},
    {Method::Delete, "/pipelines/{pipeline_id}/versions/{pipeline_version_id}", {"Deletes a version."}},
    {Method::Post,
     "/pipelines/upload",
     {"Uploads a package as a new pipeline: YAML, JSON, zip or tar.gz.", kUpload, "UploadForm", "Pipeline", kForm}},
    {Method::Post,
     "/pipelines/upload_version",
     {"Uploads a package as a version of a pipeline.", kUploadVersion, "UploadForm", "PipelineVersion", kForm}},
    {Method::Post, "/runs", {"Creates a run and starts it.", "experiment_id string", "Run", "Run"}},
    {Method::Get, "/runs", {"Lists runs.", kListOfRuns, "", "ListRunsResponse"}},
    {Method::Get, "/runs/{run_id}", {"A run, with its tasks.", "view DEFAULT|FULL", "", "Run"}},
    {Method::Delete, "/runs/{run_id}", {"Deletes a run, with its logs.", "delete_artifacts bool"}},
    {Method::Post, "/runs/{run_id}:archive", {"Archives a run."}},
    {Method::Post, "/runs/{run_id}:unarchive", {"Brings a run back."}},
    {Method::Post, "/runs/{run_id}:terminate", {"Ends a run: its tasks are canceled."}},
    {Method::Post,
     "/runs/{run_id}:retry",
     {"Does again what failed in a run, and what follows from it.", "", "RetryRunRequest?"}},
    {Method::Get,
     "/runs/{run_id}/nodes/{node_id}/artifacts/{artifact_name}:read",
     {"The bytes of a task's output artifact.", "", "", "ReadArtifactResponse"}},
    {Method::Get,
     "/runs/{run_id}/tasks",
     {"Lists a run's tasks.",
      "parent_id string, page_token string, page_size int32, sort_by string, "
      "filter string",
      "", "ListTasksResponse"}},
    {Method::Get, "/runs/{run_id}/tasks/{task_id}", {"A task.", "", "", "PipelineTask"}},
    {Method::Post,
     "/runs/{run_id}/tasks",
     {"Reports a task that the client carries out.", "", "PipelineTask", "PipelineTask"}},
    {Method::Patch,
     "/runs/{run_id}/tasks/{task_id}",
     {"Reports what became of a task that the client carries out.", "", "PipelineTask", "PipelineTask"}},
    {Method::Post,
     "/runs/{run_id}/tasks:batchUpdate",
     {"The same of several tasks: all or none.", "", "BatchUpdateTasksRequest", "BatchUpdateTasksResponse"}},
    {Method::Post,
     "/tasks:findCached",
     {"The newest successful task with a fingerprint.", "", "FindCachedTaskRequest", "PipelineTask"}},
    {Method::Get, "/artifacts", {"Lists artifacts.", kList, "", "ListArtifactsResponse"}},
    {Method::Get, "/artifacts/{artifact_id}", {"An artifact.", "", "", "Artifact"}},
    {Method::Post, "/artifacts", {"Reports an artifact of a task.", "", "CreateArtifactRequest", "Artifact"}},
    {Method::Post,
     "/artifacts:batchCreate",
     {"The same of several artifacts: all or none.", "", "BatchCreateArtifactsRequest",
      "BatchCreateArtifactsResponse"}},
    {Method::Get,
     "/artifact_tasks",
     {"Lists which tasks made and took which artifacts.",
      "run_ids [string], task_ids [string], artifact_ids [string], type string, page_token string, page_size int32, "
      "sort_by string, filter string",
      "", "ListArtifactTasksResponse"}},
    {Method::Post,
     "/artifact_tasks",
     {"Reports that a task made or took an artifact.", "", "CreateArtifactTaskRequest", "ArtifactTask"}},
    {Method::Post,
     "/artifact_tasks:batchCreate",
     {"The same of several: all or none.", "", "BatchCreateArtifactTasksRequest", "BatchCreateArtifactTasksResponse"}},
    {Method::Post, "/recurringruns", {"Creates a recurring run.", "", "RecurringRun", "RecurringRun"}},
    {Method::Get, "/recurringruns", {"Lists recurring runs.", kListOfExperiment, "", "ListRecurringRunsResponse"}},
    {Method::Get, "/recurringruns/{recurring_run_id}", {"A recurring run.", "", "", "RecurringRun"}},
    {Method::Delete,
     "/recurringruns/{recurring_run_id}",
     {"Deletes a recurring run; its runs stay.", "propagation_policy string"}},
    {Method::Post, "/recurringruns/{recurring_run_id}:enable", {"Lets a recurring run fire."}},
    {Method::Post, "/recurringruns/{recurring_run_id}:disable", {"Keeps a recurring run from firing."}},
    {Method::Get, "/filters", {"Checks a filter and gives it back.", "filter string", "", "object"}},
    {Method::Get,
     "/auth",
     {"Whether the caller may do that: always, nobody logs in.", "namespace! string, resources string, verb string"}},
    {Method::Post,
     "/visualizations/{namespace}",
     {"Draws objects of the store as a page.", "", "Visualization", "Visualization"}},
    {Method::Post,
     "/workflows",
     {.summary = "Takes an agent's report on a workflow, without effect.", .request = "any"}},
    {Method::Post,
     "/scheduledworkflows",
     {.summary = "Takes an agent's report on a scheduled workflow, without effect.", .request = "any"}},
};

// At the path itself.
const Documented kOthers[] = {
    {Method::Post, "/apis/penstock/v1/runs/{run_id}:resume", {"Ends the pauses of a run."}},
    {Method::Get,
     "/apis/penstock/v1/recurringruns/{recurring_run_id}:schedule",
     {"When a recurring run will fire next.", "count int32", "", "object"}},
    {Method::Post,
     "/apis/penstock/v1/recurringruns:previewSchedule",
     {"When a recurring run with this trigger would fire.", "count int32", "object", "object"}},
    {Method::Get,
     "/apis/penstock/v1/lineage",
     {"What something was made of and what came of it: one of artifact, task and run says where it begins.",
      "artifact string, task string, run string, direction string, depth int32, max_nodes int32", "", "object"}},
    {Method::Get,
     "/apis/penstock/v1/artifacts/{artifact_id}",
     {"An artifact with its type and its typed properties.", "", "", "object"}},
    {Method::Get,
     "/apis/penstock/v1/artifacts/{artifact_id}/preview",
     {"What an artifact holds.", "path string, max_bytes int32, rows int32, page_size int32, page_token string", "",
      "object"}},
    {Method::Get,
     "/apis/penstock/v1/artifacts/{artifact_id}/raw",
     {.summary = "Its bytes for a page to show, in a sandbox.",
      .query = "path string",
      .response = "file",
      .response_media = kBytes}},
    {Method::Get,
     "/apis/penstock/v1/artifacts/{artifact_id}/download",
     {.summary = "Its bytes as a file; a folder as an archive.",
      .query = "path string, format string",
      .response = "file",
      .response_media = kBytes}},
    {Method::Get,
     "/apis/penstock/v1/artifacts/{artifact_id}/metrics",
     {"Its metrics and charts in one shape.", "", "", "object"}},
    {Method::Get,
     "/apis/penstock/v1/artifacts/{artifact_id}/versions",
     {"Its versions, the newest first.", "by string, page_size int32, page_token string", "", "object"}},
    {Method::Get,
     "/apis/penstock/v1/runs/{run_id}/metrics",
     {"The metrics and charts of all of a run's tasks.", "", "", "object"}},
    {Method::Get,
     "/apis/penstock/v1/compare",
     {"Parameters and metrics of several runs beside each other.", "runs! string", "", "object"}},
    {Method::Get, "/apis/penstock/v1/artifact_types", {"Lists types of artifacts.", kList, "", "object"}},
    {Method::Get, "/apis/penstock/v1/artifact_types/{type}", {"A type, by its id or title.", "", "", "object"}},
    {Method::Get,
     "/apis/penstock/v1/executions",
     {"Lists the tasks of all runs, the newest first.", "run_id string, page_size int32, page_token string", "",
      "object"}},
    {Method::Get, "/apis/penstock/v1/executions/{execution_id}", {"One of them.", "", "", "object"}},
    {Method::Post, "/apis/penstock/v1/retention_rules", {"Makes a rule of retention.", "", "object", "object"}},
    {Method::Get, "/apis/penstock/v1/retention_rules", {"Lists the rules of retention.", "", "", "object"}},
    {Method::Get, "/apis/penstock/v1/retention_rules/{rule_id}", {"A rule.", "", "", "object"}},
    {Method::Put, "/apis/penstock/v1/retention_rules/{rule_id}", {"Replaces a rule.", "", "object", "object"}},
    {Method::Delete, "/apis/penstock/v1/retention_rules/{rule_id}", {"Deletes a rule."}},
    {Method::Post,
     "/apis/penstock/v1/retention_rules:dryRun",
     {"What the rules, or one that is given, would delete, and why.", "", "object?", "object"}},
    {Method::Post, "/apis/penstock/v1/retention_rules:sweep", {"Does now what the rules say.", "", "", "object"}},
    {Method::Get, "/apis/penstock/v1/runs/{run_id}/labels", {"The labels of a run.", "", "", "object"}},
    {Method::Put, "/apis/penstock/v1/runs/{run_id}/labels", {"Replaces them.", "", "object", "object"}},
    {Method::Get,
     "/apis/penstock/v1/usage",
     {"Used space by namespace, pipeline or run.", "by string, page_size int32, page_token string", "", "object"}},
    {Method::Get,
     "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log",
     {.summary = "The log of a task.",
      .query = "attempt int32, follow bool",
      .response = "string",
      .response_media = kText}},
    {Method::Get,
     "/apis/penstock/v1/runs/{run_id}/tasks/{task_id}/log",
     {.summary =
          "The log of a task, or a part of it. As text/event-stream (Accept), each event is a LogPiece, whose id "
          "is the offset behind it; the last one is the event `end`.",
      .query = "attempt int32, follow bool, offset int64, tail_lines int64, limit_bytes int64",
      .response = "string",
      .response_media = kText}},
    {Method::Get,
     "/apis/penstock/v1/examples",
     {"Pipelines that are part of the program.", "", "", "ListExamplesResponse"}},
    {Method::Get, "/apis/penstock/v1/examples/{name}", {"One of them, with its source and spec.", "", "", "Example"}},
    {Method::Post, "/apis/penstock/v1/examples/{name}:run", {"Runs one of them.", "", "RunExampleRequest?", "Run"}},
    {Method::Get,
     "/artifacts/get",
     {.summary = "An object of the store.",
      .query = "source string, bucket! string, key! string, peek int32",
      .response = "file",
      .response_media = kBytes}},
    {Method::Get,
     "/artifacts/{source}/{bucket}/{key*}",
     {.summary = "An object of the store.", .query = "peek int32", .response = "file", .response_media = kBytes}},
};

void add_tasks(Schemas& schemas) {
  schemas.add("TaskPod", {{"name!", "string"}, {"uid", "string"}, {"type", "string"}});
  schemas.add("IOProducer", {{"task_name", "string"}, {"iteration", "int64"}});
  schemas.add("IOParameter", {{"parameter_key!", "string"},
                              {"value", "any"},
                              {"type", "string", "How it came or went: an IOType."},
                              {"producer", "IOProducer"}});
  schemas.add(
      "ArtifactReference",
      {{"artifact_id", "int64"}, {"name", "string"}, {"type", "string"}, {"uri", "string"}, {"metadata", "object"}});
  schemas.add("IOArtifact", {{"artifact_key!", "string"},
                             {"artifacts", "[ArtifactReference]"},
                             {"type", "string"},
                             {"producer", "IOProducer"}});
  schemas.add("InputOutputs", {{"parameters", "[IOParameter]"}, {"artifacts", "[IOArtifact]"}});
  schemas.add("TaskStatus", {{"message", "string", "Why it failed, with the last lines of its log."},
                             {"custom_properties", "map", "cache: what it took from the cache, or why nothing."}});
  schemas.add("TaskAttributes",
              {{"iteration_index", "int64"}, {"iteration_count", "int64"}, {"download_to_workspace", "bool"}});
  schemas.add("ChildTask", {{"task_id", "string"}, {"pod_name", "string"}, {"name", "string"}});
  schemas.add("PipelineTask",
              {{"task_id", "string"},
               {"run_id", "string"},
               {"name", "string"},
               {"display_name", "string"},
               {"type", "ROOT|RUNTIME|CONDITION_BRANCH|CONDITION|LOOP|EXIT_HANDLER|IMPORTER|DAG"},
               {"type_attributes", "TaskAttributes"},
               {"state", "RUNTIME_STATE_UNSPECIFIED|PENDING|RUNNING|SUCCEEDED|SKIPPED|FAILED|CACHED|CANCELED"},
               {"status_metadata", "TaskStatus"},
               {"state_history", "[RuntimeStatus]"},
               {"create_time", "time"},
               {"start_time", "time"},
               {"end_time", "time"},
               {"pods", "[TaskPod]", "One of each attempt, the last one last."},
               {"cache_fingerprint", "string"},
               {"parent_task_id", "string"},
               {"child_tasks", "[ChildTask]"},
               {"inputs", "InputOutputs"},
               {"outputs", "InputOutputs"},
               {"scope_path", "string", "root/for-loop-1/3/train"}});
  schemas.add("ListTasksResponse",
              {{"tasks", "[PipelineTask]"}, {"total_size", "int32"}, {"next_page_token", "string"}});
  schemas.add("BatchUpdateTasksRequest", {{"tasks!", "{PipelineTask}"}});
  schemas.add("BatchUpdateTasksResponse", {{"tasks", "{PipelineTask}"}});
  schemas.add("FindCachedTaskRequest", {{"cache_fingerprint!", "string"}, {"namespace", "string"}});
}

void add_run_details(Schemas& schemas) {
  schemas.add("ArtifactIds", {{"artifact_ids", "[int64]"}});
  schemas.add("ExecutorDetail", {{"main_job", "string"}, {"failed_main_jobs", "[string]"}});
  schemas.add("PipelineTaskDetail", {{"run_id!", "string"},
                                     {"task_id!", "string"},
                                     {"display_name!", "string"},
                                     {"create_time", "time"},
                                     {"start_time", "time"},
                                     {"end_time", "time"},
                                     {"executor_detail", "ExecutorDetail"},
                                     {"state", "PENDING|RUNNING|SUCCEEDED|SKIPPED|FAILED|CANCELING|CANCELED|PAUSED"},
                                     {"error", "Status"},
                                     {"inputs", "{ArtifactIds}"},
                                     {"outputs", "{ArtifactIds}"},
                                     {"parent_task_id", "string"},
                                     {"child_tasks", "[ChildTask]"},
                                     {"state_history", "[RuntimeStatus]"},
                                     {"pod_name", "string"}});
  schemas.add("RunDetails", {{"pipeline_context_id", "int64"},
                             {"pipeline_run_context_id", "int64"},
                             {"task_details", "[PipelineTaskDetail]"}});
}

void add_artifacts(Schemas& schemas) {
  schemas.add("Artifact", {{"artifact_id", "int64"},
                           {"name", "string"},
                           {"description", "string"},
                           {"type", "string", "Model, Dataset, Metric, …; Artifact when it is none of these."},
                           {"uri", "string"},
                           {"metadata", "object"},
                           {"number_value", "number"},
                           {"created_at", "time"},
                           {"namespace", "string"}});
  schemas.add("ArtifactTask", {{"id", "int64"},
                               {"artifact_id", "int64"},
                               {"run_id", "string"},
                               {"task_id", "string"},
                               {"type", "string"},
                               {"producer", "IOProducer"},
                               {"key", "string"}});
  schemas.add("CreateArtifactRequest", {{"artifact!", "Artifact"},
                                        {"run_id!", "string"},
                                        {"task_id!", "string"},
                                        {"producer_key!", "string"},
                                        {"iteration_index", "int64"},
                                        {"type", "string"},
                                        {"reuse_if_exists", "bool"}});
  schemas.add("BatchCreateArtifactsRequest", {{"artifacts!", "[CreateArtifactRequest]"}});
  schemas.add("BatchCreateArtifactsResponse", {{"artifacts", "[Artifact]"}});
  schemas.add("CreateArtifactTaskRequest", {{"artifact_task!", "ArtifactTask"}});
  schemas.add("BatchCreateArtifactTasksRequest", {{"artifact_tasks!", "[ArtifactTask]"}});
  schemas.add("BatchCreateArtifactTasksResponse", {{"artifact_tasks", "[ArtifactTask]"}});
  schemas.add("ReadArtifactResponse", {{"data", "bytes"}});
  schemas.add("ListArtifactsResponse",
              {{"artifacts", "[Artifact]"}, {"total_size", "int32"}, {"next_page_token", "string"}});
  schemas.add("ListArtifactTasksResponse",
              {{"artifact_tasks", "[ArtifactTask]"}, {"total_size", "int32"}, {"next_page_token", "string"}});
}

void add_lists(Schemas& schemas) {
  const auto add = [&schemas](std::string_view name, std::string_view key, std::string_view type) {
    schemas.add(name, {{key, type}, {"total_size", "int32"}, {"next_page_token", "string"}});
  };
  add("ListExperimentsResponse", "experiments", "[Experiment]");
  add("ListPipelinesResponse", "pipelines", "[Pipeline]");
  add("ListPipelineVersionsResponse", "pipeline_versions", "[PipelineVersion]");
  add("ListRunsResponse", "runs", "[Run]");
  add("ListRecurringRunsResponse", "recurringRuns", "[RecurringRun]");
}

template <size_t N>
const http::RouteDoc* find_doc(const Documented (&docs)[N], Method method, std::string_view path) {
  for (const Documented& one : docs) {
    if (one.method == method && one.path == path) return &one.doc;
  }
  return nullptr;
}

}  // namespace

http::RouteDoc route_doc(Method method, std::string_view path) {
  constexpr std::string_view kBase = "/apis/v2beta1";
  const http::RouteDoc* doc =
      path.starts_with(kBase) ? find_doc(kV2, method, path.substr(kBase.size())) : find_doc(kOthers, method, path);
  return doc ? *doc : http::RouteDoc();
}

}  // namespace api

void add_schemas(Schemas& schemas) {
  using namespace api;
  schemas.add(experiment_fields().table());
  schemas.add(pipeline_fields().table());
  schemas.add(version_fields().table());
  schemas.add(run_fields().table());
  schemas.add(recurring_run_fields().table());
  schemas.add(create_pipeline_fields().table());
  schemas.add(retry_run_fields().table());
  add_tasks(schemas);
  add_run_details(schemas);
  add_artifacts(schemas);
  add_lists(schemas);
  add_example_schemas(schemas);
  schemas.add(
      "Health",
      {{"commit_sha", "string"}, {"tag_name", "string"}, {"multi_user!", "bool"}, {"pipeline_store", "string"}});
  schemas.add("LogPiece", {{"offset!", "number", "Where its first byte stands in the log."}, {"text!", "string"}});
  schemas.add("UploadForm", {{"uploadfile!", "file"}});
  schemas.add("Visualization", {{"type", "string"},
                                {"source", "string"},
                                {"arguments", "string", "JSON, as text."},
                                {"html", "string"},
                                {"error", "string"}});
  schemas.add("ErrorDetail", {{"@type", "string"}, {"code", "int32"}, {"message", "string"}});
  schemas.add("Error", {{"error!", "string"},
                        {"code!", "int32", "gRPC's: 3 bad input, 5 not found, 6 there already, 9 not now, …"},
                        {"message!", "string", "What is wrong, with the field, and the way out."},
                        {"details", "[ErrorDetail]"}});
  schemas.add("UploadError", {{"error_message!", "string"}, {"error_details!", "string"}});
}

}  // namespace penstock::pipelines
