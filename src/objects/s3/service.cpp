#include "objects/s3/service.h"

#include "base/utf8.h"

namespace penstock::objects {

namespace {

std::string new_request_id() {
  std::string id = new_uuid();
  std::erase(id, '-');
  id.resize(16);
  for (char& c : id) c = static_cast<char>(c >= 'a' && c <= 'f' ? c - 32 : c);
  return id;
}

// What XML cannot say at all is left out of it.
std::string xml_text(std::string_view text) {
  std::string out = to_utf8(text);
  for (char& c : out) {
    if (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
  }
  return out;
}

S3Error as_s3(const Error& error) {
  switch (error.code()) {
    case Code::ResourceExhausted:
      return S3Error(error.field() == "body" ? "EntityTooLarge" : "InsufficientStorage", error.message());
    case Code::DeadlineExceeded: return S3Error("RequestTimeout");
    case Code::InvalidArgument: return S3Error("InvalidArgument", error.message());
    case Code::NotFound: return S3Error("NoSuchKey", error.message());
    case Code::AlreadyExists: return S3Error("BucketAlreadyExists");
    case Code::Unavailable:
    case Code::Aborted: return S3Error("ServiceUnavailable", error.message());
    default: return S3Error("InternalError");
  }
}

void check_key(const std::string& key) {
  if (key.size() > 1'024) throw S3Error("KeyTooLongError").with("Size", std::to_string(key.size()));
  if (key.find('\0') != std::string::npos || !is_utf8(key)) throw S3Error("InvalidURI");
}

}  // namespace

S3Service::S3Service(Engine& engine, const Keys& keys, Vault& vault, Options options)
    : engine_(engine), keys_(keys), vault_(vault), options_(std::move(options)) {}

void S3Service::add_routes(http::Router& router) {
  for (const auto method : {http::Method::Get, http::Method::Head, http::Method::Post, http::Method::Put,
                            http::Method::Patch, http::Method::Delete, http::Method::Options}) {
    auto handler = [this](http::Request& request) { return handle(request); };
    router.add(method, options_.prefix + "/{path*}", handler);
    if (!options_.prefix.empty()) router.add(method, options_.prefix, handler);
  }
}

void S3Service::read_address(Call& call) const {
  std::string_view host = call.header("host");
  if (const size_t colon = host.rfind(':'); colon != std::string_view::npos && !host.ends_with(']')) {
    host = host.substr(0, colon);
  }
  for (const std::string& domain : options_.domains) {
    if (host.size() > domain.size() + 1 && host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.') {
      call.host_bucket = host.substr(0, host.size() - domain.size() - 1);
    }
  }
  std::string_view path = call.http.path;
  path.remove_prefix(std::min(options_.prefix.size(), path.size()));
  if (path.starts_with('/')) path.remove_prefix(1);
  if (!call.host_bucket.empty()) {
    call.bucket = call.host_bucket;
    call.key = http::url_decode(path, false);
  } else {
    const size_t slash = path.find('/');
    call.bucket = http::url_decode(path.substr(0, slash), false);
    if (slash != std::string_view::npos) call.key = http::url_decode(path.substr(slash + 1), false);
  }
}

void S3Service::authenticate(Call& call) const {
  call.authorization = read_authorization(call.http);
  if (call.authorization.kind == AuthKind::None) return;
  auto key = keys_.find(call.authorization.access_key);
  if (!key) {
    S3Error error("InvalidAccessKeyId");
    throw error.with("AWSAccessKeyId", call.authorization.access_key);
  }
  check_signature(call.http, call.authorization, key->secret, call.host_bucket, engine_.clock().now());
  call.who = std::move(key);
  call.verified = true;
}

Async<http::Response> S3Service::handle(http::Request& request) {
  Call call{request, new_request_id(), {}, {}, {}, nullptr, {}, false};
  http::Response response;
  try {
    response = co_await serve(call);
  } catch (const S3Error& error) {
    if (error.status() >= 500)
      spdlog::warn("S3 {} {}: {}", http::to_string(request.method), request.path, error.what());
    response = error_response(call, error);
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;
    spdlog::warn("S3 {} {}: {}", http::to_string(request.method), request.path, error.what());
    response = error_response(call, as_s3(error));
  } catch (const boost::system::system_error&) {
    throw;  // the connection's
  } catch (const std::exception& error) {
    spdlog::error("S3 {} {}: {}", http::to_string(request.method), request.path, error.what());
    response = error_response(call, S3Error("InternalError"));
  }
  add_cors(response, call);
  response.set("x-amz-request-id", call.id);
  response.set("x-amz-id-2", call.id);
  response.set("Date", format_http_time(engine_.clock().now()));
  response.set("Server", "Penstock");
  co_return response;
}

http::Response S3Service::error_response(const Call& call, const S3Error& error) const {
  XmlWriter xml("Error", false);
  xml.element("Code", error.s3_code()).element("Message", xml_text(error.message()));
  for (const auto& [name, value] : error.elements()) xml.element(name, xml_text(value));
  if (!call.bucket.empty()) xml.element("BucketName", xml_text(call.bucket));
  xml.element("Resource", xml_text(call.http.path)).element("RequestId", call.id).element("HostId", call.id);
  auto response = xml_response(xml.finish(), error.status());
  for (const auto& [name, value] : error.headers()) response.set(name, value);
  return response;
}

S3Service::Handler S3Service::find_handler(const Call& call) const {
  using S = S3Service;
  static constexpr std::string_view kConfigs[] = {
      "accelerate",     "analytics",         "cors",    "encryption",        "intelligent-tiering",
      "inventory",      "lifecycle",         "logging", "metrics",           "notification",
      "object-lock",    "ownershipControls", "policy",  "publicAccessBlock", "replication",
      "requestPayment", "tagging",           "website"};
  static const std::vector<Route> kGetBucket = {
      {"location", &S::get_location}, {"versioning", &S::get_versioning}, {"versions", &S::list_versions},
      {"uploads", &S::list_uploads},  {"acl", &S::get_bucket_acl},        {"policyStatus", &S::get_policy_status}};
  static const std::vector<Route> kGetObject = {{"uploadId", &S::list_parts},     {"acl", &S::get_object_acl},
                                                {"tagging", &S::get_object_tags}, {"retention", &S::get_retention},
                                                {"legal-hold", &S::get_hold},     {"attributes", &S::get_attributes},
                                                {"torrent", &S::get_torrent}};
  static const std::vector<Route> kPutObject = {{"acl", &S::put_object_acl},
                                                {"tagging", &S::put_object_tags},
                                                {"retention", &S::put_retention},
                                                {"legal-hold", &S::put_hold}};
  const auto by_query = [&](const std::vector<Route>& routes) -> Handler {
    for (const Route& route : routes) {
      if (call.has(route.query)) return route.handler;
    }
    return nullptr;
  };
  const bool config = std::ranges::any_of(kConfigs, [&](std::string_view name) { return call.has(name); });
  const bool of_object = !call.key.empty();
  const bool copies = !call.header("x-amz-copy-source").empty();
  switch (call.http.method) {
    case http::Method::Options: return &S::preflight;
    case http::Method::Get:
    case http::Method::Head:
      if (call.bucket.empty()) return &S::list_buckets;
      if (of_object) {
        const auto found = by_query(kGetObject);
        return found ? found : &S::get_object;
      }
      if (call.http.method == http::Method::Head) return &S::head_bucket;
      if (const auto found = by_query(kGetBucket)) return found;
      if (config) return &S::get_config;
      return call.http.query_value("list-type") == "2" ? &S::list_objects_v2 : &S::list_objects;
    case http::Method::Put:
      if (call.bucket.empty()) break;
      if (of_object) {
        if (const auto found = by_query(kPutObject)) return found;
        if (call.has("uploadId") || call.has("partNumber")) return copies ? &S::copy_part : &S::put_part;
        return copies ? &S::copy_object : &S::put_object;
      }
      if (call.has("acl")) return &S::put_bucket_acl;
      if (call.has("versioning")) return &S::put_versioning;
      return config ? &S::put_config : &S::create_bucket;
    case http::Method::Delete:
      if (call.bucket.empty()) break;
      if (of_object) {
        if (call.has("tagging")) return &S::delete_object_tags;
        return call.has("uploadId") ? &S::abort_upload : &S::delete_object;
      }
      return config ? &S::delete_config : &S::delete_bucket;
    case http::Method::Post:
      if (call.bucket.empty()) break;
      if (of_object) {
        if (call.has("uploads")) return &S::create_upload;
        if (call.has("uploadId")) return &S::complete_upload;
        return &S::not_implemented;
      }
      return call.has("delete") ? &S::delete_objects : &S::post_object;
    default: break;
  }
  throw S3Error("MethodNotAllowed");
}

Async<http::Response> S3Service::serve(Call& call) {
  read_address(call);
  const Handler handler = find_handler(call);
  // A browser asks before it signs; a form carries its own signature.
  if (handler == &S3Service::preflight || handler == &S3Service::post_object) co_return co_await (this->*handler)(call);
  authenticate(call);
  if (const auto owner = call.header("x-amz-expected-bucket-owner"); !owner.empty()) {
    const BucketPtr bucket = engine_.find_bucket(call.bucket);
    if (bucket && bucket->owner != owner) throw S3Error("AccessDenied");
  }
  check_key(call.key);
  co_return co_await (this->*handler)(call);
}

Async<http::Response> S3Service::handle_for_owner(http::Request& request, std::string bucket, std::string key) {
  Call call{request, new_request_id(), {}, std::move(bucket), std::move(key), nullptr, {}, true};
  AccessKey who = keys_.root();
  if (const BucketPtr there = engine_.find_bucket(call.bucket); there && there->owner != who.account.id) {
    const Account* account = keys_.account(there->owner);
    who = {.access_key = {}, .secret = {}, .account = account ? *account : Account{there->owner, {}, {}}, .scopes = {}};
  }
  call.who = std::make_shared<const AccessKey>(std::move(who));
  const Handler handler = find_handler(call);
  check_key(call.key);
  co_return co_await (this->*handler)(call);
}

Async<http::Response> S3Service::not_implemented(Call&) { throw S3Error("NotImplemented"); }

}  // namespace penstock::objects
