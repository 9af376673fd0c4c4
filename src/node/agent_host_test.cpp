// The agent over real processes. The test program itself is the helper (host/spawner_test.cpp).
#include "node/testing_agent.h"

#include <csignal>

#include "node/logs.h"

using namespace penstock;
using namespace penstock::node;

namespace {

// As AgentFixture, with the helper's processes in place of fakes.
struct HostFixture {
  explicit HostFixture(bool sandbox = true) : loop("test control"), api(loop.executor()), any_change(loop.executor()) {
    api.set_observer([this] { any_change.set(); });
    options.data = folder.path() / "data";
    options.node_name = "node-1";
    options.cpus = 2;
    options.gpus = 0;
    options.python_steps = false;
    options.sandbox = sandbox;
    std::filesystem::create_directories(options.data);
    connect();
  }
  // Leaves no process behind, nor a helper that keeps a result for a next server.
  ~HostFixture() {
    run_on(loop, [this]() -> Async<> {
      Signal ended(loop.executor());
      spawner->set_on_change([&](const ProcessStatus& status) {
        if (!status.running) ended.set();
      });
      while (true) {
        const auto processes = co_await spawner->list();
        bool running = false;
        ended.reset();
        for (const auto& process : processes) {
          running = running || process.running;
          process.running ? spawner->signal(process.id, SIGKILL) : spawner->forget(process.id);
        }
        if (!running) break;
        co_await ended.wait_for(std::chrono::seconds(10));
      }
      spawner->set_on_change({});
    });
    spawner.reset();
  }

  void connect() {
    HelperOptions helper;
    helper.data = options.data;
    helper.program = std::filesystem::read_symlink("/proc/self/exe");
    helper.sandbox = options.sandbox;
    spawner = connect_spawner(loop, helper);
  }
  void run(std::function<Async<>(HostFixture&)> body) {
    agent = std::make_unique<Agent>(api, loop, *spawner, options);
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
  Async<> create(std::string name, std::string script, std::string more = "", std::string container = "") {
    json::object pod = parse_json(fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"restartPolicy":"Never"{},
        "containers":[{{"name":"main","image":"i"{}}}]}}}})",
                                              name, more, container))
                           .get_object();
    auto& main = pod["spec"].get_object()["containers"].get_array()[0].get_object();
    main["command"] = json::array{"sh", "-c", script};
    kube::WriteOptions write_options;
    co_await api.create(kube::kPods, std::move(pod), write_options);
  }
  Async<> until(std::function<bool()> condition) {
    while (true) {
      any_change.reset();
      if (condition()) co_return;
      const bool woken = co_await any_change.wait_for(std::chrono::seconds(20));
      if (!woken) throw std::runtime_error("nothing happened for 20 s: " + all_statuses());
    }
  }
  std::string status(const std::string& name) {
    const auto pod = api.find(kube::kPods, name);
    return pod && pod->contains("status") ? to_text(pod->at("status")) : "";
  }
  bool is(const std::string& name, std::string_view phase) {
    return status(name).find(fmt::format(R"("phase":"{}")", phase)) != std::string::npos;
  }
  std::string all_statuses() {
    std::string text;
    for (const auto& pod : api.all(kube::kPods)) text += to_text(*pod) + "\n";
    return text;
  }
  std::string log(const std::string& name) {
    const auto pod = api.find(kube::kPods, name);
    return file_text(log_path(options.data, "default", name, kube::uid_of(*pod), "main"));
  }

  TemporaryFolder folder;
  Loop loop;
  FakeApi api;
  Signal any_change;
  AgentOptions options;
  std::unique_ptr<Spawner> spawner;
  std::unique_ptr<Agent> agent;
};

}  // namespace

TEST_CASE("agent on this host: exit codes, logs, environment, volumes") {
  HostFixture fixture;
  fixture.run([](HostFixture& f) -> Async<> {
    co_await f.create("ok", "echo \"$WHO at $HOSTNAME\"; echo x > /data/x; cat /data/x; pwd; touch here",
                      R"(,"volumes":[{"name":"v","emptyDir":{}}])",
                      R"(,"env":[{"name":"WHO","value":"me"}],"volumeMounts":[{"name":"v","mountPath":"/data"}])");
    co_await f.create("bad", "echo last words >&2; exit 3", "",
                      R"(,"terminationMessagePolicy":"FallbackToLogsOnError")");
    co_await f.create("killed", "kill -9 $$$$");  // $$ is $ in a pod's command
    co_await f.until([&] { return f.is("ok", "Succeeded") && f.is("bad", "Failed") && f.is("killed", "Failed"); });
    CHECK(f.status("bad").find(R"("exitCode":3)") != std::string::npos);
    CHECK(f.status("bad").find(R"("message":"last words\n")") != std::string::npos);
    CHECK(f.status("killed").find(R"("exitCode":137)") != std::string::npos);
    if (f.spawner->sandbox_problem().empty()) CHECK(f.log("ok") == "me at ok\nx\n/tmp\n");
  });
}

