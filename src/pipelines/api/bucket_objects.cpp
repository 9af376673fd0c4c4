// Objects as the object browser lists, writes, copies and deletes them.
#include "base/base64.h"
#include "base/fields.h"
#include "base/utf8.h"
#include "objects/s3/call.h"
#include "objects/s3/xml.h"
#include "pipelines/api/artifact_messages.h"
#include "pipelines/api/bucket_routes.h"

namespace penstock::pipelines {

namespace api {

namespace {

constexpr int64_t kMaxListed = 1'000;
constexpr size_t kMaxDeleted = 1'000;  // that S3 takes at once
constexpr size_t kMaxErrors = 100;     // that are told one by one

json::object object_json(const objects::Bucket& bucket, const objects::Object& object) {
  json::object out{{"key", to_utf8(object.key)}, {"modified_at", format_time(object.modified, true)}};
  if (object.marker) {
    out["delete_marker"] = true;
  } else {
    out["size"] = std::to_string(object.size);
    out["etag"] = object.etag;
  }
  if (bucket.versioning != objects::Versioning::Off) {
    out["version_id"] = object.version;
    out["latest"] = object.latest;
  }
  return out;
}

std::string after_of(const Request& request) {
  const std::string token = request.query_or("page_token", "");
  if (token.empty()) return {};
  auto after = base64_decode(token);
  if (after && !after->empty()) return std::move(*after);
  throw Error(Code::InvalidArgument, "page_token is none that a list gave", "page_token");
}

Async<Response> list_objects(const BucketContext& context, Request& request) {
  objects::ListQuery query;
  query.prefix = request.query_or("prefix", "");
  query.delimiter = request.query_or("delimiter", "");
  query.after = after_of(request);
  query.limit = static_cast<size_t>(number_query(request, "page_size", kMaxListed, 1, kMaxListed));
  S3Ask ask = ask_of(request, Method::Get, false);  // whether the list is allowed
  ask.query = {{"list-type", "2"}, {"prefix", query.prefix}, {"delimiter", query.delimiter}, {"max-keys", "0"}};
  co_await ask_s3(context, std::move(ask));
  const objects::BucketPtr bucket = context.engine.bucket(param(request, "bucket"));
  const objects::ListPage page = co_await context.engine.list(bucket, query);
  json::array items, prefixes;
  for (const objects::Object& object : page.objects) items.push_back(object_json(*bucket, object));
  for (const std::string& prefix : page.prefixes) prefixes.push_back(json::value(to_utf8(prefix)));
  json::object out{{"objects", std::move(items)}, {"prefixes", std::move(prefixes)}};
  if (page.truncated) out["next_page_token"] = base64_encode(page.next);
  co_return http::json_response(std::move(out));
}

// Texts that a request to S3 gave an object, which may be no UTF-8.
json::object shown_texts(const json::object& kept) {
  json::object out;
  for (const auto& [name, value] : kept) out[name] = to_utf8(objects::shown_text(value));
  return out;
}

json::object whole_object_json(const objects::Bucket& bucket, const objects::Object& object) {
  json::object out = object_json(bucket, object);
  const json::object* headers = find_object(object.meta, "headers");
  json::object shown = headers != nullptr ? shown_texts(*headers) : json::object();
  if (const json::value* type = find(shown, "Content-Type")) out["content_type"] = *type;
  shown.erase("Content-Type");
  out["headers"] = std::move(shown);
  const json::object* user = find_object(object.meta, "user");
  out["metadata"] = user != nullptr ? shown_texts(*user) : json::object();
  const json::object* tags = find_object(object.meta, "tags");
  out["tags"] = tags != nullptr ? *tags : json::object();
  for (const char* name : {"checksum", "retention"}) {
    if (const json::object* value = find_object(object.meta, name)) out[name] = *value;
  }
  if (const std::string hold = get_string(object.meta, "hold"); !hold.empty()) out["legal_hold"] = hold == "ON";
  out["written_by_task"] = object.file.has_value();
  return out;
}

Async<Response> get_object(const BucketContext& context, Request& request) {
  const objects::Object object = co_await readable_object(context, request);
  const objects::BucketPtr bucket = context.engine.bucket(param(request, "bucket"));
  co_return http::json_response(whole_object_json(*bucket, object));
}

Async<Response> list_versions(const BucketContext& context, Request& request) {
  const objects::BucketPtr bucket = context.engine.bucket(param(request, "bucket"));
  const std::string key = key_of(request);
  objects::ListQuery query;
  query.prefix = key;
  query.after_version = after_of(request);
  if (!query.after_version.empty()) query.after = key;
  query.limit = static_cast<size_t>(number_query(request, "page_size", 100, 1, kMaxListed));
  const objects::ListPage page = co_await context.engine.list_versions(bucket, query);
  json::array items;
  for (const objects::Object& object : page.objects) {
    if (object.key == key) items.push_back(object_json(*bucket, object));
  }
  json::object out;
  // Keys that are longer come behind all versions of this one.
  if (page.truncated && page.next == key) out["next_page_token"] = base64_encode(page.next_version);
  out["versions"] = std::move(items);
  co_return http::json_response(std::move(out));
}

std::string response_header(const Response& response, std::string_view name) {
  for (const auto& [known, value] : response.headers) {
    if (known == name) return value;
  }
  return {};
}

Async<Response> put_object(const BucketContext& context, Request& request) {
  S3Ask ask = ask_of(request, Method::Put, true);
  ask.query.clear();
  ask.stream = request.body;
  // What the browser says of the body, and nothing that would make another request of it.
  static constexpr std::string_view kPassed[] = {"content-type",  "content-length",   "transfer-encoding",
                                                 "content-md5",   "content-encoding", "content-disposition",
                                                 "cache-control", "if-match",         "if-none-match"};
  for (const auto& [name, value] : request.headers) {
    const bool passed = std::ranges::find(kPassed, name) != std::end(kPassed) || name.starts_with("x-amz-meta-");
    if (passed) ask.headers.emplace_back(name, value);
  }
  json::object out{{"key", ask.key}};
  const Response response = co_await ask_s3(context, std::move(ask));
  out["etag"] = objects::strip_quotes(response_header(response, "ETag"));
  if (std::string version = response_header(response, "x-amz-version-id"); !version.empty()) {
    out["version_id"] = std::move(version);
  }
  co_return http::json_response(std::move(out));
}

struct TagsMessage {
  std::map<std::string, std::string> tags;
};

const Fields<TagsMessage>& tags_fields() {
  static const auto fields = Fields<TagsMessage>("ObjectTags").add("tags", &TagsMessage::tags, {.always = true});
  return fields;
}

Async<Response> put_tags(const BucketContext& context, Request& request) {
  S3Ask ask = ask_of(request, Method::Put, true);
  const json::value body = co_await read_body(request);
  const TagsMessage message = tags_fields().read(body);
  objects::XmlWriter xml("Tagging");
  xml.open("TagSet");
  for (const auto& [name, value] : message.tags) {
    xml.open("Tag").element("Key", name).element("Value", value);
    xml.close();
  }
  ask.query.emplace_back("tagging", "");
  ask.body = xml.finish();
  co_await ask_s3(context, std::move(ask));
  co_return http::json_response(tags_fields().write(message));
}

struct CopyMessage {
  std::string source_bucket, source_key, source_version_id, key;
  bool move = false, replace = false;
};

const Fields<CopyMessage>& copy_fields() {
  static const auto fields =
      Fields<CopyMessage>("CopyObjectRequest")
          .add("source_bucket", &CopyMessage::source_bucket, {.doc = "The same bucket when it is missing."})
          .add("source_key", &CopyMessage::source_key, {.required = true})
          .add("source_version_id", &CopyMessage::source_version_id)
          .add("key", &CopyMessage::key, {.required = true})
          .add("move", &CopyMessage::move, {.doc = "Delete the source once it is copied."})
          .add("replace", &CopyMessage::replace, {.doc = "Take the place of what is there under that key."});
  return fields;
}

Async<Response> copy_object(const BucketContext& context, Request& request) {
  const json::value body = co_await read_body(request);
  CopyMessage message = copy_fields().read(body);
  S3Ask ask = ask_of(request, Method::Put, false);
  if (message.source_bucket.empty()) message.source_bucket = ask.bucket;
  if (message.move && !message.source_version_id.empty()) {
    throw Error(Code::InvalidArgument, "an older version cannot be moved: copy it", "move");
  }
  ask.key = message.key;
  std::string source = fmt::format("/{}/{}", message.source_bucket, http::url_encode(message.source_key, "/"));
  if (!message.source_version_id.empty()) source += "?versionId=" + http::url_encode(message.source_version_id);
  ask.headers = {{"x-amz-copy-source", std::move(source)}};
  if (!message.replace) ask.headers.emplace_back("if-none-match", "*");
  const Response response = co_await ask_s3(context, std::move(ask));
  if (message.move) {
    S3Ask gone;
    gone.method = Method::Delete;
    gone.bucket = message.source_bucket;
    gone.key = message.source_key;
    co_await ask_s3(context, std::move(gone));
  }
  json::object out{{"key", message.key}};
  if (std::string version = response_header(response, "x-amz-version-id"); !version.empty()) {
    out["version_id"] = std::move(version);
  }
  co_return http::json_response(std::move(out));
}

Async<Response> delete_object(const BucketContext& context, Request& request) {
  co_await ask_s3(context, ask_of(request, Method::Delete, true));
  co_return empty_reply();
}

struct DeleteItem {
  std::string key, version_id;
};

struct DeleteMessage {
  std::vector<DeleteItem> objects;
  std::string prefix;
};

const Fields<DeleteMessage>& delete_fields() {
  static const auto item = Fields<DeleteItem>("ObjectToDelete")
                               .add("key", &DeleteItem::key, {.required = true})
                               .add("version_id", &DeleteItem::version_id);
  static const auto fields = Fields<DeleteMessage>("DeleteObjectsRequest")
                                 .add("objects", &DeleteMessage::objects, item)
                                 .add("prefix", &DeleteMessage::prefix, {.doc = "Every object whose key begins so."});
  return fields;
}

struct Deleted {
  int64_t count = 0;
  json::array errors{};
  bool more_errors = false;
};

// At most a thousand.
Async<> delete_some(const BucketContext& context, std::string bucket, const std::vector<DeleteItem>& items,
                    Deleted& deleted) {
  objects::XmlWriter xml("Delete");
  xml.flag("Quiet", true);
  for (const DeleteItem& item : items) {
    xml.open("Object").element("Key", item.key);
    if (!item.version_id.empty()) xml.element("VersionId", item.version_id);
    xml.close();
  }
  S3Ask ask;
  ask.method = Method::Post;
  ask.bucket = std::move(bucket);
  ask.query = {{"delete", ""}};
  ask.body = xml.finish();
  const Response response = co_await ask_s3(context, std::move(ask));
  const objects::XmlNode result = objects::parse_xml(response.body);
  const auto errors = result.all("Error");
  deleted.count += static_cast<int64_t>(items.size() - errors.size());
  for (const objects::XmlNode* error : errors) {
    if (deleted.errors.size() == kMaxErrors) {
      deleted.more_errors = true;
      break;
    }
    const objects::XmlNode* key = error->child("Key");
    deleted.errors.push_back(json::object{{"key", key != nullptr ? key->text : std::string()},
                                          {"code", error->value("Code")},
                                          {"message", error->value("Message")}});
  }
}

// What comes while this goes on may stay.
Async<> delete_below(const BucketContext& context, const std::string& bucket, const std::string& prefix,
                     Deleted& deleted) {
  const objects::BucketPtr known = context.engine.bucket(bucket);
  objects::ListQuery query;
  query.prefix = prefix;
  query.limit = kMaxDeleted;
  for (bool more = true; more;) {
    const objects::ListPage page = co_await context.engine.list(known, query);
    std::vector<DeleteItem> items;
    for (const objects::Object& object : page.objects) items.push_back({object.key, {}});
    if (!items.empty()) co_await delete_some(context, bucket, items, deleted);
    query.after = page.next;
    more = page.truncated;
  }
}

Async<Response> delete_objects(const BucketContext& context, Request& request) {
  const std::string bucket = param(request, "bucket");
  const json::value body = co_await read_body(request);
  DeleteMessage message = delete_fields().read(body);
  context.engine.bucket(bucket);  // NoSuchBucket
  if (message.objects.empty() == message.prefix.empty()) {
    throw Error(Code::InvalidArgument, "give either objects or a prefix: what is to be deleted?", "objects");
  }
  if (message.objects.size() > kMaxDeleted) {
    throw Error(Code::InvalidArgument, fmt::format("objects has more than {} items", kMaxDeleted), "objects");
  }
  Deleted deleted;
  if (message.prefix.empty()) {
    co_await delete_some(context, bucket, message.objects, deleted);
  } else {
    co_await delete_below(context, bucket, message.prefix, deleted);
  }
  json::object out{{"deleted", std::to_string(deleted.count)}, {"errors", std::move(deleted.errors)}};
  if (deleted.more_errors) out["more_errors"] = true;
  co_return http::json_response(std::move(out));
}

}  // namespace

void add_bucket_object_routes(BucketRoutes& routes) {
  constexpr std::string_view kObject = "key! string, version_id string";
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}/objects", list_objects,
                {"Lists objects by their keys; with a delimiter, those right below the prefix.",
                 "prefix string, delimiter string, page_token string, page_size int32", "", "ListObjectsResponse"});
  routes.add_at(Method::Post, "/apis/penstock/v1/buckets/{bucket}/objects:delete", delete_objects,
                {"Deletes objects, or all below a prefix.", "", "DeleteObjectsRequest", "DeleteObjectsResponse"});
  routes.add_at(Method::Post, "/apis/penstock/v1/buckets/{bucket}/objects:copy", copy_object,
                {"Copies or moves an object to a key of this bucket.", "", "CopyObjectRequest", "WrittenObject"});
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}/object", get_object,
                {"An object, with its metadata and tags.", kObject, "", "StoredObject"});
  routes.add_at(Method::Put, "/apis/penstock/v1/buckets/{bucket}/object", put_object,
                {.summary = "Uploads an object. With the header If-None-Match: *, nothing is replaced.",
                 .query = "key! string",
                 .request = "file",
                 .response = "WrittenObject",
                 .request_media = "application/octet-stream"});
  routes.add_at(Method::Delete, "/apis/penstock/v1/buckets/{bucket}/object", delete_object,
                {"Deletes an object, or a version of it.", kObject});
  routes.add_at(Method::Put, "/apis/penstock/v1/buckets/{bucket}/object/tags", put_tags,
                {"Gives an object these tags instead of those that it has.", kObject, "ObjectTags", "ObjectTags"});
  routes.add_at(Method::Get, "/apis/penstock/v1/buckets/{bucket}/object/versions", list_versions,
                {"Lists an object's versions and delete markers, the newest first.",
                 "key! string, page_token string, page_size int32", "", "ListObjectVersionsResponse"});
}

}  // namespace api

