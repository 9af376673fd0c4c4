#include "server/feed.h"

#include <future>

#include <doctest/doctest.h>

#include "base/error.h"

using namespace penstock;
using namespace penstock::server;
using Kind = Change::Kind;
using What = Change::What;

namespace {

Change change(Kind kind, std::string id, std::string state = {}, std::string parent = {}, std::string ns = {}) {
  return {kind, What::Changed, std::move(id), std::move(ns), std::move(state), std::move(parent)};
}

void publish(Feed& feed, std::vector<Change> changes) { feed.publish(std::move(changes)); }

std::string texts(const Feed::News& news) {
  std::string out;
  for (const Change& one : news.changes) out += fmt::format("{} {} {};", to_string(one.kind), one.id, one.state);
  return out;
}

}  // namespace

TEST_CASE("topics") {
  const ChangeFilter runs("runs,run:7", "");
  CHECK(runs.wants(change(Kind::Run, "1")));
  CHECK(!runs.wants(change(Kind::Task, "t", "", "1")));
  CHECK(runs.wants(change(Kind::Task, "t", "", "7")));
  CHECK(runs.wants(change(Kind::Pod, "p", "", "7")));
  CHECK(!runs.wants(change(Kind::Event, "7")));
  CHECK(ChangeFilter("run:7", "").wants(change(Kind::Run, "7")));
  CHECK(!ChangeFilter("run:7", "").wants(change(Kind::Pod, "7")));
  CHECK(ChangeFilter("", "").wants(change(Kind::Event, "e")));
  CHECK(ChangeFilter("pipelines", "").wants(change(Kind::Version, "v")));
  CHECK(!ChangeFilter("", "a").wants(change(Kind::Run, "1", "", "", "b")));
  CHECK(ChangeFilter("", "a").wants(change(Kind::Run, "1", "", "", "a")));
  for (const char* bad : {"nothing", "run:", "runs,,tasks", " runs"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(ChangeFilter(bad, ""), Error);
  }
}

TEST_CASE("a reader gets the last change of each object, once") {
  Feed feed(8);
  const ChangeFilter all("", "");
  const uint64_t start = feed.newest();
  publish(feed, {change(Kind::Run, "1", "PENDING"), change(Kind::Task, "t", "RUNNING", "1"),
                 change(Kind::Task, "t", "RUNNING", "2")});
  publish(feed, {change(Kind::Run, "1", "RUNNING")});
  const auto news = feed.after(start, all);
  CHECK(texts(news) == "task t RUNNING;task t RUNNING;run 1 RUNNING;");
  CHECK(feed.after(news.newest, all).changes.empty());
  CHECK(texts(feed.after(start + 3, all)) == "run 1 RUNNING;");
  CHECK(texts(feed.after(start, ChangeFilter("runs", ""))) == "run 1 RUNNING;");
}

TEST_CASE("a reader that is too slow is told so") {
  Feed feed(4);
  const ChangeFilter runs("runs", "");
  for (int i = 0; i < 6; ++i) publish(feed, {change(Kind::Run, std::to_string(i))});
  CHECK(feed.after(1, runs).lost);
  CHECK(feed.after(1, runs).newest == 6);
  CHECK(!feed.after(2, runs).lost);
  CHECK(texts(feed.after(2, runs)) == "run 2 ;run 3 ;run 4 ;run 5 ;");
  feed.lose();
  CHECK(feed.after(6, runs).lost);
  CHECK(!feed.after(feed.newest(), runs).lost);
}

TEST_CASE("places are of one feed") {
  Feed feed, other;
  publish(feed, {change(Kind::Run, "1")});
  CHECK(feed.version_of(feed.place(1)) == 1);
  CHECK(!feed.version_of(feed.place(2)));  // of the future
  CHECK(!other.version_of(feed.place(0)));
  for (const std::string bad : {std::string(), std::string("x"), feed.place(1) + "x", feed.place(0).substr(0, 8)}) {
    CHECK(!feed.version_of(bad));
  }
}

TEST_CASE("a reader sleeps until something comes that it wants") {
  Loop loop("feed-test");
  Feed feed;
  const ChangeFilter runs("runs", "");
  std::promise<void> armed;
  std::promise<std::string> heard;
  asio::co_spawn(
      loop.executor(),
      [](Feed& from, const ChangeFilter& filter, std::promise<void>& ready, std::promise<std::string>& out) -> Async<> {
        Feed::Reader reader(from, filter, co_await asio::this_coro::executor);
        const uint64_t start = from.newest();
        reader.arm();
        CHECK(!co_await reader.wait_for(std::chrono::milliseconds(1)));
        ready.set_value();
        CHECK(co_await reader.wait_for(std::chrono::seconds(30)));
        std::string text = texts(from.after(start, filter));
        reader.arm();
        from.close();
        CHECK(co_await reader.wait_for(std::chrono::seconds(30)));
        out.set_value(std::move(text));
      }(feed, runs, armed, heard),
      [](std::exception_ptr) {});
  armed.get_future().wait();
  publish(feed, {change(Kind::Task, "t", "", "1")});
  publish(feed, {change(Kind::Run, "1", "RUNNING")});
  CHECK(heard.get_future().get() == "run 1 RUNNING;");
  CHECK(feed.closed());
}

TEST_CASE("a reader of few things does not fall behind while much else changes") {
  Loop loop("feed-test");
  Feed feed(4);
  const ChangeFilter runs("runs", "");
  std::promise<void> armed;
  std::promise<std::string> heard;
  asio::co_spawn(
      loop.executor(),
      [](Feed& from, const ChangeFilter& filter, std::promise<void>& ready, std::promise<std::string>& out) -> Async<> {
        Feed::Reader reader(from, filter, co_await asio::this_coro::executor);
        reader.arm();
        const uint64_t start = from.after(from.newest(), filter).newest;
        ready.set_value();
        co_await reader.wait_for(std::chrono::seconds(30));
        const Feed::News news = from.after(std::max(start, reader.quiet_until()), filter);
        out.set_value(fmt::format("{}{}", news.lost ? "lost " : "", texts(news)));
      }(feed, runs, armed, heard),
      [](std::exception_ptr) {});
  armed.get_future().wait();
  for (int i = 0; i < 10; ++i) publish(feed, {change(Kind::Task, std::to_string(i), "", "1")});
  publish(feed, {change(Kind::Run, "1", "RUNNING"), change(Kind::Task, "t", "", "1")});
  CHECK(heard.get_future().get() == "run 1 RUNNING;");
}
