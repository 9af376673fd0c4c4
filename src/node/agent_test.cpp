#include "node/agent.h"

#include "node/logs.h"
#include "node/testing_agent.h"

using namespace penstock;
using namespace penstock::node;
using Fixture = AgentFixture;

TEST_CASE("agent: a pod runs and ends") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    co_await f.create_pod("p");
    co_await f.until([&] { return f.phase("p") == "Running"; });
    const auto pod = f.api.find(kube::kPods, "p");
    CHECK(get_string(pod->at("spec").get_object(), "nodeName") == "node-1");
    const auto& process = f.process(f.id("p"));
    CHECK(process.argv == std::vector<std::string>{"/bin/true"});
    CHECK(process.cwd == "/tmp");
    CHECK(process.sandbox);
    CHECK(process.tmp == f.folder.path() / "pods" / f.uid("p") / "tmp");
    CHECK(process.log == log_path(f.folder.path(), "default", "p", f.uid("p"), "main"));
    CHECK(f.env(process.id, "HOSTNAME") == "p");
    CHECK(f.env(process.id, "HOME") == "/tmp");
    CHECK(f.agent->used().cpu_milli == 100);
    f.spawner.finish(f.id("p"), 0);
    co_await f.until([&] { return f.phase("p") == "Succeeded"; });
    co_await f.until([&] { return f.spawner.forgotten().size() == 1; });
    CHECK(f.spawner.forgotten()[0] == f.id("p"));
    CHECK(f.agent->used().cpu_milli == 0);
    CHECK(f.api.updates == 2);
    CHECK(std::filesystem::exists(process.tmp));
    co_await f.remove(kube::kPods, "p");
    co_await f.until([&] { return !f.api.find(kube::kPods, "p"); });
  });
  // Whatever the stop left undone, the next start does.
  fixture.run([](Fixture&) -> Async<> { co_return; });
  CHECK(std::filesystem::is_empty(fixture.folder.path() / "pods"));
}

TEST_CASE("agent: a quick pod costs one write") {
  Fixture fixture;
  fixture.options.running_delay = std::chrono::seconds(5);
  fixture.options.unschedulable_delay = std::chrono::seconds(5);
  fixture.spawner.set_script([](const ProcessSpec&) { return 0; });
  fixture.run([](Fixture& f) -> Async<> {
    for (int i = 0; i < 50; ++i) co_await f.create_pod(fmt::format("p{}", i));
    co_await f.until([&] { return f.spawner.forgotten().size() == 50; });
    for (int i = 0; i < 50; ++i) CHECK(f.phase(fmt::format("p{}", i)) == "Succeeded");
    CHECK(f.api.updates == 50);
  });
}

TEST_CASE("agent: pods queue when their requests do not fit, and say why") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    const std::string one_cpu = R"(,"resources":{"requests":{"cpu":"1500m"}})";
    co_await f.create_pod("a", one_cpu);
    co_await f.create_pod("b", one_cpu);
    co_await f.until([&] { return f.phase("a") == "Running" && f.has_status("b", "Unschedulable"); });
    CHECK(f.has_status("b", "0/1 nodes are available: insufficient cpu: asked 1.5, free 500m"));
    CHECK(f.spawner.started().size() == 1);
    co_await f.until([&] { return f.has_event("b", "FailedScheduling", "0/1 nodes are available: insufficient cpu"); });
    f.spawner.finish(f.id("a"), 1);
    co_await f.until([&] { return f.phase("a") == "Failed" && f.phase("b") == "Running"; });
    CHECK(f.has_status("a", R"("exitCode":1)"));
    CHECK_FALSE(f.has_status("b", "Unschedulable"));
    co_await f.create_pod("never", R"(,"resources":{"requests":{"cpu":"64"}})");
    co_await f.until([&] { return f.phase("never") == "Failed"; });
    CHECK(f.has_status("never", "OutOfcpu"));
    CHECK(f.has_status("never", "asked 64, present 2"));
    co_await f.create_pod("odd", R"(,"resources":{"requests":{"cpu":"many"}})");
    co_await f.until([&] { return f.phase("odd") == "Failed"; });
    CHECK(f.has_status("odd", "spec.containers[0].resources.requests.cpu"));
  });
}

