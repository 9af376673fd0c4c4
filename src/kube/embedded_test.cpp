#include "kube/kube_test_util.h"

#include <doctest/doctest.h>

#include "kube/status.h"

using namespace penstock;
using namespace penstock::kube;
using namespace penstock::kube::test;

namespace {

StatusError status_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const StatusError& error) {
    return error;
  }
  throw std::runtime_error("nothing was thrown");
}

json::object with(json::object object, std::string_view member, json::value value) {
  object[member] = std::move(value);
  return object;
}

}  // namespace

TEST_CASE("an object that is created gets its system metadata and defaults") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object made = server.create(kPods, pod("a"));
  CHECK(get_string(*made, "apiVersion") == "v1");
  CHECK(get_string(*made, "kind") == "Pod");
  CHECK(uid_of(*made).size() == 36);
  CHECK_FALSE(resource_version_of(*made).empty());
  const json::value whole(*made);
  CHECK(string_at(whole, {"metadata", "creationTimestamp"}) == "2023-11-14T22:13:20Z");
  CHECK(find_path(whole, {"metadata", "generation"})->as_int64() == 1);
  CHECK(string_at(whole, {"spec", "restartPolicy"}) == "Always");
  CHECK(find_path(whole, {"spec", "terminationGracePeriodSeconds"})->as_int64() == 30);
  CHECK(string_at(whole, {"status", "phase"}) == "Pending");
  CHECK(*server.get(kPods, "a") == *made);

  const auto twice = status_error([&] { server.create(kPods, pod("a")); });
  CHECK(twice.code() == Code::AlreadyExists);
  CHECK(twice.reason() == "AlreadyExists");
  CHECK(code_of([&] { server.get(kPods, "b"); }) == Code::NotFound);
}

TEST_CASE("calls may come from another loop than the control loop") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object made = run_on(server.elsewhere, [&] { return server.api.create(kPods, pod("a")); });
  CHECK(name_of(*made) == "a");
  CHECK(run_on(server.elsewhere, [&] { return server.api.list(kPods, {}); }).items.size() == 1);
  CHECK(code_of([&] { run_on(server.elsewhere, [&] { return server.api.create(kPods, pod("a")); }); }) ==
        Code::AlreadyExists);
}

TEST_CASE("generateName gives each object a name of its own") {
  TempDir dir;
  Server server(dir.path / "db");
  json::object object = config_map("");
  object["metadata"].as_object().erase("name");
  object["metadata"].as_object()["generateName"] = "run-";
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) names.emplace(name_of(*server.create(kConfigMaps, object)));
  CHECK(names.size() == 20);
  CHECK(names.begin()->starts_with("run-"));
}

TEST_CASE("an object that is not valid is refused with every cause") {
  TempDir dir;
  Server server(dir.path / "db");
  json::object bad = pod("Bad_Name");
  bad["metadata"].as_object()["labels"] = json::object{{"ok", "no spaces please"}};
  bad["spec"].as_object()["containers"] = json::array{
      json::object{
          {"name", "main"}, {"image", "x"}, {"resources", json::object{{"limits", json::object{{"cpu", "much"}}}}}},
      json::object{{"name", "main"},
                   {"image", "x"},
                   {"volumeMounts", json::array{json::object{{"name", "v"}, {"mountPath", "/v"}}}}}};
  const auto error = status_error([&] { server.create(kPods, bad); });
  CHECK(error.http() == 422);
  CHECK(error.reason() == "Invalid");
  std::vector<std::string> fields;
  for (const auto& cause : error.details().causes) fields.push_back(cause.field + " " + cause.reason);
  CHECK(fields == std::vector<std::string>{"metadata.name FieldValueInvalid", "metadata.labels[ok] FieldValueInvalid",
                                           "spec.containers[0].resources.limits[cpu] FieldValueInvalid",
                                           "spec.containers[1].name FieldValueDuplicate",
                                           "spec.containers[1].volumeMounts[0].name FieldValueNotFound"});
  CHECK(error.field() == "metadata.name");

  json::object empty = pod("a");
  empty["spec"].as_object()["containers"] = json::array();
  CHECK(status_error([&] { server.create(kPods, empty); }).details().causes.at(0).field == "spec.containers");
  CHECK(server.list(kPods, {}).items.empty());
}

