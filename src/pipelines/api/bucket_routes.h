// What the files of the object browser share. Private to this folder.
#pragma once

#include <optional>
#include <string>

#include "pipelines/api/buckets.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

using BucketHandler = Async<Response> (*)(const BucketContext& context, Request& request);

// Registers handlers at the path itself and below /pipeline.
class BucketRoutes {
 public:
  BucketRoutes(http::Router& router, const BucketContext& context) : router_(router), context_(context) {}
  void add_at(Method method, std::string_view path, BucketHandler handler, const http::RouteDoc& doc);

 private:
  http::Router& router_;
  BucketContext context_;
};

void add_bucket_object_routes(BucketRoutes& routes);  // lists, metadata, uploads, copies, deletions
void add_bucket_file_routes(BucketRoutes& routes);    // previews and downloads

// What is asked of S3 for a person; the body is `body`, or `stream` where that is not null.
struct S3Ask {
  Method method = Method::Get;
  std::string bucket, key;
  http::Query query{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  http::BodyReader* stream = nullptr;
  std::string peer{};
};
// Throws S3Error.
Async<Response> ask_s3(const BucketContext& context, S3Ask ask);
// Begins one about what `request` names: its bucket, and with `of_object` its key and version_id. InvalidArgument.
S3Ask ask_of(const Request& request, Method method, bool of_object);

// The query's `key`. InvalidArgument without one.
std::string key_of(const Request& request);
std::optional<std::string> version_of(const Request& request);
// The object that a request names, which S3 lets the bucket's owner read. NoSuchBucket, NoSuchKey, NoSuchVersion;
// MethodNotAllowed for a delete marker.
Async<objects::Object> readable_object(const BucketContext& context, const Request& request);
// The last part of a key.
std::string_view file_name_of(std::string_view key);
// The body as JSON, an empty one as {}. ResourceExhausted past a limit that fits a thousand keys.
Async<json::value> read_body(Request& request);

}  // namespace penstock::pipelines::api
