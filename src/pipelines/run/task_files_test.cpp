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
  CHECK_FALSE(folders.take("a", true));
  const auto first = folders.make("a", true);
  std::ofstream(first / "kfp/outputs/a") << "old";
  std::ofstream(first / "kfp_outputs/output_metadata.json") << "{}";
  fs::create_directories(first / "deep/er");
  fs::create_symlink("/etc", first / "link");
  fs::permissions(first / "kfp", fs::perms::none);
  folders.give_back(first);
  CHECK(fs::exists("/etc/passwd"));
  const auto second = folders.take("b", true).value();
  CHECK(second == data / "tasks/b");
  CHECK_FALSE(fs::exists(first));
  CHECK(count(second) == 2);
  CHECK(count(second / "kfp/outputs") == 0);
  CHECK(count(second / "kfp_outputs") == 0);
  CHECK(read_task_results(second, {"a"}).parameter_files.empty());
  CHECK_FALSE(folders.take("c", false));
  folders.give_back(second);
  folders.give_back(second);
  CHECK(folders.take("c", true));
  CHECK_FALSE(folders.take("d", true));
}

TEST_CASE_FIXTURE(Fixture, "a task cannot leave a link in the place of an output folder") {
  const auto first = folders.make("a", true);
  fs::remove_all(first / "kfp");
  fs::create_symlink("/etc", first / "kfp");
  folders.give_back(first);
  CHECK_FALSE(folders.take("b", true));
  const auto second = folders.take("b", false).value();
  CHECK(count(second) == 1);
}

TEST_CASE_FIXTURE(Fixture, "outputs are read inside the folder only, and must be files") {
  const auto folder = folders.make("a", true);
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

TEST_CASE_FIXTURE(Fixture, "a folder whose task may still run is not used again") {
  const auto folder = folders.make("a", false);
  folders.give_back(folder, false);
  CHECK_FALSE(fs::exists(folder));
  CHECK_FALSE(folders.take("b", false));
}

TEST_CASE_FIXTURE(Fixture, "only folders of tasks are taken back") {
  const auto other = data / "other";
  fs::create_directories(other / "kept");
  folders.give_back(other);
  folders.give_back(data / "tasks/../other");
  CHECK(fs::exists(other / "kept"));
  CHECK_FALSE(folders.take("a", false));
}

TEST_CASE_FIXTURE(Fixture, "a task finds its folder of an earlier server; what no task has is used again") {
  const auto running = folders.make("running", true), found = folders.make("found", true);
  const auto left = folders.make("left", true);
  std::ofstream(found / "kfp/outputs/a") << "kept";
  std::ofstream(left / "rest") << "x";
  fs::remove_all(found / "kfp_outputs");  // as if that server had died before it made it
  TaskFolders next(data);
  CHECK_FALSE(next.take("other", true));
  CHECK(next.take("found", true) == found);
  CHECK(fs::is_directory(found / "kfp_outputs"));
  next.reclaim({running});
  CHECK(read_task_results(found, {"a"}).parameter_files.at("a") == "kept");
  const auto again = next.take("again", true).value();
  CHECK_FALSE(fs::exists(left));
  CHECK(count(again) == 2);
  CHECK_FALSE(next.take("more", true));
  CHECK(fs::exists(running));
}
