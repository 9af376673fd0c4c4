// Uploads in parts.
#include "base/base64.h"
#include "objects/s3/conditions.h"
#include "objects/s3/service.h"
#include "objects/s3/sse.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxCompletion = 4u << 20;
constexpr int64_t kMaxPart = 10'000;

int part_number(const Call& call) {
  const auto text = call.http.query_or("partNumber", "");
  int64_t number = 0;
  try {
    number = number_of(text, "partNumber");
  } catch (const S3Error&) {
    number = 0;
  }
  if (number < 1 || number > kMaxPart) {
    throw S3Error("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        .with("ArgumentName", "partNumber")
        .with("ArgumentValue", text);
  }
  return static_cast<int>(number);
}

std::string upload_id(const Call& call) { return call.http.query_or("uploadId", ""); }

struct ChecksumForm {
  Algorithm algorithm = Algorithm::Crc32;
  bool composite = true;
};

std::optional<ChecksumForm> checksum_form(const json::object& meta) {
  const auto algorithm = checksum_algorithm(get_string(meta, "algorithm"));
  if (!algorithm) return std::nullopt;
  return ChecksumForm{*algorithm, get_string(meta, "checksum_type") != "FULL_OBJECT"};
}

// What a request to begin an upload says of its checksum.
void read_checksum_form(const http::Request& request, json::object& meta) {
  const auto name = request.header("x-amz-checksum-algorithm");
  const std::string type(request.header("x-amz-checksum-type"));
  if (name.empty()) {
    if (!type.empty()) throw S3Error("InvalidRequest", "x-amz-checksum-type needs x-amz-checksum-algorithm");
    return;
  }
  const auto algorithm = checksum_algorithm(name);
  if (!algorithm) throw S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.");
  if (!type.empty() && type != "COMPOSITE" && type != "FULL_OBJECT") {
    throw S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.");
  }
  const bool crc64 = *algorithm == Algorithm::Crc64Nvme;
  if ((crc64 && type == "COMPOSITE") || (!is_crc(*algorithm) && type == "FULL_OBJECT")) {
    throw S3Error("InvalidRequest", fmt::format("The {} checksum type cannot be used with the {} checksum algorithm.",
                                                type, checksum_name(*algorithm)));
  }
  meta["algorithm"] = checksum_name(*algorithm);
  meta["checksum_type"] = type.empty() ? (crc64 ? "FULL_OBJECT" : "COMPOSITE") : type;
}

std::string etag_of_parts(const std::vector<Part>& parts) {
  std::string joined;
  for (const Part& part : parts) joined += unhex(part.etag.substr(0, 32)).value_or("");
  return fmt::format("{}-{}", hex(digest_of(Algorithm::Md5, joined)), parts.size());
}

// The object's checksum from those of its parts; null when one of them has none.
json::value checksum_of_parts(const ChecksumForm& form, const std::vector<Part>& parts) {
  const std::string name(checksum_name(form.algorithm));
  std::string joined;
  CrcCombiner combiner(form.algorithm);
  for (const Part& part : parts) {
    const auto raw = base64_decode(get_string(part.checksum, name));
    if (!raw || raw->empty()) return nullptr;
    if (form.composite) {
      joined += *raw;
    } else {
      combiner.add(*raw, part.content.size);
    }
  }
  const std::string value = form.composite
                                ? fmt::format("{}-{}", base64_encode(digest_of(form.algorithm, joined)), parts.size())
                                : base64_encode(combiner.finish());
  return json::object{{name, value}, {"type", form.composite ? "COMPOSITE" : "FULL_OBJECT"}};
}

}  // namespace

Async<http::Response> S3Service::create_upload(Call& call) {
  const BucketPtr bucket =
      bucket_for(call, {.action = "s3:PutObject", .permission = "WRITE", .key = call.key, .write = true});
  json::object meta = new_meta(call, *bucket);
  if (call.who && call.account() != get_string(meta, "owner", bucket->owner)) meta["initiator"] = call.account();
  read_checksum_form(call.http, meta);
  http::Response response;
  if (auto seal = new_seal(call.http, *bucket, vault_)) meta["sse"] = std::move(seal->kept);
  add_sse_headers(response, meta, call.http);
  const std::string algorithm = get_string(meta, "algorithm"), type = get_string(meta, "checksum_type");
  const std::string id = co_await engine_.create_upload(bucket, call.key, std::move(meta));
  XmlWriter xml("InitiateMultipartUploadResult");
  xml.element("Bucket", call.bucket).element("Key", call.key).element("UploadId", id);
  response.set("Content-Type", "application/xml").body = xml.finish();
  if (!algorithm.empty()) {
    response.set("x-amz-checksum-algorithm", algorithm).set("x-amz-checksum-type", type);
  }
  co_return response;
}

