// Contents: their places, their counts, and what is left of those that nobody refers to.
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

#include "objects/checksum.h"
#include "objects/engine_state.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {
// Smaller contents cost as much as the index that would find their equals.
constexpr uint64_t kShared = 1'024;
}  // namespace

int64_t Engine::State::new_file_number() const {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return static_cast<int64_t>(random() >> 1);
}

fs::path Engine::State::temporary_path(int64_t number) const {
  return options.folder / "tmp" / fmt::format("{:016x}", number);
}

fs::path Engine::State::file_path(int64_t number) const {
  const auto name = fmt::format("{:016x}", number);
  return options.folder / "blobs" / name.substr(14) / name;
}

void Engine::State::recover_contents() {
  fs::remove_all(options.folder / "tmp");
  fs::create_directories(options.folder / "tmp");
  for (int i = 0; i < 256; ++i) fs::create_directories(options.folder / "blobs" / fmt::format("{:02x}", i));
  sync_folder(options.folder / "blobs");
  const Place end = replay_log();
  std::map<int64_t, uint64_t> used;
  std::unordered_set<int64_t> known;
  database->read_now([&](db::Connection& c) {
    auto segments = c.query(
        "SELECT segment, max(offset + size), sum(size), count(*) FROM contents WHERE segment > 0 GROUP BY segment");
    while (segments.next()) {
      used[segments.integer(0)] = static_cast<uint64_t>(segments.integer(1)) + SegmentLog::kHeader;
      live[segments.integer(0)] =
          static_cast<uint64_t>(segments.integer(2) + segments.integer(3) * int64_t{SegmentLog::kHeader});
    }
    auto files_ = c.query("SELECT offset FROM contents WHERE segment = 0");
    while (files_.next()) known.insert(files_.integer(0));
  });
  log = std::make_unique<SegmentLog>(options.folder / "log", used, end, options.segment_size);
  if (log->end() != end) {
    // Before anything is appended: what comes from here on is looked for from here on.
    database->write_now([this](db::Connection&) { decided = log->end(); });
  }
  for (const auto& folder : fs::directory_iterator(options.folder / "blobs")) {
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      const auto name = entry.path().filename().string();
      const auto number = static_cast<int64_t>(std::strtoull(name.c_str(), nullptr, 16));
      if (!known.contains(number)) fs::remove(entry.path());
    }
  }
}

int64_t Engine::State::add_content(db::Connection& c, const Staged& staged, Place place, Garbage& garbage, bool& kept) {
  const bool shared = staged.size >= kShared;
  if (shared) {
    auto rows = c.query("UPDATE contents SET references_ = references_ + 1 WHERE hash = ? RETURNING id", staged.sha256);
    if (rows.next()) {
      const int64_t id = rows.integer(0);
      rows.next();  // to its end, so that it takes effect
      kept = false;
      if (place.segment == 0) garbage.push_back({0, place, staged.size, staged.crc});
      return id;
    }
  }
  kept = true;
  c.execute("INSERT INTO contents (hash, size, crc, references_, segment, offset) VALUES (?, ?, ?, 1, ?, ?)",
            shared ? std::optional<std::string>(staged.sha256) : std::nullopt, staged.size, staged.crc, place.segment,
            place.offset);
  return c.last_insert_id();
}

void Engine::State::add_reference(db::Connection& c, int64_t content) {
  if (content == 0) return;
  if (c.execute("UPDATE contents SET references_ = references_ + 1 WHERE id = ?", content) != 1) {
    throw S3Error("NoSuchKey");  // it went since it was looked up
  }
}

void Engine::State::drop_content(db::Connection& c, int64_t content, Garbage& garbage) {
  if (content == 0) return;
  Content found;
  {
    auto rows = c.query(
        "UPDATE contents SET references_ = references_ - 1 WHERE id = ? RETURNING references_, segment, offset, size",
        content);
    if (!rows.next()) return;
    const bool last = rows.integer(0) <= 0;
    found = {content, {rows.integer(1), rows.integer(2)}, static_cast<uint64_t>(rows.integer(3)), 0};
    rows.next();
    if (!last) return;
  }
  c.execute("DELETE FROM contents WHERE id = ?", content);
  garbage.push_back(found);
}

