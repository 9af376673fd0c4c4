#include "objects/s3/signature.h"

#include <charconv>
#include <ctime>
#include <mutex>

#include <openssl/crypto.h>

#include "base/base64.h"
#include "objects/checksum.h"

namespace penstock::objects {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr auto kMaxSkew = std::chrono::minutes(15);

S3Error malformed(std::string message) { return S3Error("AuthorizationHeaderMalformed", std::move(message)); }
S3Error bad_query(std::string message) { return S3Error("AuthorizationQueryParametersError", std::move(message)); }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// Whitespace at the ends goes, and inside it becomes one space.
std::string squeeze(std::string_view value) {
  std::string out;
  for (const char c : trim(value)) {
    if (c == ' ' && !out.empty() && out.back() == ' ') continue;
    out += c;
  }
  return out;
}

// "key/20260102/region/s3/aws4_request"; the key itself may hold slashes.
template <class Fail>
void read_credential(std::string_view text, Authorization& out, Fail fail) {
  const auto parts = split(text, '/');
  if (parts.size() < 5) throw fail("the Credential is not KEY/DATE/REGION/s3/aws4_request");
  const size_t n = parts.size();
  if (parts[n - 1] != "aws4_request") throw fail("the Credential must end with aws4_request");
  if (parts[n - 2] != "s3" && parts[n - 2] != "sts") throw fail("the Credential must be for the service s3");
  if (parts[n - 4].size() != 8) throw fail("the date of the Credential is not YYYYMMDD");
  out.region = parts[n - 3];
  out.date = parts[n - 4];
  out.scope = fmt::format("{}/{}/{}/aws4_request", out.date, out.region, parts[n - 2]);
  out.access_key = std::string(text.substr(0, text.size() - out.scope.size() - 1));
  if (out.access_key.empty()) throw fail("the Credential names no access key");
}

Authorization read_header_v4(const http::Request& request, std::string_view text) {
  Authorization out;
  out.kind = AuthKind::HeaderV4;
  std::string_view credential, headers;
  for (auto part : split(text.substr(kAlgorithm.size()), ',')) {
    part = trim(part);
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) throw malformed("a part of the authorization header has no value");
    const auto name = part.substr(0, equals), value = part.substr(equals + 1);
    if (name == "Credential") credential = value;
    if (name == "SignedHeaders") headers = value;
    if (name == "Signature") out.signature = value;
  }
  if (credential.empty() || headers.empty() || out.signature.empty()) {
    throw malformed("the authorization header needs Credential, SignedHeaders and Signature");
  }
  read_credential(credential, out, malformed);
  for (const auto header : split(headers, ';')) out.signed_headers.push_back(lower(header));
  out.time = request.header("x-amz-date");
  if (out.time.empty()) {
    const auto date = parse_http_time(request.header("date"));
    if (!date) throw S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
    out.time = format_amz_time(*date);
  }
  out.payload_hash = request.header("x-amz-content-sha256");
  if (out.payload_hash.empty()) {
    throw S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  }
  return out;
}