TEST_CASE("agent: deletion ends the process, then removes the object") {
  Fixture fixture;
  FakeClock clock(SystemClock().now());
  fixture.options.clock = &clock;
  fixture.spawner.ignore_sigterm();
  fixture.run([&clock](Fixture& f) -> Async<> {
    co_await f.create_pod("p");
    co_await f.until([&] { return f.phase("p") == "Running"; });
    const auto id = f.id("p");
    kube::DeleteOptions options;
    options.grace_period_seconds = 7;
    co_await f.api.remove(kube::kPods, "default", "p", options);
    co_await f.until([&] { return f.spawner.signals().size() == 1; });
    CHECK(f.spawner.signals()[0] == std::pair<std::string, int>(id, 15));
    CHECK(f.api.find(kube::kPods, "p"));
    clock.advance(std::chrono::seconds(6));
    f.agent->tick();
    CHECK(f.spawner.signals().size() == 1);
    clock.advance(std::chrono::seconds(1));
    f.agent->tick();
    CHECK(f.spawner.signals().back() == std::pair<std::string, int>(id, 9));
    co_await f.until([&] { return !f.api.find(kube::kPods, "p"); });
    co_await f.until([&] { return f.spawner.forgotten().size() == 1; });
    CHECK(f.agent->used().pods == 0);
  });
}

TEST_CASE("agent: deletion of queued pods, and by force") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    const std::string all = R"(,"resources":{"requests":{"cpu":"2"}})";
    co_await f.create_pod("a", all);
    co_await f.create_pod("b", all);
    co_await f.create_pod("c", all);
    co_await f.until([&] { return f.phase("a") == "Running" && f.has_status("b", "Unschedulable"); });
    const auto id = f.id("a");
    co_await f.remove(kube::kPods, "b");
    kube::DeleteOptions force;
    force.grace_period_seconds = 0;
    co_await f.api.remove(kube::kPods, "default", "a", force);
    co_await f.until([&] { return f.phase("c") == "Running"; });
    CHECK(f.spawner.signals().size() == 1);
    CHECK(f.spawner.signals()[0] == std::pair<std::string, int>(id, 9));
    CHECK(f.spawner.started().size() == 2);
  });
}

TEST_CASE("agent: a pod waits for a Secret and starts when it is there") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    co_await f.create_pod("p", R"(,"env":[{"name":"KEY","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}],
                                  "volumeMounts":[{"name":"v","mountPath":"/etc/secret"}])",
                          R"(,"volumes":[{"name":"v","secret":{"secretName":"s","defaultMode":256}}])");
    co_await f.until([&] { return f.has_status("p", "CreateContainerConfigError"); });
    CHECK(f.has_status("p", R"(secret \"s\" not found)"));
    CHECK(f.spawner.started().empty());
    co_await f.until([&] { return f.has_event("p", "Failed", R"(Error: secret "s" not found)"); });
    co_await f.create(R"({"metadata":{"name":"other"},"data":{}})", kube::kSecrets);
    co_await f.create(R"({"metadata":{"name":"s"},"data":{"k":"aMOpIQ==","l":""}})", kube::kSecrets);
    co_await f.until([&] { return f.phase("p") == "Running"; });
    CHECK(f.env(f.id("p"), "KEY") == "hé!");
    const auto& mounts = f.process(f.id("p")).mounts;
    REQUIRE(mounts.size() == 1);
    CHECK(mounts[0].target == "/etc/secret");
    CHECK(mounts[0].read_only);
    CHECK(file_text(mounts[0].source / "k") == "hé!");
    CHECK(file_text(mounts[0].source / "l").empty());
    using std::filesystem::perms;
    CHECK(std::filesystem::status(mounts[0].source / "k").permissions() == perms::owner_read);
    CHECK(std::filesystem::status(f.folder.path() / "pods" / f.uid("p")).permissions() == perms::owner_all);
  });
}

