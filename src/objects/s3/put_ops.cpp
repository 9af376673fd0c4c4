// Writing and copying objects.
#include "base/base64.h"
#include "objects/s3/conditions.h"
#include "objects/s3/lock.h"
#include "objects/s3/pieces.h"
#include "objects/s3/service.h"
#include "objects/s3/sse.h"
#include "objects/s3/tags.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxUserMetadata = 2 * 1024;

constexpr std::pair<std::string_view, std::string_view> kKept[] = {
    {"content-type", "Content-Type"},
    {"cache-control", "Cache-Control"},
    {"content-disposition", "Content-Disposition"},
    {"content-encoding", "Content-Encoding"},
    {"content-language", "Content-Language"},
    {"expires", "Expires"},
    {"x-amz-website-redirect-location", "x-amz-website-redirect-location"}};

// "aws-chunked" says how the body was sent, not what it is.
std::string without_chunked(std::string_view encoding) {
  std::string out;
  while (!encoding.empty()) {
    const size_t comma = encoding.find(',');
    auto one = encoding.substr(0, comma);
    encoding.remove_prefix(comma == std::string_view::npos ? encoding.size() : comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one == "aws-chunked" || one.empty()) continue;
    if (!out.empty()) out += ", ";
    out += one;
  }
  return out;
}

json::object kept_headers(const http::Request& request) {
  json::object headers;
  for (const auto& [header, name] : kKept) {
    std::string value(request.header(header));
    if (header == "content-encoding" && value.find("aws-chunked") != std::string::npos) value = without_chunked(value);
    if (!value.empty()) headers[name] = kept_text(value);
  }
  return headers;
}

json::object user_metadata(const http::Request& request) {
  static constexpr std::string_view kPrefix = "x-amz-meta-";
  json::object user;
  size_t size = 0;
  for (const auto& [name, value] : request.headers) {
    if (!name.starts_with(kPrefix)) continue;
    const auto key = name.substr(kPrefix.size());
    size += key.size() + value.size();
    if (json::value* old = user.if_contains(key)) {
      *old = kept_text(shown_text(*old) + "," + value);
    } else {
      user[key] = kept_text(value);
    }
  }
  if (size > kMaxUserMetadata) {
    throw S3Error("MetadataTooLarge")
        .with("Size", std::to_string(size))
        .with("MaxSizeAllowed", std::to_string(kMaxUserMetadata));
  }
  return user;
}

void check_storage_class(const http::Request& request) {
  const auto name = request.header("x-amz-storage-class");
  static constexpr std::string_view kNames[] = {
      "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
      "GLACIER",  "DEEP_ARCHIVE",       "GLACIER_IR",  "OUTPOSTS",   "EXPRESS_ONEZONE"};
  if (!name.empty() && std::ranges::find(kNames, name) == std::end(kNames)) throw S3Error("InvalidStorageClass");
}

}  // namespace

json::object S3Service::new_meta(const Call& call, const Bucket& bucket) const {
  check_storage_class(call.http);
  json::object meta;
  json::object headers = kept_headers(call.http);
  if (!headers.empty()) meta["headers"] = std::move(headers);
  json::object user = user_metadata(call.http);
  if (!user.empty()) meta["user"] = std::move(user);
  if (const auto tagging = call.header("x-amz-tagging"); !tagging.empty()) {
    meta["tags"] = tags_of_query(tagging);
  }
  json::object acl = acl_for_new_object(call, bucket);
  // What goes without saying is not kept with each of a million objects.
  const std::string owner = get_string(acl, "owner");
  if (owner != bucket.owner) meta["owner"] = owner;
  if (acl != canned_acl("private", owner, bucket.owner)) meta["acl"] = std::move(acl);
  lock_of_headers(call.http, bucket, engine_.clock().now(), meta);
  return meta;
}

std::optional<StreamCipher> S3Service::seal(const Call& call, const Bucket& bucket, json::object& meta) const {
  auto seal = new_seal(call.http, bucket, vault_);
  if (!seal) return std::nullopt;
  std::optional<StreamCipher> cipher(seal_content(seal->key, seal->kept));
  meta["sse"] = std::move(seal->kept);
  return cipher;
}

