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
  Retention retention(loop, context, clock, {std::chrono::hours(24), std::chrono::hours(48), 2});
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