TEST_CASE("agent: what can never start fails and says why") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    co_await f.create(R"({"metadata":{"name":"nocommand"},
        "spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"busybox"}]}})");
    co_await f.until([&] { return f.phase("nocommand") == "Failed"; });
    CHECK(f.has_status("nocommand", "ContainerCannotRun"));
    CHECK(f.has_status("nocommand", "set command"));
    co_await f.create_pod("host", R"(,"volumeMounts":[{"name":"v","mountPath":"/v"}])",
                          R"(,"volumes":[{"name":"v","hostPath":{"path":"/etc"}}])");
    co_await f.until([&] { return f.phase("host") == "Failed"; });
    CHECK(f.has_status("host", "spec.volumes[0].hostPath.path"));
    CHECK(f.has_status("host", "is not allowed here"));
    co_await f.create_pod("tmp", "", "", R"(,"annotations":{"penstock.dev/tmp-dir":"/etc"})");
    co_await f.until([&] { return f.phase("tmp") == "Failed"; });
    CHECK(f.has_status("tmp", "penstock.dev/tmp-dir"));
    CHECK(f.spawner.started().empty());
    CHECK(f.agent->used().pods == 0);
  });
}

TEST_CASE("agent: the given tmp folder is used and kept") {
  Fixture fixture;
  const auto tmp = fixture.folder.path() / "tasks" / "7";
  std::filesystem::create_directories(tmp);
  fixture.run([&tmp](Fixture& f) -> Async<> {
    co_await f.create_pod("p", "", "", fmt::format(R"(,"annotations":{{"penstock.dev/tmp-dir":"{}"}})", tmp.string()));
    co_await f.until([&] { return f.phase("p") == "Running"; });
    CHECK(f.process(f.id("p")).tmp == tmp);
    CHECK_FALSE(std::filesystem::exists(f.folder.path() / "pods" / f.uid("p")));
    kube::DeleteOptions force;
    force.grace_period_seconds = 0;
    co_await f.api.remove(kube::kPods, "default", "p", force);
    co_await f.until([&] { return f.spawner.forgotten().size() == 1; });
  });
  CHECK(std::filesystem::exists(tmp));
}

TEST_CASE("agent: several containers, init containers, restarts") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    co_await f.create(R"j({"metadata":{"name":"p"},"spec":{"restartPolicy":"OnFailure",
        "initContainers":[{"name":"init","command":["a"]}],
        "containers":[{"name":"x","command":["b"]},{"name":"y","command":["c","$(HOSTNAME)","$$(X)","$(NO)"]}]}})j");
    const auto id = [&](std::string_view rest) { return fmt::format("{}/{}", f.uid("p"), rest); };
    co_await f.until([&] { return f.spawner.starts_of(id("init/0")) == 1; });
    CHECK(f.spawner.started().size() == 1);
    f.spawner.finish(id("init/0"), 0);
    co_await f.until([&] { return f.spawner.starts_of(id("x/0")) == 1 && f.spawner.starts_of(id("y/0")) == 1; });
    CHECK(f.process(id("y/0")).argv == std::vector<std::string>{"c", "p", "$(X)", "$(NO)"});
    f.spawner.finish(id("x/0"), 3);
    co_await f.until([&] { return f.spawner.starts_of(id("x/1")) == 1; });
    f.spawner.finish(id("x/1"), 0);
    f.spawner.finish(id("y/0"), 0);
    co_await f.until([&] { return f.phase("p") == "Succeeded" && f.spawner.forgotten().size() == 4; });
    CHECK(f.has_status("p", R"("restartCount":1)"));
  });
}

TEST_CASE("agent: conflicts are tried again with the newest object") {
  Fixture fixture;
  fixture.api.fail_updates = 3;
  fixture.spawner.set_script([](const ProcessSpec&) { return 0; });
  fixture.run([](Fixture& f) -> Async<> {
    co_await f.create_pod("p");
    co_await f.until([&] { return f.phase("p") == "Succeeded"; });
  });
}

