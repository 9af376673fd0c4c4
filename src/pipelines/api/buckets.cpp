#include "pipelines/api/buckets.h"

#include "base/fields.h"
#include "objects/s3/xml.h"
#include "pipelines/api/artifact_messages.h"
#include "pipelines/api/bucket_routes.h"

namespace penstock::pipelines {

namespace api {

namespace {

constexpr size_t kMaxBody = 8u << 20;
constexpr size_t kCountedPage = 10'000;
constexpr int64_t kCounted = 200'000;

class TextBody : public http::BodyReader {
 public:
  explicit TextBody(std::string_view text) : text_(text), length_(text.size()) {}
  std::optional<uint64_t> length() const override { return length_; }
  Async<std::string> read_some(size_t max) override {
    std::string piece(text_.substr(0, max));
    text_.remove_prefix(piece.size());
    co_return piece;
  }

 private:
  std::string_view text_;
  uint64_t length_;
};

constexpr EnumName kVersionings[] = {{0, "OFF"}, {1, "ENABLED"}, {2, "SUSPENDED"}};
static_assert(static_cast<int>(objects::Versioning::Suspended) == 2);

json::object bucket_json(const objects::Bucket& bucket) {
  return {{"name", bucket.name},
          {"created_at", format_time(bucket.created, true)},
          {"versioning", kVersionings[static_cast<size_t>(bucket.versioning)].name},
          {"object_lock", find_object(bucket.config, "lock") != nullptr}};
}

Async<Response> list_buckets(const BucketContext& context, Request&) {
  json::array items;
  for (const objects::BucketPtr& bucket : context.engine.buckets()) items.push_back(bucket_json(*bucket));
  co_return http::json_response(json::object{{"buckets", std::move(items)}});
}

struct BucketMessage {
  std::string name;
  objects::Versioning versioning = objects::Versioning::Off;
};

const Fields<BucketMessage>& new_bucket_fields() {
  static const auto fields = Fields<BucketMessage>("CreateBucketRequest")
                                 .add("name", &BucketMessage::name, {.required = true})
                                 .add("versioning", &BucketMessage::versioning, kVersionings);
  return fields;
}

const Fields<BucketMessage>& bucket_change_fields() {
  static const auto fields =
      Fields<BucketMessage>("ChangeBucketRequest")
          .add("versioning", &BucketMessage::versioning, kVersionings, {.required = true, .doc = "ENABLED, SUSPENDED"});
  return fields;
}

Async<> set_versioning(const BucketContext& context, std::string bucket, objects::Versioning versioning) {
  objects::XmlWriter xml("VersioningConfiguration");
  xml.element("Status", versioning == objects::Versioning::Enabled ? "Enabled" : "Suspended");
  S3Ask ask;
  ask.method = Method::Put;
  ask.bucket = std::move(bucket);
  ask.query = {{"versioning", ""}};
  ask.body = xml.finish();
  co_await ask_s3(context, std::move(ask));
}

Async<Response> create_bucket(const BucketContext& context, Request& request) {
  const json::value body = co_await read_body(request);
  const BucketMessage message = new_bucket_fields().read(body);
  if (context.engine.find_bucket(message.name)) {
    throw Error(Code::AlreadyExists, fmt::format("there is a bucket {} already", message.name), "name");
  }
  S3Ask ask;
  ask.method = Method::Put;
  ask.bucket = message.name;
  ask.peer = request.peer;
  co_await ask_s3(context, std::move(ask));
  if (message.versioning != objects::Versioning::Off) {
    co_await set_versioning(context, message.name, message.versioning);
  }
  co_return http::json_response(bucket_json(*context.engine.bucket(message.name)));
}

Async<Response> get_bucket(const BucketContext& context, Request& request) {
  co_return http::json_response(bucket_json(*context.engine.bucket(param(request, "bucket"))));
}

Async<Response> change_bucket(const BucketContext& context, Request& request) {
  const std::string name = param(request, "bucket");
  const json::value body = co_await read_body(request);
  context.engine.bucket(name);  // NoSuchBucket
  const BucketMessage message = bucket_change_fields().read(body);
  co_await set_versioning(context, name, message.versioning);
  co_return http::json_response(bucket_json(*context.engine.bucket(name)));
}

Async<Response> delete_bucket(const BucketContext& context, Request& request) {
  co_await ask_s3(context, ask_of(request, Method::Delete, false));
  co_return empty_reply();
}

// How much there is below a prefix; counting ends somewhere, so that a person is answered.
Async<Response> get_usage(const BucketContext& context, Request& request) {
  const objects::BucketPtr bucket = context.engine.bucket(param(request, "bucket"));
  objects::ListQuery query;
  query.prefix = request.query_or("prefix", "");
  query.limit = kCountedPage;
  int64_t count = 0;
  uint64_t bytes = 0;
  bool truncated = true;
  while (truncated && count < kCounted) {
    const objects::ListPage page = co_await context.engine.list(bucket, query);
    for (const objects::Object& object : page.objects) bytes += object.size;
    count += static_cast<int64_t>(page.objects.size());
    truncated = page.truncated;
    query.after = page.next;
  }
  co_return http::json_response(
      json::object{{"objects", std::to_string(count)}, {"bytes", std::to_string(bytes)}, {"truncated", truncated}});
}

// Errors of S3 keep their status and their code.
Response bucket_error(const Request& request, const Error& error) {
  Response response = gateway_error(request, error);
  const auto* s3 = dynamic_cast<const objects::S3Error*>(&error);
  if (s3 == nullptr) return response;
  response.status = s3->status();
  json::object body = parse_json(response.body).as_object();
  json::array& details = body["details"].as_array();
  details.push_back(json::object{{"@type", "type.googleapis.com/google.rpc.ErrorInfo"}, {"reason", s3->s3_code()}});
  response.body = to_text(body);
  return response;
}

}  // namespace

void BucketRoutes::add_at(Method method, std::string_view path, BucketHandler handler, const http::RouteDoc& doc) {
  const auto call = [context = context_, handler](Request& request) { return handler(context, request); };
  router_.add(method, path, call, doc);
  router_.add(method, fmt::format("/pipeline{}", path), call, doc);
}

Async<Response> ask_s3(const BucketContext& context, S3Ask ask) {
  TextBody text(ask.body);
  Request inner;
  inner.method = ask.method;
  inner.query = std::move(ask.query);
  inner.headers = std::move(ask.headers);
  inner.body = ask.stream != nullptr ? ask.stream : &text;
  inner.peer = std::move(ask.peer);
  if (ask.stream == nullptr) inner.headers.emplace_back("content-length", std::to_string(ask.body.size()));
  co_return co_await context.s3.handle_for_owner(inner, std::move(ask.bucket), std::move(ask.key));
}

S3Ask ask_of(const Request& request, Method method, bool of_object) {
  S3Ask ask;
  ask.method = method;
  ask.bucket = param(request, "bucket");
  ask.peer = request.peer;
  if (!of_object) return ask;
  ask.key = key_of(request);
  if (auto version = version_of(request)) ask.query.emplace_back("versionId", std::move(*version));
  return ask;
}

std::string key_of(const Request& request) {
  std::string key = request.query_or("key", "");
  if (key.empty()) throw Error(Code::InvalidArgument, "key is missing: which object?", "key");
  return key;
}

std::optional<std::string> version_of(const Request& request) {
  auto version = request.query_value("version_id");
  if (version && version->empty()) version.reset();
  return version;
}

Async<objects::Object> readable_object(const BucketContext& context, const Request& request) {
  co_await ask_s3(context, ask_of(request, Method::Head, true));
  const objects::BucketPtr bucket = context.engine.bucket(param(request, "bucket"));
  auto found = co_await context.engine.find(bucket, key_of(request), version_of(request));
  if (!found || found->marker) throw objects::S3Error("NoSuchKey");  // it went meanwhile
  co_return std::move(*found);
}

std::string_view file_name_of(std::string_view key) {
  while (key.ends_with('/')) key.remove_suffix(1);
  const size_t slash = key.rfind('/');
  return slash == std::string_view::npos ? key : key.substr(slash + 1);
}

Async<json::value> read_body(Request& request) {
  const std::string body = co_await request.body->read_all(kMaxBody);
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) co_return json::object();
  co_return parse_json(body);
}

}  // namespace api

