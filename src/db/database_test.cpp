#include "db/database.h"

#include <future>

#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>

#include "base/clock.h"

using namespace penstock;

namespace {

struct TempDir {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("penstock-db-" + new_uuid());
  TempDir() { std::filesystem::create_directories(path); }
  ~TempDir() { std::filesystem::remove_all(path); }
};

const std::vector<db::Migrations> kParts = {
    {"t", {"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE) STRICT"}}};

}  // namespace

TEST_CASE("writes commit together, and one that throws undoes itself alone") {
  TempDir dir;
  Loop loop("test");
  db::Database database(dir.path / "a.db", kParts);
  std::vector<std::future<bool>> results;
  for (int i = 0; i < 200; ++i) {
    auto make = [](db::Database& to, int number) -> Async<bool> {
      try {
        co_await to.write([number](db::Connection& c) {
          c.execute("INSERT INTO t (name) VALUES (?)", fmt::format("n{}", number));
          if (number % 10 == 3) throw invalid("refused {}", number);
        });
        co_return true;
      } catch (const Error& error) {
        CHECK(error.code() == Code::InvalidArgument);
        co_return false;
      }
    };
    results.push_back(asio::co_spawn(loop.executor(), make(database, i), asio::use_future));
  }
  int succeeded = 0;
  for (auto& result : results) succeeded += result.get();
  CHECK(succeeded == 180);
  database.read_now([](db::Connection& c) {
    auto rows = c.query("SELECT count(*) FROM t WHERE name = 'n3'");
    CHECK(rows.next());
    CHECK(rows.integer(0) == 0);
  });
}

TEST_CASE("a unique key that is taken is AlreadyExists") {
  TempDir dir;
  db::Database database(dir.path / "a.db", kParts);
  database.write_now([](db::Connection& c) { c.execute("INSERT INTO t (name) VALUES ('x')"); });
  try {
    database.write_now([](db::Connection& c) { c.execute("INSERT INTO t (name) VALUES ('x')"); });
    FAIL("accepted twice");
  } catch (const Error& error) {
    CHECK(error.code() == Code::AlreadyExists);
  }
}

TEST_CASE("what was committed is there after reopening; migrations run once; a newer file is refused") {
  TempDir dir;
  {
    db::Database database(dir.path / "a.db", kParts);
    database.write_now([](db::Connection& c) { c.execute("INSERT INTO t (name) VALUES (?)", "kept \xec\x9c\xa0"); });
  }
  auto more = kParts;
  more[0].scripts.push_back("ALTER TABLE t ADD COLUMN size INTEGER");
  {
    db::Database database(dir.path / "a.db", more);
    database.read_now([](db::Connection& c) {
      auto rows = c.query("SELECT name, size FROM t");
      REQUIRE(rows.next());
      CHECK(rows.text(0) == "kept \xec\x9c\xa0");
      CHECK(rows.is_null(1));
    });
  }
  CHECK_THROWS_AS(db::Database(dir.path / "a.db", kParts), Error);
}

TEST_CASE("readers see a snapshot while a write is under way") {
  TempDir dir;
  db::Database database(dir.path / "a.db", kParts);
  std::promise<void> inside, go_on;
  database.post_write([&](db::Connection& c) {
    c.execute("INSERT INTO t (name) VALUES ('half')");
    inside.set_value();
    go_on.get_future().wait();
  });
  inside.get_future().wait();
  database.read_now([](db::Connection& c) {
    auto rows = c.query("SELECT count(*) FROM t");
    CHECK(rows.next());
    CHECK(rows.integer(0) == 0);
  });
  go_on.set_value();
  database.write_now([](db::Connection&) {});
  database.read_now([](db::Connection& c) {
    auto rows = c.query("SELECT count(*) FROM t");
    CHECK(rows.next());
    CHECK(rows.integer(0) == 1);
  });
}

TEST_CASE("a statement text may be in use twice at once") {
  TempDir dir;
  db::Database database(dir.path / "a.db", kParts);
  database.write_now([](db::Connection& c) {
    for (int i = 0; i < 3; ++i) c.execute("INSERT INTO t (name) VALUES (?)", std::to_string(i));
    int pairs = 0;
    auto outer = c.query("SELECT id FROM t");
    while (outer.next()) {
      auto inner = c.query("SELECT id FROM t");
      while (inner.next()) ++pairs;
    }
    CHECK(pairs == 9);
  });
}

TEST_CASE("the changes of observed tables are told once they are committed") {
  using db::Connection;
  using db::RowChange;
  TempDir dir;
  db::Database database(dir.path / "a.db", kParts);
  database.write_now([](Connection& c) {
    c.script(
        "CREATE TABLE seen (id TEXT, state TEXT); CREATE TABLE others (id TEXT); INSERT INTO seen VALUES ('0', 'x')");
  });
  std::mutex mutex;
  std::vector<std::string> told;
  database.observe({{"seen", {"row.id", "row.state || '!'"}}, {"others", {"(SELECT count(*) FROM seen)"}}},
                   [&](std::vector<RowChange> changes) {
                     std::lock_guard lock(mutex);
                     for (const auto& change : changes) {
                       told.push_back(fmt::format("{} {} {}", change.table, static_cast<int>(change.what),
                                                  fmt::join(change.values, " ")));
                     }
                   });
  const auto take = [&] {
    database.write_now([](Connection&) {});  // what was told before it is there
    std::lock_guard lock(mutex);
    return std::exchange(told, {});
  };
  database.write_now([](Connection& c) {
    c.execute("INSERT INTO seen VALUES ('1', 'a')");
    c.execute("UPDATE seen SET state = 'b'");
    c.execute("INSERT INTO others VALUES ('o')");
    c.execute("DELETE FROM seen WHERE id = '0'");
  });
  CHECK(take() == std::vector<std::string>{"0 0 1 a!", "0 1 0 b!", "0 1 1 b!", "1 0 2", "0 2 0 b!"});
  CHECK_THROWS_AS(database.write_now([](Connection& c) {
    c.execute("INSERT INTO seen VALUES ('2', 'a')");
    throw invalid("no");
  }),
                  Error);
  CHECK(take().empty());
  // Of several that share a transaction, those that failed changed nothing.
  std::promise<void> held, go;
  database.post_write([&](Connection&) {
    held.set_value();
    go.get_future().wait();
  });
  held.get_future().wait();
  for (int i = 0; i < 4; ++i) {
    database.queue_write(
        [i](Connection& c) {
          c.execute("INSERT INTO seen VALUES (?, 'c')", i + 10);
          if (i % 2) throw invalid("odd");
        },
        db::Durability::Relaxed, [](std::exception_ptr) {});
  }
  go.set_value();
  CHECK(take() == std::vector<std::string>{"0 0 10 c!", "0 0 12 c!"});
}
