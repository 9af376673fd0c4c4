#include "pipelines/api/import_url.h"
#include "pipelines/api/messages.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kMaxPipelineName = 128, kMaxVersionName = 127;

// The display name is the name where there is no other.
void check_name(std::string_view name, std::string_view display_name, std::string_view kind, size_t limit) {
  if (name.empty() && display_name.empty()) {
    throw Error(Code::InvalidArgument, fmt::format("a {} needs a name or a display_name", kind), "name");
  }
  if (name.empty() && display_name.size() > limit) {
    throw Error(
        Code::InvalidArgument,
        fmt::format("display_name: it has {} bytes; give a name too, of at most {}", display_name.size(), limit),
        "display_name");
  }
}

// The spec that a version's message gives, checked.
Async<std::shared_ptr<const Spec>> spec_of(const ApiContext& context, VersionMessage& message) {
  const std::string& url = message.package.pipeline_url;
  if (message.pipeline_spec.empty() == url.empty()) {
    throw Error(Code::InvalidArgument,
                url.empty() ? "a pipeline version needs a pipeline_spec or a package_url"
                            : "pipeline_spec and package_url are given; a version has one of them",
                "pipeline_spec");
  }
  if (!url.empty()) {
    message.package_url = url;
    auto fetched = co_await import_package(context, url, "package_url.pipeline_url");
    co_return co_await check_spec(context, std::move(fetched));
  }
  std::vector<json::value> documents;
  documents.emplace_back(std::move(message.pipeline_spec));
  co_return co_await check_spec(context, std::move(documents));
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  Pipeline pipeline = pipeline_fields().read(body);
  check_name(pipeline.name, pipeline.display_name, "pipeline", kMaxPipelineName);
  check_tags(pipeline.tags);
  pipeline.name_space.clear();
  pipeline = co_await context.store.create_pipeline(std::move(pipeline));
  co_return http::json_response(pipeline_fields().write(pipeline));
}

Async<Response> create_with_version(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  CreatePipelineMessage message = create_pipeline_fields().read(body);
  Pipeline& pipeline = message.pipeline;
  VersionMessage& version = message.pipeline_version;
  check_name(pipeline.name, pipeline.display_name, "pipeline", kMaxPipelineName);
  if (version.name.empty() && version.display_name.empty()) {
    version.name = (pipeline.name.empty() ? pipeline.display_name : pipeline.name).substr(0, kMaxVersionName);
  }
  check_name(version.name, version.display_name, "pipeline version", kMaxVersionName);
  check_tags(pipeline.tags);
  check_tags(version.tags);
  pipeline.name_space.clear();
  const std::shared_ptr<const Spec> spec = co_await spec_of(context, version);
  version.spec_hash = spec->hash;
  const auto made = co_await context.store.create_pipeline_and_version(std::move(pipeline), version, spec->text);
  co_return http::json_response(pipeline_fields().write(made.first));
}

Async<Response> get(const ApiContext& context, Request& request) {
  const Pipeline pipeline = co_await context.store.get_pipeline(param(request, "pipeline_id"));
  co_return http::json_response(pipeline_fields().write(pipeline));
}

Async<Response> get_by_name(const ApiContext& context, Request& request) {
  const Pipeline pipeline = co_await context.store.get_pipeline_by_name(param(request, "name"));
  co_return http::json_response(pipeline_fields().write(pipeline));
}

