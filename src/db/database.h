// SQLite with one writer thread and several readers.
//
// Writers share their sync: every write that is queued while the last commit is synced to disk goes into the next
// transaction, each under its own savepoint, so that one that throws undoes itself alone. Readers see a snapshot and
// never wait for the writer (WAL).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/async.h"
#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace penstock::db {

// One execution of a prepared statement. Parameters are bound in order; columns are read by index.
//
//   auto rows = connection.query("SELECT id, name FROM runs WHERE state = ?", "FAILED");
//   while (rows.next()) use(rows.text(0), rows.integer(1));
class Rows {
 public:
  Rows(Rows&&) noexcept;
  ~Rows();  // resets the statement for its next user
  bool next();
  int columns() const;
  bool is_null(int column) const;
  int64_t integer(int column) const;
  double real(int column) const;
  std::string_view text(int column) const;  // valid until next(); blobs too
  std::string string(int column) const { return std::string(text(column)); }

 private:
  friend class Connection;
  explicit Rows(sqlite3_stmt* statement, sqlite3* connection);
  sqlite3_stmt* statement_;
  sqlite3* connection_;
  bool done_ = false;
};

// A table whose changes are told (Database::observe), and what is told of a row: SQL in which `row` is the row, as
// "row.run_id".
struct ObservedTable {
  std::string name;
  std::vector<std::string> values;
};

struct RowChange {
  enum class What { Added, Changed, Removed };
  size_t table = 0;  // in the order of the observed ones
  What what = What::Changed;
  std::vector<std::string> values;  // of the row as it is now, of a removed one as it was
};

// Belongs to one thread at a time. Throws AlreadyExists on a broken unique key, FailedPrecondition on another broken
// constraint, ResourceExhausted on a full disk, Unavailable when busy, Internal otherwise.
class Connection {
 public:
  using Value = std::variant<std::nullptr_t, int64_t, double, std::string_view>;

  ~Connection();
  template <class... Args>
  Rows query(std::string_view sql, const Args&... args) {
    return run(sql, {to_value(args)...});
  }
  // For statements without rows; returns how many rows changed.
  template <class... Args>
  int64_t execute(std::string_view sql, const Args&... args) {
    return run_to_end(sql, {to_value(args)...});
  }
  Rows query_values(std::string_view sql, const std::vector<Value>& values) { return run(sql, values); }
  int64_t execute_values(std::string_view sql, const std::vector<Value>& values) { return run_to_end(sql, values); }
  void script(const std::string& sql);  // several statements, no parameters
  int64_t last_insert_id() const;

 private:
  // Makes the SQL function row_changed(table, what, values…), which calls `told`, for the life of the connection.
  void tell_changes(std::function<void(RowChange)> told);
  friend class Database;
  Connection(const std::filesystem::path& path, bool read_only);
  Rows run(std::string_view sql, const std::vector<Value>& values);
  int64_t run_to_end(std::string_view sql, const std::vector<Value>& values);
  sqlite3_stmt* prepare(std::string_view sql);

  static Value to_value(std::nullptr_t) { return nullptr; }
  static Value to_value(std::string_view text) { return text; }
  static Value to_value(const std::string& text) { return std::string_view(text); }
  static Value to_value(const char* text) { return std::string_view(text); }
  static Value to_value(double number) { return number; }
  static Value to_value(bool flag) { return int64_t{flag}; }
  template <class T>
  requires std::is_integral_v<T>
  static Value to_value(T number) { return static_cast<int64_t>(number); }
  template <class T>
  static Value to_value(const std::optional<T>& maybe) {
    return maybe ? to_value(*maybe) : Value(nullptr);
  }

  struct Cache;
  std::unique_ptr<std::function<void(RowChange)>> told_;  // SQLite keeps its address
  sqlite3* handle_ = nullptr;
  std::unique_ptr<Cache> cache_;
};

// A named list of scripts that bring a part's tables up to date. Script i (from 0) runs once, in order, and the number
// done is kept in the table schema_versions. A database that is newer than the program is refused.
struct Migrations {
  std::string part;  // "kube"
  std::vector<std::string> scripts;
};

// Whether a write waits for the disk. Relaxed: it is with the operating system, so it survives the death of this
// process but perhaps not a loss of power.
enum class Durability { Synced, Relaxed };

class Database {
 public:
  struct Options {
    int readers = 2;
    // Called on the writer thread at the end of each transaction, within it.
    std::function<void(Connection&)> before_commit;
  };
  Database(const std::filesystem::path& path, const std::vector<Migrations>& parts, Options options);
  Database(const std::filesystem::path& path, const std::vector<Migrations>& parts)
      : Database(path, parts, Options()) {}
  ~Database();  // finishes every queued write

  // Runs `work` on the writer thread inside a transaction; resumes when it is committed. What `work` throws is undone
  // and thrown here.
  template <class Work>
  auto write(Work work, Durability durability = Durability::Synced) -> Async<std::invoke_result_t<Work, Connection&>> {
    using Result = std::invoke_result_t<Work, Connection&>;
    if constexpr (std::is_void_v<Result>) {
      co_await write_void([&work](Connection& c) { work(c); }, durability);
    } else {
      std::optional<Result> result;
      co_await write_void([&work, &result](Connection& c) { result.emplace(work(c)); }, durability);
      co_return std::move(*result);
    }
  }

  // Queues a write that nobody waits for, in order with all others. Its failure is logged.
  void post_write(std::function<void(Connection&)> work, Durability durability = Durability::Relaxed);
  // Queues a write; `done` is called on the writer thread after the commit, with what was thrown if anything was.
  void queue_write(std::function<void(Connection&)> work, Durability durability,
                   std::function<void(std::exception_ptr)> done);

  // Runs `work` on a reader thread over one snapshot.
  template <class Work>
  auto read(Work work) -> Async<std::invoke_result_t<Work, Connection&>> {
    using Result = std::invoke_result_t<Work, Connection&>;
    std::optional<Result> result;
    co_await read_void([&work, &result](Connection& c) { result.emplace(work(c)); });
    co_return std::move(*result);
  }

  // Queues a read that nobody waits for. Its failure is logged.
  void post_read(std::function<void(Connection&)> work);

  // From now on calls `observer` on the writer thread after each commit in which rows of these tables changed, in the
  // order of the changes. Blocks the calling thread; once in a database's life.
  void observe(std::vector<ObservedTable> tables, std::function<void(std::vector<RowChange>)> observer);

  // Blocking the calling thread: for start-up and for tests.
  void write_now(const std::function<void(Connection&)>& work);
  void read_now(const std::function<void(Connection&)>& work);

 private:
  Async<> write_void(std::function<void(Connection&)> work, Durability durability);
  Async<> read_void(std::function<void(Connection&)> work);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::db
