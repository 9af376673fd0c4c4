// The tasks of a dag and the steps of a step list, as tasks of the graph.
#include "pipelines/argo/translator.h"

namespace penstock::argo {

class DagTranslator {
 public:
  DagTranslator(Translator& translator, Template& from, ir::Component& into)
      : translator_(translator), from_(from), component_(into) {
    component_.dag = std::make_unique<ir::Dag>();
    dag().by_branches = true;
    dag().parallelism = whole(*from.spec, "parallelism", 0, from.path);
    dag().fail_fast = ir::bool_member(*from.spec, "failFast", from.path);
  }

  void read_dag() {
    const std::string path = from_.path + ".dag";
    const auto* body = ir::object_member(*from_.spec, "dag", from_.path);
    check_fields(*body, path, {"tasks", "failFast", "target"});
    siblings_ = "tasks";
    const auto* tasks = ir::array_member(*body, "tasks", path);
    if (tasks == nullptr) throw invalid("{}.tasks: missing", path);
    for (size_t i = 0; i < tasks->size(); ++i) {
      const std::string at = fmt::format("{}.tasks[{}]", path, i);
      const auto& task = ir::as_object((*tasks)[i], at);
      if (wanted_ == nullptr || wanted_->contains(string_at(task, {"name"}))) add(task, at);
    }
    const size_t count = specs_.size();
    add_hooks();
    deadlines();
    resolve();
    std::vector<uint32_t> tolerated;
    for (const auto& task : dag().tasks) tolerated.push_back(task.tolerated);
    for (size_t i = 0; i < count; ++i) order(dag().tasks[i], *specs_[i].first, tolerated, specs_[i].second);
    place_hooks();
    finish();
  }

  // Of a dag that was read: the tasks that its targets need; nothing when it has no target.
  std::optional<std::set<std::string>> needed_by_targets() const {
    const std::string path = from_.path + ".dag";
    const std::string target = ir::string_member(*ir::object_member(*from_.spec, "dag", from_.path), "target", path);
    std::vector<int> open;
    for (size_t at = 0; at < target.size();) {
      const size_t end = std::min(target.find(' ', at), target.size());
      const std::string name = target.substr(at, end - at);
      at = end + 1;
      if (name.empty()) continue;
      const auto found = names_.find(name);
      if (found == names_.end()) throw invalid("{}.target: there is no task \"{}\"", path, name);
      open.push_back(found->second);
    }
    if (open.empty()) return std::nullopt;
    std::set<std::string> needed;
    while (!open.empty()) {
      const ir::Task& task = component_.dag->tasks[static_cast<size_t>(open.back())];
      open.pop_back();
      if (needed.insert(task.name).second) open.insert(open.end(), task.upstream.begin(), task.upstream.end());
    }
    return needed;
  }
  void only(const std::set<std::string>& wanted) { wanted_ = &wanted; }

  void read_steps() {
    const std::string path = from_.path + ".steps";
    siblings_ = "steps";
    const auto* groups = ir::array_member(*from_.spec, "steps", from_.path);
    std::vector<std::pair<size_t, size_t>> ranges;
    for (size_t i = 0; i < groups->size(); ++i) {
      const size_t begin = specs_.size();
      const auto& group = (*groups)[i];
      const std::string at = fmt::format("{}[{}]", path, i);
      if (!group.is_array()) {
        add(ir::as_object(group, at), at);
      } else {
        for (size_t j = 0; j < group.get_array().size(); ++j) {
          const std::string step = fmt::format("{}[{}]", at, j);
          add(ir::as_object(group.get_array()[j], step), step);
        }
      }
      if (specs_.size() > begin) ranges.emplace_back(begin, specs_.size());
    }
    add_hooks();
    deadlines();
    resolve();
    for (size_t group = 1; group < ranges.size(); ++group) {
      for (size_t i = ranges[group].first; i < ranges[group].second; ++i) {
        ir::Task& task = dag().tasks[i];
        task.depends.kind = ir::Depends::Kind::And;
        for (size_t up = ranges[group - 1].first; up < ranges[group - 1].second; ++up) {
          task.depends.children.push_back(after(static_cast<int>(up), dag().tasks[up].tolerated));
          task.upstream.push_back(static_cast<int>(up));
        }
      }
    }
    place_hooks();
    finish();
  }

