// What lies in artifacts: previews, raw bytes that a page may show, downloads. Artifacts are other people's bytes, so
// no answer lets a browser run anything of them with this server's rights.
#include "objects/s3/conditions.h"
#include "pipelines/api/artifact_bytes.h"
#include "pipelines/api/artifact_messages.h"
#include "pipelines/api/folder_archive.h"
#include "pipelines/preview/preview.h"

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kMaxBytes = 1 << 20, kMaxRows = 1'000;
constexpr size_t kSent = 1 << 20;  // read at a time of what is no file

// Nothing but styles and images of its own: no script, no request, no form, and an origin that is nobody's.
constexpr std::string_view kPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

ArtifactBytes bytes_of(const ApiContext& context, const metadata::Artifact& artifact, const Request& request) {
  return {context.objects, artifact.uri, request.query_or("path", "")};
}

Error nothing_there(const ArtifactBytes& bytes, const std::string& path) {
  return path.empty() ? not_found("there is no object {}", bytes.uri())
                      : not_found("there is no object {} in {}", path, bytes.uri());
}

// The URL of another view of the same thing.
std::string link_to(const metadata::Artifact& artifact, std::string_view view, const std::string& path) {
  return fmt::format("{}/artifacts/{}/{}{}{}", kOwnBase, artifact.artifact_id, view,
                     path.empty() ? "" : "?path=", http::url_encode(path));
}

json::object folder_json(const objects::FolderPage& page) {
  json::array entries;
  for (const objects::FolderEntry& entry : page.entries) {
    json::object one{{"name", entry.name}, {"folder", entry.folder}};
    if (!entry.folder) one["size"] = std::to_string(entry.size);
    entries.push_back(std::move(one));
  }
  json::object out{{"kind", "folder"}, {"entries", std::move(entries)}, {"truncated", !page.next.empty()}};
  if (!page.next.empty()) out["next_page_token"] = page.next;
  return out;
}

Async<Response> get_preview(const ApiContext& context, Request& request) {
  preview::PreviewLimits limits;
  limits.bytes =
      static_cast<size_t>(number_query(request, "max_bytes", static_cast<int64_t>(limits.bytes), 1, kMaxBytes));
  limits.rows = static_cast<size_t>(number_query(request, "rows", static_cast<int64_t>(limits.rows), 1, kMaxRows));
  const auto page_size = static_cast<size_t>(number_query(request, "page_size", 100, 1, kMaxRows));
  const std::string path = request.query_or("path", ""), after = request.query_or("page_token", "");
  const metadata::Artifact artifact = co_await artifact_of(context, request);
  const ArtifactBytes bytes = bytes_of(context, artifact, request);
  json::object out = co_await context.blocking.run([&] {
    const auto reader = bytes.open();
    if (reader) {
      const preview::Detected detected = preview::detect(*reader, bytes.file_name(), artifact.type);
      json::object shown = preview::preview(*reader, detected, limits);
      const bool shows = detected.kind == preview::Kind::Image || detected.kind == preview::Kind::Html;
      if (shows) shown["raw"] = link_to(artifact, "raw", path);
      return shown;
    }
    const objects::FolderPage page = bytes.list(after, page_size);
    if (page.entries.empty() && after.empty()) throw nothing_there(bytes, path);
    return folder_json(page);
  });
  out["artifact_id"] = std::to_string(artifact.artifact_id);
  out["uri"] = artifact.uri;
  if (!path.empty()) out["path"] = path;
  out["download"] = link_to(artifact, "download", path);
  co_return http::json_response(std::move(out));
}

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

// The object's bytes, or the range that was asked for.
void add_bytes(const ApiContext& context, const Request& request, std::unique_ptr<objects::Reader> reader,
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
  response.stream = [&pool = context.blocking, shared, part](http::BodyWriter& out) {
    return send_pieces(pool, *shared, part.first, part.length, out);
  };
}

Async<Response> get_raw(const ApiContext& context, Request& request) {
  const metadata::Artifact artifact = co_await artifact_of(context, request);
  const ArtifactBytes bytes = bytes_of(context, artifact, request);
  preview::Detected detected;
  auto reader = co_await context.blocking.run([&] {
    auto opened = bytes.open();
    if (opened) detected = preview::detect(*opened, bytes.file_name(), artifact.type);
    return opened;
  });
  if (!reader) throw nothing_there(bytes, request.query_or("path", ""));
  using preview::Kind;
  Response response;
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
      response.set("Content-Disposition", disposition_of(bytes.file_name()));
  }
  add_bytes(context, request, std::move(reader), response);
  co_return response;
}

Async<> send_archive(BlockingPool& pool, FolderArchive& archive, http::BodyWriter& out) {
  while (true) {
    const auto next = [&] { return archive.next(); };
    const std::string piece = co_await pool.run(next);
    if (piece.empty()) co_return;
    co_await out.write(piece);
  }
}

ArchiveFormat format_of(const Request& request) {
  const std::string format = request.query_or("format", "tar.gz");
  if (format == "tar.gz") return ArchiveFormat::TarGz;
  if (format == "zip") return ArchiveFormat::Zip;
  throw Error(Code::InvalidArgument, fmt::format("format is {:?}; expected tar.gz or zip", format), "format");
}

Async<Response> download(const ApiContext& context, Request& request) {
  const ArchiveFormat format = format_of(request);
  const metadata::Artifact artifact = co_await artifact_of(context, request);
  const ArtifactBytes bytes = bytes_of(context, artifact, request);
  bool folder = false;
  auto reader = co_await context.blocking.run([&] {
    auto opened = bytes.open();
    folder = !opened && !bytes.files("", 1).empty();
    return opened;
  });
  Response response;
  if (reader) {
    set_safe(response, "application/octet-stream");
    response.set("Content-Disposition", disposition_of(bytes.file_name()));
    add_bytes(context, request, std::move(reader), response);
    co_return response;
  }
  if (!folder) throw nothing_there(bytes, request.query_or("path", ""));
  const bool zip = format == ArchiveFormat::Zip;
  set_safe(response, zip ? "application/zip" : "application/gzip");
  response.set("Content-Disposition", disposition_of(fmt::format("{}{}", bytes.file_name(), zip ? ".zip" : ".tar.gz")));
  auto archive = std::make_shared<FolderArchive>(bytes, format);
  response.stream = [&pool = context.blocking, archive](http::BodyWriter& out) {
    return send_archive(pool, *archive, out);
  };
  co_return response;
}

}  // namespace

void add_artifact_file_routes(Routes& routes) {
  routes.add_at(Method::Get, "/apis/penstock/v1/artifacts/{artifact_id}/preview", get_preview);
  routes.add_at(Method::Get, "/apis/penstock/v1/artifacts/{artifact_id}/raw", get_raw);
  routes.add_at(Method::Get, "/apis/penstock/v1/artifacts/{artifact_id}/download", download);
}

}  // namespace penstock::pipelines::api
