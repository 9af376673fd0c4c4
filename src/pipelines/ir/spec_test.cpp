#include "pipelines/ir/spec.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace penstock::ir {

namespace {

constexpr std::string_view kHello = R"(
pipelineInfo: {name: hello, displayName: Hello}
schemaVersion: 2.1.0
deploymentSpec:
  executors:
    exec-say:
      container: {image: busybox, command: [echo], args: ["{{$.inputs.parameters['x']}}"]}
components:
  comp-say:
    executorLabel: exec-say
    inputDefinitions: {parameters: {x: {parameterType: STRING}}}
    outputDefinitions: {parameters: {Output: {parameterType: STRING}}}
root:
  inputDefinitions: {parameters: {x: {parameterType: STRING, defaultValue: a}}}
  dag:
    tasks:
      say:
        componentRef: {name: comp-say}
        inputs: {parameters: {x: {componentInputParameter: x}}}
        taskInfo: {name: Say it}
)";

std::string failure(std::string_view text) {
  try {
    read_pipeline(text);
    return "no error";
  } catch (const Error& error) {
    CHECK(error.code() == Code::InvalidArgument);
    return error.message();
  }
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

void check_hello(const Pipeline& pipeline) {
  CHECK(pipeline.name == "hello");
  REQUIRE(pipeline.root->dag);
  REQUIRE(pipeline.root->dag->tasks.size() == 1);
  const Task& task = pipeline.root->dag->tasks[0];
  CHECK(task.name == "say");
  CHECK(task.display_name == "Say it");
  REQUIRE(task.component->executor != nullptr);
  CHECK(task.component->executor->label == "exec-say");
  CHECK(task.parameters.at(0).component_input == 0);
}

// lowerCamelCase keys of messages in snake_case; names that users gave stay.
json::value to_snake(const json::value& value) {
  if (const auto* list = value.if_array()) {
    json::array result;
    for (const auto& item : *list) result.push_back(to_snake(item));
    return result;
  }
  const auto* object = value.if_object();
  if (object == nullptr) return value;
  json::object result;
  for (const auto& [key, member] : *object) {
    std::string name;
    for (const char c : std::string_view(key)) {
      if (c >= 'A' && c <= 'Z' && key != "Output")
        name += std::string("_") + static_cast<char>(c - 'A' + 'a');
      else
        name += c;
    }
    result[name] = to_snake(member);
  }
  return result;
}

}  // namespace

TEST_CASE("every form of a spec gives the same pipeline") {
  check_hello(*read_pipeline(kHello));
  const json::value spec = parse_yaml(kHello)[0];
  check_hello(*read_pipeline(to_text(spec)));
  check_hello(*from_json(to_snake(spec)));
  check_hello(*from_json(json::object{{"pipeline_spec", spec}, {"platform_spec", json::object()}}));
  const std::string platform =
      "\n---\nplatforms: {kubernetes: {deploymentSpec: {executors: {exec-say: {podMetadata: {}}}}}}\n";
  const auto two = read_pipeline(std::string(kHello) + platform);
  check_hello(*two);
  CHECK(two->root->dag->tasks[0].component->executor->platform != nullptr);
  const auto job =
      from_json(json::object{{"pipelineSpec", spec},
                             {"runtimeConfig", json::object{{"parameterValues", json::object{{"x", "job's"}}},
                                                            {"gcsOutputDirectory", "gs://b"}}}});
  check_hello(*job);
  CHECK(job->runtime_parameters.at("x") == "job's");
  CHECK(job->runtime_root == "gs://b");
  const json::object manifest{{"kind", "PipelineVersion"}, {"spec", json::object{{"pipelineSpec", spec}}}};
  check_hello(*read_pipeline("kind: Pipeline\nmetadata: {name: x}\n---\n" + to_yaml(manifest)));
}

TEST_CASE("schema 2.0.0") {
  std::string text = replaced(std::string(kHello), "2.1.0", "2.0.0");
  text =
      replaced(text, "{parameters: {x: {parameterType: STRING}}}", "{parameters: {x: {type: INT}, y: {type: STRING}}}");
  text = replaced(text, "{componentInputParameter: x}", "{runtimeValue: {constantValue: {intValue: '5'}}}");
  const auto pipeline = read_pipeline(text);
  const Task& task = pipeline->root->dag->tasks[0];
  CHECK(task.component->input_parameters[0].type == ParameterType::Integer);
  CHECK(*task.parameters[0].constant == 5);
}

