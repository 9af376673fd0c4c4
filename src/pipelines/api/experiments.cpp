#include "pipelines/api/messages.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  Experiment experiment = experiment_fields().read(body);
  experiment.name_space.clear();  // one user, one namespace
  experiment = co_await context.store.create_experiment(std::move(experiment));
  co_return http::json_response(experiment_fields().write(experiment));
}

Async<Response> get(const ApiContext& context, Request& request) {
  const Experiment experiment = co_await context.store.get_experiment(param(request, "experiment_id"));
  co_return http::json_response(experiment_fields().write(experiment));
}

Async<Response> list(const ApiContext& context, Request& request) {
  const Page<Experiment> page = co_await context.store.list_experiments(list_request(request));
  json::array items;
  for (const Experiment& experiment : page.items) items.push_back(experiment_fields().write(experiment));
  co_return http::json_response(page_json("experiments", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> remove(const ApiContext& context, Request& request) {
  co_await context.store.delete_experiment(param(request, "experiment_id"));
  co_return empty_reply();
}

Async<Response> archive(const ApiContext& context, Request& request) {
  co_await context.store.archive_experiment(param(request, "experiment_id"));
  co_return empty_reply();
}

Async<Response> unarchive(const ApiContext& context, Request& request) {
  co_await context.store.unarchive_experiment(param(request, "experiment_id"));
  co_return empty_reply();
}

}  // namespace

void add_experiment_routes(Routes& routes) {
  routes.add(Method::Post, "/experiments", create);
  routes.add(Method::Get, "/experiments", list);
  routes.add(Method::Get, "/experiments/{experiment_id}", get);
  routes.add(Method::Delete, "/experiments/{experiment_id}", remove);
  routes.add(Method::Post, "/experiments/{experiment_id}:archive", archive);
  routes.add(Method::Post, "/experiments/{experiment_id}:unarchive", unarchive);
}

}  // namespace penstock::pipelines::api
