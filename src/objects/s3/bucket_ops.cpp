// The service and buckets as a whole.
#include <arpa/inet.h>

#include "objects/s3/service.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxText = 64 * 1024;

void check_bucket_name(const std::string& name) {
  const auto bad = [&] { return S3Error("InvalidBucketName").with("BucketName", name); };
  if (name.size() < 3 || name.size() > 63) throw bad();
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (!plain(name.front()) || !plain(name.back())) throw bad();
  for (size_t i = 0; i < name.size(); ++i) {
    if (!plain(name[i]) && name[i] != '-' && name[i] != '.') throw bad();
    if (name[i] == '.' && (name[i + 1] == '.' || name[i + 1] == '-' || name[i - 1] == '-')) throw bad();
  }
  in_addr address{};
  if (::inet_pton(AF_INET, name.c_str(), &address) == 1) throw bad();
  if (name.starts_with("xn--") || name.ends_with("-s3alias")) throw bad();
}

bool is_true(std::string_view text) { return text == "true" || text == "True" || text == "TRUE"; }

}  // namespace

Async<http::Response> S3Service::list_buckets(Call& call) {
  if (!call.who) throw S3Error("AccessDenied");
  const std::string prefix = call.http.query_or("prefix", ""), after = call.http.query_or("continuation-token", "");
  size_t limit = SIZE_MAX;
  if (const auto text = call.http.query_value("max-buckets")) {
    limit = static_cast<size_t>(number_of(*text, "max-buckets"));
    if (limit < 1 || limit > 10'000) throw S3Error("InvalidArgument", "max-buckets must be between 1 and 10000");
  }
  XmlWriter xml("ListAllMyBucketsResult");
  write_owner(xml, "Owner", call.account(), keys_);
  xml.open("Buckets");
  std::string last;
  size_t count = 0;
  bool more = false;
  for (const BucketPtr& bucket : engine_.buckets()) {
    const auto& scopes = call.who->scopes;
    const bool seen = scopes.empty() || std::ranges::any_of(scopes, [&](const Scope& scope) {
                        return matches_wildcard(scope.bucket, bucket->name);
                      });
    if (bucket->owner != call.account() || !seen) continue;
    if (!bucket->name.starts_with(prefix) || bucket->name <= after) continue;
    if (count++ == limit) {
      more = true;
      break;
    }
    last = bucket->name;
    xml.open("Bucket").element("Name", bucket->name).element("CreationDate", iso_time(bucket->created));
    xml.close();
  }
  xml.close();
  if (!prefix.empty()) xml.element("Prefix", prefix);
  if (more) xml.element("ContinuationToken", last);
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::create_bucket(Call& call) {
  if (!call.who) throw S3Error("AccessDenied");
  check_bucket_name(call.bucket);
  for (const Scope& scope : call.who->scopes) {
    // A key of prefixes makes no buckets.
    if (!scope.prefix.empty() || !scope.write || !matches_wildcard(scope.bucket, call.bucket)) {
      throw S3Error("AccessDenied");
    }
  }
  Bucket bucket;
  bucket.name = call.bucket;
  bucket.owner = call.account();
  const std::string body = co_await receive_text(call, kMaxText);
  if (!body.empty()) {
    const XmlNode root = parse_xml(body);
    if (root.name != "CreateBucketConfiguration") throw S3Error("MalformedXML");
    if (const auto location = root.value("LocationConstraint"); !location.empty()) {
      bucket.config["location"] = location;
    }
  }
  const std::string ownership(call.header("x-amz-object-ownership"));
  if (!ownership.empty()) {
    if (ownership != "BucketOwnerEnforced" && ownership != "BucketOwnerPreferred" && ownership != "ObjectWriter") {
      throw S3Error("InvalidArgument", "x-amz-object-ownership is not known");
    }
    bucket.config["ownership"] = ownership;
  }
  auto acl = acl_of_headers(call.http, bucket.owner, bucket.owner, keys_);
  if (acl && ownership == "BucketOwnerEnforced" && grants_to_others(*acl, bucket.owner)) {
    throw S3Error("InvalidBucketAclWithObjectOwnership");
  }
  bucket.config["acl"] = acl ? *acl : canned_acl("private", bucket.owner, bucket.owner);
  if (is_true(call.header("x-amz-bucket-object-lock-enabled"))) {
    bucket.versioning = Versioning::Enabled;
    bucket.config["lock"] = json::object{{"enabled", true}};
  }
  if (const BucketPtr there = engine_.find_bucket(call.bucket)) {
    if (there->owner != bucket.owner) throw S3Error("BucketAlreadyExists");
    // As in us-east-1, one's own bucket may be made again, but not as another one.
    const json::value* old = find(there->config, "acl");
    const bool same = old == nullptr ? !acl : *old == bucket.config["acl"];
    if (!same) throw S3Error("BucketAlreadyExists");
  } else {
    co_await engine_.create_bucket(bucket);
  }
  auto response = empty_response();
  response.set("Location", "/" + call.bucket);
  co_return response;
}

Async<http::Response> S3Service::delete_bucket(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:DeleteBucket", .write = true});
  co_await engine_.delete_bucket(call.bucket);
  co_return empty_response(204);
}

Async<http::Response> S3Service::head_bucket(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:ListBucket", .permission = "READ", .probe = true});
  auto response = empty_response();
  response.set("x-amz-bucket-region", get_string(bucket->config, "location", options_.region));
  response.set("Content-Type", "application/xml");
  co_return response;
}

Async<http::Response> S3Service::get_location(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:GetBucketLocation", .probe = true});
  XmlWriter xml("LocationConstraint");
  xml.raw(xml_escape(get_string(bucket->config, "location")));
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::get_versioning(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:GetBucketVersioning"});
  XmlWriter xml("VersioningConfiguration");
  if (bucket->versioning != Versioning::Off) {
    xml.element("Status", bucket->versioning == Versioning::Enabled ? "Enabled" : "Suspended");
  }
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::put_versioning(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:PutBucketVersioning", .write = true});
  const XmlNode root = parse_xml(co_await receive_text(call, kMaxText));
  const auto status = root.value("Status");
  if (root.name != "VersioningConfiguration") throw S3Error("MalformedXML");
  if (status != "Enabled" && status != "Suspended") throw S3Error("IllegalVersioningConfigurationException");
  if (!root.value("MfaDelete").empty() && root.value("MfaDelete") != "Disabled") throw S3Error("NotImplemented");
  if (status == "Suspended" && bucket->config.contains("lock")) {
    throw S3Error("InvalidBucketState", "Versioning cannot be suspended on a bucket with object lock");
  }
  co_await engine_.change_bucket(call.bucket, [&](Bucket& b) {
    b.versioning = status == "Enabled" ? Versioning::Enabled : Versioning::Suspended;
  });
  co_return empty_response();
}

}  // namespace penstock::objects
