// Server-side encryption as S3 speaks of it. What is kept with a sealed object, as "sse" of its metadata:
//   {"mode": "AES256" | "aws:kms" | "customer",
//    "name": of the key, for aws:kms,
//    "key": the object's key, wrapped by the vault; or, of a customer's key, which is never kept,
//    "check": what tells whether it is the same one,
//    "nonce": of the content; the parts of an upload have theirs as "nonce" beside their checksums}
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "objects/engine.h"
#include "objects/sealing.h"

namespace penstock::objects {

inline constexpr std::string_view kSseHeader = "x-amz-server-side-encryption";
inline constexpr std::string_view kSourceSseHeader = "x-amz-copy-source-server-side-encryption";

// The customer's key that a request brings, raw; empty when it brings none. InvalidArgument when it is not one of 32
// bytes with its MD5, InvalidEncryptionAlgorithmError for another algorithm than AES256.
std::string customer_key(const http::Request& request, std::string_view header = kSseHeader);
// Reading takes no wishes: InvalidArgument for those that only writing knows.
void refuse_sse_wishes(const http::Request& request);

// How a new object is to be sealed.
struct Seal {
  json::object kept;  // "sse" of its metadata, without a nonce
  std::string key;    // the object's key, raw
};
// As the request says, and else the bucket's default; empty when neither wants it. InvalidArgument.
std::optional<Seal> new_seal(const http::Request& request, const Bucket& bucket, Vault& vault);
// The key of an object that is there; empty when it is not sealed. `customer` is the key that the request brings:
// InvalidRequest when it is missing, another one, or not wanted.
std::string open_seal(const json::object& meta, std::string_view customer, Vault& vault);

// Names the nonce of one more content in `to` and returns its cipher.
StreamCipher seal_content(std::string_view object_key, json::object& to);
// The key of the content whose nonce `from` names; empty with an empty object's key.
std::string key_of_content(std::string_view object_key, const json::object& from);

// Tells in an answer how the object is sealed.
void add_sse_headers(http::Response& response, const json::object& meta, const http::Request& request);

// A bucket's default: {"mode", "name", "bucket_key"}. MalformedXML.
json::object read_encryption(std::string_view xml);
std::string encryption_to_xml(const json::object& encryption);

// Writes what such an object says to a file, for a task. FailedPrecondition when its key is a customer's.
Engine::Unsealer unsealer(Vault& vault);

}  // namespace penstock::objects
