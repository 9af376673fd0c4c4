// Pipelines, their versions, templates and uploads.
#include "pipelines/api/import_url.h"
#include "pipelines/api/uploads.h"
#include "pipelines/api/v1/requests.h"
#include "pipelines/api/v1/routes.h"

namespace penstock::pipelines::v1 {

namespace {

// Null where it cannot be read any more: what is listed must not fail by one of its specs.
Async<std::shared_ptr<const Spec>> spec_or_null(const ApiContext& context, std::string hash) {
  try {
    co_return co_await load_spec(context, std::move(hash));
  } catch (const Error&) {
    co_return nullptr;
  }
}

Async<json::object> pipeline_message(const ApiContext& context, Pipeline pipeline,
                                     std::optional<PipelineVersion> version) {
  PipelineV1 out;
  out.id = pipeline.pipeline_id;
  out.name = pipeline.name;
  out.description = pipeline.description;
  out.created_at = pipeline.created_at;
  if (version) {
    const auto spec = co_await spec_or_null(context, version->spec_hash);
    const Names names{{pipeline.pipeline_id, pipeline.name}};
    out.default_version = to_v1(*version, names, spec.get());
    out.parameters = out.default_version.parameters;
    out.url = out.default_version.package_url;
  }
  co_return pipeline_v1_fields().write(out);
}

Async<Response> reply(const ApiContext& context, Pipeline pipeline) {
  std::vector<std::string> ids;
  ids.push_back(pipeline.pipeline_id);
  auto versions = co_await context.store.default_versions(std::move(ids));
  const auto found = versions.find(pipeline.pipeline_id);
  std::optional<PipelineVersion> version;
  if (found != versions.end()) version = std::move(found->second);
  co_return http::json_response(co_await pipeline_message(context, std::move(pipeline), std::move(version)));
}

Async<json::object> version_message(const ApiContext& context, PipelineVersion version) {
  const auto spec = co_await spec_or_null(context, version.spec_hash);
  std::vector<std::string> ids;
  ids.push_back(version.pipeline_id);
  const Names names = co_await context.store.names_of(std::move(ids));
  co_return version_v1_fields().write(to_v1(version, names, spec.get()));
}

[[noreturn]] void refuse(const std::string& field, std::string_view why) {
  throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, why), field);
}

// v1 makes pipelines of packages alone.
Async<std::shared_ptr<const Spec>> fetch(const ApiContext& context, std::string url, std::string field) {
  if (url.empty()) refuse(field, "it is required and missing; a file is uploaded at pipelines/upload");
  auto documents = co_await import_package(context, url, field);
  co_return co_await check_spec(context, std::move(documents));
}

std::string last_part(const std::string& url) {
  const std::string path = url.substr(0, url.find_first_of("?#"));
  return path.substr(path.rfind('/') + 1);
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  const PipelineV1 message = pipeline_v1_fields().read(body);
  const std::string& url = message.url.pipeline_url;
  const std::shared_ptr<const Spec> spec = co_await fetch(context, url, "url.pipeline_url");
  Pipeline pipeline;
  pipeline.name = message.name.empty() ? last_part(url) : message.name;
  if (pipeline.name.empty()) refuse("name", "it is missing, and the URL has none");
  pipeline.description = message.description;
  PipelineVersion version;
  version.name = pipeline.name.substr(0, 127);
  version.package_url = url;
  version.spec_hash = spec->hash;
  auto made = co_await context.store.create_pipeline_and_version(std::move(pipeline), std::move(version), spec->text);
  co_return co_await reply(context, std::move(made.first));
}

Async<Response> get(const ApiContext& context, Request& request) {
  co_return co_await reply(context, co_await context.store.get_pipeline(param(request, "id")));
}

Async<Response> get_by_name(const ApiContext& context, Request& request) {
  co_return co_await reply(context, co_await context.store.get_pipeline_by_name(param(request, "name")));
}

Async<Response> list(const ApiContext& context, Request& request) {
  check_resource(resource_query(request, "resource_reference_key"), {ResourceType::Namespace}, "pipelines");
  Page<Pipeline> page = co_await context.store.list_pipelines(list_request_v1(request));
  std::vector<std::string> ids;
  for (const Pipeline& pipeline : page.items) ids.push_back(pipeline.pipeline_id);
  auto versions = co_await context.store.default_versions(std::move(ids));
  json::array items;
  for (Pipeline& pipeline : page.items) {
    std::optional<PipelineVersion> version;
    if (const auto found = versions.find(pipeline.pipeline_id); found != versions.end()) version = found->second;
    items.push_back(co_await pipeline_message(context, std::move(pipeline), std::move(version)));
  }
  co_return http::json_response(page_json("pipelines", std::move(items), page.total_size, page.next_page_token));
}

// As v1 has it, a pipeline goes with its versions.
Async<Response> remove(const ApiContext& context, Request& request) {
  co_await context.store.delete_pipeline(param(request, "id"), true);
  co_return empty_reply();
}

Response template_reply(const std::string& spec) {
  const json::value stored = parse_json(spec);
  const json::value* first = find(stored, "pipeline_spec");
  std::string text = to_yaml(first ? *first : stored);
  if (const json::value* platform = first ? find(stored, "platform_spec") : nullptr) {
    text += "---\n" + to_yaml(*platform);
  }
  return http::json_response(json::object{{"template", std::move(text)}});
}

