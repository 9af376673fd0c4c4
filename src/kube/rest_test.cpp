#include "kube/rest.h"

#include <doctest/doctest.h>

#include "kube/kube_test_util.h"

using namespace penstock;
using namespace penstock::kube;
using namespace penstock::kube::test;

namespace {

struct TextBody : http::BodyReader {
  explicit TextBody(std::string t) : text(std::move(t)) {}
  std::optional<uint64_t> length() const override { return text.size(); }
  Async<std::string> read_some(size_t) override { co_return std::exchange(text, {}); }
  std::string text;
};

// Collects what a stream writes; the test waits for a line.
struct Lines : http::BodyWriter {
  explicit Lines(Executor executor) : came(executor) {}
  Async<> write(std::string_view bytes) override {
    text += bytes;
    came.set();
    co_return;
  }
  std::string text;
  Signal came;
};

struct Answer {
  int status;
  json::value body;
  std::string text;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct FakeLogs : PodLogs {
  Async<> erase(std::string, std::set<std::string>) override { co_return; }
  Async<int64_t> size(std::string, std::set<std::string>) override { co_return 0; }
  Async<> check(const json::object&, LogOptions options) override {
    if (options.container == "nope") throw Error(Code::NotFound, "container nope is not there");
    co_return;
  }
  Async<> read(const json::object& pod, LogOptions options, http::BodyWriter& out) override {
    co_await out.write(
        fmt::format("{} tail={} follow={}\n", name_of(pod), options.tail_lines.value_or(-1), options.follow));
  }
};

struct Rest : Server {
  explicit Rest(const std::filesystem::path& file) : Server(file) {
    add_routes(router, api, &logs, core_kinds(), &clock);
  }

  http::Response call(http::Method method, std::string target, std::string body = {}, Headers headers = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    const size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    if (mark != std::string::npos) request.query = http::parse_query(target.substr(mark + 1));
    request.headers = std::move(headers);
    TextBody reader(std::move(body));
    request.body = &reader;
    return run_on(elsewhere, [&] { return router.handle(request); });
  }

  Answer json_call(http::Method method, std::string target, std::string body = {}, Headers headers = {}) {
    http::Response response = call(method, std::move(target), std::move(body), std::move(headers));
    if (response.stream) return {response.status, nullptr, streamed(response)};
    return {response.status, parse_json(response.body), response.body};
  }
  Answer get(std::string target, Headers headers = {}) {
    return json_call(http::Method::Get, std::move(target), {}, std::move(headers));
  }

  std::string streamed(http::Response& response) {
    Lines lines(elsewhere.executor());
    run_on(elsewhere, [&] { return response.stream(lines); });
    return lines.text;
  }

