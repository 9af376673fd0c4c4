#include "pipelines/api/uploads.h"

#include "pipelines/api/messages.h"
#include "pipelines/api/package.h"

namespace penstock::pipelines::api {

namespace {

struct Upload {
  std::string file_name;
  std::shared_ptr<const Spec> spec;
};

// Reads, unpacks and checks the uploaded package; nothing is stored yet.
Async<Upload> read_upload(const ApiContext& context, Request& request) {
  const uint64_t limit = context.options.max_body_bytes;
  constexpr uint64_t kEnvelope = 64 * 1024;  // boundaries and part headers
  const std::string body = co_await request.body->read_all(limit + kEnvelope);
  const std::string type(request.header("content-type"));
  co_return co_await context.blocking.run([&] {
    const UploadedFile file = find_upload(type, body, "uploadfile");
    json::value stored = SpecCache::normalise(read_package(file.name, file.content, limit));
    return Upload{file.name, context.specs.parse(to_text(stored))};
  });
}

Tags tags_query(const Request& request) {
  const std::string text = request.query_or("tags", "");
  if (text.empty()) return {};
  Tags tags;
  fields::string_map_type()->read(&tags, parse_json(text), "tags");
  check_tags(tags);
  return tags;
}

std::string name_query(const Request& request, const std::string& file_name, size_t limit) {
  std::string name = request.query_or("name", "");
  if (name.empty()) name = request.query_or("display_name", "");
  if (name.empty()) name = file_name;
  if (name.empty()) throw Error(Code::InvalidArgument, "give a name: the file has none", "name");
  if (name.size() > limit) {
    throw Error(Code::InvalidArgument, fmt::format("the name has {} bytes; at most {} are allowed", name.size(), limit),
                "name");
  }
  return name;
}

}  // namespace

Async<UploadedPipeline> upload_pipeline(const ApiContext& context, Request& request) {
  Pipeline pipeline;
  pipeline.tags = tags_query(request);
  const Upload upload = co_await read_upload(context, request);
  pipeline.name = name_query(request, upload.file_name, 128);
  pipeline.display_name = request.query_or("display_name", pipeline.name);
  pipeline.description = request.query_or("description", "");
  PipelineVersion version;
  version.name = pipeline.name.substr(0, 127);
  version.display_name = pipeline.display_name;
  version.description = pipeline.description;
  version.code_source_url = request.query_or("code_source_url", "");
  version.spec_hash = upload.spec->hash;
  version.tags = pipeline.tags;
  auto made =
      co_await context.store.create_pipeline_and_version(std::move(pipeline), std::move(version), upload.spec->text);
  co_return UploadedPipeline{std::move(made.first), std::move(made.second), upload.spec};
}

Async<UploadedPipeline> upload_version(const ApiContext& context, Request& request) {
  PipelineVersion version;
  version.pipeline_id = request.query_or("pipelineid", request.query_or("pipeline_id", ""));
  if (version.pipeline_id.empty()) {
    throw Error(Code::InvalidArgument, "give the query parameter pipelineid: the pipeline that gets the version",
                "pipelineid");
  }
  version.tags = tags_query(request);
  Pipeline pipeline = co_await context.store.get_pipeline(version.pipeline_id);
  const Upload upload = co_await read_upload(context, request);
  version.name = name_query(request, upload.file_name, 127);
  version.display_name = request.query_or("display_name", version.name);
  version.description = request.query_or("description", "");
  version.code_source_url = request.query_or("code_source_url", "");
  version.spec_hash = upload.spec->hash;
  version = co_await context.store.create_version(std::move(version), upload.spec->text);
  co_return UploadedPipeline{std::move(pipeline), std::move(version), upload.spec};
}

namespace {

Async<Response> post_pipeline(const ApiContext& context, Request& request) {
  const UploadedPipeline made = co_await upload_pipeline(context, request);
  co_return http::json_response(pipeline_fields().write(made.pipeline));
}

Async<Response> post_version(const ApiContext& context, Request& request) {
  const UploadedPipeline made = co_await upload_version(context, request);
  co_return json_text(version_text(made.version, made.spec->text));
}

}  // namespace

void add_upload_routes(Routes& routes) {
  routes.add(Method::Post, "/pipelines/upload", post_pipeline);
  routes.add(Method::Post, "/pipelines/upload_version", post_version);
}

}  // namespace penstock::pipelines::api
