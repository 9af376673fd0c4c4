#include "pipelines/api/fixture.h"

using namespace penstock;
using namespace penstock::pipelines;

TEST_CASE_FIXTURE(ApiFixture, "a client reports a task of its own") {
  const std::string id = make_run();
  const std::string tasks = "/runs/" + id + "/tasks";
  Reply made =
      post(tasks, {{"name", "train"},
                   {"displayName", "Train it"},
                   {"cache_fingerprint", "f1"},
                   {"inputs",
                    {{"parameters", json::array{json::object{
                                        {"parameter_key", "lr"}, {"value", 0.5}, {"type", "RUNTIME_VALUE_INPUT"}}}}}}});
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const std::string task = made.string("task_id");
  CHECK(made.string("state") == "RUNNING");
  CHECK(made.string("type") == "RUNTIME");
  CHECK(made.string("scope_path") == "root/train");
  CHECK(made.body.at("inputs").at("parameters").at(0).at("type") == "RUNTIME_VALUE_INPUT");
  CHECK(get(tasks + "/" + task).body == made.body);
  CHECK(post("/tasks:findCached", {{"cache_fingerprint", "f1"}}).status == 404);

  const Reply child = post(tasks, {{"name", "part"}, {"parent_task_id", task}, {"type", 7}});
  REQUIRE_MESSAGE(child.status == 200, child.text);
  CHECK(child.string("scope_path") == "root/train/part");
  CHECK(child.string("type") == "DAG");

  Reply done = call(http::Method::Patch, tasks + "/" + task,
                    R"({"state":"SUCCEEDED","outputs":{"parameters":[{"parameterKey":"loss","value":[1,2]}]}})");
  REQUIRE_MESSAGE(done.status == 200, done.text);
  CHECK(done.string("state") == "SUCCEEDED");
  CHECK_FALSE(done.string("end_time").empty());
  CHECK(done.string("display_name") == "Train it");
  CHECK(done.body.at("outputs").at("parameters").at(0).at("value") == parse_json("[1,2]"));
  CHECK(done.body.at("child_tasks").at(0).at("task_id") == json::value(child.string("task_id")));
  CHECK(done.body.at("state_history").as_array().size() == 2);
  CHECK(post("/tasks:findCached", {{"namespace", ""}, {"cacheFingerprint", "f1"}}).string("task_id") == task);
  CHECK(get("/runs/" + id + "?view=FULL").array("tasks").size() == 2);

  const Reply both =
      post(tasks + ":batchUpdate",
           {{"tasks",
             {{task, {{"display_name", "New"}}},
              {child.string("task_id"), {{"state", "FAILED"}, {"status_metadata", {{"message", "no luck"}}}}}}}});
  REQUIRE_MESSAGE(both.status == 200, both.text);
  CHECK(both.body.at("tasks").at(task).at("display_name") == "New");
  CHECK(both.body.at("tasks").at(child.string("task_id")).at("status_metadata").at("message") == "no luck");
}

