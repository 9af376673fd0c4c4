#include "pipelines/argo/workflow.h"

#include <random>

#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/argo/template.h"

namespace penstock::argo {

namespace {

std::shared_ptr<const ir::Pipeline> read(std::string_view spec) {
  std::string text = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: made-here-}\nspec:\n";
  text += spec;
  return read_workflow(parse_yaml(text)[0]);
}

std::string failure(std::string_view spec) {
  try {
    read(spec);
    return "no error";
  } catch (const Error& error) {
    CHECK(error.code() == Code::InvalidArgument);
    return error.message();
  }
}

constexpr std::string_view kRun = "  - {name: run, container: {image: busybox, command: ['true']}}\n";

std::string dag(std::string_view tasks, std::string_view more = {}) {
  return fmt::format("  entrypoint: main\n  templates:\n{}  - name: main\n    dag:\n      tasks:\n{}{}", kRun, tasks,
                     more);
}

// Changes a part of a value that is picked by chance.
void damage(json::value& value, std::mt19937& random) {
  std::vector<json::value*> parts{&value};
  for (size_t i = 0; i < parts.size(); ++i) {
    if (auto* list = parts[i]->if_array()) {
      for (auto& item : *list) parts.push_back(&item);
    } else if (auto* object = parts[i]->if_object()) {
      for (auto& [key, member] : *object) parts.push_back(&member);
    }
  }
  json::value& part = *parts[random() % parts.size()];
  if (part.is_string() && random() % 2 == 0) {
    constexpr std::string_view kBytes = "{}.=&|!() -ax1";
    std::string text = to_std(part.get_string());
    text.insert(random() % (text.size() + 1), 1, kBytes[random() % kBytes.size()]);
    if (random() % 2 == 0) text.erase(random() % text.size(), random() % 6);
    part = json::value(text);
    return;
  }
  const json::value kOthers[] = {nullptr,
                                 5,
                                 -1.5,
                                 true,
                                 "",
                                 "x",
                                 "{{item.a}}",
                                 "{{=1 +}}",
                                 "{{inputs.parameters.}}",
                                 json::array(),
                                 json::object(),
                                 json::array{nullptr},
                                 json::array{json::object()},
                                 json::object{{"name", "a"}},
                                 json::object{{"x", json::object()}}};
  part = kOthers[random() % std::size(kOthers)];
}

}  // namespace

TEST_CASE("a workflow is called as the SDK or its author says") {
  CHECK(read(dag("      - {name: a, template: run}\n"))->name == "made-here");
  auto document = parse_yaml(R"({kind: Workflow, metadata: {name: x, annotations: {pipelines.kubeflow.org/pipeline_spec:
    '{"name": "My pipeline", "description": "does it"}'}}, spec: {entrypoint: a, templates: [{name: a, container: {image: b}}]}})");
  const auto pipeline = read_workflow(document[0]);
  CHECK(pipeline->name == "My pipeline");
  CHECK(pipeline->description == "does it");
  CHECK(pipeline->spec == document[0]);
  CHECK(string_at(document[0], {"metadata", "name"}) == "x");
}

TEST_CASE("tasks and components have the names that Argo gives them") {
  const auto pipeline =
      read(dag("      - {name: a, template: run}\n      - {name: b, template: run, dependencies: [a]}\n"));
  REQUIRE(pipeline->root->dag);
  REQUIRE(pipeline->root->dag->tasks.size() == 2);
  CHECK(pipeline->root->dag->tasks[1].name == "b");
  CHECK(pipeline->root->dag->tasks[1].component->name == "run");
  CHECK(pipeline->root->dag->tasks[1].upstream == std::vector<int>{0});
  CHECK(pipeline->main_task == -1);
  CHECK_FALSE(pipeline->recursive);
}

TEST_CASE("an entrypoint that is no dag, and an exit handler, stand in a dag of their own") {
  const auto pipeline = read("  entrypoint: run\n  onExit: run\n  templates:\n" + std::string(kRun));
  REQUIRE(pipeline->root->dag->tasks.size() == 2);
  CHECK(pipeline->root->dag->tasks[0].name == "run");
  CHECK(pipeline->root->dag->tasks[1].name == "run-on-exit");
  CHECK(pipeline->root->dag->tasks[1].when_completed);
  CHECK(pipeline->main_task == 0);
}

TEST_CASE("the run's parameters are texts") {
  const auto pipeline =
      read("  arguments: {parameters: [{name: a, value: 3}, {name: b}, {name: c, value: x, enum: [x, y]}]}\n" +
           dag("      - {name: a, template: run}\n"));
  const auto& inputs = pipeline->root->input_parameters;
  REQUIRE(inputs.size() == 3);
  CHECK(*inputs[0].default_value == json::value("3"));
  CHECK_FALSE(inputs[1].optional);
  CHECK(inputs[2].literals->size() == 2);
}