TEST_CASE("a namespace must exist, and the usual ones do") {
  TempDir dir;
  Server server(dir.path / "db");
  CHECK(server.list(kNamespaces, {}).items.size() == 3);
  const auto error = status_error([&] { server.create(kPods, pod("a", "nowhere")); });
  CHECK(error.code() == Code::NotFound);
  CHECK(error.details().kind == "namespaces");
  server.create(kNamespaces, {{"metadata", json::object{{"name", "team"}}}});
  server.create(kPods, pod("a", "team"));
  CHECK(code_of([&] {
          server.create(kNamespaces, {{"metadata", json::object{{"name", "a.b"}}}});
        }) == Code::InvalidArgument);
}

TEST_CASE("an update of an older version is a conflict, one without changes changes nothing") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object first = server.create(kConfigMaps, config_map("a"));
  const Object same = server.update(kConfigMaps, *first);
  CHECK(resource_version_of(*same) == resource_version_of(*first));
  const Object second = server.update(kConfigMaps, with(*first, "data", json::object{{"a", "2"}}));
  CHECK(resource_version_of(*second) != resource_version_of(*first));
  CHECK(uid_of(*second) == uid_of(*first));
  const auto stale = status_error([&] { server.update(kConfigMaps, with(*first, "data", json::object())); });
  CHECK(stale.code() == Code::Aborted);
  CHECK(stale.http() == 409);
  // Without a version the update is unconditional.
  server.update(kConfigMaps, with(config_map("a"), "data", json::object{{"a", "3"}}));
  CHECK(string_at(json::value(*server.get(kConfigMaps, "a")), {"data", "a"}) == "3");
  CHECK(code_of([&] { server.update(kConfigMaps, config_map("b")); }) == Code::NotFound);
}

TEST_CASE("status and spec are changed apart, and generation counts changes of spec") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object made = server.create(kPods, pod("a"));
  json::object running = *made;
  running["status"] = json::object{{"phase", "Running"}};
  running["spec"].as_object()["activeDeadlineSeconds"] = 5;
  const Object now = server.update(kPods, running, {.subresource = "status"});
  CHECK(string_at(json::value(*now), {"status", "phase"}) == "Running");
  CHECK(find_path(json::value(*now), {"spec", "activeDeadlineSeconds"}) == nullptr);
  CHECK(find_path(json::value(*now), {"metadata", "generation"})->as_int64() == 1);

  json::object deadline = *now;
  deadline["status"] = json::object{{"phase", "Failed"}};
  deadline["spec"].as_object()["activeDeadlineSeconds"] = 5;
  const Object later = server.update(kPods, deadline);
  CHECK(string_at(json::value(*later), {"status", "phase"}) == "Running");
  CHECK(find_path(json::value(*later), {"metadata", "generation"})->as_int64() == 2);
  CHECK(code_of([&] { server.update(kConfigMaps, config_map("a"), {.subresource = "status"}); }) == Code::NotFound);
}

TEST_CASE("a pod's spec stays as it is but for a few fields, and it is bound once") {
  TempDir dir;
  Server server(dir.path / "db");
  server.create(kPods, pod("a"));
  const auto spec = [](json::object part) { return json::value(json::object{{"spec", std::move(part)}}); };
  server.patch(kPods, "a", PatchType::Merge, spec({{"nodeName", "n1"}}));
  CHECK(status_error([&] { server.patch(kPods, "a", PatchType::Merge, spec({{"nodeName", "n2"}})); }).http() == 422);
  CHECK(status_error([&] { server.patch(kPods, "a", PatchType::Merge, spec({{"hostname", "h"}})); }).http() == 422);
  server.patch(kPods, "a", PatchType::Strategic,
               spec({{"containers", json::array{json::object{{"name", "main"}, {"image", "other"}}}}}));
  const auto whole = json::value(*server.get(kPods, "a"));
  CHECK(find_path(whole, {"spec", "containers"})->as_array()[0].at("image").as_string() == "other");
}

