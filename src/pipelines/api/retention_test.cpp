// Deleting runs with what belongs to them, and doing so when they are old.
#include "pipelines/api/fixture.h"
#include "pipelines/api/retention.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

struct RetentionFixture : ApiFixture {
  ApiContext context{store, metadata, objects, specs, runs, blocking};

  void end(const std::string& run) { wait(store.set_run_state(run, RunState::Succeeded, {}, clock.now())); }

  // An artifact that the run made, with an object; gives its id.
  int64_t artifact(const std::string& run, const std::string& key) {
    objects.put("mlpipeline", key, "content");
    metadata::Artifact row;
    row.name = key;
    row.type = "system.Dataset";
    row.uri = "minio://mlpipeline/" + key;
    row.run_id = run;
    row.created_at = clock.now();
    return wait(put(std::move(row)));
  }
  Async<int64_t> put(metadata::Artifact row) {
    co_return co_await database.write([&](db::Connection& c) { return metadata::put_artifact(c, row); });
  }
  void take(const std::string& run, int64_t id) {
    metadata::Link link;
    link.artifact_id = id;
    link.run_id = run;
    link.task_id = "t";
    link.direction = metadata::Direction::Input;
    link.key = "data";
    wait(put_link_of(link));
  }
  Async<> put_link_of(metadata::Link link) {
    co_await database.write([&](db::Connection& c) { metadata::put_link(c, link); });
  }
  bool there(const std::string& key) { return objects.find("mlpipeline", key).has_value(); }
  std::string state(const std::string& run) {
    const Reply reply = get("/runs/" + run);
    return reply.status == 200 ? reply.string("storage_state") : std::to_string(reply.status);
  }
};

}  // namespace

TEST_CASE_FIXTURE(RetentionFixture, "a run is deleted with the artifacts that nobody else has to do with") {
  const auto run = make_run(), other = make_run();
  artifact(run, "p/own");
  artifact(run, "p/model/part-1");
  artifact(run, "p/model-2");
  const auto shared = artifact(run, "p/shared");
  take(other, shared);
  artifact(run, "p/twice");
  artifact(other, "p/twice");
  CHECK(remove("/runs/" + run + "?delete_artifacts=perhaps").status == 400);
  CHECK(remove("/runs/" + run + "?delete_artifacts=true").status == 200);
  CHECK(get("/runs/" + run).status == 404);
  CHECK_FALSE(there("p/own"));
  CHECK_FALSE(there("p/model/part-1"));
  CHECK_FALSE(there("p/model-2"));
  CHECK(there("p/shared"));
  CHECK(there("p/twice"));
  CHECK(get("/artifacts").array("artifacts").size() == 3);
}

TEST_CASE_FIXTURE(RetentionFixture, "without a word for it artifacts stay") {
  const auto run = make_run();
  artifact(run, "p/own");
  CHECK(remove("/runs/" + run).status == 200);
  CHECK(there("p/own"));
  CHECK(get("/artifacts").array("artifacts").size() == 1);
}

TEST_CASE_FIXTURE(RetentionFixture, "old runs are archived, and archived ones deleted") {
  Retention retention(loop, context, clock, {std::chrono::hours(24), std::chrono::hours(48)});
  std::vector<std::string> old;
  for (int i = 0; i < 5; ++i) {
    old.push_back(make_run());
    end(old.back());
  }
  const auto running = make_run();
  artifact(old[0], "p/old");
  wait(retention.tick());
  CHECK(state(old[0]) == "AVAILABLE");
  clock.advance(std::chrono::hours(25));
  const auto young = make_run();
  end(young);
  wait(retention.tick());
  for (const auto& run : old) CHECK(state(run) == "ARCHIVED");
  CHECK(state(young) == "AVAILABLE");
  CHECK(state(running) == "AVAILABLE");
  CHECK(there("p/old"));
  clock.advance(std::chrono::hours(24));
  wait(retention.tick());
  for (const auto& run : old) CHECK(state(run) == "404");
  CHECK_FALSE(there("p/old"));
  CHECK(state(young) == "ARCHIVED");
  clock.advance(std::chrono::hours(24 * 365));
  wait(retention.tick());
  CHECK(state(young) == "404");
  CHECK(state(running) == "AVAILABLE");
}

TEST_CASE_FIXTURE(RetentionFixture, "rules choose by age, number and space, and a dry run says so beforehand") {
  Retention retention(loop, context, clock, {});
  std::vector<std::string> ended;
  for (int i = 0; i < 4; ++i) {
    ended.push_back(make_run());
    artifact(ended.back(), "p/" + std::to_string(i));
    end(ended.back());
    clock.advance(std::chrono::hours(1));
  }
  make_run();  // is not over
  const auto goes = [&](RetentionRule rule) {
    rule.name = "r";
    std::vector<std::string> ids;
    const json::object planned = wait(retention.dry_run(std::vector{rule}));
    for (const auto& run : planned.at("runs").as_array()) ids.push_back(string_at(run, {"run_id"}));
    return ids;
  };
  using Ids = std::vector<std::string>;
  RetentionRule rule;
  rule.older_than = "3h";
  CHECK(goes(rule) == Ids{ended[1], ended[0]});
  rule.keep_last = 3;
  CHECK(goes(rule) == Ids{ended[0]});
  rule.older_than.clear();
  CHECK(goes(rule) == Ids{ended[0]});
  rule.keep_last = 0;
  rule.max_bytes = 20;  // each of them has 7
  CHECK(goes(rule) == Ids{ended[0], ended[1]});
  rule.max_bytes = 28;
  CHECK(goes(rule) == Ids{});
  take(make_run(), 1);
  rule.max_bytes = 20;
  CHECK(goes(rule) == Ids{ended[1], ended[2]});  // the oldest would free nothing
}

TEST_CASE_FIXTURE(RetentionFixture, "what a crash left half deleted goes later, unless somebody refers to it again") {
  Retention retention(loop, context, clock, {});
  objects.put("mlpipeline", "left/a", "content");
  artifact(make_run(), "left/b/inside");
  database.write_now([](db::Connection& c) {
    store::Leftover leftover;
    leftover.uri = "minio://mlpipeline/left/a";
    store::add_leftover(c, leftover);
    leftover.uri = "minio://mlpipeline/left/b/inside";
    store::add_leftover(c, leftover);
    leftover.uri.clear();
    leftover.pods = {"one", "two"};
    store::add_leftover(c, leftover);
  });
  wait(retention.tick());
  CHECK_FALSE(there("left/a"));
  CHECK(there("left/b/inside"));
  CHECK(runs.calls.back() == "drop_logs 2");
  database.read_now([](db::Connection& c) { CHECK(store::leftovers(c, 0, 10).empty()); });
}

TEST_CASE_FIXTURE(RetentionFixture, "what an importer named stays where it was") {
  const auto run = make_run();
  objects.put("mlpipeline", "mine/data", "content");
  TaskRecord importer;
  importer.run_id = run;
  importer.task_id = "import";
  importer.type = "IMPORTER";
  wait(store.upsert_tasks({importer}));
  metadata::Artifact row;
  row.uri = "minio://mlpipeline/mine/data";
  row.run_id = run;
  row.task_id = "import";
  wait(put(row));
  CHECK(remove("/runs/" + run + "?delete_artifacts=true").status == 200);
  CHECK(there("mine/data"));
  CHECK(get("/artifacts").array("artifacts").empty());
}
