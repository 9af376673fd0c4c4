// What has changed in this server, for those who look at it live.
//
// Every change is told here once by whoever made it and kept in a ring of bounded size. Readers have a place in the
// ring and take what comes after it, when it suits them: nothing is queued for a reader, and one that is so slow that
// the ring has passed it is told to look at everything anew. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/async.h"

namespace penstock::server {

struct Change {
  enum class Kind { Run, Task, Pipeline, Version, Experiment, RecurringRun, Artifact, Pod, Event };
  enum class What { Added, Changed, Removed };
  Kind kind;
  What what;
  std::string id;  // of objects of Kubernetes the name
  std::string ns;
  std::string state;     // of those that have one
  std::string parent;    // the run of a task, an artifact and a pod; the pipeline of a version; the object of an event
  uint64_t version = 0;  // given by the feed; each is greater than the last
};
std::string_view to_string(Change::Kind kind);  // "run"

// Which changes a reader wants.
class ChangeFilter {
 public:
  // "runs,run:0b8f…": names of kinds, and single runs with what belongs to them. Empty: all kinds. Throws
  // InvalidArgument naming the topic. `ns`: of this namespace alone, when not empty; what has none is of every one.
  ChangeFilter(std::string_view topics, std::string ns);
  bool wants(const Change& change) const;

 private:
  std::array<bool, 9> kinds_{};
  std::set<std::string, std::less<>> runs_;
  std::string ns_;
};

class Feed {
 public:
  explicit Feed(size_t kept = 8192);

  void publish(std::vector<Change> changes);
  // Something has changed that nobody can tell any more: all readers are to look at everything anew.
  void lose();

  // A place in the ring, as clients keep it: it names this feed, because a server that is started anew counts anew.
  std::string place(uint64_t version) const;
  // The version that a place names; none when it is of another feed, or no place.
  std::optional<uint64_t> version_of(std::string_view place) const;
  uint64_t newest() const;

  struct News {
    std::vector<Change> changes;  // of each object the last one, in order
    uint64_t newest = 0;          // read on from here
    bool lost = false;            // what came between is kept no more
  };
  News after(uint64_t version, const ChangeFilter& filter) const;

  // Waits for changes on the coroutine's executor.
  class Reader {
   public:
    Reader(Feed& feed, const ChangeFilter& filter, Executor executor);
    ~Reader();
    // From now on news wake it; to be called before after().
    void arm();
    // True when there may be news; false when the time is over.
    Async<bool> wait_for(std::chrono::milliseconds timeout);
    // After wait_for(): of what was told since the last after(), nothing up to this version is wanted. So a reader of
    // few things does not fall behind while much else changes.
    uint64_t quiet_until() const;

   private:
    friend class Feed;
    struct State;
    Feed& feed_;
    std::shared_ptr<State> state_;  // shared with wakes that are on their way
  };

  // Ends all readers: news wake them, and closed() is true.
  void close();
  bool closed() const { return closed_; }
  size_t readers() const;

 private:
  const std::string name_;
  const size_t kept_;
  std::atomic<bool> closed_ = false;
  void wake_all();  // with the mutex held

  mutable std::mutex mutex_;
  std::deque<Change> ring_;
  uint64_t newest_ = 0;
  std::unordered_set<std::shared_ptr<Reader::State>> waiting_;
};

}  // namespace penstock::server
