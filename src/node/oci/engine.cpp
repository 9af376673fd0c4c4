#include "node/oci/engine.h"

#include <cctype>
#include <csignal>
#include <cstdlib>
#include <unistd.h>

#include "base/error.h"
#include "http/unix_client.h"

namespace penstock::node {

namespace {

// Docker 19.03 and Podman 2 and newer know this version.
constexpr std::string_view kVersion = "/v1.40";

std::string url_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string words_of(const http::ClientResponse& response) {
  try {
    const json::value body = json::parse(response.body);
    if (body.is_object()) return get_string(body.get_object(), "message", response.body);
  } catch (const std::exception&) {
  }
  return response.body;
}

Code code_of(int status) {
  switch (status) {
    case 400: return Code::InvalidArgument;
    case 401:
    case 403: return Code::PermissionDenied;
    case 404: return Code::NotFound;
    case 409: return Code::AlreadyExists;
    default: return Code::Internal;
  }
}

http::UnixRequest request_for(const std::filesystem::path& socket, std::string method, const std::string& target) {
  http::UnixRequest request;
  request.socket = socket;
  request.method = std::move(method);
  request.target = std::string(kVersion) + target;
  return request;
}

// The answer to a pull is a stream of JSON objects, one a line; a failure is one of them.
std::string pull_failure(const std::string& answer) {
  std::string failure;
  for (size_t at = 0; at < answer.size();) {
    const size_t end = std::min(answer.find('\n', at), answer.size());
    const std::string line = answer.substr(at, end - at);
    at = end + 1;
    if (line.find("\"error\"") == std::string::npos) continue;
    try {
      failure = get_string(json::parse(line).as_object(), "error");
    } catch (const std::exception&) {
      failure = line;
    }
  }
  return failure;
}

}  // namespace

std::filesystem::path find_engine_socket() {
  if (const char* host = std::getenv("DOCKER_HOST")) {
    const std::string_view url(host);
    if (url.starts_with("unix://")) return url.substr(7);
  }
  std::vector<std::filesystem::path> places = {"/var/run/docker.sock", "/run/podman/podman.sock"};
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR")) {
    places.push_back(std::filesystem::path(runtime) / "docker.sock");
    places.push_back(std::filesystem::path(runtime) / "podman/podman.sock");
  }
  for (const auto& place : places) {
    if (::access(place.c_str(), R_OK | W_OK) == 0) return place;
  }
  return {};
}

Async<std::string> ContainerEngine::call(std::string method, std::string target, json::value body,
                                         std::string registry_auth) const {
  http::UnixRequest request = request_for(socket_, std::move(method), target);
  if (!body.is_null()) {
    request.body = to_text(body);
    request.headers.emplace_back("Content-Type", "application/json");
  }
  if (!registry_auth.empty()) request.headers.emplace_back("X-Registry-Auth", std::move(registry_auth));
  const http::ClientResponse response = co_await http::fetch_unix(request);
  // 304: it is so already.
  if (response.status >= 400) throw Error(code_of(response.status), words_of(response));
  co_return response.body;
}

Async<json::object> ContainerEngine::info() const {
  const std::string body = co_await call("GET", "/info");
  co_return json::parse(body).as_object();
}

Async<bool> ContainerEngine::has_image(std::string image) const {
  try {
    co_await inspect_image(std::move(image));
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
    co_return false;
  }
  co_return true;
}

Async<json::object> ContainerEngine::inspect_image(std::string image) const {
  const std::string body = co_await call("GET", fmt::format("/images/{}/json", url_encode(image)));
  co_return json::parse(body).as_object();
}

Async<> ContainerEngine::pull(std::string image, std::string registry_auth) const {
  std::string target = fmt::format("/images/create?fromImage={}", url_encode(image));
  // Without a tag every tag would be pulled.
  const auto name = image.substr(image.rfind('/') + 1);
  if (name.find(':') == std::string::npos && name.find('@') == std::string::npos) target += "&tag=latest";
  const std::string answer = co_await call("POST", target, nullptr, std::move(registry_auth));
  const std::string failure = pull_failure(answer);
  if (!failure.empty()) throw Error(Code::NotFound, failure);
}

Async<std::string> ContainerEngine::create(std::string name, json::object config) const {
  json::value body(std::move(config));
  const std::string answer =
      co_await call("POST", fmt::format("/containers/create?name={}", url_encode(name)), std::move(body));
  co_return get_string(json::parse(answer).as_object(), "Id");
}

Async<> ContainerEngine::start(std::string id) const { co_await call("POST", fmt::format("/containers/{}/start", id)); }

Async<> ContainerEngine::kill(std::string id, int signal) const {
  try {
    co_await call("POST", fmt::format("/containers/{}/kill?signal={}", id, signal));
  } catch (const Error& error) {
    if (error.code() != Code::NotFound && error.code() != Code::AlreadyExists) throw;
  }
}

Async<> ContainerEngine::remove(std::string id) const {
  try {
    co_await call("DELETE", fmt::format("/containers/{}?force=true&v=true", id));
  } catch (const Error& error) {
    if (error.code() != Code::NotFound && error.code() != Code::AlreadyExists) throw;
  }
}

Async<json::object> ContainerEngine::inspect(std::string id) const {
  const std::string body = co_await call("GET", fmt::format("/containers/{}/json", id));
  co_return json::parse(body).as_object();
}

Async<> ContainerEngine::wait(std::string id) const { co_await call("POST", fmt::format("/containers/{}/wait", id)); }

Async<> ContainerEngine::follow_logs(std::string id, std::function<void(std::string_view)> on_output) const {
  LogFrames frames(std::move(on_output));
  http::UnixRequest request =
      request_for(socket_, "GET", fmt::format("/containers/{}/logs?follow=true&stdout=true&stderr=true", id));
  request.on_data = [&frames](std::string_view bytes) { frames.take(bytes); };
  const http::ClientResponse response = co_await http::fetch_unix(request);
  if (response.status >= 400) throw Error(code_of(response.status), words_of(response));
}

Async<json::array> ContainerEngine::list(std::string label) const {
  const json::object filters{{"label", json::array{label}}};
  const std::string target = fmt::format("/containers/json?all=true&filters={}", url_encode(to_text(filters)));
  const std::string body = co_await call("GET", target);
  co_return json::parse(body).as_array();
}

Async<> ContainerEngine::export_files(std::string id, std::function<void(std::string_view)> on_data) const {
  http::UnixRequest request = request_for(socket_, "GET", fmt::format("/containers/{}/export", id));
  request.on_data = std::move(on_data);
  const http::ClientResponse response = co_await http::fetch_unix(request);
  if (response.status >= 400) throw Error(code_of(response.status), words_of(response));
}

// A frame: one byte for the stream, three of zero, four for the size, highest first; then that many bytes.
void LogFrames::take(std::string_view bytes) {
  constexpr size_t kHeader = 8;
  while (!bytes.empty()) {
    if (left_ > 0) {
      const size_t size = std::min<size_t>(left_, bytes.size());
      on_output_(bytes.substr(0, size));
      left_ -= size;
      bytes.remove_prefix(size);
      continue;
    }
    const size_t missing = std::min(kHeader - header_.size(), bytes.size());
    header_.append(bytes.substr(0, missing));
    bytes.remove_prefix(missing);
    if (header_.size() < kHeader) return;
    for (size_t i = 4; i < kHeader; ++i) left_ = left_ << 8 | static_cast<unsigned char>(header_[i]);
    header_.clear();
  }
}

}  // namespace penstock::node
