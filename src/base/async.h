// Coroutines over Asio with its concrete executor. A Loop is one thread with its io_context: state that lives on a
// loop is touched by that thread alone and needs no lock; others reach it with on().
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace penstock {

namespace asio = boost::asio;
using Executor = asio::io_context::executor_type;
template <class T = void>
using Async = asio::awaitable<T, Executor>;
inline constexpr asio::use_awaitable_t<Executor> use_async{};
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

// One thread that runs one io_context until stop().
class Loop {
 public:
  explicit Loop(std::string name);  // the thread's name, at most 15 characters
  ~Loop();                          // stops and joins
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  asio::io_context& context() { return context_; }
  Executor executor() { return context_.get_executor(); }
  bool running_here() const { return std::this_thread::get_id() == thread_.get_id(); }
  void post(std::function<void()> work) { asio::post(context_, std::move(work)); }
  void stop();

 private:
  asio::io_context context_{1};
  asio::executor_work_guard<Executor> work_;
  std::thread thread_;
};

// Runs the coroutine that `make` returns on `executor` and resumes the caller, on its own executor, with the result or
// the exception. `make` is kept alive until the coroutine ends, so that it may be a capturing lambda.
template <class Make>
auto on(Executor executor, Make make) -> std::invoke_result_t<Make> {
  auto kept = std::make_unique<Make>(std::move(make));
  // A cancellation is handed over by a message that keeps its signal: Asio's own way across executors (Boost 1.81)
  // reaches into the signal of a coroutine that may have just ended.
  auto signal = std::make_shared<asio::cancellation_signal>();
  auto state = co_await asio::this_coro::cancellation_state;
  if (state.slot().is_connected()) {
    state.slot().assign([signal, executor](asio::cancellation_type type) {
      asio::post(executor, [signal, type] { signal->emit(type); });
    });
  }
  co_return co_await asio::co_spawn(executor, (*kept)(), asio::bind_cancellation_slot(signal->slot(), use_async));
}

// Awaits work that another thread does: `start` is called at once with a callback, which may be called from any thread,
// exactly once, with what went wrong or null. The caller's frame is kept until then, also when it is cancelled.
using ExternalDone = std::function<void(std::exception_ptr)>;
Async<> await_external(std::function<void(ExternalDone)> start);

// Threads for work that blocks: files, child processes, hashing.
class BlockingPool {
 public:
  explicit BlockingPool(int threads);
  ~BlockingPool();
  void post(std::function<void()> work);

  // Runs `work` on a pool thread; resumes the caller on its own executor.
  template <class Work>
  auto run(Work work) -> Async<std::invoke_result_t<Work>> {
    using Result = std::invoke_result_t<Work>;
    if constexpr (std::is_void_v<Result>) {
      co_await run_void([&work] { work(); });
    } else {
      std::optional<Result> result;
      co_await run_void([&work, &result] { result.emplace(work()); });
      co_return std::move(*result);
    }
  }

 private:
  Async<> run_void(std::function<void()> work);
  struct State;
  std::unique_ptr<State> state_;
};

Async<> sleep_for(std::chrono::nanoseconds duration);

// A set of coroutines that are owned together: stop() asks all of them to end (their co_awaits throw
// operation_aborted) and returns when the last has ended. Lives on one executor. An exception that leaves a coroutine
// is logged with the scope's name.
class Scope {
 public:
  Scope(Executor executor, std::string name);
  ~Scope();  // every coroutine must have ended
  void spawn(std::function<Async<>()> make);
  Async<> stop();
  size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with each coroutine's completion, which may come after stop()
};

// An event that coroutines of one executor wait for. wait() returns when set() has been called since the last reset().
class Signal {
 public:
  explicit Signal(Executor executor);
  void set();  // wakes every waiter
  void reset() { set_ = false; }
  bool is_set() const { return set_; }
  Async<> wait();
  // False when `timeout` passed first.
  Async<bool> wait_for(std::chrono::nanoseconds timeout);

 private:
  Timer timer_;
  std::vector<Timer*> timed_;  // of those in wait_for()
  bool set_ = false;
};

}  // namespace penstock
