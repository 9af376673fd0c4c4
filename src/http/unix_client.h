// HTTP/1.1 over a UNIX socket, for local services (a container engine). One connection a request.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/async.h"
#include "http/client.h"

namespace penstock::http {

struct UnixRequest {
  std::filesystem::path socket;
  std::string method = "GET";
  std::string target;  // "/v1.41/info"
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  uint64_t body_limit = 64ull << 20;  // of an answer that is kept; none with on_data
  // When set, an answer of success is handed over piece by piece instead of being kept.
  std::function<void(std::string_view)> on_data;
};

// Runs on the caller's executor; ends with the connection closed when the caller is cancelled. Throws Unavailable when
// nobody answers, Internal when the answer is none, ResourceExhausted when it is over the limit.
Async<ClientResponse> fetch_unix(const UnixRequest& request);

}  // namespace penstock::http
