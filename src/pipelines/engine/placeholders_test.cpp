#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/engine/launch.h"

namespace penstock::engine {

namespace {

struct Fixture {
  ir::Component component;
  LaunchSpec spec;

  Fixture() {
    for (const char* name : {"b", "i", "l", "s", "none"}) component.input_parameters.push_back({.name = name});
    std::sort(component.input_parameters.begin(), component.input_parameters.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    component.input_artifacts.push_back({.name = "data"});
    component.input_artifacts.push_back({.name = "missing"});
    component.output_parameters.push_back({.name = "../Out", .type = ir::ParameterType::Integer});
    component.output_parameters.push_back({.name = "Text", .type = ir::ParameterType::String});
    component.output_artifacts.push_back({.name = "model"});
    spec.component = &component;
    spec.image = "python:3.11";
    spec.task_name = "train";
    spec.run_name = "my run";
    spec.run_id = "run-1";
    spec.pipeline_root = "s3://bucket/root";
    spec.executor_input = parse_json(R"({
      "inputs": {"parameterValues": {"s": "a {{$.run}} \"q\" 'p'\nü", "i": 5, "b": true, "l": [1.0, "x"]},
        "artifacts": {"data": {"artifacts": [{"name": "d", "uri": "s3://bucket/d", "metadata": {"k": "v", "n": 1.0}}]}}},
      "outputs": {"artifacts": {"model": {"artifacts": [{"name": "model", "uri": "gs://out/run/model", "metadata": {"a": 1}}]}}}
    })")
                              .as_object();
  }

