// Who may do what: scopes of keys, bucket policies, access control lists, and the block on public access.
#include "objects/s3/service.h"

namespace penstock::objects {

namespace {

bool flag_of(const Bucket& bucket, std::string_view name) {
  const json::object* block = find_object(bucket.config, "publicAccessBlock");
  return block != nullptr && get_bool(*block, name);
}

bool acls_are_off(const Bucket& bucket) { return get_string(bucket.config, "ownership") == "BucketOwnerEnforced"; }

// Whether a key with scopes may touch this at all.
bool in_scope(const AccessKey& key, std::string_view bucket, std::string_view object, bool write, bool lists,
              bool probe, std::string_view prefix) {
  if (key.scopes.empty()) return true;
  for (const Scope& scope : key.scopes) {
    if (!matches_wildcard(scope.bucket, bucket)) continue;
    if (probe) return true;
    if (!(write ? scope.write : scope.read)) continue;
    if (scope.prefix.empty()) return true;
    // Of the bucket itself, a key of a prefix may list that prefix and what is below it.
    if (!object.empty() ? object.starts_with(scope.prefix) : lists && prefix.starts_with(scope.prefix)) return true;
  }
  return false;
}

std::string peer_address(const http::Request& request) {
  const size_t colon = request.peer.rfind(':');
  std::string address = request.peer.substr(0, colon);
  if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
  return address;
}

}  // namespace

PolicyRequest S3Service::policy_request(const Call& call, const Bucket& bucket, const Ask& ask) const {
  PolicyRequest request;
  if (call.who) {
    request.principal = call.who->account.id;
    request.names = {call.who->account.name, call.who->access_key};
  }
  request.action = ask.action;
  request.resource = fmt::format("arn:aws:s3:::{}", bucket.name);
  if (!ask.key.empty()) request.resource += "/" + ask.key;
  auto& context = request.context;
  context = ask.context;
  context["aws:sourceip"] = {peer_address(call.http)};
  context["aws:securetransport"] = {options_.tls ? "true" : "false"};
  context["aws:currenttime"] = {format_time(engine_.clock().now())};
  context["aws:epochtime"] = {std::to_string(to_micros(engine_.clock().now()) / 1'000'000)};
  const auto header = [&](std::string_view name, std::string_view key) {
    if (const auto value = call.header(name); !value.empty()) context[std::string(key)] = {std::string(value)};
  };
  header("referer", "aws:referer");
  header("user-agent", "aws:useragent");
  for (const auto& [name, value] : call.http.headers) {
    if (!name.starts_with("x-amz-")) continue;
    // With or without a slash before the bucket, it is one source.
    const bool slash = name == "x-amz-copy-source" && value.starts_with('/');
    context.try_emplace("s3:" + name, std::vector<std::string>{value.substr(slash ? 1 : 0)});
  }
  for (const char* name : {"prefix", "delimiter", "max-keys"}) {
    if (const auto value = call.http.query_value(name)) context[fmt::format("s3:{}", name)] = {*value};
  }
  if (!ask.version.empty()) context["s3:versionid"] = {ask.version};
  if (ask.tags != nullptr) {
    for (const auto& [name, value] : *ask.tags) {
      context[fmt::format("s3:existingobjecttag/{}", http::url_decode(std::string_view(name), false))] = {
          to_std(value.as_string())};
    }
  }
  switch (call.authorization.kind) {
    case AuthKind::HeaderV4:
    case AuthKind::HeaderV2: context["s3:authtype"] = {"REST-HEADER"}; break;
    case AuthKind::QueryV4:
    case AuthKind::QueryV2: context["s3:authtype"] = {"REST-QUERY-STRING"}; break;
    default: break;
  }
  // Keys are compared in lower case, tag names of a key among them.
  std::map<std::string, std::vector<std::string>, std::less<>> lowered;
  for (auto& [name, values] : context) {
    std::string low = name;
    for (char& c : low) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    lowered[low] = std::move(values);
  }
  context = std::move(lowered);
  return request;
}

bool S3Service::allowed(const Call& call, const Bucket& bucket, const Ask& ask) const {
  const std::string account = call.account();
  const bool owner = !account.empty() && account == bucket.owner;
  if (call.who) {
    const bool lists = ask.action.starts_with("s3:ListBucket");
    if (!in_scope(*call.who, bucket.name, ask.key, ask.write, lists, ask.probe, call.http.query_or("prefix", "")))
      return false;
  }
  const json::object* policy = find_object(bucket.config, "policy");
  bool policy_ignored = false;
  if (policy != nullptr) {
    const Verdict verdict = evaluate_policy(*policy, policy_request(call, bucket, ask));
    const bool rescue = owner && ask.action.ends_with("BucketPolicy");
    if (verdict == Verdict::Deny && !rescue) return false;
    policy_ignored = !owner && flag_of(bucket, "RestrictPublicBuckets") && is_public_policy(*policy);
    if (verdict == Verdict::Allow && !policy_ignored) return true;
  }
  if (policy_ignored) return false;
  if (ask.permission.empty()) return owner;
  if (acls_are_off(bucket)) return owner;
  const json::object* acl = ask.object_acl != nullptr ? ask.object_acl : find_object(bucket.config, "acl");
  if (acl == nullptr) return owner;
  return acl_grants(*acl, account, ask.permission, flag_of(bucket, "IgnorePublicAcls"));
}

void S3Service::require(const Call& call, const Bucket& bucket, const Ask& ask) const {
  if (!allowed(call, bucket, ask)) throw S3Error("AccessDenied");
}

BucketPtr S3Service::bucket_for(const Call& call, const Ask& ask) const {
  BucketPtr bucket = engine_.bucket(call.bucket);
  require(call, *bucket, ask);
  return bucket;
}

void S3Service::require_read(const Call& call, const Bucket& bucket, const Object* object, Ask ask) const {
  const bool there = object != nullptr && !object->marker;
  json::object own;  // of an object without a list of its own
  if (there) {
    ask.object_acl = find_object(object->meta, "acl");
    if (ask.object_acl == nullptr) {
      own = canned_acl("private", get_string(object->meta, "owner", bucket.owner), bucket.owner);
      ask.object_acl = &own;
    }
    ask.tags = find_object(object->meta, "tags");
    require(call, bucket, ask);
    return;
  }
  // Whether a key exists is told to those alone who may list.
  const Ask list{.action = "s3:ListBucket", .permission = "READ"};
  const bool may_list = allowed(call, bucket, list);
  if (may_list) return;
  throw S3Error("AccessDenied");
}

void S3Service::check_new_acl(const Bucket& bucket, const json::object& acl) const {
  if (flag_of(bucket, "BlockPublicAcls") && is_public_acl(acl)) throw S3Error("AccessDenied");
}

json::object S3Service::acl_for_new_object(const Call& call, const Bucket& bucket) const {
  std::string owner = call.account();
  if (owner.empty()) owner = bucket.owner;  // of what the public puts
  if (acls_are_off(bucket)) {
    const auto canned = call.header("x-amz-acl");
    const bool others = std::ranges::any_of(
        call.http.headers, [](const auto& header) { return header.first.starts_with("x-amz-grant-"); });
    if (others || (!canned.empty() && canned != "bucket-owner-full-control" && canned != "private")) {
      throw S3Error("AccessControlListNotSupported");
    }
    return canned_acl("private", bucket.owner, bucket.owner);
  }
  auto acl = acl_of_headers(call.http, owner, bucket.owner, keys_);
  if (!acl) acl = canned_acl("private", owner, bucket.owner);
  // In such a bucket, what is handed to the bucket's owner becomes the owner's.
  const auto ownership = get_string(bucket.config, "ownership");
  if (ownership == "BucketOwnerPreferred" && call.header("x-amz-acl") == "bucket-owner-full-control") {
    acl = canned_acl("private", bucket.owner, bucket.owner);
  }
  check_new_acl(bucket, *acl);
  return *acl;
}

}  // namespace penstock::objects
