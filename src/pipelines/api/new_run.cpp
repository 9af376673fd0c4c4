#include "pipelines/api/new_run.h"

#include <spdlog/spdlog.h>

#include "pipelines/api/routes.h"
#include "pipelines/ir/spec.h"

namespace penstock::pipelines::api {

namespace {

// The controller could not take the run: it must not stay PENDING for ever.
Async<> start_run(const ApiContext& context, Run& run) {
  std::string failure;
  try {
    co_await context.runs.start(run.run_id);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (failure.empty()) co_return;
  spdlog::error("run {} could not be started: {}", run.run_id, failure);
  const Status error{static_cast<int32_t>(Code::Internal), fmt::format("the run could not be started: {}", failure)};
  const Time at = std::max(run.created_at, run.scheduled_at);
  co_await context.store.set_run_state(run.run_id, RunState::Failed, error, at);
  run = co_await context.store.get_run(run.run_id);
}

}  // namespace

Async<RunSource> version_source(const ApiContext& context, PipelineVersionReference reference) {
  PipelineVersion version;
  if (reference.pipeline_version_id.empty()) {
    version = co_await context.store.latest_version(reference.pipeline_id);
  } else {
    version = co_await context.store.get_version(reference.pipeline_id, reference.pipeline_version_id);
  }
  RunSource source;
  source.spec = co_await load_spec(context, version.spec_hash);
  source.reference.pipeline_id = version.pipeline_id;
  source.reference.pipeline_version_id = version.pipeline_version_id;
  co_return source;
}

Async<RunSource> find_source(const ApiContext& context, json::object pipeline_spec, std::string pipeline_version_id,
                             PipelineVersionReference reference) {
  const bool referred = !reference.pipeline_id.empty() || !reference.pipeline_version_id.empty();
  const int given = !pipeline_spec.empty() + !pipeline_version_id.empty() + referred;
  if (given != 1) {
    throw Error(Code::InvalidArgument,
                fmt::format("{} of pipeline_spec, pipeline_version_reference and pipeline_version_id are given; a run "
                            "needs exactly one",
                            given == 0 ? "none" : "several"),
                "pipeline_spec");
  }
  if (!pipeline_spec.empty()) {
    std::vector<json::value> documents;
    documents.emplace_back(std::move(pipeline_spec));
    RunSource source;
    source.spec = co_await check_spec(context, std::move(documents));
    co_return source;
  }
  if (!referred) reference.pipeline_version_id = std::move(pipeline_version_id);
  co_return co_await version_source(context, std::move(reference));
}

// As upstream: the run's, the pipeline's, that of the ConfigMap kfp-launcher. What the last said when the run was made
// holds for all of it, and is shown.
static Async<> choose_root(const ApiContext& context, Run& run, const RunSource& source) {
  std::string& root = run.runtime_config.pipeline_root;
  if (root.empty() && context.stores != nullptr && source.spec->pipeline->default_root.empty() &&
      source.spec->pipeline->runtime_root.empty()) {
    root = co_await context.stores->default_root(std::string(kDefaultNamespace));
  }
  if (!root.empty()) stores::Stores::check_root(root);
}

Async<Run> make_run(const ApiContext& context, Run run, RunSource source) {
  context.specs.validate_parameters(*source.spec, run.runtime_config.parameters);
  run.name_space.clear();  // one user, one namespace
  co_await choose_root(context, run, source);
  if (run.service_account.empty()) run.service_account = kDefaultServiceAccount;
  run.pipeline_version_reference = source.reference;
  run.spec_hash = source.spec->hash;
  run.pipeline_name = source.spec->pipeline_name;
  std::string spec;
  if (source.reference.pipeline_version_id.empty()) spec = source.spec->text;
  run = co_await context.store.create_run(std::move(run), std::move(spec));
  co_await start_run(context, run);
  co_return run;
}

}  // namespace penstock::pipelines::api
