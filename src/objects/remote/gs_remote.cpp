#include "objects/remote/gs_remote.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "http/message.h"
#include "http/url.h"

namespace penstock::objects {

namespace {

constexpr int kChunkTries = 5;

// Numbers of 64 bits are texts in Google's JSON.
uint64_t number_at(const json::value& value, std::string_view name) {
  const std::string text = string_at(value, {name});
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

json::value read_answer(const http::ClientResponse& response, const std::string& name) {
  try {
    return parse_json(response.body);
  } catch (const Error&) {
    throw Error(Code::Unavailable, fmt::format("{}: the answer is no JSON", name));
  }
}

RemoteObject object_of(const json::value& item) {
  return {string_at(item, {"name"}), number_at(item, "size"), string_at(item, {"generation"})};
}

}  // namespace

GsRemote::GsRemote(GsPlace place, RemoteOptions options) : place_(std::move(place)), options_(std::move(options)) {
  if (place_.endpoint.empty()) place_.endpoint = "https://storage.googleapis.com";
  if (place_.endpoint.find("://") == std::string::npos) place_.endpoint = "http://" + place_.endpoint;
  while (place_.endpoint.ends_with('/')) place_.endpoint.pop_back();
  http::parse_url(place_.endpoint);
}

std::string GsRemote::name_of(std::string_view key) const { return fmt::format("gs://{}/{}", place_.bucket, key); }

std::string GsRemote::path_of(std::string_view key) const {
  return fmt::format("/storage/v1/b/{}/o/{}", http::url_encode(place_.bucket), http::url_encode(key));
}

http::ClientRequest GsRemote::make(std::string method, const std::string& path) const {
  http::ClientRequest request = remote_request(options_, std::move(method), place_.endpoint + path);
  if (place_.tokens) request.headers.emplace_back("Authorization", "Bearer " + place_.tokens->token(options_));
  return request;
}

Error GsRemote::error_of(const http::ClientResponse& response, const std::string& key) const {
  std::string words;
  try {
    const json::value answer = parse_json(response.body);
    words = string_at(answer, {"error", "message"});
  } catch (const Error&) {
    words = response.body.substr(0, 200);  // of a download it is plain text
  }
  std::string message = fmt::format("{}: the store answers with the status {}", name_of(key), response.status);
  if (!words.empty()) message += ": " + words;
  return remote_error(response.status, std::move(message));
}

http::ClientResponse GsRemote::call(const http::ClientRequest& request, const std::string& key) const {
  http::ClientResponse response = remote_fetch(options_, request);
  if (response.status < 200 || response.status > 299) throw error_of(response, key);
  return response;
}

std::optional<RemoteObject> GsRemote::find(const std::string& key) {
  if (key.empty()) return std::nullopt;  // the bucket
  const http::ClientResponse response = remote_fetch(options_, make("GET", path_of(key)));
  if (response.status == 404) return std::nullopt;
  if (response.status != 200) throw error_of(response, key);
  RemoteObject object = object_of(read_answer(response, name_of(key)));
  object.key = key;
  return object;
}

RemotePage GsRemote::list(const std::string& prefix, const std::string& token, size_t limit) {
  std::string path = fmt::format("/storage/v1/b/{}/o?prefix={}&maxResults={}", http::url_encode(place_.bucket),
                                 http::url_encode(prefix), limit);
  if (!token.empty()) path += "&pageToken=" + http::url_encode(token);
  const json::value answer = read_answer(call(make("GET", path), prefix), name_of(prefix));
  RemotePage page;
  if (const auto* items = find_path(answer, {"items"}); items != nullptr && items->is_array()) {
    for (const json::value& item : items->get_array()) page.objects.push_back(object_of(item));
  }
  page.next = string_at(answer, {"nextPageToken"});
  return page;
}

void GsRemote::read(const RemoteObject& object, uint64_t offset, uint64_t length,
                    const std::function<bool(std::string_view)>& sink) {
  if (length == 0) return;
  std::string path = path_of(object.key) + "?alt=media";
  if (!object.version.empty()) path += "&generation=" + http::url_encode(object.version);
  http::ClientRequest request = make("GET", path);
  RangeReader reader{offset, length, sink};
  reader.attach(request);
  const http::ClientResponse response = remote_fetch(options_, request);
  if (response.status != 200 && response.status != 206) throw error_of(response, object.key);
  reader.check(name_of(object.key));
}

void GsRemote::put(const std::string& key, int file, uint64_t size) {
  const bool chunked = size > place_.chunk_size;
  http::ClientRequest request =
      make("POST", fmt::format("/upload/storage/v1/b/{}/o?uploadType={}&name={}", http::url_encode(place_.bucket),
                               chunked ? "resumable" : "media", http::url_encode(key)));
  request.headers.emplace_back("Content-Type", chunked ? "application/json" : "application/octet-stream");
  if (!chunked) {
    if (size > 0) upload_from(request, file, 0, size);
    call(request, key);
    return;
  }
  request.headers.emplace_back("X-Upload-Content-Type", "application/octet-stream");
  request.headers.emplace_back("X-Upload-Content-Length", std::to_string(size));
  request.body = "{}";
  const std::string session(call(request, key).header("location"));
  if (session.empty()) throw Error(Code::Unavailable, fmt::format("{}: the store begins no upload", name_of(key)));
  put_chunks(session, key, file, size);
}

void GsRemote::put_chunks(const std::string& session, const std::string& key, int file, uint64_t size) const {
  uint64_t at = 0;
  int failures = 0;
  bool ask = false;  // how far it is
  while (at < size || ask) {
    // The session's address is its own credential.
    http::ClientRequest request = remote_request(options_, "PUT", session);
    const uint64_t length = ask ? 0 : std::min(place_.chunk_size, size - at);
    request.headers.emplace_back("Content-Range", ask ? fmt::format("bytes */{}", size)
                                                      : fmt::format("bytes {}-{}/{}", at, at + length - 1, size));
    if (!ask) upload_from(request, file, at, length);
    http::ClientResponse response;
    try {
      response = remote_fetch(options_, request);
    } catch (const Error& error) {
      if (error.code() == Code::Cancelled) throw;
      response.status = 503;
    }
    if (response.status == 200 || response.status == 201) return;
    if (response.status == 308) {
      const std::string_view range = response.header("range");  // "bytes=0-1048575"; none: nothing is there
      const size_t dash = range.find('-');
      uint64_t last = 0;
      if (dash != std::string_view::npos) std::from_chars(range.data() + dash + 1, range.data() + range.size(), last);
      at = dash == std::string_view::npos ? 0 : last + 1;
      ask = false;
    } else if (response.status >= 500 && ++failures < kChunkTries) {
      options_.stop->wait(std::chrono::milliseconds(200 << failures));
      ask = true;
    } else {
      throw error_of(response, key);
    }
  }
  throw Error(Code::Unavailable, fmt::format("{}: the upload does not end", name_of(key)));
}

void GsRemote::remove(const std::string& key) {
  const http::ClientResponse response = remote_fetch(options_, make("DELETE", path_of(key)));
  if (response.status > 299 && response.status != 404) throw error_of(response, key);
}

}  // namespace penstock::objects
