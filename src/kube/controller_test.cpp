#include "kube/controller.h"

#include <doctest/doctest.h>

#include "kube/events.h"
#include "kube/kube_test_util.h"

using namespace penstock;
using namespace penstock::kube;
using namespace penstock::kube::test;

TEST_CASE("a key waits once, and again when it is added while it is looked at") {
  Loop loop("test");
  run_on(loop, [&]() -> Async<> {
    WorkQueue queue(co_await asio::this_coro::executor);
    queue.add("a");
    queue.add("a");
    queue.add("b");
    CHECK(queue.size() == 2);
    const std::string first = co_await queue.next();
    CHECK(first == "a");
    queue.add("a");
    queue.add("a");
    CHECK(queue.size() == 1);
    queue.done("a");
    CHECK(queue.size() == 2);
    queue.add_after("c", std::chrono::milliseconds(1));
    queue.add_after_failure("d");
    for (const std::string_view expected : {"b", "a", "c", "d"}) {
      const std::string key = co_await queue.next();
      CHECK(key == expected);
      queue.done(key);
    }
    CHECK(queue.idle());
  });
}

TEST_CASE("keys and owners") {
  const json::object owned{
      {"metadata",
       json::object{
           {"name", "p"},
           {"namespace", "n"},
           {"ownerReferences",
            json::array{
                json::object{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"name", "x"}, {"controller", true}},
                json::object{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"name", "c"}, {"controller", false}}}}}}};
  CHECK(key_of(owned) == "n/p");
  CHECK(split_key("n/p") == std::pair<std::string, std::string>("n", "p"));
  CHECK(split_key("p") == std::pair<std::string, std::string>("", "p"));
  CHECK(owner_key(owned, kNamespaces) == "x");
  CHECK(owner_key(owned, kConfigMaps).empty());
}

TEST_CASE("a controller brings about what is wanted, tries again after errors, and stops") {
  TempDir dir;
  Server server(dir.path / "db");
  server.create(kConfigMaps, config_map("before"));
  std::unique_ptr<Controller> controller;
  int failures = 0;
  // Each ConfigMap gets a Secret of the same name.
  auto reconcile = [&](std::string key) -> Async<Controller::Again> {
    const auto [ns, name] = split_key(key);
    if (name == "flaky" && failures++ < 3) throw invalid("not yet");
    json::object secret{{"metadata", json::object{{"name", name}, {"namespace", ns}}}};
    try {
      co_await server.api.create(kSecrets, std::move(secret));
    } catch (const Error& error) {
      if (error.code() != Code::AlreadyExists) throw;
    }
    co_return std::nullopt;
  };
  auto secrets = server.watch(kSecrets, {});
  run_on(server.elsewhere, [&]() -> Async<> {
    controller = std::make_unique<Controller>(server.elsewhere.executor(), server.api, "copier", reconcile, 2);
    controller->watch(kConfigMaps);
    controller->start();
    co_return;
  });
  CHECK(name_of(*server.next(*secrets).object) == "before");
  server.create(kConfigMaps, config_map("after"));
  CHECK(name_of(*server.next(*secrets).object) == "after");
  server.create(kConfigMaps, config_map("flaky"));
  CHECK(name_of(*server.next(*secrets).object) == "flaky");
  CHECK(failures == 4);
  run_on(server.elsewhere, [&] { return controller->stop(); });
  run_on(server.elsewhere, [&]() -> Async<> {
    controller.reset();
    co_return;
  });
}

TEST_CASE("an informer lists again when it fell behind") {
  TempDir dir;
  Server server(dir.path / "db", {.history = 4});
  std::vector<std::string> seen;
  Informer informer(server.control.executor(), server.api, kConfigMaps);
  informer.on_change([&](const Object& before, const Object& now) {
    seen.push_back((before == nullptr ? "+" : now == nullptr ? "-" : "~") + std::string(name_of(now ? *now : *before)));
  });
  Scope scope(server.control.executor(), "informer");
  Signal last(server.control.executor());
  informer.on_change([&](const Object&, const Object& now) {
    if (now && name_of(*now) == "last") last.set();
  });
  server.create(kConfigMaps, config_map("a"));
  server.run([&]() -> Async<> {
    scope.spawn([&] { return informer.run(); });
    co_await informer.synced();
    // The informer runs on this loop, so that it sees none of these before they are all done.
    WriteOptions relaxed;
    relaxed.durable = false;
    DeleteOptions gone;
    gone.durable = false;
    for (int i = 0; i < 9000; ++i) {
      json::value patch = json::object{{"data", json::object{{"a", std::to_string(i)}}}};
      co_await server.api.patch(kConfigMaps, "default", "a", PatchType::Merge, std::move(patch), relaxed);
    }
    co_await server.api.remove(kConfigMaps, "default", "a", gone);
    co_await server.api.create(kConfigMaps, config_map("last"), relaxed);
    co_await last.wait();
    co_await scope.stop();
  });
  CHECK(seen.front() == "+a");
  CHECK(seen.size() < 9000);
  CHECK(informer.objects().size() == 1);
  CHECK(informer.get("default/last") != nullptr);
}

TEST_CASE("the same event is counted, not stored again") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object made = server.create(kPods, pod("a"));
  for (int i = 0; i < 3; ++i) {
    server.run([&] { return record_event(server.api, made, "Warning", "FailedMount", "no such claim"); });
  }
  server.run([&] { return record_event(server.api, made, "Normal", "Started", "it runs"); });
  const List events = server.list(kEvents, {.ns = "default", .field_selector = "involvedObject.name=a,type=Warning"});
  REQUIRE(events.items.size() == 1);
  CHECK(get_int(*events.items[0], "count") == 3);
  CHECK(get_string(*events.items[0], "reason") == "FailedMount");
  CHECK(server.list(kEvents, {}).items.size() == 2);
}
