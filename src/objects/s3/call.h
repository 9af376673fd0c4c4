// One request to the S3 face on its way through it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "objects/engine.h"
#include "objects/s3/chunks.h"
#include "objects/s3/keys.h"
#include "objects/s3/policy.h"
#include "objects/s3/signature.h"
#include "objects/s3/xml.h"
#include "objects/sealing.h"
#include "objects/upload.h"

namespace penstock::objects {

struct Call {
  http::Request& http;
  std::string id;           // of the request
  std::string host_bucket;  // when the Host header names the bucket
  std::string bucket;       // decoded; empty for the service itself
  std::string key;          // decoded; empty for the bucket itself
  AccessKeyPtr who;         // null: anonymous
  Authorization authorization;
  bool verified = false;  // the signature was checked

  std::string account() const { return who ? who->account.id : std::string(); }
  bool has(std::string_view query) const { return http.query_value(query).has_value(); }
  std::string_view header(std::string_view name) const { return http.header(name); }
  std::optional<std::string> version() const { return http.query_value("versionId"); }
};

// An upload of which the digests are of what the client sent, while what is kept may be sealed. One coroutine's.
class Intake {
 public:
  Intake(Engine& engine, std::vector<Algorithm> extra, std::optional<StreamCipher> cipher);
  Async<> write(std::string_view piece);
  uint64_t size() const { return upload_.size(); }
  // Its MD5 and extra digests are the client's bytes'; its SHA-256 is that of what is kept, which is found again by it.
  Async<Staged> finish();
  const std::string& sha256() const { return plain_sha256_; }  // of the client's bytes, raw; after finish()

 private:
  void absorb(std::string_view piece);
  Engine& engine_;
  Upload upload_;
  std::optional<StreamCipher> cipher_;
  Digest md5_{Algorithm::Md5}, sha256_{Algorithm::Sha256};
  std::vector<Digest> extra_;
  std::string plain_sha256_, sealed_;
};

// What the client says of the bytes that it sends, and what came of it.
struct BodyDigests {
  std::optional<Algorithm> algorithm;  // that the client computed, or asks the server to compute
  std::string value;                   // base64; the right one, once the body is read
};

// Reads a request's body whole, verifying its length, Content-MD5, SHA-256, chunk signatures and checksum.
// Errors: BadDigest, XAmzContentSHA256Mismatch, IncompleteBody, MissingContentLength, InvalidDigest, EntityTooLarge, …
// With a cipher, what is staged is sealed, and what the digests are of is not.
Async<Staged> receive(Call& call, Engine& engine, BodyDigests& digests, std::optional<StreamCipher> cipher);
// The same for a body that is small by its nature; MaxMessageLengthExceeded past the limit. Without `with_checksum`,
// checksums in the headers are of something else.
Async<std::string> receive_text(Call& call, size_t limit, bool with_checksum = true);

// The algorithm that the request's headers speak of, and the value if it is in a header. InvalidRequest when there are
// several, or for a value that cannot be one.
BodyDigests digests_of_headers(const http::Request& request);

// Headers may hold bytes that are no UTF-8, which JSON cannot keep: such a value is kept in base64 behind a mark.
std::string kept_text(std::string_view value);
std::string shown_text(const json::value& kept);

// Numbers of queries and headers; InvalidArgument.
int64_t number_of(std::string_view text, std::string_view name);
std::string_view strip_quotes(std::string_view etag);
std::string quote_etag(std::string_view etag);
std::string iso_time(Time time);  // "2026-01-02T03:04:05.678Z"

// Checksums as they are kept, {"CRC32": base64, "type": "COMPOSITE"}, as elements and headers.
void write_checksums(XmlWriter& xml, const json::object& checksums);
void add_checksums(http::Response& response, const json::object& checksums);
std::string checksum_header(std::string_view algorithm);  // "x-amz-checksum-crc32"

http::Response xml_response(std::string xml, int status = 200);
http::Response empty_response(int status = 200);

}  // namespace penstock::objects
