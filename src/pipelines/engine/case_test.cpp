// Reading test cases: sections, and the shorthand that spares them the long-winded parts of a PipelineSpec.
#include "pipelines/engine/case_test.h"

#include <fstream>
#include <sstream>

#include "base/error.h"

namespace penstock::engine::testing {

namespace {

json::object parameters_of(const json::object* types) {
  json::object result;
  if (types == nullptr) return result;
  for (const auto& [name, type] : *types) {
    // "STRING", "STRING?" for an optional one, or the definition itself.
    if (type.is_object()) {
      result[name] = type;
      continue;
    }
    std::string text = to_std(type.as_string());
    json::object definition;
    if (text.ends_with("?")) {
      text.pop_back();
      definition["isOptional"] = true;
    }
    definition["parameterType"] = text;
    result[name] = std::move(definition);
  }
  return result;
}

json::object artifacts_of(const json::object* types) {
  json::object result;
  if (types == nullptr) return result;
  for (const auto& [name, type] : *types) {
    // "system.Model", "system.Model[]" for a list, "system.Model?" for an optional one.
    std::string text = to_std(type.as_string());
    json::object definition;
    if (text.ends_with("?")) {
      text.pop_back();
      definition["isOptional"] = true;
    }
    if (text.ends_with("[]")) {
      text.resize(text.size() - 2);
      definition["isArtifactList"] = true;
    }
    definition["artifactType"] = json::object{{"schemaTitle", text}, {"schemaVersion", "0.0.1"}};
    result[name] = std::move(definition);
  }
  return result;
}

json::object definitions(const json::object& from, std::string_view parameters, std::string_view artifacts) {
  json::object result;
  if (const auto* list = find_object(from, parameters)) result["parameters"] = parameters_of(list);
  if (const auto* list = find_object(from, artifacts)) result["artifacts"] = artifacts_of(list);
  return result;
}

std::pair<std::string, std::string> split(const std::string& text) {
  const size_t dot = text.find('.');
  return {text.substr(0, dot), text.substr(dot + 1)};
}

// "=task.output", "=.input", "=task!" for its final status; anything else is a constant.
json::value parameter_source(const json::value& value) {
  if (value.is_object() && value.get_object().contains("from")) {
    json::object source = parameter_source(value.get_object().at("from")).as_object();
    source["parameterExpressionSelector"] = value.get_object().at("select");
    return source;
  }
  if (value.is_string() && value.get_string().starts_with("=")) {
    const std::string text = to_std(value.get_string()).substr(1);
    if (text.starts_with('.')) return json::object{{"componentInputParameter", text.substr(1)}};
    if (text.ends_with('!')) {
      return json::object{{"taskFinalStatus", json::object{{"producerTask", text.substr(0, text.size() - 1)}}}};
    }
    const auto [task, output] = split(text);
    return json::object{{"taskOutputParameter", json::object{{"producerTask", task}, {"outputParameterKey", output}}}};
  }
  return json::object{{"runtimeValue", json::object{{"constant", value}}}};
}

json::value artifact_source(const json::value& value) {
  const std::string text = to_std(value.as_string()).substr(1);
  if (text.starts_with('.')) return json::object{{"componentInputArtifact", text.substr(1)}};
  const auto [task, output] = split(text);
  return json::object{{"taskOutputArtifact", json::object{{"producerTask", task}, {"outputArtifactKey", output}}}};
}

json::object expand_task(const std::string& name, const json::object& task) {
  json::object result{{"componentRef", json::object{{"name", "comp-" + get_string(task, "use", name)}}}};
  json::object inputs;
  for (const auto& [key, value] : task) {
    if (key == "in") {
      json::object parameters;
      for (const auto& [input, source] : value.as_object()) parameters[input] = parameter_source(source);
      inputs["parameters"] = std::move(parameters);
    } else if (key == "art") {
      json::object artifacts;
      for (const auto& [input, source] : value.as_object()) artifacts[input] = artifact_source(source);
      inputs["artifacts"] = std::move(artifacts);
    } else if (key == "after") {
      result["dependentTasks"] = value;
    } else if (key == "if") {
      result["triggerPolicy"] = json::object{{"condition", value}};
    } else if (key == "always") {
      result["triggerPolicy"] = json::object{{"strategy", "ALL_UPSTREAM_TASKS_COMPLETED"}};
    } else if (key == "retry") {
      result["retryPolicy"] = value;
    } else if (key == "cache") {
      result["cachingOptions"] = json::object{{"enableCache", value}};
    } else if (key != "use") {
      result[key] = value;
    }
  }
  if (!inputs.empty()) result["inputs"] = std::move(inputs);
  return result;
}

json::array selectors(const json::value& value, std::string_view key) {
  json::array result;
  auto add = [&](const json::value& one) {
    const auto [task, output] = split(to_std(one.as_string()));
    result.push_back(json::object{{"producerSubtask", task}, {key, output}});
  };
  if (value.is_array()) {
    for (const auto& one : value.get_array()) add(one);
  } else {
    add(value);
  }
  return result;
}

json::object expand_dag(const json::object& dag) {
  json::object tasks, outputs, result;
  if (const auto* list = find_object(dag, "tasks")) {
    for (const auto& [name, task] : *list) {
      tasks[name] = expand_task(std::string(name), task.is_object() ? task.get_object() : json::object());
    }
  }
  if (const auto* give = find_object(dag, "give")) {
    json::object parameters;
    for (const auto& [name, from] : *give) {
      json::array list = selectors(from, "outputParameterKey");
      parameters[name] = list.size() == 1
                             ? json::object{{"valueFromParameter", list[0]}}
                             : json::object{{"valueFromOneof", json::object{{"parameterSelectors", list}}}};
    }
    outputs["parameters"] = std::move(parameters);
  }
  if (const auto* give = find_object(dag, "give_art")) {
    json::object artifacts;
    for (const auto& [name, from] : *give) {
      artifacts[name] = json::object{{"artifactSelectors", selectors(from, "outputArtifactKey")}};
    }
    outputs["artifacts"] = std::move(artifacts);
  }
  result["tasks"] = std::move(tasks);
  if (!outputs.empty()) result["outputs"] = std::move(outputs);
  json::object component{{"dag", std::move(result)}};
  if (auto inputs = definitions(dag, "in", "art"); !inputs.empty()) component["inputDefinitions"] = std::move(inputs);
  if (auto outs = definitions(dag, "out", "out_art"); !outs.empty()) component["outputDefinitions"] = std::move(outs);
  return component;
}

}  // namespace

json::value expand_spec(json::value shorthand) {
  json::object& from = shorthand.as_object();
  if (!from.contains("root") || find_path(shorthand, {"root", "dag"}) != nullptr) return shorthand;
  json::object components, executors;
  if (const auto* leaves = find_object(from, "leaves")) {
    for (const auto& [name, value] : *leaves) {
      const json::object leaf = value.is_object() ? value.get_object() : json::object();
      json::object component{{"executorLabel", "exec-" + std::string(name)}};
      if (auto ins = definitions(leaf, "in", "art"); !ins.empty()) component["inputDefinitions"] = std::move(ins);
      if (auto outs = definitions(leaf, "out", "out_art"); !outs.empty()) {
        component["outputDefinitions"] = std::move(outs);
      }
      components["comp-" + std::string(name)] = std::move(component);
      json::object executor;
      if (const auto* importer = find(leaf, "importer")) {
        executor["importer"] = *importer;
      } else {
        const auto* container = find_object(leaf, "container");
        executor["container"] =
            container != nullptr ? *container : json::object{{"image", "busybox"}, {"command", json::array{"true"}}};
      }
      executors["exec-" + std::string(name)] = std::move(executor);
    }
  }
  if (const auto* dags = find_object(from, "dags")) {
    for (const auto& [name, dag] : *dags) components["comp-" + std::string(name)] = expand_dag(dag.as_object());
  }
  return json::object{{"pipelineInfo", json::object{{"name", "test"}}},
                      {"schemaVersion", "2.1.0"},
                      {"deploymentSpec", json::object{{"executors", std::move(executors)}}},
                      {"components", std::move(components)},
                      {"root", expand_dag(from.at("root").as_object())}};
}

Case read_case(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::map<std::string, std::string> sections;
  std::string section, line;
  while (std::getline(in, line)) {
    if (line.starts_with("=== "))
      section = line.substr(4);
    else
      sections[section] += line + "\n";
  }
  Case test;
  test.name = file.stem().string();
  test.file = file;
  auto object_section = [&](const std::string& name) {
    const auto documents = parse_yaml(sections[name]);
    return documents.empty() || !documents[0].is_object() ? json::object() : documents[0].get_object();
  };
  const auto spec = parse_yaml(sections["spec"]);
  if (spec.empty()) throw invalid("{}: no spec", file.string());
  test.spec = expand_spec(spec[0]);
  if (spec.size() > 1) test.platform = spec[1];
  test.run = object_section("run");
  test.results = object_section("results");
  test.expected = sections["expect"];
  return test;
}

void write_expected(const Case& test, const std::string& expected) {
  std::ifstream in(test.file);
  std::stringstream all;
  all << in.rdbuf();
  std::string text = all.str();
  const size_t at = text.find("=== expect\n");
  text = text.substr(0, at) + "=== expect\n" + expected;
  std::ofstream(test.file) << text;
}

}  // namespace penstock::engine::testing