  // Of the wrapper that an exit handler needs, and of entrypoints that are no dag.
  ir::Task& add_call(const std::string& name, const std::string& of, const std::string& path,
                     json::object arguments = {}) {
    json::object call{{"name", name}, {"template", of}};
    if (!arguments.empty()) call["arguments"] = std::move(arguments);
    return add(translator_.keep(std::move(call)).get_object(), path);
  }

  void finish_calls() {
    resolve();
    place_hooks();
    finish();
  }

  // Of a task, or of the whole workflow, which is then task 0.
  void add_hook(int of, const std::string& name, const json::object& hook, const std::string& path) {
    check_fields(hook, path, {"template", "arguments", "expression"});
    const std::string expression = ir::string_member(hook, "expression", path);
    if (expression.empty() && name != "onExit") throw invalid("{}.expression: missing", path);
    const std::string owner = dag().tasks[static_cast<size_t>(of)].name;
    json::object call{{"name", fmt::format("{}.{}", owner, name)},
                      {"template", ir::string_member(hook, "template", path)}};
    if (const auto* arguments = ir::object_member(hook, "arguments", path)) call["arguments"] = *arguments;
    const bool at_start = !expression.empty() && holds_while_running(expression, owner, path);
    if (!expression.empty() && !at_start) call["when"] = fmt::format("{{{{={}}}}}", expression);
    ir::Task& task = add(translator_.keep(std::move(call)).get_object(), path);
    // What becomes of it says nothing of the dag.
    task.when_completed = true;
    task.tolerated = ir::kFailed | ir::kErrored;
    hooks_.push_back({task.index, of, at_start});
  }

 private:
  struct Hook {
    int task = 0, of = 0;
    bool at_start = false;
  };

  ir::Dag& dag() { return *component_.dag; }

  void deadlines() {
    for (const std::string_view field : {"activeDeadlineSeconds", "timeout"}) {
      const auto* value = ir::member(*from_.spec, field);
      if (value == nullptr) continue;
      const std::string path = fmt::format("{}.{}", from_.path, field), text = any_text(*value, path);
      if (text.find("{{") == std::string::npos && !duration_seconds(text)) {
        throw invalid("{}: \"{}\" is no duration", path, text);
      }
      dag().deadlines.push_back(translator_.text(text, scope(false), path));
    }
  }

  void add_hooks() {
    const size_t count = specs_.size();
    for (size_t i = 0; i < count; ++i) {
      const json::object& spec = *specs_[i].first;
      const std::string path = specs_[i].second;
      const auto* hooks = ir::object_member(spec, "hooks", path);
      const std::string handler = ir::string_member(spec, "onExit", path);
      if ((hooks == nullptr || hooks->empty()) && handler.empty()) continue;
      for (const std::string_view loop : {"withItems", "withParam", "withSequence"}) {
        if (ir::member(spec, loop) == nullptr) continue;
        throw Error(Code::InvalidArgument,
                    fmt::format("{}.hooks: not supported for a loop; call a template whose task has them", path),
                    path + ".hooks");
      }
      if (!handler.empty() && (hooks == nullptr || !hooks->contains("exit"))) {
        const json::object& hook = translator_.keep(json::object{{"template", handler}}).get_object();
        add_hook(static_cast<int>(i), "onExit", hook, path + ".onExit");
      }
      if (hooks == nullptr) continue;
      for (const auto& [key, value] : *hooks) {
        const std::string name(key), at = fmt::format("{}.hooks.{}", path, name);
        add_hook(static_cast<int>(i), name == "exit" ? "onExit" : name, ir::as_object(value, at), at);
      }
    }
  }

