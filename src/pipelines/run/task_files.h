// The folder of a task on this machine, and what the task left in it.
//
//   <data>/tasks/<run id>/<task>-<attempt>/     what the task sees as /tmp:
//     kfp/outputs/<name>                        one file an output parameter
//     kfp_outputs/output_metadata.json          the executor's output
//
// Whatever is read here was made by the task and is not trusted: no link leads out of the folder, and sizes are limited.
// Functions block; call them on a BlockingPool.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "pipelines/engine/launch.h"

namespace penstock::pipelines {

struct TaskResults {
  json::value executor_output;  // null when the task wrote none
  std::map<std::string, std::string> parameter_files;
};

std::filesystem::path task_folder(const std::filesystem::path& data, std::string_view run_id, engine::TaskId task,
                                  int attempt);

// The paths of a task that sees `folder` as /tmp, or, where nothing can be mounted, as itself.
engine::PathMap paths_in(const std::filesystem::path& folder, const std::filesystem::path& objects, bool sandbox);

// Makes an empty folder with what output files need. Throws ResourceExhausted when the disk is full.
void prepare_task_folder(const std::filesystem::path& folder, bool has_outputs);

// Throws InvalidArgument when a file is larger than 64 MiB or the executor output is no JSON.
TaskResults read_task_results(const std::filesystem::path& folder, const std::vector<std::string>& parameters);

void remove_folder(const std::filesystem::path& folder) noexcept;

}  // namespace penstock::pipelines