TEST_CASE_FIXTURE(ApiFixture, "what is wrong with a reported task is named, and none of a batch changes") {
  const std::string id = make_run();
  const std::string tasks = "/runs/" + id + "/tasks";
  TaskRecord own{.run_id = id, .task_id = "t-own", .name = "own", .type = "RUNTIME", .state = "RUNNING"};
  wait(store.upsert_tasks({own}));
  const std::string task = post(tasks, {{"name", "a"}}).string("task_id");
  const struct {
    json::object body;
    int status;
    const char* text;
  } wrong[] = {
      {{}, 400, "name"},
      {{{"name", "x"}, {"parent_task_id", "none"}}, 404, "none"},
      {{{"name", "x"}, {"run_id", "other"}}, 400, "run_id"},
      {{{"name", "x"}, {"state", "DANCING"}}, 400, "state"},
      {{{"name", "x"}, {"unknown", 1}}, 400, "unknown"},
      {{{"name", "x"}, {"type_attributes", {{"iteration_index", -1}}}}, 400, "iteration_index"},
      {{{"name", "x"}, {"inputs", {{"parameters", json::array{json::object{{"value", 1}}}}}}}, 400, "parameter_key"},
      {{{"name", "x"},
        {"outputs", {{"artifacts", json::array{json::object{{"artifact_key", "k"}, {"artifacts", 3}}}}}}},
       400,
       "artifacts"},
      {{{"name", "x"}, {"start_time", "2026-01-02T00:00:00Z"}, {"end_time", "2026-01-01T00:00:00Z"}}, 400, "end_time"},
      {{{"name", std::string(129, 'n')}}, 400, "name"},
  };
  for (const auto& one : wrong) {
    const Reply reply = post(tasks, one.body);
    CAPTURE(reply.text);
    CHECK(reply.status == one.status);
    CHECK(reply.text.find(one.text) != std::string::npos);
  }
  CHECK(post("/runs/none/tasks", {{"name", "x"}}).status == 404);
  CHECK(call(http::Method::Patch, tasks + "/none", "{}").status == 404);
  // The engine's own.
  const Reply refused = call(http::Method::Patch, tasks + "/t-own", R"({"state":"SUCCEEDED"})");
  CHECK(refused.status == 400);
  CHECK(refused.text.find("carried out by this server") != std::string::npos);
  CHECK(post(tasks + ":batchUpdate", {{"tasks", {{task, {{"display_name", "New"}}}, {"t-own", {{"name", "x"}}}}}})
            .status == 400);
  CHECK(get(tasks + "/" + task).string("display_name") == "a");
  CHECK(post(tasks + ":batchUpdate", {{"tasks", json::object()}}).status == 400);
  CHECK(get(tasks).body.at("total_size") == 2);
}

TEST_CASE_FIXTURE(ApiFixture, "a client reports artifacts and their uses") {
  const std::string id = make_run();
  const std::string task = post("/runs/" + id + "/tasks", {{"name", "train"}}).string("task_id");
  const json::object artifact{
      {"name", "model"}, {"type", "Model"}, {"uri", "s3://bucket/model"}, {"metadata", {{"framework", "x"}}}};
  const json::object wanted{{"artifact", artifact}, {"run_id", id}, {"task_id", task}, {"producer_key", "model"}};
  const Reply made = post("/artifacts", wanted);
  REQUIRE_MESSAGE(made.status == 200, made.text);
  CHECK(made.string("type") == "Model");
  const std::string artifact_id = made.string("artifact_id");
  CHECK(get("/artifacts/" + artifact_id).body == made.body);
  const json::array links = get("/artifact_tasks?task_ids=" + task).array("artifact_tasks");
  REQUIRE(links.size() == 1);
  CHECK(links[0].at("type") == "OUTPUT");
  CHECK(links[0].at("key") == "model");
  // The task shows it.
  CHECK(
      get("/runs/" + id + "/tasks/" + task).body.at("outputs").at("artifacts").at(0).at("artifacts").at(0).at("uri") ==
      "s3://bucket/model");
  json::object again = wanted;
  again["reuse_if_exists"] = true;
  again["producer_key"] = "copy";
  CHECK(post("/artifacts", again).string("artifact_id") == artifact_id);

  json::object metric = wanted;
  metric["artifact"] = json::object{{"name", "loss"}, {"type", "Metric"}, {"number_value", 0.25}};
  metric["iteration_index"] = "3";
  const Reply two = post("/artifacts:batchCreate", {{"artifacts", json::array{metric, wanted}}});
  REQUIRE_MESSAGE(two.status == 200, two.text);
  CHECK(two.array("artifacts")[0].at("number_value") == 0.25);
  const std::string filter =
      "{\"predicates\":[{\"operation\":\"LESS_THAN\",\"key\":\"number_value\","
      "\"string_value\":\"0.3\"},{\"operation\":\"GREATER_THAN\",\"key\":\"number_value\","
      "\"int_value\":0}]}";
  CHECK(get("/artifacts?filter=" + http::url_encode(filter)).array("artifacts").size() == 1);
  CHECK(get("/artifacts?sort_by=number_value%20desc&page_size=1").array("artifacts")[0].at("name") == "loss");
  CHECK(get("/artifact_tasks?type=ITERATOR_OUTPUT").array("artifact_tasks")[0].at("producer").at("iteration") == "3");

  const Reply link = post("/artifact_tasks", {{"artifact_task",
                                               {{"artifact_id", artifact_id},
                                                {"run_id", id},
                                                {"task_id", task},
                                                {"type", "TASK_OUTPUT_INPUT"},
                                                {"producer", {{"task_name", "prepare"}}},
                                                {"key", "base"}}}});
  REQUIRE_MESSAGE(link.status == 200, link.text);
  CHECK(link.body.at("producer").at("task_name") == "prepare");
  const Reply more =
      post("/artifact_tasks:batchCreate",
           {{"artifact_tasks",
             json::array{json::object{
                 {"artifact_id", artifact_id}, {"run_id", id}, {"task_id", task}, {"type", 3}, {"key", "b2"}}}}});
  REQUIRE_MESSAGE(more.status == 200, more.text);
  CHECK(more.array("artifact_tasks")[0].at("type") == "COMPONENT_INPUT");

  const auto total = get("/artifacts").body.at("total_size");
  const std::pair<const char*, json::value> spoils[] = {
      {"run_id", "none"}, {"task_id", "none"},     {"producer_key", ""}, {"artifact", nullptr}, {"type", "SIDEWAYS"},
      {"x", 1},           {"iteration_index", "a"}};
  for (const auto& [key, value] : spoils) {
    json::object bad = wanted;
    bad[key] = value;
    const Reply reply = post("/artifacts:batchCreate", {{"artifacts", json::array{wanted, bad}}});
    CAPTURE(reply.text);
    CHECK((reply.status == 400 || reply.status == 404));
  }
  CHECK(get("/artifacts").body.at("total_size") == total);
  CHECK(post("/artifacts:batchCreate").status == 400);
  CHECK(post("/artifact_tasks", json::object()).status == 400);
}