  // Does a hook's expression hold from when its task, or the workflow, begins? One that asks for more than the status
  // is looked at when that has ended.
  bool holds_while_running(const std::string& text, const std::string& owner, const std::string& path) const {
    const Expression expression = translator_.parse_expression(text, path + ".expression");
    json::object names;
    names["workflow"] = json::object{{"status", "Running"}};
    names[siblings_] = json::object{{owner, json::object{{"status", "Running"}}}};
    for (const auto& named : expression.paths()) {
      const bool own = named == std::vector<std::string>{std::string(siblings_), owner, "status"};
      if (!own && named != std::vector<std::string>{"workflow", "status"}) return false;
    }
    try {
      return expression.holds(names);
    } catch (const Error& error) {
      throw invalid("{}.expression: {}", path, error.message());
    }
  }

  // A hook runs after its task, or beside it; what comes after the task waits for both.
  void place_hooks() {
    for (const Hook& hook : hooks_) {
      ir::Task& task = dag().tasks[static_cast<size_t>(hook.task)];
      const ir::Task& owner = dag().tasks[static_cast<size_t>(hook.of)];
      if (hook.at_start) {
        task.depends = owner.depends;
        task.when = owner.when;
        task.upstream = owner.upstream;
      } else {
        task.depends = {.kind = ir::Depends::Kind::Result,
                        .task = hook.of,
                        .results = ir::kSucceeded | ir::kFailed | ir::kErrored | ir::kDaemoned};
        task.upstream.push_back(hook.of);
      }
    }
    for (ir::Task& task : dag().tasks) {
      const bool is_hook =
          std::any_of(hooks_.begin(), hooks_.end(), [&](const Hook& h) { return h.task == task.index; });
      if (is_hook) continue;
      for (const Hook& hook : hooks_) {
        const bool waits = std::find(task.upstream.begin(), task.upstream.end(), hook.of) != task.upstream.end();
        if (waits) task.upstream.push_back(hook.task);
      }
    }
  }

  Scope scope(bool item) const { return {&component_, component_.dag.get(), &names_, siblings_, item}; }

  ir::Task& add(const json::object& spec, const std::string& path) {
    check_fields(spec, path,
                 {"name", "template", "arguments", "when", "withItems", "withParam", "withSequence", "dependencies",
                  "depends", "continueOn", "hooks", "onExit"});
    ir::Task& task = dag().tasks.emplace_back();
    task.index = static_cast<int>(specs_.size());
    task.name = ir::string_member(spec, "name", path);
    if (task.name.empty()) throw invalid("{}.name: missing", path);
    if (!names_.emplace(task.name, task.index).second) {
      throw invalid("{}.name: there is another task \"{}\" in this template", path, task.name);
    }
    const std::string name = ir::string_member(spec, "template", path);
    const auto found = translator_.templates_.find(name);
    if (found == translator_.templates_.end()) {
      throw invalid("{}.template: there is no template \"{}\"", path, name);
    }
    task.component = found->second.component;
    callees_.push_back(&found->second);
    translator_.called_.insert(task.component);
    specs_.emplace_back(&spec, path);
    translator_.read_policies(task, spec, *callees_.back(), path);
    return task;
  }

  void resolve() {
    for (size_t i = 0; i < specs_.size(); ++i) {
      const auto& [spec, path] = specs_[i];
      ir::Task& task = dag().tasks[i];
      read_loop(task, *spec, path);
      if (const auto* when = ir::member(*spec, "when")) {
        task.when = text(task, any_text(*when, path + ".when"), path + ".when");
      }
      read_arguments(task, *callees_[i], *spec, path);
    }
  }

