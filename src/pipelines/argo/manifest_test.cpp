#include "pipelines/argo/manifest.h"

#include <doctest/doctest.h>

#include "pipelines/ir/spec.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

// a → loop over [1, 2] with b inside, then c.
constexpr const char* kSpec = R"({
  "pipelineInfo": {"name": "hello"}, "schemaVersion": "2.1.0",
  "deploymentSpec": {"executors": {"exec": {"container": {"image": "busybox", "command": ["true"]}}}},
  "components": {"comp-a": {"executorLabel": "exec"}, "comp-b": {"executorLabel": "exec"},
    "comp-loop": {"dag": {"tasks": {"b": {"componentRef": {"name": "comp-b"}}}},
      "inputDefinitions": {"parameters": {"item": {"parameterType": "NUMBER_INTEGER"}}}}},
  "root": {"dag": {"tasks": {
    "a": {"componentRef": {"name": "comp-a"}},
    "loop": {"componentRef": {"name": "comp-loop"}, "dependentTasks": ["a"],
      "parameterIterator": {"itemInput": "item", "items": {"raw": "[1, 2]"}}},
    "c": {"componentRef": {"name": "comp-a"}, "dependentTasks": ["loop"]}}}}})";

TaskRecord task(std::string id, std::string parent, std::string name, std::string type, std::string path,
                std::string state = "SUCCEEDED") {
  TaskRecord out;
  out.task_id = std::move(id);
  out.parent_task_id = std::move(parent);
  out.name = std::move(name);
  out.type = std::move(type);
  out.scope_path = std::move(path);
  out.state = std::move(state);
  out.create_time = out.start_time = *parse_time("2026-03-01T10:00:00Z");
  return out;
}

struct ManifestFixture {
  std::shared_ptr<const ir::Pipeline> pipeline = ir::read_pipeline(kSpec);
  Run run;
  std::vector<TaskRecord> tasks;
  json::object manifest;

  ManifestFixture() {
    run.run_id = "01234567-89ab-cdef-0123-456789abcdef";
    run.pipeline_name = "hello";
    run.display_name = "a run";
    run.state = RunState::Running;
    run.created_at = *parse_time("2026-03-01T09:59:59Z");
    run.runtime_config.parameters = json::object{{"n", 3}};
    tasks = {task("root", "", "root", "ROOT", "root", "RUNNING"),
             task("a", "root", "a", "RUNTIME", "root/a"),
             task("loop", "root", "loop", "LOOP", "root/loop"),
             task("i0", "loop", "0", "ITERATION", "root/loop/0"),
             task("b0", "i0", "b", "RUNTIME", "root/loop/0/b"),
             task("i1", "loop", "1", "ITERATION", "root/loop/1"),
             task("b1", "i1", "b", "RUNTIME", "root/loop/1/b", "FAILED"),
             task("c", "root", "c", "RUNTIME", "root/c", "PENDING")};
    tasks[2].iteration_count = 2;
    tasks[3].iteration_index = 0;
    tasks[5].iteration_index = 1;
    tasks[6].error = {1, "exit code 1"};
    tasks[1].inputs = parse_json(R"({"parameters":{"n":{"value":3}}})").as_object();
    tasks[1].outputs = parse_json(R"({"parameters":{"list":[1,2]},"artifacts":{"model":[
        {"uri":"minio://mlpipeline/v2/model"}]}})")
                           .as_object();
  }
  const json::object& nodes() {
    manifest = argo::workflow_manifest(run, tasks, *pipeline, nullptr);
    return manifest.at("status").at("nodes").as_object();
  }
  std::string id(std::string_view path) { return argo::node_id(argo::workflow_name(run), path); }
};

}  // namespace

TEST_CASE("nodes are named by their place, and their ids as Argo makes them") {
  CHECK(argo::node_name("wf", "root") == "wf");
  CHECK(argo::node_name("wf", "root/a") == "wf.a");
  CHECK(argo::node_name("wf", "root/loop/3/train") == "wf.loop(3).train");
  CHECK(argo::node_id("wf", "root") == "wf");
  CHECK(argo::node_id("wf", "root/a") == "wf-2962115457");
  CHECK(argo::node_id("wf", "root/a") != argo::node_id("wf", "root/b"));
}