TEST_CASE("agent: a process that was not sandboxed shows on its pod") {
  Fixture fixture;
  fixture.spawner.set_sandbox_problem("user namespaces are off");
  fixture.run([](Fixture& f) -> Async<> {
    co_await f.create_pod("p");
    co_await f.until([&] { return f.phase("p") == "Running"; });
    const auto& metadata = f.api.find(kube::kPods, "p")->at("metadata").get_object();
    CHECK(get_string(metadata.at("annotations").get_object(), "penstock.dev/sandbox") ==
          "none: user namespaces are off");
    const auto& process = f.process(f.id("p"));
    CHECK(process.cwd == process.tmp.string());
    CHECK(f.env(process.id, "TMPDIR") == process.tmp.string());
  });
}

TEST_CASE("agent: GPUs are assigned and kept over a restart of the server") {
  Fixture fixture;
  fixture.options.gpus = 2;
  const std::string gpu = R"(,"resources":{"limits":{"nvidia.com/gpu":1}})";
  fixture.run([&gpu](Fixture& f) -> Async<> {
    co_await f.create_pod("none");
    co_await f.create_pod("a", gpu);
    co_await f.create_pod("b", gpu);
    co_await f.until([&] { return f.phase("b") == "Running" && f.phase("a") == "Running"; });
    CHECK(f.env(f.id("a"), "CUDA_VISIBLE_DEVICES") == "0");
    CHECK(f.env(f.id("b"), "NVIDIA_VISIBLE_DEVICES") == "1");
    CHECK(f.env(f.id("none"), "CUDA_VISIBLE_DEVICES").empty());
    f.spawner.finish(f.id("a"), 0);
    co_await f.until([&] { return f.phase("a") == "Succeeded"; });
  });
  fixture.run([&gpu](Fixture& f) -> Async<> {
    co_await f.create_pod("c", gpu);
    co_await f.create_pod("d", gpu);
    co_await f.until([&] { return f.phase("c") == "Running" && f.has_status("d", "insufficient nvidia.com/gpu"); });
    CHECK(f.env(f.id("c"), "CUDA_VISIBLE_DEVICES") == "0");
  });
}

TEST_CASE("agent: a restart of the server loses no process and starts none twice") {
  Fixture fixture;
  std::string running, ended, unbound, gone, removed;
  fixture.run([&](Fixture& f) -> Async<> {
    for (const char* name : {"running", "ended", "gone", "removed"}) co_await f.create_pod(name);
    co_await f.until([&] {
      return f.phase("running") == "Running" && f.phase("ended") == "Running" && f.phase("gone") == "Running" &&
             f.phase("removed") == "Running";
    });
    running = f.id("running"), ended = f.id("ended"), gone = f.id("gone"), removed = f.id("removed");
  });
  // While no server is there: one ends, one vanishes, one loses its pod, and one was started before it was recorded.
  run_on(fixture.loop, [&]() -> Async<> {
    auto& f = fixture;
    f.spawner.finish(ended, 5);
    f.spawner.forget(gone);
    kube::DeleteOptions force;
    force.grace_period_seconds = 0;
    co_await f.api.remove(kube::kPods, "default", "removed", force);
    co_await f.create_pod("unbound");
    co_await f.create_pod("fresh");
    unbound = f.id("unbound");
    f.spawner.add_known({.id = unbound, .running = true, .sandboxed = true});
  });
  fixture.run([&](Fixture& f) -> Async<> {
    co_await f.until([&] {
      return f.phase("ended") == "Failed" && f.phase("gone") == "Failed" && f.phase("unbound") == "Running" &&
             f.phase("fresh") == "Running";
    });
    CHECK(f.has_status("ended", R"("exitCode":5)"));
    CHECK(f.has_status("gone", "NodeLost"));
    CHECK(f.phase("running") == "Running");
    CHECK(f.spawner.starts_of(running) == 1);
    CHECK(f.spawner.starts_of(unbound) == 0);
    CHECK(f.agent->used().cpu_milli == 300);
    co_await f.until([&] { return !f.spawner.processes().contains(removed); });
    CHECK(f.spawner.signals().back() == std::pair<std::string, int>(removed, 9));
    f.spawner.finish(running, 0);
    f.spawner.finish(unbound, 0);
    co_await f.until([&] { return f.phase("running") == "Succeeded" && f.phase("unbound") == "Succeeded"; });
  });
}