  // Filled in when the task starts: it waits for whoever is named in it.
  ir::Text text(ir::Task& task, std::string_view raw, const std::string& path, bool item = true) {
    ir::Text result = translator_.text(raw, scope(item && task.iterator.has_value()), path);
    for (const auto& reference : result) {
      std::vector<int> named = reference.tasks;
      if (reference.task >= 0) named.push_back(reference.task);
      for (const int other : named) {
        if (other == task.index) throw invalid("{}: the task waits for itself", path);
        task.upstream.push_back(other);
      }
    }
    return result;
  }

  void read_loop(ir::Task& task, const json::object& spec, const std::string& path) {
    const auto* items = ir::member(spec, "withItems");
    const auto* param = ir::member(spec, "withParam");
    const auto* sequence = ir::object_member(spec, "withSequence", path);
    const int given = (items != nullptr) + (param != nullptr) + (sequence != nullptr);
    if (given == 0) return;
    if (given > 1) throw invalid("{}: only one of withItems, withParam and withSequence can be given", path);
    if (ir::bool_member(*callees_[static_cast<size_t>(task.index)]->spec, "daemon", path)) {
      throw invalid("{}: a daemon cannot be a loop's; call a template that starts it", path);
    }
    ir::Iterator loop;
    loop.each_item = true;
    loop.parallelism = whole(*callees_[static_cast<size_t>(task.index)]->spec, "parallelism", 0, path);
    if (dag().parallelism > 0 && (loop.parallelism == 0 || dag().parallelism < loop.parallelism)) {
      loop.parallelism = dag().parallelism;
    }
    if (items != nullptr) {
      if (!items->is_array()) throw invalid("{}.withItems: must be a list", path);
      const std::string list = to_text(*items);
      if (list.find("{{") == std::string::npos) {
        loop.raw = items;
      } else {
        loop.list = text(task, list, path + ".withItems", false);
      }
    } else if (param != nullptr) {
      loop.list = text(task, any_text(*param, path + ".withParam"), path + ".withParam", false);
    } else {
      loop.sequence = read_sequence(task, *sequence, path + ".withSequence");
    }
    task.iterator = std::move(loop);
  }

  ir::Sequence read_sequence(ir::Task& task, const json::object& spec, const std::string& path) {
    check_fields(spec, path, {"start", "end", "count", "format"});
    auto member = [&](std::string_view name) {
      const auto* value = ir::member(spec, name);
      const std::string at = fmt::format("{}.{}", path, name);
      return value == nullptr ? ir::Text() : text(task, any_text(*value, at), at, false);
    };
    ir::Sequence sequence{member("start"), member("end"), member("count"), member("format")};
    if (sequence.end.empty() == sequence.count.empty()) throw invalid("{}: needs one of end and count", path);
    return sequence;
  }

  void read_arguments(ir::Task& task, const Template& callee, const json::object& spec, const std::string& path) {
    const auto* arguments = ir::object_member(spec, "arguments", path);
    if (arguments != nullptr) {
      check_fields(*arguments, path + ".arguments", {"parameters", "artifacts"});
      if (const auto* list = ir::array_member(*arguments, "parameters", path + ".arguments")) {
        for (size_t i = 0; i < list->size(); ++i) {
          const std::string at = fmt::format("{}.arguments.parameters[{}]", path, i);
          parameter(task, ir::as_object((*list)[i], at), at);
        }
      }
      if (const auto* list = ir::array_member(*arguments, "artifacts", path + ".arguments")) {
        for (size_t i = 0; i < list->size(); ++i) {
          const std::string at = fmt::format("{}.arguments.artifacts[{}]", path, i);
          artifact(task, ir::as_object((*list)[i], at), at);
        }
      }
    }
    for (const auto& def : callee.component->input_parameters) {
      const bool given = std::any_of(task.parameters.begin(), task.parameters.end(),
                                     [&](const auto& source) { return source.name == def.name; });
      if (given || def.optional) continue;
      throw invalid("{}.arguments.parameters: template \"{}\" requires \"{}\"", path, callee.component->name, def.name);
    }
    for (const auto& def : callee.component->input_artifacts) {
      const bool given = std::any_of(task.artifacts.begin(), task.artifacts.end(),
                                     [&](const auto& source) { return source.name == def.name; });
      if (given || def.optional) continue;
      throw invalid("{}.arguments.artifacts: template \"{}\" requires \"{}\"", path, callee.component->name, def.name);
    }
  }

