#include "http/server.h"

#include <fstream>
#include <future>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>

#include "base/clock.h"
#include "http/client.h"

using namespace penstock;
using namespace penstock::http;

namespace {

struct Fixture {
  Loop loop{"http-test"};
  Router router;
  std::unique_ptr<Server> server;
  std::filesystem::path file = std::filesystem::temp_directory_path() / ("penstock-http-" + new_uuid());
  std::promise<void> hung_up;

  Fixture() {
    router.add(Method::Get, "/hello/{name}", [](Request& r) -> Async<Response> {
      co_return text_response("hello " + r.params.find("name")->second);
    });
    router.add(Method::Post, "/echo",
               [](Request& r) -> Async<Response> { co_return text_response(co_await r.body->read_all(1 << 20)); });
    router.add(Method::Post, "/ignore", [](Request&) -> Async<Response> { co_return text_response("ignored"); });
    router.add(Method::Get, "/throw", [](Request&) -> Async<Response> { throw invalid("no {}", "way"); });
    router.add(Method::Get, "/stream", [](Request&) -> Async<Response> {
      Response response;
      response.stream = [](BodyWriter& out) -> Async<> {
        for (int i = 0; i < 100; ++i) co_await out.write(fmt::format("line {}\n", i));
      };
      co_return response;
    });
    router.add(Method::Get, "/forever", [this](Request&) -> Async<Response> {
      Response response;
      response.stream = [this](BodyWriter& out) -> Async<> {
        co_await out.write("begun\n");
        Signal never(co_await asio::this_coro::executor);
        try {
          co_await never.wait();
        } catch (const boost::system::system_error&) {
          hung_up.set_value();
          throw;
        }
      };
      co_return response;
    });
    std::ofstream(file) << std::string(3'000'000, 'f');
    router.add(Method::Get, "/file", [this](Request&) -> Async<Response> {
      Response response;
      response.file = file;
      co_return response;
    });
    ServerOptions options;
    options.max_header_bytes = 8 * 1024;
    options.max_body_bytes = 2 << 20;
    server = std::make_unique<Server>(std::vector<Loop*>{&loop}, router, options);
  }
  ~Fixture() {
    server.reset();
    std::filesystem::remove(file);
  }
  ClientResponse get(const std::string& path) { return fetch({.url = "http://" + server->address() + path}); }
  ClientResponse post(const std::string& path, std::string body) {
    return fetch({.method = "POST", .url = "http://" + server->address() + path, .body = std::move(body)});
  }
  // Sends raw bytes and returns all that comes back until the server closes.
  std::string raw(const std::string& bytes) {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), server->port()});
    boost::system::error_code error;
    asio::write(socket, asio::buffer(bytes), error);
    socket.shutdown(asio::ip::tcp::socket::shutdown_send, error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "requests, errors and files are answered") {
  CHECK(get("/hello/wor%20ld").body == "hello wor ld");
  CHECK(get("/nothing").status == 404);
  CHECK(post("/hello/x", "").status == 405);
  const auto thrown = get("/throw");
  CHECK(thrown.status == 400);
  CHECK(parse_json(thrown.body).at("message").as_string() == "no way");
  const std::string big(900'000, 'x');
  CHECK(post("/echo", big).body == big);
  CHECK(post("/echo", std::string((1 << 20) + 1, 'x')).status == 429);
  CHECK(post("/echo", std::string(3 << 20, 'x')).status == 413);
  CHECK(get("/file").body.size() == 3'000'000);
  CHECK(get("/stream").body.size() == 790);
}

TEST_CASE_FIXTURE(Fixture, "one connection serves several requests, also those with an unread body") {
  const auto answer =
      raw("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
          "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\nGET /hello/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(answer.find("ignored") != std::string::npos);
  CHECK(answer.find("hello a") != std::string::npos);
  CHECK(answer.find("hello b") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "what is no HTTP gets 400, a huge header 431") {
  CHECK(raw("\x16\x03\x01 rubbish\r\n\r\n").find(" 400 ") != std::string::npos);
  CHECK(raw("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n").find(" 431 ") != std::string::npos);
  CHECK(raw("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").find("HTTP/1.1 ") != 1);
  CHECK(get("/hello/still").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a stream ends when its reader hangs up") {
  fetch({.url = "http://" + server->address() + "/forever", .on_data = [](std::string_view) { return false; }});
  hung_up.get_future().wait();
}

TEST_CASE_FIXTURE(Fixture, "a port that is in use is refused with its address") {
  ServerOptions options;
  options.port = server->port();
  try {
    Server second({&loop}, router, options);
    FAIL("two servers on one port");
  } catch (const Error& error) {
    CHECK(error.message().find("in use") != std::string::npos);
  }
}

TEST_CASE("a verb wins over a plain parameter, a literal over both") {
  Loop loop("router");
  Router router;
  auto say = [](std::string what) {
    return [what](Request& r) -> Async<Response> {
      std::string text = what;
      for (const auto& [name, value] : r.params) text += " " + name + "=" + value;
      co_return text_response(text);
    };
  };
  router.add(Method::Post, "/runs/{id}", say("plain"));
  router.add(Method::Post, "/runs/{id}:archive", say("archive"));
  router.add(Method::Post, "/runs/upload", say("upload"));
  router.add(Method::Post, "/files/{path*}", say("file"));
  auto ask = [&](std::string path) {
    std::promise<std::string> answer;
    asio::co_spawn(
        loop.executor(),
        [](const Router& r, std::string p, std::promise<std::string>& out) -> Async<> {
          Request request;
          request.method = Method::Post;
          request.path = p;
          const Response response = co_await r.handle(request);
          out.set_value(response.body);
        }(router, path, answer),
        [](std::exception_ptr) {});
    return answer.get_future().get();
  };
  CHECK(ask("/runs/a%2Fb") == "plain id=a/b");
  CHECK(ask("/runs/a:archive") == "archive id=a");
  CHECK(ask("/runs/upload") == "upload");
  CHECK(ask("/files/a/b%20c") == "file path=a/b c");
}
