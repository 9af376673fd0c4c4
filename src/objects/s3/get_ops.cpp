// Reading objects.
#include "objects/s3/conditions.h"
#include "objects/s3/service.h"

namespace penstock::objects {

namespace {

// From here on a large content goes out by the kernel and is verified by the scrub; below, its bytes are compared with
// their checksum before the first goes out, once while the server runs.
constexpr uint64_t kVerifiedFirst = 8u << 20;

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

std::string header_of_checksum(std::string_view algorithm) {
  std::string name = "x-amz-checksum-" + std::string(algorithm);
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return name;
}

void add_checksums(http::Response& response, const json::object& checksum) {
  for (const auto& [name, value] : checksum) {
    if (name == "type") {
      response.set("x-amz-checksum-type", to_std(value.as_string()));
    } else {
      response.set(header_of_checksum(name), to_std(value.as_string()));
    }
  }
}

// A piece of one content: what the answer is made of.
struct Piece {
  Content content;
  uint64_t offset = 0;
  uint64_t length = 0;
};

std::vector<Piece> pieces_of(const std::vector<Content>& contents, Range range) {
  std::vector<Piece> pieces;
  uint64_t at = 0;
  for (const Content& content : contents) {
    const uint64_t begin = std::max(range.first, at), end = std::min(range.first + range.length, at + content.size);
    if (begin < end) pieces.push_back({content, begin - at, end - begin});
    at += content.size;
  }
  return pieces;
}

Async<> send_piece(Engine& engine, const Piece& piece, http::BodyWriter& out) {
  if (engine.in_log(piece.content)) {
    const auto read = [&] { return engine.read_small(piece.content); };
    const std::string data = co_await engine.pool().run(read);
    co_await out.write(std::string_view(data).substr(piece.offset, piece.length));
    co_return;
  }
  const auto open = [&] {
    if (piece.content.size <= kVerifiedFirst) engine.verify(piece.content);
    return engine.open_content(piece.content);
  };
  const Descriptor file = co_await engine.pool().run(open);
  co_await out.write_file(file.get(), piece.offset, piece.length);
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
    error.with("Key", call.key);
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

// From one open file, which stays readable whatever happens to the object now, or from many contents in a row.
Async<> S3Service::add_body(http::Response& response, const Bucket& bucket, const Object& object,
                            const std::vector<Part>& parts, uint64_t first, uint64_t length) {
  const Range range{first, length};
  if (object.file || (parts.empty() && !engine_.in_log(object.content))) {
    const auto open = [&]() -> std::shared_ptr<Descriptor> {
      if (!object.file && object.content.size <= kVerifiedFirst) engine_.verify(object.content);
      return std::make_shared<Descriptor>(object.file ? engine_.files().open(bucket.name, object.key)
                                                      : engine_.open_content(object.content));
    };
    // Shared with the answer's stream, which a std::function copies.
    const auto file = co_await engine_.pool().run(open);
    if (!*file) throw S3Error("NoSuchKey").with("Key", object.key);
    response.stream = [file, range](http::BodyWriter& out) -> Async<> {
      const auto kept = file;
      const Range part = range;
      co_await out.write_file(kept->get(), part.first, part.length);
    };
    co_return;
  }
  std::vector<Content> contents;
  for (const Part& part : parts) contents.push_back(part.content);
  if (parts.empty()) contents.push_back(object.content);
  auto pieces = std::make_shared<std::vector<Piece>>(pieces_of(contents, range));
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
  add_object_headers(response, *bucket, object);
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
  } else {
    co_await add_body(response, *bucket, object, parts, all.first, all.length);
  }
  co_return response;
}

namespace {

void write_checksum(XmlWriter& xml, const json::object& values) {
  for (const auto& [name, value] : values) {
    const std::string element = "Checksum" + (name == "type" ? "Type" : std::string(name));
    xml.element(element, to_std(value.as_string()));
  }
}

// A page of the parts, named by their places in the object; as in AWS, they are listed where they have checksums.
void write_parts(XmlWriter& xml, const Call& call, const std::vector<Part>& parts, bool listed) {
  const auto marker_text = call.header("x-amz-part-number-marker"), max_text = call.header("x-amz-max-parts");
  const int64_t marker =
      marker_text.empty() ? 0 : std::min<int64_t>(10'000, number_of(marker_text, "x-amz-part-number-marker"));
  const int64_t limit = max_text.empty() ? 1'000 : std::min<int64_t>(1'000, number_of(max_text, "x-amz-max-parts"));
  xml.open("ObjectParts").element("PartsCount", static_cast<int64_t>(parts.size()));
  xml.element("PartNumberMarker", marker).element("MaxParts", limit);
  const auto count = static_cast<int64_t>(parts.size());
  const int64_t last = std::min(count, marker + limit);
  for (int64_t number = marker + 1; listed && number <= last; ++number) {
    const Part& part = parts[static_cast<size_t>(number - 1)];
    xml.open("Part").element("PartNumber", int64_t{part.number});
    xml.element("Size", static_cast<int64_t>(part.content.size));
    write_checksum(xml, part.checksum);
    xml.close();
  }
  xml.element("NextPartNumberMarker", std::max(last, marker)).flag("IsTruncated", last < count).close();
}

}  // namespace

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
    write_checksum(xml, *checksum);
    xml.close();
  }
  if (wants("ObjectParts") && !object->parts.empty()) {
    write_parts(xml, call, co_await engine_.parts_of(*object), checksum != nullptr);
  }
  if (wants("StorageClass")) xml.element("StorageClass", "STANDARD");
  if (wants("ObjectSize")) xml.element("ObjectSize", static_cast<int64_t>(object->size));
  auto response = xml_response(xml.finish());
  response.set("Last-Modified", format_http_time(object->modified));
  if (bucket->versioning != Versioning::Off) response.set("x-amz-version-id", object->version);
  co_return response;
}

}  // namespace penstock::objects