TEST_CASE("caching, retries and what has no effect come from the template") {
  const auto pipeline = read(R"(
  entrypoint: main
  imagePullSecrets: [{name: x}]
  serviceAccountName: pipeline-runner
  templates:
  - name: main
    dag: {tasks: [{name: a, template: one}, {name: b, template: two}]}
  - name: one
    metadata: {labels: {pipelines.kubeflow.org/enable_caching: 'true'}, annotations: {pipelines.kubeflow.org/task_display_name: The one}}
    retryStrategy: {limit: '3', retryPolicy: Always, backoff: {duration: 2m, factor: 2, maxDuration: 1h}}
    nodeSelector: {a: b}
    container: {image: x, command: [y], imagePullPolicy: Always}
  - name: two
    metadata: {labels: {pipelines.kubeflow.org/enable_caching: 'true'}, annotations: {pipelines.kubeflow.org/max_cache_staleness: P0D}}
    container: {image: x, command: [y]}
)");
  const ir::Task& a = pipeline->root->dag->tasks[0];
  CHECK(a.cache);
  CHECK(a.display_name == "The one");
  CHECK(a.retry.max_retries == 3);
  CHECK(a.retry.results == (ir::kFailed | ir::kErrored));
  CHECK(a.retry.backoff == std::chrono::minutes(2));
  CHECK(a.retry.max_duration == std::chrono::hours(1));
  CHECK(*a.component->executor->not_applied == "imagePullSecrets, imagePullPolicy, nodeSelector");
  CHECK_FALSE(pipeline->root->dag->tasks[1].cache);
}

TEST_CASE("what is wrong is refused where it is") {
  CHECK(failure("  entrypoint: x\n  templates:\n" + std::string(kRun)) ==
        "spec.entrypoint: there is no template \"x\"");
  CHECK(failure("  entrypoint: x\n") == "spec.templates: missing");
  CHECK(failure(dag("      - {name: a, template: b}\n")) ==
        "spec.templates.main.dag.tasks[0].template: there is no template \"b\"");
  CHECK(failure(dag("      - {name: a, template: run, hooks: {}}\n      - {name: b, template: run, hooks: {x: "
                    "{template: run}}}\n")) == "spec.templates.main.dag.tasks[1].hooks.x.expression: missing");
  CHECK(failure(dag("      - {name: a, template: run, hooks: {x: {template: run, expression: 'b.c'}}}\n"))
            .find("spec.templates.main.dag.tasks[0].hooks.x") == 0);
  CHECK(failure(dag("      - {name: a, template: run, when: \"{{=tasks['b'].status == 'x'}}\"}\n"))
            .find("there is no task \"b\"") != std::string::npos);
  CHECK(failure(dag("      - {name: a, template: run, when: '{{inputs.parameters.x}} == 1'}\n")) ==
        "spec.templates.main.dag.tasks[0].when: {{inputs.parameters.x}} cannot be resolved: the template has no input "
        "parameter \"x\"");
  CHECK(failure(dag("      - {name: a, template: run, when: '{{item}} == 1'}\n")).find("the task is no loop") !=
        std::string::npos);
  CHECK(failure(
            dag("      - {name: a, template: run, dependencies: [b]}\n      - {name: b, template: run, depends: a}\n"))
            .find("wait for each other: ") != std::string::npos);
  CHECK(failure(dag("      - {name: a, template: run, depends: 'b &&'}\n")).find("tasks[0].depends: ") !=
        std::string::npos);
  CHECK(failure(dag("      - {name: a, template: run, withItems: [1], withParam: '[]'}\n")).find("only one of") !=
        std::string::npos);
  CHECK(
      failure(dag("      - {name: a, template: run}\n      - {name: a, template: run}\n")).find("another task \"a\"") !=
      std::string::npos);
  CHECK(failure(dag("      - {name: a, template: needs}\n",
                    "  - {name: needs, inputs: {parameters: [{name: x}]}, container: {image: x, command: [y]}}\n")) ==
        "spec.templates.main.dag.tasks[0].arguments.parameters: template \"needs\" requires \"x\"");
  CHECK(
      failure(dag("      - {name: a, template: x}\n", "  - {name: x, plugin: {hello: {}}, container: {image: x}}\n")) ==
      "spec.templates.x.plugin: this field of workflows is not supported");
  CHECK(failure(dag("      - {name: a, template: x, withItems: [1]}\n",
                    "  - {name: x, daemon: true, container: {image: x, command: [y]}}\n"))
            .find("a daemon cannot be a loop's") != std::string::npos);
  CHECK(failure(dag("      - {name: a, template: x}\n",
                    "  - {name: x, container: {image: x, command: ['{{workflow.parameters.y}}']}}\n")) ==
        "spec.templates.x.main.command[0]: {{workflow.parameters.y}} cannot be resolved: the workflow has no parameter "
        "\"y\"");
  CHECK(failure(dag("      - {name: a, template: x}\n",
                    "  - {name: x, timeout: 5 s, dag: {tasks: [{name: a, template: run}]}}\n")) ==
        "spec.templates.x.timeout: \"5 s\" is no duration");
  CHECK(failure(dag("      - {name: a, template: x}\n",
                    "  - {name: x, metadata: {annotations: {pipelines.kubeflow.org/v2_component: 'true'}}, container: "
                    "{image: x}}\n"))
            .find("V1_LEGACY") != std::string::npos);
}

