// Quick starts: pipelines that are part of the program and run with one request.
#include <algorithm>

#include "pipelines/api/messages.h"
#include "pipelines/api/new_run.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

struct RunExample {
  std::string display_name;
  std::string experiment_id;
  json::object parameters;
};

const Fields<RunExample>& run_example_fields() {
  static const auto kFields =
      Fields<RunExample>("RunExampleRequest")
          .add("display_name", &RunExample::display_name, {.max_length = 1'024, .doc = "The example's when missing."})
          .add("experiment_id", &RunExample::experiment_id, {.max_length = 64})
          .add("parameters", &RunExample::parameters, {.doc = "Values by parameter name."});
  return kFields;
}

const Example& example_of(const ApiContext& context, const Request& request) {
  const std::string name = param(request, "name");
  const auto found = std::ranges::find(context.options.examples, name, &Example::name);
  if (found == context.options.examples.end()) throw not_found("there is no example {:?}", name);
  return *found;
}

json::object example_json(const Example& example) {
  return {{"name", example.name}, {"description", example.description}};
}

Async<Response> list(const ApiContext& context, Request&) {
  json::array out;
  for (const Example& example : context.options.examples) out.push_back(example_json(example));
  co_return http::json_response(json::object{{"examples", std::move(out)}});
}

Async<Response> get(const ApiContext& context, Request& request) {
  const Example& example = example_of(context, request);
  json::object out = example_json(example);
  out["source"] = example.source;
  out["pipeline_spec"] = parse_json(example.spec);
  co_return http::json_response(out);
}

Async<Response> run(const ApiContext& context, Request& request) {
  const Example& example = example_of(context, request);
  const json::value body = co_await read_json(context, request);
  RunExample wanted = run_example_fields().read(body);
  Run made;
  made.display_name = wanted.display_name.empty() ? std::string(example.name) : std::move(wanted.display_name);
  made.description = example.description;
  made.experiment_id = std::move(wanted.experiment_id);
  made.runtime_config.parameters = std::move(wanted.parameters);
  json::object spec = parse_json(example.spec).as_object();
  const std::string no_version;
  const PipelineVersionReference no_reference;
  RunSource source = co_await find_source(context, std::move(spec), no_version, no_reference);
  const std::string text = source.spec->text;
  RunMessage answer;
  static_cast<Run&>(answer) = co_await make_run(context, std::move(made), std::move(source));
  co_return json_text(run_text(std::move(answer), text));
}

}  // namespace

void add_example_routes(Routes& routes) {
  routes.add_at(Method::Get, "/apis/penstock/v1/examples", list);
  routes.add_at(Method::Get, "/apis/penstock/v1/examples/{name}", get);
  routes.add_at(Method::Post, "/apis/penstock/v1/examples/{name}:run", run);
}

void add_example_schemas(Schemas& schemas) {
  schemas.add(run_example_fields().table());
  schemas.add("Example", {{"name!", "string"},
                          {"description!", "string"},
                          {"source", "string", "The Python that it was made of."},
                          {"pipeline_spec", "object"}});
  schemas.add("ListExamplesResponse", {{"examples!", "[Example]"}});
}

}  // namespace penstock::pipelines::api
