#include "node/pod_lifecycle.h"

#include <doctest/doctest.h>

#include <csignal>

using namespace penstock;
using namespace penstock::node;
using namespace std::chrono_literals;

namespace {

const PodLifecycle::Place kPlace{"node-1", "127.0.0.1"};
const Time kStart = from_micros(1'700'000'000'000'000);

// A pod with its lifecycle; times are seconds after kStart.
struct Fixture {
  explicit Fixture(std::string_view spec, std::string_view status = "{}")
      : pod(parse_json(
                fmt::format(R"({{"metadata":{{"name":"p","namespace":"default","uid":"u"}},"spec":{},"status":{}}})",
                            spec, status))
                .get_object()),
        life(pod, &kPlace) {}

  static Time at(int seconds) { return kStart + std::chrono::seconds(seconds); }

  Effects run(const std::string& container, int restart, int now = 0) {
    life.spawned({container, restart});
    return life.process_changed({.id = process_id("u", container, restart), .running = true, .started_at = at(now)},
                                at(now));
  }
  Effects end(const std::string& container, int restart, int exit_code, int now = 1, ProcessStatus as = {}) {
    as.id = process_id("u", container, restart);
    as.running = false;
    as.exit_code = exit_code;
    as.finished_at = at(now);
    if (as.started_at == Time{}) as.started_at = at(0);
    return life.process_changed(as, at(now));
  }
  std::string launched(const Effects& effects) {
    std::string text;
    for (const auto& launch : effects.launch) text += fmt::format("{}/{} ", launch.container, launch.restart);
    return text;
  }
  std::string signals(const Effects& effects) {
    std::string text;
    for (const auto& [id, signal] : effects.signals) text += fmt::format("{}:{} ", id, signal);
    return text;
  }
  std::string phase() { return get_string(life.status(), "phase"); }
  json::object container(size_t i = 0, std::string_view list = "containerStatuses") {
    return life.status().at(list).get_array().at(i).get_object();
  }
  std::string terminated(std::string_view member, size_t i = 0) {
    return to_text(container(i).at("state").get_object().at("terminated").get_object().at(member));
  }
  std::string condition(std::string_view type) {
    const auto status = life.status();
    for (const auto& item : status.at("conditions").get_array()) {
      if (get_string(item.get_object(), "type") == type) return get_string(item.get_object(), "status");
    }
    return "absent";
  }

  json::object pod;
  PodLifecycle life;
};

constexpr std::string_view kOne = R"({"restartPolicy":"Never","containers":[{"name":"main","image":"i"}]})";

}  // namespace

TEST_CASE("lifecycle: one container that succeeds") {
  Fixture f(kOne);
  CHECK(f.phase() == "Pending");
  CHECK(f.launched(f.life.bind(kStart)) == "main/0 ");
  CHECK(f.phase() == "Pending");
  CHECK(f.run("main", 0).changed);
  CHECK(f.phase() == "Running");
  CHECK(f.condition("Ready") == "True");
  const auto effects = f.end("main", 0, 0);
  CHECK(effects.urgent);
  CHECK(f.life.terminal());
  CHECK(f.phase() == "Succeeded");
  CHECK(f.condition("Ready") == "False");
  CHECK(f.condition("PodScheduled") == "True");
  CHECK(f.terminated("reason") == "\"Completed\"");
  CHECK(f.terminated("exitCode") == "0");
  CHECK(to_text(f.life.status().at("startTime")) == "\"2023-11-14T22:13:20Z\"");
}

TEST_CASE("lifecycle: how a container fails") {
  const auto reason_of = [](int exit_code, ProcessStatus as, bool ran) {
    Fixture f(kOne);
    f.life.bind(kStart);
    f.life.spawned({"main", 0});
    if (ran) {
      f.life.process_changed({.id = "u/main/0", .running = true, .message = "a note"}, kStart);
    }
    f.end("main", 0, exit_code, 1, as);
    CHECK(f.phase() == "Failed");
    return f.terminated("reason");
  };
  CHECK(reason_of(1, {}, true) == "\"Error\"");
  CHECK(reason_of(137, {.oom_killed = true}, true) == "\"OOMKilled\"");
  CHECK(reason_of(127, {.message = "exec \"foo\": No such file or directory"}, false) == "\"ContainerCannotRun\"");
  CHECK(reason_of(127, {.message = "exec \"foo\": No such file or directory"}, true) == "\"ContainerCannotRun\"");
  CHECK(reason_of(127, {.message = "a note"}, true) == "\"Error\"");
  CHECK(reason_of(127, {.message = "sandbox: user namespaces are off"}, false) == "\"Error\"");
  CHECK(reason_of(127, {}, true) == "\"Error\"");
}

TEST_CASE("lifecycle: a process that ended before it was seen running") {
  Fixture f(kOne);
  f.life.bind(kStart);
  f.life.spawned({"main", 0});
  f.end("main", 0, 0);
  CHECK(f.phase() == "Succeeded");
  // What comes late or twice changes nothing.
  CHECK_FALSE(f.end("main", 0, 5).changed);
  CHECK_FALSE(f.run("main", 0).changed);
  CHECK(f.phase() == "Succeeded");
}

TEST_CASE("lifecycle: init containers one after the other, then all others at once") {
  Fixture f(R"({"restartPolicy":"Never","initContainers":[{"name":"i1"},{"name":"i2"}],
                "containers":[{"name":"a"},{"name":"b"}]})");
  CHECK(f.launched(f.life.bind(kStart)) == "i1/0 ");
  f.run("i1", 0);
  CHECK(f.phase() == "Pending");
  CHECK(f.condition("Initialized") == "False");
  CHECK(get_string(f.container(0).at("state").get_object().at("waiting").get_object(), "reason") == "PodInitializing");
  CHECK(f.launched(f.end("i1", 0, 0)) == "i2/0 ");
  f.run("i2", 0);
  CHECK(f.launched(f.end("i2", 0, 0)) == "a/0 b/0 ");
  CHECK(f.condition("Initialized") == "True");
  f.run("a", 0);
  f.run("b", 0);
  f.end("a", 0, 3);
  CHECK(f.phase() == "Running");  // b goes on
  f.end("b", 0, 0);
  CHECK(f.phase() == "Failed");
}