void Engine::State::distrust(const Content& content) {
  // Synced: puts that are done again must not find it either.
  database->post_write(
      [id = content.id](db::Connection& c) { c.execute("UPDATE contents SET hash = NULL WHERE id = ?", id); },
      db::Durability::Synced);
}

void Engine::State::dispose(const Garbage& garbage) {
  std::vector<fs::path> gone;
  {
    const std::lock_guard lock(mutex);
    for (const Content& content : garbage) {
      if (content.place.segment == 0) {
        gone.push_back(file_path(content.place.offset));
        verified.erase(content.place.offset);
      } else {
        auto& bytes = live[content.place.segment];
        const uint64_t size = content.size + SegmentLog::kHeader;
        bytes -= std::min(bytes, size);
        if (bytes < options.segment_size / 4 && !compaction_wanted) {
          compaction_wanted = true;
          care_ready.notify_all();
        }
      }
    }
  }
  if (gone.empty()) return;
  // Freeing a large file's blocks takes the file system a while.
  pool.post([gone = std::move(gone)] {
    for (const auto& path : gone) ::unlink(path.c_str());
  });
}

Async<> Engine::State::write_staged(Staged& staged, std::function<void(db::Connection&, Garbage&, int64_t content)> job,
                                    std::function<void()> after, std::string operation) {
  auto garbage = std::make_shared<Garbage>();
  bool kept = false;
  const auto durability = operation.empty() ? db::Durability::Synced : db::Durability::Relaxed;
  co_await await_external([&](ExternalDone done) {
    // From the log's thread straight to the writer's: nobody waits for a turn of the loop in between.
    auto begin = [&, this, garbage, done](Place record, Place end, std::exception_ptr failure) {
      if (failure) return done(std::move(failure));
      if (record.segment != 0) {
        // Until it is committed, its segment must not be compacted away.
        const std::lock_guard lock(mutex);
        ++pending[record.segment];
      }
      const Place place = staged.file ? Place{0, staged.file->number} : record;
      database->queue_write(
          [&, this, garbage, place, end](db::Connection& c) {
            garbage->clear();
            decided = std::max(decided, end);
            job(c, *garbage, staged.size == 0 ? 0 : add_content(c, staged, place, *garbage, kept));
          },
          durability,
          [&, this, garbage, record, done](std::exception_ptr error) {
            if (record.segment != 0) {
              const std::lock_guard lock(mutex);
              if (--pending[record.segment] == 0) pending.erase(record.segment);
              if (!error && kept && !staged.file) live[record.segment] += staged.size + SegmentLog::kHeader;
            }
            if (!error) {
              if (kept && staged.file) staged.file->kept = true;
              dispose(*garbage);
              if (after) after();
            }
            done(std::move(error));
          });
    };
    if (operation.empty() && (staged.file || staged.size == 0)) return begin({}, {}, nullptr);
    log->append(std::move(staged.data), std::move(operation), std::move(begin));
  });
}

Descriptor Engine::open_content(const Content& content) const {
  Descriptor file(::open(state_->file_path(content.place.offset).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) throw Error(Code::Aborted, "the content is gone");
  if (!file) throw_disk("opening an object");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || static_cast<uint64_t>(info.st_size) != content.size) {
    throw Error(Code::DataLoss,
                fmt::format("the content {:016x} is damaged: its size is not what it was", content.place.offset));
  }
  return file;
}

std::string Engine::read_small(const Content& content) const { return state_->log->read(content.place, content.size); }

void Engine::verify(const Content& content) {
  if (in_log(content) || content.id == 0) return;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->verified.contains(content.place.offset)) return;
  }
  const Descriptor file = open_content(content);
  uint32_t crc = 0;
  std::string piece(256 * 1024, '\0');
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_disk("reading an object");
    if (got == 0) break;
    crc = crc32c(crc, {piece.data(), static_cast<size_t>(got)});
  }
  if (crc != content.crc) {
    state_->distrust(content);
    throw Error(Code::DataLoss,
                fmt::format("the content {:016x} is damaged: its checksum is not what it was", content.place.offset));
  }
  const std::lock_guard lock(state_->mutex);
  if (state_->verified.size() > 1'000'000) state_->verified.clear();
  state_->verified.insert(content.place.offset);
}

}  // namespace penstock::objects
