#include "pipelines/run/workload.h"

#include <fstream>

#include <doctest/doctest.h>

#include "base/clock.h"
#include "base/error.h"
#include "pipelines/argo/workflow.h"

namespace penstock::pipelines {

namespace {

namespace fs = std::filesystem;

// A template of a workflow as it is launched, and the folders that it has.
struct Rig {
  explicit Rig(std::string_view leaf) {
    const std::string text =
        "kind: Workflow\nmetadata: {name: w}\nspec:\n  entrypoint: leaf\n  templates:\n  - name: leaf\n" +
        std::string(leaf);
    pipeline = argo::read_workflow(parse_yaml(text)[0]);
    spec.pipeline = pipeline;
    spec.component = &pipeline->components.find("leaf")->second;
    spec.kind = ir::Executor::Kind::Workload;
    spec.workload = *spec.component->executor->spec;
    json::object artifacts;
    for (const auto& def : spec.component->output_artifacts) {
      artifacts[def.name] =
          json::object{{"artifacts", json::array{json::object{{"name", def.name}, {"uri", "minio://b/" + def.name}}}}};
    }
    spec.executor_input["outputs"] = json::object{{"artifacts", std::move(artifacts)}};
    fs::create_directories(root / "task");
    fs::create_directories(root / "objects");
    host.pod = "the-pod";
    host.ns = "ns";
    host.folder = root / "task";
    host.object = [this](std::string_view uri) { return std::optional(root / "objects" / uri.substr(10)); };
    host.claim_folder = [this](std::string_view, std::string_view claim) { return root / "claims" / claim; };
  }
  ~Rig() { fs::remove_all(root); }

