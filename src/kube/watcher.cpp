#include "kube/watcher.h"

#include <boost/asio/redirect_error.hpp>

#include "kube/status.h"

namespace penstock::kube {

struct Watcher::Sleeper {
  explicit Sleeper(Executor e) : executor(e), timer(e, Timer::time_point::max()) {}
  Executor executor;
  Timer timer;
};

void Watcher::deliver(EventType type, const Object& before, const Object& now) {
  const bool fits = filter_.matches(*now);
  const bool fitted = before != nullptr && filter_.matches(*before);
  if (type == EventType::Added) {
    if (fits) push({EventType::Added, now});
  } else if (type == EventType::Deleted) {
    if (fitted) push({EventType::Deleted, now});
  } else if (fits) {
    push({fitted ? EventType::Modified : EventType::Added, now});
  } else if (fitted) {
    push({EventType::Deleted, now});
  }
}

void Watcher::push(WatchEvent event) {
  std::shared_ptr<Sleeper> sleeper;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || overflowed_) return;
    if (events_.size() >= limit_) {
      overflowed_ = true;
      events_.clear();
    } else {
      events_.push_back(std::move(event));
    }
    sleeper = sleeper_.lock();
    sleeper_.reset();
  }
  if (!sleeper) return;
  const Executor executor = sleeper->executor;
  asio::post(executor, [sleeper = std::move(sleeper)] { sleeper->timer.cancel(); });
}

void Watcher::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  events_.clear();
}

Async<WatchEvent> Watcher::next() {
  std::shared_ptr<Sleeper> sleeper;
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (overflowed_) {
        closed_ = true;
        throw expired("the watch fell too far behind and was ended: list again and watch from there");
      }
      if (!events_.empty()) {
        WatchEvent event = std::move(events_.front());
        events_.pop_front();
        sleeper_.reset();
        co_return event;
      }
    }
    if (!sleeper) sleeper = std::make_shared<Sleeper>(co_await asio::this_coro::executor);
    {
      std::lock_guard lock(mutex_);
      // What came meanwhile is taken at once.
      if (!events_.empty() || overflowed_) continue;
      sleeper_ = sleeper;
    }
    boost::system::error_code ignored;
    co_await sleeper->timer.async_wait(asio::redirect_error(use_async, ignored));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted);
    }
  }
}

}  // namespace penstock::kube
