#include "kube/kube_test_util.h"

#include <doctest/doctest.h>

using namespace penstock;
using namespace penstock::kube;
using namespace penstock::kube::test;

namespace {

json::object owned_by(json::object object, const Object& owner, bool blocks = false) {
  json::object reference{{"apiVersion", get_string(*owner, "apiVersion")},
                         {"kind", get_string(*owner, "kind")},
                         {"name", name_of(*owner)},
                         {"uid", uid_of(*owner)},
                         {"blockOwnerDeletion", blocks}};
  auto& owners = object["metadata"].as_object()["ownerReferences"];
  if (!owners.is_array()) owners = json::array();
  owners.as_array().push_back(std::move(reference));
  return object;
}

// Waits until the object of this name is seen to go.
void await_gone(Server& server, Watch& watch, std::string_view name) {
  while (true) {
    const WatchEvent event = server.next(watch);
    if (event.type == EventType::Deleted && name_of(*event.object) == name) return;
  }
}

json::value finalizers(json::array list) {
  return json::object{{"metadata", json::object{{"finalizers", std::move(list)}}}};
}

}  // namespace

TEST_CASE("a pod that runs on a node goes when the node says so") {
  TempDir dir;
  Server server(dir.path / "db");
  json::object bound = pod("a");
  bound["spec"].as_object()["nodeName"] = "n";
  server.create(kPods, bound);
  const Object first = server.remove(kPods, "a");
  CHECK(is_deleting(*first));
  CHECK(find_path(json::value(*first), {"metadata", "deletionGracePeriodSeconds"})->as_int64() == 30);
  CHECK(string_at(json::value(*first), {"metadata", "deletionTimestamp"}) == "2023-11-14T22:13:50Z");
  // Hastened, then not delayed again.
  const Object second = server.remove(kPods, "a", {.grace_period_seconds = 5});
  CHECK(find_path(json::value(*second), {"metadata", "deletionGracePeriodSeconds"})->as_int64() == 5);
  const Object third = server.remove(kPods, "a", {.grace_period_seconds = 60});
  CHECK(resource_version_of(*third) == resource_version_of(*second));
  server.remove(kPods, "a", {.grace_period_seconds = 0});
  CHECK_FALSE(server.exists(kPods, "a"));
}

TEST_CASE("a pod that is not bound, or has finished, goes at once") {
  TempDir dir;
  Server server(dir.path / "db");
  server.create(kPods, pod("pending"));
  server.remove(kPods, "pending");
  CHECK_FALSE(server.exists(kPods, "pending"));
  json::object bound = pod("done");
  bound["spec"].as_object()["nodeName"] = "n";
  server.create(kPods, bound);
  server.patch(kPods, "done", PatchType::Merge, json::object{{"status", json::object{{"phase", "Succeeded"}}}},
               {.subresource = "status"});
  server.remove(kPods, "done");
  CHECK_FALSE(server.exists(kPods, "done"));
}

TEST_CASE("preconditions of a deletion") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object made = server.create(kConfigMaps, config_map("a"));
  CHECK(code_of([&] { server.remove(kConfigMaps, "a", {.uid = "other"}); }) == Code::Aborted);
  CHECK(code_of([&] { server.remove(kConfigMaps, "a", {.resource_version = "1"}); }) == Code::Aborted);
  server.remove(kConfigMaps, "a", {.uid = std::string(uid_of(*made))});
  CHECK(code_of([&] { server.remove(kConfigMaps, "a"); }) == Code::NotFound);
}

TEST_CASE("finalizers hold an object until the last is taken away") {
  TempDir dir;
  Server server(dir.path / "db");
  json::object held = config_map("a");
  held["metadata"].as_object()["finalizers"] = json::array{"penstock.dev/one", "penstock.dev/two"};
  server.create(kConfigMaps, held);
  CHECK(is_deleting(*server.remove(kConfigMaps, "a")));
  CHECK(server.exists(kConfigMaps, "a"));
  CHECK(code_of([&] {
          server.patch(kConfigMaps, "a", PatchType::Merge,
                       finalizers({"penstock.dev/one", "penstock.dev/two", "penstock.dev/three"}));
        }) == Code::InvalidArgument);
  server.patch(kConfigMaps, "a", PatchType::Merge, finalizers({"penstock.dev/two"}));
  CHECK(server.exists(kConfigMaps, "a"));
  server.patch(kConfigMaps, "a", PatchType::Merge, finalizers({}));
  CHECK_FALSE(server.exists(kConfigMaps, "a"));
}

TEST_CASE("dependents go after their owner, of whatever kind, through every generation") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object owner = server.create(kConfigMaps, config_map("owner"));
  const Object other = server.create(kConfigMaps, config_map("other"));
  const Object child = server.create(kPods, owned_by(pod("child"), owner));
  server.create(kSecrets,
                owned_by({{"metadata", json::object{{"name", "grandchild"}, {"namespace", "default"}}}}, child));
  server.create(kPods, owned_by(owned_by(pod("shared"), owner), other));
  auto watch = server.watch(kSecrets, {});
  server.remove(kConfigMaps, "owner");
  await_gone(server, *watch, "grandchild");
  CHECK_FALSE(server.exists(kPods, "child"));
  CHECK(server.exists(kPods, "shared"));
}