  http::Router router;
  FakeLogs logs;
};

constexpr std::string_view kPodsPath = "/api/v1/namespaces/default/pods";

std::string path(std::string_view rest) { return std::string(kPodsPath) + std::string(rest); }

Headers patch_as(std::string_view type) { return {{"content-type", std::string(type)}}; }

}  // namespace

TEST_CASE("discovery says what there is") {
  TempDir dir;
  Rest rest(dir.path / "db");
  CHECK(rest.get("/api").body.at("versions") == json::array{"v1"});
  CHECK(rest.get("/apis").body.at("kind") == "APIGroupList");
  CHECK(rest.get("/version").body.at("major") == "1");
  const Answer core = rest.get("/api/v1");
  CHECK(core.body.at("groupVersion") == "v1");
  bool found = false;
  for (const auto& resource : core.body.at("resources").as_array()) {
    if (resource.at("name") != "pods") continue;
    found = true;
    CHECK(resource.at("kind") == "Pod");
    CHECK(resource.at("namespaced") == true);
    CHECK(resource.at("shortNames") == json::array{"po"});
  }
  CHECK(found);
  CHECK(rest.call(http::Method::Get, "/openapi/v2", {},
                  {{"accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}})
            .status == 200);
}

TEST_CASE("objects are created, read, replaced, patched and deleted") {
  TempDir dir;
  Rest rest(dir.path / "db");
  json::object object = pod("a");
  object["metadata"].as_object().erase("namespace");
  const Answer made = rest.json_call(http::Method::Post, path(""), to_text(object));
  CHECK(made.status == 201);
  CHECK(made.body.at("metadata").at("namespace") == "default");
  CHECK(rest.get(path("/a")).body == made.body);
  CHECK(rest.get(path("/a/status")).status == 200);

  const Answer status = rest.json_call(http::Method::Patch, path("/a/status"), R"({"status":{"phase":"Running"}})",
                                       patch_as("application/merge-patch+json"));
  CHECK(status.body.at("status").at("phase") == "Running");
  const Answer labelled =
      rest.json_call(http::Method::Patch, path("/a"), R"([{"op":"add","path":"/metadata/labels","value":{"x":"y"}}])",
                     patch_as("application/json-patch+json; charset=utf-8"));
  CHECK(labelled.body.at("metadata").at("labels").at("x") == "y");
  CHECK(rest.json_call(http::Method::Put, path("/a"), labelled.text).status == 200);
  CHECK(rest.json_call(http::Method::Delete, path("/a")).body.at("kind") == "Pod");
  CHECK(rest.get(path("/a")).status == 404);

  const std::string maps = "/api/v1/namespaces/default/configmaps";
  const Answer applied =
      rest.json_call(http::Method::Patch, maps + "/m?fieldManager=me",
                     "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: '1'\n", patch_as("application/apply-patch+yaml"));
  CHECK(applied.status == 201);
  CHECK(rest.json_call(http::Method::Patch, maps + "/m", "data:\n  b: '2'\n", patch_as("application/apply-patch+yaml"))
            .status == 200);
  CHECK(rest.get(maps + "/m").body.at("data") == json::value(json::object{{"a", "1"}, {"b", "2"}}));
  const Answer gone =
      rest.json_call(http::Method::Delete, maps + "/m", R"({"propagationPolicy":"Foreground","kind":"DeleteOptions"})");
  CHECK(gone.body.at("status") == "Success");
  CHECK(gone.body.at("details").at("kind") == "configmaps");
}

TEST_CASE("errors are Status objects in Kubernetes' shape") {
  TempDir dir;
  Rest rest(dir.path / "db");
  const Answer missing = rest.get(path("/none"));
  CHECK(missing.status == 404);
  CHECK(missing.body == parse_json(R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
      "message":"pods \"none\" not found","reason":"NotFound","details":{"name":"none","kind":"pods"},"code":404})"));
  const std::string body = to_text(pod("a"));
  rest.json_call(http::Method::Post, path(""), body);
  auto expect = [](const Answer& answer, int status, std::string_view reason) {
    CAPTURE(answer.text);
    CHECK(answer.status == status);
    CHECK(answer.body.at("reason").as_string() == reason);
    CHECK(answer.body.at("code") == status);
  };
  expect(rest.json_call(http::Method::Post, path(""), body), 409, "AlreadyExists");
  expect(rest.json_call(http::Method::Post, path(""), "{"), 400, "BadRequest");
  expect(rest.json_call(http::Method::Post, path(""), ""), 400, "BadRequest");
  expect(rest.json_call(http::Method::Post, path(""), body, {{"content-type", "application/vnd.kubernetes.protobuf"}}),
         415, "UnsupportedMediaType");
  expect(rest.json_call(http::Method::Post, "/api/v1/namespaces/other/pods", body), 400, "BadRequest");
  expect(rest.json_call(http::Method::Post, path("") + "?dryRun=Some", body), 400, "BadRequest");
  expect(rest.json_call(http::Method::Put, path("/b"), body), 400, "BadRequest");
  expect(rest.json_call(http::Method::Patch, path("/a"), "{}", patch_as("text/plain")), 415, "UnsupportedMediaType");
  expect(rest.json_call(http::Method::Patch, path("/a"), R"([{"op":"test","path":"/kind","value":"X"}])",
                        patch_as("application/json-patch+json")),
         422, "Invalid");
  expect(rest.json_call(http::Method::Put, path(""), body), 405, "MethodNotAllowed");
  expect(rest.json_call(http::Method::Options, path("")), 405, "MethodNotAllowed");
  expect(rest.get("/api/v1/namespaces/default/widgets"), 404, "NotFound");
  expect(rest.get("/api/v1/pods/a"), 404, "NotFound");
  expect(rest.get(path("?limit=x")), 400, "BadRequest");
  expect(rest.get(path("?labelSelector=a%20b")), 400, "BadRequest");
  expect(rest.get(path("?watch=1&resourceVersion=99999999")), 410, "Expired");
  expect(rest.json_call(http::Method::Post, path(""), std::string(5'000'000, ' ') + body), 413,
         "RequestEntityTooLarge");

  json::object bad = pod("c");
  bad["spec"].as_object()["containers"].as_array()[0].as_object().erase("image");
  const Answer invalid = rest.json_call(http::Method::Post, path(""), to_text(bad));
  expect(invalid, 422, "Invalid");
  CHECK(invalid.body.at("details") == parse_json(R"({"name":"c","kind":"Pod","causes":[
      {"reason":"FieldValueRequired","message":"Required value","field":"spec.containers[0].image"}]})"));
}

TEST_CASE("lists come whole, as a Table, or as metadata") {
  TempDir dir;
  Rest rest(dir.path / "db");
  for (const auto* name : {"a", "b", "c"}) rest.create(kPods, pod(name));
  rest.clock.advance(std::chrono::seconds(90));
  const Answer list = rest.get(path("?limit=2"));
  CHECK(list.body.at("kind") == "PodList");
  CHECK(list.body.at("items").as_array().size() == 2);
  CHECK(list.body.at("metadata").at("remainingItemCount") == 1);
  const std::string token = to_std(list.body.at("metadata").at("continue").as_string());
  CHECK(rest.get(path("?limit=2&continue=") + http::url_encode(token)).body.at("items").as_array().size() == 1);
  CHECK(rest.get("/api/v1/pods").body.at("items").as_array().size() == 3);

  const Headers as_table{{"accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}};
  const Answer table = rest.get(path(""), as_table);
  CHECK(table.body.at("kind") == "Table");
  CHECK(table.body.at("apiVersion") == "meta.k8s.io/v1");
  std::string header;
  for (const auto& column : table.body.at("columnDefinitions").as_array())
    header += to_std(column.at("name").as_string()) + " ";
  CHECK(header == "Name Ready Status Restarts IP Node Age ");
  CHECK(table.body.at("rows").as_array()[0].at("cells") ==
        json::array{"a", "0/1", "Pending", 0, "<none>", "<none>", "90s"});
  CHECK(table.body.at("rows").as_array()[0].at("object").at("kind") == "PartialObjectMetadata");
  CHECK(rest.get(path("/a"), as_table).body.at("rows").as_array().size() == 1);

  const Answer metadata =
      rest.get(path(""), {{"accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}});
  CHECK(metadata.body.at("kind") == "PartialObjectMetadataList");
  CHECK(metadata.body.at("items").as_array()[0].as_object().if_contains("spec") == nullptr);
}

TEST_CASE("a collection is deleted as it is selected") {
  TempDir dir;
  Rest rest(dir.path / "db");
  for (int i = 0; i < 5; ++i) {
    json::object object = pod(fmt::format("p{}", i));
    object["metadata"].as_object()["labels"] = json::object{{"odd", i % 2 ? "yes" : "no"}};
    rest.create(kPods, object);
  }
  CHECK(rest.json_call(http::Method::Delete, path("?labelSelector=odd%3Dyes")).body.at("items").as_array().size() == 2);
  CHECK(rest.get(path("")).body.at("items").as_array().size() == 3);
}

TEST_CASE("a watch streams lines until its time is over") {
  TempDir dir;
  Rest rest(dir.path / "db");
  rest.create(kPods, pod("a"));
  const std::string version = to_std(rest.get(path("")).body.at("metadata").at("resourceVersion").as_string());
  rest.create(kPods, pod("b"));
  rest.remove(kPods, "a");
  const Answer answer = rest.get(path("?watch=true&timeoutSeconds=1&resourceVersion=") + version);
  std::vector<json::value> events;
  std::istringstream lines(answer.text);
  for (std::string line; std::getline(lines, line);) events.push_back(parse_json(line));
  REQUIRE(events.size() == 2);
  CHECK(events[0].at("type") == "ADDED");
  CHECK(events[0].at("object").at("metadata").at("name") == "b");
  CHECK(events[1].at("type") == "DELETED");
  CHECK(events[1].at("object").at("kind") == "Pod");
}

TEST_CASE("a watch ends when its reader is cancelled, and sends what comes meanwhile") {
  TempDir dir;
  Rest rest(dir.path / "db");
  http::Response response =
      rest.call(http::Method::Get,
                path("?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"));
  REQUIRE(response.stream);
  Lines lines(rest.elsewhere.executor());
  Scope scope(rest.elsewhere.executor(), "watch");
  run_on(rest.elsewhere, [&]() -> Async<> {
    scope.spawn([&] { return response.stream(lines); });
    co_await lines.came.wait();
    lines.came.reset();
  });
  CHECK(lines.text.find("\"type\":\"BOOKMARK\"") != std::string::npos);
  rest.create(kPods, pod("a"));
  run_on(rest.elsewhere, [&]() -> Async<> {
    co_await lines.came.wait();
    co_await scope.stop();
  });
  CHECK(lines.text.find("\"type\":\"ADDED\"") != std::string::npos);
}

TEST_CASE("logs are streamed, or refused with a status") {
  TempDir dir;
  Rest rest(dir.path / "db");
  rest.create(kPods, pod("a"));
  CHECK(rest.get(path("/a/log?tailLines=5&follow=true")).text == "a tail=5 follow=true\n");
  CHECK(rest.get(path("/a/log?container=nope")).status == 404);
  CHECK(rest.get(path("/none/log")).status == 404);
}
