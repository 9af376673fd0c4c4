#include <cstdlib>
#include <fstream>

#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/argo/workflow.h"
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
      pipeline = argo::read_either(test.spec, test.platform);
      FakeShell shell(test, pipeline);
      outcome = shell.play(FakeShell::Order::First, 0, false);
      const int64_t limit = get_int(test.run, "most_in_flight");
      if (limit > 0) CHECK(shell.most_in_flight() == static_cast<size_t>(limit));
    } catch (const Error& error) {
      outcome = "error: " + error.message() + "\n";
      pipeline = nullptr;
    }
    if (std::getenv("PENSTOCK_UPDATE_TESTS") != nullptr)
      write_expected(test, outcome);
    else
      CHECK(outcome == test.expected);
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

namespace {

// A loop over `count` items with one task in each iteration.
Case loop_case(int count) {
  std::string list = "[0";
  for (int i = 1; i < count; ++i) list += "," + std::to_string(i);
  Case test;
  test.spec = expand_spec(parse_yaml(R"(
leaves: {say: {in: {n: NUMBER_INTEGER}, out: {Output: NUMBER_INTEGER}}}
dags: {body: {in: {all: LIST, item: NUMBER_INTEGER}, out: {o: NUMBER_INTEGER}, tasks: {say: {in: {n: =.item}}}, give: {o: say.Output}}}
root:
  in: {all: LIST}
  out: {all: LIST}
  tasks: {for-loop-1: {use: body, in: {all: =.all}, parameterIterator: {itemInput: item, items: {inputParameter: all}}}}
  give: {all: for-loop-1.o}
)")[0]);
  test.run["parameters"] = json::object{{"all", parse_json(list + "]")}};
  return test;
}

struct Played {
  size_t launches = 0;
  size_t most_in_flight = 0;
  double seconds = 0;
  size_t collected = 0;
};

// Answers every launch at once, first come first served.
Played play_loop(int count) {
  const Case test = loop_case(count);
  RunInfo info;
  info.run_id = "run-1";
  info.pipeline_root = "s3://bucket";
  Engine engine(ir::from_json(test.spec), info, test.run.at("parameters").as_object());
  Played played;
  std::deque<Launch> work;
  const auto begin = std::chrono::steady_clock::now();
  auto take = [&](const std::vector<Command>& commands) {
    for (const auto& command : commands) {
      if (const auto* launch = std::get_if<Launch>(&command)) work.push_back(*launch);
    }
    played.most_in_flight = std::max(played.most_in_flight, work.size());
  };
  take(engine.step(Event::run_started({})));
  while (!work.empty()) {
    const Launch launch = std::move(work.front());
    work.pop_front();
    ++played.launches;
    take(engine.step(Event::task_started(launch.task, launch.attempt, {})));
    take(engine.step(Event::task_succeeded(launch.task, launch.attempt, {}, Outputs{{{"Output", 1}}, {}})));
  }
  played.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CHECK(engine.finished());
  played.collected = engine.outputs().parameters.at("all").as_array().size();
  return played;
}

size_t resident_kb() {
  std::ifstream in("/proc/self/statm");
  size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * 4;
}

}  // namespace

TEST_CASE("a long loop costs time by its length and memory by what is in flight") {
  const Played played = play_loop(10'000);
  CHECK(played.launches == 10'000);
  CHECK(played.most_in_flight == 200);
  CHECK(played.collected == 10'000);
  MESSAGE("10,000 iterations: " << played.seconds << " s");
  const size_t before = resident_kb();
  const Played longer = play_loop(100'000);
  CHECK(longer.launches == 100'000);
  MESSAGE("100,000 iterations: " << longer.seconds << " s, " << (resident_kb() - before) << " kB more");
  // Not quadratic: ten times the items in well under a hundred times the time.
  CHECK(longer.seconds < 30 * played.seconds + 1);
}

TEST_CASE("a step stays short, however many tasks come and go") {
  const auto play = [](std::string_view yaml, const json::object& parameters) {
    RunInfo info;
    info.run_id = "run-1";
    Engine engine(ir::from_json(expand_spec(parse_yaml(yaml)[0])), info, parameters);
    Event event = Event::run_started({});
    size_t steps = 0, most = 0;
    std::optional<RunFinished> end;
    while (!end) {
      const auto commands = engine.step(event);
      ++steps;
      most = std::max(most, commands.size());
      bool more = false;
      for (const auto& command : commands) {
        if (const auto* finished = std::get_if<RunFinished>(&command)) end = *finished;
        if (const auto* timer = std::get_if<SetTimer>(&command)) {
          CHECK(timer->task == 0);
          event = Event::timer_fired(0, 0, {});
          more = true;
        }
      }
      REQUIRE((more || end));
    }
    CHECK(most < 20'000);
    return std::pair(end->state, end->error.message);
  };
  // Two loops, one in the other, over a list that comes with the run: a million millions of tasks.
  json::array many(900'000, json::value(0));
  const auto [state, message] = play(R"(
dags:
  inner: {in: {all: LIST, item: NUMBER_INTEGER}, tasks: {}}
  outer: {in: {all: LIST, item: NUMBER_INTEGER}, tasks: {for-loop-2: {use: inner, in: {all: =.all}, parameterIterator: {itemInput: item, items: {inputParameter: all}}}}}
root: {in: {all: LIST}, tasks: {for-loop-1: {use: outer, in: {all: =.all}, parameterIterator: {itemInput: item, items: {inputParameter: all}}}}}
)",
                                     {{"all", std::move(many)}});
  CHECK(state == TaskState::Failed);
  CHECK(message.find("more than 1000000 tasks") != std::string::npos);
  // A long loop whose tasks are all skipped.
  json::array items;
  for (int i = 0; i < 50'000; ++i) items.emplace_back(i);
  CHECK(play(R"(
leaves: {t: {in: {n: NUMBER_INTEGER}}}
dags: {body: {in: {all: LIST, item: NUMBER_INTEGER}, tasks: {t: {in: {n: =.item}, if: "inputs.parameter_values['n'] < 0"}}}}
root: {in: {all: LIST}, tasks: {for-loop-1: {use: body, in: {all: =.all}, parameterIterator: {itemInput: item, items: {inputParameter: all}}}}}
)",
             {{"all", items}})
            .first == TaskState::Succeeded);
}

TEST_CASE("events and records keep their meaning as JSON") {
  const Time time = from_micros(1'700'000'000'123'456);
  const Outputs outputs{{{"x", json::array{1, "ü\n"}}}, {{"m", json::array{json::object{{"uri", "s3://b/m"}}}}}};
  for (const Event& event :
       {Event::run_started(time), Event::task_started(3, 1, time), Event::task_succeeded(3, 0, time, outputs),
        Event::task_failed(1, 2, time, 137, "OOM\nkilled", false), Event::task_canceled(9, 0, time),
        Event::import_finished(1, 0, time, outputs), Event::import_failed(1, 0, time, 5, "gone"),
        Event::cache_hit(2, 0, time, outputs, "abc"), Event::cache_miss(2, 0, time), Event::timer_fired(4, 3, time),
        Event::cancel_requested(time)}) {
    CHECK(event_from_json(parse_json(to_text(to_json(event)))) == event);
  }
  CHECK_THROWS_AS(event_from_json(json::object{{"e", "Nonsense"}}), Error);
  CHECK_THROWS_AS(event_from_json(3), Error);
}

TEST_CASE("what a task is launched with") {
  Case test;
  test.spec = expand_spec(parse_yaml(R"(
leaves:
  train:
    in: {cpu: STRING, x: {parameterType: NUMBER_INTEGER, defaultValue: 3.0}}
    out: {Output: STRING}
    out_art: {model: system.Model}
    container:
      image: img
      command: [sh, -c, "echo {{$.inputs.parameters['x']}}"]
      env: [{name: A, value: "{{$.inputs.parameters['x']}}"}]
      resources: {cpuRequest: 0.25, memoryLimit: 1.5, resourceCpuLimit: "{{$.inputs.parameters['cpu']}}", accelerator: {type: NVIDIA_TESLA_T4, count: "2"}}
root: {in: {claim: STRING}, tasks: {train: {in: {cpu: "2"}, cache: true}}}
)")[0]);
  test.platform = parse_yaml(R"(
platforms: {kubernetes: {deploymentSpec: {executors: {exec-train: {
  secretAsEnv: [{secretName: old, secretNameParameter: {runtimeValue: {constant: creds}}, keyToEnv: [{secretKey: k, envVar: K}]}],
  pvcMount: [{componentInputParameter: claim, mountPath: /d, pvcNameParameter: {componentInputParameter: claim}}],
  tolerations: [{tolerationJson: {runtimeValue: {constant: {key: gpu}}}}]}}}}}
)")[0];
  test.run["parameters"] = json::object{{"claim", "my-claim"}};
  FakeShell shell(test, ir::from_json(test.spec, test.platform));
  shell.play(FakeShell::Order::First, 0, false);
  REQUIRE(shell.launched().size() == 1);
  const LaunchSpec& spec = *shell.launched()[0];
  CHECK(to_text(spec.resources) ==
        R"({"requests":{"cpu":"250m"},"limits":{"cpu":"2","memory":"1500000000","nvidia.com/gpu":"2"}})");
  CHECK(spec.platform.at("secretAsEnv").as_array()[0].at("secretName") == "creds");
  CHECK(spec.platform.at("pvcMount").as_array()[0] == json::value{{"pvcName", "my-claim"}, {"mountPath", "/d"}});
  CHECK(spec.platform.at("tolerations").as_array()[0].at("tolerationJson") == json::value{{"key", "gpu"}});
  const ResolvedTask task = resolve(spec, PathMap{});
  CHECK(task.command[2] == "echo 3");
  CHECK(task.env[0].second == "3");
  CHECK(spec.output_prefix.starts_with("s3://bucket/root/test/run-1/train/"));
  CHECK(string_at(task.executor_input.at("outputs"), {"artifacts", "model"}).empty());
  CHECK(spec.fingerprint.size() == 64);
  CHECK(spec.task_id == uuid_from("run-1/root/train"));
}

// PENSTOCK_CORPUS: a folder of compiled pipelines; those under a folder "invalid" must be refused.
TEST_CASE("the corpus is read and played") {
  const char* folder = std::getenv("PENSTOCK_CORPUS");
  if (folder == nullptr) return;
  int played = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const auto extension = entry.path().extension();
    if (extension != ".yaml" && extension != ".json") continue;
    CAPTURE(entry.path().string());
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (entry.path().string().find("/invalid/") != std::string::npos) {
      CHECK_THROWS_AS(ir::read_pipeline(text), Error);
      continue;
    }
    std::shared_ptr<const ir::Pipeline> pipeline;
    try {
      pipeline = ir::read_pipeline(text);
    } catch (const Error& error) {
      FAIL_CHECK(error.message());
      continue;
    }
    Case test;
    json::object parameters;
    for (const auto& def : pipeline->root->input_parameters) {
      if (def.optional) continue;
      if (def.type == ir::ParameterType::String) parameters[def.name] = "text";
      if (def.type == ir::ParameterType::Integer || def.type == ir::ParameterType::Double) parameters[def.name] = 4;
      if (def.type == ir::ParameterType::Boolean) parameters[def.name] = true;
      if (def.type == ir::ParameterType::List) parameters[def.name] = json::array{};
      if (def.type == ir::ParameterType::Struct) parameters[def.name] = json::object{{"A_a", "1"}, {"B_b", "2"}};
    }
    test.run["parameters"] = parameters;
    for (const std::string_view path : {"root/generate-random-number", "root/condition-1/generate-random-number",
                                        "root/condition-4/generate-random-number-2"}) {
      test.results[path] = json::object{{"output", 7}};
    }
    test.results["root/args-generator-op"] = json::object{{"Output", parse_json(R"([{"A_a": "1", "B_b": "2"}])")}};
    const std::string table = FakeShell(test, pipeline).play(FakeShell::Order::First, 0, false);
    CHECK_MESSAGE(table.starts_with("run SUCCEEDED"), table);
    CHECK(FakeShell(test, pipeline).play(FakeShell::Order::First, 0, true) == table);
    CHECK(FakeShell(test, pipeline).play(FakeShell::Order::Random, 7, false) == table);
    ++played;
  }
  MESSAGE("played " << played << " pipelines");
  CHECK(played > 0);
}

}  // namespace penstock::engine::testing
