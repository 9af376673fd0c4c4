#include "db/database.h"

#include <deque>
#include <mutex>
#include <condition_variable>
#include <thread>

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sqlite3.h>

namespace penstock::db {

namespace {

struct WriteJob {
  std::function<void(Connection&)> work;
  Durability durability;
  std::function<void(std::exception_ptr)> done;
  std::exception_ptr error;
};

struct ReadJob {
  std::function<void(Connection&)> work;
  std::function<void(std::exception_ptr)> done;
};

}  // namespace

struct Database::State {
  std::mutex mutex;
  std::condition_variable write_ready, read_ready;
  std::deque<WriteJob> writes;
  std::deque<ReadJob> reads;
  bool stopping = false;
  std::unique_ptr<Connection> writer;
  std::vector<std::unique_ptr<Connection>> readers;
  std::thread writer_thread;
  std::function<void(Connection&)> before_commit;
  std::vector<std::thread> reader_threads;
  bool synced_mode = true;
  // On the writer thread: what the transaction has changed so far, and who is told once it is committed.
  std::vector<RowChange> changes;
  std::function<void(std::vector<RowChange>)> observer;

  void tell_observer();
  void run_writer();
  void run_reader(Connection& connection);
  void commit_batch(std::vector<WriteJob>& batch);
};

namespace {

void migrate(Connection& c, const std::vector<Migrations>& parts) {
  c.script("CREATE TABLE IF NOT EXISTS schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT");
  for (const auto& part : parts) {
    int64_t done = 0;
    {
      auto rows = c.query("SELECT version FROM schema_versions WHERE part = ?", part.part);
      if (rows.next()) done = rows.integer(0);
    }
    const auto known = static_cast<int64_t>(part.scripts.size());
    if (done > known) {
      throw Error(
          Code::FailedPrecondition,
          fmt::format("the data folder was written by a newer Penstock ({} is at version {}, this program knows "
                      "{}): use that program, or another data folder",
                      part.part, done, known));
    }
    for (; done < known; ++done) {
      c.script("BEGIN IMMEDIATE");
      try {
        c.script(part.scripts[static_cast<size_t>(done)]);
        c.execute(
            "INSERT INTO schema_versions VALUES (?, ?) ON CONFLICT (part) DO UPDATE SET version = excluded.version",
            part.part, done + 1);
        c.script("COMMIT");
      } catch (...) {
        c.script("ROLLBACK");
        throw;
      }
    }
  }
}

}  // namespace

Database::Database(const std::filesystem::path& path, const std::vector<Migrations>& parts, Options options)
    : state_(std::make_unique<State>()) {
  state_->before_commit = std::move(options.before_commit);
  state_->writer.reset(new Connection(path, false));
  migrate(*state_->writer, parts);
  state_->writer_thread = std::thread([state = state_.get()] {
    pthread_setname_np(pthread_self(), "db-writer");
    state->run_writer();
  });
  for (int i = 0; i < options.readers; ++i) {
    state_->readers.emplace_back(new Connection(path, true));
    state_->reader_threads.emplace_back([state = state_.get(), connection = state_->readers.back().get()] {
      pthread_setname_np(pthread_self(), "db-reader");
      state->run_reader(*connection);
    });
  }
}

Database::~Database() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->write_ready.notify_all();
  state_->read_ready.notify_all();
  state_->writer_thread.join();
  for (auto& thread : state_->reader_threads) thread.join();
}

void Database::State::run_writer() {
  // Enough to share a sync among all that wait, few enough that a transaction stays short.
  static constexpr size_t kMaxBatch = 512;
  std::unique_lock lock(mutex);
  while (true) {
    write_ready.wait(lock, [&] { return stopping || !writes.empty(); });
    if (writes.empty()) return;
    std::vector<WriteJob> batch;
    while (!writes.empty() && batch.size() < kMaxBatch) {
      batch.push_back(std::move(writes.front()));
      writes.pop_front();
    }
    lock.unlock();
    commit_batch(batch);
    tell_observer();
    for (auto& job : batch) {
      if (job.done) {
        job.done(job.error);
      } else if (job.error) {
        try {
          std::rethrow_exception(job.error);
        } catch (const std::exception& error) {
          spdlog::error("a queued write failed: {}", error.what());
        }
      }
    }
    batch.clear();
    lock.lock();
  }
}

