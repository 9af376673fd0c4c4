// Random pipelines, what each of their tasks comes to, and an oracle: what a run of one must end with, computed from
// the plan alone, without the engine.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "pipelines/engine/command.h"

namespace penstock::engine::testing {

// What one attempt of a leaf comes to. The same for the same seed, path and attempt, in whatever order things happen.
struct Answer {
  enum class Kind { Succeeds, Fails, FailsForGood } kind = Kind::Succeeds;
  int64_t output = 0;
  bool cached = false;  // found in the cache, if it is asked
};

struct PlannedTask {
  enum class Kind { Container, Importer, Dag };
  std::string name;
  Kind kind = Kind::Container;
  std::vector<int> after;  // earlier siblings
  bool always = false;     // starts when they have ended, whatever they came to
  int condition = -1;      // a sibling whose output must be `wanted`
  int64_t wanted = 0;
  int retries = 0;
  int64_t backoff_ms = 0;
  double factor = 1;
  bool cache = false;
  int loop = -1;  // how many iterations; -1: it is no loop
  int parallel = 0;
  std::vector<PlannedTask> tasks;  // of a dag
};

class Plan {
 public:
  explicit Plan(uint64_t seed);

  json::value spec() const;
  Answer answer(const std::string& path, int attempt) const;
  const std::vector<PlannedTask>& tasks() const { return root_.tasks; }
  int max_in_flight() const { return max_in_flight_; }

 private:
  PlannedTask make_dag(std::string name, int depth);
  PlannedTask make_task(std::string name, const std::vector<PlannedTask>& before, int depth);
  int pick(int count) { return static_cast<int>(random_() % static_cast<uint64_t>(count)); }
  bool chance(int of_hundred) { return pick(100) < of_hundred; }

  std::mt19937_64 random_;
  uint64_t seed_;
  int fail_percent_ = 0;
  int left_ = 0;  // tasks that may still be made
  int max_in_flight_ = 200;
  PlannedTask root_;
};

// What the oracle says of a run that nobody cancels.
struct Expected {
  TaskState run = TaskState::Succeeded;
  // By path. A task that is not `certain` may also be skipped, or not come to be at all: a sibling fails, perhaps
  // before it starts.
  struct Task {
    TaskState state = TaskState::Succeeded;
    bool certain = true;
  };
  std::map<std::string, Task> tasks;
  // "path#attempt" of each launch, import and cache check, and whether it is certain.
  std::map<std::string, bool> launches, imports, checks;
  std::map<std::string, int64_t> delays;  // "path#attempt" of the attempt that waits, in milliseconds
  std::map<std::string, int> parallel;    // limits of loops, by path
};

Expected expect(const Plan& plan);

}  // namespace penstock::engine::testing