Authorization read_query_v4(const http::Request& request) {
  Authorization out;
  out.kind = AuthKind::QueryV4;
  const auto need = [&](std::string_view name) {
    auto value = request.query_value(name);
    if (!value || value->empty()) throw bad_query(fmt::format("the query needs {}", name));
    return *value;
  };
  if (need("X-Amz-Algorithm") != kAlgorithm) throw bad_query("X-Amz-Algorithm must be AWS4-HMAC-SHA256");
  read_credential(need("X-Amz-Credential"), out, bad_query);
  out.signature = need("X-Amz-Signature");
  out.time = need("X-Amz-Date");
  const std::string signed_headers = need("X-Amz-SignedHeaders");
  for (const auto header : split(signed_headers, ';')) out.signed_headers.push_back(lower(header));
  const auto expires = need("X-Amz-Expires");
  int64_t seconds = -1;
  const auto [end, error] = std::from_chars(expires.data(), expires.data() + expires.size(), seconds);
  if (error != std::errc{} || end != expires.data() + expires.size()) {
    throw bad_query("X-Amz-Expires must be a number of seconds");
  }
  if (seconds < 0) throw S3Error("AccessDenied", "X-Amz-Expires must not be negative");
  if (seconds > 604'800) throw S3Error("AccessDenied", "X-Amz-Expires must be less than a week (in seconds) away");
  const auto time = parse_amz_time(out.time);
  if (!time) throw bad_query("X-Amz-Date must be in the form 20060102T150405Z");
  out.expires = *time + std::chrono::seconds(seconds);
  out.payload_hash = request.header("x-amz-content-sha256");
  if (out.payload_hash.empty()) out.payload_hash = request.query_or("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
  return out;
}

Authorization read_header_v2(std::string_view text) {
  Authorization out;
  out.kind = AuthKind::HeaderV2;
  text = trim(text.substr(4));
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) throw S3Error("InvalidArgument", "AWS authorization header is invalid");
  out.access_key = text.substr(0, colon);
  out.signature = text.substr(colon + 1);
  return out;
}

Authorization read_query_v2(const http::Request& request) {
  Authorization out;
  out.kind = AuthKind::QueryV2;
  out.access_key = request.query_or("AWSAccessKeyId", "");
  const auto signature = request.query_value("Signature"), expires = request.query_value("Expires");
  if (!signature || !expires) {
    throw S3Error("AccessDenied", "Query-string authentication requires the Signature, Expires and AWSAccessKeyId");
  }
  out.signature = *signature;
  int64_t at = 0;
  const auto [end, error] = std::from_chars(expires->data(), expires->data() + expires->size(), at);
  if (error != std::errc{} || end != expires->data() + expires->size()) {
    throw S3Error("AccessDenied", "Invalid date (should be seconds since epoch)");
  }
  out.expires = Time(std::chrono::seconds(std::clamp<int64_t>(at, 0, int64_t{1} << 40)));
  return out;
}

// An empty one counts as well: then there is no time at all.
bool has_amz_date(const http::Request& request) {
  return std::ranges::any_of(request.headers, [](const auto& header) { return header.first == "x-amz-date"; });
}

// Pairs as they were sent, decoded; a plus is a space here as well.
std::vector<std::pair<std::string, std::string>> query_pairs(const http::Request& request) {
  return {request.query.begin(), request.query.end()};
}

}  // namespace

Authorization read_authorization(const http::Request& request) {
  const std::string_view header = request.header("authorization");
  if (header.starts_with(kAlgorithm)) return read_header_v4(request, header);
  if (header.starts_with("AWS ")) return read_header_v2(header);
  // What cannot be read at all is as good as none.
  const bool readable = std::ranges::any_of(header, [](char c) { return c > ' ' && c < 0x7f; });
  if (readable) throw S3Error("InvalidArgument", "Unsupported Authorization Type");
  if (request.query_value("X-Amz-Algorithm") || request.query_value("X-Amz-Signature")) return read_query_v4(request);
  if (request.query_value("AWSAccessKeyId")) return read_query_v2(request);
  return {};
}

std::string canonical_request(const http::Request& request, const Authorization& authorization) {
  std::string out(http::to_string(request.method));
  out += '\n';
  out += http::url_encode(http::url_decode(request.path, false), "/");
  out += '\n';
  std::vector<std::string> pairs;
  for (const auto& [name, value] : query_pairs(request)) {
    if (authorization.kind == AuthKind::QueryV4 && name == "X-Amz-Signature") continue;
    pairs.push_back(http::url_encode(name) + '=' + http::url_encode(value));
  }
  // Bytewise by name and then value: "=" sorts after what an encoded name may go on with.
  std::ranges::sort(pairs, [](std::string_view a, std::string_view b) {
    const size_t x = a.find('='), y = b.find('=');
    return std::pair(a.substr(0, x), a.substr(x)) < std::pair(b.substr(0, y), b.substr(y));
  });
  for (size_t i = 0; i < pairs.size(); ++i) out += (i ? "&" : "") + pairs[i];
  out += '\n';
  std::string names;
  for (const auto& wanted : authorization.signed_headers) {
    std::string value;
    bool first = true;
    for (const auto& [name, text] : request.headers) {
      if (name != wanted) continue;
      value += (first ? "" : ",") + squeeze(text);
      first = false;
    }
    out += wanted + ':' + value + '\n';
    names += (names.empty() ? "" : ";") + wanted;
  }
  out += '\n' + names + '\n' + authorization.payload_hash;
  return out;
}

