#include "node/oci/oci_spawner.h"

#include <csignal>
#include <map>
#include <mutex>
#include <unistd.h>

#include <boost/asio/use_future.hpp>
#include <spdlog/spdlog.h>

#include "base/error.h"
#include "node/log_writer.h"
#include "node/oci/container.h"
#include "node/oci/engine.h"
#include "node/oci/image_store.h"

namespace penstock::node {

namespace {

constexpr int kCannotStart = 126;
// How long the engine may be away before its containers are given up.
constexpr int kPatience = 120;
constexpr std::chrono::seconds kPause{1};

// Everything lives on the spawner's own loop: logs are written here, and the control loop is not held up by that.
class OciSpawner : public Spawner {
 public:
  OciSpawner(Loop& control, OciOptions options, std::string user)
      : control_(control),
        options_(std::move(options)),
        user_(std::move(user)),
        engine_(options_.socket),
        loop_("containers"),
        scope_(loop_.executor(), "containers"),
        known_(loop_.executor()) {
    scope_on_loop([this] { return find_again(); });
  }

  ~OciSpawner() override {
    {
      std::lock_guard lock(listener_->mutex);
      listener_->closed = true;
    }
    asio::co_spawn(loop_.executor(), on(loop_.executor(), [this] { return scope_.stop(); }), asio::use_future).get();
  }

  void set_on_change(OnChange on_change) override {
    {
      std::lock_guard lock(listener_->mutex);
      listener_->on_change = std::move(on_change);
    }
    loop_.post([this] {
      for (const auto& [id, process] : processes_) tell(process.status);
    });
  }

  void start(ProcessSpec spec) override {
    auto shared = std::make_shared<ProcessSpec>(std::move(spec));  // std::function copies what it holds
    scope_on_loop([this, shared] { return run(shared); });
  }

  void signal(const std::string& id, int number) override {
    scope_on_loop([this, id, number] { return send_signal(id, number); });
  }

  void forget(const std::string& id) override {
    scope_on_loop([this, id] { return drop(id); });
  }

  Async<std::vector<ProcessStatus>> list() override {
    auto read = [this]() -> Async<std::vector<ProcessStatus>> {
      co_await known_.wait();
      std::vector<ProcessStatus> all;
      for (const auto& [id, process] : processes_) all.push_back(process.status);
      co_return all;
    };
    co_return co_await on(loop_.executor(), std::move(read));
  }

  std::string sandbox_problem() const override { return {}; }

 private:
  struct Listener {
    std::recursive_mutex mutex;
    bool closed = false;
    OnChange on_change;
  };
  struct Process {
    ProcessStatus status;
    std::string container;  // its id; empty while there is none
    int signal = 0;         // came before the container did
    bool killed = false;    // SIGKILL was sent
  };

  void scope_on_loop(std::function<Async<>()> make) {
    loop_.post([this, make = std::move(make)] { scope_.spawn(make); });
  }

  static Time now() { return SystemClock().now(); }

  void tell(const ProcessStatus& status) {
    control_.post([listener = listener_, status] {
      // Held during the call, so that after the end none is under way.
      std::lock_guard lock(listener->mutex);
      if (!listener->closed && listener->on_change) listener->on_change(status);
    });
  }

  void ended(Process& process, int exit_code, std::string message) {
    process.status.running = false;
    process.status.pid = 0;
    process.status.exit_code = exit_code;
    process.status.signal = exit_code > 128 && exit_code < 128 + 65 ? exit_code - 128 : 0;
    if (!message.empty()) process.status.message = std::move(message);
    process.status.finished_at = now();
    if (process.status.started_at == Time{}) process.status.started_at = process.status.finished_at;
    tell(process.status);
  }

  Async<> find_again() {
    json::array found;
    for (int tries = 0;; ++tries) {
      try {
        found = co_await engine_.list(fmt::format("{}={}", kDataLabel, options_.data.string()));
        break;
      } catch (const Error& error) {
        if (tries == 0) spdlog::error("the container engine does not answer: {}", error.message());
      }
      co_await sleep_for(kPause);
    }
    for (const json::value& item : found) {
      const json::object& container = item.as_object();
      const auto* labels = find_object(container, "Labels");
      const std::string id = labels == nullptr ? "" : get_string(*labels, kIdLabel);
      if (id.empty() || processes_.contains(id)) continue;
      const std::string engine_id = get_string(container, "Id");
      if (get_string(container, "State") == "created") {
        // The server died before it was started; it will be made again.
        co_await engine_.remove(engine_id);
        continue;
      }
      Process& process = processes_[id];
      process.container = engine_id;
      process.status.id = id;
      process.status.running = true;
      process.status.sandboxed = true;
      const LogPlace log = log_of(*labels);
      co_await take_state(id);
      tell(processes_.at(id).status);
      scope_.spawn([this, id, log] { return follow(id, log); });
    }
    known_.set();
  }

