// The transitions: one object for the duration of a step. Internal to engine/.
#pragma once

#include "pipelines/engine/state.h"

namespace penstock::engine {

class Machine {
 public:
  explicit Machine(State& state) : state_(state) {}

  void handle(const Event& event);
  // Tells parents of what has ended, and starts what may run, until nothing moves.
  void run();

 private:
  // events.cpp
  void start_run();
  void cancel_run(TaskError error);
  void cancel(Instance& instance);
  void handle_task(Instance& instance, const Event& event);
  void task_failed(Instance& instance, const Event& event);

  // machine.cpp: one task
  Instance& make(TaskId parent, const ir::Task* task, const ir::Component& component, int64_t iteration);
  void changed(const Instance& instance);
  // Events tell when something happened on the clock of whoever saw it: the time of what it came after is the least.
  Time moved(Instance& instance);
  void waits(Instance& instance, std::string reason);
  void tell_queued();
  void queue(Instance& instance, bool first);
  void launch(Instance& leaf);
  void start_container(Instance& leaf);
  void pause(Instance& leaf);
  void set_outputs(Instance& instance, const Outputs& outputs);
  void finish(Instance& instance, TaskState state);
  void fail(Instance& instance, TaskError error, bool retriable);
  // The run ends before its time, or a dag around this one does, or it itself.
  bool stopped(const Instance& instance) const;
  void note_globals(const Instance& instance);
  bool may_retry(const Instance& instance, const TaskError& error) const;
  bool wants_retry(Instance& instance, TaskError& error) const;
  void retry(Instance& instance, TaskError error);
  void settle(TaskId id);
  void drain();

  // flow.cpp: dags and loops
  void expand(Instance& instance);
  void expand_dag(Instance& instance);
  void fail_too_many(Instance& instance);
  void expand_loop(Instance& instance);
  // deadlines.cpp
  void watch_deadline(Instance& dag);  // throws InvalidArgument
  void look_at_deadline(Instance& dag);
  void stop_inside(Instance& dag);
  void daemon_started(Instance& leaf, const Event& event);
  void release_daemons(Instance& dag);
  bool may_start(const Instance& dag, const ir::Task& task) const;
  void start_task(Instance& dag, int index);
  void admit(Instance& dag, Instance& child);
  void admit_next(Instance& dag);
  void skip_task(Instance& dag, int index);
  void child_ended(Instance& dag, Instance& child);
  void child_failed(Instance& dag, const Instance& child);
  Outcome outcome_by_branches(const Instance& dag) const;
  void end_dag(Instance& dag);
  void set_dag_outputs(Instance& dag);  // throws InvalidArgument for one that has to be there
  void release_children(Instance& dag);
  void queue_loop(Instance& loop);
  bool may_iterate(const Instance& loop) const;
  bool start_iteration();
  Value list_of(const Instance& loop) const;  // throws InvalidArgument
  void begin_iteration(Instance& loop, Instance& iteration);
  void iteration_ended(Instance& loop, Instance& iteration);
  void collect(Instance& loop, const Instance& iteration);
  void end_loop(Instance& loop);
  void set_loop_outputs(Instance& loop);

  State& state_;
};

}  // namespace penstock::engine