TEST_CASE("what the SDK makes of a deletion is one of ours, and is never cached") {
  const auto pipeline =
      read(dag("      - {name: a, template: x, arguments: {parameters: [{name: n, value: v}]}}\n      - {name: b, "
               "template: y}\n",
               R"(  - name: x
    inputs: {parameters: [{name: n}]}
    metadata: {labels: {pipelines.kubeflow.org/enable_caching: 'true'}}
    container: {image: gcr.io/cloud-builders/kubectl, command: [kubectl, delete, pvc, '{{inputs.parameters.n}}', --ignore-not-found, --output, name, -n, there, --wait=false]}
  - {name: y, container: {image: kubectl, command: [kubectl, delete, pods], args: [--all]}}
)"));
  const ir::Task& task = pipeline->root->dag->tasks[0];
  CHECK_FALSE(task.cache);
  REQUIRE(task.component->executor->kind == ir::Executor::Kind::Resource);
  const json::object& spec = *task.component->executor->spec;
  CHECK(string_at(json::value(spec), {"action"}) == "delete");
  CHECK(string_at(json::value(spec), {"manifest", "kind"}) == "PersistentVolumeClaim");
  CHECK(string_at(json::value(spec), {"manifest", "metadata", "name"}) == "{{inputs.parameters.n}}");
  CHECK(string_at(json::value(spec), {"manifest", "metadata", "namespace"}) == "there");
  CHECK_FALSE(get_bool(spec, "missingIsError"));
  CHECK(pipeline->root->dag->tasks[1].component->executor->kind == ir::Executor::Kind::Workload);
}

TEST_CASE("the age that a hit may have") {
  auto age_of = [](std::string_view text) {
    const auto pipeline = read(
        dag("      - {name: a, template: x}\n",
            fmt::format(
                "  - {{name: x, metadata: {{labels: {{pipelines.kubeflow.org/enable_caching: 'true'}}, annotations: "
                "{{pipelines.kubeflow.org/max_cache_staleness: {}}}}}, container: {{image: x, command: [y]}}}}\n",
                text)));
    const ir::Task& task = pipeline->root->dag->tasks[0];
    if (!task.cache) return std::string("off");
    return task.max_cache_age ? std::to_string(task.max_cache_age->count()) : std::string("any");
  };
  CHECK(age_of("P0D") == "off");
  CHECK(age_of("PT1H") == "3600");
  CHECK(age_of("P1DT1M") == "86460");
  CHECK(age_of("often") == "any");
}

TEST_CASE("a damaged workflow is refused or read, and nothing else") {
  const std::string whole = R"(kind: Workflow
metadata: {generateName: x-, annotations: {pipelines.kubeflow.org/pipeline_spec: '{"name": "n"}'}}
spec:
  entrypoint: m
  onExit: r
  hooks: {begun: {template: r, expression: workflow.status == "Running"}}
  arguments: {parameters: [{name: p, value: 1}]}
  volumeClaimTemplates: [{metadata: {name: c}, spec: {accessModes: [ReadWriteOnce]}}]
  volumes: [{name: v, emptyDir: {}}]
  templates:
  - name: m
    dag: {tasks: [{name: a, template: s, withItems: [1, {k: '{{workflow.uid}}'}], when: '{{item}} == 1', arguments: {parameters: [{name: i, value: '{{item.k}}'}]}},
      {name: b, template: r, depends: 'a.Failed || !(a && a.AllFailed)', continueOn: {failed: true}, withSequence: {count: '{{workflow.parameters.p}}'}}]}
    outputs: {parameters: [{name: o, valueFrom: {parameter: '{{tasks.a.outputs.parameters.f}}', default: x}}]}
  - name: s
    inputs: {parameters: [{name: i, default: 3}]}
    timeout: '{{inputs.parameters.i}}s'
    steps: [[{name: t, template: r, hooks: {exit: {template: z}, bad: {template: z, expression: steps.t.status == 'Failed'}}}], {name: u, template: z}]
    outputs: {parameters: [{name: f, valueFrom: {expression: steps.t.status}}]}
  - name: r
    inputs: {artifacts: [{name: q, path: /tmp/q, raw: {data: d}}]}
    retryStrategy: {limit: 2, backoff: {duration: 1s}}
    script: {image: i, command: [sh], source: 'echo {{workflow.name}}', env: [{name: e, value: 1}], volumeMounts: [{name: v, mountPath: /v}]}
    sidecars: [{name: w, image: i, mirrorVolumeMounts: true}]
    memoize: {key: 'k-{{workflow.name}}', maxAge: 1h}
    outputs: {parameters: [{name: g, globalName: all, valueFrom: {path: /g}}], artifacts: [{name: h, path: /h, s3: {key: k}}]}
  - name: e
    dag:
      target: b
      tasks:
      - {name: a, template: r}
      - {name: b, template: d, arguments: {parameters: [{name: j, value: "{{=asInt(workflow.outputs.parameters.all) + 1}}"}], artifacts: [{name: k, fromExpression: tasks.a.outputs.artifacts.h}]}}
      - {name: c, template: r}
  - {name: d, daemon: true, retryStrategy: {expression: lastRetry.exitCode == '1'}, inputs: {parameters: [{name: j}], artifacts: [{name: k, path: /k}]}, container: {image: x, command: [kubectl, delete, cm, '{{=sprig.trim(inputs.parameters.j)}}']}}
  - {name: z, suspend: {duration: 1}}
  - {name: y, resource: {action: get, manifest: 'kind: Pod'}, outputs: {parameters: [{name: n, valueFrom: {jsonPath: '{.a}'}}]}}
)";
  const json::value sound = parse_yaml(whole)[0];
  CHECK_NOTHROW(read_workflow(sound));
  std::mt19937 random(7);
  int read_well = 0;
  for (int round = 0; round < 5000; ++round) {
    json::value damaged = sound;
    for (unsigned change = random() % 3 + 1; change > 0; --change) damage(damaged, random);
    CAPTURE(to_text(damaged));
    try {
      read_workflow(damaged);
      ++read_well;
    } catch (const Error&) {
      // Refused.
    }
  }
  CHECK(read_well > 100);
}

