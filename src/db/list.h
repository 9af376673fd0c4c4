// Lists as KFP's APIs have them, over any table: a filter of predicates, one sort field, pages by key.
//
// A page starts at the row (sort value, row id) that its token names, so that rows which come or go meanwhile neither
// repeat nor hide others.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "db/database.h"

namespace penstock::db {

// Time columns hold microseconds since 1970; filters compare them by whole seconds, as the API shows them.
enum class ColumnKind { Text, Integer, Time, Real };

struct ListColumn {
  std::string_view key;     // as the API calls it
  std::string_view column;  // the SQL column; never null
  ColumnKind kind = ColumnKind::Text;
  bool indexed_with_default_sort = false;  // there is an index on (column, default sort field)
  bool few_values = false;                 // few of the rows' values differ
};

// Values beside the listed rows, by which lists sort too: by "metric:accuracy", say. Rows that have no value of the
// name come last, whichever the direction.
struct SideValues {
  std::string_view prefix;  // "metric:"; the name follows it
  std::string_view table;   // with the columns name and value (REAL)
  std::string_view key;     // its column that holds the listed table's key
  std::string_view only{};  // SQL: which of its rows count, one of a name for a key; of the alias v
};

// What can be listed. The table has an INTEGER PRIMARY KEY, which breaks ties of the sort field.
struct ListModel {
  std::string_view name;   // "Run", in tokens and messages
  std::string_view table;  // "runs"
  std::string_view key;    // "seq"
  std::vector<ListColumn> columns;
  std::string_view default_sort = "created_at";
  // A table (version INTEGER PRIMARY KEY, seq INTEGER) in which triggers note the row of each change, the newest ten
  // thousand of them; for Columns.
  std::string_view changes_table{};
  std::string_view tags_column{};  // a JSON map for filters on "tags.<key>", when there is one
  std::optional<SideValues> side_values{};
};

struct ListRequest {
  std::string page_token;
  int64_t page_size = 0;  // 0: 20; more than 200: 200
  std::string sort_by;    // "field", "field asc", "field desc"
  std::string filter;     // JSON of a Filter, perhaps still URL-encoded
};

// The rows that match a filter: how many, and which when they are few.
struct Matches {
  int64_t total = 0;
  std::optional<std::string> keys;  // JSON list of their row ids
};

using SqlValue = std::variant<int64_t, std::string, double>;

class Columns;
struct Condition;

class List {
 public:
  // Throws InvalidArgument for a bad token, sort field, filter or page size.
  List(const ListModel& model, const ListRequest& request);
  ~List();
  List(List&&) noexcept;

  // Only rows whose `column` (SQL) equals `value`.
  void only(std::string_view column, SqlValue value);
  void only_in(std::string_view column, const json::array& values);

  struct Result {
    int64_t total_size = 0;
    std::string next_page_token;
  };
  // Reads one page: calls `row` for each row with the columns of `select` ("a, b, c", of the model's table alias `t`);
  // `joins` is put after the table's name. `columns` are the model's, or null; with them it must be the first that the
  // connection reads in its transaction.
  Result read(Connection& connection, std::string_view select, std::string_view joins,
              const std::function<void(Rows&)>& row, Columns* columns) const;

 private:
  struct Predicate {
    std::string sql;
    std::vector<SqlValue> values;
    std::string_view column;
    enum class Kind { Equal, NotEqual, Other } kind = Kind::Other;
  };
  enum class Plan { Any, WalkSortIndex };
  using RowReader = std::function<void(Rows&)>;
  void parse_sort(std::string_view text);
  void parse_filter(const json::value& filter);
  void parse_token(const ListRequest& request);
  // False when `key` is none of the side values' names.
  bool parse_side(std::string_view key);
  std::string where(std::vector<SqlValue>& values, Plan plan) const;
  Result read_by_sql(Connection& connection, const Matches& matches, std::string_view select, std::string_view joins,
                     const RowReader& row) const;
  std::optional<Matches> matches_of(Columns& columns, Connection& connection) const;
  Matches find_matches(Connection& connection) const;
  std::string page_sql(const Matches& matches, std::string_view select, std::string_view joins,
                       std::vector<SqlValue>& values) const;
  // The part of a page, by a side value, whose rows have one, or have none.
  std::string side_sql(const Matches& matches, std::string_view select, std::string_view joins, bool with_value,
                       int64_t limit, std::vector<SqlValue>& values) const;
  void read_by_side(Connection& connection, const Matches& matches, std::string_view select, std::string_view joins,
                    const RowReader& row, Result& result) const;
  // `sort_value` is none for a row without a side value.
  std::string next_token(std::optional<SqlValue> sort_value, int64_t key) const;
  const ListModel& model_;
  const ListColumn* sort_ = nullptr;  // null: by side_name_
  std::string side_name_;
  bool descending_ = false;
  int64_t page_size_ = 20;
  json::value filter_;  // normalised; null when there is none
  std::vector<Predicate> predicates_;
  std::vector<Condition> conditions_;  // the same for Columns
  // Where the page starts; without a sort value among the rows that have no side value.
  std::optional<std::pair<std::optional<SqlValue>, int64_t>> start_;
};

}  // namespace penstock::db
