// References in texts: what each tag stands for.
#include "pipelines/argo/translator.h"

namespace penstock::argo {

namespace {

constexpr std::string_view kRunVariables[] = {"name",     "uid",        "namespace",          "mainEntrypoint",
                                              "status",   "failures",   "duration",           "scheduledTime",
                                              "priority", "parameters", "serviceAccountName", "creationTimestamp"};

// The first words that workflows use. Braces around anything else are a program's own.
bool is_reference(std::string_view first) {
  for (const std::string_view word :
       {"inputs", "outputs", "tasks", "steps", "workflow", "item", "pod", "node", "retries", "lastRetry"}) {
    if (first == word) return true;
  }
  return false;
}

[[noreturn]] void unresolved(const std::string& path, std::string_view tag, std::string_view why) {
  throw invalid("{}: {{{{{}}}}} cannot be resolved: {}", path, tag, why);
}

std::string joined(const std::vector<std::string_view>& parts, size_t from) {
  std::string text;
  for (size_t i = from; i < parts.size(); ++i) text += (i > from ? "." : "") + std::string(parts[i]);
  return text;
}

// Cuts a text into literals and tags.
template <class OnText, class OnTag>
void scan(std::string_view text, OnText on_text, OnTag on_tag) {
  size_t from = 0, at = 0;
  for (;;) {
    const size_t begin = text.find("{{", at);
    const size_t end = begin == std::string_view::npos ? begin : text.find("}}", begin + 2);
    if (end == std::string_view::npos) break;
    std::string_view tag = text.substr(begin + 2, end - begin - 2);
    while (!tag.empty() && tag.front() == ' ') tag.remove_prefix(1);
    while (!tag.empty() && tag.back() == ' ') tag.remove_suffix(1);
    const bool ours = tag.starts_with('=') || is_reference(split(tag)[0]);
    if (!ours) {
      at = begin + 2;
      continue;
    }
    if (begin > from) on_text(text.substr(from, begin - from));
    on_tag(tag);
    from = at = end + 2;
  }
  if (from < text.size()) on_text(text.substr(from));
}

}  // namespace

// workflow.…: of the run, or known now.
ir::Reference Translator::variable(std::string_view tag, const std::string& path) const {
  const auto parts = split(tag);
  if (parts.size() < 2) unresolved(path, tag, "it names nothing of the workflow");
  ir::Reference reference{.kind = ir::Reference::Kind::Run, .text = joined(parts, 1)};
  if (parts[1] == "parameters" && parts.size() > 2 && reference.text != "parameters.json") {
    const std::string name = joined(parts, 2);
    if (pipeline_.root->input_parameter(name) < 0) {
      unresolved(path, tag, fmt::format("the workflow has no parameter \"{}\"", name));
    }
    return reference;
  }
  if ((parts[1] == "labels" || parts[1] == "annotations") && parts.size() > 2) {
    const auto* metadata = find_object(*workflow_, "metadata");
    const auto* map = metadata != nullptr ? find_object(*metadata, parts[1]) : nullptr;
    const auto* value = map != nullptr ? map->if_contains(joined(parts, 2)) : nullptr;
    if (value == nullptr) unresolved(path, tag, "the workflow has none of this name");
    return {.kind = ir::Reference::Kind::Literal, .text = any_text(*value, path)};
  }
  if (parts.size() > 3 && parts[1] == "outputs" && parts[2] == "parameters") {
    const std::string name = joined(parts, 3);
    for (const auto& [key, component] : pipeline_.components) {
      for (const auto& def : component.output_parameters) {
        if (def.global_name == name) return reference;
      }
    }
    unresolved(path, tag, "no output has this globalName");
  }
  const bool known = std::find(std::begin(kRunVariables), std::end(kRunVariables), parts[1]) != std::end(kRunVariables);
  if (!known) unresolved(path, tag, "there is no such variable here");
  if (parts[1] == "mainEntrypoint") {
    return {.kind = ir::Reference::Kind::Literal, .text = get_string(*spec_, "entrypoint")};
  }
  if (parts[1] == "priority") {
    return {.kind = ir::Reference::Kind::Literal, .text = std::to_string(get_int(*spec_, "priority"))};
  }
  if (parts[1] == "serviceAccountName") {
    return {.kind = ir::Reference::Kind::Literal, .text = get_string(*spec_, "serviceAccountName", "default")};
  }
  return reference;
}

namespace {

using Kind = ir::Reference::Kind;

ir::Reference sibling(std::string_view tag, const std::vector<std::string_view>& parts, const Scope& scope,
                      const std::string& path) {
  if (scope.dag == nullptr || parts[0] != scope.siblings || parts.size() < 3) {
    unresolved(path, tag, fmt::format("no {} can be named here", parts[0]));
  }
  const auto found = scope.names->find(parts[1]);
  if (found == scope.names->end()) unresolved(path, tag, fmt::format("there is no task \"{}\"", parts[1]));
  const ir::Task& task = scope.dag->tasks[static_cast<size_t>(found->second)];
  ir::Reference reference{.kind = Kind::Fact, .text = std::string(parts[2]), .task = task.index};
  if (parts[2] != "outputs") {
    for (const std::string_view fact : {"status", "exitCode", "id", "ip", "startedAt", "finishedAt"}) {
      if (parts.size() == 3 && parts[2] == fact) return reference;
    }
    unresolved(path, tag, "tasks have status, exitCode, id, ip, startedAt, finishedAt and outputs");
  }
  reference.text.clear();
  if (parts.size() == 4 && parts[3] == "parameters") {
    reference.kind = Kind::Outputs;
    return reference;
  }
  if (parts.size() == 4 && parts[3] == "exitCode") {
    reference.text = "exitCode";
    return reference;
  }
  reference.kind = Kind::Output;
  if (parts.size() == 4 && parts[3] == "result") {
    for (size_t i = 0; i < task.component->output_parameters.size(); ++i) {
      if (task.component->output_parameters[i].found == ir::Found::Stdout) reference.index = static_cast<int>(i);
    }
    if (reference.index < 0) unresolved(path, tag, "only containers, scripts and requests have a result");
    return reference;
  }
  if (parts.size() < 5 || parts[3] != "parameters") {
    unresolved(path, tag, "outputs of a task are outputs.result and outputs.parameters.NAME");
  }
  const std::string name = joined(parts, 4);
  reference.index = task.component->output_parameter(name);
  if (reference.index < 0) {
    unresolved(path, tag, fmt::format("template \"{}\" has no output parameter \"{}\"", task.component->name, name));
  }
  return reference;
}

std::string written(const std::vector<std::string>& path) {
  std::string text;
  for (const auto& part : path) text += (text.empty() ? "" : ".") + part;
  return text;
}

}  // namespace

Expression Translator::parse_expression(std::string_view text, const std::string& path) const {
  try {
    return Expression::parse(text);
  } catch (const Error& error) {
    throw invalid("{}: {{{{={}}}}}: {}", path, text, error.message());
  }
}

// "workflow" and "inputs.parameters", of what an expression names.
void Translator::check_common(const std::vector<std::string>& names, const ir::Component& component,
                              std::string_view tag, const std::string& path) const {
  if (names[0] == "workflow") {
    if (names.size() > 1) variable(written(names), path);
    return;
  }
  if (names[0] == "inputs" && names.size() > 2 && names[1] == "parameters") {
    if (component.input_parameter(names[2]) >= 0) return;
    unresolved(path, tag, fmt::format("the template has no input parameter \"{}\"", names[2]));
  }
  if (names[0] == "inputs") return;
  unresolved(path, tag, fmt::format("there is nothing named {} here", written(names)));
}

ir::Reference Translator::expression(std::string_view tag, const Scope& scope, const std::string& path) const {
  ir::Reference reference{.kind = Kind::Expression, .text = std::string(tag.substr(1))};
  auto parsed = std::make_shared<const Expression>(parse_expression(reference.text, path));
  for (const auto& names : parsed->paths()) {
    if (names[0] == "item") {
      if (!scope.item) unresolved(path, tag, "the task is no loop");
    } else if (names[0] == "tasks" || names[0] == "steps") {
      if (scope.dag == nullptr || names[0] != scope.siblings || names.size() < 2) {
        unresolved(path, tag, fmt::format("no {} can be named here", names[0]));
      }
      const auto found = scope.names->find(names[1]);
      if (found == scope.names->end()) unresolved(path, tag, fmt::format("there is no task \"{}\"", names[1]));
      reference.tasks.push_back(found->second);
    } else {
      check_common(names, *scope.component, tag, path);
    }
  }
  reference.expression = std::move(parsed);
  return reference;
}

ir::Text Translator::text(std::string_view text, const Scope& scope, const std::string& path) const {
  ir::Text result;
  auto on_tag = [&](std::string_view tag) {
    if (tag.starts_with('=')) return result.push_back(expression(tag, scope, path));
    const auto parts = split(tag);
    if (parts[0] == "item") {
      if (!scope.item) unresolved(path, tag, "the task is no loop");
      return result.push_back({.kind = Kind::Item, .text = joined(parts, 1)});
    }
    if (parts[0] == "workflow") return result.push_back(variable(tag, path));
    if (parts[0] == "inputs" && parts.size() >= 2 && parts[1] == "parameters") {
      if (parts.size() == 2) return result.push_back({.kind = Kind::Inputs});
      const std::string name = joined(parts, 2);
      const int index = scope.component->input_parameter(name);
      if (index < 0) unresolved(path, tag, fmt::format("the template has no input parameter \"{}\"", name));
      return result.push_back({.kind = Kind::Input, .index = index});
    }
    if (parts[0] == "tasks" || parts[0] == "steps") return result.push_back(sibling(tag, parts, scope, path));
    unresolved(path, tag, "nothing of this name can be used here");
  };
  auto on_text = [&](std::string_view literal) {
    result.push_back({.kind = Kind::Literal, .text = std::string(literal)});
  };
  scan(text, on_text, on_tag);
  return result;
}

void Translator::check_name(std::string_view tag, const Template& from, const std::string& path) const {
  if (tag.starts_with('=')) {
    const Expression parsed = parse_expression(tag.substr(1), path);
    for (const auto& names : parsed.paths()) {
      if (names[0] != "retries" && names[0] != "lastRetry") check_common(names, *from.component, tag, path);
    }
    return;
  }
  const auto parts = split(tag);
  if (parts[0] == "workflow") {
    variable(tag, path);
    return;
  }
  if (tag == "pod.name" || tag == "retries" || tag == "node.name" || tag == "inputs.parameters") return;
  for (const std::string_view fact : {"exitCode", "status", "duration", "message"}) {
    if (parts[0] != "lastRetry" || parts.size() != 2 || parts[1] != fact) continue;
    if (ir::member(*from.spec, "retryStrategy") != nullptr) return;
    unresolved(path, tag, "the template has no retryStrategy");
  }
  if (parts.size() >= 3 && parts[0] == "inputs" && parts[1] == "parameters") {
    const std::string name = joined(parts, 2);
    if (from.component->input_parameter(name) >= 0) return;
    unresolved(path, tag, fmt::format("the template has no input parameter \"{}\"", name));
  }
  if (parts.size() >= 4 && parts.back() == "path") {
    const std::string name(
        tag.substr(parts[0].size() + parts[1].size() + 2, tag.size() - parts[0].size() - parts[1].size() - 7));
    const bool artifact = parts[1] == "artifacts";
    const ir::Component& component = *from.component;
    if (parts[0] == "inputs" && artifact && component.input_artifact(name) >= 0) return;
    if (parts[0] == "outputs" && artifact && component.output_artifact(name) >= 0) return;
    if (parts[0] == "outputs" && parts[1] == "parameters" && component.output_parameter(name) >= 0) return;
  }
  unresolved(path, tag, "nothing of this name can be used here");
}

void Translator::check_leaf(const json::value& value, const Template& from, const std::string& path) const {
  if (const auto* list = value.if_array()) {
    for (size_t i = 0; i < list->size(); ++i) check_leaf((*list)[i], from, fmt::format("{}[{}]", path, i));
  } else if (const auto* object = value.if_object()) {
    for (const auto& [key, member] : *object) {
      check_leaf(member, from, fmt::format("{}.{}", path, std::string_view(key)));
    }
  } else if (value.is_string()) {
    scan(
        to_view(value.get_string()), [](std::string_view) {},
        [&](std::string_view tag) { check_name(tag, from, path); });
  }
}

}  // namespace penstock::argo
