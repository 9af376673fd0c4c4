// What goes on in the background: dead space is taken back, contents are verified, rules of expiry are carried out.
#include <fcntl.h>

#include "objects/engine_state.h"

namespace penstock::objects {

namespace {

constexpr auto kBetweenExpiries = std::chrono::minutes(10);
constexpr auto kBetweenScrubs = std::chrono::hours(24);
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
    for (const Content& content : contents) {
      try {
        std::mutex mutex;
        std::condition_variable ready;
        std::optional<Place> place;
        std::exception_ptr failure;
        state_->log->append(read_small(content), [&](Place at, std::exception_ptr error) {
          const std::lock_guard lock(mutex);
          failure = error;
          place = at;
          if (!error) {
            const std::lock_guard state_lock(state_->mutex);
            ++state_->pending[at.segment];
          }
          ready.notify_one();
        });
        {
          std::unique_lock lock(mutex);
          ready.wait(lock, [&] { return place.has_value(); });
        }
        if (failure) std::rethrow_exception(failure);
        bool moved = false;
        const auto settle = [&] {
          const std::lock_guard lock(state_->mutex);
          if (--state_->pending[place->segment] == 0) state_->pending.erase(place->segment);
          if (moved) state_->live[place->segment] += content.size + SegmentLog::kHeader;
        };
        try {
          state_->write_now([&](db::Connection& c, Garbage&) {
            moved = c.execute("UPDATE contents SET segment = ?, offset = ? WHERE id = ? AND segment = ? AND offset = ?",
                              place->segment, place->offset, content.id, segment.id, content.place.offset) == 1;
          });
        } catch (...) {
          moved = false;
          settle();
          throw;
        }
        settle();
      } catch (const Error& error) {
        spdlog::error("compacting the object log: {}", error.message());
        moved_all = false;  // what is damaged stays where it is
      }
    }
    if (!moved_all) continue;
    state_->log->remove(segment.id);
    const std::lock_guard lock(state_->mutex);
    state_->live.erase(segment.id);
  }
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
