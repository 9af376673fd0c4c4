#include "base/async.h"

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <pthread.h>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/redirect_error.hpp>
#include <spdlog/spdlog.h>

#include "base/error.h"

namespace penstock {

Loop::Loop(std::string name) : work_(asio::make_work_guard(context_)) {
  thread_ = std::thread([this, name = std::move(name)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    context_.run();
  });
}

Loop::~Loop() { stop(); }

void Loop::stop() {
  work_.reset();
  context_.stop();
  if (thread_.joinable()) thread_.join();
}

struct BlockingPool::State {
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<std::function<void()>> queue;
  bool stopping = false;
  std::vector<std::thread> threads;
};

BlockingPool::BlockingPool(int threads) : state_(std::make_unique<State>()) {
  for (int i = 0; i < threads; ++i) {
    state_->threads.emplace_back([state = state_.get()] {
      pthread_setname_np(pthread_self(), "blocking");
      std::unique_lock lock(state->mutex);
      while (true) {
        state->ready.wait(lock, [&] { return state->stopping || !state->queue.empty(); });
        if (state->queue.empty()) return;
        auto work = std::move(state->queue.front());
        state->queue.pop_front();
        lock.unlock();
        work();
        lock.lock();
      }
    });
  }
}

BlockingPool::~BlockingPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->ready.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

void BlockingPool::post(std::function<void()> work) {
  {
    std::lock_guard lock(state_->mutex);
    state_->queue.push_back(std::move(work));
  }
  state_->ready.notify_one();
}

Async<> await_external(std::function<void(ExternalDone)> start) {
  struct Outcome {
    explicit Outcome(Executor executor) : wake(executor, Timer::time_point::max()) {}
    Timer wake;
    bool finished = false;
    std::exception_ptr error;
  };
  const auto executor = co_await asio::this_coro::executor;
  Outcome outcome(executor);
  // The work refers to the caller's frame, so a cancellation must not unwind it before the work is over.
  co_await asio::this_coro::throw_if_cancelled(false);
  start([&outcome, executor, guard = asio::make_work_guard(executor)](std::exception_ptr error) mutable {
    // The guard goes along: once the caller is resumed, its loop may end at any moment.
    asio::post(executor, [&outcome, error = std::move(error), guard = std::move(guard)] {
      outcome.error = error;
      outcome.finished = true;
      outcome.wake.cancel();
    });
  });
  while (!outcome.finished) {
    boost::system::error_code ignored;
    co_await outcome.wake.async_wait(asio::redirect_error(use_async, ignored));
  }
  co_await asio::this_coro::throw_if_cancelled(true);
  if (outcome.error) std::rethrow_exception(outcome.error);
}

Async<> BlockingPool::run_void(std::function<void()> work) {
  co_await await_external([this, &work](ExternalDone done) {
    post([&work, done = std::move(done)] {
      std::exception_ptr error;
      try {
        work();
      } catch (...) {
        error = std::current_exception();
      }
      done(std::move(error));
    });
  });
}

Async<> sleep_for(std::chrono::nanoseconds duration) {
  Timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(use_async);
}

struct Scope::State {
  State(Executor ex, std::string n) : executor(ex), name(std::move(n)), empty(ex) { empty.set(); }
  Executor executor;
  std::string name;
  std::list<asio::cancellation_signal> signals;
  Signal empty;
  bool stopping = false;
};

Scope::Scope(Executor executor, std::string name) : state_(std::make_shared<State>(executor, std::move(name))) {}

Scope::~Scope() {
  if (!state_->signals.empty()) spdlog::error("{}: {} activities were not stopped", state_->name, size());
}

size_t Scope::size() const { return state_->signals.size(); }

void Scope::spawn(std::function<Async<>()> make) {
  if (state_->stopping) return;
  state_->signals.emplace_back();
  state_->empty.reset();
  const auto signal = std::prev(state_->signals.end());
  auto kept = std::make_shared<std::function<Async<>()>>(std::move(make));
  auto done = [state = state_, signal, kept](std::exception_ptr error) {
    if (error) {
      try {
        std::rethrow_exception(error);
      } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted) spdlog::error("{}: {}", state->name, e.what());
      } catch (const std::exception& e) {
        spdlog::error("{}: {}", state->name, e.what());
      }
    }
    // The slot that is erased here is the one this handler runs under: erase it from a fresh handler.
    asio::post(state->executor, [state, signal] {
      state->signals.erase(signal);
      if (state->signals.empty()) state->empty.set();
    });
  };
  asio::co_spawn(state_->executor, (*kept)(), asio::bind_cancellation_slot(signal->slot(), std::move(done)));
}

Async<> Scope::stop() {
  auto state = state_;
  state->stopping = true;
  for (auto& signal : state->signals) signal.emit(asio::cancellation_type::terminal);
  co_await state->empty.wait();
}

Signal::Signal(Executor executor) : timer_(executor, Timer::time_point::max()) {}

void Signal::set() {
  set_ = true;
  timer_.cancel();
  for (auto* timer : timed_) timer->cancel();
}

Async<> Signal::wait() {
  while (!set_) {
    boost::system::error_code error;
    co_await timer_.async_wait(asio::redirect_error(use_async, error));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted);
    }
  }
}

Async<bool> Signal::wait_for(std::chrono::nanoseconds timeout) {
  // A timer of its own, which set() finds in the list: the shared one has no deadline.
  Timer timer(timer_.get_executor(), std::chrono::steady_clock::now() + timeout);
  timed_.push_back(&timer);
  struct Leave {
    std::vector<Timer*>& timed;
    Timer* timer;
    ~Leave() { std::erase(timed, timer); }
  } leave{timed_, &timer};
  while (!set_ && std::chrono::steady_clock::now() < timer.expiry()) {
    boost::system::error_code error;
    co_await timer.async_wait(asio::redirect_error(use_async, error));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      throw boost::system::system_error(asio::error::operation_aborted);
    }
  }
  co_return set_;
}

}  // namespace penstock
