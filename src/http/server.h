// The HTTP/1.1 server: coroutines on a few loops, each connection on one of them.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "http/router.h"

namespace penstock::http {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one
  size_t max_header_bytes = 64 * 1024;
  uint64_t max_body_bytes = 256ull << 20;
  // Instead of it for paths that begin with one of these.
  std::vector<std::string> large_body_prefixes;
  uint64_t large_body_bytes = 0;
  size_t max_connections = 4096;  // more are answered 503 and closed
  std::chrono::seconds idle_timeout{75};
  std::chrono::seconds header_timeout{20};
  std::chrono::seconds body_timeout{60};  // without any byte of the body
};

class Server {
 public:
  // Listens at once. Throws Unavailable naming the address when it is in use, InvalidArgument when it is none.
  // `router` must outlive the server.
  Server(std::vector<Loop*> loops, const Router& router, ServerOptions options);
  ~Server();

  std::string address() const;  // "127.0.0.1:8080"
  uint16_t port() const;

  // Accepts no more, lets requests in flight finish for at most `grace`, then closes them.
  void stop(std::chrono::milliseconds grace);

  struct State;

 private:
  std::shared_ptr<State> state_;  // shared with the connections that are still open
};

}  // namespace penstock::http
