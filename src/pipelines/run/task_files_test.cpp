#include "pipelines/run/task_files.h"

#include <fstream>

#include <doctest/doctest.h>

#include "base/clock.h"
#include "base/error.h"

using namespace penstock;
using namespace penstock::pipelines;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  fs::path data = fs::temp_directory_path() / ("penstock-tasks-" + new_uuid());
  TaskFolders folders{data};
  ~Fixture() { fs::remove_all(data); }
};

size_t count(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a folder that is used again holds nothing of its last task") {
  const auto first = task_folder(data, "run", 1, 0), second = task_folder(data, "run", 2, 0);
  folders.make(first, true);
  std::ofstream(first / "kfp/outputs/a") << "old";
  std::ofstream(first / "kfp_outputs/output_metadata.json") << "{}";
  fs::create_directories(first / "deep/er");
  fs::create_symlink("/etc", first / "link");
  folders.give_back(first);
  CHECK_FALSE(fs::exists(first));
  CHECK(fs::exists("/etc/passwd"));
  folders.make(second, true);
  CHECK(count(second) == 2);
  CHECK(count(second / "kfp/outputs") == 0);
  CHECK(count(second / "kfp_outputs") == 0);
  CHECK(read_task_results(second, {"a"}).parameter_files.empty());
}

TEST_CASE_FIXTURE(Fixture, "a task cannot leave a link in the place of an output folder") {
  const auto first = task_folder(data, "run", 1, 0), second = task_folder(data, "run", 2, 0);
  folders.make(first, true);
  fs::remove_all(first / "kfp");
  fs::create_symlink("/etc", first / "kfp");
  folders.give_back(first);
  folders.make(second, true);
  CHECK_FALSE(fs::is_symlink(second / "kfp"));
  CHECK(fs::is_directory(second / "kfp/outputs"));
}

TEST_CASE_FIXTURE(Fixture, "outputs are read inside the folder only, and must be files") {
  const auto folder = task_folder(data, "run", 1, 0);
  folders.make(folder, true);
  fs::create_symlink("/etc/passwd", folder / "kfp/outputs/a");
  std::ofstream(folder / "kfp/outputs/b") << "value";
  const auto results = read_task_results(folder, {"a", "b", "missing"});
  CHECK(results.parameter_files.size() == 1);
  CHECK(results.parameter_files.at("b") == "value");
  fs::create_directory(folder / "kfp/outputs/c");
  CHECK_THROWS_AS(read_task_results(folder, {"c"}), Error);
  std::ofstream(folder / "kfp_outputs/output_metadata.json") << "{broken";
  CHECK_THROWS_AS(read_task_results(folder, {}), Error);
}

TEST_CASE_FIXTURE(Fixture, "what a dead server left under the name of a task is replaced") {
  const auto folder = task_folder(data, "run", 1, 0);
  fs::create_directories(folder);
  std::ofstream(folder / "rest") << "x";
  folders.make(folder, false);
  CHECK(count(folder) == 0);
  folders.give_back(folder);
  TaskFolders next(data);
  next.make(folder, false);
  CHECK(count(folder) == 0);
  CHECK(count(data / "tasks/.free") == 0);
}
