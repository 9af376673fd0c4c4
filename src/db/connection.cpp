#include <unordered_map>

#include <sqlite3.h>

#include "db/database.h"

namespace penstock::db {

namespace {

[[noreturn]] void fail(sqlite3* handle, int result) {
  const std::string message = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(result);
  const int extended = handle ? sqlite3_extended_errcode(handle) : result;
  switch (extended & 0xff) {
    case SQLITE_CONSTRAINT:
      if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY) {
        throw Error(Code::AlreadyExists, message);
      }
      throw Error(Code::FailedPrecondition, message);
    case SQLITE_FULL: throw Error(Code::ResourceExhausted, "the disk is full: " + message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: throw Error(Code::Unavailable, message);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: throw Error(Code::DataLoss, "the database file is damaged: " + message);
    case SQLITE_IOERR: throw Error(Code::ResourceExhausted, "the disk fails: " + message);
    default: throw Error(Code::Internal, "SQLite: " + message);
  }
}

struct Hash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

}  // namespace

struct Connection::Cache {
  // Statements by their text. A statement that is still stepped by a Rows is not handed out twice.
  std::unordered_map<std::string, std::vector<sqlite3_stmt*>, Hash, std::equal_to<>> statements;
  size_t count = 0;
};

Connection::Connection(const std::filesystem::path& path, bool read_only) : cache_(std::make_unique<Cache>()) {
  const int flags =
      SQLITE_OPEN_NOMUTEX | (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  const int result = sqlite3_open_v2(path.c_str(), &handle_, flags, "unix-excl");
  if (result != SQLITE_OK) {
    const std::string message = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(result);
    sqlite3_close_v2(handle_);
    throw Error(Code::Unavailable, fmt::format("cannot open the database {}: {}", path.string(), message));
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 5000);
  if (read_only) {
    script("PRAGMA query_only=ON; PRAGMA cache_size=-4096; PRAGMA mmap_size=268435456; PRAGMA temp_store=MEMORY");
  } else {
    script(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-8192; "
        "PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY");
  }
}

Connection::~Connection() {
  for (auto& [sql, statements] : cache_->statements) {
    for (auto* statement : statements) sqlite3_finalize(statement);
  }
  sqlite3_close_v2(handle_);
}

void Connection::tell_changes(std::function<void(RowChange)> told) {
  told_ = std::make_unique<std::function<void(RowChange)>>(std::move(told));
  const auto call = [](sqlite3_context* context, int count, sqlite3_value** arguments) {
    RowChange change;
    change.table = static_cast<size_t>(sqlite3_value_int64(arguments[0]));
    change.what = static_cast<RowChange::What>(sqlite3_value_int(arguments[1]));
    for (int i = 2; i < count; ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(arguments[i]));
      change.values.emplace_back(text ? text : "", text ? static_cast<size_t>(sqlite3_value_bytes(arguments[i])) : 0);
    }
    (*static_cast<std::function<void(RowChange)>*>(sqlite3_user_data(context)))(std::move(change));
  };
  const int result =
      sqlite3_create_function_v2(handle_, "row_changed", -1, SQLITE_UTF8, told_.get(), call, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail(handle_, result);
}

sqlite3_stmt* Connection::prepare(std::string_view sql) {
  const auto it = cache_->statements.find(sql);
  if (it != cache_->statements.end()) {
    for (auto* statement : it->second) {
      if (!sqlite3_stmt_busy(statement)) return statement;
    }
  }
  // Texts that are built for one use must not fill the memory.
  if (cache_->count > 500) {
    for (auto& [text, statements] : cache_->statements) {
      std::erase_if(statements, [&](sqlite3_stmt* statement) {
        if (sqlite3_stmt_busy(statement)) return false;
        sqlite3_finalize(statement);
        --cache_->count;
        return true;
      });
    }
    std::erase_if(cache_->statements, [](const auto& entry) { return entry.second.empty(); });
  }
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                        &statement, nullptr);
  if (result != SQLITE_OK) fail(handle_, result);
  cache_->statements[std::string(sql)].push_back(statement);
  ++cache_->count;
  return statement;
}

Rows Connection::run(std::string_view sql, const std::vector<Value>& values) {
  sqlite3_stmt* statement = prepare(sql);
  sqlite3_reset(statement);
  for (size_t i = 0; i < values.size(); ++i) {
    const int at = static_cast<int>(i) + 1;
    int result;
    if (const auto* number = std::get_if<int64_t>(&values[i])) {
      result = sqlite3_bind_int64(statement, at, *number);
    } else if (const auto* real = std::get_if<double>(&values[i])) {
      result = sqlite3_bind_double(statement, at, *real);
    } else if (const auto* text = std::get_if<std::string_view>(&values[i])) {
      result = sqlite3_bind_text64(statement, at, text->data() ? text->data() : "", text->size(), SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
    } else {
      result = sqlite3_bind_null(statement, at);
    }
    if (result != SQLITE_OK) fail(handle_, result);
  }
  return Rows(statement, handle_);
}

int64_t Connection::run_to_end(std::string_view sql, const std::vector<Value>& values) {
  auto rows = run(sql, values);
  while (rows.next()) {
  }
  return sqlite3_changes64(handle_);
}

void Connection::script(const std::string& sql) {
  const int result = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail(handle_, result);
}

int64_t Connection::last_insert_id() const { return sqlite3_last_insert_rowid(handle_); }

Rows::Rows(sqlite3_stmt* statement, sqlite3* connection) : statement_(statement), connection_(connection) {}

Rows::Rows(Rows&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), connection_(other.connection_), done_(other.done_) {}

Rows::~Rows() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Rows::next() {
  if (done_) return false;
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  done_ = true;
  if (result != SQLITE_DONE) fail(connection_, result);
  return false;
}

int Rows::columns() const { return sqlite3_column_count(statement_); }
bool Rows::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
int64_t Rows::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Rows::real(int column) const { return sqlite3_column_double(statement_, column); }

std::string_view Rows::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

}  // namespace penstock::db