  void parameter(ir::Task& task, const json::object& spec, const std::string& path) {
    check_fields(spec, path, {"name", "value", "valueFrom"}, {"description", "enum", "default"});
    ir::ParameterSource source;
    source.kind = ir::ParameterSource::Kind::Written;
    source.name = ir::string_member(spec, "name", path);
    source.input = task.component->input_parameter(source.name);
    const auto* value = ir::member(spec, "value");
    if (value == nullptr) {
      const auto* from = ir::object_member(spec, "valueFrom", path);
      if (from == nullptr) throw invalid("{}.value: missing", path);
      check_fields(*from, path + ".valueFrom", {"expression"});
      const std::string written = ir::string_member(*from, "expression", path + ".valueFrom");
      source.text = text(task, fmt::format("{{{{={}}}}}", written), path + ".valueFrom.expression");
    } else {
      source.text = text(task, any_text(*value, path + ".value"), path + ".value");
    }
    task.parameters.push_back(std::move(source));
  }

  void artifact(ir::Task& task, const json::object& spec, const std::string& path) {
    check_fields(spec, path, {"name", "from", "fromExpression", "raw"}, {"path", "archive", "optional", "mode"});
    ir::ArtifactSource source;
    source.name = ir::string_member(spec, "name", path);
    source.input = task.component->input_artifact(source.name);
    const std::string expression = ir::string_member(spec, "fromExpression", path);
    if (!expression.empty()) {
      source.from = text(task, fmt::format("{{{{={}}}}}", expression), path + ".fromExpression");
    } else if (const auto* raw = ir::object_member(spec, "raw", path)) {
      source.raw = text(task, ir::string_member(*raw, "data", path + ".raw"), path + ".raw.data");
    } else {
      from(source, ir::string_member(spec, "from", path), path + ".from");
      if (source.producer >= 0) task.upstream.push_back(source.producer);
    }
    task.artifacts.push_back(std::move(source));
  }

  // "{{tasks.a.outputs.artifacts.x}}" or "{{inputs.artifacts.x}}".
  void from(ir::ArtifactSource& source, std::string_view text, const std::string& path) {
    std::string_view tag = text;
    if (!tag.starts_with("{{") || !tag.ends_with("}}"))
      throw invalid("{}: must be one reference, not \"{}\"", path, text);
    tag = tag.substr(2, tag.size() - 4);
    while (tag.starts_with(' ')) tag.remove_prefix(1);
    while (tag.ends_with(' ')) tag.remove_suffix(1);
    const auto parts = split(tag);
    constexpr std::string_view kGlobal = "workflow.outputs.artifacts.";
    if (tag.starts_with(kGlobal)) {
      source.global = tag.substr(kGlobal.size());
      for (const auto& [key, component] : translator_.pipeline_.components) {
        for (const auto& def : component.output_artifacts) {
          if (def.global_name == source.global) return;
        }
      }
    } else if (parts.size() >= 3 && parts[0] == "inputs" && parts[1] == "artifacts") {
      const auto name = tag.substr(17);
      source.component_input = component_.input_artifact(name);
      if (source.component_input >= 0) return;
    } else if (parts.size() >= 5 && parts[0] == siblings_ && parts[2] == "outputs" && parts[3] == "artifacts") {
      const auto found = names_.find(parts[1]);
      if (found != names_.end()) {
        const auto name = tag.substr(siblings_.size() + parts[1].size() + 20);
        source.producer = found->second;
        source.output = dag().tasks[static_cast<size_t>(found->second)].component->output_artifact(name);
        if (source.output >= 0) return;
      }
    }
    throw invalid("{}: there is no artifact {}", path, text);
  }

