#include <cstdlib>

#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/engine/case_test.h"

namespace penstock::engine::testing {

namespace {

std::vector<std::filesystem::path> case_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(PENSTOCK_SOURCE_DIR "/tests/engine")) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

// PENSTOCK_UPDATE_TESTS=1 writes what came out into the files, to be read before it is committed.
TEST_CASE("runs as the files under tests/engine say") {
  const auto files = case_files();
  CHECK(files.size() >= 40);
  for (const auto& file : files) {
    CAPTURE(file.filename().string());
    const Case test = read_case(file);
    std::shared_ptr<const ir::Pipeline> pipeline;
    std::string outcome;
    try {
      pipeline = ir::from_json(test.spec, test.platform);
      FakeShell shell(test, pipeline);
      outcome = shell.play(FakeShell::Order::First, 0, false);
      const int64_t limit = get_int(test.run, "most_in_flight");
      if (limit > 0) CHECK(shell.most_in_flight() == static_cast<size_t>(limit));
    } catch (const Error& error) {
      outcome = "error: " + error.message() + "\n";
      pipeline = nullptr;
    }
    if (std::getenv("PENSTOCK_UPDATE_TESTS") != nullptr) write_expected(test, outcome);
    else CHECK(outcome == test.expected);
    if (!pipeline) continue;
    // After a crash behind any event the run ends the same.
    CHECK(FakeShell(test, pipeline).play(FakeShell::Order::First, 0, true) == outcome);
    // Where the outcome does not hang on who fails first, every order of events gives it.
    const bool fixed = get_string(test.run, "order") == "fixed";
    for (unsigned seed = 1; seed <= 25; ++seed) {
      CAPTURE(seed);
      const std::string random = FakeShell(test, pipeline).play(FakeShell::Order::Random, seed, seed % 5 == 0);
      if (!fixed) CHECK(random == outcome);
    }
  }
}

}  // namespace penstock::engine::testing
