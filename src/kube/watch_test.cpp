#include "kube/kube_test_util.h"

#include <doctest/doctest.h>

using namespace penstock;
using namespace penstock::kube;
using namespace penstock::kube::test;

namespace {

std::string shown(const WatchEvent& event) {
  static constexpr std::string_view kNames[] = {"+", "~", "-", "."};
  return std::string(kNames[static_cast<int>(event.type)]) + std::string(name_of(*event.object));
}

std::string next_events(Server& server, Watch& watch, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += shown(server.next(watch)) + " ";
  return text;
}

json::object labelled(std::string_view name, std::string_view label) {
  json::object object = config_map(name);
  object["metadata"].as_object()["labels"] = json::object{{"app", label}};
  return object;
}

}  // namespace

TEST_CASE("a watch begins with what is there and goes on in order") {
  TempDir dir;
  Server server(dir.path / "db");
  server.create(kConfigMaps, config_map("b"));
  server.create(kConfigMaps, config_map("a"));
  auto watch = server.watch(kConfigMaps, {.bookmarks = true});
  server.create(kConfigMaps, config_map("c"));
  server.create(kPods, pod("p"));
  server.patch(kConfigMaps, "a", PatchType::Merge, json::object{{"data", json::object{{"a", "2"}}}});
  const Object gone = server.remove(kConfigMaps, "b");
  CHECK(next_events(server, *watch, 2) == "+a +b ");
  const WatchEvent end = server.next(*watch);
  CHECK(end.type == EventType::Bookmark);
  CHECK(string_at(json::value(*end.object), {"metadata", "annotations", "k8s.io/initial-events-end"}) == "true");
  CHECK(next_events(server, *watch, 2) == "+c ~a ");
  const WatchEvent last = server.next(*watch);
  CHECK(shown(last) == "-b");
  CHECK(resource_version_of(*last.object) == resource_version_of(*gone));
}

TEST_CASE("a watch resumes after a version, and sees nothing twice") {
  TempDir dir;
  Server server(dir.path / "db");
  server.create(kConfigMaps, config_map("a"));
  const std::string version = server.list(kConfigMaps, {}).resource_version;
  server.create(kConfigMaps, config_map("b"));
  server.remove(kConfigMaps, "a");
  auto watch = server.watch(kConfigMaps, {.resource_version = version});
  CHECK(next_events(server, *watch, 2) == "+b -a ");
  server.create(kConfigMaps, config_map("c"));
  CHECK(next_events(server, *watch, 1) == "+c ");
}

TEST_CASE("a version that is too old, or from nowhere, is expired") {
  TempDir dir;
  Server server(dir.path / "db", {.history = 8});
  const Object first = server.create(kConfigMaps, config_map("first"));
  for (int i = 0; i < 8; ++i) server.create(kConfigMaps, config_map(fmt::format("c{}", i)), {.durable = false});
  auto from_first = server.watch(kConfigMaps, {.resource_version = std::string(resource_version_of(*first))});
  CHECK(next_events(server, *from_first, 8) == "+c0 +c1 +c2 +c3 +c4 +c5 +c6 +c7 ");
  server.create(kConfigMaps, config_map("one-more"));
  CHECK(code_of([&] { server.watch(kConfigMaps, {.resource_version = std::string(resource_version_of(*first))}); }) ==
        Code::OutOfRange);
  CHECK(code_of([&] { server.watch(kConfigMaps, {.resource_version = "999999999"}); }) == Code::OutOfRange);
  CHECK(code_of([&] { server.watch(kConfigMaps, {.resource_version = "abc"}); }) == Code::InvalidArgument);
}

TEST_CASE("what enters or leaves the selection is added or deleted to the watcher") {
  TempDir dir;
  Server server(dir.path / "db");
  auto watch = server.watch(kConfigMaps, {.ns = "default", .label_selector = "app=web"});
  server.create(kConfigMaps, labelled("a", "db"));
  server.update(kConfigMaps, labelled("a", "web"));
  server.update(kConfigMaps, labelled("a", "none"));
  server.create(kConfigMaps, labelled("b", "web"));
  CHECK(next_events(server, *watch, 3) == "+a -a +b ");
  auto pods = server.watch(kPods, {.field_selector = "status.phase=Running"});
  server.create(kPods, pod("p"));
  server.patch(kPods, "p", PatchType::Merge, json::object{{"status", json::object{{"phase", "Running"}}}},
               {.subresource = "status"});
  server.remove(kPods, "p");
  CHECK(next_events(server, *pods, 2) == "+p -p ");
}

TEST_CASE("a watcher that does not keep up is cut off") {
  TempDir dir;
  Server server(dir.path / "db");
  auto watch = server.watch(kConfigMaps, {});
  server.run([&]() -> Async<> {
    WriteOptions relaxed;
    relaxed.durable = false;
    co_await server.api.create(kConfigMaps, config_map("a"), relaxed);
    for (int i = 0; i < 9000; ++i) {
      json::value patch = json::object{{"data", json::object{{"a", std::to_string(i)}}}};
      co_await server.api.patch(kConfigMaps, "default", "a", PatchType::Merge, std::move(patch), relaxed);
    }
  });
  CHECK(code_of([&] { server.next(*watch); }) == Code::OutOfRange);
}

TEST_CASE("a watch that waits is woken, and can be cancelled") {
  TempDir dir;
  Server server(dir.path / "db");
  auto watch = server.watch(kConfigMaps, {});
  auto waiting = asio::co_spawn(server.elsewhere.executor(), watch->next(), asio::use_future);
  server.create(kConfigMaps, config_map("a"));
  CHECK(shown(waiting.get()) == "+a");

  Scope scope(server.elsewhere.executor(), "watch");
  std::atomic<bool> ended = false;
  run_on(server.elsewhere, [&]() -> Async<> {
    scope.spawn([&]() -> Async<> {
      try {
        co_await watch->next();
      } catch (const boost::system::system_error& error) {
        ended = error.code() == asio::error::operation_aborted;
      }
    });
    co_await scope.stop();
  });
  CHECK(ended);
}