void add_bucket_routes(http::Router& router, const BucketContext& context) {
  using namespace api;
  BucketRoutes routes(router, context);
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets", list_buckets,
                {"Lists the buckets of the object store.", "", "", "ListBucketsResponse"});
  routes.add_at(Method::Post, "/apis/penstock/v1/buckets", create_bucket,
                {"Creates a bucket.", "", "CreateBucketRequest", "Bucket"});
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}", get_bucket, {"A bucket.", "", "", "Bucket"});
  routes.add_at(Method::Patch, "/apis/penstock/v1/buckets/{bucket}", change_bucket,
                {"Keeps versions of a bucket's objects from now on, or no more.", "", "ChangeBucketRequest", "Bucket"});
  routes.add_at(Method::Delete, "/apis/penstock/v1/buckets/{bucket}", delete_bucket, {"Deletes an empty bucket."});
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}/usage", get_usage,
                {"How many objects there are below a prefix, and their bytes.", "prefix string", "", "BucketUsage"});
  add_bucket_object_routes(routes);
  add_bucket_file_routes(routes);
  for (const std::string_view prefix : {"", "/pipeline"}) {
    router.on_error(fmt::format("{}{}", prefix, kBucketsPath), bucket_error);
  }
}

}  // namespace penstock::pipelines