  void write(const fs::path& path, std::string_view text) const {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string read(const fs::path& path) const {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Where the pod sees what: mountPath → path on this machine.
  std::map<std::string, std::string> mounts(const json::object& pod) const {
    const json::value value = pod;
    std::map<std::string, std::string> sources, result;
    for (const auto& volume : value.at("spec").at("volumes").as_array()) {
      sources[string_at(volume, {"name"})] = string_at(volume, {"hostPath", "path"});
    }
    for (const auto& mount : value.at("spec").at("containers").at(0).at("volumeMounts").as_array()) {
      result[string_at(mount, {"mountPath"})] = sources[string_at(mount, {"name"})];
    }
    return result;
  }

  fs::path root = fs::temp_directory_path() / ("penstock-workload-" + new_uuid());
  std::shared_ptr<const ir::Pipeline> pipeline;
  engine::LaunchSpec spec;
  WorkloadHost host;
};

std::string failure(const std::function<void()>& act) {
  try {
    act();
    return "no error";
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace

TEST_CASE("outputs are taken from where the template says") {
  const Rig rig(R"(    container: {image: x, command: [y, '{{pod.name}}']}
    outputs:
      parameters:
      - {name: a, valueFrom: {path: /tmp/deep/a}}
      - {name: b, valueFrom: {path: /made-up-by-penstock/b}}
      - {name: c, valueFrom: {path: /c.txt, default: none}}
      - {name: d, value: 'of {{pod.name}}'}
      artifacts: [{name: a, path: /tmp/deep/a}, {name: dir, path: /made-up-by-penstock/dir}, {name: opt, path: /o.json, optional: true}]
)");
  const auto pod = make_workload_pod(rig.spec, rig.host);
  const auto mounts = rig.mounts(pod);
  CHECK(mounts.at("/made-up-by-penstock") == (rig.root / "task/.paths/made-up-by-penstock").string());
  CHECK(mounts.at("/c.txt") == (rig.root / "task/.paths/c.txt").string());
  CHECK(fs::is_regular_file(rig.root / "task/.paths/o.json"));
  CHECK_FALSE(fs::exists(rig.root / "task/deep"));  // the task makes it
  CHECK(to_text(pod).find("\"y\",\"the-pod\"") != std::string::npos);
  rig.write(rig.root / "task/deep/a", "one\n\n");
  rig.write(rig.root / "task/.paths/made-up-by-penstock/b", "two");
  rig.write(rig.root / "task/.paths/made-up-by-penstock/dir/f", "three");
  const auto outputs = collect_workload(rig.spec, rig.host);
  CHECK(to_text(outputs.parameters) == R"({"a":"one\n","b":"two","c":"none","d":"of the-pod"})");
  CHECK(rig.read(rig.root / "objects/a") == "one\n\n");
  CHECK(rig.read(rig.root / "objects/dir/f") == "three");
  CHECK_FALSE(outputs.artifacts.contains("opt"));
}

TEST_CASE("of an output's folders the topmost that is not here is the task's own, and empty") {
  const Rig rig(R"(    container: {image: x, command: [y]}
    outputs:
      parameters: [{name: a, valueFrom: {path: /made-up-by-penstock/one/two/a}}]
      artifacts: [{name: b, path: /made-up-by-penstock/three/b}]
)");
  const auto mounts = rig.mounts(make_workload_pod(rig.spec, rig.host));
  CHECK(mounts.size() == 1);
  CHECK(mounts.at("/made-up-by-penstock") == (rig.root / "task/.paths/made-up-by-penstock").string());
  CHECK(fs::is_empty(rig.root / "task/.paths/made-up-by-penstock"));
  rig.write(rig.root / "task/.paths/made-up-by-penstock/one/two/a", "one");
  rig.write(rig.root / "task/.paths/made-up-by-penstock/three/b", "two");
  CHECK(to_text(collect_workload(rig.spec, rig.host).parameters) == R"({"a":"one"})");
  CHECK(rig.read(rig.root / "objects/b") == "two");
}

TEST_CASE("what is missing is said, and an empty file is not missing") {
  const Rig rig(R"(    container: {image: x, command: [y]}
    outputs: {parameters: [{name: a, valueFrom: {path: /a.txt}}], artifacts: [{name: b, path: /tmp/b}]}
)");
  make_workload_pod(rig.spec, rig.host);
  CHECK(failure([&] { collect_workload(rig.spec, rig.host); }) ==
        "output parameter a: the task ended without writing /a.txt");
  rig.write(rig.root / "task/.paths/a.txt", "");
  CHECK(failure([&] { collect_workload(rig.spec, rig.host); }) ==
        "output artifact b: the task ended without writing /tmp/b");
  rig.write(rig.root / "task/b", "");
  CHECK(collect_workload(rig.spec, rig.host).parameters.at("a") == json::value(""));
}

TEST_CASE("no link of a task leads out of its place") {
  const Rig rig(R"(    container: {image: x, command: [y]}
    outputs: {parameters: [{name: a, valueFrom: {path: /tmp/a, default: d}}], artifacts: [{name: b, path: /tmp/b, optional: true}]}
)");
  make_workload_pod(rig.spec, rig.host);
  rig.write(rig.root / "secret", "hidden");
  fs::create_symlink(rig.root / "secret", rig.root / "task/a");
  fs::create_symlink(rig.root / "secret", rig.root / "task/b");
  const auto outputs = collect_workload(rig.spec, rig.host);
  CHECK(outputs.parameters.at("a") == json::value("d"));
  CHECK_FALSE(fs::exists(rig.root / "objects/b"));
  const Rig climbing(
      "    container: {image: x, command: [y]}\n    outputs: {parameters: [{name: a, valueFrom: {path: "
      "/tmp/../../x.txt}}]}\n");
  CHECK(climbing.mounts(make_workload_pod(climbing.spec, climbing.host)).at("/x.txt") ==
        (climbing.root / "task/.paths/x.txt").string());
}

// A server that takes over may prepare a task again that is running.
TEST_CASE("a link that a running task has put into its folder is not followed") {
  const Rig rig(R"(    container: {image: x, command: [y]}
    inputs: {artifacts: [{name: raw, path: /tmp/in/raw, raw: {data: text}}]}
    outputs: {parameters: [{name: a, valueFrom: {path: /tmp/out/deep/a}}]}
)");
  make_workload_pod(rig.spec, rig.host);
  fs::create_directories(rig.root / "outside");
  for (const auto* name : {"in", "out"}) {
    fs::remove_all(rig.root / "task" / name);
    fs::create_directory_symlink(rig.root / "outside", rig.root / "task" / name);
  }
  CHECK(failure([&] { make_workload_pod(rig.spec, rig.host); }).find("is no folder") != std::string::npos);
  CHECK(fs::is_empty(rig.root / "outside"));
}

TEST_CASE("inputs: what is written down, what lies in the object store, and what is in a volume") {
  Rig rig(
      R"(    inputs: {artifacts: [{name: raw, path: /tmp/raw, raw: {data: text}}, {name: data, path: /in/data, optional: true}]}
    script: {image: x, command: [bash], source: 'echo {{pod.name}}', volumeMounts: [{name: v, mountPath: /v, subPath: s}]}
    volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]
    outputs: {parameters: [{name: a, valueFrom: {path: /v/a}}]}
)");
  rig.spec.executor_input["inputs"] = json::object{
      {"artifacts", {{"data", {{"artifacts", json::array{json::object{{"name", "data"}, {"uri", "minio://b/d"}}}}}}}}};
  CHECK(failure([&] { make_workload_pod(rig.spec, rig.host); }) ==
        "there is no object minio://b/d for the input /in/data");
  rig.write(rig.root / "objects/d", "data");
  const auto pod = make_workload_pod(rig.spec, rig.host);
  const auto mounts = rig.mounts(pod);
  CHECK(mounts.at("/in/data") == (rig.root / "objects/d").string());
  CHECK(rig.read(mounts.at("/argo/staging/script")) == "echo the-pod");
  CHECK(rig.read(rig.root / "task/raw") == "text");
  rig.write(rig.root / "claims/c/s/a", "from the volume");
  CHECK(collect_workload(rig.spec, rig.host).parameters.at("a") == json::value("from the volume"));
  // Without mounts the task is told where they are.
  rig.host.sandbox = false;
  const auto plain = to_text(make_workload_pod(rig.spec, rig.host));
  CHECK(plain.find((rig.root / "task/.paths/argo/staging/script").string()) != std::string::npos);
}

TEST_CASE("patches, deadlines and companions of a pod") {
  const Rig rig(R"(    container: {image: x, command: [y], args: [z]}
    activeDeadlineSeconds: '90'
    timeout: 1m
    podSpecPatch: '{"containers": [{"name": "main", "resources": {"limits": {"memory": "1Gi"}}}]}'
    initContainers: [{name: i, image: x, command: [a]}]
    sidecars: [{name: s, image: x, command: [b]}]
    metadata: {labels: {l: 1}, annotations: {n: v}}
)");
  const json::value pod = make_workload_pod(rig.spec, rig.host);
  CHECK(pod.at("spec").at("activeDeadlineSeconds") == json::value(60));
  const auto& main = pod.at("spec").at("containers").at(0);
  CHECK(string_at(main, {"resources", "limits", "memory"}) == "1Gi");
  CHECK(string_at(main, {"image"}) == "x");
  CHECK(string_at(pod.at("spec").at("initContainers").at(0), {"name"}) == "i");
  CHECK(string_at(pod.at("spec").at("initContainers").at(1), {"restartPolicy"}) == "Always");
  CHECK(string_at(pod, {"metadata", "labels", "l"}) == "1");
}

}  // namespace penstock::pipelines