TEST_CASE_FIXTURE(ManifestFixture, "a run's nodes with what comes after each") {
  const json::object& all = nodes();
  CHECK(all.size() == tasks.size());
  const json::object& root = all.at(id("root")).as_object();
  CHECK(root.at("type") == "DAG");
  CHECK(root.at("displayName") == json::value(argo::workflow_name(run)));
  CHECK(root.at("finishedAt").is_null());
  CHECK(root.at("children") == json::value(json::array{id("root/a")}));
  const json::object& a = all.at(id("root/a")).as_object();
  CHECK(a.at("type") == "Pod");
  CHECK(a.at("phase") == "Succeeded");
  CHECK(a.at("templateName") == "comp-a");
  CHECK(a.at("boundaryID") == json::value(id("root")));
  CHECK(a.at("children") == json::value(json::array{id("root/loop")}));
  CHECK(a.at("inputs") == parse_json(R"({"parameters":[{"name":"n","value":"3"}]})"));
  CHECK(a.at("outputs").at("exitCode") == "0");
  CHECK(a.at("outputs").at("parameters") == parse_json(R"([{"name":"list","value":"[1,2]"}])"));
  CHECK(a.at("outputs").at("artifacts").at(0).at("s3").at("key") == "v2/model");
  const json::object& loop = all.at(id("root/loop")).as_object();
  CHECK(loop.at("type") == "TaskGroup");
  CHECK(loop.at("children").as_array().size() == 2);
  // What waits for a loop hangs at the last tasks inside it.
  const json::object& b1 = all.at(id("root/loop/1/b")).as_object();
  CHECK(b1.at("children") == json::value(json::array{id("root/c")}));
  CHECK(b1.at("phase") == "Failed");
  CHECK(b1.at("message") == "exit code 1");
  CHECK(all.at(id("root/loop/1")).at("type") == "DAG");
  CHECK(all.at(id("root/c")).at("phase") == "Pending");
}

TEST_CASE_FIXTURE(ManifestFixture, "a workflow of IR has its templates, its parameters and its state") {
  nodes();
  CHECK(manifest.at("kind") == "Workflow");
  CHECK(manifest.at("metadata").at("name") == json::value(argo::workflow_name(run)));
  CHECK(manifest.at("metadata").at("uid") == json::value(run.run_id));
  CHECK(manifest.at("spec").at("arguments").at("parameters") == parse_json(R"([{"name":"n","value":"3"}])"));
  CHECK(manifest.at("spec").at("entrypoint") == "root");
  const json::array& templates = manifest.at("spec").at("templates").as_array();
  CHECK(templates.size() == 4);
  CHECK(templates[0].at("dag").at("tasks").as_array().size() == 3);
  CHECK(manifest.at("status").at("phase") == "Running");
  CHECK(manifest.at("status").at("finishedAt").is_null());
  CHECK(manifest.at("status").at("progress") == "2/4");
  run.state = RunState::Canceled;
  run.finished_at = *parse_time("2026-03-01T10:05:00Z");
  nodes();
  CHECK(manifest.at("status").at("phase") == "Failed");
  CHECK(manifest.at("status").at("message") == "Stopped with strategy 'Terminate'");
  CHECK(manifest.at("status").at("finishedAt") == "2026-03-01T10:05:00Z");
}

TEST_CASE_FIXTURE(ManifestFixture, "a run that was made from a Workflow keeps its spec, with the run's parameters") {
  const json::object original =
      parse_json(R"({"kind":"Workflow","metadata":{"generateName":"h-","annotations":{"x":"y"}},"spec":{
        "entrypoint":"main","templates":[{"name":"main"}],
        "arguments":{"parameters":[{"name":"n","value":"1"},{"name":"m","value":"2"}]}}})")
          .as_object();
  manifest = argo::workflow_manifest(run, tasks, *pipeline, &original);
  CHECK(manifest.at("metadata").at("annotations").at("x") == "y");
  CHECK(manifest.at("status").at("nodes").at(id("root")).at("templateName") == "main");
  CHECK(manifest.at("spec").at("entrypoint") == "main");
  CHECK(manifest.at("spec").at("arguments").at("parameters") ==
        parse_json(R"([{"name":"n","value":"3"},{"name":"m","value":"2"}])"));
}

TEST_CASE_FIXTURE(ManifestFixture, "a run without tasks yet is a workflow without nodes") {
  tasks.clear();
  run.state = RunState::Pending;
  CHECK(nodes().empty());
  CHECK(manifest.at("status").at("phase") == "Pending");
}
