// What a client asks of a list: a page token, a sort field, a filter. Whatever is taken becomes SQL that runs.
//
// The input's lines are the sort field, the page size, and the token or the filter: the token as its JSON, since bytes
// that are no base64 end early.
#include <charconv>
#include <filesystem>

#include "base/base64.h"
#include "base/clock.h"
#include "base/fuzz.h"
#include "db/columns.h"

using namespace penstock;

namespace {

// With `changes`, it is read by columns in memory where that can be.
const db::ListModel& model(bool changes) {
  static const db::ListModel kModel{.name = "Thing",
                                    .table = "things",
                                    .key = "seq",
                                    .columns = {{"id", "id", db::ColumnKind::Text},
                                                {"name", "name", db::ColumnKind::Text},
                                                {"size", "size", db::ColumnKind::Integer},
                                                {"created_at", "created_at", db::ColumnKind::Time},
                                                {"state", "state", db::ColumnKind::Text, true, true}},
                                    .tags_column = "tags"};
  static const db::ListModel kChanging = [] {
    db::ListModel changing = kModel;
    changing.changes_table = "changes";
    changing.tags_column = {};
    return changing;
  }();
  return changes ? kChanging : kModel;
}

// Its files are gone before the first input: nothing is left behind, however the program ends.
db::Database& database() {
  static const std::unique_ptr<db::Database> database = [] {
    const auto folder = std::filesystem::temp_directory_path() / ("penstock-list-fuzz-" + new_uuid());
    std::filesystem::create_directories(folder);
    auto made = std::make_unique<db::Database>(
        folder / "a.db",
        std::vector<db::Migrations>{
            {"things",
             {"CREATE TABLE things (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT "
              "NULL, "
              "created_at INTEGER NOT NULL, state TEXT NOT NULL, tags TEXT NOT NULL);"
              "CREATE INDEX things_state ON things (state, created_at);"
              "CREATE TABLE changes (version INTEGER PRIMARY KEY, seq INTEGER NOT NULL)"}}},
        db::Database::Options{.readers = 1});
    made->write_now([](db::Connection& c) {
      for (int i = 0; i < 30; ++i) {
        c.execute("INSERT INTO things (id, name, size, created_at, state, tags) VALUES (?, ?, ?, ?, ?, ?)",
                  fmt::format("id-{}", i), fmt::format("thing {}", i % 7), i * i, int64_t{i} * 1'000'000,
                  i % 3 ? "GOOD" : "BAD", i % 2 ? "{}" : R"({"team": "a", "x": "y"})");
      }
    });
    made->read_now([](db::Connection& c) { c.query("SELECT COUNT(*) FROM things").next(); });
    std::filesystem::remove_all(folder);
    return made;
  }();
  return *database;
}

struct Page {
  std::vector<int64_t> keys;
  int64_t total = 0;
  std::string next;
  bool operator==(const Page&) const = default;
};

Page read_page(const db::ListModel& of, const db::ListRequest& request, db::Columns* columns) {
  const db::List list(of, request);
  Page page;
  database().read_now([&](db::Connection& c) {
    const auto note = [&](db::Rows& rows) { page.keys.push_back(rows.integer(0)); };
    const auto result = list.read(c, "t.seq", "", note, columns);
    page.total = result.total_size;
    page.next = result.next_page_token;
  });
  return page;
}

// Reads a page and the next one by its token: no row of the first comes again. SQL and the columns agree.
void read(db::ListRequest request) {
  static db::Columns columns(model(true));
  const Page page = read_page(model(false), request, nullptr);
  CHECK_INVARIANT(static_cast<int64_t>(page.keys.size()) <= page.total);
  fuzz::taken([&] { CHECK_INVARIANT(read_page(model(true), request, &columns) == page); });  // without tags
  if (page.next.empty()) return;
  request.page_token = page.next;
  for (const int64_t key : read_page(model(false), request, nullptr).keys) {
    CHECK_INVARIANT(std::ranges::find(page.keys, key) == page.keys.end());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto lines = fuzz::split(fuzz::text(data, size), '\n', 3);
  db::ListRequest request;
  request.sort_by = lines[0];
  if (lines.size() > 1) std::from_chars(lines[1].data(), lines[1].data() + lines[1].size(), request.page_size);
  const std::string_view rest = lines.back();
  request.filter = rest;
  fuzz::taken([&] { read(request); });
  request.filter.clear();
  request.page_token = base64_encode(rest);
  fuzz::taken([&] { read(request); });
  request.page_token = rest;
  fuzz::taken([&] { read(request); });
  return 0;
}
