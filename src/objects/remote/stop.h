// How work on other threads is told to end early.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/error.h"

namespace penstock::objects {

// Thread-safe. Shared by who may end the work and those who do it.
class Stop {
 public:
  void set() {
    {
      const std::lock_guard lock(mutex_);
      set_ = true;
    }
    changed_.notify_all();
  }
  bool is_set() const {
    const std::lock_guard lock(mutex_);
    return set_;
  }
  // Throws Cancelled when it is set.
  void check() const {
    if (is_set()) throw Error(Code::Cancelled, "stopped");
  }
  // Returns after `duration`. Throws Cancelled as soon as it is set.
  void wait(std::chrono::milliseconds duration) const {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, duration, [&] { return set_; })) throw Error(Code::Cancelled, "stopped");
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace penstock::objects
