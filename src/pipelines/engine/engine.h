// The engine of one run: a pure state machine. Events go in, commands come out; there is no clock, thread, file or
// socket in it, and the same events in the same order always give the same commands. The shell around it (../run)
// writes each event to the run's log, calls step(), and carries out the commands.
//
// After a restart: make an Engine from the same pipeline, run and parameters, step() it through the logged events while
// dropping the commands other than TaskChanged, then carry out resume_commands().
//
// The rules of a run, where the field's tools differ:
// - A failed task fails its dag. What runs there goes on to its end; nothing new starts in that dag but tasks that wait
//   for completion (exit handlers, ignore_upstream_failure) and what comes after those. What will not run is SKIPPED.
// - A run that is cancelled starts nothing more, exit handlers included.
// - A dag that is retried runs again from its start, with new tasks.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "pipelines/engine/command.h"
#include "pipelines/engine/event.h"
#include "pipelines/ir/spec.h"

namespace penstock::engine {

struct RunInfo {
  std::string run_id;
  std::string display_name;
  std::string pipeline_name;  // empty: the pipeline's own
  std::string resource_name;  // "hello-x7f2k": what tasks see as their job's name
  std::string pipeline_root;  // empty: the pipeline's own
  std::string ns;
  std::string workspace_path = "/kfp-workspace";
  Time created_at{};
  Time scheduled_at{};
  bool images = false;      // steps are containers of their images
  bool caching = true;      // false: no task looks for or leaves cache entries
  int max_in_flight = 200;  // tasks that the shell has in hand at once; the others wait in here, most of them unmade
};

// Checks a run's parameters against the root's inputs and fills in nothing. Throws InvalidArgument naming the
// parameter: unknown, missing, of another type, not one of the allowed literals.
void validate_parameters(const ir::Pipeline& pipeline, const json::object& parameters);

struct State;

// Not thread-safe. Memory grows with what is running and with the outputs that are still wanted, not with what is done.
class Engine {
 public:
  // `parameters` must have passed validate_parameters(); otherwise throws as it does.
  Engine(std::shared_ptr<const ir::Pipeline> pipeline, RunInfo info, json::object parameters);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // The first event is RunStarted. Stale and repeated events (of an earlier attempt, of a finished task) change
  // nothing.
  std::vector<Command> step(const Event& event);

  // Everything that the shell should have in hand now: each command is one that step() has given before.
  std::vector<Command> resume_commands() const;

  // What ends the pauses that there are: step() them, as events of the run.
  std::vector<Event> resumptions(Time time) const;

  bool started() const;
  bool finished() const;
  bool canceling() const;
  // The run's outputs once it has finished: those of the root dag.
  Outputs outputs() const;
  const RunInfo& info() const;
  const ir::Pipeline& pipeline() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace penstock::engine
