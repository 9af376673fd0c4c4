#include "db/columns.h"

#include <random>

#include <doctest/doctest.h>

#include "base/clock.h"
#include "db/text_search.h"

using namespace penstock;
using namespace penstock::db;

namespace {

const ListModel& model() {
  static const ListModel kModel{.name = "Thing",
                                .table = "things",
                                .key = "seq",
                                .columns = {{"name", "name"},
                                            {"created_at", "created_at", ColumnKind::Time},
                                            {"size", "size", ColumnKind::Integer},
                                            {"state", "state", ColumnKind::Text, false, true}},
                                .changes_table = "changes"};
  return kModel;
}

// A table that changes at random, with what notes its changes.
struct Things {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("penstock-columns-" + new_uuid());
  std::unique_ptr<Database> database;
  Columns columns{model()};
  std::mt19937 random{5};

  Things() {
    std::filesystem::create_directories(folder);
    database = std::make_unique<Database>(
        folder / "a.db",
        std::vector<Migrations>{
            {"things",
             {"CREATE TABLE things (seq INTEGER PRIMARY KEY, name TEXT NOT NULL, created_at INTEGER NOT NULL, size "
              "INTEGER "
              "NOT NULL, state TEXT NOT NULL); CREATE TABLE changes (version INTEGER PRIMARY KEY, seq INTEGER NOT "
              "NULL);"
              "CREATE TRIGGER i AFTER INSERT ON things BEGIN INSERT INTO changes (seq) VALUES (NEW.seq); END;"
              "CREATE TRIGGER u AFTER UPDATE ON things BEGIN INSERT INTO changes (seq) VALUES (NEW.seq); END;"
              "CREATE TRIGGER d AFTER DELETE ON things BEGIN INSERT INTO changes (seq) VALUES (OLD.seq); END;"}}});
  }
  ~Things() {
    database = nullptr;
    std::filesystem::remove_all(folder);
  }

  int pick(int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); }

  void change(Connection& c) {
    const std::string name = fmt::format("{}hing {}", pick(2) ? "T" : "t", pick(40)) + std::string(pick(30), 'x');
    const std::string state = pick(3) ? "GOOD" : "BAD";
    switch (pick(4)) {
      case 0: c.execute("DELETE FROM things WHERE seq = ?", pick(300)); break;
      case 1: c.execute("UPDATE things SET name = ?, state = ? WHERE seq = ?", name, state, pick(300)); break;
      default:
        c.execute("INSERT INTO things (name, created_at, size, state) VALUES (?, ?, ?, ?)", name,
                  pick(20) * 1'000'000 + pick(3), pick(10), state);
    }
  }

  struct Page {
    std::vector<int64_t> keys;
    int64_t total = 0;
    std::string next;
    bool operator==(const Page&) const = default;
  };
  Page read(const ListRequest& request, Columns* from) {
    Page page;
    database->read_now([&](Connection& c) {
      const auto result = List(model(), request)
                              .read(
                                  c, "t.seq", "", [&](Rows& rows) { page.keys.push_back(rows.integer(0)); }, from);
      page.total = result.total_size;
      page.next = result.next_page_token;
    });
    return page;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Things, "columns in memory give what SQL gives, while the table changes") {
  const char* filters[] = {
      "",
      R"({"predicates":[{"operation":"EQUALS","key":"state","string_value":"BAD"}]})",
      R"({"predicates":[{"operation":"NOT_EQUALS","key":"state","string_value":"BAD"},{"operation":"IS_SUBSTRING","key":"name","string_value":"THING 1"}]})",
      R"({"predicates":[{"operation":"GREATER_THAN","key":"created_at","timestamp_value":"1970-01-01T00:00:05Z"},{"operation":"LESS_THAN_EQUALS","key":"size","int_value":7}]})",
      R"({"predicates":[{"operation":"IN","key":"size","int_values":{"values":[1,3,5]}},{"operation":"NOT_EQUALS","key":"created_at","timestamp_value":"1970-01-01T00:00:07Z"}]})",
      R"({"predicates":[{"operation":"IN","key":"name","string_values":{"values":["Thing 1","thing 2x"]}}]})",
      R"({"predicates":[{"operation":"GREATER_THAN_EQUALS","key":"name","string_value":"thing 2"},{"operation":"LESS_THAN","key":"name","string_value":"thing 3"}]})",
  };
  for (int round = 0; round < 60; ++round) {
    database->write_now([&](Connection& c) {
      for (int i = pick(40); i >= 0; --i) change(c);
      if (round == 30) c.execute("DELETE FROM changes WHERE version < (SELECT max(version) FROM changes)");
    });
    for (const char* filter : filters) {
      for (const char* sort : {"name desc", "name", "created_at desc", "size", "state desc"}) {
        ListRequest request{.page_token = {}, .page_size = 7, .sort_by = sort, .filter = filter};
        for (int page = 0; page < 3; ++page) {
          const Page wanted = read(request, nullptr);
          CHECK(read(request, &columns) == wanted);
          if (wanted.next.empty()) break;
          request.page_token = wanted.next;
          // The row that the token names may go.
          if (pick(4) == 0) database->write_now([&](Connection& c) { change(c); });
        }
      }
    }
  }
}

TEST_CASE_FIXTURE(Things, "texts that are too long for memory are asked of the table") {
  const std::string name = std::string(10'000, 'y') + "end";
  database->write_now([&](Connection& c) {
    c.execute("INSERT INTO things (name, created_at, size, state) VALUES (?, 1, 1, 'GOOD')", name);
    c.execute("INSERT INTO things (name, created_at, size, state) VALUES ('short', 1, 1, 'GOOD')");
  });
  const ListRequest by_name{.filter =
                                R"({"predicates":[{"operation":"IS_SUBSTRING","key":"name","string_value":"end"}]})"};
  CHECK(read(by_name, &columns).total == 1);
  CHECK(read({}, &columns).total == 2);
  database->write_now([&](Connection& c) { c.execute("UPDATE things SET name = 'the end' WHERE seq = 1"); });
  CHECK(read(by_name, &columns).total == 1);
}

TEST_CASE("a text in others") {
  const auto found = [](std::string_view wanted, const std::string& text) {
    const std::string padded = text + std::string(TextSearch::kPadding, wanted.empty() ? 'x' : wanted.back());
    return TextSearch(wanted).in(std::string_view(padded).substr(0, text.size()));
  };
  CHECK(found("", ""));
  CHECK(found("a", "A"));
  CHECK(found("Abc", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxabC"));
  CHECK_FALSE(found("abcc", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxabc"));
  CHECK_FALSE(found("[", "{"));
  CHECK(found("é", "caf\u00e9"));
  CHECK_FALSE(found("\u00c9", "caf\u00e9"));
  CHECK(found("b%", "ab%c"));
  CHECK_FALSE(found("_", "ab%c"));
}
