#include "pipelines/engine/random_run_test.h"

#include <cmath>

#include <fmt/format.h>

namespace penstock::engine::testing {

namespace {

uint64_t mix(uint64_t seed, std::string_view text) {
  uint64_t hash = seed ^ 0xcbf2'9ce4'8422'2325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3ull;
  hash ^= hash >> 29;
  hash *= 0xbf58'476d'1ce4'e5b9ull;
  return hash ^ hash >> 32;
}

}  // namespace

Plan::Plan(uint64_t seed) : random_(seed), seed_(seed) {
  constexpr int kFailures[] = {0, 0, 5, 20, 50};
  fail_percent_ = kFailures[pick(5)];
  left_ = 4 + pick(25);
  if (chance(40)) max_in_flight_ = 1 + pick(5);
  root_ = make_dag("root", 0);
}

PlannedTask Plan::make_dag(std::string name, int depth) {
  PlannedTask dag{.name = std::move(name), .kind = PlannedTask::Kind::Dag};
  const int count = depth == 0 ? 1 + pick(6) : pick(5);
  for (int i = 0; i < count && left_ > 0; ++i) {
    --left_;
    dag.tasks.push_back(make_task(fmt::format("t{}", i), dag.tasks, depth));
  }
  return dag;
}

PlannedTask Plan::make_task(std::string name, const std::vector<PlannedTask>& before, int depth) {
  PlannedTask task;
  const int kind = pick(10);
  if (kind < 4 && depth < 3) {
    task = make_dag(std::move(name), depth + 1);
  } else {
    task.name = std::move(name);
    task.kind = kind == 9 ? PlannedTask::Kind::Importer : PlannedTask::Kind::Container;
  }
  for (int i = 0; i < static_cast<int>(before.size()); ++i) {
    if (chance(30)) task.after.push_back(i);
    const PlannedTask& sibling = before[static_cast<size_t>(i)];
    const bool gives = sibling.kind == PlannedTask::Kind::Container && sibling.loop < 0;
    if (!gives || task.condition >= 0 || !chance(15)) continue;
    task.condition = i;
    task.wanted = pick(2);
  }
  task.always = task.condition < 0 && !task.after.empty() && chance(20);
  if (chance(35)) {
    task.retries = 1 + pick(3);
    if (chance(50)) {
      task.backoff_ms = 500 * (1 + pick(4));
      task.factor = chance(50) ? 2 : 1;
    }
  }
  if (task.kind != PlannedTask::Kind::Importer && chance(20)) {
    task.loop = pick(5);
    if (chance(40)) task.parallel = 1 + pick(2);
  }
  task.cache = task.kind == PlannedTask::Kind::Container && chance(25);
  return task;
}

Answer Plan::answer(const std::string& path, int attempt) const {
  const uint64_t hash = mix(seed_, fmt::format("{}#{}", path, attempt));
  Answer answer;
  answer.output = static_cast<int64_t>(hash >> 8 & 1);
  answer.cached = (hash >> 9 & 3) == 0;
  if (static_cast<int>(hash >> 16 & 0xffff) % 100 < fail_percent_) {
    answer.kind = (hash >> 40 & 7) == 0 ? Answer::Kind::FailsForGood : Answer::Kind::Fails;
  }
  return answer;
}

namespace {

// Writes the spec: one component a task, each dag's named by its place.
struct SpecWriter {
  json::object components;

  json::object component_for(const PlannedTask& task, const std::string& name) {
    json::object inputs{{"p", {{"parameterType", "NUMBER_INTEGER"}, {"isOptional", true}}}};
    if (task.loop >= 0) inputs["item"] = {{"parameterType", "NUMBER_INTEGER"}};
    json::object component{{"inputDefinitions", {{"parameters", std::move(inputs)}}}};
    if (task.kind == PlannedTask::Kind::Dag) {
      component["dag"] = dag(task.tasks, name);
    } else if (task.kind == PlannedTask::Kind::Importer) {
      component["executorLabel"] = "importer";
      component["outputDefinitions"] = {
          {"artifacts", {{"artifact", {{"artifactType", {{"schemaTitle", "system.Dataset"}}}}}}}};
    } else {
      component["executorLabel"] = "container";
      component["outputDefinitions"] = {{"parameters", {{"Output", {{"parameterType", "NUMBER_INTEGER"}}}}}};
    }
    return component;
  }

