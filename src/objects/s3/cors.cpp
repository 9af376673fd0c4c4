#include "objects/s3/cors.h"

#include "objects/s3/call.h"
#include "objects/s3/policy.h"
#include "objects/s3/service.h"
#include "objects/s3/xml.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxRules = 100;

json::array texts_of(const XmlNode& node, std::string_view name) {
  json::array out;
  for (const XmlNode* child : node.all(name)) out.push_back(json::string(child->text));
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

std::string join(const json::array& items) {
  std::string out;
  for (const json::value& item : items) out += (out.empty() ? "" : ", ") + to_std(item.as_string());
  return out;
}

bool allows_headers(const json::object& rule, std::string_view requested) {
  const json::array* allowed = find_array(rule, "headers");
  while (!requested.empty()) {
    const size_t comma = requested.find(',');
    auto one = requested.substr(0, comma);
    requested.remove_prefix(comma == std::string_view::npos ? requested.size() : comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty()) continue;
    const bool known = allowed != nullptr && std::ranges::any_of(*allowed, [&](const json::value& pattern) {
                         return matches_wildcard(lower(to_std(pattern.as_string())), lower(one));
                       });
    if (!known) return false;
  }
  return true;
}

}  // namespace

json::object read_cors(std::string_view text) {
  const XmlNode root = parse_xml(text);
  if (root.name != "CORSConfiguration") throw S3Error("MalformedXML");
  json::array rules;
  for (const XmlNode* node : root.all("CORSRule")) {
    json::object rule{{"origins", texts_of(*node, "AllowedOrigin")},
                      {"methods", texts_of(*node, "AllowedMethod")},
                      {"headers", texts_of(*node, "AllowedHeader")},
                      {"expose", texts_of(*node, "ExposeHeader")}};
    if (rule["origins"].as_array().empty() || rule["methods"].as_array().empty()) throw S3Error("MalformedXML");
    for (const json::value& method : rule["methods"].as_array()) {
      static constexpr std::string_view kMethods[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
      if (std::ranges::find(kMethods, to_std(method.as_string())) == std::end(kMethods)) {
        throw S3Error("InvalidRequest", "Found unsupported HTTP method in CORS config.");
      }
    }
    for (const json::value& origin : rule["origins"].as_array()) {
      if (std::ranges::count(to_std(origin.as_string()), '*') > 1) {
        throw S3Error("InvalidRequest", "AllowedOrigin can not have more than one wildcard.");
      }
    }
    if (const auto id = node->value("ID"); !id.empty()) rule["id"] = id;
    if (const auto age = node->value("MaxAgeSeconds"); !age.empty()) rule["max_age"] = number_of(age, "MaxAgeSeconds");
    rules.push_back(std::move(rule));
  }
  if (rules.empty() || rules.size() > kMaxRules) throw S3Error("MalformedXML");
  return {{"rules", std::move(rules)}};
}

std::string cors_to_xml(const json::object& cors) {
  XmlWriter xml("CORSConfiguration");
  for (const json::value& value : cors.at("rules").as_array()) {
    const json::object& rule = value.as_object();
    xml.open("CORSRule");
    if (rule.contains("id")) xml.element("ID", get_string(rule, "id"));
    const auto write = [&](const char* member, std::string_view element) {
      for (const json::value& item : rule.at(member).as_array()) xml.element(element, to_std(item.as_string()));
    };
    write("headers", "AllowedHeader");
    write("methods", "AllowedMethod");
    write("origins", "AllowedOrigin");
    write("expose", "ExposeHeader");
    if (rule.contains("max_age")) xml.element("MaxAgeSeconds", get_int(rule, "max_age"));
    xml.close();
  }
  return xml.finish();
}

std::optional<std::vector<std::pair<std::string, std::string>>> cors_headers(
    const json::object& cors, std::string_view origin, std::string_view method,
    std::optional<std::string_view> requested) {
  for (const json::value& value : cors.at("rules").as_array()) {
    const json::object& rule = value.as_object();
    const auto& methods = rule.at("methods").as_array();
    if (std::ranges::none_of(methods, [&](const json::value& m) { return to_std(m.as_string()) == method; })) continue;
    const json::value* match = nullptr;
    for (const json::value& pattern : rule.at("origins").as_array()) {
      if (matches_wildcard(to_std(pattern.as_string()), origin)) match = &pattern;
    }
    if (match == nullptr || (requested && !allows_headers(rule, *requested))) continue;
    const bool any = to_std(match->as_string()) == "*";
    std::vector<std::pair<std::string, std::string>> headers;
    headers.emplace_back("Access-Control-Allow-Origin", any ? "*" : std::string(origin));
    headers.emplace_back("Access-Control-Allow-Methods", join(methods));
    if (!any) headers.emplace_back("Access-Control-Allow-Credentials", "true");
    if (requested && !requested->empty()) headers.emplace_back("Access-Control-Allow-Headers", std::string(*requested));
    if (const auto& expose = rule.at("expose").as_array(); !expose.empty()) {
      headers.emplace_back("Access-Control-Expose-Headers", join(expose));
    }
    if (rule.contains("max_age"))
      headers.emplace_back("Access-Control-Max-Age", std::to_string(get_int(rule, "max_age")));
    headers.emplace_back("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
    return headers;
  }
  return std::nullopt;
}

Async<http::Response> S3Service::preflight(Call& call) {
  const auto origin = call.header("origin"), method = call.header("access-control-request-method");
  if (origin.empty())
    throw S3Error("InvalidRequest", "Insufficient information. Origin request header needed.").with("Header", "Origin");
  static constexpr std::string_view kMethods[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
  if (method.empty() || std::ranges::find(kMethods, method) == std::end(kMethods)) {
    throw S3Error("InvalidRequest", "Invalid Access-Control-Request-Method");
  }
  const BucketPtr bucket = engine_.find_bucket(call.bucket);
  const json::object* cors = bucket ? find_object(bucket->config, "cors") : nullptr;
  const auto headers = cors != nullptr
                           ? cors_headers(*cors, origin, method, call.header("access-control-request-headers"))
                           : std::nullopt;
  if (!headers) throw S3Error("AccessDenied", "CORSResponse: This CORS request is not allowed.");
  co_return empty_response();
}

void S3Service::add_cors(http::Response& response, const Call& call) const {
  const auto origin = call.header("origin");
  if (origin.empty() || call.bucket.empty()) return;
  const BucketPtr bucket = engine_.find_bucket(call.bucket);
  const json::object* cors = bucket ? find_object(bucket->config, "cors") : nullptr;
  if (cors == nullptr) return;
  const bool preflights = call.http.method == http::Method::Options;
  // A request that names the method it is checked for is answered for that one, whatever it is itself.
  const auto asked = call.header("access-control-request-method");
  const auto method = asked.empty() ? http::to_string(call.http.method) : asked;
  std::optional<std::string_view> requested;
  if (preflights) requested = call.header("access-control-request-headers");
  const auto headers = cors_headers(*cors, origin, method, requested);
  if (!headers) return;
  for (const auto& [name, value] : *headers) response.set(name, value);
}

}  // namespace penstock::objects