Check S3Service::write_conditions(const Call& call) const {
  const std::string match(call.header("if-match")), none_match(call.header("if-none-match"));
  if (match.empty() && none_match.empty()) return {};
  return [match, none_match, key = call.key](const Object* current) {
    if (!none_match.empty() && current != nullptr && matches_etag(none_match, current->etag)) {
      throw S3Error("PreconditionFailed").with("Condition", "If-None-Match");
    }
    if (match.empty()) return;
    if (current == nullptr) throw S3Error("NoSuchKey").with("Key", key);
    if (!matches_etag(match, current->etag)) throw S3Error("PreconditionFailed").with("Condition", "If-Match");
  };
}

namespace {

// What a policy may ask about tags that a request brings.
void add_request_tags(std::map<std::string, std::vector<std::string>, std::less<>>& context, const json::object& meta) {
  const json::object* tags = find_object(meta, "tags");
  if (tags == nullptr) return;
  for (const auto& [name, value] : *tags) {
    context[fmt::format("s3:RequestObjectTag/{}", std::string_view(name))] = {to_std(value.as_string())};
    context["s3:RequestObjectTagKeys"].emplace_back(name);
  }
}

}  // namespace

Async<http::Response> S3Service::put_object(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  Ask ask{.action = "s3:PutObject", .permission = "WRITE", .key = call.key, .write = true};
  json::object raw_tags;
  if (const auto tagging = call.header("x-amz-tagging"); !tagging.empty()) raw_tags["tags"] = tags_of_query(tagging);
  add_request_tags(ask.context, raw_tags);
  require(call, *bucket, ask);
  NewObject object;
  object.key = call.key;
  object.meta = new_meta(call, *bucket);
  object.check = write_conditions(call);
  if (object.check) {
    // Before the body comes: what would be refused after it is refused now.
    const auto current = co_await engine_.find(bucket, call.key);
    object.check(current && !current->marker ? &*current : nullptr);
  }
  BodyDigests digests = digests_of_headers(call.http);
  auto cipher = seal(call, *bucket, object.meta);
  Staged staged = co_await receive(call, engine_, digests, std::move(cipher));
  object.etag = hex(staged.md5);
  http::Response response;
  response.set("ETag", quote_etag(object.etag));
  if (digests.algorithm) {
    const json::object checksum{{checksum_name(*digests.algorithm), digests.value}, {"type", "FULL_OBJECT"}};
    add_checksums(response, checksum);
    object.meta["checksum"] = checksum;
  }
  add_sse_headers(response, object.meta, call.http);
  Object shown;
  shown.key = call.key;
  shown.size = staged.size;
  shown.meta = object.meta;
  const Written written = co_await engine_.put(bucket, std::move(object), std::move(staged));
  if (!written.version.empty()) response.set("x-amz-version-id", written.version);
  shown.modified = written.modified;
  if (auto expiration = expiration_of(*bucket, shown)) response.set("x-amz-expiration", std::move(*expiration));
  co_return response;
}

