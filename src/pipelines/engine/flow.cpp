// Dags and loops: what starts when, and what comes out of them.
#include "pipelines/engine/machine.h"

namespace penstock::engine {

namespace {

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
  return {child.error.code, fmt::format("task {} failed: {}", name, child.error.message)};
}

}  // namespace

void Machine::expand(Instance& instance) {
  instance.phase = Phase::Expanded;
  instance.state = TaskState::Running;
  instance.started = state_.now;
  instance.error = {};
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
  if (dag.tasks.empty()) return end_dag(instance);
  auto& ready = state_.ready;
  const size_t before = ready.size();
  for (const int index : dag.roots) start_task(instance, index);
  // Depth first, so that a deep pipeline is never unfolded all at once: its tasks go before whatever waits already.
  std::rotate(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(before), ready.end());
}

bool Machine::may_start(const Instance& dag, const ir::Task& task) const {
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
    resolve_inputs(state_, dag, instance);
    if (task.condition && !condition_holds(instance)) return finish(instance, TaskState::Skipped);
  } catch (const Error& error) {
    return fail(instance, {0, error.message()}, false);
  }
  changed(instance);
  queue(instance, false);
}

void Machine::skip_task(Instance& dag, int index) {
  const ir::Task& task = dag.component->dag->tasks[static_cast<size_t>(index)];
  Instance& instance = make(dag.id, &task, *task.component, -1);
  dag.dag->slots[static_cast<size_t>(index)].child = instance.id;
  dag.dag->slots[static_cast<size_t>(index)].outcome = Outcome::Skipped;
  finish(instance, TaskState::Skipped);
}

void Machine::child_ended(Instance& dag, Instance& child) {
  DagState& state = *dag.dag;
  const ir::Task& task = *child.task;
  state.slots[static_cast<size_t>(task.index)].outcome = outcome_of(child.state);
  --state.unsettled;
  if (child.state == TaskState::Failed && !state.failed) child_failed(dag, child);
  child.dag = nullptr;
  child.loop = nullptr;
  for (const int down : task.downstream) {
    Slot& slot = state.slots[static_cast<size_t>(down)];
    if (--slot.waiting == 0 && slot.outcome == Outcome::Open) start_task(dag, down);
  }
  if (state.unsettled == 0) end_dag(dag);
}

void Machine::child_failed(Instance& dag, const Instance& child) {
  dag.dag->failed = true;
  dag.dag->error = error_of(child);
  for (const auto& task : dag.component->dag->tasks) {
    if (task.after_failure) continue;
    const Slot& slot = dag.dag->slots[static_cast<size_t>(task.index)];
    if (slot.outcome == Outcome::Open) skip_task(dag, task.index);
    if (slot.outcome != Outcome::Running) continue;
    Instance& waiting = state_.at(slot.child);
    if (waiting.phase == Phase::Queued && waiting.attempt == 0) finish(waiting, TaskState::Skipped);
  }
}

void Machine::end_dag(Instance& dag) {
  // A run that was cancelled is that, also where a task had failed before.
  const bool canceled_run = state_.canceling && dag.parent == kNoTask;
  if (dag.dag->failed && !canceled_run) {
    release_children(dag);
    return fail(dag, dag.dag->error, true);
  }
  if (state_.canceling) {
    release_children(dag);
    return finish(dag, TaskState::Canceled);
  }
  set_dag_outputs(dag);
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
  if (iterator.artifacts) {
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
  if (loop.phase != Phase::Expanded || state_.canceling) return false;
  const int64_t limit = loop.task->iterator->parallelism;
  return loop.loop->next < loop.loop->count && !loop.loop->failed && (limit == 0 || loop.loop->active < limit);
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
    try {
      resolve_item(iteration, *loop);
    } catch (const Error& error) {
      fail(iteration, {0, error.message()}, false);
      return true;
    }
    changed(iteration);
    queue(iteration, true);
    return true;
  }
  return false;
}

void Machine::iteration_ended(Instance& loop, Instance& iteration) {
  LoopState& state = *loop.loop;
  --state.active;
  if (iteration.state == TaskState::Failed && !state.failed) {
    state.failed = true;
    state.error = error_of(iteration);
  }
  collect(loop, iteration);
  state_.instances[static_cast<size_t>(iteration.id)].reset();
  const bool more = state.next < state.count && !state.failed && !state_.canceling;
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
  if (state_.canceling) return finish(loop, TaskState::Canceled);
  set_loop_outputs(loop);
  finish(loop, TaskState::Succeeded);
}

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
    for (const Value& value : loop.loop->parameters[i]) {
      if (!value) continue;
      if (flat && value->is_array()) {
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
