#include "pipelines/run/notes.h"

#include <doctest/doctest.h>

#include "pipelines/ir/spec.h"

namespace penstock::pipelines {

namespace {

// first → inner{a → b, c} → last; loop{train → test} is on its own, and so is `cleanup`, which comes after failures
// too.
std::shared_ptr<const ir::Pipeline> pipeline() {
  return ir::read_pipeline(R"yaml(
pipelineInfo: {name: p}
schemaVersion: 2.1.0
deploymentSpec: {executors: {e: {container: {image: x, command: [true]}}}}
components:
  leaf: {executorLabel: e}
  item: {executorLabel: e, inputDefinitions: {parameters: {x: {parameterType: NUMBER_INTEGER}}}}
  inner:
    dag:
      tasks:
        a: {componentRef: {name: leaf}}
        b: {componentRef: {name: leaf}, dependentTasks: [a]}
        c: {componentRef: {name: leaf}}
  body:
    inputDefinitions: {parameters: {x: {parameterType: NUMBER_INTEGER}}}
    dag:
      tasks:
        train: {componentRef: {name: leaf}}
        test: {componentRef: {name: leaf}, dependentTasks: [train]}
root:
  dag:
    tasks:
      first: {componentRef: {name: leaf}}
      inner: {componentRef: {name: inner}, dependentTasks: [first]}
      last: {componentRef: {name: leaf}, dependentTasks: [inner]}
      loop:
        componentRef: {name: body}
        parameterIterator: {itemInput: x, items: {raw: "[1, 2, 3]"}}
      cleanup:
        componentRef: {name: leaf}
        dependentTasks: [last]
        triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}
)yaml");
}

}  // namespace

TEST_CASE("what follows from a task") {
  const auto p = pipeline();
  const auto follows = [&](const char* path, const char* from) { return follows_from(*p, path, from); };
  CHECK(follows("root/first", "root/first"));
  CHECK(follows("root/inner/a", "root/inner"));
  CHECK(follows("root/inner/a", "root/first"));
  CHECK(follows("root/last", "root/first"));
  CHECK(follows("root/last", "root/inner/c"));
  CHECK(follows("root/inner/b", "root/inner/a"));
  CHECK(follows("root/loop/2/test", "root/loop/2/train"));
  CHECK(follows("root/loop/2/test", "root/loop"));
  CHECK(follows("root/anything", "root"));
  CHECK(!follows("root/first", "root/last"));
  CHECK(!follows("root/inner/c", "root/inner/a"));
  CHECK(!follows("root/inner/a", "root/inner/b"));
  CHECK(!follows("root/loop/1/test", "root/loop/2/train"));
  CHECK(!follows("root/loop/1/train", "root/first"));
  CHECK(!follows("root/first", "root/firs"));
  CHECK(!follows("root/first", "root/nothing/of/that"));
}

TEST_CASE("what a retry keeps") {
  const auto p = pipeline();
  CHECK(is_kept_by_retry(*p, "root/loop/2/train"));
  CHECK(is_kept_by_retry(*p, "root/inner/b"));
  CHECK(!is_kept_by_retry(*p, "root/cleanup"));
  CHECK(!is_kept_by_retry(*p, "root/inner/nothing"));
}

}  // namespace penstock::pipelines