  void order(ir::Task& task, const json::object& spec, const std::vector<uint32_t>& tolerated,
             const std::string& path) {
    const std::string depends = ir::string_member(spec, "depends", path);
    const auto* dependencies = ir::array_member(spec, "dependencies", path);
    if (!depends.empty()) {
      if (dependencies != nullptr) throw invalid("{}: has both dependencies and depends", path);
      task.depends = parse_depends(depends, names_, tolerated, task.upstream, path + ".depends");
    } else if (dependencies != nullptr && !dependencies->empty()) {
      task.depends.kind = ir::Depends::Kind::And;
      for (const auto& name : *dependencies) {
        const auto found = names_.find(any_text(name, path + ".dependencies"));
        if (found == names_.end()) {
          throw invalid("{}.dependencies: there is no task \"{}\"", path, any_text(name, path));
        }
        task.depends.children.push_back(after(found->second, tolerated[static_cast<size_t>(found->second)]));
        task.upstream.push_back(found->second);
      }
    }
  }

  void finish() {
    for (ir::Task& task : dag().tasks) {
      std::sort(task.upstream.begin(), task.upstream.end());
      task.upstream.erase(std::unique(task.upstream.begin(), task.upstream.end()), task.upstream.end());
    }
    read_outputs();
    ir::link_dag(dag(), from_.path);
  }

  void read_outputs() {
    const auto* outputs = ir::object_member(*from_.spec, "outputs", from_.path);
    if (outputs == nullptr || &component_ != from_.component) return;
    const std::string path = from_.path + ".outputs";
    if (const auto* list = ir::array_member(*outputs, "parameters", path)) {
      for (size_t i = 0; i < list->size(); ++i) {
        const std::string at = fmt::format("{}.parameters[{}]", path, i);
        dag().parameter_outputs.push_back(output(ir::as_object((*list)[i], at), at));
      }
    }
    if (const auto* list = ir::array_member(*outputs, "artifacts", path)) {
      for (size_t i = 0; i < list->size(); ++i) {
        const std::string at = fmt::format("{}.artifacts[{}]", path, i);
        const auto& spec = ir::as_object((*list)[i], at);
        check_fields(spec, at, {"name", "from", "fromExpression", "optional", "globalName"}, {"path", "archive"});
        ir::ArtifactSource source;
        const std::string expression = ir::string_member(spec, "fromExpression", at);
        if (!expression.empty()) {
          ir::DagOutput result;
          result.output = component_.output_artifact(ir::string_member(spec, "name", at));
          result.text = translator_.text(fmt::format("{{{{={}}}}}", expression), scope(false), at + ".fromExpression");
          dag().artifact_outputs.push_back(std::move(result));
          continue;
        }
        from(source, ir::string_member(spec, "from", at), at + ".from");
        if (source.producer < 0) throw invalid("{}.from: must be the output of a task", at);
        ir::DagOutput result;
        result.output = component_.output_artifact(ir::string_member(spec, "name", at));
        result.selectors.push_back({source.producer, source.output});
        dag().artifact_outputs.push_back(std::move(result));
      }
    }
  }

  ir::DagOutput output(const json::object& spec, const std::string& path) {
    ir::DagOutput result;
    result.output = component_.output_parameter(ir::string_member(spec, "name", path));
    result.required = true;
    const auto* from = ir::object_member(spec, "valueFrom", path);
    const auto* value = ir::member(spec, "value");
    if (from == nullptr && value == nullptr) throw invalid("{}.valueFrom: missing", path);
    const std::string at = path + (from != nullptr ? ".valueFrom" : ".value");
    if (from == nullptr) {
      result.text = translator_.text(any_text(*value, at), scope(false), at);
      return result;
    }
    check_fields(*from, at, {"parameter", "expression", "default"});
    const std::string expression = ir::string_member(*from, "expression", at);
    const std::string parameter = ir::string_member(*from, "parameter", at);
    if (expression.empty() == parameter.empty()) throw invalid("{}: needs one of parameter and expression", at);
    result.text = expression.empty() ? translator_.text(parameter, scope(false), at + ".parameter")
                                     : translator_.text(fmt::format("{{{{={}}}}}", expression), scope(false), at);
    result.required = !from->contains("default");
    return result;
  }