TEST_CASE("lifecycle: a failing init container fails the pod, or is tried again") {
  Fixture never(R"({"restartPolicy":"Never","initContainers":[{"name":"i"}],"containers":[{"name":"a"}]})");
  never.life.bind(kStart);
  never.run("i", 0);
  never.end("i", 0, 1);
  CHECK(never.phase() == "Failed");
  CHECK(get_string(never.container(0).at("state").get_object().at("waiting").get_object(), "reason") ==
        "PodInitializing");
  Fixture always(R"({"initContainers":[{"name":"i"}],"containers":[{"name":"a"}]})");
  always.life.bind(kStart);
  always.run("i", 0);
  CHECK(always.launched(always.end("i", 0, 1)) == "i/1 ");
  always.run("i", 1);
  CHECK(always.launched(always.end("i", 1, 0)) == "a/0 ");
}

TEST_CASE("lifecycle: restarts back off as Kubernetes does") {
  Fixture f(R"({"restartPolicy":"OnFailure","containers":[{"name":"main"}]})");
  f.life.bind(kStart);
  f.run("main", 0);
  CHECK(f.launched(f.end("main", 0, 1, 1)) == "main/1 ");  // the first at once
  f.run("main", 1, 1);
  CHECK(f.launched(f.end("main", 1, 1, 2)) == "");
  CHECK(f.life.wake_at() == Fixture::at(12));
  CHECK(f.phase() == "Running");
  CHECK(get_string(f.container().at("state").get_object().at("waiting").get_object(), "reason") == "CrashLoopBackOff");
  CHECK(to_text(f.container().at("restartCount")) == "2");
  CHECK(f.container().at("lastState").get_object().contains("terminated"));
  CHECK(f.launched(f.life.tick(Fixture::at(11))) == "");
  CHECK(f.launched(f.life.tick(Fixture::at(12))) == "main/2 ");
  int now = 12;
  std::vector<int> waits;
  for (int restart = 2; restart < 10; ++restart) {
    f.run("main", restart, now);
    f.end("main", restart, 1, now, {.started_at = Fixture::at(now)});
    waits.push_back(static_cast<int>((*f.life.wake_at() - Fixture::at(now)) / 1s));
    now += waits.back();
    f.life.tick(Fixture::at(now));
  }
  CHECK(waits == std::vector<int>{20, 40, 80, 160, 300, 300, 300, 300});
  f.run("main", 10, now);
  CHECK(f.launched(f.end("main", 10, 1, now + 600, {.started_at = Fixture::at(now)})) == "main/11 ");  // ran long
  f.run("main", 11, now + 600);
  f.end("main", 11, 0, now + 601);
  CHECK(f.phase() == "Succeeded");
}

