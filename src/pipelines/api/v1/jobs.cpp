// Recurring runs.
#include "pipelines/api/new_recurring_run.h"
#include "pipelines/api/v1/requests.h"
#include "pipelines/api/v1/routes.h"

namespace penstock::pipelines::v1 {

namespace {

std::vector<std::string> ids_of(const RecurringRun& run) {
  std::vector<std::string> ids;
  ids.push_back(run.experiment_id);
  ids.push_back(run.pipeline_version_reference.pipeline_id);
  ids.push_back(run.pipeline_version_reference.pipeline_version_id);
  return ids;
}

Async<Response> reply(const ApiContext& context, RecurringRun recurring) {
  std::string spec;
  if (!recurring.spec_hash.empty()) spec = co_await context.store.get_spec(recurring.spec_hash);
  const Names names = co_await context.store.names_of(ids_of(recurring));
  co_return http::json_response(job_v1_fields().write(to_v1(recurring, names, spec)));
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  JobV1 message = job_v1_fields().read(body);
  RecurringRun recurring;
  recurring.display_name = message.name;
  recurring.description = message.description;
  recurring.service_account = message.service_account;
  recurring.experiment_id = referred(message.resource_references, ResourceType::Experiment);
  recurring.max_concurrency = message.max_concurrency;
  recurring.no_catchup = message.no_catchup;
  recurring.enabled = message.enabled || message.mode == JobMode::Enabled;
  default_interval(body, message.trigger);
  recurring.trigger = read_trigger(message.trigger);
  RunSource source = co_await find_source_v1(context, message.pipeline_spec, message.resource_references);
  recurring.runtime_config = runtime_config_of(message.pipeline_spec, *source.spec);
  recurring = co_await make_recurring_run(context, std::move(recurring), std::move(source));
  co_return co_await reply(context, std::move(recurring));
}

Async<Response> get(const ApiContext& context, Request& request) {
  co_return co_await reply(context, co_await context.store.get_recurring_run(param(request, "id")));
}

Async<Response> list(const ApiContext& context, Request& request) {
  const ResourceQuery resource = resource_query(request, "resource_reference_key");
  check_resource(resource, {ResourceType::Experiment, ResourceType::Namespace}, "jobs");
  const std::string experiment = resource.type == ResourceType::Experiment ? resource.id : std::string();
  const Page<RecurringRun> page = co_await context.store.list_recurring_runs(experiment, list_request_v1(request));
  std::vector<std::string> ids, hashes;
  for (const RecurringRun& run : page.items) {
    for (std::string& id : ids_of(run)) ids.push_back(std::move(id));
    if (!run.spec_hash.empty()) hashes.push_back(run.spec_hash);
  }
  const Names names = co_await context.store.names_of(std::move(ids));
  Specs specs = co_await context.store.get_specs(std::move(hashes), kMaxListedSpec);
  json::array items;
  for (const RecurringRun& run : page.items) {
    items.push_back(job_v1_fields().write(to_v1(run, names, specs[run.spec_hash])));
  }
  co_return http::json_response(page_json("jobs", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> remove(const ApiContext& context, Request& request) {
  co_await context.store.delete_recurring_run(param(request, "id"));
  tell_scheduler(context);
  co_return empty_reply();
}

Async<Response> enable(const ApiContext& context, Request& request) {
  co_await context.store.enable_recurring_run(param(request, "id"), true);
  tell_scheduler(context);
  co_return empty_reply();
}

Async<Response> disable(const ApiContext& context, Request& request) {
  co_await context.store.enable_recurring_run(param(request, "id"), false);
  tell_scheduler(context);
  co_return empty_reply();
}

}  // namespace

void add_job_routes(Routes& routes) {
  routes.add_v1(Method::Post, "/jobs", create);
  routes.add_v1(Method::Get, "/jobs", list);
  routes.add_v1(Method::Get, "/jobs/{id}", get);
  routes.add_v1(Method::Delete, "/jobs/{id}", remove);
  routes.add_v1(Method::Post, "/jobs/{id}/enable", enable);
  routes.add_v1(Method::Post, "/jobs/{id}/disable", disable);
}

}  // namespace penstock::pipelines::v1