  json::object dag(const std::vector<PlannedTask>& tasks, const std::string& name) {
    json::object out;
    for (const PlannedTask& task : tasks) {
      const std::string component = name + "-" + task.name;
      components[component] = component_for(task, component);
      json::object written{{"taskInfo", {{"name", task.name}}}, {"componentRef", {{"name", component}}}};
      json::array after;
      for (const int i : task.after) after.emplace_back(tasks[static_cast<size_t>(i)].name);
      if (!after.empty()) written["dependentTasks"] = std::move(after);
      json::object policy;
      if (task.always) policy["strategy"] = "ALL_UPSTREAM_TASKS_COMPLETED";
      if (task.condition >= 0) {
        const std::string& producer = tasks[static_cast<size_t>(task.condition)].name;
        written["inputs"] = {
            {"parameters",
             {{"p", {{"taskOutputParameter", {{"producerTask", producer}, {"outputParameterKey", "Output"}}}}}}}};
        policy["condition"] = fmt::format("inputs.parameter_values['p'] == {}", task.wanted);
      }
      if (!policy.empty()) written["triggerPolicy"] = std::move(policy);
      if (task.retries > 0) {
        written["retryPolicy"] = {{"maxRetryCount", task.retries},
                                  {"backoffDuration", fmt::format("{}s", static_cast<double>(task.backoff_ms) / 1000)},
                                  {"backoffFactor", task.factor},
                                  {"backoffMaxDuration", "3s"}};
      }
      if (task.cache) written["cachingOptions"] = {{"enableCache", true}};
      if (task.loop >= 0) {
        json::array items;
        for (int i = 0; i < task.loop; ++i) items.emplace_back(i);
        written["parameterIterator"] = {{"itemInput", "item"}, {"items", {{"raw", to_text(items)}}}};
        if (task.parallel > 0) written["iteratorPolicy"] = {{"parallelismLimit", task.parallel}};
      }
      out[task.name] = std::move(written);
    }
    return {{"tasks", std::move(out)}};
  }
};

}  // namespace

json::value Plan::spec() const {
  SpecWriter writer;
  json::object root = writer.dag(root_.tasks, "c");
  return json::object{
      {"pipelineInfo", {{"name", "random"}}},
      {"schemaVersion", "2.1.0"},
      {"deploymentSpec",
       {{"executors",
         {{"container", {{"container", {{"image", "busybox"}, {"command", {"true"}}}}}},
          {"importer",
           {{"importer",
             {{"artifactUri", {{"constant", "gs://b/c"}}}, {"typeSchema", {{"schemaTitle", "system.Dataset"}}}}}}}}}}},
      {"components", std::move(writer.components)},
      {"root", {{"dag", std::move(root)}}}};
}

namespace {

// Walks the plan in the order of dependences, as if nothing stopped a dag whose task has failed; what that would have
// stopped is not certain.
class Oracle {
 public:
  explicit Oracle(const Plan& plan) : plan_(plan) {}
  Expected expected;

  TaskState dag(const std::vector<PlannedTask>& tasks, const std::string& path, bool certain) {
    struct Found {
      TaskState state = TaskState::Succeeded;
      bool certain = true;
      int64_t output = 0;
    };
    const auto walk = [&](bool fails) {
      std::vector<Found> found;
      for (const PlannedTask& task : tasks) {
        Found now;
        std::vector<int> upstream = task.after;
        if (task.condition >= 0) upstream.push_back(task.condition);
        bool starts = true;
        // In a dag that fails, only what follows an exit task is sure to start; an exit task starts in any case.
        bool sure = !fails || task.always;
        for (const int up : upstream) {
          const Found& producer = found[static_cast<size_t>(up)];
          starts = starts && (task.always || producer.state == TaskState::Succeeded);
        }
        now.certain = certain && sure;
        const std::string child = path + "/" + task.name;
        if (starts && task.condition >= 0) starts = found[static_cast<size_t>(task.condition)].output == task.wanted;
        if (starts) {
          now.state = whole(task, child, now.certain, now.output);
        } else {
          now.state = TaskState::Skipped;
          expected.tasks[child] = {TaskState::Skipped, now.certain};
        }
        found.push_back(now);
      }
      return std::any_of(found.begin(), found.end(), [](const Found& f) { return f.state == TaskState::Failed; });
    };
    // The first time to know whether it fails; what it says of the tasks is said again.
    const bool fails = walk(false);
    if (fails) walk(true);
    return fails ? TaskState::Failed : TaskState::Succeeded;
  }

