// Lists of objects, versions and uploads.
#include "base/base64.h"
#include "base/utf8.h"
#include "objects/s3/service.h"

namespace penstock::objects {

namespace {

constexpr int64_t kMaxKeys = 1'000;

struct ListArguments {
  ListQuery query;
  int64_t max_keys = kMaxKeys;
  bool encode = false;
};

ListArguments read_arguments(const Call& call, std::string_view limit) {
  ListArguments out;
  out.query.prefix = call.http.query_or("prefix", "");
  out.query.delimiter = call.http.query_or("delimiter", "");
  if (const auto text = call.http.query_value(limit); text && !text->empty()) {
    out.max_keys = std::min(number_of(*text, limit), kMaxKeys);
  }
  out.query.limit = static_cast<size_t>(out.max_keys);
  if (const auto encoding = call.http.query_value("encoding-type"); encoding && !encoding->empty()) {
    if (*encoding != "url") throw S3Error("InvalidArgument", "Invalid Encoding Method specified in Request");
    out.encode = true;
  }
  return out;
}

// Names may hold what XML cannot say: clients ask for them as in URLs.
std::string encoded(const ListArguments& arguments, std::string_view text) {
  return arguments.encode ? http::url_encode(text, "/*") : to_utf8(text);
}

void write_prefixes(XmlWriter& xml, const ListArguments& arguments, const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes) {
    xml.open("CommonPrefixes").element("Prefix", encoded(arguments, prefix));
    xml.close();
  }
}

std::string storage_class(const Object& object) {
  const json::object* headers = find_object(object.meta, "headers");
  return headers != nullptr ? get_string(*headers, "x-amz-storage-class", "STANDARD") : "STANDARD";
}

void write_checksum_names(XmlWriter& xml, const Object& object) {
  const json::object* checksum = find_object(object.meta, "checksum");
  if (checksum == nullptr) return;
  for (const auto& [name, value] : *checksum) {
    if (name == "type") {
      xml.element("ChecksumType", to_std(value.as_string()));
    } else {
      xml.element("ChecksumAlgorithm", std::string_view(name));
    }
  }
}

void write_object(XmlWriter& xml, const ListArguments& arguments, const Object& object) {
  xml.element("Key", encoded(arguments, object.key));
  xml.element("LastModified", iso_time(object.modified)).element("ETag", quote_etag(object.etag));
  write_checksum_names(xml, object);
  xml.element("Size", static_cast<int64_t>(object.size)).element("StorageClass", storage_class(object));
}

void write_list_head(XmlWriter& xml, const ListArguments& arguments, const Call& call, const ListPage& page) {
  xml.element("Name", call.bucket).element("Prefix", encoded(arguments, arguments.query.prefix));
  xml.element("MaxKeys", arguments.max_keys);
  if (!arguments.query.delimiter.empty()) xml.element("Delimiter", encoded(arguments, arguments.query.delimiter));
  if (arguments.encode) xml.element("EncodingType", "url");
  xml.flag("IsTruncated", page.truncated);
}

std::string owner_of(const Object& object, const Bucket& bucket) {
  return get_string(object.meta, "owner", bucket.owner);
}

// What both forms of a list of objects show alike.
void write_contents(XmlWriter& xml, const ListArguments& arguments, const ListPage& page, const Bucket& bucket,
                    const Keys* owners) {
  for (const Object& object : page.objects) {
    xml.open("Contents");
    write_object(xml, arguments, object);
    if (owners != nullptr) write_owner(xml, "Owner", owner_of(object, bucket), *owners);
    xml.close();
  }
  write_prefixes(xml, arguments, page.prefixes);
}

}  // namespace

