// A running agent over a fake store and fake processes, for tests. Its work happens on the control loop; run() runs a
// test's body there.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <future>

#include "node/agent.h"
#include "node/testing_api.h"
#include "node/testing_spawner.h"

namespace penstock::node {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char name[] = "/tmp/penstock-node-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Runs a coroutine on a loop and waits for it; what it throws is thrown here.
inline void run_on(Loop& loop, std::function<Async<>()> body) {
  std::promise<void> done;
  asio::co_spawn(loop.executor(), body(), [&](std::exception_ptr error) {
    if (error) {
      done.set_exception(error);
    } else {
      done.set_value();
    }
  });
  done.get_future().get();
}

struct AgentFixture {
  AgentFixture() : loop("test control"), api(loop.executor()), spawner(loop.executor()), any_change(loop.executor()) {
    api.set_observer([this] { any_change.set(); });
    spawner.set_observer([this] { any_change.set(); });
    options.data = folder.path();
    options.node_name = "node-1";
    options.cpus = 2;
    options.memory = 4LL << 30;
    options.gpus = 0;
    options.python_steps = false;
    options.running_delay = std::chrono::milliseconds(0);
    options.unschedulable_delay = std::chrono::milliseconds(0);
  }

  // Starts an agent, runs the body, stops the agent.
  void run(std::function<Async<>(AgentFixture&)> body) {
    agent = std::make_unique<Agent>(api, loop, spawner, options);
    run_on(loop, [&]() -> Async<> {
      std::exception_ptr failure;
      try {
        co_await agent->start();
        co_await body(*this);
      } catch (...) {
        failure = std::current_exception();
      }
      co_await agent->stop();
      if (failure) std::rethrow_exception(failure);
    });
    agent.reset();
  }

  Async<kube::Object> create(std::string text, const kube::Resource& resource = kube::kPods) {
    kube::WriteOptions write_options;
    co_return co_await api.create(resource, parse_json(text).get_object(), write_options);
  }
  // A pod that runs once; `more` is spliced into the spec, `container` into its one container.
  Async<kube::Object> create_pod(std::string name, std::string container = "", std::string more = "",
                                 std::string metadata = "") {
    co_return co_await create(fmt::format(
        R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}"{}}},"spec":{{"restartPolicy":"Never"{},
            "containers":[{{"name":"main","image":"i","command":["/bin/true"]{}}}]}}}})",
        name, metadata, more, container));
  }

  Async<> remove(const kube::Resource& resource, std::string name) {
    kube::DeleteOptions delete_options;
    co_await api.remove(resource, "default", name, delete_options);
  }

  // Waits until `condition` holds, looking after every change of the store or of a process.
  Async<> until(std::function<bool()> condition) {
    while (true) {
      any_change.reset();
      if (condition()) co_return;
      const bool woken = co_await any_change.wait_for(std::chrono::seconds(10));
      if (!woken) throw std::runtime_error("nothing happened for 10 s");
    }
  }

  std::string phase(const std::string& name) {
    const auto pod = api.find(kube::kPods, name);
    const auto* status = pod ? find_object(*pod, "status") : nullptr;
    return status ? get_string(*status, "phase") : "";
  }
  std::string status_text(const std::string& name) {
    const auto pod = api.find(kube::kPods, name);
    const auto* status = pod ? find_object(*pod, "status") : nullptr;
    return status ? to_text(*status) : "";
  }
  bool has_status(const std::string& name, std::string_view part) {
    return status_text(name).find(part) != std::string::npos;
  }
  // An event of the pod whose message begins with `message`.
  bool has_event(const std::string& name, std::string_view reason, std::string_view message) {
    const auto events = api.all(kube::kEvents);
    return std::any_of(events.begin(), events.end(), [&](const auto& event) {
      const auto* object = find_object(*event, "involvedObject");
      return object != nullptr && get_string(*object, "name") == name && get_string(*event, "reason") == reason &&
             get_string(*event, "message").starts_with(message);
    });
  }
  std::string uid(const std::string& name) { return std::string(kube::uid_of(*api.find(kube::kPods, name))); }
  std::string id(const std::string& name, int restart = 0) { return fmt::format("{}/main/{}", uid(name), restart); }
  const ProcessSpec& process(const std::string& id) {
    for (const auto& spec : spawner.started()) {
      if (spec.id == id) return spec;
    }
    throw std::runtime_error("no process " + id);
  }
  std::string env(const std::string& id, const std::string& name) {
    for (const auto& entry : process(id).env) {
      if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    }
    return "(absent)";
  }

  TemporaryFolder folder;
  Loop loop;
  FakeApi api;
  FakeSpawner spawner;
  Signal any_change;
  AgentOptions options;
  std::unique_ptr<Agent> agent;
};

}  // namespace penstock::node