TEST_CASE("braces of a program are its own") {
  const auto pipeline =
      read(dag("      - {name: a, template: x}\n",
               "  - {name: x, container: {image: x, command: [echo, '{{ user }} {{$.x}} {{}} {{']}}\n"));
  CHECK(pipeline->root->dag->tasks.size() == 1);
}

TEST_CASE("templates are filled in once") {
  const Lookup lookup = [](std::string_view tag) -> std::optional<std::string> {
    if (tag == "a") return "{{b}}";
    return tag == "b" ? std::optional<std::string>("x") : std::nullopt;
  };
  CHECK(fill("{{a}} {{ b }} {{c}} {{$b}} {{", lookup) == "{{b}} x {{c}} {{$b}} {{");
  CHECK(fill("{{c {{b}}", lookup) == "{{c x");
  CHECK(fill_texts(json::value(json::object{{"k", json::array{"{{b}}", 1}}}), lookup) ==
        json::value(json::object{{"k", json::array{"x", 1}}}));
}

TEST_CASE("durations of ISO 8601") {
  CHECK(iso_seconds("P30D") == 30 * 86400);
  CHECK(iso_seconds("PT1H30M5S") == 5405);
  CHECK(iso_seconds("P1W") == 604800);
  CHECK(iso_seconds("P1Y2M") == 425 * 86400);
  CHECK(iso_seconds("P0D") == 0);
  for (const auto text : {"", "P", "PT", "1H", "P1H", "PT1D", "P-1D", "PT1HT1H", "P1", "PTS"}) {
    CAPTURE(text);
    CHECK_FALSE(iso_seconds(text));
  }
}

TEST_CASE("durations") {
  CHECK(duration_seconds("90") == 90);
  CHECK(duration_seconds("1m30s") == 90);
  CHECK(duration_seconds("1.5h") == 5400);
  CHECK(duration_seconds("250ms") == 0.25);
  CHECK(duration_seconds("1d") == 86400);
  for (const auto text : {"", "s", "5x", "-5s", "1m30", "nan", "inf"}) {
    CAPTURE(text);
    CHECK_FALSE(duration_seconds(text));
  }
}

}  // namespace penstock::argo