Async<http::Response> S3Service::list_objects(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:ListBucket", .permission = "READ"});
  ListArguments arguments = read_arguments(call, "max-keys");
  arguments.query.after = call.http.query_or("marker", "");
  const ListPage page = co_await engine_.list(bucket, arguments.query);
  XmlWriter xml("ListBucketResult");
  write_list_head(xml, arguments, call, page);
  xml.element("Marker", encoded(arguments, arguments.query.after));
  if (page.truncated && !arguments.query.delimiter.empty()) {
    xml.element("NextMarker", encoded(arguments, page.next));
  }
  write_contents(xml, arguments, page, *bucket, &keys_);
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::list_objects_v2(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:ListBucket", .permission = "READ"});
  ListArguments arguments = read_arguments(call, "max-keys");
  const std::string start = call.http.query_or("start-after", "");
  arguments.query.after = start;
  const auto token = call.http.query_value("continuation-token");
  if (token && !token->empty()) {
    const auto key = base64_decode(*token);
    if (!key || key->empty()) throw S3Error("InvalidArgument", "The continuation token provided is incorrect");
    arguments.query.after = *key;
  }
  const bool owners = call.http.query_or("fetch-owner", "") == "true";
  const ListPage page = co_await engine_.list(bucket, arguments.query);
  XmlWriter xml("ListBucketResult");
  write_list_head(xml, arguments, call, page);
  xml.element("KeyCount", static_cast<int64_t>(page.objects.size() + page.prefixes.size()));
  if (token) xml.element("ContinuationToken", *token);
  if (page.truncated) xml.element("NextContinuationToken", base64_encode(page.next));
  if (!start.empty()) xml.element("StartAfter", encoded(arguments, start));
  write_contents(xml, arguments, page, *bucket, owners ? &keys_ : nullptr);
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::list_versions(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:ListBucketVersions", .permission = "READ"});
  ListArguments arguments = read_arguments(call, "max-keys");
  arguments.query.after = call.http.query_or("key-marker", "");
  arguments.query.after_version = call.http.query_or("version-id-marker", "");
  const bool empty_version = call.http.query_value("version-id-marker") == "";
  if (!arguments.query.after_version.empty() && arguments.query.after.empty()) {
    throw S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.");
  }
  if (empty_version && !arguments.query.after.empty()) {
    throw S3Error("InvalidArgument", "A version-id marker cannot be empty.");
  }
  const ListPage page = co_await engine_.list_versions(bucket, arguments.query);
  XmlWriter xml("ListVersionsResult");
  write_list_head(xml, arguments, call, page);
  xml.element("KeyMarker", encoded(arguments, arguments.query.after));
  xml.element("VersionIdMarker", arguments.query.after_version);
  if (page.truncated) {
    xml.element("NextKeyMarker", encoded(arguments, page.next));
    if (!page.next_version.empty()) xml.element("NextVersionIdMarker", page.next_version);
  }
  for (const Object& object : page.objects) {
    xml.open(object.marker ? "DeleteMarker" : "Version");
    if (object.marker) {
      xml.element("Key", encoded(arguments, object.key)).element("LastModified", iso_time(object.modified));
    } else {
      write_object(xml, arguments, object);
    }
    xml.element("VersionId", object.version).flag("IsLatest", object.latest);
    write_owner(xml, "Owner", owner_of(object, *bucket), keys_);
    xml.close();
  }
  write_prefixes(xml, arguments, page.prefixes);
  co_return xml_response(xml.finish());
}

Async<http::Response> S3Service::list_uploads(Call& call) {
  const BucketPtr bucket = bucket_for(call, {.action = "s3:ListBucketMultipartUploads", .permission = "READ"});
  ListArguments arguments = read_arguments(call, "max-uploads");
  arguments.query.after = call.http.query_or("key-marker", "");
  arguments.query.after_version = call.http.query_or("upload-id-marker", "");
  const UploadPage page = co_await engine_.list_uploads(bucket, arguments.query);
  XmlWriter xml("ListMultipartUploadsResult");
  xml.element("Bucket", call.bucket).element("KeyMarker", encoded(arguments, arguments.query.after));
  xml.element("UploadIdMarker", arguments.query.after_version);
  if (page.truncated) {
    xml.element("NextKeyMarker", encoded(arguments, page.next_key)).element("NextUploadIdMarker", page.next_id);
  }
  xml.element("Prefix", encoded(arguments, arguments.query.prefix));
  if (!arguments.query.delimiter.empty()) xml.element("Delimiter", encoded(arguments, arguments.query.delimiter));
  if (arguments.encode) xml.element("EncodingType", "url");
  xml.element("MaxUploads", arguments.max_keys).flag("IsTruncated", page.truncated);
  for (const UploadInfo& upload : page.uploads) {
    xml.open("Upload").element("Key", encoded(arguments, upload.key)).element("UploadId", upload.id);
    const auto owner = get_string(upload.meta, "owner", bucket->owner);
    write_owner(xml, "Initiator", get_string(upload.meta, "initiator", owner), keys_);
    write_owner(xml, "Owner", owner, keys_);
    xml.element("StorageClass", "STANDARD").element("Initiated", iso_time(upload.initiated)).close();
  }
  write_prefixes(xml, arguments, page.prefixes);
  co_return xml_response(xml.finish());
}

}  // namespace penstock::objects
