// The listed columns of one table, in memory: any filter with any order over hundreds of thousands of rows is answered
// in a few milliseconds, where SQLite would step through every row of an index.
//
// It follows the table by the changes that triggers note in another one (ListModel::changes_table), so that what it
// says is what the connection's snapshot holds. About 160 bytes a run. Thread-safe.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "db/list.h"

namespace penstock::db {

// A predicate of a filter on one column, in the column's own type.
struct Condition {
  enum class Kind {
    Ranges,  // of integers and times: the value is in one of `ranges`, ends included
    Equal,   // the text is one of `texts`
    Less,    // the text is before texts[0]
    LessOrEqual,
    Substring,  // the text contains texts[0]; ASCII letters match in both cases, as SQL's LIKE has it
  };
  const ListColumn* column = nullptr;
  Kind kind = Kind::Equal;
  bool negated = false;
  std::vector<std::pair<int64_t, int64_t>> ranges{};
  std::vector<std::string> texts{};
};

class Columns {
 public:
  // The model has a changes_table, and outlives this.
  explicit Columns(const ListModel& model);
  ~Columns();

  struct Order {
    const ListColumn* column = nullptr;
    bool descending = false;
    std::optional<std::pair<SqlValue, int64_t>> start{};  // the first row: its value and key
    size_t count = 0;
  };
  struct Found {
    int64_t total = 0;
    std::vector<int64_t> keys{};                         // at most `count`, in order
    std::optional<std::pair<SqlValue, int64_t>> next{};  // the row behind the last one
  };
  // What `connection` sees; it must have read nothing yet in its transaction. Nothing where the table itself must be
  // asked: the rows are being read for the first time by somebody else, or a text is too long to be kept.
  std::optional<Found> find(Connection& connection, const std::vector<Condition>& conditions, const Order& order);

  // Does ahead what the next find() would have to: reads all rows for the first time, or those that changed since.
  void catch_up(Connection& connection);

 private:
  struct Data;
  void load(Connection& connection);
  const ListModel& model_;
  std::mutex mutex_;
  std::atomic<bool> loaded_ = false;
  std::unique_ptr<Data> data_;
};

}  // namespace penstock::db
