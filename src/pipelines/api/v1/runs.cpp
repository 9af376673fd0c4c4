#include <algorithm>

#include "base/base64.h"
#include "pipelines/api/delete_run.h"
#include "pipelines/api/package.h"
#include "pipelines/api/v1/requests.h"
#include "pipelines/api/v1/routes.h"
#include "pipelines/argo/manifest.h"
#include "pipelines/run/metrics_file.h"

namespace penstock::pipelines::v1 {

namespace {

std::vector<std::string> ids_of(const Run& run) {
  std::vector<std::string> ids;
  ids.push_back(run.experiment_id);
  if (!run.recurring_run_id.empty()) ids.push_back(run.recurring_run_id);
  const std::string& version = run.pipeline_version_reference.pipeline_version_id;
  if (!version.empty()) ids.push_back(version);
  return ids;
}

Async<std::vector<RunMetric>> metrics_of(const ApiContext& context, std::string run_id) {
  std::vector<std::string> ids;
  ids.push_back(run_id);
  auto metrics = co_await context.store.metrics_of(std::move(ids));
  co_return std::move(metrics[run_id]);
}

// The run with its Workflow, whose status says where it stands.
json::object detail_of(const Run& run, RunV1 message, const std::vector<TaskRecord>& tasks, const Spec& spec) {
  json::object runtime;
  std::optional<json::value> original;
  if (is_workflow(spec.text)) {
    original = parse_json(spec.text);
  } else {
    runtime["pipeline_manifest"] = spec.text;
  }
  const json::object* workflow = original ? &original->as_object() : nullptr;
  runtime["workflow_manifest"] = to_text(argo::workflow_manifest(run, tasks, *spec.pipeline, workflow));
  return {{"run", run_v1_fields().write(message)}, {"pipeline_runtime", std::move(runtime)}};
}

Async<Response> reply(const ApiContext& context, Run run) {
  const std::shared_ptr<const Spec> spec = co_await load_spec(context, run.spec_hash);
  const std::vector<TaskRecord> tasks = co_await context.store.list_tasks(run.run_id);
  const Names names = co_await context.store.names_of(ids_of(run));
  std::vector<RunMetric> metrics = co_await metrics_of(context, run.run_id);
  co_return co_await context.blocking.run([&] {
    RunV1 message = to_v1(run, names, spec->text, std::move(metrics));
    return http::json_response(detail_of(run, std::move(message), tasks, *spec));
  });
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RunV1 message = run_v1_fields().read(body);
  RunSource source = co_await find_source_v1(context, message.pipeline_spec, message.resource_references);
  Run run;
  run.display_name = message.name;
  run.description = message.description;
  run.service_account = message.service_account;
  run.experiment_id = referred(message.resource_references, ResourceType::Experiment);
  run.runtime_config = runtime_config_of(message.pipeline_spec, *source.spec);
  run = co_await make_run(context, std::move(run), std::move(source));
  co_return co_await reply(context, std::move(run));
}

Async<Response> get(const ApiContext& context, Request& request) {
  co_return co_await reply(context, co_await context.store.get_run(param(request, "id")));
}

Async<Response> list(const ApiContext& context, Request& request) {
  const ResourceQuery resource = resource_query(request, "resource_reference_key");
  check_resource(resource, {ResourceType::Experiment, ResourceType::Namespace, ResourceType::Job}, "runs");
  const std::string experiment = resource.type == ResourceType::Experiment ? resource.id : std::string();
  const std::string job = resource.type == ResourceType::Job ? resource.id : std::string();
  const Page<Run> page = co_await context.store.list_runs(experiment, list_request_v1(request), job);
  std::vector<std::string> ids, hashes, run_ids;
  for (const Run& run : page.items) {
    for (std::string& id : ids_of(run)) ids.push_back(std::move(id));
    hashes.push_back(run.spec_hash);
    run_ids.push_back(run.run_id);
  }
  const Names names = co_await context.store.names_of(std::move(ids));
  Specs specs = co_await context.store.get_specs(std::move(hashes), kMaxListedSpec);
  auto metrics = co_await context.store.metrics_of(std::move(run_ids));
  json::array items;
  for (const Run& run : page.items) {
    items.push_back(run_v1_fields().write(to_v1(run, names, specs[run.spec_hash], std::move(metrics[run.run_id]))));
  }
  co_return http::json_response(page_json("runs", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> remove(const ApiContext& context, Request& request) {
  const Run run = co_await context.store.get_run(param(request, "id"));
  DeleteRun options;
  options.with_artifacts = bool_query(request, "delete_artifacts");
  co_await delete_run(context, run, options);
  co_return empty_reply();
}

Async<Response> archive(const ApiContext& context, Request& request) {
  co_await context.store.archive_run(param(request, "id"));
  co_return empty_reply();
}

Async<Response> unarchive(const ApiContext& context, Request& request) {
  co_await context.store.unarchive_run(param(request, "id"));
  co_return empty_reply();
}

Async<Response> terminate(const ApiContext& context, Request& request) {
  co_await terminate_run(context, param(request, "id"));
  co_return empty_reply();
}

Async<Response> retry(const ApiContext& context, Request& request) {
  const std::vector<std::string> what_failed;
  co_await retry_run(context, param(request, "id"), what_failed);
  co_return empty_reply();
}

struct ReportMetrics {
  std::string run_id;
  std::vector<RunMetric> metrics;
};

json::object metric_result(const RunMetric& metric, std::string_view status, std::string_view message) {
  json::object out{{"metric_name", metric.name}, {"metric_node_id", metric.node_id}, {"status", status}};
  if (!message.empty()) out["message"] = message;
  return out;
}

// Each metric is answered for itself; what is wrong with one does not keep the others.
Async<Response> report_metrics(const ApiContext& context, Request& request) {
  static const auto kFields = Fields<ReportMetrics>("ReportRunMetricsRequest")
                                  .add("run_id", &ReportMetrics::run_id)
                                  .add("metrics", &ReportMetrics::metrics, metric_fields());
  const json::value body = co_await read_json(context, request);
  const ReportMetrics message = kFields.read(body);
  const std::string run_id = param(request, "id");
  if (!message.run_id.empty() && message.run_id != run_id) {
    throw Error(Code::InvalidArgument, "run_id: it differs from the one in the path", "run_id");
  }
  std::vector<std::string> problems;
  std::vector<RunMetric> good;
  for (const RunMetric& metric : message.metrics) {
    std::string problem;
    try {
      check_metric(metric);
    } catch (const Error& error) {
      problem = error.message();
    }
    if (problem.empty()) good.push_back(metric);
    problems.push_back(std::move(problem));
  }
  const std::vector<bool> stored = co_await context.store.report_metrics(run_id, std::move(good));
  json::array results;
  size_t next = 0;
  for (size_t i = 0; i < problems.size(); ++i) {
    const RunMetric& metric = message.metrics[i];
    if (!problems[i].empty()) {
      results.push_back(metric_result(metric, "INVALID_ARGUMENT", problems[i]));
    } else if (stored[next++]) {
      results.push_back(metric_result(metric, "OK", ""));
    } else {
      results.push_back(metric_result(metric, "DUPLICATE_REPORTING", "the node has reported this metric before"));
    }
  }
  json::object out;
  if (!results.empty()) out["results"] = std::move(results);
  co_return http::json_response(out);
}

Async<Response> read_artifact(const ApiContext& context, Request& request) {
  const Run run = co_await context.store.get_run(param(request, "id"));
  const TaskRecord task = co_await task_of_node(context, run.run_id, param(request, "node_id"));
  const std::string name = param(request, "artifact_name");
  OutputContent content = co_await read_output(context, task, name);
  const std::shared_ptr<const Spec> spec = co_await load_spec(context, run.spec_hash);
  // Argo keeps the artifacts of Workflows as archives, and clients unpack them.
  if (is_workflow(spec->text) && !content.packed) content.bytes = pack_tar_gz(name, content.bytes);
  json::object out;
  if (!content.bytes.empty()) out["data"] = base64_encode(content.bytes);
  co_return http::json_response(out);
}

}  // namespace

void add_run_routes(Routes& routes) {
  routes.add_v1(Method::Post, "/runs", create);
  routes.add_v1(Method::Get, "/runs", list);
  routes.add_v1(Method::Get, "/runs/{id}", get);
  routes.add_v1(Method::Delete, "/runs/{id}", remove);
  routes.add_v1(Method::Post, "/runs/{id}:archive", archive);
  routes.add_v1(Method::Post, "/runs/{id}:unarchive", unarchive);
  routes.add_v1(Method::Post, "/runs/{id}/terminate", terminate);
  routes.add_v1(Method::Post, "/runs/{id}/retry", retry);
  routes.add_v1(Method::Post, "/runs/{id}:reportMetrics", report_metrics);
  routes.add_v1(Method::Get, "/runs/{id}/nodes/{node_id}/artifacts/{artifact_name}:read", read_artifact);
}

}  // namespace penstock::pipelines::v1
