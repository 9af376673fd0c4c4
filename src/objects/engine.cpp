#include "objects/engine.h"

#include <fcntl.h>
#include <pthread.h>

#include "objects/engine_state.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

const db::Migrations& migrations() {
  static const db::Migrations kMigrations{"objects",
                                          {R"sql(
CREATE TABLE buckets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  created INTEGER NOT NULL,
  versioning INTEGER NOT NULL,
  config TEXT NOT NULL
) STRICT;
CREATE TABLE objects (
  bucket INTEGER NOT NULL,
  key TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  version TEXT NOT NULL,
  marker INTEGER NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified INTEGER NOT NULL,
  content INTEGER NOT NULL,
  parts TEXT NOT NULL,
  meta TEXT NOT NULL,
  stamp TEXT NOT NULL,
  PRIMARY KEY (bucket, key, sequence DESC)
) STRICT, WITHOUT ROWID;
CREATE TABLE contents (
  id INTEGER PRIMARY KEY,
  hash TEXT,
  size INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  references_ INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  offset INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX contents_by_hash ON contents (hash) WHERE hash IS NOT NULL;
CREATE INDEX contents_by_place ON contents (segment, offset);
CREATE TABLE uploads (
  bucket INTEGER NOT NULL,
  key TEXT NOT NULL,
  id TEXT NOT NULL,
  initiated INTEGER NOT NULL,
  meta TEXT NOT NULL,
  PRIMARY KEY (bucket, key, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE parts (
  list TEXT NOT NULL,
  number INTEGER NOT NULL,
  content INTEGER NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  modified INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  PRIMARY KEY (list, number)
) STRICT, WITHOUT ROWID;
)sql",
                                           R"sql(
CREATE TABLE log_position (segment INTEGER NOT NULL, offset INTEGER NOT NULL) STRICT;
INSERT INTO log_position VALUES (0, 0);
)sql"}};
  return kMigrations;
}

Bucket bucket_of_row(db::Rows& rows) {
  Bucket bucket;
  bucket.id = rows.integer(0);
  bucket.name = rows.string(1);
  bucket.owner = rows.string(2);
  bucket.created = from_micros(rows.integer(3));
  bucket.versioning = static_cast<Versioning>(rows.integer(4));
  bucket.config = parse_json(rows.text(5)).as_object();
  return bucket;
}

}  // namespace

Engine::State::State(Options o, const Clock& c) : options(std::move(o)), clock(c), files(options.objects) {
  fs::create_directories(options.folder);
  fs::permissions(options.folder, fs::perms::owner_all);
  fs::create_directories(options.objects);
  db::Database::Options settings;
  settings.readers = 3;
  settings.before_commit = [this](db::Connection& connection) {
    connection.execute("UPDATE log_position SET segment = ?, offset = ?", decided.segment, decided.offset);
  };
  database = std::make_unique<db::Database>(options.folder / "meta.db", std::vector{migrations()}, std::move(settings));
  database->read_now([this](db::Connection& connection) {
    auto rows = connection.query("SELECT id, name, owner, created, versioning, config FROM buckets");
    while (rows.next()) {
      auto bucket = std::make_shared<Bucket>(bucket_of_row(rows));
      buckets[bucket->name] = bucket;
    }
    auto position = connection.query("SELECT segment, offset FROM log_position");
    if (position.next()) decided = {position.integer(0), position.integer(1)};
  });
  recover_contents();
}

Engine::State::~State() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  care_ready.notify_all();
  if (care.joinable()) care.join();
  log.reset();       // its callbacks queue writes
  database.reset();  // finishes them
}

Engine::Engine(Options options, const Clock& clock) : state_(std::make_unique<State>(std::move(options), clock)) {
  // Folders that were there before their buckets had rows.
  for (const auto& entry : fs::directory_iterator(state_->options.objects)) {
    const auto name = entry.path().filename().string();
    if (!entry.is_directory() || entry.is_symlink() || name.starts_with('.') || find_bucket(name)) continue;
    Bucket bucket;
    bucket.name = name;
    bucket.owner = state_->options.owner;
    bucket.created = clock.now();
    create_bucket_now(std::move(bucket));
  }
  for (const auto& [name, bucket] : state_->buckets) fs::create_directories(state_->options.objects / name);
  if (state_->options.care) {
    state_->care = std::thread([this] {
      pthread_setname_np(pthread_self(), "object-care");
      care();
    });
  }
}

Engine::~Engine() = default;

BlockingPool& Engine::pool() { return state_->pool; }
const FileTree& Engine::files() const { return state_->files; }
const Clock& Engine::clock() const { return state_->clock; }
const std::string& Engine::owner() const { return state_->options.owner; }

BucketPtr Engine::State::find_bucket(std::string_view name) const {
  const std::lock_guard lock(mutex);
  const auto found = buckets.find(name);
  return found == buckets.end() ? nullptr : found->second;
}

BucketPtr Engine::State::same_bucket(const Bucket& bucket) const {
  auto now = find_bucket(bucket.name);
  if (!now || now->id != bucket.id) throw S3Error("NoSuchBucket").with("BucketName", bucket.name);
  return now;
}

