// Prints what lineage takes among many artifacts: pipelines_tests -tc="lineage of many" -ns
// PENSTOCK_BENCH_ARTIFACTS says how many; 1,000,000 if it does not.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "pipelines/api/fixture.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPerRun = 10;       // artifacts a run
constexpr int kRunsABatch = 500;  // one transaction

// Runs of one pipeline: an importer takes a data set that few places hold, or the model of an earlier run; the data are
// prepared, in one run of four from the cache; a model is trained, measured and reported of.
struct LineageBench : ApiFixture {
  std::mt19937_64 random{7};
  std::vector<int64_t> models;
  std::vector<int64_t> prepared;
  int64_t artifacts = 0;

  static std::string run_id(int run) { return fmt::format("00000000-0000-4000-8000-{:012}", run); }
  static std::string task_id(int run, int task) { return fmt::format("{:08}-0000-5000-8000-{:012}", task, run); }

  int64_t make(db::Connection& c, int run, int task, std::string name, std::string type, std::string uri = {}) {
    metadata::Artifact artifact;
    artifact.artifact_id = metadata.next_artifact_id();
    artifact.name = std::move(name);
    artifact.type = std::move(type);
    artifact.type_version = "0.0.1";
    artifact.uri = uri.empty() ? fmt::format("minio://mlpipeline/v2/artifacts/train/{}/{}/{}", run_id(run),
                                             task_id(run, task), artifact.name)
                               : std::move(uri);
    artifact.created_at = clock.now() + std::chrono::seconds(run);
    artifact.run_id = run_id(run);
    artifact.task_id = task_id(run, task);
    artifact.producer_key = artifact.name;
    artifact.metadata = {{"rows", run * 7919 % 100'000}, {"digest", new_uuid()}};
    metadata::put_artifact(c, artifact);
    ++artifacts;
    link(c, run, task, artifact.artifact_id, artifact.name, metadata::Direction::Output);
    return artifact.artifact_id;
  }

  void link(db::Connection& c, int run, int task, int64_t id, std::string key, metadata::Direction direction) {
    metadata::Link one;
    one.artifact_id = id;
    one.run_id = run_id(run);
    one.task_id = task_id(run, task);
    one.direction = direction;
    one.key = std::move(key);
    metadata::put_link(c, one);
  }

  void add_run(db::Connection& c, int run) {
    using metadata::Direction;
    static const char* kTasks[] = {"import", "prepare", "train", "evaluate", "report"};
    std::vector<TaskRecord> tasks;
    for (int i = 0; i < 5; ++i) {
      TaskRecord task;
      task.run_id = run_id(run);
      task.task_id = task_id(run, i);
      task.position = i;
      task.name = kTasks[i];
      task.type = i == 0 ? "IMPORTER" : "RUNTIME";
      task.state = "SUCCEEDED";
      task.scope_path = fmt::format("root/{}", task.name);
      task.create_time = task.start_time = task.end_time = clock.now() + std::chrono::seconds(run);
      tasks.push_back(std::move(task));
    }
    store::write_tasks(c, tasks);
    c.execute(
        "INSERT INTO runs (run_id, experiment_id, namespace, display_name, description, storage_state, state, "
        "created_at, scheduled_at, finished_at, recurring_run_id) VALUES (?, 'e', '', ?, '', 'AVAILABLE', 'SUCCEEDED', "
        "?, 0, 0, '')",
        run_id(run), fmt::format("training {}", run), to_micros(clock.now() + std::chrono::seconds(run)));
    c.execute(
        "INSERT INTO run_bodies (seq, pipeline_id, pipeline_version_id, spec_hash, pipeline_name, parameters, "
        "pipeline_root, service_account, error_code, error_message, state_history) VALUES (?, '', '', 'h', 'train', "
        "'{}', '', '', 0, '', '')",
        c.last_insert_id());
    const int64_t source =
        make(c, run, 0, "source", "system.Dataset", fmt::format("minio://data/day-{}.csv", random() % 5'000));
    link(c, run, 1, source, "source", Direction::Input);
    if (!models.empty()) link(c, run, 1, models[random() % models.size()], "base", Direction::Input);
    const bool cached = run % 4 == 3 && !prepared.empty();
    const int64_t data = cached ? prepared[random() % prepared.size()] : make(c, run, 1, "data", "system.Dataset");
    if (cached) {
      link(c, run, 1, data, "data", Direction::Output);
    } else {
      prepared.push_back(data);
    }
    link(c, run, 2, data, "data", Direction::Input);
    const int64_t model = make(c, run, 2, "model", "system.Model");
    for (int shard = 0; shard < kPerRun - 5; ++shard) {
      make(c, run, 2, fmt::format("checkpoint-{}", shard), "system.Artifact");
    }
    link(c, run, 3, model, "model", Direction::Input);
    link(c, run, 3, data, "data", Direction::Input);
    const int64_t metrics = make(c, run, 3, "metrics", "system.Metrics");
    link(c, run, 4, metrics, "metrics", Direction::Input);
    make(c, run, 4, "page", "system.HTML");
    models.push_back(model);
  }

  struct Times {
    double half = 0, most = 0;  // p50 and p99 in ms
  };
  template <class Work>
  Times measure(int count, Work work) {
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
      const auto start = Clock::now();
      work(i);
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::ranges::sort(times);
    return {times[times.size() / 2], times[times.size() * 99 / 100]};
  }
};

}  // namespace

TEST_CASE_FIXTURE(LineageBench, "lineage of many artifacts" * doctest::skip()) {
  const char* wanted = std::getenv("PENSTOCK_BENCH_ARTIFACTS");
  const int64_t count = wanted != nullptr ? std::atoll(wanted) : 1'000'000;
  auto start = Clock::now();
  for (int run = 0; artifacts < count;) {
    database.write_now([&](db::Connection& c) {
      for (int i = 0; i < kRunsABatch && artifacts < count; ++i) add_run(c, run++);
    });
  }
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  const int made = static_cast<int>(models.size());
  std::printf("%lld artifacts of %d runs loaded in %.1f s\n", static_cast<long long>(artifacts), made, took);

  constexpr int kTimes = 400;
  const auto key_read = [&](int) { wait(metadata.get(static_cast<int64_t>(random() % artifacts) + 1)); };
  measure(kTimes, key_read);
  const Times key = measure(kTimes, key_read);
  std::printf("%-46s p50 %7.3f ms  p99 %7.3f ms\n", "one artifact by its key", key.half, key.most);

  const auto model = [&] { return models[random() % models.size()]; };
  const std::pair<const char*, std::function<std::string()>> queries[] = {
      {"both ways from a model, 500 nodes", [&] { return fmt::format("artifact={}", model()); }},
      {"upstream from a model, 500 nodes", [&] { return fmt::format("artifact={}&direction=upstream", model()); }},
      {"downstream from a model, 500 nodes", [&] { return fmt::format("artifact={}&direction=downstream", model()); }},
      {"one step from a model", [&] { return fmt::format("artifact={}&depth=1", model()); }},
      {"a whole run, two steps",
       [&] { return fmt::format("run={}&depth=2", run_id(static_cast<int>(random() % made))); }},
      {"a task, 500 nodes", [&] { return fmt::format("task={}", task_id(static_cast<int>(random() % made), 2)); }},
      {"the data set that most use, 500 nodes", [&] { return fmt::format("artifact={}", prepared[0]); }},
  };
  for (const auto& [name, query] : queries) {
    int64_t nodes = 0, text = 0;
    const auto ask = [&](int) {
      const Reply reply = wait(handle(http::Method::Get, "/apis/penstock/v1/lineage?" + query(), "", ""));
      REQUIRE(reply.status == 200);
      nodes += static_cast<int64_t>(reply.array("nodes").size());
      text += static_cast<int64_t>(reply.text.size());
    };
    const Times times = measure(kTimes, ask);
    std::printf("%-46s p50 %7.3f ms  p99 %7.3f ms  %6.0fx a key's read, %4lld nodes, %4lld kB [want p99 <= 20 ms]\n",
                name, times.half, times.most, times.half / key.half, static_cast<long long>(nodes / kTimes),
                static_cast<long long>(text / kTimes / 1'000));
    std::fflush(stdout);
  }
}
