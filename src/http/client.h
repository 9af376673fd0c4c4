// A small blocking HTTP(S) client over libcurl, for the command line, for fetching what a user names by URL, and for
// other object stores. Call it off the request path.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace penstock::http {

struct ClientResponse {
  int status = 0;
  std::string body;
  std::map<std::string, std::string, std::less<>> headers;  // of the last answer, names in lower case

  std::string_view header(std::string_view lower_case_name) const;  // or empty
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::milliseconds timeout{30'000};  // 0: none (a followed log)
  // When set, the body is handed over piece by piece instead of being kept; false ends the transfer.
  std::function<bool(std::string_view)> on_data;
  // When set, called before the first piece with the status and the headers; false keeps the body in the answer, at
  // most kErrorBody of it, and hands nothing over: the body of an error is no content.
  std::function<bool(const ClientResponse&)> on_answer;
  // When set, whether a connection to this IP address may be made, asked each time, after names are resolved; no proxy
  // is used then. PermissionDenied where it may not.
  std::function<bool(const std::string& address)> may_connect;
  std::string protocols = "http,https";
  int max_redirects = 0;  // 0: none is followed

  // A body of `upload_size` bytes that is asked for piece by piece: fills the buffer with at most so many bytes from
  // `offset` on, and returns how many.
  std::function<size_t(uint64_t offset, char* buffer, size_t size)> upload;
  uint64_t upload_size = 0;
  std::chrono::seconds stall_timeout{0};  // DeadlineExceeded when nothing moved for so long; 0: none
  std::function<bool()> stopped;          // asked about once a second; true ends the transfer: Cancelled
  std::string ca_file;                    // PEM; empty: the system's
  std::string ca_pem;                     // the same as text
  bool verify_tls = true;
};

inline constexpr size_t kErrorBody = 64 * 1024;

// Connections that are kept for the next request to the same server. Thread-safe.
class ClientPool {
 public:
  ClientPool();
  ~ClientPool();
  ClientPool(const ClientPool&) = delete;

 private:
  friend ClientResponse fetch(const ClientRequest&, ClientPool*);
  struct State;
  std::unique_ptr<State> state_;
};

// Throws Unavailable when no server answers or an answer ends early, DeadlineExceeded past the timeout, InvalidArgument
// for a bad URL. Messages name the URL without its query.
ClientResponse fetch(const ClientRequest& request, ClientPool* pool = nullptr);

}  // namespace penstock::http