TEST_CASE("lifecycle: restartPolicy Always restarts what succeeded too") {
  Fixture f(R"({"containers":[{"name":"main"}]})");
  f.life.bind(kStart);
  f.run("main", 0);
  CHECK(f.launched(f.end("main", 0, 0)) == "main/1 ");
}

TEST_CASE("lifecycle: deletion asks, then kills, and starts nothing more") {
  Fixture f(R"({"terminationGracePeriodSeconds":5,"containers":[{"name":"a"},{"name":"b"}]})");
  f.life.bind(kStart);
  f.run("a", 0);
  // b is still being prepared.
  CHECK(f.signals(f.life.remove(5s, Fixture::at(10))) == "u/a/0:15 ");
  CHECK_FALSE(f.life.wants({"b", 0}));
  CHECK(f.life.wake_at() == Fixture::at(15));
  CHECK(f.signals(f.life.remove(5s, Fixture::at(11))) == "");
  CHECK(f.signals(f.life.tick(Fixture::at(14))) == "");
  CHECK(f.signals(f.life.tick(Fixture::at(15))) == "u/a/0:9 ");
  CHECK(f.life.live());
  CHECK(f.launched(f.end("a", 0, 137, 16)) == "");
  CHECK_FALSE(f.life.live());
  CHECK_FALSE(f.life.wake_at().has_value());
}

TEST_CASE("lifecycle: a process whose start is under way when the deletion comes is signalled as soon as it is there") {
  Fixture f(kOne);
  f.life.bind(kStart);
  f.life.spawned({"main", 0});
  CHECK(f.signals(f.life.remove(30s, Fixture::at(1))) == "u/main/0:15 ");
  CHECK(f.signals(f.run("main", 0, 1)) == "u/main/0:15 ");
  CHECK(f.signals(f.life.remove(0s, Fixture::at(2))) == "u/main/0:9 ");
}

TEST_CASE("lifecycle: activeDeadlineSeconds") {
  Fixture f(R"({"restartPolicy":"Never","activeDeadlineSeconds":60,"terminationGracePeriodSeconds":2,
                "containers":[{"name":"main"}]})");
  f.life.bind(kStart);
  CHECK(f.life.wake_at() == Fixture::at(60));
  f.run("main", 0);
  CHECK(f.signals(f.life.tick(Fixture::at(60))) == "u/main/0:15 ");
  CHECK(f.signals(f.life.tick(Fixture::at(62))) == "u/main/0:9 ");
  f.end("main", 0, 137, 63);
  CHECK(f.phase() == "Failed");
  CHECK(get_string(f.life.status(), "reason") == "DeadlineExceeded");
}

TEST_CASE("lifecycle: waiting for a Secret, then tried again") {
  Fixture f(kOne);
  f.life.bind(kStart);
  CHECK(f.life.waiting({"main", 0}, "CreateContainerConfigError", "secret \"s\" not found").urgent);
  const auto waiting = f.container().at("state").get_object().at("waiting").get_object();
  CHECK(get_string(waiting, "reason") == "CreateContainerConfigError");
  CHECK(get_string(waiting, "message") == "secret \"s\" not found");
  CHECK(f.launched(f.life.retry(kStart)) == "main/0 ");
  CHECK_FALSE(f.life.waiting({"main", 0}, "CreateContainerConfigError", "secret \"s\" not found").changed);
  f.life.retry(kStart);
  f.run("main", 0);
  CHECK(f.phase() == "Running");
}

