// AWS signatures of requests: version 4 in the header and in the query, and the older version 2. Pure: who signed with
// what is looked up by the caller.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/message.h"
#include "objects/s3_error.h"

namespace penstock::objects {

enum class AuthKind { None, HeaderV4, QueryV4, HeaderV2, QueryV2 };

// What a request says of its signer; nothing of it is proven before check_signature().
struct Authorization {
  AuthKind kind = AuthKind::None;
  std::string access_key;
  std::string signature;
  // Version 4:
  std::string date, region;  // of the scope
  std::string scope;         // "20260102/us-east-1/s3/aws4_request"
  std::string time;          // "20260102T030405Z"
  std::vector<std::string> signed_headers;
  std::string payload_hash;  // as it stands in the canonical request
  // Of the query forms: until when.
  std::optional<Time> expires;
};

// Reads the Authorization header or the query. Throws the S3Error that a malformed one is answered with.
Authorization read_authorization(const http::Request& request);

// The text whose hash a version 4 signature signs.
std::string canonical_request(const http::Request& request, const Authorization& authorization);
// The text that a version 2 signature signs. `bucket` is that of a host name ("bucket.s3.local"), else empty; `path` is
// the request's, as its client signs it.
std::string string_to_sign_v2(const http::Request& request, const Authorization& authorization, std::string_view bucket,
                              std::string_view path);

// The key of a day, a region and a secret.
std::string signing_key(std::string_view secret, std::string_view date, std::string_view region);
// hex(hmac(key, "AWS4-HMAC-SHA256" time scope hash(canonical))).
std::string signature_v4(std::string_view key, std::string_view time, std::string_view scope,
                         std::string_view canonical);

// Throws SignatureDoesNotMatch, RequestTimeTooSkewed, or AccessDenied when a presigned request has expired.
void check_signature(const http::Request& request, const Authorization& authorization, std::string_view secret,
                     std::string_view bucket_of_host, Time now);

// "20260102T030405Z", or any date form of HTTP. Empty when it is neither.
std::optional<Time> parse_amz_time(std::string_view text);
std::optional<Time> parse_http_time(std::string_view text);
std::string format_http_time(Time time);  // "Mon, 02 Jan 2006 15:04:05 GMT"
std::string format_amz_time(Time time);

// In constant time.
bool same_signature(std::string_view a, std::string_view b);

}  // namespace penstock::objects