TEST_CASE("secrets: stringData becomes data, and immutable ones stay") {
  TempDir dir;
  Server server(dir.path / "db");
  json::object secret{{"metadata", json::object{{"name", "s"}, {"namespace", "default"}}},
                      {"stringData", json::object{{"password", "hunter2"}}},
                      {"immutable", true}};
  const Object made = server.create(kSecrets, secret);
  CHECK(get_string(*made, "type") == "Opaque");
  CHECK(string_at(json::value(*made), {"data", "password"}) == "aHVudGVyMg==");
  CHECK(made->if_contains("stringData") == nullptr);
  const auto error = status_error([&] {
    server.patch(kSecrets, "s", PatchType::Merge, json::object{{"stringData", json::object{{"password", "other"}}}});
  });
  CHECK(error.http() == 422);
  CHECK(error.message().find("hunter2") == std::string::npos);
  secret["metadata"].as_object()["name"] = "t";
  secret.erase("stringData");
  secret["data"] = json::object{{"password", "not base64!"}};
  CHECK(status_error([&] { server.create(kSecrets, secret); }).message().find("not base64!") == std::string::npos);
}

TEST_CASE("claims need a size and an access mode") {
  TempDir dir;
  Server server(dir.path / "db");
  json::object claim{{"metadata", json::object{{"name", "c"}, {"namespace", "default"}}}, {"spec", json::object()}};
  CHECK(status_error([&] { server.create(kPersistentVolumeClaims, claim); }).details().causes.size() == 2);
  claim["spec"] = json::object{{"accessModes", json::array{"ReadWriteOnce"}},
                               {"resources", json::object{{"requests", json::object{{"storage", "1Gi"}}}}}};
  server.create(kPersistentVolumeClaims, claim);
}

TEST_CASE("dry runs change nothing") {
  TempDir dir;
  Server server(dir.path / "db");
  CHECK(name_of(*server.create(kPods, pod("a"), {.dry_run = true})) == "a");
  CHECK_FALSE(server.exists(kPods, "a"));
  const Object made = server.create(kPods, pod("a"));
  server.patch(kPods, "a", PatchType::Merge, json::object{{"spec", json::object{{"nodeName", "n"}}}},
               {.dry_run = true});
  server.remove(kPods, "a", {.dry_run = true});
  CHECK(*server.get(kPods, "a") == *made);
}

TEST_CASE("lists come in order, page by page, and are filtered") {
  TempDir dir;
  Server server(dir.path / "db");
  server.create(kNamespaces, {{"metadata", json::object{{"name", "aaa"}}}});
  for (int i = 0; i < 7; ++i) {
    json::object object = config_map(fmt::format("c{}", i), i % 2 ? "aaa" : "default");
    object["metadata"].as_object()["labels"] = json::object{{"n", std::to_string(i)}};
    server.create(kConfigMaps, object, {.durable = false});
  }
  CHECK(server.list(kConfigMaps, {.ns = "default"}).items.size() == 4);
  std::string names, token, version;
  int pages = 0;
  do {
    const List page = server.list(kConfigMaps, {.limit = 3, .continue_token = token});
    for (const auto& item : page.items) names += std::string(name_of(*item)) + " ";
    if (pages++ == 0) version = page.resource_version;
    CHECK(page.resource_version == version);
    CHECK(page.remaining == (pages == 1 ? 4 : pages == 2 ? 1 : 0));
    token = page.continue_token;
  } while (!token.empty());
  CHECK(pages == 3);
  CHECK(names == "c1 c3 c5 c0 c2 c4 c6 ");
  CHECK(server.list(kConfigMaps, {.label_selector = "n in (1,2)"}).items.size() == 2);
  CHECK(server.list(kConfigMaps, {.ns = "default", .field_selector = "metadata.name=c2"}).items.size() == 1);
  CHECK(server.list(kConfigMaps, {.field_selector = "metadata.name!=c2"}).items.size() == 6);
  CHECK(server.list(kConfigMaps, {.label_selector = "n", .limit = 7}).continue_token.empty());
  CHECK(code_of([&] { server.list(kConfigMaps, {.field_selector = "spec.x=1"}); }) == Code::InvalidArgument);
  CHECK(code_of([&] { server.list(kConfigMaps, {.continue_token = "???"}); }) == Code::InvalidArgument);
}

