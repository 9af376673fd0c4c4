#include "pipelines/api/safe_bytes.h"

#include "objects/s3/conditions.h"
#include "pipelines/api/artifact_messages.h"

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kMaxBytes = 1 << 20, kMaxRows = 1'000;
constexpr size_t kSent = 1 << 20;  // read at a time of what is no file

// Nothing but styles and images of its own: no script, no request, no form, and an origin that is nobody's.
constexpr std::string_view kPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

Async<> send_pieces(BlockingPool& pool, objects::Reader& reader, uint64_t offset, uint64_t length,
                    http::BodyWriter& out) {
  if (reader.file() >= 0) {
    co_await out.write_file(reader.file(), offset, length);
    co_return;
  }
  while (length > 0) {
    const auto read = [&] { return reader.read(offset, std::min<uint64_t>(length, kSent)); };
    const std::string piece = co_await pool.run(read);
    if (piece.empty()) throw Error(Code::DataLoss, "an object shrank while it was sent");
    offset += piece.size();
    length -= piece.size();
    co_await out.write(piece);
  }
}

}  // namespace

void set_safe(Response& response, std::string media_type) {
  response.set("Content-Type", std::move(media_type));
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Content-Security-Policy", std::string(kPolicy));
  response.set("Cross-Origin-Resource-Policy", "same-origin");
  response.set("Referrer-Policy", "no-referrer");
}

// RFC 6266: a plain name for everybody, and the real one for those who read it.
std::string disposition_of(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    plain += u < 0x20 || u >= 0x7f || c == '"' || c == '\\' || c == '%' ? '_' : c;
  }
  std::string out = fmt::format("attachment; filename=\"{}\"", plain);
  if (plain != name) out += fmt::format("; filename*=UTF-8''{}", http::url_encode(name));
  return out;
}

void set_raw(Response& response, const preview::Detected& detected, std::string_view file_name) {
  using preview::Kind;
  switch (detected.kind) {
    case Kind::Image: set_safe(response, detected.media_type); break;
    case Kind::Html: set_safe(response, "text/html; charset=utf-8"); break;
    case Kind::Csv:
    case Kind::Json:
    case Kind::JsonLines:
    case Kind::Notebook:
    case Kind::Markdown:
    case Kind::Text: set_safe(response, "text/plain; charset=utf-8"); break;
    default:
      set_safe(response, "application/octet-stream");
      response.set("Content-Disposition", disposition_of(file_name));
  }
}

void add_bytes(BlockingPool& pool, const Request& request, std::unique_ptr<objects::Reader> reader,
               Response& response) {
  const uint64_t size = reader->size();
  response.set("Accept-Ranges", "bytes");
  std::optional<objects::Range> range;
  try {
    // There is nothing to compare a condition with, so that one is answered with the whole.
    if (request.header("if-range").empty()) range = objects::read_range(request.header("range"), size);
  } catch (const objects::S3Error&) {
    response.status = 416;
    response.set("Content-Range", fmt::format("bytes */{}", size));
    return;
  }
  const objects::Range part = range ? *range : objects::Range{0, size};
  if (range) {
    response.status = 206;
    response.set("Content-Range", fmt::format("bytes {}-{}/{}", part.first, part.first + part.length - 1, size));
  }
  response.set("Content-Length", std::to_string(part.length));
  if (part.length == 0) return;
  // Shared with the answer's stream, which a std::function copies.
  std::shared_ptr<objects::Reader> shared(std::move(reader));
  response.stream = [&pool, shared, part](http::BodyWriter& out) {
    return send_pieces(pool, *shared, part.first, part.length, out);
  };
}

preview::PreviewLimits preview_limits(const Request& request) {
  preview::PreviewLimits limits;
  limits.bytes =
      static_cast<size_t>(number_query(request, "max_bytes", static_cast<int64_t>(limits.bytes), 1, kMaxBytes));
  limits.rows = static_cast<size_t>(number_query(request, "rows", static_cast<int64_t>(limits.rows), 1, kMaxRows));
  return limits;
}

json::object preview_json(objects::Reader& reader, std::string_view file_name, std::string_view schema_title,
                          const preview::PreviewLimits& limits, const std::string& raw) {
  const preview::Detected detected = preview::detect(reader, file_name, schema_title);
  json::object shown = preview::preview(reader, detected, limits);
  if (detected.kind == preview::Kind::Image || detected.kind == preview::Kind::Html) shown["raw"] = raw;
  return shown;
}

}  // namespace penstock::pipelines::api