Async<Response> list(const ApiContext& context, Request& request) {
  const Page<Pipeline> page = co_await context.store.list_pipelines(list_request(request));
  json::array items;
  for (const Pipeline& pipeline : page.items) items.push_back(pipeline_fields().write(pipeline));
  co_return http::json_response(page_json("pipelines", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> update(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  Pipeline changes = pipeline_fields().read(body);
  check_tags(changes.tags);
  Pipeline pipeline = co_await context.store.get_pipeline(param(request, "pipeline_id"));
  if (has_field(body, "display_name", "displayName")) pipeline.display_name = changes.display_name;
  if (has_field(body, "description", "description")) pipeline.description = changes.description;
  if (has_field(body, "tags", "tags")) pipeline.tags = changes.tags;
  pipeline = co_await context.store.update_pipeline(std::move(pipeline));
  co_return http::json_response(pipeline_fields().write(pipeline));
}

Async<Response> remove(const ApiContext& context, Request& request) {
  co_await context.store.delete_pipeline(param(request, "pipeline_id"), bool_query(request, "cascade"));
  co_return empty_reply();
}

Async<Response> create_version(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  VersionMessage message = version_fields().read(body);
  const std::string pipeline_id = param(request, "pipeline_id");
  if (!message.pipeline_id.empty() && message.pipeline_id != pipeline_id) {
    throw Error(Code::InvalidArgument, "pipeline_id differs from the one in the path", "pipeline_id");
  }
  message.pipeline_id = pipeline_id;
  check_name(message.name, message.display_name, "pipeline version", kMaxVersionName);
  check_tags(message.tags);
  const std::shared_ptr<const Spec> spec = co_await spec_of(context, message);
  message.spec_hash = spec->hash;
  const PipelineVersion version = co_await context.store.create_version(message, spec->text);
  co_return json_text(version_text(version, spec->text));
}

Async<Response> get_version(const ApiContext& context, Request& request) {
  const PipelineVersion version =
      co_await context.store.get_version(param(request, "pipeline_id"), param(request, "pipeline_version_id"));
  const std::string spec = co_await context.store.get_spec(version.spec_hash);
  co_return json_text(version_text(version, spec));
}

Async<Response> list_versions(const ApiContext& context, Request& request) {
  const Pipeline pipeline = co_await context.store.get_pipeline(param(request, "pipeline_id"));
  const Page<PipelineVersion> page = co_await context.store.list_versions(pipeline.pipeline_id, list_request(request));
  std::vector<std::string> hashes;
  for (const PipelineVersion& version : page.items) hashes.push_back(version.spec_hash);
  const auto specs = co_await context.store.get_specs(std::move(hashes), kMaxListedSpec);
  std::string text;
  for (const PipelineVersion& version : page.items) {
    if (!text.empty()) text += ',';
    const auto spec = specs.find(version.spec_hash);
    text += version_text(version, spec == specs.end() ? std::string_view() : std::string_view(spec->second));
  }
  co_return json_text(page_text("pipeline_versions", text, page.total_size, page.next_page_token));
}

Async<Response> update_version(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  const VersionMessage changes = version_fields().read(body);
  check_tags(changes.tags);
  PipelineVersion version =
      co_await context.store.get_version(param(request, "pipeline_id"), param(request, "pipeline_version_id"));
  if (has_field(body, "display_name", "displayName")) version.display_name = changes.display_name;
  if (has_field(body, "description", "description")) version.description = changes.description;
  if (has_field(body, "tags", "tags")) version.tags = changes.tags;
  version = co_await context.store.update_version(std::move(version));
  co_return json_text(version_text(version, {}));
}

Async<Response> remove_version(const ApiContext& context, Request& request) {
  co_await context.store.delete_version(param(request, "pipeline_id"), param(request, "pipeline_version_id"));
  co_return empty_reply();
}

}  // namespace

void add_pipeline_routes(Routes& routes) {
  routes.add(Method::Post, "/pipelines", create);
  routes.add(Method::Post, "/pipelines/create", create_with_version);
  routes.add(Method::Get, "/pipelines", list);
  routes.add(Method::Get, "/pipelines/{pipeline_id}", get);
  routes.add(Method::Get, "/pipelines/names/{name}", get_by_name);
  routes.add(Method::Patch, "/pipelines/{pipeline_id}", update);
  routes.add(Method::Delete, "/pipelines/{pipeline_id}", remove);
  routes.add(Method::Post, "/pipelines/{pipeline_id}/versions", create_version);
  routes.add(Method::Get, "/pipelines/{pipeline_id}/versions", list_versions);
  routes.add(Method::Get, "/pipelines/{pipeline_id}/versions/{pipeline_version_id}", get_version);
  routes.add(Method::Patch, "/pipelines/{pipeline_id}/versions/{pipeline_version_id}", update_version);
  routes.add(Method::Delete, "/pipelines/{pipeline_id}/versions/{pipeline_version_id}", remove_version);
}

}  // namespace penstock::pipelines::api
