#include "node/logs.h"

#include <fcntl.h>

#include "node/testing_agent.h"

using namespace penstock;
using namespace penstock::node;

namespace {

class Collected : public http::BodyWriter {
 public:
  explicit Collected(Executor executor) : grown_(executor) {}
  Async<> write(std::string_view bytes) override {
    text += bytes;
    ++writes;
    grown_.set();
    co_return;
  }
  Async<> until(std::string end) {
    while (!text.ends_with(end)) {
      grown_.reset();
      const bool woken = co_await grown_.wait_for(std::chrono::seconds(10));
      if (!woken) throw std::runtime_error("no more of the log came");
    }
  }
  std::string text;
  int writes = 0;

 private:
  Signal grown_;
};

// As the node helper does.
void append(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::app) << text;
}

struct Fixture {
  Fixture() : loop("test logs"), path(folder.path() / "x.log") {
    run_on(loop, [this]() -> Async<> {
      watcher = std::make_shared<FileWatcher>(loop.executor());
      co_return;
    });
  }
  ~Fixture() {
    run_on(loop, [this]() -> Async<> {
      watcher->stop();
      co_return;
    });
    loop.stop();
  }
  std::string read(kube::LogOptions options) {
    Collected out(loop.executor());
    run_on(loop, [&]() -> Async<> {
      LogReader reader{pool, loop, watcher, [this] { return live; }};
      co_await copy_log(path, options, std::move(reader), out);
    });
    return out.text;
  }

  TemporaryFolder folder;
  BlockingPool pool{1};
  Loop loop;
  std::shared_ptr<FileWatcher> watcher;
  std::filesystem::path path;
  bool live = false;
};

}  // namespace

TEST_CASE("logs: whole, its last lines, its first bytes") {
  Fixture f;
  CHECK_THROWS_AS(f.read({}), Error);
  append(f.path, "one\ntwo\nthree\n");
  CHECK(f.read({}) == "one\ntwo\nthree\n");
  CHECK(f.read({.tail_lines = 2}) == "two\nthree\n");
  CHECK(f.read({.tail_lines = 3}) == "one\ntwo\nthree\n");
  CHECK(f.read({.tail_lines = 99}) == "one\ntwo\nthree\n");
  CHECK(f.read({.tail_lines = 0}).empty());
  CHECK(f.read({.limit_bytes = 5}) == "one\nt");
  CHECK(f.read({.tail_lines = 1, .limit_bytes = 2}) == "th");
  append(f.path, "no end");
  CHECK(f.read({.tail_lines = 2}) == "three\nno end");
  CHECK(log_tail(f.path, 2, 100) == "three\nno end");
  CHECK(log_tail(f.path, 2, 3) == "end");
}

