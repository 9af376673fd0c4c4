// Configurations of buckets: kept as JSON in the bucket's row, read from and shown as their XML.
#include "objects/s3/cors.h"
#include "objects/s3/lifecycle.h"
#include "objects/s3/lock.h"
#include "objects/s3/service.h"
#include "objects/s3/sse.h"
#include "objects/s3/tags.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxText = 256 * 1024;
constexpr size_t kMaxPolicy = 20 * 1024;
constexpr const char* kPolicyText = "policyText";  // in a bucket's configuration, beside "policy"

constexpr std::string_view kBlockFlags[] = {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy",
                                            "RestrictPublicBuckets"};

json::object read_block(std::string_view text) {
  const XmlNode root = parse_xml(text);
  if (root.name != "PublicAccessBlockConfiguration") throw S3Error("MalformedXML");
  json::object out;
  for (const auto name : kBlockFlags) {
    const auto value = root.value(name);
    if (!value.empty() && value != "true" && value != "false" && value != "TRUE" && value != "FALSE") {
      throw S3Error("MalformedXML");
    }
    out[name] = value == "true" || value == "TRUE";
  }
  return out;
}

std::string read_ownership(std::string_view text) {
  const XmlNode root = parse_xml(text);
  const XmlNode* rule = root.child("Rule");
  if (root.name != "OwnershipControls" || rule == nullptr) throw S3Error("MalformedXML");
  const auto value = rule->value("ObjectOwnership");
  if (value != "BucketOwnerEnforced" && value != "BucketOwnerPreferred" && value != "ObjectWriter") {
    throw S3Error("MalformedXML");
  }
  return value;
}

// One kind of configuration.
struct Kind {
  std::string_view query;
  std::string_view name;              // in the bucket's JSON; empty: nothing is kept
  std::string_view missing;           // what GET answers when there is none; empty: `none`
  std::string_view none;              // the XML's root when there is none
  std::string_view get, put, remove;  // actions
};

constexpr Kind kKinds[] = {
    {"policy", "policy", "NoSuchBucketPolicy", "", "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"},
    {"cors", "cors", "NoSuchCORSConfiguration", "", "s3:GetBucketCORS", "s3:PutBucketCORS", "s3:PutBucketCORS"},
    {"lifecycle", "lifecycle", "NoSuchLifecycleConfiguration", "", "s3:GetLifecycleConfiguration",
     "s3:PutLifecycleConfiguration", "s3:PutLifecycleConfiguration"},
    {"tagging", "tags", "NoSuchTagSet", "", "s3:GetBucketTagging", "s3:PutBucketTagging", "s3:PutBucketTagging"},
    {"publicAccessBlock", "publicAccessBlock", "NoSuchPublicAccessBlockConfiguration", "",
     "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"},
    {"ownershipControls", "ownership", "OwnershipControlsNotFoundError", "", "s3:GetBucketOwnershipControls",
     "s3:PutBucketOwnershipControls", "s3:PutBucketOwnershipControls"},
    {"object-lock", "lock", "ObjectLockConfigurationNotFoundError", "", "s3:GetBucketObjectLockConfiguration",
     "s3:PutBucketObjectLockConfiguration", ""},
    {"encryption", "encryption", "ServerSideEncryptionConfigurationNotFoundError", "", "s3:GetEncryptionConfiguration",
     "s3:PutEncryptionConfiguration", "s3:PutEncryptionConfiguration"},
    {"website", "", "NoSuchWebsiteConfiguration", "", "s3:GetBucketWebsite", "", ""},
    {"replication", "", "ReplicationConfigurationNotFoundError", "", "s3:GetReplicationConfiguration", "", ""},
    {"notification", "", "", "NotificationConfiguration", "s3:GetBucketNotification", "", ""},
    {"logging", "", "", "BucketLoggingStatus", "s3:GetBucketLogging", "", ""},
    {"accelerate", "", "", "AccelerateConfiguration", "s3:GetAccelerateConfiguration", "", ""},
    {"requestPayment", "", "", "RequestPaymentConfiguration", "s3:GetBucketRequestPayment", "", ""},
    {"analytics", "", "", "ListBucketAnalyticsConfigurationResult", "s3:GetAnalyticsConfiguration", "", ""},
    {"inventory", "", "", "ListInventoryConfigurationsResult", "s3:GetInventoryConfiguration", "", ""},
    {"metrics", "", "", "ListMetricsConfigurationsResult", "s3:GetMetricsConfiguration", "", ""},
    {"intelligent-tiering", "", "", "ListBucketIntelligentTieringConfigurationsOutput",
     "s3:GetIntelligentTieringConfiguration", "", ""},
};

const Kind& kind_of(const Call& call) {
  for (const Kind& kind : kKinds) {
    if (call.has(kind.query)) return kind;
  }
  throw S3Error("NotImplemented");
}

// In the words in which it was given: programs compare them.
http::Response show_policy(const Bucket& bucket, const json::value& policy) {
  http::Response response;
  response.set("Content-Type", "application/json");
  response.body = get_string(bucket.config, kPolicyText);
  if (response.body.empty()) response.body = to_text(policy);  // of a bucket whose policy is older than its words
  return response;
}

