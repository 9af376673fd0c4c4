#include "pipelines/api/routes.h"

#include <charconv>

namespace penstock::pipelines {

namespace api {

namespace {

constexpr std::string_view kBase = "/apis/v2beta1";
constexpr std::string_view kBaseV1 = "/apis/v1beta1";
constexpr std::string_view kProxied = "/pipeline";
// Above this many bytes JSON is read and checked off the loop.
constexpr size_t kBig = 64 * 1024;

Async<Response> health(const ApiContext& context, Request&) {
  co_return http::json_response(json::object{{"commit_sha", context.options.commit_sha},
                                             {"tag_name", context.options.tag_name},
                                             {"multi_user", false},
                                             {"pipeline_store", "database"}});
}

Async<Response> health_v1(const ApiContext& context, Request&) {
  co_return http::json_response(json::object{
      {"commit_sha", context.options.commit_sha}, {"tag_name", context.options.tag_name}, {"multi_user", false}});
}

// ResourceExhausted is a body past its limit, unless the disk or something else is full.
int error_status(const Error& error) {
  const bool too_large = error.code() == Code::ResourceExhausted && error.field() == "body";
  return too_large ? 413 : http_status(error.code());
}

}  // namespace

void Routes::add(Method method, std::string_view path, Handler handler) {
  add_at(method, fmt::format("{}{}", kBase, path), handler);
}

void Routes::add_v1(Method method, std::string_view path, Handler handler) {
  add_at(method, fmt::format("{}{}", kBaseV1, path), handler);
}

void Routes::add_at(Method method, std::string_view path, Handler handler) {
  const auto call = [context = context_, handler](Request& request) { return handler(*context, request); };
  const http::RouteDoc doc = route_doc(method, path);
  router_.add(method, path, call, doc);
  router_.add(method, fmt::format("{}{}", kProxied, path), call, doc);
}

Async<json::value> read_json(const ApiContext& context, Request& request) {
  std::string body = co_await request.body->read_all(context.options.max_body_bytes);
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) co_return json::object();
  if (body.size() <= kBig) co_return parse_json(body);
  co_return co_await context.blocking.run([&body] { return parse_json(body); });
}

bool has_field(const json::value& body, std::string_view key, std::string_view camel) {
  return body.is_object() && (body.as_object().contains(key) || body.as_object().contains(camel));
}

std::string param(const Request& request, std::string_view name) {
  const auto found = request.params.find(name);
  return found == request.params.end() ? std::string() : found->second;
}

db::ListRequest list_request(const Request& request) {
  db::ListRequest out;
  out.page_token = request.query_or("page_token", request.query_or("pageToken", ""));
  out.sort_by = request.query_or("sort_by", request.query_or("order_by", request.query_or("sortBy", "")));
  out.filter = request.query_or("filter", "");
  const std::string size = request.query_or("page_size", request.query_or("pageSize", ""));
  if (!size.empty()) {
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), out.page_size);
    if (error != std::errc{} || end != size.data() + size.size()) {
      throw Error(Code::InvalidArgument, fmt::format("page_size is {:?}; expected an integer", size), "page_size");
    }
  }
  return out;
}

int int_query(const Request& request, std::string_view name, int fallback) {
  const std::string text = request.query_or(name, "");
  if (text.empty()) return fallback;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(Code::InvalidArgument, fmt::format("{} is {:?}; expected a number", name, text), std::string(name));
  }
  return number;
}

bool bool_query(const Request& request, std::string_view name) {
  const std::string value = request.query_or(name, "");
  if (value == "true" || value == "1") return true;
  if (value.empty() || value == "false" || value == "0") return false;
  throw Error(Code::InvalidArgument, fmt::format("{} is {:?}; expected true or false", name, value), std::string(name));
}

json::object page_json(std::string_view key, json::array items, int64_t total_size, const std::string& token) {
  json::object out;
  if (!items.empty()) out[key] = std::move(items);
  if (total_size != 0) out["total_size"] = total_size;
  if (!token.empty()) out["next_page_token"] = token;
  return out;
}

std::string page_text(std::string_view key, const std::string& items, int64_t total_size, const std::string& token) {
  std::string out = to_text(page_json(key, {}, total_size, token));
  if (!items.empty()) out = fmt::format("{{\"{}\":[{}]{}{}", key, items, out.size() > 2 ? "," : "", out.substr(1));
  return out;
}

Response json_text(std::string text) {
  Response response;
  response.set("Content-Type", "application/json");
  response.body = std::move(text);
  return response;
}

Response empty_reply() { return http::json_response(json::object()); }

Async<std::shared_ptr<const Spec>> check_spec(const ApiContext& context, std::vector<json::value> documents) {
  std::string text = to_text(SpecCache::normalise(std::move(documents)));
  if (text.size() <= kBig) co_return context.specs.parse(std::move(text));
  co_return co_await context.blocking.run([&] { return context.specs.parse(std::move(text)); });
}

Async<std::shared_ptr<const Spec>> load_spec(const ApiContext& context, std::string hash) {
  std::shared_ptr<const Spec> found = context.specs.find(hash);
  if (found) co_return found;
  std::string text = co_await context.store.get_spec(hash);
  co_return co_await context.blocking.run([&] { return context.specs.parse(std::move(text)); });
}

Response gateway_error(const Request&, const Error& error) {
  const int code = static_cast<int>(error.code());
  json::object detail{{"@type", "type.googleapis.com/google.rpc.Status"}, {"code", code}, {"message", error.message()}};
  return http::json_response(json::object{{"error", error.message()},
                                          {"code", code},
                                          {"message", error.message()},
                                          {"details", json::array{std::move(detail)}}},
                             error_status(error));
}

Response upload_error(const Request&, const Error& error) {
  return http::json_response(json::object{{"error_message", error.message()}, {"error_details", error.message()}},
                             error_status(error));
}

}  // namespace api

void add_routes(http::Router& router, const ApiContext& context) {
  using namespace api;
  for (const char* prefix : {"", "/pipeline"}) {
    router.on_error(fmt::format("{}/apis/", prefix), gateway_error);
    router.on_error(fmt::format("{}/artifacts/", prefix), gateway_error);
    router.on_error(fmt::format("{}/apis/v2beta1/pipelines/upload", prefix), upload_error);
    router.on_error(fmt::format("{}/apis/v1beta1/pipelines/upload", prefix), upload_error);
  }
  Routes routes(router, std::make_shared<const ApiContext>(context));  // shared by the handlers of all routes
  routes.add(Method::Get, "/healthz", health);
  routes.add_v1(Method::Get, "/healthz", health_v1);
  add_experiment_routes(routes);
  add_pipeline_routes(routes);
  add_upload_routes(routes);
  add_run_routes(routes);
  add_recurring_run_routes(routes);
  add_task_routes(routes);
  add_log_routes(routes);
  add_example_routes(routes);
  add_artifact_routes(routes);
  add_reported_task_routes(routes);
  add_reported_artifact_routes(routes);
  add_lineage_routes(routes);
  add_artifact_file_routes(routes);
  add_artifact_metric_routes(routes);
  add_artifact_type_routes(routes);
  add_auth_routes(routes);
  add_agent_routes(routes);
  add_visualization_routes(routes);
  add_filter_routes(routes);
  add_retention_routes(routes);
  add_usage_routes(routes);
  add_v1_routes(routes);
}

}  // namespace penstock::pipelines