BucketPtr Engine::find_bucket(std::string_view name) const { return state_->find_bucket(name); }

BucketPtr Engine::bucket(std::string_view name) const {
  auto found = find_bucket(name);
  if (!found) throw S3Error("NoSuchBucket").with("BucketName", std::string(name));
  return found;
}

std::vector<BucketPtr> Engine::buckets() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<BucketPtr> out;
  for (const auto& [name, bucket] : state_->buckets) out.push_back(bucket);
  return out;
}

Async<> Engine::State::write(Job job, std::function<void()> after) {
  auto garbage = std::make_shared<Garbage>();  // outlives the call when its server stops
  co_await await_external([&](ExternalDone done) {
    database->queue_write(
        [&job, garbage](db::Connection& c) {
          garbage->clear();
          job(c, *garbage);
        },
        db::Durability::Synced,
        [this, garbage, &after, done = std::move(done)](std::exception_ptr error) {
          if (!error) {
            dispose(*garbage);
            if (after) after();
          }
          done(std::move(error));
        });
  });
}

void Engine::State::write_now(const Job& job, const std::function<void()>& after) {
  Garbage garbage;
  database->write_now([&](db::Connection& c) { job(c, garbage); });
  dispose(garbage);
  if (after) after();
}

Async<BucketPtr> Engine::create_bucket(Bucket bucket) {
  const auto make = [&] { create_bucket_now(bucket); };
  co_await state_->pool.run(make);
  co_return this->bucket(bucket.name);
}

void Engine::create_bucket_now(Bucket bucket) {
  // Outside the transaction, as it syncs: a folder alone is a bucket too.
  fs::create_directories(state_->options.objects / bucket.name);
  sync_folder(state_->options.objects);
  auto made = std::make_shared<Bucket>(std::move(bucket));
  if (made->created == Time{}) made->created = state_->clock.now();
  state_->write_now(
      [&](db::Connection& c, Garbage&) {
        c.execute("INSERT INTO buckets (name, owner, created, versioning, config) VALUES (?, ?, ?, ?, ?)", made->name,
                  made->owner, to_micros(made->created), static_cast<int>(made->versioning), to_text(made->config));
        made->id = c.last_insert_id();
      },
      [&] {
        const std::lock_guard lock(state_->mutex);
        state_->buckets[made->name] = made;
      });
}

Async<> Engine::delete_bucket(std::string name) {
  const auto remove = [&] {
    const BucketPtr bucket = this->bucket(name);
    FileTree::Walker walker(state_->files, name);
    walker.seek({});
    if (!walker.at_end()) throw S3Error("BucketNotEmpty").with("BucketName", name);
    bool gone = false;
    try {
      state_->write_now(
          [&](db::Connection& c, Garbage& garbage) {
            auto rows = c.query("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", bucket->id);
            if (rows.next()) throw S3Error("BucketNotEmpty").with("BucketName", name);
            // Uploads that were begun end with it.
            std::vector<std::string> lists;
            auto uploads = c.query("SELECT id FROM uploads WHERE bucket = ?", bucket->id);
            while (uploads.next()) lists.push_back(uploads.string(0));
            for (const auto& list : lists) {
              for (const Part& part : read_parts(c, list, 0, SIZE_MAX)) {
                state_->drop_content(c, part.content.id, garbage);
              }
              c.execute("DELETE FROM parts WHERE list = ?", list);
            }
            c.execute("DELETE FROM uploads WHERE bucket = ?", bucket->id);
            c.execute("DELETE FROM buckets WHERE id = ?", bucket->id);
            // With the writer held: no put of it comes in between.
            state_->put_bucket(name, nullptr);
            gone = true;
          },
          [&] { state_->files.remove_bucket(name); });
    } catch (...) {
      if (gone) state_->put_bucket(name, bucket);
      throw;
    }
  };
  co_await state_->pool.run(remove);
}

void Engine::State::put_bucket(const std::string& name, BucketPtr bucket) {
  const std::lock_guard lock(mutex);
  if (bucket) {
    buckets[name] = std::move(bucket);
  } else {
    buckets.erase(name);
  }
}

Async<> Engine::change_bucket(std::string name, std::function<void(Bucket&)> change) {
  BucketPtr before;
  std::exception_ptr failure;
  try {
    co_await state_->write([&](db::Connection& c, Garbage&) {
      const BucketPtr old = bucket(name);
      auto changed = std::make_shared<Bucket>(*old);
      change(*changed);
      c.execute("UPDATE buckets SET versioning = ?, config = ? WHERE id = ?", static_cast<int>(changed->versioning),
                to_text(changed->config), changed->id);
      before = old;
      // The next write of the same transaction must see it.
      state_->put_bucket(name, std::move(changed));
    });
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (before) state_->put_bucket(name, before);
  std::rethrow_exception(failure);
}

void Engine::set_unsealer(Unsealer unsealer) { state_->unsealer = std::move(unsealer); }

void Engine::set_expirer(Expirer expirer) {
  const std::lock_guard lock(state_->mutex);
  state_->expirer = std::move(expirer);
}

}  // namespace penstock::objects