 private:
  using Kind = PlannedTask::Kind;

  // A task with its loop and its retries.
  TaskState whole(const PlannedTask& task, const std::string& path, bool certain, int64_t& output) {
    if (task.loop < 0 && task.kind != Kind::Dag) return leaf(task, path, certain, output);
    const bool retried = task.kind == Kind::Dag;  // of a loop over a container, each iteration is
    TaskState state = TaskState::Failed;
    for (int attempt = 0; attempt <= (retried ? task.retries : 0) && state == TaskState::Failed; ++attempt) {
      const std::string here = attempt > 0 ? fmt::format("{}@{}", path, attempt) : path;
      if (attempt > 0) note_delay(task, path, attempt);
      state = task.loop >= 0 ? loop(task, here, certain) : dag(task.tasks, here, certain);
    }
    if (task.loop >= 0 && task.parallel > 0) expected.parallel[path] = task.parallel;
    expected.tasks[path] = {state, certain};
    return state;
  }

  TaskState loop(const PlannedTask& task, const std::string& path, bool certain) {
    const auto walk = [&](bool sure) {
      bool failed = false;
      for (int i = 0; i < task.loop; ++i) {
        const std::string iteration = fmt::format("{}/{}", path, i);
        int64_t output = 0;
        TaskState state;
        if (task.kind == Kind::Dag) {
          state = dag(task.tasks, iteration, sure);
          expected.tasks[iteration] = {state, sure};
        } else {
          state = leaf(task, iteration, sure, output);
        }
        failed = failed || state == TaskState::Failed;
      }
      return failed;
    };
    // One that fails keeps others from starting.
    if (!walk(certain)) return TaskState::Succeeded;
    walk(false);
    return TaskState::Failed;
  }

  TaskState leaf(const PlannedTask& task, const std::string& path, bool certain, int64_t& output) {
    TaskState state = TaskState::Failed;
    for (int attempt = 0; attempt <= task.retries && state == TaskState::Failed; ++attempt) {
      const std::string key = fmt::format("{}#{}", path, attempt);
      const Answer answer = plan_.answer(path, attempt);
      output = answer.output;
      if (attempt > 0) note_delay(task, path, attempt);
      if (task.cache && attempt == 0) {
        expected.checks[key] = certain;
        if (answer.cached) {
          state = TaskState::Cached;
          break;
        }
      }
      (task.kind == Kind::Importer ? expected.imports : expected.launches)[key] = certain;
      if (answer.kind == Answer::Kind::Succeeds) state = TaskState::Succeeded;
      if (answer.kind == Answer::Kind::FailsForGood) break;
    }
    expected.tasks[path] = {state, certain};
    return state == TaskState::Cached ? TaskState::Succeeded : state;
  }

  void note_delay(const PlannedTask& task, const std::string& path, int attempt) {
    const double delay = static_cast<double>(task.backoff_ms) * std::pow(task.factor, attempt - 1);
    expected.delays[fmt::format("{}#{}", path, attempt)] = static_cast<int64_t>(std::min(delay, 3000.0));
  }

  const Plan& plan_;
};

}  // namespace

Expected expect(const Plan& plan) {
  Oracle oracle(plan);
  oracle.expected.run = oracle.dag(plan.tasks(), "root", true);
  return std::move(oracle.expected);
}

}  // namespace penstock::engine::testing
