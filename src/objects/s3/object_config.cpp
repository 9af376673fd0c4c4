// What belongs to an object beside its bytes: tags, access control list, retention and legal hold.
#include "objects/s3/lock.h"
#include "objects/s3/service.h"
#include "objects/s3/tags.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxText = 256 * 1024;

// Of a version that exists and is no marker.
Object need_object(std::optional<Object> object, const Call& call) {
  const bool versioned = call.version().has_value();
  if (!object) {
    S3Error error(versioned ? "NoSuchVersion" : "NoSuchKey");
    throw error.with("Key", call.key);
  }
  if (object->marker) {
    S3Error error(versioned ? "MethodNotAllowed" : "NoSuchKey");
    throw error.with("Key", call.key).header("x-amz-delete-marker", "true").header("x-amz-version-id", object->version);
  }
  return std::move(*object);
}

void add_version(http::Response& response, const Bucket& bucket, const Object& object) {
  if (bucket.versioning != Versioning::Off) response.set("x-amz-version-id", object.version);
}

}  // namespace

S3Service::Ask S3Service::ask_of(const Call& call, const Action& action) const {
  Ask ask{.action = call.version() ? action.versioned : action.plain,
          .permission = action.permission,
          .key = call.key,
          .write = action.write};
  if (const auto version = call.version()) ask.version = *version;
  return ask;
}

Async<S3Service::Readable> S3Service::readable(Call& call, Action action) {
  Readable out;
  out.bucket = engine_.bucket(call.bucket);
  auto found = co_await engine_.find(out.bucket, call.key, call.version());
  require_read(call, *out.bucket, found ? &*found : nullptr, ask_of(call, action));
  out.object = need_object(std::move(found), call);
  co_return out;
}

Async<http::Response> S3Service::change_object(Call& call, BucketPtr bucket, std::function<void(Object&)> change,
                                               int status) {
  const Object object = co_await engine_.change_object(bucket, call.key, call.version(), std::move(change));
  auto response = empty_response(status);
  add_version(response, *bucket, object);
  co_return response;
}

Async<http::Response> S3Service::get_object_tags(Call& call) {
  const Action action{"s3:GetObjectTagging", "s3:GetObjectVersionTagging", "READ"};
  const Readable found = co_await readable(call, action);
  const json::object* tags = find_object(found.object.meta, "tags");
  auto response = xml_response(tags_to_xml(tags != nullptr ? *tags : json::object{}));
  add_version(response, *found.bucket, found.object);
  co_return response;
}

Async<http::Response> S3Service::put_object_tags(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const json::object tags = tags_of_xml(co_await receive_text(call, kMaxText), kObjectTags);
  const auto found = co_await engine_.find(bucket, call.key, call.version());
  Ask ask = ask_of(call, {"s3:PutObjectTagging", "s3:PutObjectVersionTagging", "WRITE", true});
  if (found) ask.tags = find_object(found->meta, "tags");
  for (const auto& [name, value] : tags) {
    ask.context[fmt::format("s3:RequestObjectTag/{}", std::string_view(name))] = {to_std(value.as_string())};
    ask.context["s3:RequestObjectTagKeys"].emplace_back(name);
  }
  require(call, *bucket, ask);
  const auto change = [&](Object& o) { o.meta["tags"] = tags; };
  co_return co_await change_object(call, bucket, change);
}

Async<http::Response> S3Service::delete_object_tags(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const auto found = co_await engine_.find(bucket, call.key, call.version());
  Ask ask = ask_of(call, {"s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging", "WRITE", true});
  if (found) ask.tags = find_object(found->meta, "tags");
  require(call, *bucket, ask);
  const auto change = [](Object& o) { o.meta.erase("tags"); };
  co_return co_await change_object(call, bucket, change, 204);
}

Async<http::Response> S3Service::get_object_acl(Call& call) {
  const Action action{"s3:GetObjectAcl", "s3:GetObjectVersionAcl", "READ_ACP"};
  const Readable found = co_await readable(call, action);
  const auto owner = get_string(found.object.meta, "owner", found.bucket->owner);
  const json::object* acl = find_object(found.object.meta, "acl");
  auto response =
      xml_response(acl_to_xml(acl != nullptr ? *acl : canned_acl("private", owner, found.bucket->owner), keys_));
  add_version(response, *found.bucket, found.object);
  co_return response;
}

