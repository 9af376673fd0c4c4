// A server on a port of its own that is sent any bytes: it answers or closes the connection, and serves the next one.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fuzz.h"
#include "http/server.h"

using namespace penstock;
using namespace penstock::http;

namespace {

struct Rig {
  Loop loop{"http-fuzz"};
  Router router;
  std::unique_ptr<Server> server;

  Rig() {
    router.add(Method::Get, "/things/{id}",
               [](Request& r) -> Async<Response> { co_return text_response(r.params.find("id")->second); });
    router.add(Method::Post, "/things/{id}:mark",
               [](Request& r) -> Async<Response> { co_return text_response(co_await r.body->read_all(10'000)); });
    router.add(Method::Put, "/files/{path*}", [](Request& r) -> Async<Response> {
      co_return text_response(r.params.find("path")->second + r.query_or("a", "none"));
    });
    server = std::make_unique<Server>(std::vector<Loop*>{&loop}, router, ServerOptions{});
  }
  ~Rig() { server->stop(std::chrono::milliseconds(0)); }
};

// Sends all, says that nothing more comes, and reads until the server closes.
std::string exchange(uint16_t port, std::string_view bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INVARIANT(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // From another address each time: the ports of one would be used up, since each is kept for a minute.
  static uint32_t count = 0;
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(0x7f00'0100 + count++ % 0xff'0000);
  CHECK_INVARIANT(bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
  CHECK_INVARIANT(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;  // it has closed already
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  shutdown(fd, SHUT_WR);
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<size_t>(got));
  close(fd);
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Rig rig;
  const std::string answer = exchange(rig.server->port(), fuzz::text(data, size));
  CHECK_INVARIANT(answer.empty() || answer.starts_with("HTTP/1."));
  CHECK_INVARIANT(!answer.starts_with("HTTP/1.1 500"));
  return 0;
}
