#include "objects/remote/http_remote.h"

#include <charconv>

#include "http/url.h"

namespace penstock::objects {

namespace {

uint64_t size_of(const http::ClientResponse& response) {
  std::string_view text = response.header("content-length");
  if (response.status == 206) {  // "bytes 0-0/1234"
    text = response.header("content-range");
    text.remove_prefix(std::min(text.size(), text.find('/') + 1));
  }
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? size : kUnknownSize;
}

}  // namespace

HttpRemote::HttpRemote(std::string url, int redirects, uint64_t limit, RemoteOptions options)
    : url_(std::move(url)), redirects_(redirects), limit_(limit), options_(std::move(options)) {}

std::string HttpRemote::name_of(std::string_view) const { return http::redacted(url_); }

http::ClientRequest HttpRemote::make(std::string method) const {
  http::ClientRequest request = remote_request(options_, std::move(method), url_);
  request.max_redirects = redirects_;
  return request;
}

std::optional<RemoteObject> HttpRemote::find(const std::string& key) {
  if (!key.empty()) return std::nullopt;
  http::ClientResponse response = remote_fetch(options_, make("HEAD"));
  if (response.status == 403 || response.status == 405 || response.status == 501) {
    // Some answer GET alone, as those of URLs that are signed for it.
    http::ClientRequest request = make("GET");
    request.headers.emplace_back("Range", "bytes=0-0");
    request.on_data = [](std::string_view) { return false; };
    response = remote_fetch(options_, request);
    if (response.status == 416) return RemoteObject{"", 0, ""};  // it is empty
  }
  if (response.status == 404 || response.status == 410) return std::nullopt;
  if (response.status != 200 && response.status != 206) {
    throw remote_error(response.status,
                       fmt::format("{}: the server answers with the status {}", name_of(key), response.status));
  }
  const uint64_t size = size_of(response);
  if (size != kUnknownSize && size > limit_) {
    throw Error(Code::FailedPrecondition,
                fmt::format("{}: it has {} bytes, more than the {} that are fetched", name_of(key), size, limit_));
  }
  std::string version(response.header("etag"));
  if (version.starts_with("W/")) version.clear();  // it does not stand for the bytes
  return RemoteObject{"", size, std::move(version)};
}

void HttpRemote::read(const RemoteObject& object, uint64_t offset, uint64_t length,
                      const std::function<bool(std::string_view)>& sink) {
  if (length == 0) return;
  http::ClientRequest request = make("GET");
  uint64_t given = 0;
  const std::function<bool(std::string_view)> counted = [&](std::string_view piece) {
    given += piece.size();
    if (given > limit_) {
      throw Error(Code::FailedPrecondition,
                  fmt::format("{}: it has more than the {} bytes that are fetched", name_of({}), limit_));
    }
    return sink(piece);
  };
  RangeReader reader{offset, length, counted};
  if (length != kUnknownSize) {
    if (!object.version.empty()) request.headers.emplace_back("If-Match", object.version);
    reader.attach(request);
  } else {
    request.on_answer = [](const http::ClientResponse& answer) { return answer.status == 200; };
    request.on_data = counted;
  }
  const http::ClientResponse response = remote_fetch(options_, request);
  if (response.status != 200 && response.status != 206) {
    throw remote_error(response.status,
                       fmt::format("{}: the server answers with the status {}", name_of({}), response.status));
  }
  if (length != kUnknownSize) reader.check(name_of({}));
}

void HttpRemote::put(const std::string& key, int, uint64_t) {
  throw Error(Code::Unimplemented, fmt::format("{}: nothing can be put to a web server", name_of(key)));
}

void HttpRemote::remove(const std::string& key) {
  throw Error(Code::Unimplemented, fmt::format("{}: nothing is removed from a web server", name_of(key)));
}

}  // namespace penstock::objects
