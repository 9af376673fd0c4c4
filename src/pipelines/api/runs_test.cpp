#include "pipelines/api/fixture.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

json::object run_body() {
  return {{"display_name", "first"},
          {"pipeline_spec", parse_json(hello_spec())},
          {"runtime_config", {{"parameters", {{"count", 3}}}}}};
}

}  // namespace

TEST_CASE_FIXTURE(ApiFixture, "a run is accepted, stored and started") {
  const Reply reply = post("/runs", run_body());
  REQUIRE_MESSAGE(reply.status == 200, reply.text);
  const std::string id = reply.string("run_id");
  CHECK(runs.calls == std::vector<std::string>{"start " + id});
  CHECK(reply.string("state") == "PENDING");
  CHECK(reply.string("storage_state") == "AVAILABLE");
  CHECK(reply.string("experiment_id") == store.default_experiment_id());
  CHECK(reply.string("created_at") == "2026-03-01T10:00:00.010000Z");
  CHECK(reply.string("scheduled_at") == "2026-03-01T10:00:00.010000Z");
  CHECK(reply.string("finished_at") == "1970-01-01T00:00:00Z");
  CHECK(reply.body.at("pipeline_spec") == parse_json(hello_spec()));
  CHECK(reply.body.at("runtime_config").at("parameters").at("count") == 3);
  CHECK(reply.body.at("state_history").at(0).at("state") == "PENDING");

  const Reply got = get("/runs/" + id);
  CHECK(got.body.at("pipeline_spec") == parse_json(hello_spec()));
  CHECK(got.string("display_name") == "first");
  CHECK(call(http::Method::Get, "//pipeline/apis/v2beta1/runs/" + id).string("run_id") == id);
  const Reply experiment = get("/experiments/" + store.default_experiment_id());
  CHECK(experiment.string("last_run_created_at") == "2026-03-01T10:00:00.010000Z");
}

