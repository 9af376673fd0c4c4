// One watch on the embedded store: a queue between the control loop, which puts events in, and the loop of whoever
// watches.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>

#include "kube/selector.h"

namespace penstock::kube {

class Watcher {
 public:
  // How many events may wait beyond those that the watch began with. A watcher that is slower is cut off.
  static constexpr size_t kMaxWaiting = 8192;

  Watcher(Filter filter, bool bookmarks) : filter_(std::move(filter)), bookmarks_(bookmarks) {}

  // By the control loop. `before` is null for a new object, `now` (with the version of its deletion) has it still when
  // it is deleted. What enters or leaves the filter is Added or Deleted to this watcher.
  void deliver(EventType type, const Object& before, const Object& now);
  void push(WatchEvent event);
  // Makes room for the events that the watch begins with.
  void begin(size_t initial) { limit_ = initial + 1 + kMaxWaiting; }

  bool wants_bookmarks() const { return bookmarks_; }
  bool closed() const { return closed_; }
  void close();  // by any thread: the watch is over

  // By the one who watches.
  Async<WatchEvent> next();

 private:
  const Filter filter_;
  const bool bookmarks_;
  std::atomic<bool> closed_ = false;

  std::mutex mutex_;
  std::deque<WatchEvent> events_;
  size_t limit_ = kMaxWaiting;
  bool overflowed_ = false;
  // There while next() is suspended, which owns it: its alarm clock, touched on its own executor only.
  struct Sleeper;
  std::weak_ptr<Sleeper> sleeper_;
};

}  // namespace penstock::kube
