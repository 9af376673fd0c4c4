// What the files of this API share: registering handlers, reading requests. Private to this folder.
#pragma once

#include "db/list.h"
#include "http/router.h"
#include "pipelines/api/api.h"

namespace penstock::pipelines::api {

using http::Method;
using http::Request;
using http::Response;
using Handler = Async<Response> (*)(const ApiContext& context, Request& request);

// Registers handlers, at both places where the API is served. The router's handlers keep the context alive.
class Routes {
 public:
  Routes(http::Router& router, std::shared_ptr<const ApiContext> context)
      : router_(router), context_(std::move(context)) {}
  void add(Method method, std::string_view path, Handler handler);     // below /apis/v2beta1
  void add_v1(Method method, std::string_view path, Handler handler);  // below /apis/v1beta1
  void add_at(Method method, std::string_view path, Handler handler);  // at the path itself and below /pipeline

 private:
  http::Router& router_;
  std::shared_ptr<const ApiContext> context_;
};

// What the API's document says of a route; openapi.cpp.
http::RouteDoc route_doc(Method method, std::string_view path);

void add_experiment_routes(Routes& routes);
void add_pipeline_routes(Routes& routes);
void add_upload_routes(Routes& routes);
void add_run_routes(Routes& routes);
void add_recurring_run_routes(Routes& routes);
void add_task_routes(Routes& routes);
void add_log_routes(Routes& routes);
void add_example_routes(Routes& routes);
void add_example_schemas(Schemas& schemas);
void add_artifact_routes(Routes& routes);
// What clients report: tasks and artifacts of their own.
void add_reported_task_routes(Routes& routes);
void add_reported_artifact_routes(Routes& routes);
// Penstock's own, below /apis/penstock/v1.
void add_lineage_routes(Routes& routes);
void add_artifact_file_routes(Routes& routes);
void add_artifact_metric_routes(Routes& routes);
void add_artifact_type_routes(Routes& routes);
// Those that v1beta1 and v2beta1 share.
void add_auth_routes(Routes& routes);
void add_agent_routes(Routes& routes);
void add_visualization_routes(Routes& routes);
void add_filter_routes(Routes& routes);
// Penstock's additions.
void add_retention_routes(Routes& routes);
void add_usage_routes(Routes& routes);
void add_v1_routes(Routes& routes);  // v1/

// The body as JSON; an empty one is {}. ResourceExhausted past the limit.
Async<json::value> read_json(const ApiContext& context, Request& request);
// Present in a request's body, in either case of letters.
bool has_field(const json::value& body, std::string_view key, std::string_view camel);
std::string param(const Request& request, std::string_view name);
// page_token, page_size, sort_by (or order_by) and filter. InvalidArgument.
db::ListRequest list_request(const Request& request);
// InvalidArgument unless it is a number or absent.
int int_query(const Request& request, std::string_view name, int fallback);
bool bool_query(const Request& request, std::string_view name);  // InvalidArgument unless it is a bool or absent

// {`key`: items, "total_size", "next_page_token"} without what is empty.
json::object page_json(std::string_view key, json::array items, int64_t total_size, const std::string& token);
// The same of items that are text already, joined by commas.
std::string page_text(std::string_view key, const std::string& items, int64_t total_size, const std::string& token);
Response json_text(std::string text);
Response empty_reply();  // {}

inline constexpr size_t kMaxListedSpec = 32 * 1024;  // bigger specs are left out of lists

// The spec of `documents`, checked; parsed off the loop when it is big. InvalidArgument with the path of the fault.
Async<std::shared_ptr<const Spec>> check_spec(const ApiContext& context, std::vector<json::value> documents);
// The spec with this hash, from the cache or the store.
Async<std::shared_ptr<const Spec>> load_spec(const ApiContext& context, std::string hash);

// By the task's id or name, the name of one of its pods, or its node's id in the run's Workflow. NotFound.
Async<TaskRecord> task_of_node(const ApiContext& context, std::string run_id, std::string node);
struct OutputContent {
  std::string bytes;
  bool packed = false;  // it is a folder: a tar.gz of it
};
// A task's output artifact, of a file the first 32 MiB. NotFound, FailedPrecondition when it is not here,
// ResourceExhausted for a folder that is larger.
Async<OutputContent> read_output(const ApiContext& context, const TaskRecord& task, const std::string& name);

Response gateway_error(const Request& request, const Error& error);
Response upload_error(const Request& request, const Error& error);

}  // namespace penstock::pipelines::api