TEST_CASE_FIXTURE(ApiFixture, "plugins are asked for, and the run says that they are not here") {
  json::object body = run_body();
  body["plugins_input"] = json::object{{"mlflow", {{"experiment_name", "e"}}}};
  const Reply made = post("/runs", body);
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const json::value kept = get("/runs/" + made.string("run_id")).body;
  CHECK(kept.at("plugins_input") == body.at("plugins_input"));
  CHECK(kept.at("plugins_output").at("mlflow").at("state") == "PLUGIN_FAILED");
  CHECK(kept.at("service_account") == "pipeline-runner");
  const auto status_of = [&](json::object plugins) {
    body["plugins_input"] = std::move(plugins);
    return post("/runs", body).status;
  };
  json::object many, deep{{"x", 1}};
  for (int i = 0; i < 17; ++i) many[fmt::format("p{}", i)] = json::object();
  CHECK(status_of(many) == 400);
  many.erase("p16");
  CHECK(status_of(many) == 200);
  for (int i = 0; i < 9; ++i) deep = json::object{{"x", std::move(deep)}};
  CHECK(status_of({{"p", deep}}) == 200);
  CHECK(status_of({{"p", {{"x", deep}}}}) == 400);
  CHECK(status_of({{"p", "text"}}) == 400);
  CHECK(status_of({{"p", {{"x", std::string(65'537, 'x')}}}}) == 400);
  json::object large;
  for (int i = 0; i < 5; ++i) large[fmt::format("p{}", i)] = json::object{{"x", std::string(60'000, 'x')}};
  CHECK(status_of(large) == 400);
}

TEST_CASE_FIXTURE(ApiFixture, "what is wrong with a run is named, and nothing stays") {
  struct Case {
    const char* what;
    std::function<void(json::object&)> spoil;
    int status;
    const char* text;
  };
  const Case cases[] = {
      {"no name", [](json::object& r) { r.erase("display_name"); }, 400, "display_name"},
      {"unknown field", [](json::object& r) { r["foo"] = 1; }, 400, "foo"},
      {"nested unknown field", [](json::object& r) { r["runtime_config"].as_object()["x"] = 1; }, 400,
       "runtime_config"},
      {"wrong type", [](json::object& r) { r["description"] = 5; }, 400, "description"},
      {"no source", [](json::object& r) { r.erase("pipeline_spec"); }, 400, "pipeline_spec"},
      {"two sources", [](json::object& r) { r["pipeline_version_id"] = "x"; }, 400, "exactly one"},
      {"missing parameter", [](json::object& r) { r.erase("runtime_config"); }, 400, "count"},
      {"unknown parameter", [](json::object& r) { r["runtime_config"].at("parameters").as_object()["zzz"] = 1; }, 400,
       "zzz"},
      {"wrong parameter type",
       [](json::object& r) { r["runtime_config"].at("parameters").as_object()["count"] = "many"; }, 400, "count"},
      {"unknown component",
       [](json::object& r) {
         r["pipeline_spec"].at("root").at("dag").at("tasks").at("say").at("componentRef").as_object()["name"] = "gone";
       },
       400, "gone"},
      {"no pipeline name", [](json::object& r) { r["pipeline_spec"].as_object().erase("pipelineInfo"); }, 400,
       "pipelineInfo"},
      {"unknown experiment", [](json::object& r) { r["experiment_id"] = "nowhere"; }, 404, "nowhere"},
      {"plugins_output",
       [](json::object& r) {
         r["plugins_output"] = json::object{{"a", 1}};
       },
       409, "plugins_output"},
      {"unknown version",
       [](json::object& r) {
         r.erase("pipeline_spec");
         r["pipeline_version_reference"] = json::object{{"pipeline_id", "p"}, {"pipeline_version_id", "v"}};
       },
       404, "v"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    json::object body = run_body();
    c.spoil(body);
    const Reply reply = post("/runs", body);
    CHECK(reply.status == c.status);
    CHECK_MESSAGE(reply.string("message").find(c.text) != std::string::npos, reply.text);
    CHECK(reply.string("error") == reply.string("message"));
    CHECK(reply.body.at("details").at(0).at("@type") == "type.googleapis.com/google.rpc.Status");
  }
  CHECK(post("/runs", parse_json("[1]")).status == 400);
  CHECK(call(http::Method::Post, "/runs", "{nonsense").status == 400);
  CHECK(get("/runs").text == "{}");
  CHECK(runs.calls.empty());
}

TEST_CASE_FIXTURE(ApiFixture, "a run of a pipeline's version, and of its newest") {
  const std::string pipeline = upload("/pipelines/upload?name=p", "p.yaml", hello_spec("one")).string("pipeline_id");
  REQUIRE(upload("/pipelines/upload_version?name=v2&pipelineid=" + pipeline, "p.yaml", hello_spec("two")).status ==
          200);
  json::object body = run_body();
  body.erase("pipeline_spec");
  body["pipelineVersionReference"] = json::object{{"pipelineId", pipeline}};
  const Reply newest = post("/runs", body);
  REQUIRE_MESSAGE(newest.status == 200, newest.text);
  const std::string version =
      to_std(newest.body.at("pipeline_version_reference").at("pipeline_version_id").as_string());
  CHECK(get("/pipelines/" + pipeline + "/versions/" + version).string("display_name") == "v2");
  CHECK_FALSE(newest.body.as_object().contains("pipeline_spec"));
  CHECK(wait(store.get_run(newest.string("run_id"))).pipeline_name == "two");

  body.erase("pipelineVersionReference");
  body["pipeline_version_id"] = version;
  CHECK(post("/runs", body).status == 200);
  CHECK(remove("/pipelines/" + pipeline + "?cascade=true").status == 200);
  CHECK(post("/runs", body).status == 404);
  CHECK(get("/runs/" + newest.string("run_id")).status == 200);
}

TEST_CASE_FIXTURE(ApiFixture, "terminate, retry, archive and delete") {
  const std::string id = make_run();
  CHECK(post("/runs/" + id + ":retry").status == 409);
  CHECK(post("/runs/" + id + ":terminate").text == "{}");
  CHECK(runs.calls.back() == "terminate " + id);
  clock.advance(std::chrono::seconds(5));
  wait(store.set_run_state(id, RunState::Failed, {13, "task say failed"}, clock.now()));
  const Reply failed = get("/runs/" + id);
  CHECK(failed.string("state") == "FAILED");
  CHECK(failed.body.at("error").at("message") == "task say failed");
  CHECK(failed.string("finished_at") == "2026-03-01T10:00:05.030000Z");
  CHECK(failed.body.at("state_history").at(1).at("error").at("code") == 13);
  CHECK(post("/runs/" + id + ":terminate").status == 400);
  CHECK(post("/runs/" + id + ":retry").status == 200);
  CHECK(runs.calls.back() == "retry " + id);
  TaskRecord task;
  task.run_id = id;
  task.task_id = "t1";
  task.name = "say";
  task.scope_path = "root/say";
  task.state = "SUCCEEDED";
  wait(store.upsert_tasks({task}));
  CHECK(post("/runs/" + id + ":retry", parse_json(R"({"task_ids": ["t1", "say"]})")).status == 200);
  CHECK(runs.calls.back() == "retry " + id + " from root/say root/say");
  CHECK(post("/runs/" + id + ":retry", parse_json(R"({"task_ids": ["other"]})")).status == 404);
  CHECK(post("/runs/" + id + ":retry", parse_json(R"({"tasks": []})")).status == 400);
  wait(store.set_run_state(id, RunState::Succeeded, {}, clock.now()));
  CHECK(post("/runs/" + id + ":retry").status == 409);
  CHECK(post("/runs/" + id + ":retry", parse_json(R"({"task_ids": ["t1"]})")).status == 200);
  wait(store.set_run_state(id, RunState::Running, {}, clock.now()));
  CHECK(get("/runs/" + id).string("finished_at") == "1970-01-01T00:00:00Z");
  CHECK(wait(store.active_runs()).size() == 1);

  CHECK(post("/runs/" + id + ":archive").status == 200);
  CHECK(get("/runs/" + id).string("storage_state") == "ARCHIVED");
  CHECK(post("/runs/" + id + ":unarchive").status == 200);
  TaskRecord logged;
  logged.run_id = id;
  logged.task_id = "logged";
  logged.pod_uid = "uid";
  wait(store.upsert_tasks({logged}));
  CHECK(remove("/runs/" + id).text == "{}");
  REQUIRE(runs.calls.size() >= 2);
  CHECK(runs.calls[runs.calls.size() - 2] == "forget " + id);
  CHECK(runs.calls.back() == "drop_logs 1");
  for (const char* path : {"", ":terminate", ":retry", ":archive", ":unarchive"}) {
    CAPTURE(path);
    const auto method = *path ? http::Method::Post : http::Method::Get;
    const Reply reply = call(method, "/runs/" + id + path);
    CHECK(reply.status == 404);
    CHECK(reply.body.at("code") == 5);
    CHECK(reply.string("message") == fmt::format("Run {} not found", id));
  }
  CHECK(remove("/runs/" + id).status == 404);
  database.read_now([](db::Connection& c) {
    for (const char* table : {"runs", "run_bodies", "specs", "tasks", "run_events"}) {
      CAPTURE(table);
      auto rows = c.query(fmt::format("SELECT COUNT(*) FROM {}", table));
      CHECK(rows.next());
      CHECK(rows.integer(0) == 0);
    }
  });
}

TEST_CASE_FIXTURE(ApiFixture, "a run that cannot be started ends as failed") {
  runs.refuse = true;
  const Reply reply = post("/runs", run_body());
  CHECK(reply.status == 200);
  CHECK(reply.string("state") == "FAILED");
  CHECK(to_std(reply.body.at("error").at("message").as_string()).find("refused") != std::string::npos);
}

TEST_CASE_FIXTURE(ApiFixture, "tasks of a run, in both forms, and their logs") {
  const std::string id = make_run();
  metadata::Artifact model;
  model.artifact_id = metadata.next_artifact_id();
  model.name = "model";
  model.type = "system.Model";
  model.uri = "minio://mlpipeline/v2/model";
  model.created_at = clock.now();
  model.run_id = id;
  model.task_id = "t-train";
  TaskRecord root{.run_id = id, .task_id = "t-root", .name = "root", .type = "ROOT", .state = "RUNNING"};
  TaskRecord train{.run_id = id,
                   .task_id = "t-train",
                   .parent_task_id = "t-root",
                   .position = 1,
                   .name = "train",
                   .display_name = "Train it",
                   .type = "RUNTIME",
                   .state = "PENDING",
                   .create_time = clock.now()};
  train.inputs =
      parse_json(R"({"parameters":{"lr":{"value":0.5,"type":"TASK_OUTPUT_INPUT","producer":{"task_name":"prepare"}}}})")
          .as_object();
  wait(store.upsert_tasks({root, train}));
  train.state = "CACHED";
  train.pod_name = "pod-1";
  train.start_time = clock.now();
  train.end_time = clock.now() + std::chrono::seconds(3);
  train.outputs = json::object{{"parameters", {{"loss", 0.25}}},
                               {"artifacts",
                                {{"model", json::array{json::object{{"id", std::to_string(model.artifact_id)},
                                                                    {"name", "model"},
                                                                    {"uri", model.uri},
                                                                    {"type", {{"schemaTitle", "system.Model"}}}}}}}}};
  database.write_now([&](db::Connection& c) {
    metadata::put_artifact(c, model);
    metadata::put_link(c, {0, model.artifact_id, id, "t-train", metadata::Direction::Output, "model", -1});
    store::write_tasks(c, std::span(&train, 1));
  });

  const Reply run = get("/runs/" + id);
  const json::array& details = run.body.at("run_details").at("task_details").as_array();
  REQUIRE(details.size() == 2);
  CHECK(details[0].at("child_tasks").at(0).at("task_id") == "t-train");
  const json::object& detail = details[1].as_object();
  CHECK(get_string(detail, "display_name") == "Train it");
  CHECK(get_string(detail, "state") == "SUCCEEDED");
  CHECK(get_string(detail, "pod_name") == "pod-1");
  CHECK(get_string(detail, "parent_task_id") == "t-root");
  CHECK(detail.at("outputs").at("model").at("artifact_ids").at(0) == "1");
  CHECK(detail.at("state_history").as_array().size() == 2);

  const Reply list = get("/runs/" + id + "/tasks?parent_id=t-root");
  REQUIRE(list.array("tasks").size() == 1);
  CHECK(list.body.at("total_size") == 1);
  const Reply task = get("/runs/" + id + "/tasks/t-train");
  CHECK(task.body == list.array("tasks")[0]);
  CHECK(task.string("state") == "CACHED");
  CHECK(task.body.at("inputs").at("parameters").at(0).at("producer").at("task_name") == "prepare");
  CHECK(task.body.at("inputs").at("parameters").at(0).at("type") == "TASK_OUTPUT_INPUT");
  CHECK(task.body.at("inputs").at("parameters").at(0).at("value") == 0.5);
  CHECK(task.body.at("outputs").at("artifacts").at(0).at("artifacts").at(0).at("type") == "Model");
  CHECK(get("/runs/" + id + "/tasks/none").status == 404);
  CHECK(get("/runs/none/tasks").status == 404);
  CHECK(get("/runs/" + id + "?view=FULL").array("tasks").size() == 2);
  CHECK(get("/runs?view=FULL").array("runs")[0].at("task_count") == 2);
  CHECK(get("/runs?view=sideways").status == 400);

  const Reply log = get("//apis/v1alpha1/runs/" + id + "/nodes/train/log?follow=true");
  CHECK(log.text == "line 1\nline 2\n");
  CHECK(runs.calls.back() == "log " + id + " t-train follow");
  CHECK(get("//apis/v1alpha1/runs/" + id + "/nodes/none/log").status == 404);

  objects.put("mlpipeline", "v2/model", "weights");
  CHECK(get("/artifacts").array("artifacts").size() == 1);
  CHECK(get(fmt::format("/artifacts/{}", model.artifact_id)).string("type") == "Model");
  CHECK(get("/artifacts/77").status == 404);
  CHECK(get("/artifacts/x").status == 400);
  CHECK(get("/artifact_tasks?run_ids=" + id).array("artifact_tasks")[0].at("type") == "OUTPUT");
  CHECK(get("/artifact_tasks?task_ids=other").text == "{}");
  CHECK(get("/artifact_tasks?type=COMPONENT_INPUT").text == "{}");
  CHECK(get("/runs/" + id + "/nodes/train/artifacts/model:read").string("data") == "d2VpZ2h0cw==");
}

TEST_CASE_FIXTURE(ApiFixture, "objects are served without becoming pages") {
  objects.put("mlpipeline", "a/page.html", "<script>alert(1)</script>");
  const Reply whole = get("//artifacts/get?source=minio&bucket=mlpipeline&key=a%2Fpage.html");
  CHECK(whole.text == "<script>alert(1)</script>");
  CHECK(whole.headers.at("Content-Disposition") == "attachment; filename=\"page.html\"");
  CHECK(whole.headers.at("X-Content-Type-Options") == "nosniff");
  const Reply peek = get("//pipeline/artifacts/get?source=minio&bucket=mlpipeline&key=a/page.html&peek=7");
  CHECK(peek.text == "<script");
  CHECK(peek.headers.at("Content-Type") == "text/plain; charset=utf-8");
  CHECK(get("//artifacts/minio/mlpipeline/a/page.html").text == whole.text);
  CHECK(get("//artifacts/get?source=minio&bucket=mlpipeline&key=a").array("objects").size() == 1);
  CHECK(get("//artifacts/get?source=minio&bucket=mlpipeline&key=../test.db").status == 400);
  CHECK(get("//artifacts/get?source=minio&bucket=..&key=test.db").status == 400);
  CHECK(get("//artifacts/get?source=minio&bucket=mlpipeline&key=none").status == 404);
  CHECK(get("//artifacts/get?source=http&bucket=example.org&key=x").status == 400);
  CHECK(get("//artifacts/get?source=minio&bucket=mlpipeline&key=a/page.html&peek=-1").status == 400);
}

TEST_CASE_FIXTURE(ApiFixture, "health") {
  CHECK(get("/healthz").string("pipeline_store") == "database");
  CHECK(get("//pipeline/apis/v2beta1/healthz").body.at("multi_user") == false);
  CHECK(get("//apis/v1beta1/healthz").string("commit_sha") == "unknown");
  CHECK(get("/recurringruns").text == "{}");
  CHECK(get("/nothing").status == 404);
  CHECK(get("/nothing").body.at("code") == 5);
}
