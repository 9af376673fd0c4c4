#include "http/static_files.h"

#include <algorithm>

namespace penstock::http {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `visit` with each of a header's comma-separated members; true when one returned true.
template <class Visit>
bool any_member(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (visit(trim(list.substr(0, comma)))) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// Whether Accept-Encoding names the coding with a quality above 0.
bool takes(std::string_view accepted, std::string_view coding) {
  return any_member(accepted, [&](std::string_view member) {
    const size_t semicolon = member.find(';');
    if (trim(member.substr(0, semicolon)) != coding) return false;
    if (semicolon == std::string_view::npos) return true;
    const auto quality = trim(member.substr(semicolon + 1));
    return quality.find_first_of("123456789") != std::string_view::npos;
  });
}

bool matches(std::string_view if_none_match, std::string_view tag) {
  return any_member(if_none_match, [&](std::string_view member) {
    if (member.starts_with("W/")) member.remove_prefix(2);
    return member == tag || member == "*";
  });
}

}  // namespace

StaticFiles::StaticFiles(std::span<const StaticFile> files, StaticOptions options) : options_(std::move(options)) {
  for (const auto& file : files) files_.emplace(file.path, &file);
  CHECK_INVARIANT(files_.contains("/index.html"));
}

std::optional<Response> StaticFiles::find(const Request& request) const {
  const std::string_view path = request.path;
  const auto found = files_.find(path == "/" ? "/index.html" : path);
  if (found != files_.end()) return answer(request, *found->second);
  const auto first = path.substr(0, path.find('/', 1));
  const bool foreign = std::find(options_.foreign.begin(), options_.foreign.end(), first) != options_.foreign.end();
  // A file that is not there is no page: a stale page must see that its script is gone.
  if (foreign || first == "/assets" || request.header("accept").find("text/html") == std::string_view::npos) {
    return std::nullopt;
  }
  return answer(request, *files_.at("/index.html"));
}

Response StaticFiles::answer(const Request& request, const StaticFile& file) const {
  const auto accepted = request.header("accept-encoding");
  Response response;
  std::string_view coding;
  response.fixed = file.plain;
  if (!file.brotli.empty() && takes(accepted, "br")) {
    coding = "br";
    response.fixed = file.brotli;
  } else if (!file.gzip.empty() && takes(accepted, "gzip")) {
    coding = "gzip";
    response.fixed = file.gzip;
  }
  const std::string tag = fmt::format("\"{}{}{}\"", file.hash, coding.empty() ? "" : "-", coding);
  response.set("ETag", tag);
  response.set("Cache-Control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  response.set("Vary", "Accept-Encoding");
  response.headers.insert(response.headers.end(), options_.headers.begin(), options_.headers.end());
  if (matches(request.header("if-none-match"), tag)) {
    response.status = 304;
    response.fixed = {};
    return response;
  }
  response.set("Content-Type", std::string(file.type));
  if (!coding.empty()) response.set("Content-Encoding", std::string(coding));
  return response;
}

}  // namespace penstock::http