Async<http::Response> S3Service::put_object_acl(Call& call) {
  const Action action{"s3:PutObjectAcl", "s3:PutObjectVersionAcl", "WRITE_ACP", true};
  const Readable found = co_await readable(call, action);
  const Bucket& bucket = *found.bucket;
  if (get_string(bucket.config, "ownership") == "BucketOwnerEnforced") throw S3Error("AccessControlListNotSupported");
  const auto owner = get_string(found.object.meta, "owner", bucket.owner);
  const std::string body = co_await receive_text(call, kMaxText);
  auto acl = acl_of_headers(call.http, owner, bucket.owner, keys_);
  if (!acl) acl = acl_of_xml(body, owner, keys_);
  check_new_acl(bucket, *acl);
  const auto change = [&](Object& o) { o.meta["acl"] = *acl; };
  co_return co_await change_object(call, found.bucket, change);
}

BucketPtr S3Service::lock_bucket(const Call& call, std::string_view action, bool write) const {
  BucketPtr bucket = bucket_for(call, {.action = action, .key = call.key, .write = write});
  if (!has_lock(*bucket)) throw S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration");
  return bucket;
}

Async<http::Response> S3Service::get_retention(Call& call) {
  const BucketPtr bucket = lock_bucket(call, "s3:GetObjectRetention", false);
  const Object object = need_object(co_await engine_.find(bucket, call.key, call.version()), call);
  const json::object* retention = find_object(object.meta, "retention");
  if (retention == nullptr) throw S3Error("NoSuchObjectLockConfiguration");
  XmlWriter xml("Retention");
  xml.element("Mode", get_string(*retention, "mode")).element("RetainUntilDate", get_string(*retention, "until"));
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::put_retention(Call& call) {
  const BucketPtr bucket = lock_bucket(call, "s3:PutObjectRetention", true);
  const XmlNode root = parse_xml(co_await receive_text(call, kMaxText));
  if (root.name != "Retention") throw S3Error("MalformedXML");
  bool bypass = wants_bypass(call.http);
  if (bypass) {
    bypass = allowed(call, *bucket, {.action = "s3:BypassGovernanceRetention", .key = call.key, .write = true});
  }
  const Time now = engine_.clock().now();
  const auto mode = root.value("Mode"), until = root.value("RetainUntilDate");
  // An empty document takes the retention away.
  const bool none = mode.empty() && until.empty();
  const json::object retention = none ? json::object{} : read_retention(mode, until, now);
  const auto change = [&](Object& o) {
    check_retention_change(o.meta, retention, now, bypass);
    if (none) {
      o.meta.erase("retention");
    } else {
      o.meta["retention"] = retention;
    }
  };
  co_await engine_.change_object(bucket, call.key, call.version(), change);
  co_return empty_response();
}

Async<http::Response> S3Service::get_hold(Call& call) {
  const BucketPtr bucket = lock_bucket(call, "s3:GetObjectLegalHold", false);
  const Object object = need_object(co_await engine_.find(bucket, call.key, call.version()), call);
  const auto hold = get_string(object.meta, "hold");
  if (hold.empty()) throw S3Error("NoSuchObjectLockConfiguration");
  XmlWriter xml("LegalHold");
  xml.element("Status", hold);
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::put_hold(Call& call) {
  const BucketPtr bucket = lock_bucket(call, "s3:PutObjectLegalHold", true);
  const XmlNode root = parse_xml(co_await receive_text(call, kMaxText));
  const auto status = root.value("Status");
  if (root.name != "LegalHold" || (status != "ON" && status != "OFF")) throw S3Error("MalformedXML");
  const auto change = [&](Object& o) { o.meta["hold"] = status; };
  co_await engine_.change_object(bucket, call.key, call.version(), change);
  co_return empty_response();
}

}  // namespace penstock::objects
