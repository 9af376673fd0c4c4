// The folder of a task on this machine, and what the task left in it.
//
//   <data>/tasks/<run id>/<task>-<attempt>/     what the task sees as /tmp:
//     kfp/outputs/<name>                        one file an output parameter
//     kfp_outputs/output_metadata.json          the executor's output
//
// Whatever is read here was made by the task and is not trusted: no link leads out of the folder, and sizes are
// limited. Functions block; call them on a BlockingPool.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
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

// Gives tasks their folders and takes them back. A folder that is given back is emptied and kept, with the subfolders
// for outputs, for a later task: on ext4, making one costs as much as starting the process. Thread-safe; blocks.
class TaskFolders {
 public:
  // Folders wait in <data>/tasks/.free; those of an earlier server are used too.
  explicit TaskFolders(const std::filesystem::path& data);

  // Makes the empty folder. Throws ResourceExhausted when the disk is full.
  void make(const std::filesystem::path& folder, bool has_outputs);
  void give_back(const std::filesystem::path& folder) noexcept;

 private:
  static constexpr size_t kMaxFree = 256;
  std::filesystem::path free_;
  std::mutex mutex_;
  std::vector<std::filesystem::path> waiting_;
  uint64_t next_ = 0;
};

// Throws InvalidArgument when a file is larger than 64 MiB or the executor output is no JSON.
TaskResults read_task_results(const std::filesystem::path& folder, const std::vector<std::string>& parameters);

void remove_folder(const std::filesystem::path& folder) noexcept;

}  // namespace penstock::pipelines