  std::vector<std::string> args(std::vector<json::value> list) {
    spec.args = std::move(list);
    return resolve(spec, PathMap{}).args;
  }
  std::string arg(std::string_view text) {
    const auto result = args({json::value(text)});
    REQUIRE(result.size() == 1);
    return result[0];
  }
};

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("placeholders for inputs") {
  Fixture f;
  CHECK(f.arg("{{$.inputs.parameters['s']}}") == "a {{$.run}} \"q\" 'p'\nü");
  CHECK(f.arg("{{$.inputs.parameters[\"i\"]}}") == "5");
  CHECK(f.arg("--x={{$.inputs.parameters['i']}}/{{$.inputs.parameters['b']}};") == "--x=5/true;");
  CHECK(f.arg("{{$.inputs.parameters['l']}}") == "[1,\"x\"]");
  CHECK(f.arg("[{{$.inputs.parameters['none']}}]") == "[]");
  CHECK(f.arg("{{$.inputs.artifacts['data'].uri}}") == "s3://bucket/d");
  CHECK(f.arg("{{$.inputs.artifacts['data'].path}}") == "/s3/bucket/d");
  CHECK(f.arg("{{$.inputs.artifacts['data'].metadata['k']}}{{$.inputs.artifacts['data'].metadata['n']}}") == "v1");
  CHECK(f.arg("{{$.inputs.artifacts['data'].metadata['none']}}") == "");
  CHECK(f.arg("{{$.inputs.artifacts['missing'].path}}") == "");
}

TEST_CASE("placeholders for outputs and the job") {
  Fixture f;
  CHECK(f.arg("{{$.outputs.artifacts['model'].uri}}") == "gs://out/run/model");
  CHECK(f.arg("{{$.outputs.artifacts['model'].path}}") == "/gcs/out/run/model");
  CHECK(f.arg("{{$.outputs.artifacts['model'].metadata['a']}}") == "1");
  CHECK(f.arg("{{$.outputs.parameters['Text'].output_file}}") == "/tmp/kfp/outputs/Text");
  CHECK(f.arg("{{$.outputs.parameters['../Out'].output_file}}") == "/tmp/kfp/outputs/..%2FOut");
  CHECK(f.arg("{{$.outputs.output_file}}") == "/tmp/kfp_outputs/output_metadata.json");
  CHECK(f.arg("{{$.pipeline_root}} {{$.pipeline_job_name}} {{$.pipeline_job_uuid}} {{$.pipeline_task_name}}") ==
        "s3://bucket/root my run run-1 train");
  CHECK(f.arg("{{$.workspace_path}}/x") == "/kfp-workspace/x");
}

TEST_CASE("the executor input") {
  Fixture f;
  const json::value input = parse_json(f.arg("{{$}}"));
  CHECK(find_path(input, {"inputs", "parameterValues", "i"})->as_int64() == 5);
  CHECK(string_at(input, {"inputs", "parameterValues", "s"}) == "a {{$.run}} \"q\" 'p'\nü");
  CHECK(string_at(input, {"outputs", "parameters", "Text", "outputFile"}) == "/tmp/kfp/outputs/Text");
  CHECK(string_at(input, {"outputs", "outputFile"}) == "/tmp/kfp_outputs/output_metadata.json");
  CHECK(input == json::value(resolve(f.spec, PathMap{}).executor_input));
  CHECK(parse_json("\"" + f.arg("{{$.json_escape[1]}}") + "\"").as_string() == f.arg("{{$}}"));
  CHECK(f.arg("{{$.inputs.parameters['s'].json_escape[1]}}") == "a {{$.run}} \\\"q\\\" 'p'\\nü");
}

TEST_CASE("what is no placeholder stays") {
  Fixture f;
  for (const std::string_view text :
       {"{{$.unknown}}", "{{$.inputs.parameters['zzz']}}", "{{ $.inputs }}", "{{$", "{{$.inputs.parameters['s'", "$}}",
        "{{}}", "{{$x := 1}} {{$x}}", "{{$.outputs.parameters['nope'].output_file}}", "{\"IfPresent\": broken",
        "{\"a\": 1}"}) {
    CHECK(f.arg(text) == text);
  }
  CHECK(f.arg("{{${{$.inputs.parameters['i']}}}}") == "{{$5}}");
}

TEST_CASE("IfPresent and Concat") {
  Fixture f;
  CHECK(f.args({R"({"IfPresent": {"InputName": "i", "Then": ["--i", "{{$.inputs.parameters['i']}}"]}})"}) ==
        Strings{"--i", "5"});
  CHECK(f.args({R"({"IfPresent": {"InputName": "none", "Then": ["--i"]}})", "end"}) == Strings{"end"});
  CHECK(f.args({R"({"IfPresent": {"InputName": "none", "Then": "x", "Else": "y"}})"}) == Strings{"y"});
  CHECK(f.args({R"({"IfPresent": {"InputName": "data", "Then": "has data"}})"}) == Strings{"has data"});
  CHECK(
      f.args(
          {R"({"Concat": ["a-", "{{$.inputs.parameters['i']}}", {"IfPresent": {"InputName": "none", "Then": "-n"}}]})"}) ==
      Strings{"a-5"});
  CHECK(f.args({parse_json(R"({"Concat": ["x", {"Concat": ["y", "z"]}]})")}) == Strings{"xyz"});
  // A value that looks like a structure is no structure.
  CHECK(f.args({parse_json(
            R"({"IfPresent": {"InputName": "s", "Then": {"Concat": ["<", "{{$.inputs.parameters['s']}}", ">"]}}})")}) ==
        Strings{"<a {{$.run}} \"q\" 'p'\nü>"});
  CHECK_THROWS_AS(f.args({parse_json(R"({"IfPresent": {"Then": "x"}})")}), Error);
}

TEST_CASE("a runner's own folders") {
  Fixture f;
  PathMap paths;
  paths.prefixes = {{"s3://", "/data/buckets/"}, {"gs://", "/data/gcs/"}};
  paths.parameter_folder = "/out/p";
  paths.executor_output_file = "/out/executor.json";
  paths.custom_paths = true;
  f.spec.args = {json::value("{{$.outputs.artifacts['model'].path}}"),
                 json::value("{{$.inputs.artifacts['data'].path}}")};
  const ResolvedTask task = resolve(f.spec, paths);
  CHECK(task.args == Strings{"/data/gcs/out/run/model", "/data/buckets/bucket/d"});
  CHECK(task.output_folders == Strings{"/out/p", "/out", "/data/gcs/out/run"});
  CHECK(to_text(task.executor_input).find(R"("custom_path":"/data/buckets/bucket/d")") != std::string::npos);
}

TEST_CASE("outputs come from the executor's report, then from files") {
  Fixture f;
  const json::value report = parse_json(R"({"parameterValues": {"../Out": 7.0},
    "artifacts": {"model": {"artifacts": [{"name": "renamed", "uri": "s3://x/y", "metadata": {"b": 2}}]}}})");
  const Outputs outputs = merge_executor_output(f.spec, report, {{"Text", "as it\nis "}, {"../Out", "9"}});
  CHECK(outputs.parameters.at("../Out") == 7);
  CHECK(outputs.parameters.at("Text") == "as it\nis ");
  CHECK(to_text(outputs.artifacts) == R"({"model":[{"name":"renamed","uri":"s3://x/y","metadata":{"a":1,"b":2}}]})");
  CHECK(merge_executor_output(f.spec, nullptr, {{"Text", ""}, {"..%2FOut", "9"}}).parameters.at("../Out") == 9);
  CHECK_THROWS_AS(merge_executor_output(f.spec, nullptr, {{"Text", ""}}), Error);
  CHECK_THROWS_AS(merge_executor_output(f.spec, json::array{}, {}), Error);
}

TEST_CASE("segments stay segments") {
  CHECK(path_segment("plain name") == "plain name");
  CHECK(path_segment("../../etc") == "..%2F..%2Fetc");
  CHECK(path_segment("..") == "%2E%2E");
  CHECK(path_segment("a%b@c\n") == "a%25b%40c%0A");
}

}  // namespace penstock::engine