void Database::State::commit_batch(std::vector<WriteJob>& batch) {
  Connection& c = *writer;
  const bool synced =
      std::any_of(batch.begin(), batch.end(), [](const WriteJob& job) { return job.durability == Durability::Synced; });
  const bool alone = batch.size() == 1;
  bool open = false;
  try {
    // In WAL mode FULL syncs the log at each commit and NORMAL does not; outside of a transaction it may be changed.
    if (synced != synced_mode) {
      c.script(synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
      synced_mode = synced;
    }
    c.execute("BEGIN IMMEDIATE");
    open = true;
    for (auto& job : batch) {
      const size_t changed = changes.size();
      if (!alone) c.execute("SAVEPOINT job");
      try {
        job.work(c);
        if (!alone) c.execute("RELEASE job");
      } catch (...) {
        job.error = std::current_exception();
        changes.resize(changed);
        if (!alone) {
          c.execute("ROLLBACK TO job");
          c.execute("RELEASE job");
        }
      }
    }
    if (before_commit && !(alone && batch[0].error)) before_commit(c);
    open = false;
    if (alone && batch[0].error) {
      c.execute("ROLLBACK");
    } else {
      c.execute("COMMIT");
    }
  } catch (...) {
    // The transaction as a whole failed (a full disk): nothing of it is there.
    const auto error = std::current_exception();
    changes.clear();
    for (auto& job : batch) {
      if (!job.error) job.error = error;
    }
    (void)open;
    if (sqlite3_get_autocommit(c.handle_) == 0) {
      try {
        c.execute("ROLLBACK");
      } catch (const std::exception& rollback) {
        spdlog::error("could not roll back: {}", rollback.what());
      }
    }
  }
}

void Database::State::tell_observer() {
  if (changes.empty()) return;
  if (observer) observer(std::move(changes));
  changes.clear();
}

void Database::State::run_reader(Connection& connection) {
  std::unique_lock lock(mutex);
  while (true) {
    read_ready.wait(lock, [&] { return stopping || !reads.empty(); });
    if (reads.empty()) return;
    auto job = std::move(reads.front());
    reads.pop_front();
    lock.unlock();
    std::exception_ptr error;
    try {
      connection.execute("BEGIN");
      job.work(connection);
    } catch (...) {
      error = std::current_exception();
    }
    if (sqlite3_get_autocommit(connection.handle_) == 0) connection.execute("COMMIT");
    job.done(error);
    job = {};
    lock.lock();
  }
}

void Database::queue_write(std::function<void(Connection&)> work, Durability durability,
                           std::function<void(std::exception_ptr)> done) {
  bool first;
  {
    std::lock_guard lock(state_->mutex);
    first = state_->writes.empty();
    state_->writes.push_back({std::move(work), durability, std::move(done), nullptr});
  }
  if (first) state_->write_ready.notify_one();
}

void Database::post_write(std::function<void(Connection&)> work, Durability durability) {
  queue_write(std::move(work), durability, nullptr);
}

void Database::post_read(std::function<void(Connection&)> work) {
  const auto done = [](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::exception& what) {
      spdlog::error("a queued read failed: {}", what.what());
    }
  };
  {
    std::lock_guard lock(state_->mutex);
    state_->reads.push_back({std::move(work), done});
  }
  state_->read_ready.notify_one();
}

Async<> Database::write_void(std::function<void(Connection&)> work, Durability durability) {
  co_await await_external(
      [&](ExternalDone done) { queue_write([&work](Connection& c) { work(c); }, durability, std::move(done)); });
}

Async<> Database::read_void(std::function<void(Connection&)> work) {
  co_await await_external([&](ExternalDone done) {
    {
      std::lock_guard lock(state_->mutex);
      state_->reads.push_back({[&work](Connection& c) { work(c); }, std::move(done)});
    }
    state_->read_ready.notify_one();
  });
}

namespace {

// Blocks until the callback it hands out is called.
void wait_for(const std::function<void(std::function<void(std::exception_ptr)>)>& start) {
  std::mutex mutex;
  std::condition_variable ended;
  bool finished = false;
  std::exception_ptr error;
  start([&](std::exception_ptr e) {
    std::lock_guard lock(mutex);
    error = std::move(e);
    finished = true;
    ended.notify_one();
  });
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return finished; });
  if (error) std::rethrow_exception(error);
}

}  // namespace

void Database::observe(std::vector<ObservedTable> tables, std::function<void(std::vector<RowChange>)> observer) {
  // Triggers of the writer's connection alone: the file knows nothing of them.
  static constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"INSERT", "new"}, {"UPDATE", "new"}, {"DELETE", "old"}};
  write_now([&](Connection& c) {
    state_->observer = std::move(observer);
    c.tell_changes([state = state_.get()](RowChange change) { state->changes.push_back(std::move(change)); });
    for (size_t table = 0; table < tables.size(); ++table) {
      for (size_t kind = 0; kind < std::size(kKinds); ++kind) {
        std::string values;
        for (std::string value : tables[table].values) {
          for (size_t at = 0; (at = value.find("row.", at)) != std::string::npos;)
            value.replace(at, 3, kKinds[kind].second);
          values += ", " + value;
        }
        c.script(
            fmt::format("CREATE TEMP TRIGGER observed_{0}_{1} AFTER {2} ON main.{3} BEGIN "
                        "SELECT row_changed({0}, {1}{4}); END",
                        table, kind, kKinds[kind].first, tables[table].name, values));
      }
    }
  });
}

void Database::write_now(const std::function<void(Connection&)>& work) {
  wait_for([&](auto done) { queue_write(work, Durability::Synced, std::move(done)); });
}

void Database::read_now(const std::function<void(Connection&)>& work) {
  wait_for([&](auto done) {
    {
      std::lock_guard lock(state_->mutex);
      state_->reads.push_back({work, std::move(done)});
    }
    state_->read_ready.notify_one();
  });
}

}  // namespace penstock::db
