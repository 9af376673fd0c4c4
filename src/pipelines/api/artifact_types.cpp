// Types of artifacts, artifacts by them, versions of an artifact, and executions: what a metadata store tells.
#include "pipelines/api/artifact_bytes.h"
#include "pipelines/api/artifact_messages.h"
#include "pipelines/api/messages.h"
#include "pipelines/store/summaries.h"

namespace penstock::pipelines::api {

namespace {

json::object type_json(const metadata::ArtifactType& type) {
  json::object out;
  if (type.type_id != 0) out["type_id"] = std::to_string(type.type_id);
  out["schema_title"] = type.schema_title;
  out["schema_version"] = type.schema_version;
  if (!type.instance_schema.empty()) out["instance_schema"] = type.instance_schema;
  json::object properties;
  for (const auto& [name, property] : type.properties) properties[name] = property;
  if (!properties.empty()) out["properties"] = std::move(properties);
  if (type.created_at != Time{}) out["created_at"] = format_time(type.created_at, true);
  return out;
}

Async<Response> list_types(const ApiContext& context, Request& request) {
  const metadata::Store::TypePage page = co_await context.metadata.list_types(list_request(request));
  json::array items;
  for (const metadata::ArtifactType& type : page.items) items.push_back(type_json(type));
  co_return http::json_response(page_json("artifact_types", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> get_type(const ApiContext& context, Request& request) {
  const metadata::ArtifactType type = co_await context.metadata.get_type(param(request, "type"));
  co_return http::json_response(type_json(type));
}

// What lies at the artifact's URI: "object", "folder", "none", or "elsewhere" when it is not this server's. Blocks.
std::string_view content_of(const objects::Store& objects, const metadata::Artifact& artifact) {
  try {
    const ArtifactBytes bytes(objects, artifact.uri, "");
    if (bytes.open()) return "object";
    return bytes.list("", 1).entries.empty() ? "none" : "folder";
  } catch (const Error& error) {
    if (error.code() != Code::FailedPrecondition && error.code() != Code::InvalidArgument) throw;
    return "elsewhere";
  }
}

// Each with its type: {"rows": {"type": "INT", "value": 3}}. Those that the type's schema declares apart from others.
void add_properties(const metadata::Artifact& artifact, const metadata::ArtifactType& type, json::object& out) {
  json::object properties, custom;
  for (const auto& [name, value] : artifact.metadata) {
    const std::string key(name);
    const auto declared = type.properties.find(key);
    const std::string_view kind =
        declared != type.properties.end() ? std::string_view(declared->second) : std::string_view();
    // A whole number is one of either kind.
    const std::string_view held = metadata::property_type(value);
    const bool widened = kind == "DOUBLE" && held == "INT";
    json::object entry{{"type", widened ? kind : held}, {"value", value}};
    (kind.empty() ? custom : properties)[name] = std::move(entry);
  }
  if (!properties.empty()) out["properties"] = std::move(properties);
  if (!custom.empty()) out["custom_properties"] = std::move(custom);
}

Async<Response> get_artifact(const ApiContext& context, Request& request) {
  const metadata::Artifact artifact = co_await artifact_of(context, request);
  const metadata::ArtifactType type = co_await context.metadata.type_of(artifact.type, artifact.type_version);
  json::object out = own_artifact_json(artifact);
  out["artifact_type"] = type_json(type);
  add_properties(artifact, type, out);
  out["content"] = co_await context.blocking.run([&] { return content_of(context.objects, artifact); });
  co_return http::json_response(std::move(out));
}

// by=name: the same output of the same task of the pipeline, in this run and others; by=uri: what was recorded at the
// same place.
Async<Response> list_versions(const ApiContext& context, Request& request) {
  const std::string by = request.query_or("by", "name");
  if (by != "name" && by != "uri") {
    throw Error(Code::InvalidArgument, fmt::format("by is {:?}; expected name or uri", by), "by");
  }
  const metadata::Artifact artifact = co_await artifact_of(context, request);
  std::vector<metadata::Artifact> found;
  int64_t total = 0;
  std::string token;
  if (by == "uri") {
    metadata::Store::Page page = co_await context.metadata.at_uri(artifact.uri, list_request(request));
    found = std::move(page.items);
    total = page.total_size;
    token = std::move(page.next_page_token);
  } else {
    const auto limit = static_cast<size_t>(number_query(request, "page_size", 20, 1, 200));
    const int64_t before = number_query(request, "page_token", INT64_MAX, 1, INT64_MAX);
    const store::VersionPage page = co_await context.store.database().read(
        [&](db::Connection& c) { return store::versions_of_output(c, artifact, before, limit); });
    found = co_await context.metadata.get_all(page.artifact_ids);
    std::ranges::reverse(found);
    if (page.next != 0) token = std::to_string(page.next);
  }
  json::array items;
  for (const metadata::Artifact& one : found) items.push_back(own_artifact_json(one));
  co_return http::json_response(page_json("artifacts", std::move(items), total, token));
}

json::object execution_json(const store::Execution& execution) {
  json::object out = task_json(execution.task, {});
  out["execution_id"] = std::to_string(execution.execution_id);
  return out;
}

Async<Response> list_executions(const ApiContext& context, Request& request) {
  const auto page = co_await context.store.list_executions(request.query_or("run_id", ""), list_request(request));
  json::array items;
  for (const store::Execution& execution : page.items) items.push_back(execution_json(execution));
  co_return http::json_response(page_json("executions", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> get_execution(const ApiContext& context, Request& request) {
  const std::string id = param(request, "execution_id");
  const store::Execution execution = co_await context.store.get_execution(id_of(id, "execution_id"));
  json::object out = execution_json(execution);
  const auto run = co_await context.store.database().read(
      [&](db::Connection& c) { return store::run_summary(c, execution.task.run_id); });
  if (run) out["run"] = run_summary_json(*run);
  co_return http::json_response(std::move(out));
}

}  // namespace

void add_artifact_type_routes(Routes& routes) {
  routes.add_at(Method::Get, "/apis/penstock/v1/artifact_types", list_types);
  routes.add_at(Method::Get, "/apis/penstock/v1/artifact_types/{type}", get_type);
  routes.add_at(Method::Get, "/apis/penstock/v1/artifacts/{artifact_id}", get_artifact);
  routes.add_at(Method::Get, "/apis/penstock/v1/artifacts/{artifact_id}/versions", list_versions);
  routes.add_at(Method::Get, "/apis/penstock/v1/executions", list_executions);
  routes.add_at(Method::Get, "/apis/penstock/v1/executions/{execution_id}", get_execution);
}

}  // namespace penstock::pipelines::api