TEST_CASE("lifecycle: after a restart of the server") {
  const std::string running =
      R"({"phase":"Running","startTime":"2023-11-14T22:13:20Z","containerStatuses":[
          {"name":"main","restartCount":1,"state":{"running":{"startedAt":"2023-11-14T22:13:21Z"}}}]})";
  SUBCASE("what runs is adopted") {
    Fixture f(kOne, running);
    const auto effects = f.life.resume({{.id = "u/main/1", .running = true}}, Fixture::at(50));
    CHECK(effects.launch.empty());
    CHECK(f.life.live());
    CHECK(to_text(f.container().at("restartCount")) == "1");
    f.end("main", 1, 0);
    CHECK(f.phase() == "Succeeded");
  }
  SUBCASE("what ended meanwhile is recorded") {
    Fixture f(kOne, running);
    CHECK(f.life.resume({{.id = "u/main/1", .exit_code = 4}}, Fixture::at(50)).urgent);
    CHECK(f.phase() == "Failed");
    CHECK(f.terminated("exitCode") == "4");
  }
  SUBCASE("what is lost fails, to be tried again by its owner") {
    Fixture f(kOne, running);
    CHECK(f.life.resume({}, Fixture::at(50)).urgent);
    CHECK(f.phase() == "Failed");
    CHECK(get_string(f.life.status(), "reason") == "NodeLost");
    CHECK(f.terminated("reason") == "\"NodeLost\"");
  }
  SUBCASE("or is started again where the pod wants that") {
    Fixture f(R"({"containers":[{"name":"main"}]})", running);
    CHECK(f.launched(f.life.resume({}, Fixture::at(50))) == "main/2 ");
  }
  SUBCASE("what was bound but never started starts") {
    Fixture f(kOne, R"({"phase":"Pending"})");
    CHECK(f.launched(f.life.resume({}, Fixture::at(50))) == "main/0 ");
  }
  SUBCASE("what was started before its binding was recorded is found") {
    Fixture f(kOne, R"({"phase":"Pending"})");
    const auto effects = f.life.resume({{.id = "u/main/0", .running = true, .started_at = kStart}}, Fixture::at(50));
    CHECK(effects.launch.empty());
    CHECK(effects.changed);
    CHECK(f.phase() == "Running");
    CHECK(to_text(f.life.status().at("startTime")) == "\"2023-11-14T22:13:20Z\"");
  }
  SUBCASE("a recorded end stays, and what is left of several containers goes on") {
    Fixture f(R"({"restartPolicy":"Never","initContainers":[{"name":"i"}],"containers":[{"name":"a"},{"name":"b"}]})",
              R"({"phase":"Running","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}}],
                  "containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0}}},
                                       {"name":"b","state":{"running":{}}}]})");
    const auto effects =
        f.life.resume({{.id = "u/a/0", .exit_code = 0}, {.id = "u/b/0", .running = true}}, Fixture::at(50));
    CHECK(effects.launch.empty());
    f.end("b", 0, 0);
    CHECK(f.phase() == "Succeeded");
  }
}