TEST_CASE("everything is there again after a restart, and no version is given twice") {
  TempDir dir;
  std::string kept, last;
  {
    Server server(dir.path / "db");
    server.create(kPods, pod("gone"));
    kept = to_text(*server.create(kPods, pod("kept"), {.durable = false}));
    server.create(kConfigMaps, config_map("c"));
    last = resource_version_of(*server.remove(kPods, "gone"));
  }
  Server server(dir.path / "db");
  CHECK(to_text(*server.get(kPods, "kept")) == kept);
  CHECK(server.exists(kConfigMaps, "c"));
  CHECK_FALSE(server.exists(kPods, "gone"));
  CHECK(std::stoull(std::string(resource_version_of(*server.create(kPods, pod("new"))))) > std::stoull(last));
  CHECK(server.list(kNamespaces, {}).items.size() == 3);
  CHECK(code_of([&] { server.watch(kPods, {.resource_version = last}); }) == Code::OutOfRange);
}

TEST_CASE("what was answered durably is in the files at that moment; the rest after await_written") {
  TempDir dir;
  Server server(dir.path / "db");
  auto copy = [&](const std::string& to) {
    std::filesystem::create_directories(dir.path / to);
    for (const auto* suffix : {"", "-wal"}) {
      std::filesystem::copy_file(dir.path / (std::string("db") + suffix), dir.path / to / (std::string("db") + suffix));
    }
  };
  server.create(kPods, pod("a"));
  copy("one");
  server.create(kPods, pod("b"), {.durable = false});
  server.remove(kPods, "a", {.durable = false});
  run_on(server.elsewhere, [&] { return server.api.await_written(); });
  copy("two");
  Server one(dir.path / "one" / "db");
  CHECK(one.exists(kPods, "a"));
  Server two(dir.path / "two" / "db");
  CHECK(two.exists(kPods, "b"));
  CHECK_FALSE(two.exists(kPods, "a"));
}

TEST_CASE("an object that comes and goes before it is written leaves no trace in the database") {
  TempDir dir;
  Server server(dir.path / "db");
  auto rows = [&] {
    int64_t count = 0;
    server.database.read_now([&](db::Connection& c) {
      auto found = c.query(
          "SELECT count(*), coalesce(max(body LIKE '%later%'), 0) FROM kube_objects WHERE resource = 'configmaps'");
      found.next();
      count = found.integer(0) * 10 + found.integer(1);
    });
    return count;
  };
  const auto before = rows();
  server.run([&]() -> Async<> {
    WriteOptions relaxed;
    relaxed.durable = false;
    DeleteOptions gone;
    gone.durable = false;
    co_await server.api.create(kConfigMaps, config_map("brief"), relaxed);
    co_await server.api.remove(kConfigMaps, "default", "brief", gone);
    const Object kept = co_await server.api.create(kConfigMaps, config_map("kept"), relaxed);
    json::object changed = with(*kept, "data", json::object{{"a", "later"}});
    co_await server.api.update(kConfigMaps, std::move(changed), relaxed);
  });
  run_on(server.elsewhere, [&] { return server.api.await_written(); });
  CHECK(rows() == before + 11);
  server.remove(kConfigMaps, "kept", {.durable = false});
  run_on(server.elsewhere, [&] { return server.api.await_written(); });
  CHECK(rows() == before);
}