std::string string_to_sign_v2(const http::Request& request, const Authorization& authorization, std::string_view bucket,
                              std::string_view path) {
  static constexpr std::string_view kSigned[] = {"accelerate",
                                                 "acl",
                                                 "analytics",
                                                 "cors",
                                                 "defaultObjectAcl",
                                                 "delete",
                                                 "encryption",
                                                 "inventory",
                                                 "legal-hold",
                                                 "lifecycle",
                                                 "location",
                                                 "logging",
                                                 "metrics",
                                                 "notification",
                                                 "object-lock",
                                                 "partNumber",
                                                 "policy",
                                                 "policyStatus",
                                                 "publicAccessBlock",
                                                 "replication",
                                                 "requestPayment",
                                                 "response-cache-control",
                                                 "response-content-disposition",
                                                 "response-content-encoding",
                                                 "response-content-language",
                                                 "response-content-type",
                                                 "response-expires",
                                                 "restore",
                                                 "retention",
                                                 "select",
                                                 "select-type",
                                                 "storageClass",
                                                 "tagging",
                                                 "torrent",
                                                 "uploadId",
                                                 "uploads",
                                                 "versionId",
                                                 "versioning",
                                                 "versions",
                                                 "website"};
  const bool query = authorization.kind == AuthKind::QueryV2;
  std::string out(http::to_string(request.method));
  const auto from_query_or_header = [&](std::string_view header, std::string_view name) {
    const auto value = request.header(header);
    return value.empty() && query ? request.query_or(name, "") : std::string(value);
  };
  out += '\n' + from_query_or_header("content-md5", "Content-MD5");
  out += '\n' + from_query_or_header("content-type", "Content-Type");
  out += '\n';
  if (query) {
    out += request.query_or("Expires", "");
  } else if (!has_amz_date(request)) {
    out += request.header("date");
  }
  out += '\n';
  std::map<std::string, std::string> amz;
  for (const auto& [name, value] : request.headers) {
    if (!name.starts_with("x-amz-")) continue;
    auto& slot = amz[name];
    slot += (slot.empty() ? "" : ",") + std::string(trim(value));
  }
  if (query) {
    for (const auto& [name, value] : request.query) {
      if (lower(name).starts_with("x-amz-")) amz.try_emplace(lower(name), value);
    }
  }
  for (const auto& [name, value] : amz) out += name + ':' + value + '\n';
  if (!bucket.empty()) out += fmt::format("/{}", bucket);
  out += path;
  std::vector<std::string> resources;
  for (const auto& [name, value] : request.query) {
    if (!std::ranges::binary_search(kSigned, std::string_view(name))) continue;
    const bool bare = value.empty() && request.target.find(name + "=") == std::string::npos;
    resources.push_back(bare || value.empty() ? name : name + '=' + value);
  }
  std::ranges::sort(resources);
  for (size_t i = 0; i < resources.size(); ++i) out += (i ? "&" : "?") + resources[i];
  return out;
}

std::string signing_key(std::string_view secret, std::string_view date, std::string_view region) {
  // Clients sign all of a day with one key.
  static std::mutex mutex;
  static std::map<std::string, std::string> known;
  const std::string name = fmt::format("{}\n{}\n{}", secret, date, region);
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(name); found != known.end()) return found->second;
  }
  std::string key = hmac_sha256(fmt::format("AWS4{}", secret), date);
  for (const std::string_view part : {region, std::string_view("s3"), std::string_view("aws4_request")}) {
    key = hmac_sha256(key, part);
  }
  const std::lock_guard lock(mutex);
  if (known.size() > 1'000) known.clear();
  known.emplace(name, key);
  return key;
}

std::string signature_v4(std::string_view key, std::string_view time, std::string_view scope,
                         std::string_view canonical) {
  const auto text =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, scope, hex(digest_of(Algorithm::Sha256, canonical)));
  return hex(hmac_sha256(key, text));
}

