// What can be checked once all tasks are known: order, types, recursion.
#include "pipelines/ir/reader.h"

namespace penstock::ir {

namespace {

constexpr int kMaxNesting = 100;
// Of what the spec alone unfolds to: dags inside of dags, and loops over lists that stand in it. As many as a run may
// have (engine/flow.cpp).
constexpr int64_t kMaxTasks = 1'000'000;

// Follows edges among the tasks that no order could place until one comes up again.
std::string name_cycle(const Dag& dag, const std::vector<int>& waiting) {
  size_t at = 0;
  while (waiting[at] == 0) ++at;
  std::vector<size_t> path;
  std::vector<char> seen(dag.tasks.size(), 0);
  while (!seen[at]) {
    seen[at] = 1;
    path.push_back(at);
    for (const int up : dag.tasks[at].upstream) {
      if (waiting[static_cast<size_t>(up)] > 0) {
        at = static_cast<size_t>(up);
        break;
      }
    }
  }
  std::string text = dag.tasks[at].name;
  for (size_t i = path.size(); i-- > 0;) {
    text += " → " + dag.tasks[path[i]].name;
    if (path[i] == at) break;
  }
  return text;
}

bool fits(ParameterType from, ParameterType to) {
  auto is_number = [](ParameterType type) { return type == ParameterType::Double || type == ParameterType::Integer; };
  auto is_struct = [](ParameterType type) {
    return type == ParameterType::Struct || type == ParameterType::TaskFinalStatus || type == ParameterType::TaskConfig;
  };
  return from == to || to == ParameterType::String || from == ParameterType::Unspecified ||
         to == ParameterType::Unspecified || (is_number(from) && is_number(to)) || (is_struct(from) && is_struct(to));
}

bool has_placeholder(const json::value& value) {
  return value.is_string() && to_view(value.get_string()).find("{{$") != std::string_view::npos;
}

void check_literals(const json::value& value, const ParameterDef& def, const std::string& path) {
  if (def.literals == nullptr) return;
  for (const auto& allowed : *def.literals) {
    if (text_of(allowed) == text_of(value)) return;
  }
  throw invalid("{}: {} is not one of the allowed values {}", path, to_text(value), to_text(*def.literals));
}

void check_source(const Dag& dag, const Task& task, const ParameterSource& source, const std::string& path) {
  if (source.input < 0 || source.selector) return;
  const ParameterDef& def = task.component->input_parameters[static_cast<size_t>(source.input)];
  if (source.kind == ParameterSource::Kind::Constant) {
    if (has_placeholder(*source.constant)) return;
    if (source.constant->is_null()) {
      if (def.optional) return;
      throw invalid("{}: null, but component \"{}\" requires a value", path, task.component->name);
    }
    check_literals(convert(*source.constant, def.type, path), def, path);
  } else if (source.kind == ParameterSource::Kind::TaskOutput) {
    const Task& producer = dag.tasks[static_cast<size_t>(source.producer)];
    const ParameterDef& output = producer.component->output_parameters[static_cast<size_t>(source.output)];
    // A loop gathers its output into a list, whatever one iteration gives. Dags only hand values on.
    const ParameterType from = producer.iterator ? ParameterType::List : output.type;
    if (task.component->executor == nullptr || fits(from, def.type)) return;
    throw invalid("{}: takes {}, but output \"{}\" of task \"{}\" is {}", path, type_name(def.type), output.name,
                  producer.name, type_name(from));
  }
}

class ComponentCheck {
 public:
  void visit(Component& component, int depth) {
    if (component.dag == nullptr || done_.contains(&component)) return;
    if (depth > kMaxNesting) throw invalid("components: nested deeper than {} levels", kMaxNesting);
    path_.push_back(&component);
    int64_t tasks = 0;
    for (const Task& task : component.dag->tasks) {
      for (size_t i = 0; i < path_.size(); ++i) {
        if (path_[i] == task.component) throw invalid("components: {} contains itself{}", task.component->name, way(i));
      }
      visit(const_cast<Component&>(*task.component), depth + 1);
      tasks += tasks_of(task);
      if (tasks > kMaxTasks) {
        throw invalid("components.{}: it unfolds to more than {} tasks", component.name, kMaxTasks);
      }
    }
    tasks_[&component] = tasks;
    for (auto& output : component.dag->parameter_outputs) {
      for (const auto& selector : output.selectors) {
        output.collected |= collected(component.dag->tasks[static_cast<size_t>(selector.producer)], selector.output);
      }
    }
    path_.pop_back();
    done_.insert(&component);
  }

 private:
  // The task and all inside of it, at least.
  int64_t tasks_of(const Task& task) const {
    const auto inner = tasks_.find(task.component);
    const int64_t one = 1 + (inner == tasks_.end() ? 0 : inner->second);
    const bool listed = task.iterator && task.iterator->raw != nullptr && task.iterator->raw->is_array();
    return listed ? 1 + one * static_cast<int64_t>(task.iterator->raw->get_array().size()) : one;
  }

  static bool collected(const Task& producer, int output) {
    if (producer.iterator) return true;
    if (producer.component->dag == nullptr) return false;
    for (const auto& inner : producer.component->dag->parameter_outputs) {
      if (inner.output == output) return inner.collected;
    }
    return false;
  }

  std::string way(size_t from) const {
    if (from + 1 == path_.size()) return "";
    std::string text = " by way of ";
    for (size_t i = from + 1; i < path_.size(); ++i) text += (i > from + 1 ? ", " : "") + path_[i]->name;
    return text;
  }

  std::vector<const Component*> path_;
  std::set<const Component*> done_;
  std::map<const Component*, int64_t> tasks_;  // inside of each
};

}  // namespace

void link_dag(Dag& dag, const std::string& path) {
  std::vector<int> waiting(dag.tasks.size());
  std::vector<size_t> order;
  order.reserve(dag.tasks.size());
  for (Task& task : dag.tasks) {
    for (const int up : task.upstream) dag.tasks[static_cast<size_t>(up)].downstream.push_back(task.index);
    waiting[static_cast<size_t>(task.index)] = static_cast<int>(task.upstream.size());
    if (task.upstream.empty()) {
      dag.roots.push_back(task.index);
      order.push_back(static_cast<size_t>(task.index));
    }
  }
  for (size_t i = 0; i < order.size(); ++i) {
    Task& task = dag.tasks[order[i]];
    task.after_failure |= task.when_completed;
    for (const int down : task.downstream) {
      dag.tasks[static_cast<size_t>(down)].after_failure |= task.after_failure;
      if (--waiting[static_cast<size_t>(down)] == 0) order.push_back(static_cast<size_t>(down));
    }
  }
  if (order.size() < dag.tasks.size()) {
    throw invalid("{}.tasks: these tasks wait for each other: {}", path, name_cycle(dag, waiting));
  }
  for (const Task& task : dag.tasks) {
    for (const auto& source : task.parameters) {
      check_source(dag, task, source, fmt::format("{}.tasks.{}.inputs.parameters.{}", path, task.name, source.name));
    }
  }
}

void check_components(Pipeline& pipeline) {
  ComponentCheck check;
  check.visit(const_cast<Component&>(*pipeline.root), 0);
  for (auto& [name, component] : pipeline.components) check.visit(component, 0);
}

}  // namespace penstock::ir
