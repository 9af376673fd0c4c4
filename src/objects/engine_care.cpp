// What goes on in the background: dead space is taken back, contents are verified, rules of expiry are carried out.
#include <fcntl.h>

#include "objects/engine_state.h"

namespace penstock::objects {

namespace {

constexpr auto kBetweenExpiries = std::chrono::minutes(10);
constexpr auto kBetweenScrubs = std::chrono::hours(24);
// That compaction moves with one sync.
constexpr size_t kMovedContents = 512;
constexpr uint64_t kMovedBytes = 4u << 20;
constexpr uint64_t kScrubRate = 32u << 20;  // bytes a second

}  // namespace

void Engine::care() {
  // The first scrub comes when the server has been up for a while.
  auto next_scrub = std::chrono::steady_clock::now() + std::chrono::minutes(30);
  auto next_expiry = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::unique_lock lock(state_->mutex);
  while (!state_->stopping) {
    const auto until = std::min(next_scrub, next_expiry);
    state_->care_ready.wait_until(lock, until, [this] { return state_->stopping || state_->compaction_wanted; });
    if (state_->stopping) return;
    const bool compaction = std::exchange(state_->compaction_wanted, false);
    lock.unlock();
    const auto now = std::chrono::steady_clock::now();
    try {
      if (compaction) compact();
      if (now >= next_expiry) expire(state_->clock.now());
      if (now >= next_scrub) scrub();
    } catch (const std::exception& error) {
      spdlog::error("care of the object store: {}", error.what());
    }
    if (now >= next_expiry) next_expiry = std::chrono::steady_clock::now() + kBetweenExpiries;
    if (now >= next_scrub) next_scrub = std::chrono::steady_clock::now() + kBetweenScrubs;
    lock.lock();
    // Deletions come in waves.
    state_->care_ready.wait_for(lock, std::chrono::seconds(5), [this] { return state_->stopping; });
  }
}

void Engine::compact() {
  for (const SegmentLog::Segment& segment : state_->log->segments()) {
    {
      const std::lock_guard lock(state_->mutex);
      const auto live = state_->live.find(segment.id);
      const uint64_t bytes = live == state_->live.end() ? 0 : live->second;
      if (segment.current || state_->pending.contains(segment.id) || bytes * 2 > segment.size) continue;
    }
    std::vector<Content> contents;
    state_->database->read_now([&](db::Connection& c) {
      auto rows = c.query("SELECT id, offset, size, crc FROM contents WHERE segment = ? ORDER BY offset", segment.id);
      while (rows.next()) {
        contents.push_back({rows.integer(0),
                            {segment.id, rows.integer(1)},
                            static_cast<uint64_t>(rows.integer(2)),
                            static_cast<uint32_t>(rows.integer(3))});
      }
    });
    bool moved_all = true;
    std::vector<Content> batch;
    uint64_t bytes = 0;
    for (size_t i = 0; i < contents.size() && moved_all; ++i) {
      batch.push_back(contents[i]);
      bytes += contents[i].size;
      if (batch.size() < kMovedContents && bytes < kMovedBytes && i + 1 < contents.size()) continue;
      moved_all = state_->move(batch);
      batch.clear();
      bytes = 0;
      const std::lock_guard lock(state_->mutex);
      if (state_->stopping) return;
    }
    if (!moved_all) continue;
    // What says that its operations are done must be on the disk before they go.
    state_->database->write_now([](db::Connection&) {});
    state_->log->remove(segment.id);
    const std::lock_guard lock(state_->mutex);
    state_->live.erase(segment.id);
  }
}

namespace {

struct Move {
  Content content;
  std::string data;
  Place place, end;  // where it is now; segment 0: nowhere
  bool moved = false;
};

// Waits until all are on disk, or some cannot be; returns why. `appended` is called on the log's thread.
std::exception_ptr append_all(SegmentLog& log, std::vector<Move>& moves, const std::function<void(Place)>& appended) {
  std::mutex mutex;
  std::condition_variable ready;
  size_t waiting = moves.size();
  std::exception_ptr failure;
  for (Move& move : moves) {
    log.append(std::move(move.data), {}, [&, at = &move](Place place, Place end, std::exception_ptr error) {
      const std::lock_guard lock(mutex);
      if (error) {
        failure = error;
      } else {
        at->place = place;
        at->end = end;
        appended(place);
      }
      if (--waiting == 0) ready.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  ready.wait(lock, [&] { return waiting == 0; });
  return failure;
}

}  // namespace

bool Engine::State::move(const std::vector<Content>& contents) {
  bool whole = true;
  std::vector<Move> moves;
  for (const Content& content : contents) {
    try {
      moves.push_back({content, log->read(content.place, content.size), {}, {}});
    } catch (const Error& error) {
      spdlog::error("compacting the object log: {}", error.message());
      whole = false;  // what is damaged stays where it is
    }
  }
  auto failure = append_all(*log, moves, [this](Place place) {
    const std::lock_guard lock(mutex);
    ++pending[place.segment];
  });
  if (!failure) {
    try {
      database->write_now([&](db::Connection& c) {
        for (Move& move : moves) {
          decided = std::max(decided, move.end);
          move.moved =
              c.execute("UPDATE contents SET segment = ?, offset = ? WHERE id = ? AND segment = ? AND offset = ?",
                        move.place.segment, move.place.offset, move.content.id, move.content.place.segment,
                        move.content.place.offset) == 1;
        }
      });
    } catch (...) {
      failure = std::current_exception();
      for (Move& move : moves) move.moved = false;
    }
  }
  {
    const std::lock_guard lock(mutex);
    for (const Move& move : moves) {
      if (move.place.segment == 0) continue;
      if (--pending[move.place.segment] == 0) pending.erase(move.place.segment);
      if (move.moved) live[move.place.segment] += move.content.size + SegmentLog::kHeader;
    }
  }
  if (failure) std::rethrow_exception(failure);
  return whole;
}

size_t Engine::scrub(bool pace) {
  size_t damaged = 0;
  int64_t after = 0;
  while (true) {
    std::vector<Content> contents;
    state_->database->read_now([&](db::Connection& c) {
      auto rows =
          c.query("SELECT id, segment, offset, size, crc FROM contents WHERE id > ? ORDER BY id LIMIT 256", after);
      while (rows.next()) {
        contents.push_back({rows.integer(0),
                            {rows.integer(1), rows.integer(2)},
                            static_cast<uint64_t>(rows.integer(3)),
                            static_cast<uint32_t>(rows.integer(4))});
      }
    });
    if (contents.empty()) return damaged;
    uint64_t bytes = 0;
    for (const Content& content : contents) {
      after = content.id;
      bytes += content.size;
      try {
        if (in_log(content)) {
          read_small(content);
        } else {
          {
            const std::lock_guard lock(state_->mutex);
            state_->verified.erase(content.place.offset);
          }
          verify(content);
        }
      } catch (const Error& error) {
        if (error.code() != Code::DataLoss) continue;  // it went meanwhile
        ++damaged;
        state_->distrust(content);
        spdlog::error("scrub: {}", error.message());
      }
    }
    std::unique_lock lock(state_->mutex);
    const auto wait = std::chrono::milliseconds(pace ? bytes * 1'000 / kScrubRate + 10 : 0);
    if (pace) state_->care_ready.wait_for(lock, wait, [this] { return state_->stopping; });
    if (state_->stopping) return damaged;
  }
}

void Engine::expire(Time now) {
  Expirer expirer;
  {
    const std::lock_guard lock(state_->mutex);
    expirer = state_->expirer;
  }
  if (!expirer) return;
  for (const BucketPtr& bucket : buckets()) {
    if (!bucket->config.contains("lifecycle")) continue;
    try {
      expirer(*this, bucket, now);
    } catch (const std::exception& error) {
      spdlog::error("lifecycle rules of bucket {}: {}", bucket->name, error.what());
    }
  }
}

Engine::Usage Engine::usage() {
  Usage usage;
  for (const SegmentLog::Segment& segment : state_->log->segments()) usage.log_bytes += segment.size;
  uint64_t live = 0;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [id, bytes] : state_->live) live += bytes;
  }
  usage.log_dead = usage.log_bytes - std::min(usage.log_bytes, live);
  state_->database->read_now([&](db::Connection& c) {
    auto contents = c.query("SELECT count(*), count(*) FILTER (WHERE segment = 0) FROM contents");
    if (contents.next()) {
      usage.contents = contents.integer(0);
      usage.files = contents.integer(1);
    }
    auto objects = c.query("SELECT count(*) FROM objects");
    if (objects.next()) usage.objects = objects.integer(0);
  });
  return usage;
}

}  // namespace penstock::objects