void add_bucket_schemas(Schemas& schemas) {
  using namespace api;
  schemas.add(copy_fields().table());
  schemas.add(delete_fields().table());
  schemas.add(tags_fields().table());
  schemas.add("CreateBucketRequest", {{"name!", "string"}, {"versioning", "OFF|ENABLED"}});
  schemas.add("ChangeBucketRequest", {{"versioning!", "ENABLED|SUSPENDED"}});
  schemas.add("Bucket", {{"name!", "string"},
                         {"created_at!", "time"},
                         {"versioning!", "OFF|ENABLED|SUSPENDED"},
                         {"object_lock!", "bool"}});
  schemas.add("ListBucketsResponse", {{"buckets!", "[Bucket]"}});
  schemas.add("BucketUsage", {{"objects!", "int64"}, {"bytes!", "int64"}, {"truncated!", "bool", "There are more."}});
  const std::vector<SchemaField> listed = {{"key!", "string"},
                                           {"modified_at!", "time"},
                                           {"size", "int64"},
                                           {"etag", "string"},
                                           {"version_id", "string", "Where the bucket keeps versions."},
                                           {"latest", "bool"},
                                           {"delete_marker", "bool"}};
  schemas.add("ListedObject", listed);
  std::vector<SchemaField> whole = listed;
  whole.insert(whole.end(), {{"content_type", "string"},
                             {"headers!", "map", "Others that it was stored with."},
                             {"metadata!", "map"},
                             {"tags!", "map"},
                             {"checksum", "map"},
                             {"retention", "map", "mode and until, by which it is locked."},
                             {"legal_hold", "bool"},
                             {"written_by_task!", "bool", "It is a file that a task wrote."}});
  schemas.add("StoredObject", whole);
  schemas.add("ListObjectsResponse",
              {{"objects!", "[ListedObject]"}, {"prefixes!", "[string]"}, {"next_page_token", "string"}});
  schemas.add("ListObjectVersionsResponse", {{"versions!", "[ListedObject]"}, {"next_page_token", "string"}});
  schemas.add("WrittenObject", {{"key!", "string"}, {"etag", "string"}, {"version_id", "string"}});
  schemas.add("DeleteError", {{"key!", "string"}, {"code!", "string"}, {"message!", "string"}});
  schemas.add("DeleteObjectsResponse",
              {{"deleted!", "int64"}, {"errors!", "[DeleteError]", "At most 100."}, {"more_errors", "bool"}});
}

}  // namespace penstock::pipelines