namespace {

void check_time(const Authorization& authorization, const http::Request& request, Time now) {
  if (authorization.expires) {
    if (*authorization.expires < now) throw S3Error("AccessDenied", "Request has expired");
    if (authorization.kind == AuthKind::QueryV4) {
      const auto begin = parse_amz_time(authorization.time);
      if (begin && *begin > now + kMaxSkew) throw S3Error("AccessDenied", "Request is not valid yet");
    }
    return;
  }
  std::optional<Time> time;
  if (authorization.kind == AuthKind::HeaderV4) {
    time = parse_amz_time(authorization.time);
  } else {
    const auto amz = request.header("x-amz-date");
    time = parse_http_time(has_amz_date(request) ? amz : request.header("date"));
    if (!time && !amz.empty()) time = parse_amz_time(amz);
  }
  if (!time || *time < Time{}) {
    throw S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  }
  if (*time > now + kMaxSkew || *time < now - kMaxSkew) {
    throw S3Error("RequestTimeTooSkewed")
        .with("RequestTime", authorization.time)
        .with("ServerTime", format_time(now))
        .with("MaxAllowedSkewMilliseconds", "900000");
  }
}

}  // namespace

void check_signature(const http::Request& request, const Authorization& authorization, std::string_view secret,
                     std::string_view bucket_of_host, Time now) {
  std::string expected, signed_text;
  if (authorization.kind == AuthKind::HeaderV4 || authorization.kind == AuthKind::QueryV4) {
    if (std::ranges::find(authorization.signed_headers, "host") == authorization.signed_headers.end()) {
      throw S3Error("AccessDenied", "There were headers present in the request which were not signed: host");
    }
    if (!authorization.time.starts_with(authorization.date)) {
      if (authorization.kind == AuthKind::QueryV4) throw bad_query("the date of the Credential is not X-Amz-Date's");
      throw malformed("the date of the Credential is not that of the request");
    }
    signed_text = canonical_request(request, authorization);
    expected = signature_v4(signing_key(secret, authorization.date, authorization.region), authorization.time,
                            authorization.scope, signed_text);
  } else {
    signed_text = string_to_sign_v2(request, authorization, bucket_of_host, request.path);
    expected = base64_encode(hmac_sha1(secret, signed_text));
    if (!same_signature(expected, authorization.signature) && request.path.find('/', 1) == std::string::npos) {
      // As botocore signs it, a bucket's own path ends with a slash even where the request's does not.
      signed_text = string_to_sign_v2(request, authorization, bucket_of_host, request.path + "/");
      expected = base64_encode(hmac_sha1(secret, signed_text));
    }
  }
  check_time(authorization, request, now);
  if (!same_signature(expected, authorization.signature)) {
    throw S3Error("SignatureDoesNotMatch").with("AWSAccessKeyId", authorization.access_key);
  }
}

bool same_signature(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<Time> parse_amz_time(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const std::string rfc = fmt::format("{}-{}-{}T{}:{}:{}Z", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2),
                                      text.substr(9, 2), text.substr(11, 2), text.substr(13, 2));
  return parse_time(rfc);
}

std::optional<Time> parse_http_time(std::string_view text) {
  const std::string copy(text);
  for (const char* form : {"%a, %d %b %Y %H:%M:%S", "%A, %d-%b-%y %H:%M:%S", "%a %b %d %H:%M:%S %Y",
                           "%d %b %Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S"}) {
    std::tm parts{};
    const char* end = ::strptime(copy.c_str(), form, &parts);
    if (end == nullptr) continue;
    // A zone of clients: GMT, UTC, Z, +0000 and -0000 are one.
    std::string_view rest = trim(end);
    if (rest.starts_with('.')) rest = rest.substr(std::min(rest.size(), rest.find_first_not_of("0123456789", 1)));
    int64_t offset = 0;
    if (rest.size() == 5 && (rest[0] == '+' || rest[0] == '-')) {
      int number = 0;
      std::from_chars(rest.data() + 1, rest.data() + 5, number);
      offset = (number / 100 * 60 + number % 100) * 60 * (rest[0] == '-' ? -1 : 1);
    } else if (!rest.empty() && rest != "GMT" && rest != "UTC" && rest != "Z") {
      continue;
    }
    return Time(std::chrono::seconds(::timegm(&parts) - offset));
  }
  return std::nullopt;
}

std::string format_http_time(Time time) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::string format_amz_time(Time time) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[20];
  return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts)};
}

}  // namespace penstock::objects