TEST_CASE("lifecycle: sidecars start first, go on, and are stopped when the others have ended") {
  Fixture f(R"({"restartPolicy":"Never","terminationGracePeriodSeconds":5,
    "initContainers":[{"name":"s","restartPolicy":"Always"},{"name":"i"}],"containers":[{"name":"m"}]})");
  CHECK(f.launched(f.life.bind(f.at(0))) == "s/0 ");
  CHECK(f.launched(f.run("s", 0)) == "i/0 ");
  f.run("i", 0);
  CHECK(f.launched(f.end("i", 0, 0)) == "m/0 ");
  f.run("m", 0, 2);
  CHECK(f.phase() == "Running");
  CHECK(f.condition("Ready") == "True");
  // One that ends is started again, at once the first time.
  CHECK(f.launched(f.end("s", 0, 1, 3)) == "s/1 ");
  CHECK(f.launched(f.run("s", 1, 3)).empty());
  CHECK(f.signals(f.end("m", 0, 0, 4)) == "u/s/1:15 ");
  CHECK(f.phase() == "Running");
  CHECK(f.life.wake_at() == f.at(9));
  CHECK(f.signals(f.life.tick(f.at(9))) == "u/s/1:9 ");
  f.end("s", 1, 137, 10);
  CHECK(f.phase() == "Succeeded");
  CHECK_FALSE(f.life.live());
}

TEST_CASE("lifecycle: what a sidecar ends with does not count, that it cannot start does") {
  constexpr std::string_view kSpec =
      R"({"restartPolicy":"Never","initContainers":[{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"m"}]})";
  Fixture failing(kSpec);
  failing.life.bind(failing.at(0));
  failing.run("s", 0);
  failing.run("m", 0);
  failing.end("m", 0, 3);
  failing.end("s", 0, 0, 2);
  CHECK(failing.phase() == "Failed");
  // Between two starts of its own it holds nobody up.
  Fixture backing(kSpec);
  backing.life.bind(backing.at(0));
  backing.run("s", 0);
  backing.end("s", 0, 1);
  backing.run("s", 1);
  CHECK(backing.launched(backing.end("s", 1, 1, 2)).empty());
  backing.run("m", 0);
  backing.end("m", 0, 0, 3);
  CHECK(backing.phase() == "Succeeded");
  Fixture broken(kSpec);
  broken.life.bind(broken.at(0));
  broken.life.cannot_start({"s", 0}, "ContainerCannotRun", "no command", 128, broken.at(0));
  CHECK(broken.phase() == "Failed");
}

TEST_CASE("lifecycle: after a restart of the server sidecars are stopped all the same") {
  Fixture f(
      R"({"restartPolicy":"Never","initContainers":[{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"m"}]})",
      R"({"phase":"Running","startTime":"2023-11-14T22:13:20Z",
              "initContainerStatuses":[{"name":"s","state":{"running":{"startedAt":"2023-11-14T22:13:20Z"}}}],
              "containerStatuses":[{"name":"m","state":{"running":{"startedAt":"2023-11-14T22:13:20Z"}}}]})");
  ProcessStatus sidecar{.id = process_id("u", "s", 0), .running = true, .started_at = f.at(0)};
  ProcessStatus main{.id = process_id("u", "m", 0), .running = false, .exit_code = 0};
  main.started_at = f.at(0);
  main.finished_at = f.at(1);
  CHECK(f.signals(f.life.resume({sidecar, main}, f.at(2))) == "u/s/0:15 ");
  f.end("s", 0, 143, 3);
  CHECK(f.phase() == "Succeeded");
}

TEST_CASE("lifecycle: failing before anything ran, and waiting to be scheduled") {
  Fixture f(kOne);
  CHECK(f.life.unschedulable("0/1 nodes", kStart).urgent);
  CHECK_FALSE(f.life.unschedulable("0/1 nodes", kStart).changed);
  CHECK(f.condition("PodScheduled") == "False");
  CHECK(f.phase() == "Pending");
  f.life.fail("OutOfcpu", "asked 8, present 2", kStart);
  CHECK(f.phase() == "Failed");
  CHECK(get_string(f.life.status(), "reason") == "OutOfcpu");
}

TEST_CASE("lifecycle: process ids") {
  const auto name = parse_process_id("0b8f-1/main/12");
  REQUIRE(name.has_value());
  CHECK(name->uid == "0b8f-1");
  CHECK(name->container == "main");
  CHECK(name->restart == 12);
  CHECK_FALSE(parse_process_id("env/abc").has_value());
  CHECK_FALSE(parse_process_id("x").has_value());
  CHECK_FALSE(parse_process_id("u/c/x").has_value());
}
