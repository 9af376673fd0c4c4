// The folder of a task on this machine, and what the task left in it.
//
//   <data>/tasks/<uid of the pod it was made for>/   what the task sees as /tmp:
//     kfp/outputs/<name>                             one file an output parameter
//     kfp_outputs/output_metadata.json               the executor's output
//
// Whatever is read here was made by the task and is not trusted: no link leads out of the folder, and sizes are
// limited. Functions block, but for TaskFolders::lend(); call them on a BlockingPool.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "pipelines/engine/launch.h"

namespace penstock::pipelines {

struct TaskResults {
  json::value executor_output;  // null when the task wrote none
  std::map<std::string, std::string> parameter_files;
};

// The paths of a task that sees `folder` as /tmp, or, where nothing can be mounted, as itself.
engine::PathMap paths_in(const std::filesystem::path& folder, const std::filesystem::path& objects, bool sandbox);

// Gives tasks their folders and takes them back. A folder that is given back is emptied and kept, with the subfolders
// for outputs, for a later task: on ext4, making one costs as much as starting the process. Thread-safe.
class TaskFolders {
 public:
  // What an earlier server left in <data>/tasks waits for claim() and reclaim().
  explicit TaskFolders(const std::filesystem::path& data);

  const std::filesystem::path& root() const { return root_; }

  struct Lent {
    std::filesystem::path path;
    bool made = false;  // else make() comes before its use
  };
  // An empty folder that waited, under the name that it has, or one of the name `owner`, which no other task may have.
  // One for outputs has their subfolders.
  Lent lend(const std::string& owner, bool for_outputs);
  // Lent by an earlier server.
  void claim(const std::filesystem::path& folder, const std::string& owner);
  // Makes what is missing of a folder that was lent, maybe by an earlier server: what is in it stays, as its task may
  // be running. Throws ResourceExhausted when the disk is full.
  void make(const std::filesystem::path& folder, bool for_outputs);
  // A path that is no folder of tasks, or is lent to another owner by now, is left alone: the pod of a task that is
  // over may be found again after a crash. A folder that is not `clean`, as processes of the task may still run, is not
  // used again.
  void give_back(const std::filesystem::path& folder, const std::string& owner, bool clean = true) noexcept;
  // Takes back the folders of an earlier server but for those that are `used`.
  void reclaim(const std::set<std::filesystem::path>& used) noexcept;

 private:
  static constexpr size_t kMaxFree = 1024;
  std::filesystem::path root_;
  std::mutex mutex_;
  std::set<std::string> earlier_;                            // names of an earlier server
  std::map<std::string, std::string> lent_;                  // names that are with tasks, and whose
  std::vector<std::filesystem::path> plain_, with_outputs_;  // free ones
};

// Throws InvalidArgument when a file is larger than 64 MiB or the executor output is no JSON.
TaskResults read_task_results(const std::filesystem::path& folder, const std::vector<std::string>& parameters);

// Moves the file or folder that the task left at `name` in its folder to `target`, in the place of what is there; or
// copies it. Throws InvalidArgument when there is none.
void keep_artifact(const std::filesystem::path& folder, const std::filesystem::path& name,
                   const std::filesystem::path& target, bool move = true);

// The text of a file in `folder`; nothing when there is none. Throws InvalidArgument when it is larger than 64 MiB, no
// regular file or no UTF-8.
std::optional<std::string> read_task_file(const std::filesystem::path& folder, const std::string& name);
bool has_task_file(const std::filesystem::path& folder, const std::filesystem::path& name);

void remove_folder(const std::filesystem::path& folder) noexcept;

}  // namespace penstock::pipelines
