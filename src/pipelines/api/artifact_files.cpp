// What lies in artifacts: previews, raw bytes that a page may show, downloads. Artifacts are other people's bytes, so
// no answer lets a browser run anything of them with this server's rights.
#include "pipelines/api/artifact_bytes.h"
#include "pipelines/api/artifact_messages.h"
#include "pipelines/api/folder_archive.h"
#include "pipelines/api/safe_bytes.h"

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kMaxEntries = 1'000;

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
  const preview::PreviewLimits limits = preview_limits(request);
  const auto page_size = static_cast<size_t>(number_query(request, "page_size", 100, 1, kMaxEntries));
  const std::string path = request.query_or("path", ""), after = request.query_or("page_token", "");
  const metadata::Artifact artifact = co_await artifact_of(context, request);
  const ArtifactBytes bytes = bytes_of(context, artifact, request);
  json::object out = co_await context.blocking.run([&] {
    const auto reader = bytes.open();
    if (reader) {
      return preview_json(*reader, bytes.file_name(), artifact.type, limits, link_to(artifact, "raw", path));
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
  Response response;
  set_raw(response, detected, bytes.file_name());
  add_bytes(context.blocking, request, std::move(reader), response);
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
    add_bytes(context.blocking, request, std::move(reader), response);
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