TEST_CASE("an object whose owner is gone already is collected; owners of unknown kinds count as there") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object owner = server.create(kConfigMaps, config_map("owner"));
  server.remove(kConfigMaps, "owner");
  json::object stranger{{"apiVersion", "example.com/v1"}, {"kind", "Run"}, {"name", "r"}, {"uid", "u"}};
  json::object kept = pod("kept");
  kept["metadata"].as_object()["ownerReferences"] = json::array{stranger};
  server.create(kPods, kept);
  auto watch = server.watch(kPods, {});
  server.create(kPods, owned_by(pod("late"), owner));
  await_gone(server, *watch, "late");
  CHECK(server.exists(kPods, "kept"));
}

TEST_CASE("a foreground deletion waits for the dependents that block it") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object owner = server.create(kConfigMaps, config_map("owner"));
  json::object bound = pod("child");
  bound["spec"].as_object()["nodeName"] = "n";
  server.create(kPods, owned_by(bound, owner, true));
  auto pods = server.watch(kPods, {});
  CHECK(server.next(*pods).type == EventType::Added);
  auto maps = server.watch(kConfigMaps, {});
  CHECK(is_deleting(*server.remove(kConfigMaps, "owner", {.propagation = Propagation::Foreground})));
  const WatchEvent marked = server.next(*pods);
  CHECK(marked.type == EventType::Modified);
  CHECK(is_deleting(*marked.object));
  CHECK(server.exists(kConfigMaps, "owner"));
  server.remove(kPods, "child", {.grace_period_seconds = 0});
  await_gone(server, *maps, "owner");
}

TEST_CASE("orphans stay without their owner") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object owner = server.create(kConfigMaps, config_map("owner"));
  server.create(kPods, owned_by(pod("child"), owner));
  server.remove(kConfigMaps, "owner", {.propagation = Propagation::Orphan});
  CHECK_FALSE(server.exists(kConfigMaps, "owner"));
  CHECK(find_path(json::value(*server.get(kPods, "child")), {"metadata", "ownerReferences"}) == nullptr);
}

TEST_CASE("deleting a namespace deletes what is in it, and then it goes") {
  TempDir dir;
  Server server(dir.path / "db");
  server.create(kNamespaces, {{"metadata", json::object{{"name", "team"}}}});
  for (int i = 0; i < 200; ++i)
    server.create(kConfigMaps, config_map(fmt::format("c{}", i), "team"), {.durable = false});
  json::object bound = pod("running", "team");
  bound["spec"].as_object()["nodeName"] = "n";
  server.create(kPods, bound);
  auto pods = server.watch(kPods, {});
  server.next(*pods);
  auto namespaces = server.watch(kNamespaces, {});
  const Object marked = server.remove(kNamespaces, "team", {}, "");
  CHECK(string_at(json::value(*marked), {"status", "phase"}) == "Terminating");
  CHECK(code_of([&] { server.create(kConfigMaps, config_map("late", "team")); }) == Code::PermissionDenied);
  CHECK(is_deleting(*server.next(*pods).object));
  CHECK(server.exists(kNamespaces, "team", ""));
  server.remove(kPods, "running", {.grace_period_seconds = 0}, "team");
  await_gone(server, *namespaces, "team");
  CHECK(server.list(kConfigMaps, {.ns = "team"}).items.empty());
  CHECK(code_of([&] { server.remove(kNamespaces, "default", {}, ""); }) == Code::PermissionDenied);
}

TEST_CASE("a restart goes on with what was being deleted") {
  TempDir dir;
  {
    Server server(dir.path / "db");
    const Object owner = server.create(kConfigMaps, config_map("owner"));
    server.create(kPods, owned_by(pod("child"), owner));
    server.create(kNamespaces, {{"metadata", json::object{{"name", "team"}}}});
    server.create(kConfigMaps, config_map("inside", "team"));
  }
  {
    // As after a loss between the owner's deletion and the dependents'.
    db::Database database(dir.path / "db", {EmbeddedApi::migrations()});
    database.write_now([](db::Connection& c) {
      c.execute(
          "DELETE FROM kube_objects WHERE body LIKE '%\"name\":\"owner\",\"namespace\"%' AND resource='configmaps'");
      c.execute(
          "UPDATE kube_objects SET body = json_set(body, '$.metadata.deletionTimestamp', '2023-01-01T00:00:00Z') "
          "WHERE resource='namespaces' AND body LIKE '%\"team\"%'");
    });
  }
  Server server(dir.path / "db");
  auto namespaces = server.watch(kNamespaces, {});
  while (server.exists(kNamespaces, "team", "")) await_gone(server, *namespaces, "team");
  CHECK_FALSE(server.exists(kPods, "child"));
  CHECK_FALSE(server.exists(kConfigMaps, "owner"));
  CHECK(server.list(kConfigMaps, {}).items.empty());
}