Async<S3Service::Source> S3Service::copy_source(Call& call) {
  std::string_view text = call.header("x-amz-copy-source");
  std::optional<std::string> version;
  if (const size_t mark = text.find("?versionId="); mark != std::string_view::npos) {
    version = http::url_decode(text.substr(mark + 11), false);
    text = text.substr(0, mark);
  }
  std::string path = http::url_decode(text, false);
  if (path.starts_with('/')) path.erase(0, 1);
  const size_t slash = path.find('/');
  if (slash == std::string::npos || slash + 1 == path.size() || slash == 0) {
    throw S3Error("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
  }
  Source source;
  source.bucket = engine_.bucket(path.substr(0, slash));
  const std::string key = path.substr(slash + 1);
  auto object = co_await engine_.find(source.bucket, key, version);
  Ask ask{.action = version ? "s3:GetObjectVersion" : "s3:GetObject", .permission = "READ", .key = key};
  require_read(call, *source.bucket, object ? &*object : nullptr, ask);
  if (!object || object->marker) {
    S3Error error(version ? (object ? "InvalidRequest" : "NoSuchVersion") : "NoSuchKey");
    error.with("Key", key);
    throw error;
  }
  if (check_read(call.http, *object, "x-amz-copy-source-") != Condition::Holds) throw S3Error("PreconditionFailed");
  if (source.bucket->versioning != Versioning::Off) source.version = object->version;
  source.key = open_seal(object->meta, customer_key(call.http, kSourceSseHeader), vault_);
  source.object = std::move(*object);
  co_return source;
}

namespace {

bool is_replace(const Call& call, std::string_view header) {
  const auto value = call.header(header);
  if (!value.empty() && value != "COPY" && value != "REPLACE") {
    throw S3Error("InvalidArgument", fmt::format("Unknown {}", header));
  }
  return value == "REPLACE";
}

// Copying an object to itself must change something.
void check_copy_to_itself(const Call& call) {
  for (const std::string_view header :
       {std::string_view("x-amz-storage-class"), std::string_view("x-amz-website-redirect-location"), kSseHeader}) {
    if (!call.header(header).empty()) return;
  }
  if (!customer_key(call.http).empty()) return;
  throw S3Error("InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes.");
}

}  // namespace

Async<Staged> S3Service::stage_copy(const Source& source, Range range, BodyDigests& digests,
                                    std::optional<StreamCipher> cipher) {
  std::vector<Part> parts;
  if (!source.object.parts.empty()) parts = co_await engine_.parts_of(source.object);
  std::vector<Algorithm> extra;
  if (digests.algorithm) extra.push_back(*digests.algorithm);
  Intake intake(engine_, extra, std::move(cipher));
  const PieceSink sink = [&intake](std::string_view bytes) { return intake.write(bytes); };
  const auto pieces = co_await pieces_of(engine_, *source.bucket, source.object, parts, range, source.key);
  for (const Piece& piece : pieces) co_await read_piece(engine_, piece, sink);
  Staged staged = co_await intake.finish();
  if (digests.algorithm) digests.value = base64_encode(staged.extra[0]);
  co_return staged;
}

Async<Written> S3Service::copy_content(const BucketPtr& bucket, NewObject& object, const Source& source,
                                       std::optional<StreamCipher> cipher) {
  if (!cipher && source.key.empty()) {
    object.etag = source.object.etag;
    NewObject copied = object;
    co_return co_await engine_.copy(bucket, std::move(copied), source.bucket, source.object);
  }
  // Sealed anew: it is read and written.
  BodyDigests digests;
  if (const json::object* checksum = find_object(object.meta, "checksum")) {
    for (const auto& [name, value] : *checksum) {
      if (name != "type") digests.algorithm = checksum_algorithm(name);
    }
  }
  Staged staged = co_await stage_copy(source, {0, source.object.size}, digests, std::move(cipher));
  if (digests.algorithm) {
    object.meta["checksum"] = json::object{{checksum_name(*digests.algorithm), digests.value}, {"type", "FULL_OBJECT"}};
  }
  object.etag = hex(staged.md5);
  NewObject written = object;
  co_return co_await engine_.put(bucket, std::move(written), std::move(staged));
}

Async<http::Response> S3Service::copy_object(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  Ask ask{.action = "s3:PutObject", .permission = "WRITE", .key = call.key, .write = true};
  json::object raw_tags;
  if (const auto tagging = call.header("x-amz-tagging"); !tagging.empty()) raw_tags["tags"] = tags_of_query(tagging);
  add_request_tags(ask.context, raw_tags);
  require(call, *bucket, ask);
  Source source = co_await copy_source(call);
  const bool replace = is_replace(call, "x-amz-metadata-directive");
  const bool replace_tags = is_replace(call, "x-amz-tagging-directive");
  const bool itself = source.bucket->id == bucket->id && source.object.key == call.key && source.object.latest;
  if (itself && !replace && !replace_tags) check_copy_to_itself(call);
  NewObject object;
  object.key = call.key;
  object.meta = new_meta(call, *bucket);
  object.check = write_conditions(call);
  auto cipher = seal(call, *bucket, object.meta);
  const auto take = [&](const char* name) {
    object.meta.erase(name);
    if (const json::value* value = find(source.object.meta, name)) object.meta[name] = *value;
  };
  if (!replace) {
    take("headers");
    take("user");
  }
  if (!replace_tags) take("tags");
  take("checksum");
  const Written written = co_await copy_content(bucket, object, source, std::move(cipher));
  XmlWriter xml("CopyObjectResult");
  xml.element("LastModified", iso_time(written.modified)).element("ETag", quote_etag(written.etag));
  if (const json::object* checksum = find_object(object.meta, "checksum")) write_checksums(xml, *checksum);
  auto response = xml_response(xml.finish());
  add_sse_headers(response, object.meta, call.http);
  if (!written.version.empty()) response.set("x-amz-version-id", written.version);
  if (!source.version.empty()) response.set("x-amz-copy-source-version-id", source.version);
  co_return response;
}

}  // namespace penstock::objects
