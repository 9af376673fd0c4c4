#include "kube/embedded.h"

#include <mutex>

#include "kube/resources.h"
#include "kube/status.h"

namespace penstock::kube {

namespace {

// Versions are reserved in blocks, so that none is given twice, also not those of objects that are gone.
constexpr uint64_t kVersionBlock = 100'000;
// How many objects one turn of the control loop collects.
constexpr int kCollectSteps = 64;
constexpr std::chrono::milliseconds kRetryWrite{1000};

std::string stored_name(const Resource& resource) {
  return resource.group.empty() ? resource.plural : resource.plural + "." + resource.group;
}

// On the writer's thread: objects become text here, not on the control loop.
void write_rows(db::Connection& c, const std::vector<RowChange>& changes) {
  for (const auto& change : changes) {
    if (change.now != nullptr) {
      c.execute("INSERT OR REPLACE INTO kube_objects (id, resource, body) VALUES (?, ?, ?)", change.row,
                stored_name(change.table->kind->resource), json::serialize(*change.now));
    } else {
      c.execute("DELETE FROM kube_objects WHERE id = ?", change.row);
    }
  }
}

class EmbeddedWatch : public Watch {
 public:
  explicit EmbeddedWatch(std::shared_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
  ~EmbeddedWatch() override { watcher_->close(); }
  Async<WatchEvent> next() override { return watcher_->next(); }

 private:
  std::shared_ptr<Watcher> watcher_;  // shared with the store, which delivers to it
};

struct StoredRow {
  int64_t row;
  std::string resource;
  Object object;
};

struct Stored {
  uint64_t version = 0;
  std::vector<StoredRow> rows;
};

Stored read_all(db::Connection& c) {
  Stored stored;
  {
    auto rows = c.query("SELECT version FROM kube_version");
    if (rows.next()) stored.version = static_cast<uint64_t>(rows.integer(0));
  }
  auto rows = c.query("SELECT id, resource, body FROM kube_objects ORDER BY id");
  while (rows.next()) {
    stored.rows.push_back({rows.integer(0), rows.string(1), make_object(parse_json(rows.text(2)).as_object())});
  }
  return stored;
}

}  // namespace

struct EmbeddedApi::State : std::enable_shared_from_this<State> {
  State(db::Database& d, Loop& l, Clock& c, Kinds k, EmbeddedOptions o)
      : database(d),
        control(l),
        clock(c),
        kinds(std::move(k)),
        options(o),
        resources(kinds, c, {.history = o.history}),
        timer(l.executor()),
        flush_timer(l.executor()),
        flush_ended(l.executor()) {}

  using Changes = std::shared_ptr<const std::vector<RowChange>>;  // shared with the write that is queued

  void reserve_versions();
  // What changed since the last call goes to `pending`, and is returned.
  std::vector<RowChange> gather();
  Changes take_pending();
  // `own` is undone when it cannot be written.
  Async<> write_durably(std::vector<RowChange> own);
  void schedule_flush(std::chrono::milliseconds delay);
  void flush();
  void flushed(uint64_t number, const Changes& changes, bool failed);
  Async<> await_flushed();
  void undo(const std::vector<RowChange>& changes);
  void schedule_collection();
  void collect();
  void schedule_tick();
  void load(Stored stored);
  // Runs `work` on the control loop, unless the api is gone by then.
  void turn(std::function<void()> work);

  db::Database& database;
  Loop& control;
  Clock& clock;
  const Kinds kinds;
  const EmbeddedOptions options;
  Resources resources;
  Timer timer;
  uint64_t reserved = 0;
  bool collecting = false;

  // Rows that the writer has not been given, each with its state in the database (null: none) and now (null: none).
  std::map<int64_t, RowChange> pending;
  std::map<int64_t, Table*> unwritten;  // rows that could not be written: they go with the next change
  Timer flush_timer;
  bool flush_scheduled = false, flushing = false, failing = false;
  uint64_t flushes_begun = 0, flushes_done = 0;
  Signal flush_ended;

