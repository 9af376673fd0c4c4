// What the controller has to remember of a run beside the engine's events. Notes stand between the events in the
// run's log, so that they are written with them, in their order:
//
//   {"note": "Folder", "task": 3, "attempt": 0, "folder": "<name>"}   where the task that is about to start works
//   {"note": "Kept", "path": "<scope path>", "outputs": {…}, "pod": "<name>", "uid": "<uid>"}
//                                                                     what a task gave before the run was retried
//   {"note": "Again", "path": "<scope path>"}                        what was asked to run again, whatever it gave
#pragma once

#include "pipelines/run/active_run.h"

namespace penstock::pipelines {

std::string folder_note(FlightKey key, const std::filesystem::path& folder);
std::string kept_note(const std::string& path, const Kept& kept);
std::string again_note(const std::string& path);

// May the task at `path` ("root/for-loop-1/3/train"), which has succeeded, be left as it is when its run is retried?
// Not one that starts although others have failed: it has seen how the run ended before, and is to see how it ends now.
bool is_kept_by_retry(const ir::Pipeline& pipeline, std::string_view path);

// Is the task at `path` the one at `from`, a part of it, or does it come after it: in the dag that both are in, or
// after the dag or loop that holds `from`?
bool follows_from(const ir::Pipeline& pipeline, std::string_view path, std::string_view from);
bool is_at_or_below(std::string_view path, std::string_view from);

// False when `line` is none, but an event. `tasks`: the folder of tasks' folders.
bool take_note(ActiveRun& run, const json::value& line, const std::filesystem::path& tasks);

}  // namespace penstock::pipelines