TEST_CASE("logs: the last lines of a long log") {
  Fixture f;
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += fmt::format("line {}\n", i);
  append(f.path, text);
  CHECK(f.read({}) == text);
  CHECK(f.read({.tail_lines = 100'000}).starts_with("line 100000\n"));
  CHECK(f.read({.tail_lines = 1}) == "line 199999\n");
}

TEST_CASE("logs: a head that was cut is passed over") {
  Fixture f;
  const int64_t hole = 1 << 20;
  append(f.path, std::string(hole, 'x') + "kept\nlines\n");
  const int fd = ::open(f.path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  const bool punched = ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, hole) == 0;
  ::close(fd);
  if (!punched) return;  // not every file system can
  CHECK(f.read({}) == "kept\nlines\n");
  CHECK(f.read({.tail_lines = 5}) == "kept\nlines\n");
}

TEST_CASE("logs: a middle part that was cut is passed over") {
  Fixture f;
  const int64_t part = 1 << 20;
  append(f.path, std::string(part, 'a') + std::string(part, 'b') + std::string(part, 'c') + "\nend\n");
  const int fd = ::open(f.path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  const bool punched = ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, part, part) == 0;
  ::close(fd);
  if (!punched) return;  // not every file system can
  CHECK(f.read({}) == std::string(part, 'a') + std::string(part, 'c') + "\nend\n");
  CHECK(f.read({.tail_lines = 1}) == "end\n");
}

TEST_CASE("logs: followed while it grows, until it is ended") {
  Fixture f;
  append(f.path, "a\n");
  f.live = true;
  Collected out(f.loop.executor());
  run_on(f.loop, [&]() -> Async<> {
    Scope scope(f.loop.executor(), "test");
    Signal done(f.loop.executor());
    scope.spawn([&]() -> Async<> {
      kube::LogOptions options;
      options.follow = true;
      LogReader reader{f.pool, f.loop, f.watcher, [&] { return f.live; }};
      co_await copy_log(f.path, options, std::move(reader), out);
      done.set();
    });
    co_await out.until("a\n");
    append(f.path, "b\n");
    co_await out.until("b\n");
    append(f.path, "c\n");
    co_await out.until("c\n");
    CHECK_FALSE(done.is_set());
    append(f.path, "last\n");
    f.live = false;
    f.watcher->poke(f.path);
    co_await done.wait();
    co_await scope.stop();
  });
  CHECK(out.text == "a\nb\nc\nlast\n");
}

TEST_CASE("logs: a follower that goes away is forgotten") {
  Fixture f;
  append(f.path, "a\n");
  f.live = true;
  run_on(f.loop, [&]() -> Async<> {
    Collected out(f.loop.executor());
    Scope scope(f.loop.executor(), "test");
    scope.spawn([&]() -> Async<> {
      kube::LogOptions options;
      options.follow = true;
      LogReader reader{f.pool, f.loop, f.watcher, [&] { return f.live; }};
      co_await copy_log(f.path, options, std::move(reader), out);
    });
    co_await out.until("a\n");
    CHECK(f.watcher->version(f.path) > 0);
    co_await scope.stop();
  });
  run_on(f.loop, [&]() -> Async<> {
    CHECK(f.watcher->version(f.path) == 0);
    co_return;
  });
}

TEST_CASE("logs: paths") {
  TemporaryFolder folder;
  const auto path = log_path(folder.path(), "ns", "pod", "uid", "main");
  CHECK(path == folder.path() / "logs" / "ns" / "u" / "pod_uid_main.log");
  std::filesystem::create_directories(path.parent_path());
  append(path, "x");
  remove_logs(folder.path(), "ns", {"uid"});
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("agent: logs of a running pod, and of one that is gone") {
  AgentFixture fixture;
  fixture.run([](AgentFixture& f) -> Async<> {
    const auto pod = co_await f.create_pod("p");
    Collected out(f.loop.executor());
    kube::LogOptions options;
    options.follow = true;
    bool refused = false;
    try {
      options.container = "other";
      co_await f.agent->read(*pod, options, out);
    } catch (const Error& error) {
      refused = error.code() == Code::NotFound;
    }
    CHECK(refused);
    options.container.clear();
    co_await f.until([&] { return f.phase("p") == "Running"; });
    append(f.process(f.id("p")).log, "hello\n");
    Scope scope(f.loop.executor(), "test");
    Signal done(f.loop.executor());
    scope.spawn([&]() -> Async<> {
      co_await f.agent->read(*pod, options, out);
      done.set();
    });
    co_await out.until("hello\n");
    append(f.process(f.id("p")).log, "bye\n");
    const auto id = f.id("p");
    f.spawner.finish(id, 0);
    co_await done.wait();
    CHECK(out.text == "hello\nbye\n");
    co_await f.until([&] { return f.phase("p") == "Succeeded"; });
    co_await f.remove(kube::kPods, "p");
    Collected again(f.loop.executor());
    json::object only_names{{"metadata", pod->at("metadata")}};
    options.container = "main";
    co_await f.agent->read(only_names, options, again);
    CHECK(again.text == "hello\nbye\n");
    co_await scope.stop();
  });
}
