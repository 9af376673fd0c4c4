#include "objects/s3/sse.h"

#include <unistd.h>

#include "base/base64.h"
#include "objects/checksum.h"
#include "objects/s3/xml.h"

namespace penstock::objects {

namespace {

constexpr size_t kNonce = 16;
constexpr std::string_view kDefaultName = "aws/s3";  // of aws:kms without one, as in AWS

S3Error bad(std::string message) { return S3Error("InvalidArgument", std::move(message)); }

std::string check_of(std::string_view key, std::string_view salt) {
  return base64_encode(salt) + "." + base64_encode(hmac_sha256(key, fmt::format("check\n{}", salt)));
}

bool is_checked_by(std::string_view key, std::string_view check) {
  const auto salt = base64_decode(check.substr(0, check.find('.')));
  return salt && check_of(key, *salt) == check;
}

// Most requests say nothing of it: they are told apart without making the headers' names.
bool speaks_of_sse(const http::Request& request, std::string_view header) {
  return std::ranges::any_of(request.headers, [&](const auto& one) { return one.first.starts_with(header); });
}

// Tells the vault one kind of key from another.
std::string vault_name(const json::object& kept) { return get_string(kept, "mode") + "\n" + get_string(kept, "name"); }

struct Wish {
  std::string mode, name;
};

// Of the header and its key's name, or of the bucket.
Wish read_wish(const http::Request& request, const Bucket& bucket) {
  Wish wish{std::string(request.header(kSseHeader)),
            std::string(request.header(std::string(kSseHeader) + "-aws-kms-key-id"))};
  if (wish.mode.empty()) {
    if (!wish.name.empty()) throw bad("A key's id needs x-amz-server-side-encryption: aws:kms");
    if (const json::object* given = find_object(bucket.config, "encryption")) {
      wish = {get_string(*given, "mode"), get_string(*given, "name")};
    }
  } else if (wish.mode != "AES256" && wish.mode != "aws:kms") {
    throw bad("The encryption method specified is not supported");
  } else if (wish.mode == "AES256" && !wish.name.empty()) {
    throw bad("A key's id can be named with aws:kms only");
  }
  if (wish.mode == "aws:kms" && wish.name.empty()) wish.name = kDefaultName;
  if (wish.name.size() > 2'048) throw bad("The id of the key is too long");
  return wish;
}

}  // namespace

std::string customer_key(const http::Request& request, std::string_view header) {
  if (!speaks_of_sse(request, header)) return {};
  const auto of = [&](std::string_view name) { return request.header(fmt::format("{}-customer-{}", header, name)); };
  const auto algorithm = of("algorithm"), text = of("key"), md5 = of("key-md5");
  if (algorithm.empty() && text.empty() && md5.empty()) return {};
  if (algorithm.empty()) {
    throw bad(
        "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption "
        "algorithm.");
  }
  if (algorithm != "AES256") throw S3Error("InvalidEncryptionAlgorithmError");
  const auto key = base64_decode(text);
  if (!key || key->size() != kKeySize) {
    throw bad(
        "Requests specifying Server Side Encryption with Customer provided keys must provide a secret key of 32 "
        "bytes in base64.");
  }
  const auto digest = base64_decode(md5);
  if (!digest || *digest != digest_of(Algorithm::Md5, *key)) {
    throw bad("The calculated MD5 hash of the key did not match the hash that was provided.");
  }
  return *key;
}

void refuse_sse_wishes(const http::Request& request) {
  if (!speaks_of_sse(request, kSseHeader)) return;
  if (!request.header(kSseHeader).empty() || !request.header(std::string(kSseHeader) + "-aws-kms-key-id").empty()) {
    throw bad("x-amz-server-side-encryption header is not supported for this operation.");
  }
}

std::optional<Seal> new_seal(const http::Request& request, const Bucket& bucket, Vault& vault) {
  if (!bucket.config.contains("encryption") && !speaks_of_sse(request, kSseHeader)) return std::nullopt;
  const std::string customer = customer_key(request);
  if (!customer.empty()) {
    refuse_sse_wishes(request);
    return Seal{{{"mode", "customer"}, {"check", check_of(customer, random_bytes(kNonce))}}, customer};
  }
  const Wish wish = read_wish(request, bucket);
  if (wish.mode.empty()) return std::nullopt;
  Seal seal{{{"mode", wish.mode}}, random_bytes(kKeySize)};
  if (!wish.name.empty()) seal.kept["name"] = wish.name;
  seal.kept["key"] = base64_encode(vault.wrap(vault_name(seal.kept), seal.key));
  return seal;
}

std::string open_seal(const json::object& meta, std::string_view customer, Vault& vault) {
  const json::object* kept = find_object(meta, "sse");
  const bool wanted = kept != nullptr && get_string(*kept, "mode") == "customer";
  if (!wanted && !customer.empty()) {
    throw S3Error("InvalidRequest", "The encryption parameters are not applicable to this object.");
  }
  if (kept == nullptr) return {};
  if (wanted && customer.empty()) {
    throw S3Error("InvalidRequest",
                  "The object was stored using a form of Server Side Encryption. The correct parameters must be "
                  "provided to retrieve the object.");
  }
  if (wanted) {
    if (!is_checked_by(customer, get_string(*kept, "check"))) {
      throw S3Error("InvalidRequest",
                    "The provided encryption parameters did not match the ones used originally to encrypt the object.");
    }
    return std::string(customer);
  }
  return vault.unwrap(vault_name(*kept), base64_decode(get_string(*kept, "key")).value_or(""));
}

StreamCipher seal_content(std::string_view object_key, json::object& to) {
  const std::string nonce = random_bytes(kNonce);
  to["nonce"] = base64_encode(nonce);
  return StreamCipher(content_key(object_key, nonce));
}

std::string key_of_content(std::string_view object_key, const json::object& from) {
  if (object_key.empty()) return {};
  return content_key(object_key, base64_decode(get_string(from, "nonce")).value_or(""));
}

void add_sse_headers(http::Response& response, const json::object& meta, const http::Request& request) {
  const json::object* kept = find_object(meta, "sse");
  if (kept == nullptr) return;
  const std::string name(kSseHeader), mode = get_string(*kept, "mode");
  if (mode == "customer") {
    response.set(name + "-customer-algorithm", "AES256");
    response.set(name + "-customer-key-md5", std::string(request.header(name + "-customer-key-md5")));
    return;
  }
  response.set(name, mode);
  if (mode == "aws:kms") response.set(name + "-aws-kms-key-id", get_string(*kept, "name"));
}

json::object read_encryption(std::string_view text) {
  const XmlNode root = parse_xml(text);
  const XmlNode* rule = root.child("Rule");
  const XmlNode* given = rule != nullptr ? rule->child("ApplyServerSideEncryptionByDefault") : nullptr;
  if (root.name != "ServerSideEncryptionConfiguration" || given == nullptr || root.all("Rule").size() != 1) {
    throw S3Error("MalformedXML");
  }
  const auto mode = given->value("SSEAlgorithm"), name = given->value("KMSMasterKeyID");
  if (mode != "AES256" && mode != "aws:kms") throw S3Error("MalformedXML");
  if (mode == "AES256" && !name.empty()) {
    throw bad("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms");
  }
  json::object out{{"mode", mode}};
  if (!name.empty()) out["name"] = name;
  if (const auto flag = rule->value("BucketKeyEnabled"); !flag.empty()) out["bucket_key"] = flag == "true";
  return out;
}

std::string encryption_to_xml(const json::object& encryption) {
  XmlWriter xml("ServerSideEncryptionConfiguration");
  xml.open("Rule").open("ApplyServerSideEncryptionByDefault").element("SSEAlgorithm", get_string(encryption, "mode"));
  if (encryption.contains("name")) xml.element("KMSMasterKeyID", get_string(encryption, "name"));
  xml.close().flag("BucketKeyEnabled", get_bool(encryption, "bucket_key"));
  return xml.finish();
}

Engine::Unsealer unsealer(Vault& vault) {
  return [&vault](Engine& engine, const Object& object, const std::vector<Part>& parts, int to) {
    const json::object& kept = *find_object(object.meta, "sse");
    if (get_string(kept, "mode") == "customer") {
      throw Error(Code::FailedPrecondition,
                  fmt::format("the object {} is encrypted with a key that only its client has", object.key));
    }
    const std::string key = open_seal(object.meta, {}, vault);
    const auto write = [&](const Content& content, const json::object& nonce) {
      if (content.id == 0) return;
      StreamCipher cipher(key_of_content(key, nonce));
      if (engine.in_log(content)) {
        std::string data = engine.read_small(content);
        cipher.apply(data.data(), data.size());
        return write_all(to, data);
      }
      engine.verify(content);
      const Descriptor file = engine.open_content(content);
      std::string piece(256 * 1024, '\0');
      while (true) {
        const ssize_t got = ::read(file.get(), piece.data(), piece.size());
        if (got < 0) throw_disk("reading an object");
        if (got == 0) return;
        cipher.apply(piece.data(), static_cast<size_t>(got));
        write_all(to, {piece.data(), static_cast<size_t>(got)});
      }
    };
    if (parts.empty()) return write(object.content, kept);
    for (const Part& part : parts) write(part.content, part.checksum);
  };
}

}  // namespace penstock::objects