  Translator& translator_;
  Template& from_;
  ir::Component& component_;
  std::string_view siblings_ = "tasks";
  TaskNames names_;
  std::vector<std::pair<const json::object*, std::string>> specs_;
  std::vector<const Template*> callees_;
  std::vector<Hook> hooks_;
  const std::set<std::string>* wanted_ = nullptr;  // of a dag's tasks; null: all
};

void Translator::read_dag(Template& from, ir::Component& into) {
  DagTranslator whole(*this, from, into);
  whole.read_dag();
  const auto needed = whole.needed_by_targets();
  if (!needed || needed->size() == into.dag->tasks.size()) return;
  DagTranslator again(*this, from, into);
  again.only(*needed);
  again.read_dag();
}
void Translator::read_steps(Template& from, ir::Component& into) { DagTranslator(*this, from, into).read_steps(); }

void Translator::add_exit_handler(ir::Component& root, const std::string& handler, const std::string& entry) {
  Template wrapper{.spec = spec_, .path = "spec", .component = nullptr};
  DagTranslator dag(*this, wrapper, root);
  root.dag->parallelism = 0;
  root.dag->fail_fast = false;
  auto pass = [&](ir::Task& task) {
    for (const auto& def : task.component->input_parameters) {
      const int index = root.input_parameter(def.name);
      if (index < 0) continue;
      ir::ParameterSource source;
      source.kind = ir::ParameterSource::Kind::ComponentInput;
      source.name = def.name;
      source.input = task.component->input_parameter(def.name);
      source.component_input = index;
      task.parameters.push_back(std::move(source));
    }
  };
  // Of the workflow's arguments, what the SDK makes of a pipeline's parameter that a component takes as a file.
  json::object given;
  if (const auto* arguments = ir::object_member(*spec_, "arguments", "spec")) {
    if (const auto* artifacts = ir::array_member(*arguments, "artifacts", "spec.arguments")) {
      if (!artifacts->empty()) given["artifacts"] = *artifacts;
    }
  }
  pass(dag.add_call(entry, entry, "spec", std::move(given)));
  const auto* hooks = ir::object_member(*spec_, "hooks", "spec");
  if (!handler.empty()) {
    json::object arguments;
    const auto* hook = hooks != nullptr ? ir::object_member(*hooks, "exit", "spec.hooks") : nullptr;
    if (hook != nullptr) {
      check_fields(*hook, "spec.hooks.exit", {"template", "arguments", "expression"});
      if (const auto* own = ir::object_member(*hook, "arguments", "spec.hooks.exit")) arguments = *own;
    }
    const std::string path = hook != nullptr ? "spec.hooks.exit" : "spec.onExit";
    ir::Task& task =
        dag.add_call(handler == entry ? handler + "-on-exit" : handler, handler, path, std::move(arguments));
    if (hook == nullptr) pass(task);
    task.upstream.push_back(0);
    task.when_completed = true;
    task.depends = {.kind = ir::Depends::Kind::Always};
  }
  if (hooks != nullptr) {
    for (const auto& [key, value] : *hooks) {
      const std::string name(key), path = "spec.hooks." + name;
      if (name != "exit") dag.add_hook(0, name, ir::as_object(value, path), path);
    }
  }
  dag.finish_calls();
  pipeline_.main_task = 0;
}

}  // namespace penstock::argo
