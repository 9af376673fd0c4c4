#include <charconv>

#include "base/base64.h"
#include "pipelines/api/messages.h"
#include "pipelines/api/package.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kMaxPeek = 1 << 20;
constexpr size_t kMaxListed = 1'000;
constexpr uint64_t kMaxRead = 32u << 20;  // of an artifact inside a JSON answer

int64_t number(const std::string& text, std::string_view what) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
    throw Error(Code::InvalidArgument, fmt::format("{} is {:?}; expected a number", what, text), std::string(what));
  }
  return value;
}

std::vector<std::string> all_of(const Request& request, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& [key, value] : request.query) {
    if (key == name && !value.empty()) out.push_back(value);
  }
  return out;
}

Async<Response> list(const ApiContext& context, Request& request) {
  const metadata::Store::Page page = co_await context.metadata.list(list_request(request));
  json::array items;
  for (const metadata::Artifact& artifact : page.items) items.push_back(artifact_json(artifact));
  co_return http::json_response(page_json("artifacts", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> get(const ApiContext& context, Request& request) {
  const metadata::Artifact artifact =
      co_await context.metadata.get(number(param(request, "artifact_id"), "artifact_id"));
  co_return http::json_response(artifact_json(artifact));
}

Async<Response> list_links(const ApiContext& context, Request& request) {
  metadata::LinkFilter filter;
  filter.run_ids = all_of(request, "run_ids");
  filter.task_ids = all_of(request, "task_ids");
  for (const std::string& id : all_of(request, "artifact_ids")) {
    filter.artifact_ids.push_back(number(id, "artifact_ids"));
  }
  if (const std::string type = request.query_or("type", ""); !type.empty()) filter.type = read_io_type(type, "type");
  const metadata::Store::LinkPage page = co_await context.metadata.list_links(std::move(filter), list_request(request));
  json::array items;
  for (const metadata::Link& link : page.items) items.push_back(artifact_task_json(link));
  co_return http::json_response(page_json("artifact_tasks", std::move(items), page.total_size, page.next_page_token));
}

// Artifacts are other people's bytes: a browser must never take them for a page of this server.
void set_safe(Response& response, std::string_view type) {
  const std::pair<std::string_view, std::string_view> headers[] = {
      {"Content-Type", type},
      {"X-Content-Type-Options", "nosniff"},
      {"Content-Security-Policy", "sandbox; default-src 'none'"}};
  for (const auto& [name, value] : headers) response.headers.emplace_back(name, value);
}

std::string file_name_of(std::string_view key) {
  std::string name(key.substr(key.find_last_of('/') + 1));
  for (char& c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u >= 0x7f || c == '"' || c == '\\') c = '_';
  }
  return name.empty() ? "artifact" : name;
}

Response folder_answer(const std::string& bucket, const std::string& prefix, json::array files) {
  Response response =
      http::json_response(json::object{{"bucket", bucket}, {"prefix", prefix}, {"objects", std::move(files)}});
  response.set("X-Content-Type-Options", "nosniff");
  return response;
}

void set_download(Response& response, std::string_view key) {
  set_safe(response, "application/octet-stream");
  response.set("Content-Disposition", fmt::format("attachment; filename=\"{}\"", file_name_of(key)));
}

// Of another store: passed on as it comes.
Async<Response> read_outside(const ApiContext& context, stores::Ask ask, std::optional<int64_t> peek) {
  const stores::StoreUri uri = stores::parse_store_uri(ask.uri);
  const auto opened = co_await context.stores->open(ask);
  Response response;
  if (!opened) {
    json::array files;
    for (const auto& object : co_await context.stores->list(ask, kMaxListed)) {
      files.push_back(json::object{{"key", object.key}, {"size", std::to_string(object.size)}});
    }
    if (files.empty()) throw not_found("object {} not found in bucket {}", uri.key, uri.bucket);
    co_return folder_answer(uri.bucket, uri.key.ends_with('/') ? uri.key : uri.key + '/', std::move(files));
  }
  if (peek) {
    set_safe(response, "text/plain; charset=utf-8");
    const uint64_t limit = std::min<uint64_t>(static_cast<uint64_t>(*peek), kMaxPeek);
    if (limit > 0) response.body = co_await context.stores->read(ask, limit);
    co_return response;
  }
  set_download(response, uri.key);
  response.set("Content-Length", std::to_string(opened->object.size));
  response.stream = [stores = context.stores, opened = *opened](http::BodyWriter& out) {
    return stores->stream(opened, out);
  };
  co_return response;
}

Response read_object(const objects::Store& objects, const std::string& bucket, const std::string& key,
                     std::optional<int64_t> peek) {
  const std::optional<std::filesystem::path> path = objects.find(bucket, key);
  const std::string prefix = key.empty() || key.ends_with('/') ? key : key + '/';
  const bool folder = path ? std::filesystem::is_directory(*path)
                           : objects.has_bucket(bucket) && !objects.list(bucket, prefix, 1).empty();
  if (!path && !folder) throw not_found("object {} not found in bucket {}", key, bucket);
  Response response;
  if (folder) {
    json::array files;
    for (const objects::ObjectInfo& info : objects.list(bucket, prefix)) {
      files.push_back(json::object{{"key", info.key}, {"size", std::to_string(info.size)}});
    }
    response = folder_answer(bucket, prefix, std::move(files));
  } else if (peek) {
    set_safe(response, "text/plain; charset=utf-8");
    response.body = objects.get(bucket, key, std::min<uint64_t>(static_cast<uint64_t>(*peek), kMaxPeek));
  } else {
    set_download(response, key);
    response.file = *path;
  }
  return response;
}

Async<Response> read(const ApiContext& context, std::string source, std::string bucket, std::string key,
                     std::optional<int64_t> peek) {
  if (source != "minio" && source != "s3" && source != "gs" && source != "gcs") {
    throw Error(Code::InvalidArgument,
                fmt::format("source {:?} cannot be read here; this server serves minio, s3 and gs", source), "source");
  }
  const std::string uri = fmt::format("{}://{}/{}", source == "gcs" ? "gs" : source, bucket, key);
  const std::string ns(kDefaultNamespace);
  const bool outside = context.stores != nullptr && co_await context.stores->is_outside(ns, uri, {});
  if (outside) {
    const stores::Ask ask{ns, uri};
    co_return co_await read_outside(context, ask, peek);
  }
  co_return co_await context.blocking.run([&] { return read_object(context.objects, bucket, key, peek); });
}

std::optional<int64_t> peek_query(const Request& request) {
  const std::string peek = request.query_or("peek", "");
  if (peek.empty()) return std::nullopt;
  return number(peek, "peek");
}

Async<Response> get_object(const ApiContext& context, Request& request) {
  co_return co_await read(context, request.query_or("source", "minio"), request.query_or("bucket", ""),
                          request.query_or("key", ""), peek_query(request));
}

Async<Response> get_object_by_path(const ApiContext& context, Request& request) {
  co_return co_await read(context, param(request, "source"), param(request, "bucket"), param(request, "key"),
                          peek_query(request));
}

}  // namespace

// The URI of the output artifact `name`; of a list, its first.
static std::string output_uri(const TaskRecord& task, const std::string& name) {
  const json::object* artifacts = find_object(task.outputs, "artifacts");
  const json::array* list = artifacts ? find_array(*artifacts, name) : nullptr;
  if (!list || list->empty() || !list->front().is_object()) {
    throw not_found("Task {} has no output artifact {}", task.name, name);
  }
  return get_string(list->front().as_object(), "uri");
}

Async<OutputContent> read_output(const ApiContext& context, const TaskRecord& task, const std::string& name) {
  const std::string uri = output_uri(task, name);
  if (context.stores != nullptr && uri.find("://") != std::string::npos) {
    const Run run = co_await context.store.get_run(task.run_id);
    const std::string ns = run.name_space.empty() ? std::string(kDefaultNamespace) : run.name_space;
    const stores::Ask ask{ns, uri, run.runtime_config.pipeline_root};
    const bool outside = co_await context.stores->is_outside(ns, uri, ask.root);
    if (outside) co_return co_await context.stores->read(ask, kMaxRead);
  }
  co_return co_await context.blocking.run([&] {
    const std::optional<objects::Location> location = objects::parse_uri(uri);
    const bool here = location && context.objects.uri_to_path(uri);
    if (!here) throw Error(Code::FailedPrecondition, fmt::format("{} is not kept by this server", uri));
    OutputContent content;
    auto path = context.objects.find(location->bucket, location->key);
    if (path && std::filesystem::is_directory(*path)) {
      context.objects.lay_out(uri);
      content.packed = true;
      content.bytes = pack_folder_tar_gz(file_name_of(name), *path, kMaxRead);
    } else {
      content.bytes = context.objects.get(location->bucket, location->key, kMaxRead);
    }
    return content;
  });
}

namespace {

Async<Response> read_node_artifact(const ApiContext& context, Request& request) {
  const TaskRecord task = co_await task_of_node(context, param(request, "run_id"), param(request, "node_id"));
  const std::string name = param(request, "artifact_name");
  const OutputContent content = co_await read_output(context, task, name);
  std::string data = base64_encode(content.bytes);
  json::object out;
  if (!data.empty()) out["data"] = std::move(data);
  co_return http::json_response(out);
}

}  // namespace

void add_artifact_routes(Routes& routes) {
  routes.add(Method::Get, "/artifacts", list);
  routes.add(Method::Get, "/artifacts/{artifact_id}", get);
  routes.add(Method::Get, "/artifact_tasks", list_links);
  routes.add(Method::Get, "/runs/{run_id}/nodes/{node_id}/artifacts/{artifact_name}:read", read_node_artifact);
  routes.add_at(Method::Get, "/artifacts/get", get_object);
  routes.add_at(Method::Get, "/artifacts/{source}/{bucket}/{key*}", get_object_by_path);
}

}  // namespace penstock::pipelines::api
