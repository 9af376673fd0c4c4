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
  // The path of a folder that had to be made.
  fs::path make(const std::string& name, bool for_outputs) {
    const auto lent = folders.lend(name, for_outputs);
    REQUIRE_FALSE(lent.made);
    CHECK(lent.path == data / "tasks" / name);
    folders.make(lent.path, for_outputs);
    return lent.path;
  }
  // Of one that had waited.
  static fs::path again(TaskFolders& from, bool for_outputs) {
    const auto lent = from.lend(new_uuid(), for_outputs);
    REQUIRE(lent.made);
    return lent.path;
  }
  ~Fixture() { fs::remove_all(data); }
};

size_t count(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a folder that is used again holds nothing of its last task") {
  const auto first = make("a", true);
  std::ofstream(first / "kfp/outputs/a") << "old";
  std::ofstream(first / "kfp_outputs/output_metadata.json") << "{}";
  fs::create_directories(first / "deep/er");
  fs::create_symlink("/etc", first / "link");
  fs::permissions(first / "kfp", fs::perms::none);
  folders.give_back(first, "a");
  CHECK(fs::exists("/etc/passwd"));
  const auto lent = folders.lend("owner", true);
  REQUIRE(lent.made);
  const auto second = lent.path;
  CHECK(second == first);
  CHECK(count(second) == 2);
  CHECK(count(second / "kfp/outputs") == 0);
  CHECK(count(second / "kfp_outputs") == 0);
  CHECK(read_task_results(second, {"a"}).parameter_files.empty());
  make("b", false);
  folders.give_back(second, "a");  // its former owner's pod, found again
  CHECK_FALSE(folders.lend("c", true).made);
  folders.give_back(second, "owner");
  folders.give_back(second, "owner");
  again(folders, true);
  make("d", true);
}

TEST_CASE_FIXTURE(Fixture, "a task cannot leave a link in the place of an output folder") {
  const auto first = make("a", true);
  fs::remove_all(first / "kfp");
  fs::create_symlink("/etc", first / "kfp");
  folders.give_back(first, "a");
  make("b", true);
  CHECK(count(again(folders, false)) == 1);
}

TEST_CASE_FIXTURE(Fixture, "outputs are read inside the folder only, and must be files") {
  const auto folder = make("a", true);
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
  const auto folder = make("a", false);
  folders.give_back(folder, "a", false);
  CHECK_FALSE(fs::exists(folder));
  make("b", false);
}

TEST_CASE_FIXTURE(Fixture, "only folders of tasks are taken back") {
  const auto other = data / "other";
  fs::create_directories(other / "kept");
  folders.give_back(other, {});
  folders.give_back(data / "tasks/../other", {});
  CHECK(fs::exists(other / "kept"));
  make("a", false);
}

TEST_CASE_FIXTURE(Fixture, "a task finds its folder of an earlier server; what no task has is used again") {
  const auto running = make("running", true), found = make("found", true), left = make("left", true);
  std::ofstream(found / "kfp/outputs/a") << "kept";
  std::ofstream(left / "rest") << "x";
  fs::remove_all(found / "kfp_outputs");  // as if that server had died before it made it
  TaskFolders next(data);
  CHECK(next.lend("found", true).path == found);
  next.make(found, true);
  next.claim(running, "running");
  CHECK(fs::is_directory(found / "kfp_outputs"));
  next.reclaim({running});
  CHECK(read_task_results(found, {"a"}).parameter_files.at("a") == "kept");
  CHECK(again(next, true) == left);
  CHECK(count(left) == 2);
  CHECK_FALSE(next.lend("more", true).made);
  CHECK(fs::exists(running));
}