  std::mutex life;
  bool dead = false;  // guarded by life
};

void EmbeddedApi::State::turn(std::function<void()> work) {
  control.post([self = shared_from_this(), work = std::move(work)] {
    std::lock_guard lock(self->life);
    if (!self->dead) work();
  });
}

void EmbeddedApi::State::reserve_versions() {
  const uint64_t version = resources.store().version();
  if (version + kVersionBlock / 2 < reserved) return;
  reserved = version + kVersionBlock;
  database.post_write(
      [version = reserved](db::Connection& c) {
        c.execute("INSERT OR REPLACE INTO kube_version (id, version) VALUES (0, ?)", version);
      },
      db::Durability::Synced);
}

std::vector<RowChange> EmbeddedApi::State::gather() {
  auto changes = resources.store().take_changes();
  for (const auto& change : changes) {
    const auto [at, fresh] = pending.try_emplace(change.row, change);
    if (fresh) continue;
    at->second.now = change.now;
    // Made and gone again: the database need not know.
    if (at->second.before == nullptr && at->second.now == nullptr) pending.erase(at);
  }
  reserve_versions();
  if (resources.has_garbage()) schedule_collection();
  if (!pending.empty() || !unwritten.empty()) schedule_flush(options.write_delay);
  return changes;
}

EmbeddedApi::State::Changes EmbeddedApi::State::take_pending() {
  std::vector<RowChange> changes;
  for (const auto& [row, table] : std::exchange(unwritten, {})) {
    if (pending.contains(row)) continue;
    Object now;
    for (const auto& [key, entry] : table->objects) {
      if (entry.row == row) now = entry.object;
    }
    changes.push_back({row, table, now, now});
  }
  for (auto& [row, change] : std::exchange(pending, {})) changes.push_back(std::move(change));
  return std::make_shared<const std::vector<RowChange>>(std::move(changes));
}

void EmbeddedApi::State::schedule_flush(std::chrono::milliseconds delay) {
  if (flush_scheduled || flushing) return;
  flush_scheduled = true;
  flush_timer.expires_after(delay);
  flush_timer.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
    const auto state = error ? nullptr : self.lock();
    if (!state) return;
    std::lock_guard lock(state->life);
    if (!state->dead && state->flush_scheduled) state->flush();
  });
}

void EmbeddedApi::State::flush() {
  flush_scheduled = false;
  flushing = true;
  const auto changes = take_pending();
  const auto number = ++flushes_begun;
  database.queue_write([changes](db::Connection& c) { write_rows(c, *changes); }, db::Durability::Relaxed,
                       [self = weak_from_this(), number, changes](const std::exception_ptr& error) {
                         const auto state = self.lock();
                         if (!state) return;
                         const bool failed = error != nullptr;
                         state->turn([state, number, changes, failed] { state->flushed(number, changes, failed); });
                       });
}

void EmbeddedApi::State::flushed(uint64_t number, const Changes& changes, bool failed) {
  flushing = false;
  flush_ended.set();
  if (failed != failing) {
    spdlog::log(failed ? spdlog::level::err : spdlog::level::info, "kube: objects {}",
                failed ? "cannot be written to disk; this is tried again" : "are written to disk again");
    failing = failed;
  }
  if (failed) {
    for (const auto& change : *changes) unwritten[change.row] = change.table;
    // Who waits for this flush waits for the next.
    return schedule_flush(kRetryWrite);
  }
  flushes_done = number;
  if (!pending.empty()) schedule_flush(options.write_delay);
}

// Everything that was changed before this call is written when it returns.
Async<> EmbeddedApi::State::await_flushed() {
  const bool waiting = !pending.empty() || !unwritten.empty();
  const auto wanted = flushes_begun + (waiting ? 1 : 0);
  while (flushes_done < wanted) {
    flush_ended.reset();
    co_await flush_ended.wait();
  }
}

Async<> EmbeddedApi::State::write_durably(std::vector<RowChange> own) {
  // What is pending goes along, so that the database sees changes in their order.
  const auto changes = take_pending();
  const auto to_undo =
      std::make_shared<const std::vector<RowChange>>(std::move(own));  // shared with the write that is queued
  // Named, not written inside the co_await: g++ 12 destroys the captures of such a temporary twice.
  std::function<void(ExternalDone)> start = [this, changes, to_undo](ExternalDone done) {
    database.queue_write(
        [changes](db::Connection& c) { write_rows(c, *changes); }, db::Durability::Synced,
        [self = shared_from_this(), changes, to_undo, done = std::move(done)](const std::exception_ptr& error) {
          // Queued before the caller's own resumption on the same loop.
          if (error) {
            self->turn([self, changes, to_undo] {
              for (const auto& change : *changes) self->unwritten[change.row] = change.table;
              self->undo(*to_undo);
            });
          }
          done(error);
        });
  };
  co_await await_external(std::move(start));
}

void EmbeddedApi::State::undo(const std::vector<RowChange>& changes) {
  for (auto at = changes.rbegin(); at != changes.rend(); ++at) resources.store().revert(*at);
  gather();
}

void EmbeddedApi::State::schedule_collection() {
  if (collecting) return;
  collecting = true;
  turn([this] { collect(); });
}

void EmbeddedApi::State::collect() {
  collecting = false;
  resources.collect(kCollectSteps);
  gather();
}

void EmbeddedApi::State::schedule_tick() {
  timer.expires_after(options.bookmark_every);
  timer.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
    const auto state = error ? nullptr : self.lock();
    if (!state) return;
    std::lock_guard lock(state->life);
    if (state->dead) return;
    state->resources.store().send_bookmarks();
    state->resources.expire_events(state->clock.now() - state->options.event_ttl);
    state->gather();
    state->schedule_tick();
  });
}

void EmbeddedApi::State::load(Stored stored) {
  auto& store = resources.store();
  uint64_t version = std::max<uint64_t>(1, stored.version);
  for (auto& row : stored.rows) {
    Table* table = nullptr;
    for (auto& candidate : store.tables()) {
      if (stored_name(candidate.kind->resource) == row.resource) table = &candidate;
    }
    if (table == nullptr) {
      spdlog::warn("kube: the stored {} {} is of a kind that this program does not serve", row.resource,
                   name_of(*row.object));
      continue;
    }
    version = std::max(version, static_cast<uint64_t>(row.row));
    store.load(*table, row.row, std::move(row.object));
  }
  store.set_version(version);
  reserve_versions();
  resources.begin();
}

