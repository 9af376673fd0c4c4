#include "pipelines/api/v1/requests.h"
#include "pipelines/api/v1/routes.h"

namespace penstock::pipelines::v1 {

namespace {

Response reply(const Experiment& experiment) {
  return http::json_response(experiment_message_fields().write(to_v1(experiment)));
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  const ExperimentMessage message = experiment_message_fields().read(body);
  Experiment experiment;  // one user, one namespace: a reference to one changes nothing
  experiment.display_name = message.name;
  experiment.description = message.description;
  experiment = co_await context.store.create_experiment(std::move(experiment));
  co_return reply(experiment);
}

Async<Response> get(const ApiContext& context, Request& request) {
  co_return reply(co_await context.store.get_experiment(param(request, "id")));
}

Async<Response> list(const ApiContext& context, Request& request) {
  check_resource(resource_query(request, "resource_reference_key"), {ResourceType::Namespace}, "experiments");
  const Page<Experiment> page = co_await context.store.list_experiments(list_request_v1(request));
  json::array items;
  for (const Experiment& experiment : page.items) items.push_back(experiment_message_fields().write(to_v1(experiment)));
  co_return http::json_response(page_json("experiments", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> remove(const ApiContext& context, Request& request) {
  co_await context.store.delete_experiment(param(request, "id"));
  co_return empty_reply();
}

Async<Response> archive(const ApiContext& context, Request& request) {
  co_await context.store.archive_experiment(param(request, "id"));
  co_return empty_reply();
}

Async<Response> unarchive(const ApiContext& context, Request& request) {
  co_await context.store.unarchive_experiment(param(request, "id"));
  co_return empty_reply();
}

}  // namespace

void add_experiment_routes(Routes& routes) {
  routes.add_v1(Method::Post, "/experiments", create);
  routes.add_v1(Method::Get, "/experiments", list);
  routes.add_v1(Method::Get, "/experiments/{id}", get);
  routes.add_v1(Method::Delete, "/experiments/{id}", remove);
  routes.add_v1(Method::Post, "/experiments/{id}:archive", archive);
  routes.add_v1(Method::Post, "/experiments/{id}:unarchive", unarchive);
}

}  // namespace penstock::pipelines::v1