TEST_CASE("what is no pipeline is refused, with its reason") {
  CHECK(failure("") == "there is no pipeline in the file");
  CHECK(failure("just text") == "a pipeline is an object, not \"just text\"");
  CHECK(failure("a: [").starts_with("invalid YAML at line"));
  CHECK(failure("{}") == "pipelineInfo.name: missing; every pipeline needs a name");
  CHECK(failure("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n").find("v1 SDK") != std::string::npos);
  CHECK(failure(replaced(std::string(kHello), "name: hello", "name:")) ==
        "pipelineInfo.name: missing; every pipeline needs a name");
  CHECK(failure(replaced(std::string(kHello), "2.1.0", "3.0")).starts_with("schemaVersion: \"3"));
  CHECK(failure(replaced(std::string(kHello), "executorLabel: exec-say", "executorLabel: nope")) ==
        "components.comp-say.executorLabel: there is no executor \"nope\" in deploymentSpec.executors");
  CHECK(failure(replaced(std::string(kHello), "container: {image: busybox,", "container: {image: '',")) ==
        "deploymentSpec.executors.exec-say.container.image: missing");
  CHECK(
      failure(replaced(std::string(kHello), "container:", "customJob:")).find("neither a container nor an importer") !=
      std::string::npos);
  CHECK(failure(replaced(std::string(kHello), "[echo]", "echo")) ==
        "deploymentSpec.executors.exec-say.container.command: must be a list, not \"echo\"");
  CHECK(failure(replaced(std::string(kHello), "defaultValue: a", "defaultValue: null, literals: 3")) ==
        "root.inputDefinitions.parameters.x.literals: must be a list, not 3");
  CHECK(failure(replaced(std::string(kHello), "taskInfo: {name: Say it}", "dependentTasks: [other]")) ==
        "root.dag.tasks.say.dependentTasks: there is no task \"other\" in root.dag");
  CHECK(failure(std::string(kHello) + "\n---\n" + std::string(kHello)) == "more than one pipeline in the file");
}

TEST_CASE("values convert as tasks receive them") {
  CHECK(convert(1.0, ParameterType::Integer, "x") == 1);
  CHECK(convert(5, ParameterType::String, "x") == "5");
  CHECK(convert(1.0, ParameterType::String, "x") == "1");
  CHECK(convert(json::array{1.0, "a"}, ParameterType::String, "x") == "[1,\"a\"]");
  CHECK(convert(2, ParameterType::Double, "x").is_double());
  CHECK_THROWS_AS(convert("5", ParameterType::Integer, "x"), Error);
  CHECK_THROWS_AS(convert(1.5, ParameterType::Integer, "x"), Error);
  CHECK_THROWS_AS(convert(9007199254740993LL, ParameterType::Integer, "x"), Error);
  CHECK_THROWS_AS(convert(nullptr, ParameterType::String, "x"), Error);
  CHECK_THROWS_AS(convert("true", ParameterType::Boolean, "x"), Error);
}

TEST_CASE("deep and wide specs stay within bounds") {
  // 150 dags, each in the one before.
  json::object components;
  for (int i = 0; i < 150; ++i) {
    const std::string next = "c" + std::to_string(i + 1);
    components["c" + std::to_string(i)] = json::object{
        {"dag",
         json::object{{"tasks", json::object{{"t", json::object{{"componentRef", json::object{{"name", next}}}}}}}}}};
  }
  components["c150"] = json::object{{"dag", json::object{{"tasks", json::object()}}}};
  const json::object spec{
      {"pipelineInfo", json::object{{"name", "deep"}}}, {"components", components}, {"root", components["c0"]}};
  CHECK(failure(to_text(spec)) == "components: nested deeper than 100 levels");
  // Each of forty dags holds the next one twice.
  std::string doubling =
      "pipelineInfo: {name: a}\nroot: {dag: {tasks: {a: {componentRef: {name: d0}}}}}\ncomponents:\n";
  for (int i = 0; i < 40; ++i) {
    doubling += fmt::format(
        "  d{0}: {{dag: {{tasks: {{a: {{componentRef: {{name: d{1}}}}}, b: {{componentRef: {{name: d{1}}}}}}}}}}}\n", i,
        i + 1);
  }
  CHECK(failure(doubling + "  d40: {dag: {tasks: {}}}\n").find("it unfolds to more than 1000000 tasks") !=
        std::string::npos);
}

TEST_CASE("a component's own platform spec holds where the second document says nothing") {
  std::string text(kHello);
  text.replace(text.find("    executorLabel: exec-say"), 0,
               "    singlePlatformSpecs:\n"
               "    - {platform: elsewhere, deploymentSpec: {executors: {exec-say: {tolerations: []}}}}\n"
               "    - {platform: kubernetes, deploymentSpec: {executors: {exec-say: {imagePullPolicy: Always, "
               "nodeSelector: {labels: {a: b}}}}}}\n");
  const auto pipeline = read_pipeline(text);
  const Executor& own = pipeline->executors.at("exec-say");
  REQUIRE(own.platform != nullptr);
  CHECK(*own.not_applied == "nodeSelector, imagePullPolicy");
  CHECK(*own.not_applied_in_images == "nodeSelector");

  const auto with_second = read_pipeline(
      text + "\n---\nplatforms: {kubernetes: {deploymentSpec: {executors: {exec-say: {podMetadata: {}}}}}}\n");
  const Executor& second = with_second->executors.at("exec-say");
  CHECK(second.platform->contains("podMetadata"));
  CHECK(second.not_applied == nullptr);
}

TEST_CASE("what a pipeline says of its resources' time to live is named") {
  const std::string text =
      std::string(kHello) +
      "\n---\nplatforms: {kubernetes: {pipelineConfig: {resourceTtlOnCompletion: 60, resourceTtlOnFailure: 90}}}\n";
  CHECK(*read_pipeline(text)->config.not_applied == "resourceTtlOnCompletion, resourceTtlOnFailure");
  CHECK(read_pipeline(kHello)->config.not_applied == nullptr);
}

}  // namespace penstock::ir