EmbeddedApi::EmbeddedApi(db::Database& database, Loop& control, Clock& clock, Kinds kinds, EmbeddedOptions options)
    : state_(std::make_shared<State>(database, control, clock, std::move(kinds), options)) {}

EmbeddedApi::~EmbeddedApi() {
  {
    std::lock_guard lock(state_->life);
    state_->dead = true;
  }
  // The timers are touched on their own loop only.
  state_->control.post([state = state_] {
    state->timer.cancel();
    state->flush_timer.cancel();
  });
}

const db::Migrations& EmbeddedApi::migrations() {
  static const db::Migrations kMigrations{
      "kube",
      {"CREATE TABLE kube_objects (id INTEGER PRIMARY KEY, resource TEXT NOT NULL, body TEXT NOT NULL) STRICT;"
       "CREATE TABLE kube_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL) STRICT;"}};
  return kMigrations;
}

const Kinds& EmbeddedApi::kinds() const { return state_->kinds; }

template <class Work>
auto EmbeddedApi::on_control(Work work) -> Async<std::invoke_result_t<Work>> {
  if (state_->control.running_here()) co_return work();
  co_return co_await on(state_->control.executor(),
                        [&work]() -> Async<std::invoke_result_t<Work>> { co_return work(); });
}

// Runs `work` on the control loop and has what it changed written; what it throws has changed nothing.
template <class Work>
Async<Object> EmbeddedApi::change(bool durable, Work work) {
  if (!state_->control.running_here()) {
    co_return co_await on(state_->control.executor(),
                          [this, durable, &work] { return change(durable, std::ref(work)); });
  }
  Object result = work();
  auto changes = state_->gather();
  if (durable && !changes.empty()) co_await state_->write_durably(std::move(changes));
  co_return result;
}

Async<> EmbeddedApi::start() {
  Stored stored = co_await state_->database.read([](db::Connection& c) { return read_all(c); });
  co_await on(state_->control.executor(), [this, &stored]() -> Async<> {
    state_->load(std::move(stored));
    state_->schedule_tick();
    auto changes = state_->gather();
    co_await state_->write_durably(std::move(changes));
  });
}

Async<> EmbeddedApi::await_written() {
  if (state_->control.running_here()) {
    co_await state_->await_flushed();
  } else {
    co_await on(state_->control.executor(), [this] { return state_->await_flushed(); });
  }
}

Async<> EmbeddedApi::flush() {
  co_await on(state_->control.executor(), [this]() -> Async<> {
    // One that is under way may have begun before the last change.
    for (int i = state_->flushing ? 0 : 1; i < 2; ++i) {
      if (!state_->flushing) state_->flush();
      state_->flush_ended.reset();
      co_await state_->flush_ended.wait();
    }
  });
}

Async<Object> EmbeddedApi::get(const Resource& resource, std::string ns, std::string name) {
  co_return co_await on_control([this, &resource, &ns, &name] {
    auto& store = state_->resources.store();
    Entry* entry = store.find(store.table(resource), resource.namespaced ? ns : std::string(), name);
    if (entry == nullptr) throw no_such_object(resource, name);
    return entry->object;
  });
}

Async<List> EmbeddedApi::list(const Resource& resource, ListQuery query) {
  co_return co_await on_control([this, &resource, &query] {
    auto& store = state_->resources.store();
    return store.list(store.table(resource), query);
  });
}

Async<Object> EmbeddedApi::create(const Resource& resource, json::object object, WriteOptions options) {
  co_return co_await change(options.durable, [&] {
    return state_->resources.create(state_->resources.store().table(resource), std::move(object), options);
  });
}

Async<Object> EmbeddedApi::update(const Resource& resource, json::object object, WriteOptions options) {
  co_return co_await change(options.durable, [&] {
    return state_->resources.update(state_->resources.store().table(resource), std::move(object), options);
  });
}

Async<Object> EmbeddedApi::patch(const Resource& resource, std::string ns, std::string name, PatchType type,
                                 json::value patch, WriteOptions options) {
  co_return co_await change(options.durable, [&] {
    return state_->resources.patch(state_->resources.store().table(resource), ns, name, type, patch, options);
  });
}

Async<Object> EmbeddedApi::remove(const Resource& resource, std::string ns, std::string name, DeleteOptions options) {
  co_return co_await change(options.durable, [&] {
    return state_->resources.remove(state_->resources.store().table(resource), ns, name, options);
  });
}

Async<std::unique_ptr<Watch>> EmbeddedApi::watch(const Resource& resource, WatchQuery query) {
  auto watcher = co_await on_control([this, &resource, &query] {
    auto& store = state_->resources.store();
    return store.watch(store.table(resource), query);
  });
  co_return std::make_unique<EmbeddedWatch>(std::move(watcher));
}

}  // namespace penstock::kube
