#include "server/stream.h"

#include <future>

#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>

#include "base/error.h"

using namespace penstock;
using namespace penstock::server;

namespace {

// Takes one write, then none until it is let go, as a client does whose connection is full.
class StuckWriter : public http::BodyWriter {
 public:
  explicit StuckWriter(Executor executor) : go(executor) {}
  Async<> write(std::string_view bytes) override {
    text += bytes;
    if (++writes == 1) begun.set_value();
    if (writes == 2) {
      stuck.set_value();
      co_await go.wait();
    }
    if (text.find("event: reset") != std::string::npos && !seen_reset) {
      seen_reset = true;
      reset.set_value();
    }
  }
  Signal go;  // lives on the loop
  std::string text;
  int writes = 0;
  bool seen_reset = false;
  std::promise<void> begun, stuck, reset;
};

void publish_run(Feed& feed, int number) {
  std::vector<Change> changes;
  changes.push_back({Change::Kind::Run, Change::What::Changed, std::to_string(number), "", "RUNNING", ""});
  feed.publish(std::move(changes));
}

http::Response ask(Loop& loop, const http::Router& router, http::Request& request) {
  return asio::co_spawn(loop.executor(), router.handle(request), asio::use_future).get();
}

}  // namespace

TEST_CASE("a reader that is stuck costs nothing, and is told to look again") {
  Loop loop("stream-test");
  Feed feed(64);
  http::Router router;
  add_stream_route(router, feed);
  http::Request request;
  request.path = "/apis/penstock/v1/stream";
  request.query = {{"topics", "runs"}};
  http::Response response = ask(loop, router, request);
  REQUIRE(response.status == 200);
  StuckWriter out(loop.executor());
  auto ended = asio::co_spawn(loop.executor(), response.stream(out), asio::use_future);
  out.begun.get_future().wait();
  publish_run(feed, 0);
  out.stuck.get_future().wait();
  for (int i = 1; i <= 10'000; ++i) publish_run(feed, i);
  CHECK(feed.readers() == 1);
  loop.post([&out] { out.go.set(); });
  out.reset.get_future().wait();
  feed.close();
  ended.get();
  CHECK(feed.readers() == 0);
  // What it did not see in time it does not see at all; the place that it is told is the newest.
  CHECK(out.text.find("\"id\":\"500\"") == std::string::npos);
  CHECK(out.text.find("event: reset\ndata: {\"version\":10001}") != std::string::npos);
}

TEST_CASE("topics that there are not are refused before the stream begins") {
  Loop loop("stream-test");
  Feed feed;
  http::Router router;
  add_stream_route(router, feed);
  http::Request request;
  request.path = "/apis/penstock/v1/stream";
  request.query = {{"topics", "rubbish"}};
  CHECK(ask(loop, router, request).status == 400);
  CHECK(feed.readers() == 0);
}
