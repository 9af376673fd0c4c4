// What each event does.
#include "pipelines/engine/machine.h"

namespace penstock::engine {

void Machine::handle(const Event& event) {
  state_.now = event.time;
  if (state_.finished) return;
  if (event.type == Event::Type::RunStarted) return start_run();
  if (!state_.started) return;
  if (event.type == Event::Type::TimerFired && event.task == 0) state_.paused = false;
  if (event.type == Event::Type::CancelRequested) return cancel_run({event.code, event.message});
  Instance* instance = state_.find(event.task);
  if (instance != nullptr && instance->attempt == event.attempt) handle_task(*instance, event);
}

void Machine::start_run() {
  if (state_.started) return;
  state_.started = true;
  Instance& root = make(kNoTask, nullptr, *state_.pipeline->root, -1);
  root.inputs.parameters = state_.run_parameters;
  root.inputs.artifacts.resize(root.component->input_artifacts.size());
  json::object parameters;
  for (size_t i = 0; i < state_.run_parameters.size(); ++i) {
    if (!state_.run_parameters[i]) continue;
    parameters[root.component->input_parameters[i].name] =
        json::object{{"value", *state_.run_parameters[i]}, {"source", "RUNTIME_VALUE_INPUT"}};
  }
  if (!parameters.empty()) {
    json::object inputs;
    inputs["parameters"] = std::move(parameters);
    root.inputs_json = std::make_shared<const json::object>(std::move(inputs));
  }
  queue(root, false);
}

void Machine::cancel_run(TaskError error) {
  if (state_.canceling) return;
  state_.canceling = true;
  state_.cancel_error = std::move(error);
  state_.ready.clear();
  // Inner tasks have higher numbers: a dag that waits for nothing more ends by itself when they have.
  for (size_t i = state_.instances.size(); i-- > 0;) {
    if (state_.instances[i]) cancel(*state_.instances[i]);
  }
}

void Machine::cancel(Instance& instance) {
  switch (instance.phase) {
    case Phase::Done: return;
    case Phase::Launched: state_.commands.emplace_back(CancelTask{instance.id, instance.attempt}); return;
    case Phase::Queued:
    case Phase::Timer:
    case Phase::Paused:
    case Phase::CheckingCache:
    case Phase::Importing: return finish(instance, TaskState::Canceled);
    case Phase::Expanded: break;
  }
  if (instance.loop) {
    if (instance.loop->active == 0) end_loop(instance);
    return;
  }
  for (size_t i = 0; i < instance.dag->slots.size(); ++i) {
    if (instance.dag->slots[i].outcome == Outcome::Open) skip_task(instance, static_cast<int>(i));
  }
}

void Machine::handle_task(Instance& instance, const Event& event) {
  using Type = Event::Type;
  const Phase phase = instance.phase;
  switch (event.type) {
    case Type::TaskStarted:
      if (phase != Phase::Launched || instance.state == TaskState::Running) return;
      instance.state = TaskState::Running;
      instance.started = moved(instance);
      instance.error = {};
      changed(instance);
      if (instance.component->executor->daemon) daemon_started(instance, event);
      return;
    case Type::TaskWaiting:
      if (phase == Phase::Launched && instance.state == TaskState::Pending) waits(instance, event.message);
      return;
    case Type::TaskSucceeded:
    case Type::ImportFinished:
      if (phase != (event.type == Type::TaskSucceeded ? Phase::Launched : Phase::Importing)) return;
      if (instance.started == Time{}) instance.started = moved(instance);
      instance.error = {};
      set_outputs(instance, event.outputs);
      return finish(instance, TaskState::Succeeded);
    case Type::TaskFailed:
      if (phase == Phase::Launched) task_failed(instance, event);
      return;
    case Type::ImportFailed:
      if (phase == Phase::Importing) task_failed(instance, event);
      return;
    case Type::TaskCanceled:
      if (phase != Phase::Launched) return;
      if (instance.released) return finish(instance, TaskState::Succeeded);
      if (stopped(instance)) return finish(instance, TaskState::Canceled);
      return fail(instance, {event.code, event.message.empty() ? "it was canceled" : event.message, true},
                  event.retriable);
    case Type::CacheHit:
      if (phase != Phase::CheckingCache) return;
      instance.started = moved(instance);
      instance.cached_from = event.source_task_id;
      instance.cache_note = event.message;
      set_outputs(instance, event.outputs);
      return finish(instance, TaskState::Cached);
    case Type::CacheMiss:
      if (phase != Phase::CheckingCache) return;
      instance.cache_note = event.message;
      return start_container(instance);
    case Type::TimerFired:
      if (phase == Phase::Timer) queue(instance, false);
      if (phase == Phase::Paused) finish(instance, TaskState::Succeeded);
      if (phase == Phase::Expanded) look_at_deadline(instance);
      return;
    case Type::RunStarted:
    case Type::CancelRequested: return;
  }
}

void Machine::task_failed(Instance& instance, const Event& event) {
  // Whatever a task says while it is being stopped, it was stopped.
  if (stopped(instance)) return finish(instance, TaskState::Canceled);
  if (instance.released) return finish(instance, TaskState::Succeeded);
  fail(instance, {event.code, event.message, event.infrastructure}, event.retriable);
}

}  // namespace penstock::engine