TEST_CASE("agent on this host: a program that is not there") {
  HostFixture fixture;
  fixture.run([](HostFixture& f) -> Async<> {
    kube::WriteOptions write_options;
    auto pod = parse_json(R"({"metadata":{"name":"p"},"spec":{"restartPolicy":"Never",
        "containers":[{"name":"main","command":["no-such-program"]}]}})")
                   .get_object();
    co_await f.api.create(kube::kPods, std::move(pod), write_options);
    co_await f.until([&] { return f.is("p", "Failed"); });
    CHECK(f.status("p").find("ContainerCannotRun") != std::string::npos);
    CHECK(f.status("p").find("no-such-program") != std::string::npos);
  });
}

TEST_CASE("agent on this host: deletion ends the whole tree, processes outlive the server") {
  HostFixture fixture;
  fixture.run([](HostFixture& f) -> Async<> {
    co_await f.create("stays", "echo started; sleep 1000");
    co_await f.create("ends", "echo started; read line < /data/go; echo got $line; exit 4",
                      R"(,"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}])",
                      R"(,"volumeMounts":[{"name":"v","mountPath":"/data"}])");
    kube::WriteOptions write_options;
    auto claim = parse_json(R"({"metadata":{"name":"c"},"spec":{}})").get_object();
    ::mkdir((f.options.data / "volumes").c_str(), 0700);
    std::filesystem::create_directories(f.options.data / "volumes" / "default" / "c");
    ::mkfifo((f.options.data / "volumes" / "default" / "c" / "go").c_str(), 0666);
    co_await f.api.create(kube::kPersistentVolumeClaims, std::move(claim), write_options);
    co_await f.until([&] { return f.is("stays", "Running") && f.is("ends", "Running"); });
  });
  // A process that writes to a sandboxed one can only be waited for where there is a sandbox.
  const bool sandboxed = fixture.spawner->sandbox_problem().empty();
  fixture.spawner.reset();
  if (sandboxed) std::ofstream(fixture.options.data / "volumes" / "default" / "c" / "go") << "word\n";
  fixture.connect();
  fixture.run([&](HostFixture& f) -> Async<> {
    if (sandboxed) {
      co_await f.until([&] { return f.is("ends", "Failed"); });
      CHECK(f.status("ends").find(R"("exitCode":4)") != std::string::npos);
      CHECK(f.log("ends") == "started\ngot word\n");
    }
    CHECK(f.is("stays", "Running"));
    kube::DeleteOptions delete_options;
    delete_options.grace_period_seconds = 10;
    for (const char* name : {"stays", "ends"}) co_await f.api.remove(kube::kPods, "default", name, delete_options);
    co_await f.until([&] { return !f.api.find(kube::kPods, "stays") && !f.api.find(kube::kPods, "ends"); });
  });
}

TEST_CASE("agent on this host: 1000 short pods" * doctest::skip()) {
  for (const bool sandbox : {false, true}) {
    HostFixture fixture(sandbox);
    fixture.run([&](HostFixture& f) -> Async<> {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < 1000; ++i) {
        kube::WriteOptions write_options;
        auto pod = parse_json(fmt::format(R"({{"metadata":{{"name":"p{}"}},"spec":{{"restartPolicy":"Never",
            "containers":[{{"name":"main","command":["/bin/true"]}}]}}}})",
                                          i))
                       .get_object();
        co_await f.api.create(kube::kPods, std::move(pod), write_options);
      }
      size_t done = 0;
      co_await f.until([&] {
        for (; done < 1000 && f.is(fmt::format("p{}", done), "Succeeded"); ++done) {
        }
        return done == 1000;
      });
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
      MESSAGE(fmt::format("{}: {:.0f} ms for 1000 pods, {} writes", sandbox ? "sandboxed" : "plain", took.count(),
                          f.api.updates));
    });
  }
}