  Async<> run(std::shared_ptr<ProcessSpec> spec) {
    co_await known_.wait();
    if (const auto found = processes_.find(spec->id); found != processes_.end()) {
      tell(found->second.status);
      co_return;
    }
    Process& process = processes_[spec->id];  // stays until it has ended and is forgotten
    process.status.id = spec->id;
    process.status.sandboxed = true;
    process.status.running = true;
    std::string failure;
    try {
      if (spec->user.empty()) spec->user = user_;
      co_await ensure_image(engine_, spec->image, spec->pull_policy, spec->registry_auth);
      json::object config = container_config(*spec, options_.data);
      std::string name = container_name(*spec, options_.data);
      const std::string container = co_await engine_.create(std::move(name), std::move(config));
      process.container = container;
      if (process.signal == 0) co_await engine_.start(container);
    } catch (const Error& error) {
      failure = error.message();
    }
    if (!failure.empty() || process.signal != 0) {
      const std::string container = process.container;
      ended(process, failure.empty() ? 128 + process.signal : kCannotStart, std::move(failure));
      if (!container.empty()) co_await remove(container);
      co_return;
    }
    process.status.started_at = now();
    tell(process.status);
    LogPlace log{spec->log, spec->log_limit};
    co_await follow(spec->id, std::move(log));
  }

  // Writes the log until the container is over, then tells how it ended. The log is written anew, as the engine has
  // all of it.
  Async<> follow(std::string id, LogPlace log) {
    const std::string container = processes_.at(id).container;
    if (!log.path.empty()) {
      std::error_code ignored;
      std::filesystem::remove(log.path, ignored);
    }
    int failures = 0;
    for (bool over = false; !over;) {
      LogWriter writer(log.path, log.limit);
      std::string failure;
      bool gone = false;
      try {
        co_await engine_.follow_logs(container, [&writer](std::string_view bytes) { writer.write(bytes); });
        co_await engine_.wait(container);
        over = co_await take_state(id);
        if (over) break;
      } catch (const Error& error) {
        failure = error.message();
        gone = error.code() == Code::NotFound || ++failures > kPatience;
      }
      if (gone) {
        ended(processes_.at(id), 128 + SIGKILL, fmt::format("its container is gone: {}", failure));
        co_return;
      }
      co_await sleep_for(kPause);
      if (!log.path.empty()) {
        std::error_code ignored;
        std::filesystem::resize_file(log.path, 0, ignored);
      }
    }
    Process& process = processes_.at(id);
    process.status.running = false;
    tell(process.status);
  }

  // What the engine says of the container. True when it is over; the status says running until that is told.
  Async<bool> take_state(std::string id) {
    const json::object container = co_await engine_.inspect(processes_.at(id).container);
    Process& process = processes_.at(id);
    co_return read_state(container, process.killed, process.status);
  }

  Async<> send_signal(std::string id, int number) {
    co_await known_.wait();
    const auto found = processes_.find(id);
    if (found == processes_.end() || !found->second.status.running) co_return;
    if (found->second.container.empty()) {
      found->second.signal = number;
      co_return;
    }
    const std::string container = found->second.container;
    found->second.killed = found->second.killed || number == SIGKILL;
    try {
      co_await engine_.kill(container, number);
    } catch (const Error& error) {
      spdlog::error("container of {}: cannot send signal {}: {}", id, number, error.message());
    }
  }

  Async<> drop(std::string id) {
    const auto found = processes_.find(id);
    if (found == processes_.end() || found->second.status.running) co_return;
    const std::string container = found->second.container;
    processes_.erase(found);
    if (!container.empty()) co_await remove(container);
  }

  // A container that cannot be removed now is found again by the next server.
  Async<> remove(std::string container) {
    try {
      co_await engine_.remove(container);
    } catch (const Error& error) {
      spdlog::error("container {}: cannot be removed: {}", container, error.message());
    }
  }

  Loop& control_;
  OciOptions options_;
  std::string user_;
  ContainerEngine engine_;
  Loop loop_;
  Scope scope_;
  Signal known_;  // set when the containers of former servers have been found
  std::map<std::string, Process> processes_;
  std::shared_ptr<Listener> listener_ = std::make_shared<Listener>();  // shared with calls on their way to control
};

}  // namespace

std::unique_ptr<Spawner> connect_oci_spawner(Loop& control, OciOptions options) {
  options.data = std::filesystem::canonical(options.data);
  if (options.socket.empty()) {
    throw Error(Code::Unavailable,
                "runtime: oci needs a container engine, and there is none: start Docker or `podman system service`, or "
                "name its socket with --container-engine");
  }
  json::object info;
  try {
    auto ask = [&]() -> Async<json::object> {
      const ContainerEngine engine(options.socket);
      co_return co_await engine.info();
    };
    info = asio::co_spawn(control.executor(), on(control.executor(), ask), asio::use_future).get();
  } catch (const Error& error) {
    throw Error(Code::Unavailable, fmt::format("runtime: the container engine does not answer: {}", error.message()));
  }
  // An engine that runs as root on behalf of an ordinary user: what steps write must be that user's.
  const bool as_this_user = geteuid() != 0 && to_text(json::value(info)).find("name=rootless") == std::string::npos;
  std::string user = as_this_user ? fmt::format("{}:{}", geteuid(), getegid()) : "";
  return std::make_unique<OciSpawner>(control, std::move(options), std::move(user));
}

}  // namespace penstock::node
