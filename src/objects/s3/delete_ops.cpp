// Deleting objects, alone and many at once.
#include "objects/s3/conditions.h"
#include "objects/s3/lock.h"
#include "objects/s3/service.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxDelete = 8u << 20;  // 1000 keys of 1024 bytes, each maybe an entity
constexpr size_t kMaxKeys = 1'000;

std::string_view delete_action(bool versioned) { return versioned ? "s3:DeleteObjectVersion" : "s3:DeleteObject"; }

// Of an object that a request names with what it must be; empty fields ask for nothing.
struct Expected {
  std::string etag, modified, size;
};

void check_expected(const Object* object, const Expected& expected) {
  if (object == nullptr) {
    // What is not there is deleted already.
    return;
  }
  if (!expected.etag.empty() && !matches_etag(expected.etag, object->etag)) throw S3Error("PreconditionFailed");
  if (!expected.size.empty() && expected.size != std::to_string(object->size)) throw S3Error("PreconditionFailed");
  if (expected.modified.empty()) return;
  auto time = parse_http_time(expected.modified);
  if (!time) time = parse_time(expected.modified);
  if (!time || *time != std::chrono::floor<std::chrono::seconds>(object->modified)) {
    throw S3Error("PreconditionFailed");
  }
}

}  // namespace

Check S3Service::delete_check(const Call& call, const Bucket& bucket, bool versioned, bool bypass_allowed) const {
  const Expected expected{std::string(call.header("if-match")),
                          std::string(call.header("x-amz-if-match-last-modified-time")),
                          std::string(call.header("x-amz-if-match-size"))};
  const bool locked = has_lock(bucket) && versioned;
  return [expected, locked, bypass_allowed, now = engine_.clock().now()](const Object* object) {
    check_expected(object, expected);
    if (locked && object != nullptr && !object->marker) check_unlocked(*object, now, bypass_allowed);
  };
}

Async<http::Response> S3Service::delete_object(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const auto version = call.version();
  Ask ask{.action = delete_action(version.has_value()), .permission = "WRITE", .key = call.key, .write = true};
  if (version) ask.version = *version;
  require(call, *bucket, ask);
  bool bypass = wants_bypass(call.http);
  if (bypass) {
    ask.action = "s3:BypassGovernanceRetention";
    bypass = allowed(call, *bucket, ask);
  }
  const Removed removed =
      co_await engine_.remove(bucket, call.key, version, delete_check(call, *bucket, version.has_value(), bypass));
  auto response = empty_response(204);
  if (removed.marker) response.set("x-amz-delete-marker", "true");
  if (!removed.version.empty() && bucket->versioning != Versioning::Off) {
    response.set("x-amz-version-id", removed.version);
  }
  co_return response;
}

Async<http::Response> S3Service::delete_objects(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const XmlNode root = parse_xml(co_await receive_text(call, kMaxDelete));
  if (root.name != "Delete") throw S3Error("MalformedXML");
  const bool quiet = root.value("Quiet") == "true";
  const auto objects = root.all("Object");
  if (objects.empty() || objects.size() > kMaxKeys) throw S3Error("MalformedXML");
  bool bypass = wants_bypass(call.http);
  struct Item {
    std::string key;
    std::optional<std::string> version;
    std::exception_ptr refused;
  };
  std::vector<Item> items;
  std::vector<Engine::RemoveKey> keys;
  for (const XmlNode* object : objects) {
    const XmlNode *name = object->child("Key"), *version = object->child("VersionId");
    if (name == nullptr || name->text.empty()) throw S3Error("MalformedXML");
    Item item{name->text, std::nullopt, nullptr};
    if (version != nullptr && !version->text.empty()) item.version = version->text;
    Ask ask{.action = delete_action(item.version.has_value()), .permission = "WRITE", .key = item.key, .write = true};
    if (item.version) ask.version = *item.version;
    if (!allowed(call, *bucket, ask)) {
      item.refused = std::make_exception_ptr(S3Error("AccessDenied"));
    } else {
      bool item_bypass = false;
      if (bypass) {
        ask.action = "s3:BypassGovernanceRetention";
        item_bypass = allowed(call, *bucket, ask);
      }
      const Expected expected{object->value("ETag"), object->value("LastModifiedTime"), object->value("Size")};
      const bool locked = has_lock(*bucket) && item.version.has_value();
      Check check = [expected, locked, item_bypass, now = engine_.clock().now()](const Object* current) {
        check_expected(current, expected);
        if (locked && current != nullptr && !current->marker) check_unlocked(*current, now, item_bypass);
      };
      keys.push_back({item.key, item.version, std::move(check)});
    }
    items.push_back(std::move(item));
  }
  auto outcomes = co_await engine_.remove_many(bucket, std::move(keys));
  XmlWriter xml("DeleteResult");
  size_t next = 0;
  for (const Item& item : items) {
    const Engine::RemoveOutcome outcome =
        item.refused ? Engine::RemoveOutcome{{}, item.refused} : std::move(outcomes[next++]);
    if (outcome.error) {
      xml.open("Error").element("Key", item.key);
      if (item.version) xml.element("VersionId", *item.version);
      try {
        std::rethrow_exception(outcome.error);
      } catch (const S3Error& error) {
        xml.element("Code", error.s3_code()).element("Message", error.message());
      }
      xml.close();
      continue;
    }
    if (quiet) continue;
    xml.open("Deleted").element("Key", item.key);
    if (item.version) xml.element("VersionId", *item.version);
    if (outcome.removed.marker) {
      xml.flag("DeleteMarker", true).element("DeleteMarkerVersionId", outcome.removed.version);
    }
    xml.close();
  }
  co_return xml_response(xml.finish());
}

}  // namespace penstock::objects