http::Response show(const Kind& kind, const json::value& value) {
  if (kind.name == "ownership") {
    XmlWriter xml("OwnershipControls");
    xml.open("Rule").element("ObjectOwnership", to_std(value.as_string()));
    return xml_response(xml.finish());
  }
  const json::object& object = value.as_object();
  if (kind.name == "cors") return xml_response(cors_to_xml(object));
  if (kind.name == "lifecycle") return xml_response(lifecycle_to_xml(object));
  if (kind.name == "tags") return xml_response(tags_to_xml(object));
  if (kind.name == "lock") return xml_response(lock_configuration_xml(object));
  if (kind.name == "encryption") return xml_response(encryption_to_xml(object));
  XmlWriter xml("PublicAccessBlockConfiguration");
  for (const auto name : kBlockFlags) xml.flag(name, get_bool(object, name));
  return xml_response(xml.finish());
}

json::value read_config(const Kind& kind, const std::string& text, const Bucket& bucket) {
  if (kind.name == "policy") {
    if (text.size() > kMaxPolicy) throw S3Error("MalformedPolicy", "Policies must not be larger than 20 KiB");
    json::object policy = read_policy(text, bucket.name);
    const json::object* block = find_object(bucket.config, "publicAccessBlock");
    if (block != nullptr && get_bool(*block, "BlockPublicPolicy") && is_public_policy(policy)) {
      throw S3Error("AccessDenied");
    }
    return policy;
  }
  if (kind.name == "cors") return read_cors(text);
  if (kind.name == "lifecycle") return read_lifecycle(text);
  if (kind.name == "encryption") return read_encryption(text);
  if (kind.name == "tags") return tags_of_xml(text, kBucketTags);
  if (kind.name == "ownership") {
    const std::string ownership = read_ownership(text);
    const json::object* acl = find_object(bucket.config, "acl");
    if (ownership == "BucketOwnerEnforced" && acl != nullptr && grants_to_others(*acl, bucket.owner)) {
      throw S3Error("InvalidBucketAclWithObjectOwnership");
    }
    return json::string(ownership);
  }
  if (kind.name == "lock") {
    if (bucket.versioning != Versioning::Enabled) {
      throw S3Error("InvalidBucketState",
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration");
    }
    return read_lock_configuration(text);
  }
  return read_block(text);
}

}  // namespace

Async<http::Response> S3Service::get_config(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const Kind& kind = kind_of(call);
  require(call, *bucket, {.action = kind.get});
  const json::value* value = kind.name.empty() ? nullptr : find(bucket->config, kind.name);
  if (value != nullptr && kind.name == "policy") co_return show_policy(*bucket, *value);
  if (value != nullptr) co_return show(kind, *value);
  if (!kind.missing.empty()) throw S3Error(kind.missing);
  XmlWriter xml(kind.none);
  if (kind.query == "requestPayment") xml.element("Payer", "BucketOwner");
  if (kind.none.starts_with("List")) xml.flag("IsTruncated", false);
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::put_config(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const Kind& kind = kind_of(call);
  require(call, *bucket, {.action = kind.put.empty() ? "s3:PutBucketConfiguration" : kind.put, .write = true});
  const std::string text = co_await receive_text(call, kMaxText);
  if (kind.query == "requestPayment" && parse_xml(text).value("Payer") == "BucketOwner") co_return empty_response();
  if (kind.name.empty()) throw S3Error("NotImplemented", fmt::format("?{} is not implemented", kind.query));
  const json::value value = read_config(kind, text, *bucket);
  const std::string name(kind.name);
  co_await engine_.change_bucket(call.bucket, [&](Bucket& b) {
    b.config[name] = value;
    if (kind.name == "policy") b.config[kPolicyText] = text;
  });
  co_return empty_response(kind.name == "policy" ? 204 : 200);
}

Async<http::Response> S3Service::delete_config(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const Kind& kind = kind_of(call);
  require(call, *bucket, {.action = kind.remove.empty() ? "s3:PutBucketConfiguration" : kind.remove, .write = true});
  if (kind.name == "lock") throw S3Error("MethodNotAllowed");
  if (!kind.name.empty()) {
    const std::string name(kind.name);
    co_await engine_.change_bucket(call.bucket, [&](Bucket& b) {
      b.config.erase(name);
      if (kind.name == "policy") b.config.erase(kPolicyText);
    });
  }
  co_return empty_response(204);
}

Async<http::Response> S3Service::get_policy_status(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:GetBucketPolicyStatus"});
  const json::object* policy = find_object(bucket->config, "policy");
  const json::object* acl = find_object(bucket->config, "acl");
  const bool open = (policy != nullptr && is_public_policy(*policy)) || (acl != nullptr && is_public_acl(*acl));
  XmlWriter xml("PolicyStatus");
  xml.flag("IsPublic", open);
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::get_bucket_acl(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:GetBucketAcl", .permission = "READ_ACP"});
  const json::object* acl = find_object(bucket->config, "acl");
  co_return xml_response(
      acl_to_xml(acl != nullptr ? *acl : canned_acl("private", bucket->owner, bucket->owner), keys_));
}

Async<http::Response> S3Service::put_bucket_acl(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:PutBucketAcl", .permission = "WRITE_ACP", .write = true});
  if (get_string(bucket->config, "ownership") == "BucketOwnerEnforced") throw S3Error("AccessControlListNotSupported");
  const std::string body = co_await receive_text(call, kMaxText);
  auto acl = acl_of_headers(call.http, bucket->owner, bucket->owner, keys_);
  if (!acl) acl = acl_of_xml(body, bucket->owner, keys_);
  check_new_acl(*bucket, *acl);
  const auto change = [&](Bucket& b) { b.config["acl"] = *acl; };
  co_await engine_.change_bucket(call.bucket, change);
  co_return empty_response();
}

}  // namespace penstock::objects