Async<http::Response> S3Service::put_part(Call& call) {
  const BucketPtr bucket =
      bucket_for(call, {.action = "s3:PutObject", .permission = "WRITE", .key = call.key, .write = true});
  Part part;
  part.number = part_number(call);
  const std::string id = upload_id(call);
  const UploadInfo upload = co_await engine_.upload(bucket, call.key, id);
  BodyDigests digests = digests_of_headers(call.http);
  if (const auto form = checksum_form(upload.meta)) {
    if (digests.algorithm && *digests.algorithm != form->algorithm) {
      throw S3Error("InvalidRequest",
                    fmt::format("Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                                checksum_name(form->algorithm), checksum_name(*digests.algorithm)));
    }
    digests.algorithm = form->algorithm;
  }
  auto cipher = seal_part(call, upload, part);
  Staged staged = co_await receive(call, engine_, digests, std::move(cipher));
  part.etag = hex(staged.md5);
  http::Response response;
  response.set("ETag", quote_etag(part.etag));
  if (digests.algorithm) part.checksum[checksum_name(*digests.algorithm)] = digests.value;
  add_checksums(response, part.checksum);
  add_sse_headers(response, upload.meta, call.http);
  co_await engine_.put_part(bucket, call.key, id, std::move(part), std::move(staged));
  co_return response;
}

std::optional<StreamCipher> S3Service::seal_part(const Call& call, const UploadInfo& upload, Part& part) const {
  const std::string key = open_seal(upload.meta, customer_key(call.http), vault_);
  if (key.empty()) return std::nullopt;
  return seal_content(key, part.checksum);
}

namespace {

// Of a copy's source. Unlike a GET's, it must lie inside and be written out.
Range read_source_range(std::string_view text, uint64_t size) {
  if (text.empty()) return {0, size};
  std::optional<Range> wanted;
  try {
    wanted = read_range(text, size);
  } catch (const S3Error&) {
    throw S3Error("InvalidRange");
  }
  const auto dash = text.find('-');
  const bool whole = wanted && dash != std::string_view::npos && dash + 1 < text.size() && text[6] != '-';
  if (!whole) {
    throw S3Error("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last");
  }
  const auto last = number_of(text.substr(dash + 1), "x-amz-copy-source-range");
  if (static_cast<uint64_t>(last) >= size) {
    throw S3Error("InvalidRange", "The last byte of the range lies behind the end of the source");
  }
  return *wanted;
}

}  // namespace

Async<http::Response> S3Service::copy_part(Call& call) {
  const BucketPtr bucket =
      bucket_for(call, {.action = "s3:PutObject", .permission = "WRITE", .key = call.key, .write = true});
  Part part;
  part.number = part_number(call);
  const std::string id = upload_id(call);
  const UploadInfo upload = co_await engine_.upload(bucket, call.key, id);
  Source source = co_await copy_source(call);
  const Range range = read_source_range(call.header("x-amz-copy-source-range"), source.object.size);
  BodyDigests digests;
  if (const auto form = checksum_form(upload.meta)) digests.algorithm = form->algorithm;
  auto cipher = seal_part(call, upload, part);
  const bool whole = range.length == source.object.size && source.object.parts.empty() && !source.object.file &&
                     source.object.etag.size() == 32;
  Part made;
  if (whole && !digests.algorithm && !cipher && source.key.empty()) {
    part.content = source.object.content;
    part.etag = source.object.etag;
    made = co_await engine_.share_part(bucket, call.key, id, std::move(part));
  } else {
    Staged staged = co_await stage_copy(source, range, digests, std::move(cipher));
    part.etag = hex(staged.md5);
    if (digests.algorithm) part.checksum[checksum_name(*digests.algorithm)] = digests.value;
    made = co_await engine_.put_part(bucket, call.key, id, std::move(part), std::move(staged));
  }
  XmlWriter xml("CopyPartResult");
  xml.element("LastModified", iso_time(made.modified)).element("ETag", quote_etag(made.etag));
  write_checksums(xml, made.checksum);
  auto response = xml_response(xml.finish());
  add_sse_headers(response, upload.meta, call.http);
  if (!source.version.empty()) response.set("x-amz-copy-source-version-id", source.version);
  co_return response;
}

Async<http::Response> S3Service::list_parts(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const std::string id = upload_id(call);
  require(call, *bucket, {.action = "s3:ListMultipartUploadParts", .permission = "READ", .key = call.key});
  const UploadInfo upload = co_await engine_.upload(bucket, call.key, id);
  const auto marker_text = call.http.query_or("part-number-marker", ""), max_text = call.http.query_or("max-parts", "");
  const auto marker = marker_text.empty() ? 0 : std::min(number_of(marker_text, "part-number-marker"), kMaxPart);
  const auto limit = max_text.empty() ? 1'000 : std::min<int64_t>(number_of(max_text, "max-parts"), 1'000);
  auto parts = co_await engine_.upload_parts(id, static_cast<int>(marker), static_cast<size_t>(limit) + 1);
  const bool more = parts.size() > static_cast<size_t>(limit);
  if (more) parts.pop_back();
  XmlWriter xml("ListPartsResult");
  xml.element("Bucket", call.bucket).element("Key", call.key).element("UploadId", id);
  const auto owner = get_string(upload.meta, "owner", bucket->owner);
  write_owner(xml, "Initiator", get_string(upload.meta, "initiator", owner), keys_);
  write_owner(xml, "Owner", owner, keys_);
  xml.element("StorageClass", "STANDARD").element("PartNumberMarker", marker);
  xml.element("NextPartNumberMarker", parts.empty() ? marker : int64_t{parts.back().number});
  xml.element("MaxParts", limit).flag("IsTruncated", more);
  if (const auto form = checksum_form(upload.meta)) {
    xml.element("ChecksumAlgorithm", checksum_name(form->algorithm));
    xml.element("ChecksumType", form->composite ? "COMPOSITE" : "FULL_OBJECT");
  }
  for (const Part& part : parts) {
    xml.open("Part").element("PartNumber", int64_t{part.number}).element("LastModified", iso_time(part.modified));
    xml.element("ETag", quote_etag(part.etag)).element("Size", static_cast<int64_t>(part.content.size));
    write_checksums(xml, part.checksum);
    xml.close();
  }
  co_return xml_response(xml.finish());
}

namespace {

std::vector<CompletedPart> read_completion(std::string_view text) {
  const XmlNode root = parse_xml(text);
  if (root.name != "CompleteMultipartUpload") throw S3Error("MalformedXML");
  std::vector<CompletedPart> parts;
  for (const XmlNode* node : root.all("Part")) {
    CompletedPart part;
    const auto number = node->value("PartNumber");
    if (number.empty() || node->child("ETag") == nullptr) throw S3Error("MalformedXML");
    part.number = static_cast<int>(std::min<int64_t>(number_of(number, "PartNumber"), kMaxPart + 1));
    part.etag = strip_quotes(node->value("ETag"));
    for (const XmlNode& child : node->children) {
      if (!child.name.starts_with("Checksum")) continue;
      if (const auto algorithm = checksum_algorithm(child.name.substr(8))) {
        part.checksum[std::string(checksum_name(*algorithm))] = node->value(child.name);
      }
    }
    parts.push_back(std::move(part));
  }
  if (parts.empty() || parts.size() > kMaxPart) throw S3Error("MalformedXML");
  return parts;
}

}  // namespace

namespace {

// Compares what the request says of the whole object with what its parts add up to.
void check_completion(const Call& call, const ChecksumForm& form, const json::value& checksum) {
  const auto type = call.header("x-amz-checksum-type");
  if (!type.empty() && (type == "COMPOSITE") != form.composite) {
    throw S3Error("InvalidRequest", "The upload was created with another checksum type");
  }
  const auto given = call.header(checksum_header(checksum_name(form.algorithm)));
  if (given.empty()) return;
  // A composite value may be given without its count of parts.
  const auto plain = given.substr(0, given.rfind('-'));
  const auto raw = base64_decode(plain);
  if (!raw || raw->size() != digest_size(form.algorithm)) {
    throw S3Error("BadDigest", "The checksum that you specified is not valid");
  }
  if (!checksum.is_object()) return;
  const auto computed = get_string(checksum.get_object(), checksum_name(form.algorithm));
  if (given != computed && given != computed.substr(0, computed.rfind('-'))) {
    throw S3Error("BadDigest", "The checksum you specified did not match the calculated checksum.");
  }
}

void check_total(const Call& call, const std::vector<Part>& parts) {
  const auto wanted = call.header("x-amz-mp-object-size");
  if (wanted.empty()) return;
  uint64_t size = 0;
  for (const Part& part : parts) size += part.content.size;
  if (std::to_string(size) == wanted) return;
  throw S3Error("InvalidRequest", "The x-amz-mp-object-size header does not match the size of the parts");
}

// The object that the parts make; its checksum is null where they have none.
NewObject object_of_parts(const Call& call, const UploadInfo& upload, const std::vector<Part>& parts,
                          json::value& checksum) {
  if (upload.key != call.key) throw S3Error("NoSuchUpload").with("UploadId", upload.id);
  NewObject object;
  object.key = upload.key;
  object.etag = etag_of_parts(parts);
  object.meta = upload.meta;
  for (const char* name : {"initiator", "algorithm", "checksum_type"}) object.meta.erase(name);
  if (const auto form = checksum_form(upload.meta)) {
    checksum = checksum_of_parts(*form, parts);
    check_completion(call, *form, checksum);
    if (checksum.is_object()) object.meta["checksum"] = checksum;
  }
  check_total(call, parts);
  return object;
}

}  // namespace

Async<http::Response> S3Service::complete_upload(Call& call) {
  const BucketPtr bucket =
      bucket_for(call, {.action = "s3:PutObject", .permission = "WRITE", .key = call.key, .write = true});
  const std::string id = upload_id(call);
  // What the headers here say is of the object, not of this body.
  auto chosen = read_completion(co_await receive_text(call, kMaxCompletion, false));
  json::value checksum;
  json::object meta;
  const auto make = [&](const UploadInfo& upload, const std::vector<Part>& parts) {
    NewObject object = object_of_parts(call, upload, parts, checksum);
    object.check = write_conditions(call);
    meta = object.meta;
    return object;
  };
  Written written;
  bool again = false;
  try {
    written = co_await engine_.complete(bucket, id, std::move(chosen), make);
  } catch (const S3Error& error) {
    if (error.s3_code() != "NoSuchUpload") throw;
    again = true;
  }
  if (again) {
    // An answer that got lost is asked for once more.
    const auto object = co_await engine_.find(bucket, call.key);
    if (!object || object->parts != id || id.empty()) throw S3Error("NoSuchUpload").with("UploadId", id);
    written.etag = object->etag;
    if (bucket->versioning != Versioning::Off) written.version = object->version;
    if (const json::value* known = find(object->meta, "checksum")) checksum = *known;
    meta = object->meta;
  }
  XmlWriter xml("CompleteMultipartUploadResult");
  xml.element("Location", fmt::format("http://{}{}", call.header("host"), call.http.path));
  xml.element("Bucket", call.bucket).element("Key", call.key).element("ETag", quote_etag(written.etag));
  if (checksum.is_object()) write_checksums(xml, checksum.get_object());
  auto response = xml_response(xml.finish());
  add_sse_headers(response, meta, call.http);
  if (!written.version.empty()) response.set("x-amz-version-id", written.version);
  co_return response;
}

Async<http::Response> S3Service::abort_upload(Call& call) {
  const BucketPtr bucket =
      bucket_for(call, {.action = "s3:AbortMultipartUpload", .permission = "WRITE", .key = call.key, .write = true});
  co_await engine_.abort(bucket, call.key, upload_id(call));
  co_return empty_response(204);
}

}  // namespace penstock::objects
