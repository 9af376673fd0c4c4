// Objects and their versions.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "objects/checksum.h"
#include "objects/engine_state.h"

namespace penstock::objects {

namespace {

std::string new_version() {
  std::string id = new_uuid();
  std::erase(id, '-');
  return id;
}

const std::string kColumns(kObjectColumns);

}  // namespace

Object object_of_row(db::Rows& rows) {
  Object object;
  object.key = rows.string(0);
  object.sequence = rows.integer(1);
  object.version = rows.string(2);
  object.marker = rows.integer(3) != 0;
  object.size = static_cast<uint64_t>(rows.integer(4));
  object.etag = rows.string(5);
  object.modified = from_micros(rows.integer(6));
  object.content.id = rows.integer(7);
  object.content.size = object.size;
  object.parts = rows.string(8);
  object.meta = parse_json(rows.text(9)).as_object();
  return object;
}

Object object_of_file(std::string key, const FileStamp& stamp, const std::string& owner) {
  Object object;
  object.key = std::move(key);
  object.sequence = INT64_MAX;
  object.size = stamp.size;
  object.etag = stamp.etag();
  object.modified = stamp.time();
  object.file = stamp;
  object.meta["owner"] = owner;
  return object;
}

bool is_layout(const Object& row, const FileStamp& stamp) { return get_string(row.meta, "stamp") == stamp.text(); }

namespace {

// The row's stamp travels in its metadata, under a name that no client can set.
Object read_object(db::Rows& rows) {
  Object object = object_of_row(rows);
  if (const auto stamp = rows.text(10); !stamp.empty()) object.meta["stamp"] = stamp;
  return object;
}

}  // namespace

void Engine::State::load_content(db::Connection& c, Object& object) {
  if (object.content.id == 0) return;
  auto rows = c.query("SELECT segment, offset, crc, size FROM contents WHERE id = ?", object.content.id);
  if (!rows.next()) throw Error(Code::DataLoss, fmt::format("object {} has lost its content", object.key));
  object.content.place = {rows.integer(0), rows.integer(1)};
  object.content.crc = static_cast<uint32_t>(rows.integer(2));
  object.content.size = static_cast<uint64_t>(rows.integer(3));
}

std::optional<Object> Engine::State::current(db::Connection& c, const Bucket& bucket, std::string_view key) {
  std::optional<Object> found;
  auto rows =
      c.query("SELECT " + kColumns + " FROM objects WHERE bucket = ? AND key = ? ORDER BY sequence DESC LIMIT 1",
              bucket.id, key);
  if (rows.next()) found = read_object(rows);
  if (const auto stamp = files.stat(bucket.name, key); stamp && !(found && is_layout(*found, *stamp))) {
    return object_of_file(std::string(key), *stamp, bucket.owner);
  }
  if (found) load_content(c, *found);
  return found;
}

std::optional<Object> Engine::State::version(db::Connection& c, const Bucket& bucket, std::string_view key,
                                             std::string_view version) {
  std::optional<Object> newest = current(c, bucket, key);
  if (newest && newest->version == version) return newest;
  auto rows = c.query("SELECT " + kColumns + " FROM objects WHERE bucket = ? AND key = ? AND version = ?", bucket.id,
                      key, version);
  if (!rows.next()) return std::nullopt;
  Object found = read_object(rows);
  found.latest = false;
  load_content(c, found);
  return found;
}

Async<std::optional<Object>> Engine::find(BucketPtr bucket, std::string key, std::optional<std::string> version) {
  co_return co_await state_->database->read([&](db::Connection& c) {
    return version ? state_->version(c, *bucket, key, *version) : state_->current(c, *bucket, key);
  });
}

std::optional<Object> Engine::find_now(const Bucket& bucket, const std::string& key) {
  std::optional<Object> found;
  state_->database->read_now([&](db::Connection& c) { found = state_->current(c, bucket, key); });
  return found;
}

Async<Engine::Found> Engine::find_with_data(BucketPtr bucket, std::string key, std::optional<std::string> version) {
  for (int attempt = 0;; ++attempt) {
    bool again = false;
    Found found;
    try {
      found = co_await state_->database->read([&](db::Connection& c) {
        Found out;
        out.object = version ? state_->version(c, *bucket, key, *version) : state_->current(c, *bucket, key);
        if (out.object && out.object->content.id != 0 && in_log(out.object->content)) {
          try {
            out.data = read_small(out.object->content);
          } catch (const Error& error) {
            if (error.code() == Code::DataLoss) state_->distrust(out.object->content);
            throw;
          }
        }
        return out;
      });
    } catch (const Error& error) {
      // Compaction has moved it since this snapshot was taken.
      if (error.code() != Code::Aborted || attempt > 3) throw;
      again = true;
    }
    if (!again) co_return found;
  }
}

void Engine::State::erase(db::Connection& c, const Bucket& bucket, const Object& object, Garbage& garbage) {
  c.execute("DELETE FROM objects WHERE bucket = ? AND key = ? AND sequence = ?", bucket.id, object.key,
            object.sequence);
  drop_content(c, object.content.id, garbage);
  if (object.parts.empty()) return;
  for (const Part& part : read_parts(c, object.parts, 0, SIZE_MAX)) drop_content(c, part.content.id, garbage);
  c.execute("DELETE FROM parts WHERE list = ?", object.parts);
}

std::string Engine::State::insert(db::Connection& c, const Bucket& bucket, Object object, std::string_view meta,
                                  Garbage& garbage) {
  int64_t newest = 0;
  std::vector<Object> replaced;
  const bool keeps = bucket.versioning == Versioning::Enabled;
  {
    auto rows = c.query("SELECT " + kColumns + " FROM objects WHERE bucket = ? AND key = ? ORDER BY sequence DESC",
                        bucket.id, object.key);
    while (rows.next()) {
      newest = std::max(newest, rows.integer(1));
      if (keeps) break;
      if (rows.text(2) == "null") replaced.push_back(read_object(rows));
    }
  }
  for (const Object& old : replaced) erase(c, bucket, old, garbage);
  object.sequence = std::max(newest + 1, to_micros(object.modified));
  if (!keeps) object.version = "null";
  if (object.version.empty()) object.version = new_version();
  c.execute(
      "INSERT INTO objects (bucket, key, sequence, version, marker, size, etag, modified, content, parts, meta, stamp) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
      bucket.id, object.key, object.sequence, object.version, object.marker, object.size, object.etag,
      to_micros(object.modified), object.content.id, object.parts, meta);
  return object.version;
}

std::string Engine::State::apply(db::Connection& c, const Bucket& bucket, const LoggedPut& put, int64_t content,
                                 Garbage& garbage) {
  Object row;
  row.key = put.key;
  row.version = put.version;
  row.size = put.size;
  row.etag = put.etag;
  row.modified = from_micros(put.modified);
  row.content.id = content;
  return insert(c, bucket, std::move(row), put.meta, garbage);
}

Place Engine::State::replay_log() {
  Place end;
  size_t count = 0;
  const auto again = [&](db::Connection& c, Place place, std::string_view operation) {
    const LoggedPut put = decode_put(operation);
    const auto bucket = std::ranges::find(buckets, put.bucket, [](const auto& entry) { return entry.second->id; });
    if (bucket == buckets.end()) return;  // it was refused, as the bucket was gone
    Staged staged;
    staged.size = put.size;
    staged.crc = put.crc;
    staged.sha256 = put.sha256;
    bool kept = false;
    Garbage garbage;  // is found afterwards
    const Place at = put.file != 0 ? Place{0, put.file} : place;
    apply(c, *bucket->second, put, put.size == 0 ? 0 : add_content(c, staged, at, garbage, kept), garbage);
    ++count;
  };
  database->write_now([&](db::Connection& c) {
    end = SegmentLog::replay(options.folder / "log", decided,
                             [&](Place place, std::string_view operation) { again(c, place, operation); });
    decided = end;
  });
  if (count > 0) spdlog::info("{} objects were put again from the object log", count);
  return end;
}

namespace {

// What conditions speak of: a delete marker counts as nothing.
const Object* visible(const std::optional<Object>& object) { return object && !object->marker ? &*object : nullptr; }

// Writes into a bucket whose versioning is suspended name no version, as in AWS.
std::string shown_version(const Bucket& bucket, std::string version) {
  return bucket.versioning == Versioning::Enabled ? std::move(version) : std::string();
}

}  // namespace

// In a bucket that keeps versions, what a task wrote becomes one before it is written over.
Async<> Engine::State::take_in_if_file(BucketPtr bucket, const std::string& key, bool always) {
  if (!always && bucket->versioning != Versioning::Enabled) co_return;
  if (!files.stat(bucket->name, key)) co_return;
  const auto work = [&] { take_in(*bucket, key); };
  co_await pool.run(work);
}

Async<Written> Engine::put(BucketPtr bucket, NewObject object, Staged staged) {
  co_await state_->take_in_if_file(bucket, object.key, false);
  LoggedPut put;
  put.bucket = bucket->id;
  put.key = object.key;
  put.version = new_version();
  put.etag = object.etag;
  put.meta = to_text(object.meta);
  put.modified = to_micros(state_->clock.now());
  put.sha256 = staged.sha256;
  put.size = staged.size;
  put.crc = staged.crc;
  if (staged.file) put.file = staged.file->number;
  Written written{{}, object.etag, from_micros(put.modified)};
  auto job = [&, this](db::Connection& c, Garbage& garbage, int64_t content) {
    const BucketPtr now = state_->same_bucket(*bucket);
    if (object.check) object.check(visible(state_->current(c, *now, object.key)));
    written.version = shown_version(*now, state_->apply(c, *now, put, content, garbage));
  };
  auto after = [&, this] { state_->files.remove(bucket->name, object.key); };
  // What a condition will say is known in its turn only: such a put waits for the database.
  std::string operation = object.check ? std::string() : encode(put);
  co_await state_->write_staged(staged, job, after, std::move(operation));
  co_return written;
}

Async<Written> Engine::copy(BucketPtr bucket, NewObject object, BucketPtr source_bucket, Object source) {
  if (source.file) {
    co_await state_->take_in_if_file(source_bucket, source.key, true);
    auto taken = co_await find(source_bucket, source.key);
    if (!taken || taken->marker) throw S3Error("NoSuchKey").with("Key", source.key);
    object.etag = taken->etag;
    source = std::move(*taken);
  }
  co_await state_->take_in_if_file(bucket, object.key, false);
  Written written;
  co_await state_->write(
      [&, this](db::Connection& c, Garbage& garbage) {
        const BucketPtr now = state_->same_bucket(*bucket);
        if (object.check) object.check(visible(state_->current(c, *now, object.key)));
        Object row;
        row.key = object.key;
        row.size = source.size;
        row.etag = written.etag = object.etag;
        row.content.id = source.content.id;
        row.meta = object.meta;
        row.modified = written.modified = state_->clock.now();
        // Counted before what is written over is let go: it may be the same content.
        state_->add_reference(c, source.content.id);
        if (!source.parts.empty()) {
          row.parts = new_version();
          for (const Part& part : read_parts(c, source.parts, 0, SIZE_MAX)) state_->add_reference(c, part.content.id);
          const auto copied = c.execute(
              "INSERT INTO parts (list, number, content, size, etag, modified, checksum) SELECT ?, number, content, "
              "size, etag, modified, checksum FROM parts WHERE list = ?",
              row.parts, source.parts);
          if (copied == 0) throw S3Error("NoSuchKey").with("Key", source.key);
        }
        written.version = shown_version(*now, state_->insert(c, *now, row, to_text(row.meta), garbage));
      },
      [&, this] { state_->files.remove(bucket->name, object.key); });
  co_return written;
}

Removed Engine::State::remove_one(db::Connection& c, const Bucket& bucket, const std::string& key,
                                  const std::optional<std::string>& wanted, const Check& check, Garbage& garbage) {
  Removed removed;
  const auto old = wanted ? version(c, bucket, key, *wanted) : current(c, bucket, key);
  if (check) check(wanted ? (old ? &*old : nullptr) : visible(old));
  if (wanted) {
    removed.version = *wanted;
    if (!old) return removed;
    removed.marker = old->marker;
    if (!old->file) erase(c, bucket, *old, garbage);
    return removed;
  }
  if (bucket.versioning == Versioning::Off) {
    std::vector<Object> rows_;
    {
      auto rows = c.query("SELECT " + kColumns + " FROM objects WHERE bucket = ? AND key = ?", bucket.id, key);
      while (rows.next()) rows_.push_back(read_object(rows));
    }
    for (const Object& row : rows_) erase(c, bucket, row, garbage);
    return removed;
  }
  Object marker;
  marker.key = key;
  marker.marker = true;
  marker.modified = clock.now();
  removed.version = insert(c, bucket, std::move(marker), "{}", garbage);
  removed.marker = true;
  return removed;
}

Async<Removed> Engine::remove(BucketPtr bucket, std::string key, std::optional<std::string> version, Check check) {
  std::vector<RemoveKey> keys(1);
  keys[0] = {std::move(key), std::move(version), std::move(check)};
  auto outcomes = co_await remove_many(bucket, std::move(keys));
  if (outcomes[0].error) std::rethrow_exception(outcomes[0].error);
  co_return outcomes[0].removed;
}

Async<std::vector<Engine::RemoveOutcome>> Engine::remove_many(BucketPtr bucket, std::vector<RemoveKey> keys) {
  if (bucket->versioning == Versioning::Enabled) {
    for (const RemoveKey& key : keys) {
      if (!key.version) co_await state_->take_in_if_file(bucket, key.key, false);
    }
  }
  std::vector<RemoveOutcome> outcomes;
  co_await state_->write(
      [&, this](db::Connection& c, Garbage& garbage) {
        const BucketPtr now = state_->same_bucket(*bucket);
        outcomes.assign(keys.size(), {});
        for (size_t i = 0; i < keys.size(); ++i) {
          try {
            outcomes[i].removed = state_->remove_one(c, *now, keys[i].key, keys[i].version, keys[i].check, garbage);
          } catch (const S3Error&) {
            outcomes[i].error = std::current_exception();
          }
        }
      },
      [&, this] {
        for (size_t i = 0; i < keys.size(); ++i) {
          const bool whole = !keys[i].version || *keys[i].version == "null";
          if (!outcomes[i].error && whole) state_->files.remove(bucket->name, keys[i].key);
        }
      });
  co_return outcomes;
}

void Engine::remove_checked_now(const Bucket& bucket, const std::string& key, std::optional<std::string> version,
                                const Check& check) {
  if (!version && bucket.versioning == Versioning::Enabled && state_->files.stat(bucket.name, key)) {
    state_->take_in(bucket, key);
  }
  const bool whole = !version || *version == "null";
  try {
    state_->write_now(
        [&](db::Connection& c, Garbage& garbage) {
          state_->remove_one(c, *state_->same_bucket(bucket), key, version, check, garbage);
        },
        [&] {
          if (whole) state_->files.remove(bucket.name, key);
        });
  } catch (const S3Error& error) {
    spdlog::debug("object {} of bucket {} stays: {}", key, bucket.name, error.message());
  }
}

bool Engine::remove_now(std::string_view name, const std::string& key) {
  const BucketPtr bucket = this->bucket(name);
  bool there = false;
  state_->write_now(
      [&](db::Connection& c, Garbage& garbage) {
        const auto old = state_->current(c, *bucket, key);
        there = visible(old) != nullptr;
        if (there) state_->remove_one(c, *bucket, key, std::nullopt, {}, garbage);
      },
      [&] { state_->files.remove(name, key); });
  return there;
}

Async<Object> Engine::change_object(BucketPtr bucket, std::string key, std::optional<std::string> version,
                                    std::function<void(Object&)> change) {
  co_await state_->take_in_if_file(bucket, key, true);
  std::optional<Object> changed;
  co_await state_->write([&, this](db::Connection& c, Garbage&) {
    const BucketPtr now = state_->same_bucket(*bucket);
    changed = version ? state_->version(c, *now, key, *version) : state_->current(c, *now, key);
    if (!changed) {
      S3Error error(version ? "NoSuchVersion" : "NoSuchKey");
      throw error.with("Key", key);
    }
    if (changed->marker) {
      S3Error error(version ? "MethodNotAllowed" : "NoSuchKey");
      throw error.header("x-amz-delete-marker", "true").header("x-amz-version-id", changed->version);
    }
    change(*changed);
    auto meta = changed->meta;
    meta.erase("stamp");
    c.execute("UPDATE objects SET meta = ? WHERE bucket = ? AND key = ? AND sequence = ?", to_text(meta), now->id, key,
              changed->sequence);
  });
  co_return std::move(*changed);
}

void Engine::State::take_in(const Bucket& bucket, const std::string& key) {
  const Descriptor file = files.open(bucket.name, key);
  const auto stamp = files.stat(bucket.name, key);
  if (!file || !stamp) return;
  // The same content as a file of the engine's own.
  Staged staged;
  auto own = std::make_unique<Staged::File>();
  own->number = new_file_number();
  own->path = temporary_path(own->number);
  Digest md5(Algorithm::Md5), sha256(Algorithm::Sha256);
  {
    const Descriptor copy(::open(own->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!copy) throw_disk("creating an object's file");
    std::string piece(256 * 1024, '\0');
    while (true) {
      const ssize_t got = ::read(file.get(), piece.data(), piece.size());
      if (got < 0) throw_disk("reading an object");
      if (got == 0) break;
      const std::string_view bytes(piece.data(), static_cast<size_t>(got));
      write_all(copy.get(), bytes);
      md5.update(bytes);
      sha256.update(bytes);
      staged.crc = crc32c(staged.crc, bytes);
      staged.size += bytes.size();
    }
    if (::fdatasync(copy.get()) != 0) throw_disk("syncing an object");
  }
  if (::rename(own->path.c_str(), file_path(own->number).c_str()) != 0) throw_disk("storing an object");
  own->path = file_path(own->number);
  sync_folder(own->path.parent_path());
  staged.sha256 = sha256.finish();
  const auto etag = hex(md5.finish());
  bool kept = false;
  write_now(
      [&](db::Connection& c, Garbage& garbage) {
        Bucket plain = bucket;  // what tasks write is the version "null"
        plain.versioning = Versioning::Off;
        Object row;
        row.key = key;
        row.size = staged.size;
        row.etag = etag;
        row.modified = stamp->time();
        if (staged.size > 0) row.content.id = add_content(c, staged, {0, own->number}, garbage, kept);
        insert(c, plain, std::move(row), "{}", garbage);
      },
      [&] {
        own->kept = kept;
        // Unless the task has written it again.
        if (const auto now = files.stat(bucket.name, key); now && now->text() == stamp->text()) {
          files.remove(bucket.name, key);
        }
      });
}

namespace {

// Sharing the blocks where the file system can.
void copy_bytes(int from, int to, uint64_t size) {
  for (uint64_t left = size; left > 0;) {
    const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, left, 0);
    if (copied < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) break;
    if (copied <= 0) throw_disk("laying an object out");
    left -= static_cast<uint64_t>(copied);
    if (left == 0) return;
  }
  std::string piece(256 * 1024, '\0');
  while (true) {
    const ssize_t got = ::read(from, piece.data(), piece.size());
    if (got < 0) throw_disk("laying an object out");
    if (got == 0) return;
    write_all(to, {piece.data(), static_cast<size_t>(got)});
  }
}

}  // namespace

void Engine::State::unseal(Engine& engine, const Object& object, const std::vector<Part>& parts, int fd) const {
  if (!unsealer) throw Error(Code::FailedPrecondition, fmt::format("object {} is encrypted", object.key));
  unsealer(engine, object, parts, fd);
}

Descriptor Engine::unseal(const Object& object) {
  Descriptor file(::open(state_->options.folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw_disk("opening an encrypted object");
  state_->unseal(*this, object, parts_now(object), file.get());
  return file;
}

std::optional<std::filesystem::path> Engine::materialise(std::string_view name, std::string_view key) {
  const BucketPtr bucket = find_bucket(name);
  if (!bucket || !FileTree::can_be_file(key)) return std::nullopt;
  const auto path = state_->files.root() / name / key;
  const auto object = find_now(*bucket, std::string(key));
  if (!object || object->marker) return std::nullopt;
  if (object->file || state_->files.stat(name, key)) return path;
  std::vector<Part> parts;
  if (!object->parts.empty()) {
    state_->database->read_now([&](db::Connection& c) { parts = read_parts(c, object->parts, 0, SIZE_MAX); });
  }
  std::vector<Content> contents;
  for (const Part& part : parts) contents.push_back(part.content);
  if (parts.empty()) contents.push_back(object->content);
  const auto write = [&](int fd) {
    if (object->meta.contains("sse")) return state_->unseal(*this, *object, parts, fd);
    for (const Content& content : contents) {
      if (content.id == 0) continue;
      if (in_log(content)) {
        write_all(fd, read_small(content));
        continue;
      }
      verify(content);
      copy_bytes(open_content(content).get(), fd, content.size);
    }
  };
  const auto note_stamp = [&](const FileStamp& stamp) {
    state_->write_now([&](db::Connection& c, Garbage&) {
      const auto changed = c.execute("UPDATE objects SET stamp = ? WHERE bucket = ? AND key = ? AND sequence = ?",
                                     stamp.text(), bucket->id, key, object->sequence);
      if (changed != 1) throw Error(Code::Aborted, fmt::format("object {} was written over meanwhile", key));
    });
  };
  state_->files.replace(name, key, write, note_stamp);
  return path;
}

void Engine::materialise_all(std::string_view name, std::string_view key) {
  const BucketPtr bucket = find_bucket(name);
  if (!bucket) return;
  while (key.ends_with('/')) key.remove_suffix(1);
  if (materialise(name, key)) return;
  ListQuery query;
  query.prefix = std::string(key) + "/";
  while (true) {
    const ListPage page = list_now(*bucket, query);
    for (const Object& object : page.objects) materialise(name, object.key);
    if (!page.truncated) return;
    query.after = page.next;
  }
}

}  // namespace penstock::objects
