// The bytes of objects: previews, raw ones that a page may show, downloads.
#include "pipelines/api/artifact_messages.h"
#include "pipelines/api/bucket_routes.h"
#include "pipelines/api/safe_bytes.h"

namespace penstock::pipelines::api {

namespace {

std::string link_to(const Request& request, const objects::Object& object, std::string_view view) {
  std::string link = fmt::format("{}/{}/object/{}?key={}", kBucketsPath, http::url_encode(param(request, "bucket")),
                                 view, http::url_encode(object.key));
  if (const auto version = version_of(request)) link += "&version_id=" + http::url_encode(*version);
  return link;
}

// As S3 answers it, whole or in part, but for the headers that whoever stored the object chose.
Async<Response> bytes_of(const BucketContext& context, const Request& request) {
  S3Ask ask = ask_of(request, Method::Get, true);
  for (const std::string_view name : {"range", "if-none-match", "if-modified-since", "if-match"}) {
    if (const auto value = request.header(name); !value.empty()) ask.headers.emplace_back(name, value);
  }
  Response response = co_await ask_s3(context, std::move(ask));
  std::erase_if(response.headers, [](const auto& header) {
    static constexpr std::string_view kKept[] = {"Content-Length", "Content-Range", "Accept-Ranges", "ETag",
                                                 "Last-Modified"};
    return std::ranges::find(kKept, header.first) == std::end(kKept);
  });
  co_return response;
}

std::unique_ptr<objects::Reader> open(const BucketContext& context, const objects::Bucket& bucket,
                                      const objects::Object& object) {
  auto reader = objects::open_object(context.engine, bucket, object);
  if (!reader) throw objects::S3Error("NoSuchKey");  // it went meanwhile
  return reader;
}

Async<Response> get_preview(const BucketContext& context, Request& request) {
  const preview::PreviewLimits limits = preview_limits(request);
  const objects::Object object = co_await readable_object(context, request);
  const objects::BucketPtr bucket = context.engine.bucket(param(request, "bucket"));
  const std::string raw = link_to(request, object, "raw");
  json::object out = co_await context.engine.pool().run([&] {
    const auto reader = open(context, *bucket, object);
    return preview_json(*reader, file_name_of(object.key), {}, limits, raw);
  });
  out["uri"] = fmt::format("s3://{}/{}", bucket->name, object.key);
  out["download"] = link_to(request, object, "download");
  co_return http::json_response(std::move(out));
}

Async<Response> get_raw(const BucketContext& context, Request& request) {
  const objects::Object object = co_await readable_object(context, request);
  const objects::BucketPtr bucket = context.engine.bucket(param(request, "bucket"));
  const auto detect = [&] {
    const auto reader = open(context, *bucket, object);
    return preview::detect(*reader, file_name_of(object.key), {});
  };
  const preview::Detected detected = co_await context.engine.pool().run(detect);
  Response response = co_await bytes_of(context, request);
  set_raw(response, detected, file_name_of(object.key));
  co_return response;
}

Async<Response> download(const BucketContext& context, Request& request) {
  Response response = co_await bytes_of(context, request);
  set_safe(response, "application/octet-stream");
  response.set("Content-Disposition", disposition_of(file_name_of(key_of(request))));
  co_return response;
}

}  // namespace

void add_bucket_file_routes(BucketRoutes& routes) {
  constexpr std::string_view kObject = "key! string, version_id string";
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}/object/preview", get_preview,
                {"What an object holds, as far as a person is shown it.",
                 "key! string, version_id string, max_bytes int32, rows int32", "", "object"});
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}/object/raw", get_raw,
                {.summary = "An object's bytes for a page, under a policy that runs nothing.",
                 .query = kObject,
                 .response = "file",
                 .response_media = "application/octet-stream"});
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}/object/download", download,
                {.summary = "An object's bytes, to be saved; ranges are answered.",
                 .query = kObject,
                 .response = "file",
                 .response_media = "application/octet-stream"});
}

}  // namespace penstock::pipelines::api