TEST_CASE("a change that cannot be written is undone and reported") {
  TempDir dir;
  Server server(dir.path / "db");
  const Object made = server.create(kConfigMaps, config_map("a"));
  auto break_table = [&](bool broken) {
    server.database.write_now([&](db::Connection& c) {
      c.script(broken ? "ALTER TABLE kube_objects RENAME TO hidden" : "ALTER TABLE hidden RENAME TO kube_objects");
    });
  };
  break_table(true);
  CHECK(code_of([&] { server.create(kConfigMaps, config_map("b")); }) != Code::Ok);
  CHECK(code_of([&] { server.update(kConfigMaps, with(*made, "data", json::object())); }) != Code::Ok);
  CHECK(code_of([&] { server.remove(kConfigMaps, "a"); }) != Code::Ok);
  CHECK_FALSE(server.exists(kConfigMaps, "b"));
  CHECK(string_at(json::value(*server.get(kConfigMaps, "a")), {"data", "a"}) == "1");
  // Not durable: stays, and is written as soon as that can be.
  server.create(kConfigMaps, config_map("c"), {.durable = false});
  run_on(server.elsewhere, [&] { return server.api.flush(); });
  break_table(false);
  run_on(server.elsewhere, [&] { return server.api.await_written(); });
  server.create(kConfigMaps, config_map("d"));
  int64_t rows = 0;
  server.database.read_now([&](db::Connection& c) {
    auto found = c.query("SELECT count(*) FROM kube_objects WHERE resource = 'configmaps'");
    found.next();
    rows = found.integer(0);
  });
  CHECK(rows == 3);
}

// Run with --no-skip -tc="cost*": what the control loop pays for the four writes of a task.
TEST_CASE("cost of a pod's life on the control loop" * doctest::skip()) {
  TempDir dir;
  Server server(dir.path / "db");
  constexpr int kPodCount = 5000;
  json::object spec = pod("x");
  auto& container = spec["spec"].as_object()["containers"].as_array()[0].as_object();
  container["command"] = json::array{"sh", "-c", "echo hello"};
  json::array env;
  for (int i = 0; i < 10; ++i) env.push_back(json::object{{"name", fmt::format("V{}", i)}, {"value", "value"}});
  container["env"] = std::move(env);
  auto watch = server.watch(kPods, {.resource_version = server.list(kPods, {}).resource_version});
  timespec before{}, after{};
  server.run([&]() -> Async<> {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (int i = 0; i < kPodCount; ++i) {
      const std::string name = fmt::format("pod-{}", i);
      json::object object = spec;
      object["metadata"].as_object()["name"] = name;
      WriteOptions relaxed;
      relaxed.durable = false;
      co_await server.api.create(kPods, std::move(object), relaxed);
      relaxed.subresource = "status";
      for (const std::string_view phase : {"Running", "Succeeded"}) {
        json::value patch = json::object{{"status", json::object{{"phase", phase}}}};
        co_await server.api.patch(kPods, "default", name, PatchType::Merge, std::move(patch), relaxed);
      }
      DeleteOptions gone;
      gone.durable = false;
      co_await server.api.remove(kPods, "default", name, gone);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  });
  const double micros = static_cast<double>(after.tv_sec - before.tv_sec) * 1e6 +
                        static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e3;
  const auto start = std::chrono::steady_clock::now();
  run_on(server.elsewhere, [&] { return server.api.await_written(); });
  const std::chrono::duration<double, std::micro> rest = std::chrono::steady_clock::now() - start;
  fmt::print("control loop: {:.1f} us a write ({} writes); the writer ran on for {:.1f} us a write\n",
             micros / (4 * kPodCount), 4 * kPodCount, rest.count() / (4 * kPodCount));
}