TEST_CASE_FIXTURE(ApiFixture, "auth and agents' reports") {
  CHECK(get("/auth?namespace=a&resources=VIEWERS&verb=GET").text == "{}");
  CHECK(get("//apis/v1beta1/auth?namespace=a&resources=1&verb=2").text == "{}");
  CHECK(get("/auth?resources=VIEWERS&verb=GET").status == 400);
  CHECK(get("/auth?namespace=a&resources=UNASSIGNED_RESOURCES&verb=GET").status == 400);
  CHECK(get("/auth?namespace=a&resources=VIEWERS&verb=EAT").status == 400);

  CHECK(get("/filters").text == "{}");
  const json::value filter = parse_json(R"({"predicates":[{"operation":"EQUALS","key":"name","string_value":"x"}]})");
  CHECK(get("/filters?filter=" + http::url_encode(to_text(filter))).body == filter);
  CHECK(get("/filters?filter=nonsense").status == 400);

  const std::string id = make_run();
  const auto workflow = [](const std::string& uid) {
    return json::value(
        to_text(json::object{{"kind", "Workflow"}, {"metadata", {{"name", "w"}, {"namespace", "n"}, {"uid", uid}}}}));
  };
  for (const char* prefix : {"", "//apis/v1beta1"}) {
    const std::string path = std::string(prefix) + "/workflows";
    CHECK(call(http::Method::Post, path, to_text(workflow(id))).text == "{}");
    CHECK(call(http::Method::Post, path, to_text(workflow("none"))).status == 404);
    CHECK(call(http::Method::Post, path, R"("{\"metadata\":{\"name\":\"w\"}}")").status == 400);
    CHECK(call(http::Method::Post, path, R"("nonsense")").status == 400);
    CHECK(call(http::Method::Post, std::string(prefix) + "/scheduledworkflows", to_text(workflow(id))).status == 400);
  }
}
