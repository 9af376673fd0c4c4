// Where an agent that watches Workflows on a cluster reports them. The runs of this server are carried out by itself:
// what it knows of them is never replaced by a report. A report is checked, and refused when it is of no run that is
// here; else it is answered as accepted, so that such an agent keeps quiet.
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

// The resource inside a report: JSON in a JSON string, or the JSON itself. InvalidArgument.
Async<json::object> read_resource(const ApiContext& context, Request& request, std::string_view kind) {
  json::value body = co_await read_json(context, request);
  if (body.is_string()) body = parse_json(to_std(body.as_string()));
  if (!body.is_object()) throw invalid("expected the JSON of a {} as a string", kind);
  json::object resource = std::move(body.as_object());
  if (const std::string given = get_string(resource, "kind", kind); given != kind) {
    throw Error(Code::InvalidArgument, fmt::format("kind is {:?}; expected {}", given, kind), "kind");
  }
  const json::object* metadata = find_object(resource, "metadata");
  for (const std::string_view field : {"name", "namespace", "uid"}) {
    if (metadata && !get_string(*metadata, field).empty()) continue;
    const std::string path = fmt::format("metadata.{}", field);
    throw Error(Code::InvalidArgument, fmt::format("{}: it is required and missing", path), path);
  }
  co_return resource;
}

// The run that a Workflow belongs to.
std::string run_of(const json::object& workflow) {
  const json::value& metadata = workflow.at("metadata");
  return string_at(metadata, {"labels", "pipeline/runid"}, string_at(metadata, {"uid"}));
}

Async<Response> workflow(const ApiContext& context, Request& request) {
  const json::object resource = co_await read_resource(context, request, "Workflow");
  co_await context.store.get_run(run_of(resource));
  co_return empty_reply();
}

Async<Response> scheduled_workflow(const ApiContext& context, Request& request) {
  const json::object resource = co_await read_resource(context, request, "ScheduledWorkflow");
  co_await context.store.get_recurring_run(get_string(resource.at("metadata").as_object(), "uid"));
  co_return empty_reply();
}

}  // namespace

void add_agent_routes(Routes& routes) {
  routes.add(Method::Post, "/workflows", workflow);
  routes.add_v1(Method::Post, "/workflows", workflow);
  routes.add(Method::Post, "/scheduledworkflows", scheduled_workflow);
  routes.add_v1(Method::Post, "/scheduledworkflows", scheduled_workflow);
}

}  // namespace penstock::pipelines::api
