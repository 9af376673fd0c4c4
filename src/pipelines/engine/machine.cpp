#include "pipelines/engine/machine.h"

#include <cmath>

#include "pipelines/argo/expr.h"
#include "pipelines/engine/texts.h"

namespace penstock::engine {

namespace {

TaskType type_of(const ir::Task* task, const ir::Component& component, int64_t iteration) {
  if (task == nullptr) return TaskType::Root;
  if (task->iterator && iteration < 0) return TaskType::Loop;
  if (component.executor != nullptr) {
    return component.executor->kind == ir::Executor::Kind::Importer ? TaskType::Importer : TaskType::Runtime;
  }
  if (iteration >= 0) return TaskType::Iteration;
  // The SDK's own names tell its constructs apart.
  if (task->name.starts_with("condition-branches-")) return TaskType::ConditionBranch;
  if (task->condition || task->when) return TaskType::Condition;
  if (task->name.starts_with("exit-handler-")) return TaskType::ExitHandler;
  return TaskType::Dag;
}

}  // namespace

Instance& Machine::make(TaskId parent, const ir::Task* task, const ir::Component& component, int64_t iteration) {
  auto instance = std::make_unique<Instance>();
  instance->id = static_cast<TaskId>(state_.instances.size());
  instance->parent = parent;
  instance->task = task;
  instance->component = &component;
  instance->iteration = iteration;
  instance->type = type_of(task, component, iteration);
  instance->depth = parent == kNoTask ? 0 : state_.at(parent).depth + 1;
  instance->created = parent == kNoTask ? state_.now : std::max(state_.now, state_.at(parent).changed);
  instance->changed = instance->created;
  state_.instances.push_back(std::move(instance));
  return *state_.instances.back();
}

void Machine::changed(const Instance& instance) {
  state_.commands.emplace_back(TaskChanged{std::make_shared<const TaskRecord>(record_of(state_, instance))});
}

Time Machine::moved(Instance& instance) {
  instance.waiting.clear();
  instance.changed = std::max(instance.changed, state_.now);
  return instance.changed;
}

void Machine::waits(Instance& instance, std::string reason) {
  if (instance.waiting == reason) return;
  instance.waiting = std::move(reason);
  changed(instance);
}

void Machine::queue(Instance& instance, bool first) {
  instance.phase = Phase::Queued;
  if (first)
    state_.ready.push_front(instance.id);
  else
    state_.ready.push_back(instance.id);
}

void Machine::launch(Instance& leaf) {
  if (leaf.began == Time{}) leaf.began = state_.now;
  if (leaf.component->executor->kind == ir::Executor::Kind::Suspend) return pause(leaf);
  waits(leaf, {});
  leaf.in_flight = true;
  ++state_.in_flight;
  try {
    if (leaf.type == TaskType::Importer) {
      leaf.import = make_import(state_, leaf);
      leaf.phase = Phase::Importing;
      state_.commands.emplace_back(Import{leaf.id, leaf.attempt, leaf.import});
      return;
    }
    auto spec = make_launch(state_, leaf);
    if (state_.info.caching && leaf.task->cache && !is_claim_task(*spec)) {
      leaf.fingerprint = fingerprint_of(leaf, *spec);
      spec->fingerprint = leaf.fingerprint;
    } else {
      leaf.cache_note = state_.info.caching ? "off: the task's options say so" : "off: not wanted in this run";
    }
    leaf.launch = std::move(spec);
  } catch (const Error& error) {
    return fail(leaf, {0, error.message(), true}, false);
  }
  // What has failed just now is not in the cache.
  if (leaf.fingerprint.empty() || leaf.attempt > 0) return start_container(leaf);
  leaf.phase = Phase::CheckingCache;
  state_.commands.emplace_back(
      CheckCache{leaf.id, leaf.attempt, leaf.fingerprint, leaf.launch->path, leaf.task->max_cache_age});
}

void Machine::pause(Instance& leaf) {
  try {
    leaf.delay = pause_of(state_, leaf);
  } catch (const Error& error) {
    return fail(leaf, {0, error.message(), true}, false);
  }
  leaf.phase = Phase::Paused;
  leaf.state = TaskState::Running;
  leaf.started = moved(leaf);
  changed(leaf);
  // One without a length waits until somebody resumes it.
  if (leaf.delay.count() >= 0) state_.commands.emplace_back(SetTimer{leaf.id, leaf.attempt, leaf.delay});
}

void Machine::start_container(Instance& leaf) {
  leaf.phase = Phase::Launched;
  state_.commands.emplace_back(Launch{leaf.id, leaf.attempt, leaf.launch});
}

void Machine::set_outputs(Instance& instance, const Outputs& outputs) {
  auto kept = std::make_shared<Outputs>(outputs);
  const ir::Component& component = *instance.component;
  instance.outputs.parameters.resize(component.output_parameters.size());
  instance.outputs.artifacts.resize(component.output_artifacts.size());
  for (size_t i = 0; i < component.output_parameters.size(); ++i) {
    const auto* value = kept->parameters.if_contains(component.output_parameters[i].name);
    if (value != nullptr && !value->is_null()) instance.outputs.parameters[i] = Value(kept, value);
  }
  for (size_t i = 0; i < component.output_artifacts.size(); ++i) {
    const auto* list = kept->artifacts.if_contains(component.output_artifacts[i].name);
    if (list != nullptr && list->is_array()) instance.outputs.artifacts[i] = Artifacts(kept, &list->get_array());
  }
  instance.outputs_json = std::move(kept);
}

void Machine::finish(Instance& instance, TaskState state) {
  if (instance.in_flight) {
    instance.in_flight = false;
    --state_.in_flight;
  }
  instance.state = state;
  instance.phase = Phase::Done;
  instance.ended = moved(instance);
  if (std::exchange(instance.stopping, false)) --state_.stopping;
  if (state == TaskState::Succeeded || state == TaskState::Cached) note_globals(instance);
  changed(instance);
  // Only the outputs are wanted from now on. What a dag or a loop knows of its own error stays until its parent has
  // read it, in settle().
  instance.inputs = {};
  instance.inputs_json = nullptr;
  if (instance.parent != kNoTask) instance.outputs_json = nullptr;
  instance.launch = nullptr;
  instance.import = nullptr;
  state_.settled.push_back(instance.id);
}

// Of a loop each item does so for itself.
void Machine::note_globals(const Instance& instance) {
  if (instance.is_loop()) return;
  const ir::Component& component = *instance.component;
  for (size_t i = 0; i < instance.outputs.parameters.size(); ++i) {
    const auto& name = component.output_parameters[i].global_name;
    if (!name.empty() && instance.outputs.parameters[i]) state_.globals[name] = instance.outputs.parameters[i];
  }
  for (size_t i = 0; i < instance.outputs.artifacts.size(); ++i) {
    const auto& name = component.output_artifacts[i].global_name;
    if (!name.empty() && instance.outputs.artifacts[i]) state_.global_artifacts[name] = instance.outputs.artifacts[i];
  }
}

void Machine::fail(Instance& instance, TaskError error, bool retriable) {
  if (retriable && may_retry(instance, error) && wants_retry(instance, error)) return retry(instance, std::move(error));
  instance.error = std::move(error);
  if (state_.pipeline->main_task >= 0 && instance.is_leaf()) state_.failures.push_back(failure_of(state_, instance));
  finish(instance, TaskState::Failed);
}

namespace {

std::chrono::milliseconds delay_of(const ir::RetryPolicy& policy, int attempt) {
  const double delay = static_cast<double>(policy.backoff.count()) * std::pow(policy.factor, attempt);
  const double longest = static_cast<double>(policy.max_backoff.count());
  return std::chrono::milliseconds(static_cast<int64_t>(std::min(delay, longest)));
}

}  // namespace

bool Machine::may_retry(const Instance& instance, const TaskError& error) const {
  if (instance.task == nullptr || instance.attempt >= instance.task->retry.max_retries) return false;
  if (stopped(state_.at(instance.parent))) return false;
  const ir::RetryPolicy& policy = instance.task->retry;
  if (((error.infrastructure ? ir::kErrored : ir::kFailed) & policy.results) == 0) return false;
  if (policy.max_duration.count() > 0 &&
      state_.now + delay_of(policy, instance.attempt) - instance.began > policy.max_duration) {
    return false;
  }
  if (policy.each_item) return !instance.is_loop();
  // Of a loop over a container, each iteration is retried; of a loop over a dag, the loop.
  if (instance.is_leaf()) return true;
  return instance.iteration < 0 && instance.component->dag != nullptr;
}

// What its expression says. One that cannot be computed is told beside the error.
bool Machine::wants_retry(Instance& instance, TaskError& error) const {
  const auto& expression = instance.task->retry.expression;
  const Time from = instance.started == Time{} ? state_.now : instance.started;
  instance.last_attempt = std::chrono::duration_cast<std::chrono::seconds>(state_.now - from);
  if (!expression) return true;
  instance.error = error;
  try {
    return retry_holds(state_, instance, *expression);
  } catch (const Error& problem) {
    error.message += fmt::format("\nretryStrategy.expression {}: {}", expression->text(), problem.message());
    return false;
  }
}

void Machine::retry(Instance& instance, TaskError error) {
  const ir::RetryPolicy& policy = instance.task->retry;
  instance.delay = delay_of(policy, instance.attempt);
  if (instance.in_flight) {
    instance.in_flight = false;
    --state_.in_flight;
  }
  if (std::exchange(instance.stopping, false)) --state_.stopping;
  ++instance.attempt;
  instance.error = std::move(error);
  instance.state = TaskState::Pending;
  instance.started = {};
  moved(instance);
  instance.launch = nullptr;
  instance.import = nullptr;
  instance.dag = nullptr;
  instance.loop = nullptr;
  changed(instance);
  if (instance.delay.count() == 0) return queue(instance, false);
  instance.phase = Phase::Timer;
  state_.commands.emplace_back(SetTimer{instance.id, instance.attempt, instance.delay});
}

void Machine::settle(TaskId id) {
  Instance& instance = state_.at(id);
  if (instance.parent == kNoTask) {
    state_.finished = true;
    state_.result = {state_.canceling ? TaskState::Canceled : instance.state, instance.error, instance.ended};
    if (!state_.cancel_error.message.empty()) {
      state_.result.state = TaskState::Failed;
      state_.result.error = state_.cancel_error;
    }
    state_.commands.emplace_back(state_.result);
    return;
  }
  Instance& parent = state_.at(instance.parent);
  parent.changed = std::max(parent.changed, instance.ended);
  if (parent.is_loop()) {
    iteration_ended(parent, instance);  // which frees it
  } else {
    child_ended(parent, instance);
  }
}

void Machine::drain() {
  while (!state_.settled.empty()) {
    const TaskId id = state_.settled.front();
    state_.settled.pop_front();
    settle(id);
  }
}

void Machine::run() {
  // Tasks that come and go at once (skipped ones, empty loops) are made in portions, so that a step stays short
  // whatever the pipeline.
  constexpr size_t kPortion = 2'000;
  drain();
  const size_t made = state_.instances.size();
  while (state_.in_flight < state_.info.max_in_flight && !state_.finished) {
    if (state_.instances.size() - made > kPortion) {
      if (!state_.paused) state_.commands.emplace_back(SetTimer{0, 0, std::chrono::milliseconds(0)});
      state_.paused = true;
      break;
    }
    if (!state_.ready.empty()) {
      Instance* instance = state_.find(state_.ready.front());
      state_.ready.pop_front();
      if (instance == nullptr || instance->phase != Phase::Queued) continue;  // canceled meanwhile
      if (instance->is_leaf())
        launch(*instance);
      else
        expand(*instance);
    } else if (!start_iteration()) {
      break;
    }
    drain();
  }
  tell_queued();
}

// Tasks come to both ends of the queue: those in its middle were told before.
void Machine::tell_queued() {
  if (state_.in_flight < state_.info.max_in_flight || state_.finished) return;
  const auto tell = [this](TaskId id) {
    Instance* instance = state_.find(id);
    if (instance == nullptr || instance->phase != Phase::Queued) return true;
    if (!instance->waiting.empty()) return false;
    waits(*instance,
          fmt::format("no more than {} of the run's tasks are carried out at once", state_.info.max_in_flight));
    return true;
  };
  size_t first = 0;
  while (first < state_.ready.size() && tell(state_.ready[first])) ++first;
  for (size_t last = state_.ready.size(); last > first + 1 && tell(state_.ready[last - 1]);) --last;
}

}  // namespace penstock::engine
