// Dags and loops: what starts when, and what comes out of them.
#include <cmath>

#include "pipelines/engine/machine.h"
#include "pipelines/engine/texts.h"
#include "pipelines/engine/when.h"

namespace penstock::engine {

namespace {

// Of a pipeline whose components contain themselves. Argo's own limit is 100.
constexpr int kMaxDepth = 300;

bool is_failure(Outcome outcome) { return outcome == Outcome::Failed || outcome == Outcome::Errored; }
// A run that would make more is taken for a mistake: a loop over a loop over a list that grew.
constexpr size_t kMostTasks = 1'000'000;

Outcome outcome_of(TaskState state) {
  switch (state) {
    case TaskState::Succeeded:
    case TaskState::Cached: return Outcome::Succeeded;
    case TaskState::Skipped: return Outcome::Skipped;
    case TaskState::Canceled: return Outcome::Canceled;
    default: return Outcome::Failed;
  }
}

// The first failure inside of a dag is the dag's error, whatever lies between.
TaskError error_of(const Instance& child) {
  if ((child.dag && child.dag->failed) || (child.loop && child.loop->failed)) return child.error;
  std::string name = child.task->name;
  if (child.iteration >= 0) name += fmt::format("[{}]", child.iteration);
  return {child.error.code, fmt::format("task {} failed: {}", name, child.error.message), child.error.infrastructure};
}

}  // namespace

void Machine::expand(Instance& instance) {
  instance.phase = Phase::Expanded;
  instance.state = TaskState::Running;
  instance.started = moved(instance);
  if (instance.began == Time{}) instance.began = state_.now;
  instance.error = {};
  if (state_.pipeline->recursive && instance.depth > kMaxDepth) {
    return fail(instance, {0, fmt::format("the recursion is deeper than {} levels", kMaxDepth), true}, false);
  }
  if (instance.is_loop())
    expand_loop(instance);
  else
    expand_dag(instance);
}

void Machine::expand_dag(Instance& instance) {
  const ir::Dag& dag = *instance.component->dag;
  if (state_.instances.size() + dag.tasks.size() > kMostTasks) return fail_too_many(instance);
  changed(instance);
  instance.dag = std::make_unique<DagState>();
  instance.dag->slots.resize(dag.tasks.size());
  instance.dag->unsettled = static_cast<int>(dag.tasks.size());
  for (const auto& task : dag.tasks) {
    instance.dag->slots[static_cast<size_t>(task.index)].waiting = static_cast<int>(task.upstream.size());
  }
  try {
    watch_deadline(instance);
  } catch (const Error& error) {
    instance.dag = nullptr;
    return fail(instance, {0, error.message(), true}, false);
  }
  if (dag.tasks.empty()) return end_dag(instance);
  auto& ready = state_.ready;
  const size_t before = ready.size();
  for (const int index : dag.roots) start_task(instance, index);
  // Depth first, so that a deep pipeline is never unfolded all at once: its tasks go before whatever waits already.
  std::rotate(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(before), ready.end());
}

bool Machine::may_start(const Instance& dag, const ir::Task& task) const {
  if (dag.component->dag->by_branches) {
    return !stopped(dag) && !(dag.component->dag->fail_fast && dag.dag->failed) && depends_hold(dag, task.depends);
  }
  if (state_.canceling || (dag.dag->failed && !task.after_failure)) return false;
  if (task.when_completed) return true;
  return std::all_of(task.upstream.begin(), task.upstream.end(),
                     [&](int up) { return dag.dag->slots[static_cast<size_t>(up)].outcome == Outcome::Succeeded; });
}

void Machine::start_task(Instance& dag, int index) {
  const ir::Task& task = dag.component->dag->tasks[static_cast<size_t>(index)];
  if (!may_start(dag, task)) return skip_task(dag, index);
  Instance& instance = make(dag.id, &task, *task.component, -1);
  Slot& slot = dag.dag->slots[static_cast<size_t>(index)];
  slot.child = instance.id;
  slot.outcome = Outcome::Running;
  try {
    if (!(task.iterator && task.iterator->each_item)) {
      if (task.when && !holds(condition_text({state_, dag}, *task.when))) return finish(instance, TaskState::Skipped);
      resolve_inputs(state_, dag, instance);
    }
    if (task.condition && !condition_holds(instance)) return finish(instance, TaskState::Skipped);
  } catch (const Error& error) {
    return fail(instance, {0, error.message(), true}, false);
  }
  changed(instance);
  admit(dag, instance);
}

// Only so many children of a dag at once: the others wait in it.
void Machine::admit(Instance& dag, Instance& child) {
  const int64_t limit = dag.component->dag->parallelism;
  if (limit > 0 && dag.dag->running >= limit) {
    dag.dag->held.push_back(child.id);
    return waits(child, fmt::format("no more than {} tasks of its group are carried out at once (parallelism)", limit));
  }
  waits(child, {});
  ++dag.dag->running;
  dag.dag->slots[static_cast<size_t>(child.task->index)].admitted = true;
  queue(child, false);
}

void Machine::admit_next(Instance& dag) {
  while (!dag.dag->held.empty()) {
    Instance* next = state_.find(dag.dag->held.front());
    dag.dag->held.pop_front();
    if (next == nullptr || next->phase != Phase::Queued) continue;
    if (!dag.dag->failed && !stopped(dag)) return admit(dag, *next);
    finish(*next, TaskState::Skipped);
  }
}

void Machine::skip_task(Instance& dag, int index) {
  const ir::Task& task = dag.component->dag->tasks[static_cast<size_t>(index)];
  Instance& instance = make(dag.id, &task, *task.component, -1);
  dag.dag->slots[static_cast<size_t>(index)].child = instance.id;
  dag.dag->slots[static_cast<size_t>(index)].outcome =
      dag.component->dag->by_branches ? Outcome::Omitted : Outcome::Skipped;
  finish(instance, TaskState::Skipped);
}

void Machine::child_ended(Instance& dag, Instance& child) {
  DagState& state = *dag.dag;
  const ir::Task& task = *child.task;
  Slot& ended = state.slots[static_cast<size_t>(task.index)];
  if (ended.outcome != Outcome::Omitted) ended.outcome = outcome_of(child.state);
  if (ended.outcome == Outcome::Failed && child.error.infrastructure) ended.outcome = Outcome::Errored;
  if (child.loop) {
    ended.any_succeeded = child.loop->any_succeeded;
    ended.all_failed = child.loop->all_failed && child.loop->count > 0;
  }
  if (ended.admitted) --state.running;
  --state.unsettled;
  const bool told = std::exchange(ended.daemoned, false);
  if (told) --state.daemons;
  if (child.state == TaskState::Failed && !state.failed) child_failed(dag, child);
  child.dag = nullptr;
  child.loop = nullptr;
  for (const int down : task.downstream) {
    Slot& slot = state.slots[static_cast<size_t>(down)];
    if (!told && --slot.waiting == 0 && slot.outcome == Outcome::Open) start_task(dag, down);
  }
  if (state.unsettled == 0) return end_dag(dag);
  admit_next(dag);
  release_daemons(dag);
}

void Machine::child_failed(Instance& dag, const Instance& child) {
  const bool by_branches = dag.component->dag->by_branches;
  if (by_branches && ((child.error.infrastructure ? ir::kErrored : ir::kFailed) & child.task->tolerated) != 0) return;
  if (!by_branches || dag.component->dag->fail_fast) dag.dag->failed = true;
  if (dag.dag->error.message.empty()) dag.dag->error = error_of(child);
  if (by_branches) return;
  for (const auto& task : dag.component->dag->tasks) {
    if (task.after_failure) continue;
    const Slot& slot = dag.dag->slots[static_cast<size_t>(task.index)];
    if (slot.outcome == Outcome::Open) skip_task(dag, task.index);
    if (slot.outcome != Outcome::Running) continue;
    Instance& waiting = state_.at(slot.child);
    if (waiting.phase == Phase::Queued && waiting.attempt == 0) finish(waiting, TaskState::Skipped);
  }
}

// A branch comes to what its last task that ran came to; one failed branch is enough.
Outcome Machine::outcome_by_branches(const Instance& dag) const {
  const auto& tasks = dag.component->dag->tasks;
  std::vector<Outcome> branch(tasks.size(), Outcome::Succeeded);
  std::vector<int> waiting(tasks.size());
  std::vector<int> order = dag.component->dag->roots;
  Outcome result = Outcome::Succeeded;
  for (const auto& task : tasks) waiting[static_cast<size_t>(task.index)] = static_cast<int>(task.upstream.size());
  for (size_t at = 0; at < order.size(); ++at) {
    const auto index = static_cast<size_t>(order[at]);
    const ir::Task& task = tasks[index];
    const Outcome own = dag.dag->slots[index].outcome;
    if (own == Outcome::Skipped || own == Outcome::Omitted) {
      for (const int up : task.upstream) {
        if (is_failure(branch[static_cast<size_t>(up)])) branch[index] = branch[static_cast<size_t>(up)];
      }
    } else if ((own == Outcome::Failed && (task.tolerated & ir::kFailed) == 0) ||
               (own == Outcome::Errored && (task.tolerated & ir::kErrored) == 0)) {
      branch[index] = own;
    }
    // What an exit handler comes to says nothing of what it comes after.
    const bool last = std::all_of(task.downstream.begin(), task.downstream.end(),
                                  [&](int down) { return tasks[static_cast<size_t>(down)].when_completed; });
    if (last && is_failure(branch[index]) && !is_failure(result)) result = branch[index];
    for (const int down : task.downstream) {
      if (--waiting[static_cast<size_t>(down)] == 0) order.push_back(down);
    }
  }
  return result;
}

void Machine::end_dag(Instance& dag) {
  if (dag.component->dag->by_branches && !stopped(dag)) {
    const Outcome outcome = outcome_by_branches(dag);
    dag.dag->failed = is_failure(outcome);
    dag.dag->error.infrastructure = outcome == Outcome::Errored;
  }
  // A run that was cancelled is that, also where a task had failed before.
  const bool canceled_run = state_.canceling && dag.parent == kNoTask;
  if (dag.dag->failed && !canceled_run) {
    release_children(dag);
    return fail(dag, dag.dag->error, true);
  }
  if (stopped(dag)) {
    release_children(dag);
    return finish(dag, TaskState::Canceled);
  }
  try {
    set_dag_outputs(dag);
  } catch (const Error& error) {
    release_children(dag);
    return fail(dag, {0, error.message(), true}, true);
  }
  release_children(dag);
  finish(dag, TaskState::Succeeded);
}

void Machine::release_children(Instance& dag) {
  for (const Slot& slot : dag.dag->slots) {
    if (slot.child != kNoTask) state_.instances[static_cast<size_t>(slot.child)].reset();
  }
}

void Machine::set_dag_outputs(Instance& dag) {
  const ir::Component& component = *dag.component;
  auto json = std::make_shared<Outputs>();
  dag.outputs.parameters.resize(component.output_parameters.size());
  dag.outputs.artifacts.resize(component.output_artifacts.size());
  auto child = [&](const ir::DagOutput::Selector& selector) {
    return state_.find(dag.dag->slots[static_cast<size_t>(selector.producer)].child);
  };
  for (const auto& output : component.dag->parameter_outputs) {
    if (output.text) {
      const auto& def = component.output_parameters[static_cast<size_t>(output.output)];
      std::string reason;
      Value value = text_value({state_, dag}, *output.text, reason);
      if (!value && def.default_value != nullptr) value = Value(state_.pipeline, def.default_value);
      if (!value && output.required) throw invalid("output parameter {}: {}", def.name, reason);
      if (!value) continue;
      dag.outputs.parameters[static_cast<size_t>(output.output)] = value;
      json->parameters[def.name] = *value;
      continue;
    }
    for (const auto& selector : output.selectors) {
      const Instance* producer = child(selector);
      if (producer == nullptr || producer->outputs.parameters.empty()) continue;
      const Value& value = producer->outputs.parameters[static_cast<size_t>(selector.output)];
      if (!value) continue;
      dag.outputs.parameters[static_cast<size_t>(output.output)] = value;
      json->parameters[component.output_parameters[static_cast<size_t>(output.output)].name] = *value;
      break;
    }
  }
  for (const auto& output : component.dag->artifact_outputs) {
    const ir::ArtifactDef& def = component.output_artifacts[static_cast<size_t>(output.output)];
    if (output.text) {
      const Artifacts given = text_artifacts({state_, dag}, *output.text);
      if (!given && !def.optional) throw invalid("output artifact {}: no task has left it", def.name);
      if (!given) continue;
      dag.outputs.artifacts[static_cast<size_t>(output.output)] = given;
      json->artifacts[def.name] = *given;
      continue;
    }
    json::array all;
    bool found = false;
    for (const auto& selector : output.selectors) {
      const Instance* producer = child(selector);
      if (producer == nullptr || producer->outputs.artifacts.empty()) continue;
      const Artifacts& list = producer->outputs.artifacts[static_cast<size_t>(selector.output)];
      if (!list) continue;
      all.insert(all.end(), list->begin(), list->end());
      found = true;
      if (!def.list) break;
    }
    if (!found) continue;
    dag.outputs.artifacts[static_cast<size_t>(output.output)] = std::make_shared<const json::array>(all);
    json->artifacts[def.name] = std::move(all);
  }
  if (!json->parameters.empty() || !json->artifacts.empty()) dag.outputs_json = std::move(json);
}

void Machine::fail_too_many(Instance& instance) {
  fail(instance, {0, fmt::format("the run would have more than {} tasks", kMostTasks)}, false);
}

void Machine::expand_loop(Instance& instance) {
  const ir::Iterator& iterator = *instance.task->iterator;
  instance.loop = std::make_unique<LoopState>();
  LoopState& loop = *instance.loop;
  if (iterator.each_item) {
    try {
      loop.list = list_of(instance);
    } catch (const Error& error) {
      return fail(instance, {0, error.message(), true}, false);
    }
  } else if (iterator.artifacts) {
    loop.artifacts = instance.inputs.artifacts[static_cast<size_t>(iterator.list_input)];
    loop.count = loop.artifacts ? static_cast<int64_t>(loop.artifacts->size()) : 0;
  } else if (iterator.raw != nullptr) {
    loop.list = Value(state_.pipeline, iterator.raw);
  } else {
    loop.list = instance.inputs.parameters[static_cast<size_t>(iterator.list_input)];
    const auto& name = instance.component->input_parameters[static_cast<size_t>(iterator.list_input)].name;
    try {
      // A list may have come through as its JSON text.
      if (loop.list && loop.list->is_string()) {
        loop.list = std::make_shared<const json::value>(parse_json(to_view(loop.list->get_string())));
      }
    } catch (const Error&) {
      // No JSON: no list, as said below.
    }
    if (!loop.list || !loop.list->is_array()) {
      const std::string got = loop.list ? to_text(*loop.list).substr(0, 80) : "nothing";
      return fail(instance, {0, fmt::format("cannot loop over inputs.parameters.{}: not a list but {}", name, got)},
                  false);
    }
  }
  if (loop.list) loop.count = static_cast<int64_t>(loop.list->get_array().size());
  if (state_.instances.size() + static_cast<size_t>(loop.count) > kMostTasks) return fail_too_many(instance);
  changed(instance);
  const auto count = static_cast<size_t>(loop.count);
  const ir::Component& component = *instance.component;
  loop.parameters.resize(component.output_parameters.size(), std::vector<Value>(count));
  loop.artifact_lists.resize(component.output_artifacts.size(), std::vector<Artifacts>(count));
  if (loop.count == 0) return end_loop(instance);
  queue_loop(instance);
}

void Machine::queue_loop(Instance& loop) {
  if (loop.loop->queued) return;
  loop.loop->queued = true;
  state_.loops[loop.depth].push_back(loop.id);
}

bool Machine::may_iterate(const Instance& loop) const {
  if (loop.phase != Phase::Expanded || stopped(loop)) return false;
  const int64_t limit = loop.task->iterator->parallelism;
  const bool ended = loop.loop->failed && !loop.task->iterator->each_item;
  return loop.loop->next < loop.loop->count && !ended && (limit == 0 || loop.loop->active < limit);
}

// The innermost loops first, and those of one depth in turn: iterations that exist end before others are made.
bool Machine::start_iteration() {
  while (!state_.loops.empty()) {
    auto& queue_of_depth = state_.loops.begin()->second;
    if (queue_of_depth.empty()) {
      state_.loops.erase(state_.loops.begin());
      continue;
    }
    const TaskId id = queue_of_depth.front();
    queue_of_depth.pop_front();
    Instance* loop = state_.find(id);
    if (loop == nullptr || !loop->loop) continue;
    if (!may_iterate(*loop)) {
      loop->loop->queued = false;
      continue;
    }
    queue_of_depth.push_back(id);
    ++loop->loop->active;
    Instance& iteration = make(id, loop->task, *loop->component, loop->loop->next++);
    begin_iteration(*loop, iteration);
    return true;
  }
  return false;
}

void Machine::begin_iteration(Instance& loop, Instance& iteration) {
  const ir::Task& task = *loop.task;
  try {
    if (task.iterator->each_item) {
      const Instance& dag = state_.at(loop.parent);
      const json::value& item = loop.loop->list->get_array()[static_cast<size_t>(iteration.iteration)];
      if (task.when && !holds(condition_text({state_, dag, &item}, *task.when))) {
        return finish(iteration, TaskState::Skipped);
      }
      resolve_inputs(state_, dag, iteration, &item);
    } else {
      resolve_item(iteration, loop);
    }
  } catch (const Error& error) {
    return fail(iteration, {0, error.message(), true}, false);
  }
  changed(iteration);
  queue(iteration, true);
}

namespace {

constexpr int64_t kLongestSequence = 1'000'000;

int64_t sequence_number(const TextScope& scope, const ir::Text& text, std::string_view name) {
  const std::string written = json_text(scope, text, false);
  char* end = nullptr;
  const long long number = std::strtoll(written.c_str(), &end, 10);
  if (written.empty() || *end != 0) throw invalid("withSequence.{}: \"{}\" is no whole number", name, written);
  return number;
}

// One number in C's printf: "%03d", "node-%x". Anything else than one whole number is refused.
std::string formatted(const std::string& format, int64_t number) {
  const size_t at = format.find('%');
  size_t end = at == std::string::npos ? at : format.find_first_not_of("0123456789-+ #", at + 1);
  if (at == std::string::npos || end == std::string::npos || end - at > 6 ||
      std::string_view("dxXo").find(format[end]) == std::string_view::npos ||
      format.find('%', end) != std::string::npos) {
    throw invalid("withSequence.format: \"{}\" does not format one whole number", format);
  }
  std::string one = format.substr(at, end - at) + "ll" + (format[end] == 'd' ? 'd' : format[end]);
  const int size = std::snprintf(nullptr, 0, one.c_str(), static_cast<long long>(number));
  std::string text(static_cast<size_t>(size) + 1, 0);
  std::snprintf(text.data(), text.size(), one.c_str(), static_cast<long long>(number));
  text.pop_back();
  return format.substr(0, at) + text + format.substr(end + 1);
}

json::array sequence_of(const TextScope& scope, const ir::Sequence& sequence) {
  const int64_t start = sequence.start.empty() ? 0 : sequence_number(scope, sequence.start, "start");
  int64_t end = 0, step = 1;
  json::array list;
  if (sequence.end.empty()) {
    const int64_t count = sequence_number(scope, sequence.count, "count");
    if (count <= 0) return list;
    if (count > kLongestSequence) throw invalid("withSequence.count: {} are too many", count);
    end = start + count - 1;
  } else {
    end = sequence_number(scope, sequence.end, "end");
    step = start <= end ? 1 : -1;
  }
  if (std::abs(static_cast<double>(end) - static_cast<double>(start)) >= static_cast<double>(kLongestSequence)) {
    throw invalid("withSequence: {} to {} is too long", start, end);
  }
  const std::string format = sequence.format.empty() ? "%d" : json_text(scope, sequence.format, false);
  for (int64_t number = start;; number += step) {
    list.emplace_back(formatted(format, number));
    if (number == end) return list;
  }
}

}  // namespace

Value Machine::list_of(const Instance& loop) const {
  const ir::Iterator& iterator = *loop.task->iterator;
  if (iterator.raw != nullptr) return Value(state_.pipeline, iterator.raw);
  const TextScope scope{state_, state_.at(loop.parent)};
  if (iterator.sequence) return std::make_shared<const json::value>(sequence_of(scope, *iterator.sequence));
  // What a loop before has gathered is a list already.
  std::string reason;
  if (iterator.list->size() == 1) {
    const Value value = text_value(scope, *iterator.list, reason);
    if (value && value->is_array()) return value;
  }
  const bool inside = iterator.list->size() > 1 && iterator.list->front().kind == ir::Reference::Kind::Literal;
  const std::string text = json_text(scope, *iterator.list, inside);
  json::value list;
  try {
    list = parse_json(text);
  } catch (const Error& error) {
    throw invalid("cannot loop over \"{}\": not a JSON list: {}", text.substr(0, 80), error.message());
  }
  if (!list.is_array()) throw invalid("cannot loop over \"{}\": not a JSON list", text.substr(0, 80));
  return std::make_shared<const json::value>(std::move(list));
}

void Machine::iteration_ended(Instance& loop, Instance& iteration) {
  LoopState& state = *loop.loop;
  --state.active;
  const bool succeeded = iteration.state == TaskState::Succeeded || iteration.state == TaskState::Cached;
  state.any_succeeded |= succeeded;
  state.all_failed &= iteration.state == TaskState::Failed;
  if (iteration.state == TaskState::Failed && !state.failed) {
    state.failed = true;
    state.error = error_of(iteration);
  }
  collect(loop, iteration);
  state_.instances[static_cast<size_t>(iteration.id)].reset();
  const bool ended = state.failed && !loop.task->iterator->each_item;
  const bool more = state.next < state.count && !ended && !stopped(loop);
  if (state.active == 0 && !more) return end_loop(loop);
  if (more) queue_loop(loop);
}

void Machine::collect(Instance& loop, const Instance& iteration) {
  const auto index = static_cast<size_t>(iteration.iteration);
  for (size_t i = 0; i < iteration.outputs.parameters.size(); ++i) {
    loop.loop->parameters[i][index] = iteration.outputs.parameters[i];
  }
  for (size_t i = 0; i < iteration.outputs.artifacts.size(); ++i) {
    loop.loop->artifact_lists[i][index] = iteration.outputs.artifacts[i];
  }
}

void Machine::end_loop(Instance& loop) {
  if (loop.loop->failed) return fail(loop, loop.loop->error, true);
  if (stopped(loop)) return finish(loop, TaskState::Canceled);
  set_loop_outputs(loop);
  finish(loop, TaskState::Succeeded);
}

namespace {

// As Argo gathers what programs print: what is JSON stands in the list as that.
json::value result_item(const json::value& printed) {
  if (!printed.is_string()) return printed;
  try {
    return parse_json(to_view(printed.get_string()));
  } catch (const Error&) {
    return printed;
  }
}

}  // namespace

void Machine::set_loop_outputs(Instance& loop) {
  const ir::Component& component = *loop.component;
  Outputs all;
  for (size_t i = 0; i < component.output_parameters.size(); ++i) {
    bool flat = false;  // an inner loop's list: its items go into this one, not the list itself
    if (component.dag != nullptr) {
      for (const auto& output : component.dag->parameter_outputs) {
        if (output.output == static_cast<int>(i)) flat = output.collected;
      }
    }
    json::array list;
    const bool results = component.output_parameters[i].found == ir::Found::Stdout;
    for (const Value& value : loop.loop->parameters[i]) {
      if (!value) continue;
      if (results) {
        list.push_back(result_item(*value));
      } else if (flat && value->is_array()) {
        list.insert(list.end(), value->get_array().begin(), value->get_array().end());
      } else {
        list.push_back(*value);
      }
    }
    all.parameters[component.output_parameters[i].name] = std::move(list);
  }
  for (size_t i = 0; i < component.output_artifacts.size(); ++i) {
    json::array list;
    for (const Artifacts& artifacts : loop.loop->artifact_lists[i]) {
      if (artifacts) list.insert(list.end(), artifacts->begin(), artifacts->end());
    }
    all.artifacts[component.output_artifacts[i].name] = std::move(list);
  }
  if (!all.parameters.empty() || !all.artifacts.empty()) set_outputs(loop, all);
}

}  // namespace penstock::engine
