// Reading objects.
#include "objects/s3/conditions.h"
#include "objects/s3/pieces.h"
#include "objects/s3/service.h"
#include "objects/s3/sse.h"

namespace penstock::objects {

namespace {

constexpr std::pair<std::string_view, std::string_view> kOverrides[] = {
    {"response-content-type", "Content-Type"},
    {"response-content-language", "Content-Language"},
    {"response-expires", "Expires"},
    {"response-cache-control", "Cache-Control"},
    {"response-content-disposition", "Content-Disposition"},
    {"response-content-encoding", "Content-Encoding"}};

void replace_header(http::Response& response, std::string_view name, std::string value) {
  for (auto& [known, old] : response.headers) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  response.set(std::string(name), std::move(value));
}

void apply_overrides(http::Response& response, const Call& call) {
  for (const auto& [query, name] : kOverrides) {
    const auto value = call.http.query_value(query);
    if (!value) continue;
    if (!call.verified) {
      throw S3Error("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.");
    }
    replace_header(response, name, *value);
  }
}

}  // namespace

void S3Service::add_object_headers(http::Response& response, const Bucket& bucket, const Object& object) const {
  response.set("ETag", quote_etag(object.etag));
  response.set("Last-Modified", format_http_time(object.modified));
  response.set("Accept-Ranges", "bytes");
  bool typed = false;
  if (const json::object* headers = find_object(object.meta, "headers")) {
    for (const auto& [name, value] : *headers) {
      typed = typed || name == "Content-Type";
      response.set(std::string(name), shown_text(value));
    }
  }
  if (!typed) response.set("Content-Type", "binary/octet-stream");
  if (const json::object* user = find_object(object.meta, "user")) {
    for (const auto& [name, value] : *user) {
      response.set("x-amz-meta-" + std::string(name), shown_text(value));
    }
  }
  if (const json::object* tags = find_object(object.meta, "tags"); tags != nullptr && !tags->empty()) {
    response.set("x-amz-tagging-count", std::to_string(tags->size()));
  }
  if (const json::object* retention = find_object(object.meta, "retention")) {
    response.set("x-amz-object-lock-mode", get_string(*retention, "mode"));
    response.set("x-amz-object-lock-retain-until-date", get_string(*retention, "until"));
  }
  if (const auto hold = get_string(object.meta, "hold"); !hold.empty()) {
    response.set("x-amz-object-lock-legal-hold", hold);
  }
  if (bucket.versioning != Versioning::Off) response.set("x-amz-version-id", object.version);
  if (auto expiration = expiration_of(bucket, object)) response.set("x-amz-expiration", std::move(*expiration));
}

namespace {

// What a reader is told when there is no such object, or a marker in its place.
[[noreturn]] void throw_missing(const Call& call, const std::optional<Object>& object) {
  const auto version = call.version();
  if (!object) {
    S3Error error(version ? "NoSuchVersion" : "NoSuchKey");
    error.with("Key", call.key).header("x-amz-delete-marker", "false");
    if (version) error.with("VersionId", *version);
    throw error;
  }
  S3Error error(version ? "MethodNotAllowed" : "NoSuchKey");
  error.with("Key", call.key).header("x-amz-delete-marker", "true").header("x-amz-version-id", object->version);
  if (version) error.header("Allow", "DELETE").header("Last-Modified", format_http_time(object->modified));
  throw error;
}

// What a request wants of an object.
struct Selection {
  std::optional<Range> range;
  bool of_part = false;
  const json::object* checksum = nullptr;  // of what is selected
};

Selection select(const Call& call, const Object& object, const std::vector<Part>& parts, http::Response& response) {
  Selection out;
  out.range = read_range(call.header("range"), object.size);
  out.checksum = find_object(object.meta, "checksum");
  const auto text = call.http.query_value("partNumber");
  if (!text) return out;
  const auto number = static_cast<size_t>(number_of(*text, "partNumber"));
  if (!call.header("range").empty()) {
    throw S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter");
  }
  const size_t count = parts.empty() ? 1 : parts.size();
  if (number < 1 || number > count) throw S3Error("InvalidPart");
  out.of_part = true;
  if (parts.empty()) return out;
  out.range = Range{0, parts[number - 1].content.size};
  for (size_t i = 0; i + 1 < number; ++i) out.range->first += parts[i].content.size;
  out.checksum = &parts[number - 1].checksum;
  response.set("x-amz-mp-parts-count", std::to_string(count));
  return out;
}

}  // namespace

std::string S3Service::object_key(const Call& call, const Object& object) const {
  refuse_sse_wishes(call.http);
  return open_seal(object.meta, customer_key(call.http), vault_);
}

Async<> S3Service::add_body(http::Response& response, const Bucket& bucket, const Object& object,
                            const std::vector<Part>& parts, Range range, const std::string& object_key) {
  auto found = co_await pieces_of(engine_, bucket, object, parts, range, object_key);
  co_await open_ahead(engine_, found);
  auto pieces = std::make_shared<std::vector<Piece>>(std::move(found));
  response.stream = [this, pieces](http::BodyWriter& out) -> Async<> {
    const auto kept = pieces;
    Engine& engine = engine_;
    for (const Piece& piece : *kept) co_await send_piece(engine, piece, out);
  };
}

Async<http::Response> S3Service::get_object(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const auto version = call.version();
  Engine::Found found = co_await engine_.find_with_data(bucket, call.key, version);
  Ask ask{.action = version ? "s3:GetObjectVersion" : "s3:GetObject", .permission = "READ", .key = call.key};
  if (version) ask.version = *version;
  require_read(call, *bucket, found.object ? &*found.object : nullptr, ask);
  if (!found.object || found.object->marker) throw_missing(call, found.object);
  const Object& object = *found.object;
  const Condition condition = check_read(call.http, object);
  if (condition == Condition::Failed) throw S3Error("PreconditionFailed");
  http::Response response;
  if (condition == Condition::NotModified) {
    response.status = 304;
    response.set("ETag", quote_etag(object.etag)).set("Last-Modified", format_http_time(object.modified));
    if (bucket->versioning != Versioning::Off) response.set("x-amz-version-id", object.version);
    co_return response;
  }
  const bool head = call.http.method == http::Method::Head;
  std::vector<Part> parts;
  if (!object.parts.empty() && (!head || call.has("partNumber"))) parts = co_await engine_.parts_of(object);
  const Selection selected = select(call, object, parts, response);
  const auto& range = selected.range;
  const std::string key = object_key(call, object);
  add_object_headers(response, *bucket, object);
  add_sse_headers(response, object.meta, call.http);
  const auto mode = call.header("x-amz-checksum-mode");
  const bool checksums = mode == "ENABLED" || mode == "enabled";
  if (checksums && selected.checksum != nullptr && (!range || selected.of_part)) {
    add_checksums(response, *selected.checksum);
  }
  apply_overrides(response, call);
  const Range all = range ? *range : Range{0, object.size};
  if (range) {
    response.status = 206;
    response.set("Content-Range",
                 fmt::format("bytes {}-{}/{}", all.first, all.first + (all.length ? all.length - 1 : 0), object.size));
  }
  response.set("Content-Length", std::to_string(all.length));
  if (head || all.length == 0) co_return response;
  if (found.data) {
    response.body = range ? found.data->substr(all.first, all.length) : std::move(*found.data);
    if (!key.empty()) {
      StreamCipher cipher(key_of_content(key, *find_object(object.meta, "sse")), all.first);
      cipher.apply(response.body.data(), response.body.size());
    }
  } else {
    co_await add_body(response, *bucket, object, parts, all, key);
  }
  co_return response;
}

namespace {

// A page of the parts, named by their places in the object.
void write_parts(XmlWriter& xml, const Call& call, const std::vector<Part>& parts) {
  const auto marker_text = call.header("x-amz-part-number-marker"), max_text = call.header("x-amz-max-parts");
  const int64_t marker =
      marker_text.empty() ? 0 : std::min<int64_t>(10'000, number_of(marker_text, "x-amz-part-number-marker"));
  const int64_t limit = max_text.empty() ? 1'000 : std::min<int64_t>(1'000, number_of(max_text, "x-amz-max-parts"));
  xml.open("ObjectParts").element("PartsCount", static_cast<int64_t>(parts.size()));
  xml.element("PartNumberMarker", marker).element("MaxParts", limit);
  const auto count = static_cast<int64_t>(parts.size());
  const int64_t last = std::min(count, marker + limit);
  for (int64_t number = marker + 1; number <= last; ++number) {
    const Part& part = parts[static_cast<size_t>(number - 1)];
    xml.open("Part").element("PartNumber", int64_t{part.number});
    xml.element("Size", static_cast<int64_t>(part.content.size));
    write_checksums(xml, part.checksum);
    xml.close();
  }
  xml.element("NextPartNumberMarker", std::max(last, marker)).flag("IsTruncated", last < count).close();
}

}  // namespace

Async<http::Response> S3Service::get_torrent(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const auto object = co_await engine_.find(bucket, call.key);
  require_read(call, *bucket, object ? &*object : nullptr,
               {.action = "s3:GetObjectTorrent", .permission = "READ", .key = call.key});
  // No object has one.
  throw S3Error("NoSuchKey", "There is no torrent of this object").with("Key", call.key);
}

Async<http::Response> S3Service::get_attributes(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  const auto version = call.version();
  const auto object = co_await engine_.find(bucket, call.key, version);
  Ask ask{.action = version ? "s3:GetObjectVersionAttributes" : "s3:GetObjectAttributes",
          .permission = "READ",
          .key = call.key};
  require_read(call, *bucket, object ? &*object : nullptr, ask);
  if (!object || object->marker) {
    S3Error error(object && version ? "MethodNotAllowed" : version ? "NoSuchVersion" : "NoSuchKey");
    error.with("Key", call.key);
    if (object) error.header("x-amz-delete-marker", "true");
    throw error;
  }
  object_key(call, *object);
  std::string wanted;
  for (const auto& [name, value] : call.http.headers) {
    if (name == "x-amz-object-attributes") wanted += "," + value;
  }
  if (wanted.empty()) throw S3Error("InvalidRequest", "x-amz-object-attributes is missing");
  std::erase(wanted, ' ');
  const auto wants = [&](std::string_view name) {
    return (wanted + ",").find(fmt::format(",{},", name)) != std::string::npos;
  };
  XmlWriter xml("GetObjectAttributesResponse");
  if (wants("ETag")) xml.element("ETag", object->etag);
  const json::object* checksum = find_object(object->meta, "checksum");
  if (wants("Checksum") && checksum != nullptr) {
    xml.open("Checksum");
    write_checksums(xml, *checksum);
    xml.close();
  }
  if (wants("ObjectParts") && !object->parts.empty()) {
    write_parts(xml, call, co_await engine_.parts_of(*object));
  }
  if (wants("StorageClass")) xml.element("StorageClass", "STANDARD");
  if (wants("ObjectSize")) xml.element("ObjectSize", static_cast<int64_t>(object->size));
  auto response = xml_response(xml.finish());
  response.set("Last-Modified", format_http_time(object->modified));
  add_sse_headers(response, object->meta, call.http);
  if (bucket->versioning != Versioning::Off) response.set("x-amz-version-id", object->version);
  co_return response;
}

}  // namespace penstock::objects
