#include "pipelines/api/fixture.h"
#include "pipelines/argo/manifest.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

struct V1Fixture : ApiFixture {
  Reply v1(http::Method method, const std::string& path, const json::value& body = json::object()) {
    return call(method, "//apis/v1beta1" + path, method == http::Method::Post ? to_text(body) : "");
  }
  Reply get1(const std::string& path) { return v1(http::Method::Get, path); }
  Reply post1(const std::string& path, const json::value& body = json::object()) {
    return v1(http::Method::Post, path, body);
  }
  Reply remove1(const std::string& path) { return v1(http::Method::Delete, path); }

  static json::value reference(std::string_view type, std::string_view id, std::string_view relationship = "OWNER") {
    return {{"key", {{"type", type}, {"id", id}}}, {"relationship", relationship}};
  }
  static json::object run_body(std::string_view count = "3") {
    return {{"name", "first"},
            {"pipeline_spec",
             {{"workflow_manifest", hello_spec()},
              {"parameters", json::array{json::object{{"name", "count"}, {"value", count}}}}}}};
  }
  std::string make_v1_run(const json::object& body) {
    const Reply made = post1("/runs", body);
    REQUIRE_MESSAGE(made.status == 200, made.text);
    return get_string(made.body.at("run").as_object(), "id");
  }
  static std::string filter(std::string_view key, std::string_view op, const json::object& value) {
    json::object predicate = value;
    predicate["key"] = key;
    predicate["op"] = op;
    return "filter=" + http::url_encode(to_text(json::object{{"predicates", json::array{predicate}}}));
  }
  std::vector<std::string> names(const std::string& query) {
    const Reply page = get1("/runs?" + query);
    REQUIRE_MESSAGE(page.status == 200, page.text);
    std::vector<std::string> out;
    for (const json::value& run : page.array("runs")) out.push_back(get_string(run.as_object(), "name"));
    return out;
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(V1Fixture, "v1 experiments are v2's") {
  const Reply made = post1(
      "/experiments",
      {{"name", "e1"}, {"description", "d"}, {"resource_references", json::array{reference("NAMESPACE", "team")}}});
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const std::string id = made.string("id");
  CHECK(made.string("storage_state") == "STORAGESTATE_AVAILABLE");
  CHECK(get("/experiments/" + id).string("display_name") == "e1");
  CHECK(get1("/experiments/" + id).body == made.body);
  CHECK(post1("/experiments", {{"name", "e1"}}).status == 409);
  CHECK(post1("/experiments").status == 400);
  CHECK(post1("/experiments", {{"name", "x"}, {"display_name", "v2's"}}).status == 400);
  CHECK(get1("/experiments?resource_reference_key.type=NAMESPACE&resource_reference_key.id=")
            .array("experiments")
            .size() == 2);
  CHECK(get1("/experiments?resource_reference_key.type=JOB&resource_reference_key.id=x").status == 400);
  CHECK(get1("/experiments?" + filter("name", "EQUALS", {{"stringValue", "e1"}})).array("experiments").size() == 1);
  CHECK(post1("/experiments/" + id + ":archive").text == "{}");
  CHECK(get1("/experiments/" + id).string("storage_state") == "STORAGESTATE_ARCHIVED");
  CHECK(get1("/experiments?" + filter("storage_state", "NOT_EQUALS", {{"string_value", "STORAGESTATE_ARCHIVED"}}))
            .array("experiments")
            .size() == 1);
  CHECK(post1("/experiments/" + id + ":unarchive").text == "{}");
  CHECK(remove1("/experiments/" + id).text == "{}");
  CHECK(get1("/experiments/" + id).status == 404);
}

TEST_CASE_FIXTURE(V1Fixture, "a v1 run of IR: texts become what the inputs are") {
  const std::string experiment = post1("/experiments", {{"name", "e"}}).string("id");
  json::object body = run_body();
  body["resource_references"] = json::array{reference("EXPERIMENT", experiment)};
  const Reply made = post1("/runs", body);
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const json::object& run = made.body.at("run").as_object();
  const std::string id = get_string(run, "id");
  CHECK(runs.calls == Names{"start " + id});
  CHECK(get_string(run, "status") == "Pending");
  CHECK(get_string(run, "finished_at") == "1970-01-01T00:00:00Z");
  CHECK(run.at("resource_references").at(0).at("name") == "e");
  CHECK(run.at("pipeline_spec").at("pipeline_manifest") == json::value(hello_spec()));
  CHECK(run.at("pipeline_spec").at("parameters") == parse_json(R"([{"name":"count","value":"3"}])"));
  const json::value workflow =
      parse_json(get_string(made.body.at("pipeline_runtime").as_object(), "workflow_manifest"));
  CHECK(workflow.at("status").at("phase") == "Pending");
  // v2 sees the same run, with the number as a number.
  const Reply same = get("/runs/" + id);
  CHECK(same.body.at("runtime_config").at("parameters").at("count") == 3);
  CHECK(same.string("experiment_id") == experiment);
  CHECK(get1("/runs/" + id).body == made.body);
  CHECK(call(http::Method::Get, "//pipeline/apis/v1beta1/runs/" + id).body == made.body);
  // And v1 sees v2's.
  const std::string other = make_run("by v2");
  CHECK(get1("/runs/" + other).body.at("run").at("name") == "by v2");
}

TEST_CASE_FIXTURE(V1Fixture, "what is wrong with a v1 run is named, and nothing stays") {
  const std::string version =
      get("/pipelines/" + upload("/pipelines/upload?name=p", "p.yaml", hello_spec()).string("pipeline_id") +
          "/versions")
          .array("pipeline_versions")[0]
          .at("pipeline_version_id")
          .as_string()
          .c_str();
  const struct {
    const char* what;
    std::function<void(json::object&)> spoil;
    int status;
    const char* text;
  } cases[] = {
      {"no name", [](json::object& r) { r.erase("name"); }, 400, "name"},
      {"unknown field", [](json::object& r) { r["display_name"] = "x"; }, 400, "display_name"},
      {"no source", [](json::object& r) { r["pipeline_spec"].as_object().erase("workflow_manifest"); }, 400,
       "pipeline_spec"},
      {"two manifests", [](json::object& r) { r["pipeline_spec"].as_object()["pipeline_manifest"] = "x"; }, 400,
       "give one"},
      {"manifest and pipeline", [](json::object& r) { r["pipeline_spec"].as_object()["pipeline_id"] = "x"; }, 400,
       "give one"},
      {"manifest and version",
       [&](json::object& r) { r["resource_references"] = json::array{reference("PIPELINE_VERSION", version)}; }, 400,
       "give one"},
      {"no YAML", [](json::object& r) { r["pipeline_spec"].as_object()["workflow_manifest"] = "a: [1"; }, 400,
       "workflow_manifest"},
      {"no pipeline", [](json::object& r) { r["pipeline_spec"].as_object()["workflow_manifest"] = "a: 1"; }, 400,
       "pipeline spec"},
      {"missing parameter", [](json::object& r) { r["pipeline_spec"].as_object().erase("parameters"); }, 400, "count"},
      {"no number", [](json::object& r) { r["pipeline_spec"].at("parameters").at(0).as_object()["value"] = "many"; },
       400, "parameters[0].value"},
      {"unknown parameter",
       [](json::object& r) { r["pipeline_spec"].at("parameters").at(0).as_object()["name"] = "zzz"; }, 400, "zzz"},
      {"two values",
       [](json::object& r) {
         r["pipeline_spec"].as_object()["runtime_config"] = json::object{{"parameters", {{"count", 4}}}};
       },
       400, "another value"},
      {"unknown experiment",
       [](json::object& r) { r["resource_references"] = json::array{reference("EXPERIMENT", "nowhere")}; }, 404,
       "nowhere"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.what);
    json::object body = run_body();
    one.spoil(body);
    const Reply reply = post1("/runs", body);
    CHECK_MESSAGE(reply.status == one.status, reply.text);
    CHECK_MESSAGE(reply.text.find(one.text) != std::string::npos, reply.text);
    CHECK_FALSE(reply.string("error").empty());
  }
  CHECK(get1("/runs").text == "{}");
}

TEST_CASE_FIXTURE(V1Fixture, "v1 lists: filters by v1's names, sort, pages") {
  std::vector<std::string> ids;
  for (const char* name : {"a", "b", "c", "d"}) {
    json::object body = run_body();
    body["name"] = name;
    ids.push_back(make_v1_run(body));
  }
  const std::pair<size_t, RunState> states[] = {{1, RunState::Failed}, {2, RunState::Canceled}, {3, RunState::Running}};
  for (const auto& [i, state] : states) wait(store.set_run_state(ids[i], state, {}, clock.now()));
  CHECK(post1("/runs/" + ids[0] + ":archive").text == "{}");
  CHECK(names(filter("status", "EQUALS", {{"string_value", "Failed"}}) + "&sort_by=name") == Names{"b", "c"});
  CHECK(names(filter("status", "NOT_EQUALS", {{"string_value", "Failed"}}) + "&sort_by=name") == Names{"a", "d"});
  CHECK(names(filter("status", "IN", {{"string_values", {{"values", {"Running", "pending"}}}}}) + "&sort_by=name") ==
        Names{"a", "d"});
  CHECK(names(filter("storage_state", "EQUALS", {{"string_value", "STORAGESTATE_ARCHIVED"}})) == Names{"a"});
  CHECK(names("sort_by=name%20desc") == Names{"d", "c", "b", "a"});
  CHECK(names("resource_reference_key.type=EXPERIMENT&resource_reference_key.id=" + store.default_experiment_id())
            .size() == 4);
  CHECK(names("resource_reference_key.type=JOB&resource_reference_key.id=none").empty());
  CHECK(get1("/runs?resource_reference_key.type=PIPELINE&resource_reference_key.id=x").status == 400);
  CHECK(get1("/runs?resource_reference_key.id=x").status == 400);
  CHECK(get1("/runs/" + ids[2]).body.at("run").at("status") == "Failed");

  const std::string query = filter("status", "NOT_EQUALS", {{"string_value", "Running"}}) + "&sort_by=name&page_size=2";
  const Reply first = get1("/runs?" + query);
  CHECK(first.array("runs").size() == 2);
  CHECK(first.body.at("total_size") == 3);
  const std::string token = first.string("next_page_token");
  CHECK(names(query + "&page_token=" + http::url_encode(token)) == Names{"c"});
  CHECK(get1("/runs?sort_by=status&page_token=" + http::url_encode(token)).status == 400);
  CHECK(get1("/runs?page_size=-1").status == 400);

  CHECK(post1("/runs/" + ids[0] + "/terminate").text == "{}");
  CHECK(runs.calls.back() == "terminate " + ids[0]);
  CHECK(post1("/runs/" + ids[1] + "/terminate").status == 400);
  CHECK(post1("/runs/" + ids[1] + "/retry").text == "{}");
  CHECK(post1("/runs/" + ids[3] + "/retry").status == 409);
  CHECK(post1("/runs/" + ids[0] + ":unarchive").text == "{}");
  CHECK(remove1("/runs/" + ids[0]).text == "{}");
  CHECK(get1("/runs/" + ids[0]).status == 404);
}

TEST_CASE_FIXTURE(V1Fixture, "metrics of runs, reported and sorted by") {
  std::vector<std::string> ids;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    json::object body = run_body();
    body["name"] = name;
    ids.push_back(make_v1_run(body));
  }
  const auto metric = [](std::string_view name, double value, std::string_view node = "n1") {
    return json::object{{"name", name}, {"node_id", node}, {"number_value", value}, {"format", "PERCENTAGE"}};
  };
  const auto report = [&](size_t i, json::array metrics) {
    return post1("/runs/" + ids[i] + ":reportMetrics", {{"metrics", std::move(metrics)}});
  };
  const Reply answer = report(0, {metric("acc", 0.5), metric("a b", 1), metric("acc", 0.7), metric("x", 1, "")});
  REQUIRE_MESSAGE(answer.status == 200, answer.text);
  const json::array& results = answer.array("results");
  REQUIRE(results.size() == 4);
  CHECK(results[0].at("status") == "OK");
  CHECK(results[1].at("status") == "INVALID_ARGUMENT");
  CHECK(results[2].at("status") == "DUPLICATE_REPORTING");
  CHECK(results[3].at("status") == "INVALID_ARGUMENT");
  CHECK(report(0, {metric("acc", 0.9)}).array("results")[0].at("status") == "DUPLICATE_REPORTING");
  report(1, {metric("acc", -2.25)});
  report(2, {metric("acc", 0.75)});
  report(4, {metric("other", 1)});
  CHECK(post1("/runs/none:reportMetrics", {{"metrics", json::array{metric("acc", 1)}}}).status == 404);

  const json::value run = get1("/runs/" + ids[0]).body.at("run");
  CHECK(run.at("metrics") == parse_json(R"([{"name":"acc","node_id":"n1","number_value":0.5,"format":"PERCENTAGE"}])"));
  // Those without the metric come last.
  CHECK(names("sort_by=metric:acc") == Names{"b", "a", "c", "d", "e"});
  CHECK(names("sort_by=metric:acc%20desc") == Names{"c", "a", "b", "d", "e"});
  CHECK(get("/runs?sort_by=metric:acc%20desc").array("runs")[0].at("display_name") == "c");
  for (const char* sort : {"metric:acc", "metric:acc%20desc"}) {
    for (const int size : {1, 2, 3, 4}) {
      const std::string query = fmt::format("sort_by={}&page_size={}", sort, size);
      Names all;
      std::string token;
      do {
        const Reply page = get1("/runs?" + query + "&page_token=" + http::url_encode(token));
        REQUIRE_MESSAGE(page.status == 200, page.text);
        CHECK(page.body.at("total_size") == 5);
        for (const json::value& one : page.array("runs")) all.push_back(get_string(one.as_object(), "name"));
        token = page.string("next_page_token");
      } while (!token.empty());
      CHECK(all == names(fmt::format("sort_by={}", sort)));
    }
  }
  CHECK(names(filter("name", "NOT_EQUALS", {{"string_value", "a"}}) + "&sort_by=metric:acc") ==
        Names{"b", "c", "d", "e"});
  const std::string token = get1("/runs?sort_by=metric:acc&page_size=1").string("next_page_token");
  CHECK(get1("/runs?sort_by=metric:other&page_token=" + http::url_encode(token)).status == 400);
  CHECK(get1("/runs?sort_by=metric:acc%20desc&page_token=" + http::url_encode(token)).status == 400);
  CHECK(get1("/runs?sort_by=metric:").status == 400);
  CHECK(get1("/experiments?sort_by=metric:acc").status == 400);
  // The newest value of a name counts, whichever node it is of.
  report(0, {metric("acc", 7, "n2")});
  CHECK(names("sort_by=metric:acc%20desc") == Names{"a", "c", "b", "d", "e"});
  remove1("/runs/" + ids[2]);
  database.read_now([](db::Connection& c) {
    auto rows = c.query("SELECT COUNT(*) FROM run_metrics");
    CHECK(rows.next());
    CHECK(rows.integer(0) == 4);
  });
}

TEST_CASE_FIXTURE(V1Fixture, "v1 pipelines and their versions") {
  const Reply made = upload("//apis/v1beta1/pipelines/upload?name=p&description=d", "p.yaml", hello_spec());
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const std::string id = made.string("id");
  const std::string first = get_string(made.body.at("default_version").as_object(), "id");
  CHECK(made.body.at("parameters") == parse_json(R"([{"name":"count","value":""},{"name":"text","value":"hi"}])"));
  CHECK(get("/pipelines/" + id).string("display_name") == "p");
  CHECK(get1("/pipelines/" + id).body == made.body);
  CHECK(get1("/namespaces/any/pipelines/p").body == made.body);
  CHECK(get1("/pipelines?" + filter("name", "EQUALS", {{"stringValue", "p"}})).array("pipelines")[0] == made.body);
  CHECK(upload("//apis/v1beta1/pipelines/upload?name=p", "p.yaml", hello_spec()).status == 409);
  CHECK_FALSE(upload("//apis/v1beta1/pipelines/upload?name=q", "p.yaml", "a: 1").string("error_message").empty());
  CHECK(parse_yaml(get1("/pipelines/" + id + "/templates").string("template"))[0] == parse_json(hello_spec()));

  const Reply second =
      upload("//apis/v1beta1/pipelines/upload_version?name=v2&pipelineid=" + id, "p.yaml", hello_spec("second"));
  REQUIRE_MESSAGE(second.status == 200, second.text);
  const std::string version = second.string("id");
  CHECK(second.body.at("resource_references").at(0).at("name") == "p");
  CHECK(get1("/pipelines/" + id).body.at("default_version").at("id") == json::value(version));
  CHECK(post1("/pipelines/" + id + "/default_version/" + first).text == "{}");
  CHECK(get1("/pipelines/" + id).body.at("default_version").at("id") == json::value(first));
  CHECK(post1("/pipelines/" + id + "/default_version/none").status == 404);
  // v2 takes the newest still.
  const Reply newest = post("/runs", {{"display_name", "r"},
                                      {"pipeline_version_reference", {{"pipeline_id", id}}},
                                      {"runtime_config", {{"parameters", {{"count", 1}}}}}});
  CHECK(newest.body.at("pipeline_version_reference").at("pipeline_version_id") == json::value(version));
  json::object by_pipeline{
      {"name", "r"},
      {"pipeline_spec",
       {{"pipeline_id", id}, {"parameters", json::array{json::object{{"name", "count"}, {"value", "1"}}}}}}};
  const Reply run = post1("/runs", by_pipeline);
  REQUIRE_MESSAGE(run.status == 200, run.text);
  CHECK(run.body.at("run").at("resource_references").at(1).at("key").at("id") == json::value(first));
  by_pipeline["resource_references"] = json::array{reference("PIPELINE_VERSION", version, "CREATOR")};
  CHECK(post1("/runs", by_pipeline).body.at("run").at("resource_references").at(1).at("name") == "v2");

  const std::string list = "/pipeline_versions?resource_key.type=PIPELINE&resource_key.id=" + id;
  CHECK(get1(list + "&sort_by=created_at%20desc").array("versions")[0].at("id") == json::value(version));
  CHECK(get1("/pipeline_versions").status == 400);
  CHECK(get1("/pipeline_versions/" + version).body == second.body);
  CHECK(get1("/pipeline_versions/" + version + "/templates").string("template").find("second") != std::string::npos);
  CHECK(post1("/pipeline_versions", {{"name", "v3"}}).status == 400);
  // A new version becomes the default again.
  CHECK(upload("//apis/v1beta1/pipelines/upload_version?name=v3&pipelineid=" + id, "p.yaml", hello_spec()).status ==
        200);
  CHECK(get1("/pipelines/" + id).body.at("default_version").at("name") == "v3");
  CHECK(remove1("/pipeline_versions/" + version).text == "{}");
  CHECK(get1("/pipeline_versions/" + version).status == 404);
  CHECK(remove1("/pipelines/" + id).text == "{}");
  CHECK(get1("/pipelines/" + id).status == 404);
  CHECK(get1("/pipelines").text == "{}");
}

TEST_CASE_FIXTURE(V1Fixture, "v1 jobs are v2's recurring runs") {
  json::object body = run_body();
  body["max_concurrency"] = "2";
  body["enabled"] = true;
  body["trigger"] = json::object{{"periodic_schedule", {{"interval_second", "60"}}}};
  const Reply made = post1("/jobs", body);
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const std::string id = made.string("id");
  CHECK(made.string("mode") == "ENABLED");
  CHECK(made.body.at("enabled") == true);
  CHECK(made.string("max_concurrency") == "2");
  CHECK(made.body.at("trigger").at("periodic_schedule").at("interval_second") == "60");
  CHECK(get("/recurringruns/" + id).string("status") == "ENABLED");
  CHECK(get("/recurringruns/" + id).body.at("runtime_config").at("parameters").at("count") == 3);
  CHECK(get1("/jobs/" + id).body == made.body);
  CHECK(get1("/jobs").array("jobs")[0] == made.body);
  CHECK(post1("/jobs/" + id + "/disable").text == "{}");
  CHECK(get1("/jobs/" + id).string("mode") == "DISABLED");
  CHECK(post1("/jobs/" + id + "/enable").text == "{}");
  CHECK(get1("/jobs/" + id).string("status") == "Enabled");
  body["enabled"] = false;
  CHECK(post1("/jobs", body).string("mode") == "DISABLED");
  body["max_concurrency"] = "11";
  CHECK(post1("/jobs", body).status == 400);
  body["max_concurrency"] = "1";
  body["trigger"] = json::object{{"cron_schedule", {{"cron", "61 * * * * *"}}}};
  CHECK(post1("/jobs", body).text.find("cron") != std::string::npos);
  CHECK(get1("/jobs?resource_reference_key.type=EXPERIMENT&resource_reference_key.id=" + store.default_experiment_id())
            .array("jobs")
            .size() == 2);
  CHECK(remove1("/jobs/" + id).text == "{}");
  CHECK(get1("/jobs/" + id).status == 404);
}

TEST_CASE_FIXTURE(V1Fixture, "artifacts are read by the nodes of the manifest") {
  const std::string id = make_v1_run(run_body());
  const Run run = wait(store.get_run(id));
  objects.put("mlpipeline", "v2/out", "bytes");
  TaskRecord task{.run_id = id, .task_id = "t", .name = "say", .type = "RUNTIME", .state = "SUCCEEDED"};
  task.scope_path = "root/say";
  task.outputs = parse_json(R"({"artifacts":{"out":[{"uri":"minio://mlpipeline/v2/out"}]}})").as_object();
  wait(store.upsert_tasks({task}));
  const std::string node = argo::node_id(argo::workflow_name(run), "root/say");
  CHECK(get1("/runs/" + id + "/nodes/" + node + "/artifacts/out:read").string("data") == "Ynl0ZXM=");
  CHECK(get1("/runs/" + id + "/nodes/say/artifacts/out:read").string("data") == "Ynl0ZXM=");
  CHECK(get1("/runs/" + id + "/nodes/" + node + "/artifacts/none:read").status == 404);
  CHECK(get1("/runs/" + id + "/nodes/none/artifacts/out:read").status == 404);
  const json::value workflow =
      parse_json(get_string(get1("/runs/" + id).body.at("pipeline_runtime").as_object(), "workflow_manifest"));
  CHECK(workflow.at("status").at("nodes").at(node).at("phase") == "Succeeded");
}

TEST_CASE_FIXTURE(V1Fixture, "the cache store of v1alpha1") {
  const std::string path = "//apis/v1alpha1/tasks";
  const json::object entry{
      {"pipelineName", "pipeline/p"}, {"runId", "r"}, {"mlmdExecutionID", "7"}, {"fingerprint", "f"}};
  const Reply made = call(http::Method::Post, path, to_text(entry));
  REQUIRE_MESSAGE(made.status == 200, made.text);
  CHECK_FALSE(made.string("id").empty());
  CHECK(made.string("mlmdExecutionID") == "7");
  CHECK(call(http::Method::Post, path, to_text(json::object{{"task", entry}})).status == 200);
  const Reply found = call(http::Method::Get, path + "?" + filter("fingerprint", "EQUALS", {{"stringValue", "f"}}) +
                                                  "&sort_by=created_at%20desc");
  CHECK(found.array("tasks").size() == 2);
  CHECK(found.array("tasks")[1] == made.body);
  CHECK(call(http::Method::Get, path + "?" + filter("fingerprint", "EQUALS", {{"stringValue", "g"}})).text == "{}");
  json::object wrong = entry;
  wrong.erase("fingerprint");
  CHECK(call(http::Method::Post, path, to_text(wrong)).status == 400);
}
