// Prints what creating and listing many runs takes: pipelines_tests -tc="speed with*" -ns
// PENSTOCK_BENCH_RUNS says how many; 100,000 if it does not.
#include <cstdio>
#include <cstdlib>

#include "pipelines/api/fixture.h"
#include "pipelines/store/models.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

using Clock = std::chrono::steady_clock;

double millis_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct BenchFixture : ApiFixture {
  // Creates `count` runs, `width` at a time; gives runs a second.
  double create(int count, int width, const std::function<Async<>(int)>& one) {
    const auto start = Clock::now();
    std::atomic<int> next{0};
    std::vector<std::future<void>> workers;
    for (int w = 0; w < width; ++w) {
      auto work = [](std::atomic<int>& at, int end, const std::function<Async<>(int)>& make) -> Async<> {
        for (int i = at++; i < end; i = at++) co_await make(i);
      };
      workers.push_back(asio::co_spawn(loop.executor(), work(next, count, one), asio::use_future));
    }
    for (auto& worker : workers) worker.get();
    return count / millis_since(start) * 1000;
  }

  Async<> store_run(int i) {
    static const char* kStates[] = {"SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "FAILED", "RUNNING"};
    Run run;
    run.display_name = fmt::format("nightly training {} of model {}", i, (i * 7919) % 1000);
    run.description = i % 3 ? "" : fmt::format("on data of day {}", i % 365);
    run.spec_hash = "h";
    run.state = run_state_from(kStates[i % 5]);
    run.created_at = clock.now() + std::chrono::seconds(i);
    run.finished_at = i % 5 == 4 ? Time{} : run.created_at + std::chrono::minutes((i * 31) % 977);
    co_await store.create_run(std::move(run), i ? "" : "{}");
  }

  // Median and worst of several pages, with a change of the table before each when `cold`.
  void measure(const std::string& sort, const std::string& filter, bool cold) {
    std::vector<double> times;
    int64_t total = 0;
    db::ListRequest request{.page_size = 20, .sort_by = sort, .filter = filter};
    for (int i = 0; i < 5; ++i) {
      if (cold) {
        database.write_now([](db::Connection& c) { c.execute("UPDATE runs SET state = state WHERE seq = 100"); });
      }
      const auto start = Clock::now();
      const Page<Run> page = wait(store.list_runs("", request));
      times.push_back(millis_since(start));
      total = page.total_size;
      request.page_token = page.next_page_token;
    }
    std::ranges::sort(times);
    std::printf("%8.2f %8.2f ms  %7lld rows  sort %-20s %s %s\n", times[2], times[4], static_cast<long long>(total),
                sort.c_str(), cold ? "cold" : "warm", filter.c_str());
  }
};

std::string filter_of(std::initializer_list<std::array<const char*, 3>> predicates) {
  json::array out;
  for (const auto& [operation, key, value] : predicates) {
    out.push_back(json::object{{"operation", operation}, {"key", key}, {"string_value", value}});
  }
  return to_text(json::object{{"predicates", std::move(out)}});
}

}  // namespace

TEST_CASE_FIXTURE(BenchFixture, "speed with many runs" * doctest::skip()) {
  const std::string body = to_text(json::object{{"display_name", "bench"},
                                                {"pipeline_spec", parse_json(hello_spec())},
                                                {"runtime_config", {{"parameters", {{"count", 1}}}}}});
  const double api = create(10'000, 64, [&](int) -> Async<> {
    const Reply reply = co_await handle(http::Method::Post, "/apis/v2beta1/runs", body, "");
    if (reply.status != 200) throw internal("{}", reply.text);
  });
  std::printf("runs a second through the API, each synced: %.0f\n", api);
  const char* wanted = std::getenv("PENSTOCK_BENCH_RUNS");
  const int more = (wanted != nullptr ? std::atoi(wanted) : 100'000) - 10'000;
  const double stored = create(more, 256, [&](int i) { return store_run(i); });
  std::printf("runs a second through the store: %.0f\n", stored);

  database.write_now([](db::Connection& c) {
    c.execute(
        "INSERT INTO run_metrics (run_seq, name, node_id, value, format, newest) SELECT seq, 'accuracy', 'n', "
        "(seq * 7919 % 1000) / 1000.0, 1, 1 FROM runs WHERE seq % 3 > 0");
  });

  const db::ListRequest substring{.filter = filter_of({{"IS_SUBSTRING", "name", "first"}})};
  auto start = Clock::now();
  Store restarted(database, clock);
  wait(restarted.list_runs("", substring));
  std::printf("the first list of a server that has just started: %.1f ms\n", millis_since(start));
  start = Clock::now();
  db::Columns columns(store::run_model());
  database.read_now([&](db::Connection& c) { columns.catch_up(c); });
  std::printf("the columns of all runs are read in %.1f ms\n", millis_since(start));
  const std::string filters[] = {
      "",
      filter_of({{"NOT_EQUALS", "storage_state", "ARCHIVED"}}),
      filter_of({{"EQUALS", "state", "SUCCEEDED"}}),
      filter_of({{"EQUALS", "state", "SKIPPED"}}),
      filter_of({{"NOT_EQUALS", "state", "SUCCEEDED"}}),
      filter_of({{"EQUALS", "name", "nightly training 77777 of model 63"}}),
      filter_of({{"IS_SUBSTRING", "name", "training"}}),
      filter_of({{"IS_SUBSTRING", "name", "77777"}}),
      filter_of({{"IS_SUBSTRING", "name", "zzz"}}),
      filter_of({{"IS_SUBSTRING", "description", "day 364"}}),
      filter_of({{"IS_SUBSTRING", "name", "model 7"}, {"EQUALS", "state", "FAILED"}}),
      filter_of({{"EQUALS", "experiment_id", "none"}, {"NOT_EQUALS", "storage_state", "ARCHIVED"}}),
      filter_of({{"GREATER_THAN", "created_at", "2026-03-02T10:00:00Z"}, {"NOT_EQUALS", "storage_state", "ARCHIVED"}}),
  };
  for (const std::string& filter : filters) {
    for (const char* sort : {"created_at desc", "name", "finished_at desc", "state", "description desc", "run_id",
                             "metric:accuracy desc", "metric:accuracy", "metric:none"}) {
      measure(sort, filter, true);
    }
    measure("created_at desc", filter, false);
  }
}
