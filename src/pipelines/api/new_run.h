// Making runs: from a request, or because a recurring run is due. Private to this folder.
#pragma once

#include "pipelines/api/api.h"

namespace penstock::pipelines::api {

// Where a run's spec comes from, once it is found and checked.
struct RunSource {
  std::shared_ptr<const Spec> spec;
  PipelineVersionReference reference;  // empty: the spec was given itself
  bool latest = false;                 // whatever is the pipeline's latest version, of which this is today's
};

// Exactly one of the three must be given (InvalidArgument); a reference without a version means the latest.
Async<RunSource> find_source(const ApiContext& context, json::object pipeline_spec, std::string pipeline_version_id,
                             PipelineVersionReference reference);
Async<RunSource> version_source(const ApiContext& context, PipelineVersionReference reference);

// FailedPrecondition when it has ended.
Async<> terminate_run(const ApiContext& context, std::string run_id);
// Aborted unless it has failed or was canceled; with `task_ids`, unless it has ended. NotFound for a task.
Async<> retry_run(const ApiContext& context, std::string run_id, std::vector<std::string> task_ids);

// Whose name a run carries that names none, as the reference's does.
inline constexpr std::string_view kDefaultServiceAccount = "pipeline-runner";

// Checks the parameters, commits the run and begins it.
Async<Run> make_run(const ApiContext& context, Run run, RunSource source);

}  // namespace penstock::pipelines::api