Async<Response> get_template(const ApiContext& context, Request& request) {
  const Pipeline pipeline = co_await context.store.get_pipeline(param(request, "id"));
  std::vector<std::string> ids;
  ids.push_back(pipeline.pipeline_id);
  const auto versions = co_await context.store.default_versions(std::move(ids));
  if (versions.empty()) throw not_found("Pipeline {} has no version", pipeline.pipeline_id);
  const std::string spec = co_await context.store.get_spec(versions.begin()->second.spec_hash);
  co_return co_await context.blocking.run([&] { return template_reply(spec); });
}

Async<Response> set_default(const ApiContext& context, Request& request) {
  co_await context.store.set_default_version(param(request, "id"), param(request, "version_id"));
  co_return empty_reply();
}

// --- versions ---

Async<Response> create_version(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  const VersionV1 message = version_v1_fields().read(body);
  PipelineVersion version;
  version.pipeline_id = referred(message.resource_references, ResourceType::Pipeline);
  if (version.pipeline_id.empty()) refuse("resource_references", "none of them is the PIPELINE of the version");
  co_await context.store.get_pipeline(version.pipeline_id);
  const std::string& url = message.package_url.pipeline_url;
  const std::shared_ptr<const Spec> spec = co_await fetch(context, url, "package_url.pipeline_url");
  version.name = message.name.empty() ? last_part(url) : message.name;
  if (version.name.empty()) refuse("name", "it is missing, and the URL has none");
  version.description = message.description;
  version.code_source_url = message.code_source_url;
  version.package_url = url;
  version.spec_hash = spec->hash;
  version = co_await context.store.create_version(std::move(version), spec->text);
  co_return http::json_response(co_await version_message(context, std::move(version)));
}

Async<Response> get_version(const ApiContext& context, Request& request) {
  PipelineVersion version = co_await context.store.get_version("", param(request, "version_id"));
  co_return http::json_response(co_await version_message(context, std::move(version)));
}

Async<Response> list_versions(const ApiContext& context, Request& request) {
  const ResourceQuery resource = resource_query(request, "resource_key");
  if (resource.type != ResourceType::Pipeline || resource.id.empty()) {
    refuse("resource_key.type", "versions are listed by their PIPELINE and its resource_key.id");
  }
  const Pipeline pipeline = co_await context.store.get_pipeline(resource.id);
  Page<PipelineVersion> page = co_await context.store.list_versions(pipeline.pipeline_id, list_request_v1(request));
  const Names names{{pipeline.pipeline_id, pipeline.name}};
  json::array items;
  for (const PipelineVersion& version : page.items) {
    const auto spec = co_await spec_or_null(context, version.spec_hash);
    items.push_back(version_v1_fields().write(to_v1(version, names, spec.get())));
  }
  co_return http::json_response(page_json("versions", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> remove_version(const ApiContext& context, Request& request) {
  co_await context.store.delete_version("", param(request, "version_id"));
  co_return empty_reply();
}

Async<Response> get_version_template(const ApiContext& context, Request& request) {
  const PipelineVersion version = co_await context.store.get_version("", param(request, "version_id"));
  const std::string spec = co_await context.store.get_spec(version.spec_hash);
  co_return co_await context.blocking.run([&] { return template_reply(spec); });
}

// --- uploads ---

Async<Response> post_pipeline(const ApiContext& context, Request& request) {
  UploadedPipeline made = co_await upload_pipeline(context, request);
  co_return http::json_response(co_await pipeline_message(context, std::move(made.pipeline), std::move(made.version)));
}

Async<Response> post_version(const ApiContext& context, Request& request) {
  UploadedPipeline made = co_await upload_version(context, request);
  co_return http::json_response(co_await version_message(context, std::move(made.version)));
}

}  // namespace

void add_pipeline_routes(Routes& routes) {
  routes.add_v1(Method::Post, "/pipelines", create);
  routes.add_v1(Method::Get, "/pipelines", list);
  routes.add_v1(Method::Get, "/pipelines/{id}", get);
  routes.add_v1(Method::Delete, "/pipelines/{id}", remove);
  routes.add_v1(Method::Get, "/pipelines/{id}/templates", get_template);
  routes.add_v1(Method::Post, "/pipelines/{id}/default_version/{version_id}", set_default);
  routes.add_v1(Method::Get, "/namespaces/{namespace}/pipelines/{name}", get_by_name);
  routes.add_v1(Method::Post, "/pipelines/upload", post_pipeline);
  routes.add_v1(Method::Post, "/pipelines/upload_version", post_version);
  routes.add_v1(Method::Post, "/pipeline_versions", create_version);
  routes.add_v1(Method::Get, "/pipeline_versions", list_versions);
  routes.add_v1(Method::Get, "/pipeline_versions/{version_id}", get_version);
  routes.add_v1(Method::Delete, "/pipeline_versions/{version_id}", remove_version);
  routes.add_v1(Method::Get, "/pipeline_versions/{version_id}/templates", get_version_template);
}

}  // namespace penstock::pipelines::v1
