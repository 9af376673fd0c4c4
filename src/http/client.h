// A small blocking HTTP(S) client over libcurl, for the command line and for fetching what a user names by URL.
// Call it off the request path.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace penstock::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::milliseconds timeout{30'000};  // 0: none (a followed log)
  // When set, the body is handed over piece by piece instead of being kept; false ends the transfer.
  std::function<bool(std::string_view)> on_data;
  // When set, whether a connection to this IP address may be made, asked each time, after names are resolved; no proxy
  // is used then. PermissionDenied where it may not.
  std::function<bool(const std::string& address)> may_connect;
  std::string protocols = "http,https";
  int max_redirects = 0;  // 0: none is followed
};

struct ClientResponse {
  int status = 0;
  std::string body;
};

// Throws Unavailable when no server answers, DeadlineExceeded past the timeout, InvalidArgument for a bad URL.
ClientResponse fetch(const ClientRequest& request);

}  // namespace penstock::http
