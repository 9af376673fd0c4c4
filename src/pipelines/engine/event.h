// What has happened in a run, as the shell tells the engine. Events are the run's log: they carry their time, and
// travel as compact JSON.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/json.h"

namespace penstock::engine {

// A task's number in its run, given in order of creation; the root dag is 0.
using TaskId = int32_t;
inline constexpr TaskId kNoTask = -1;

struct Outputs {
  json::object parameters;  // name → value
  // name → list of {"name", "uri", "type": {"schemaTitle", "schemaVersion"}, "metadata", …, "id": of its record}
  json::object artifacts;
  bool operator==(const Outputs&) const = default;
};

struct Event {
  enum class Type {
    RunStarted,
    TaskStarted,     // its process runs
    TaskSucceeded,   // outputs
    TaskFailed,      // code, message, retriable
    TaskCanceled,    // it has ended because of CancelTask
    ImportFinished,  // outputs
    ImportFailed,    // code, message, retriable
    CacheHit,        // outputs, source_task_id, message
    CacheMiss,       // message: why
    TimerFired,
    CancelRequested,  // somebody asked the run to end, or it took too long: code, message
    TaskWaiting,      // it was launched and cannot start yet: message, empty when nothing keeps it any more
  };

  Type type = Type::RunStarted;
  TaskId task = kNoTask;
  int attempt = 0;
  Time time{};
  Outputs outputs{};
  std::string source_task_id{};
  int code = 0;  // the exit code, or what stands for it
  std::string message{};
  bool retriable = true;
  bool infrastructure = false;  // TaskFailed: as TaskError's

  static Event run_started(Time time) { return {.type = Type::RunStarted, .time = time}; }
  // With a message the run ends as failed, with that error; without one as canceled.
  static Event cancel_requested(Time time, int code = 0, std::string message = {}) {
    return {.type = Type::CancelRequested, .time = time, .code = code, .message = std::move(message)};
  }
  static Event task_started(TaskId task, int attempt, Time time) {
    return {.type = Type::TaskStarted, .task = task, .attempt = attempt, .time = time};
  }
  static Event task_waiting(TaskId task, int attempt, Time time, std::string message) {
    return {.type = Type::TaskWaiting, .task = task, .attempt = attempt, .time = time, .message = std::move(message)};
  }
  static Event task_succeeded(TaskId task, int attempt, Time time, Outputs outputs) {
    return {.type = Type::TaskSucceeded, .task = task, .attempt = attempt, .time = time, .outputs = std::move(outputs)};
  }
  static Event task_failed(TaskId task, int attempt, Time time, int code, std::string message, bool retriable = true) {
    return {.type = Type::TaskFailed,
            .task = task,
            .attempt = attempt,
            .time = time,
            .code = code,
            .message = std::move(message),
            .retriable = retriable};
  }
  static Event task_canceled(TaskId task, int attempt, Time time) {
    return {.type = Type::TaskCanceled, .task = task, .attempt = attempt, .time = time};
  }
  static Event import_finished(TaskId task, int attempt, Time time, Outputs outputs) {
    return {
        .type = Type::ImportFinished, .task = task, .attempt = attempt, .time = time, .outputs = std::move(outputs)};
  }
  static Event import_failed(TaskId task, int attempt, Time time, int code, std::string message,
                             bool retriable = true) {
    return {.type = Type::ImportFailed,
            .task = task,
            .attempt = attempt,
            .time = time,
            .code = code,
            .message = std::move(message),
            .retriable = retriable};
  }
  static Event cache_hit(TaskId task, int attempt, Time time, Outputs outputs, std::string source_task_id,
                         std::string message = {}) {
    return {.type = Type::CacheHit,
            .task = task,
            .attempt = attempt,
            .time = time,
            .outputs = std::move(outputs),
            .source_task_id = std::move(source_task_id),
            .message = std::move(message)};
  }
  static Event cache_miss(TaskId task, int attempt, Time time, std::string message = {}) {
    return {.type = Type::CacheMiss, .task = task, .attempt = attempt, .time = time, .message = std::move(message)};
  }
  static Event timer_fired(TaskId task, int attempt, Time time) {
    return {.type = Type::TimerFired, .task = task, .attempt = attempt, .time = time};
  }

  bool operator==(const Event&) const = default;
};

json::object to_json(const Event& event);
Event event_from_json(const json::value& value);  // throws InvalidArgument

}  // namespace penstock::engine