TEST_CASE("agent: a process that ends while the server starts is not taken for running") {
  Fixture fixture;
  std::string id;
  fixture.run([&](Fixture& f) -> Async<> {
    co_await f.create_pod("p");
    co_await f.until([&] { return f.phase("p") == "Running"; });
    id = f.id("p");
  });
  fixture.spawner.set_while_listing([&] { fixture.spawner.finish(id, 3); });
  fixture.run([&](Fixture& f) -> Async<> {
    co_await f.until([&] { return f.phase("p") == "Failed"; });
    CHECK(f.has_status("p", R"("exitCode":3)"));
  });
}

TEST_CASE("agent: a pod that is over goes when it is deleted, whenever that was") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    for (const char* name : {"ended", "over"}) co_await f.create_pod(name);
    co_await f.until([&] { return f.phase("ended") == "Running" && f.phase("over") == "Running"; });
  });
  run_on(fixture.loop, [&]() -> Async<> {
    // The process of one ended by itself; of the other that is recorded, and nobody came to remove it.
    auto& f = fixture;
    f.spawner.finish(f.id("ended"), 0);
    f.spawner.finish(f.id("over"), 0);
    f.spawner.forget(f.id("over"));
    kube::DeleteOptions later;
    later.grace_period_seconds = 100;
    for (const char* name : {"ended", "over"}) co_await f.api.remove(kube::kPods, "default", name, later);
    json::object over = *f.api.find(kube::kPods, "over");
    over["status"] = json::object{{"phase", "Succeeded"}};
    kube::WriteOptions status;
    status.subresource = "status";
    co_await f.api.update(kube::kPods, std::move(over), status);
  });
  fixture.run([](Fixture& f) -> Async<> {
    co_await f.until([&] { return !f.api.find(kube::kPods, "ended") && !f.api.find(kube::kPods, "over"); });
    CHECK(f.agent->used().pods == 0);
  });
}

TEST_CASE("agent: claims are bound, used, and emptied when they are deleted") {
  Fixture fixture;
  const auto file = fixture.folder.path() / "volumes" / "default" / "data" / "sub" / "x";
  fixture.run([&file](Fixture& f) -> Async<> {
    co_await f.create_pod("p", R"(,"volumeMounts":[{"name":"v","mountPath":"/data","subPath":"sub"}])",
                          R"(,"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"data"}}])");
    co_await f.until([&] { return f.has_status("p", "persistentvolumeclaim"); });
    co_await f.create(R"({"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],
                          "resources":{"requests":{"storage":"1Gi"}}}})",
                      kube::kPersistentVolumeClaims);
    co_await f.until([&] { return f.phase("p") == "Running"; });
    const auto claim = f.api.find(kube::kPersistentVolumeClaims, "data");
    CHECK(to_text(claim->at("status")) ==
          R"({"phase":"Bound","accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"}})");
    CHECK(f.process(f.id("p")).mounts[0].source == file.parent_path());
    std::ofstream(file) << "x";
    co_await f.remove(kube::kPersistentVolumeClaims, "data");
    co_await f.create(R"({"metadata":{"name":"data"},"spec":{}})", kube::kPersistentVolumeClaims);
    co_await f.until([&] {
      const auto again = f.api.find(kube::kPersistentVolumeClaims, "data");
      return again && again->contains("status");
    });
  });
  CHECK_FALSE(std::filesystem::exists(file));
  CHECK(std::filesystem::exists(file.parent_path().parent_path()));
}

TEST_CASE("agent: pod groups start together") {
  Fixture fixture;
  fixture.run([](Fixture& f) -> Async<> {
    const std::string group = R"(,"labels":{"scheduling.x-k8s.io/pod-group":"g"},
                                  "annotations":{"scheduling.x-k8s.io/min-member":"2"})";
    co_await f.create_pod("g0", "", "", group);
    co_await f.until([&] { return f.has_status("g0", "has 1 of 2 pods"); });
    co_await f.create_pod("g1", "", "", group);
    co_await f.until([&] { return f.phase("g0") == "Running" && f.phase("g1") == "Running"; });
  });
}
