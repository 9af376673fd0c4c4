// Recurring runs through the API, with a clock that the test moves.
#include "pipelines/api/fixture.h"
#include "pipelines/api/recurring_scheduler.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

struct RecurringFixture : ApiFixture {
  ApiContext context{store, metadata, objects, specs, runs, blocking};
  RecurringScheduler scheduler{loop, context, clock};

  json::object message(json::object trigger) {
    return {{"display_name", "nightly"},
            {"pipeline_spec", parse_json(hello_spec())},
            {"runtime_config", {{"parameters", {{"count", 1}, {"text", "[[ScheduledTime.15:04]] [[Index]]"}}}}},
            {"trigger", std::move(trigger)}};
  }
  std::string make(json::object body) {
    const Reply reply = post("/recurringruns", body);
    REQUIRE_MESSAGE(reply.status == 200, reply.text);
    return reply.string("recurring_run_id");
  }
  std::optional<Time> tick() { return wait(scheduler.tick()); }
  // The "text" parameters of all runs, oldest first.
  std::vector<std::string> texts() {
    std::vector<std::string> out;
    const Reply reply = get("/runs?page_size=200&sort_by=created_at");
    for (const auto& run : reply.array("runs")) {
      out.push_back(string_at(run, {"runtime_config", "parameters", "text"}));
    }
    return out;
  }
  void end_all() {
    const Reply reply = get("/runs?page_size=10&sort_by=created_at%20desc");
    for (const auto& run : reply.array("runs")) {
      wait(store.set_run_state(string_at(run, {"run_id"}), RunState::Succeeded, {}, clock.now()));
    }
  }
};

json::object cron(std::string_view text) { return {{"cron_schedule", {{"cron", text}}}}; }

}  // namespace

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: the server's time zone holds where none is named") {
  RecurringScheduler seoul(loop, context, clock, "Asia/Seoul");
  CHECK_THROWS_AS(RecurringScheduler(loop, context, clock, "Mars/Olympus"), Error);
  make(message(cron("0 0 9 * * *")));
  make(message(cron("TZ=Europe/Paris 0 30 9 * * *")));
  // Nine o'clock in Seoul is midnight of UTC, half past nine in Paris half past eight.
  CHECK(wait(seoul.tick()) == parse_time("2026-03-02T00:00:00Z"));
  clock.advance(std::chrono::hours(15));
  CHECK(wait(seoul.tick()) == parse_time("2026-03-02T08:30:00Z"));
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: made, read, listed, disabled, enabled, deleted") {
  json::object body = message(cron("0 0 * * * *"));
  body["max_concurrency"] = "3";
  body["no_catchup"] = true;
  body["mode"] = "ENABLE";
  const std::string id = make(body);
  Reply reply = get("/recurringruns/" + id);
  CHECK(reply.string("status") == "ENABLED");
  CHECK(reply.string("mode") == "ENABLE");
  CHECK(reply.string("max_concurrency") == "3");
  CHECK(string_at(reply.body, {"trigger", "cron_schedule", "cron"}) == "0 0 * * * *");
  CHECK(string_at(reply.body, {"pipeline_spec", "pipelineInfo", "name"}) == "hello");
  CHECK(reply.string("experiment_id") == store.default_experiment_id());
  CHECK(get("/recurringruns").array("recurringRuns").size() == 1);
  CHECK(get("/recurringruns?experiment_id=none").text == "{}");
  CHECK(post(fmt::format("/recurringruns/{}:disable", id)).text == "{}");
  CHECK(get("/recurringruns/" + id).string("status") == "DISABLED");
  CHECK_FALSE(tick());
  CHECK(post(fmt::format("/recurringruns/{}:enable", id)).text == "{}");
  CHECK(tick() == parse_time("2026-03-01T11:00:00Z"));
  CHECK(remove("/recurringruns/" + id).text == "{}");
  CHECK(get("/recurringruns/" + id).status == 404);
  CHECK(remove("/recurringruns/" + id).status == 404);
  CHECK(post(fmt::format("/recurringruns/{}:enable", id)).status == 404);
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: a year of days in a moment, with macros and no more at a time") {
  make(message(cron("0 30 2 * * *")));
  int count = 0;
  for (auto next = tick(); next && *next < *parse_time("2027-03-02T00:00:00Z"); next = tick()) {
    clock.advance(*next - clock.now());
    CHECK(tick() == *next + std::chrono::hours(24));
    end_all();
    if (++count == 365) break;
  }
  CHECK(count == 365);
  CHECK(get("/runs").body.at("total_size") == 365);
  CHECK(texts()[0] == "02:30 1");
  CHECK(texts()[199] == "02:30 200");
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: what was missed is made up for one by one, or its last only") {
  bool catch_up = false;
  SUBCASE("one by one") { catch_up = true; }
  SUBCASE("the last only") { catch_up = false; }
  json::object body = message(cron("0 0 * * * *"));
  body["no_catchup"] = !catch_up;
  body["max_concurrency"] = 2;
  make(body);
  clock.advance(std::chrono::hours(3) + std::chrono::minutes(30));
  tick();
  if (!catch_up) {
    CHECK(texts() == std::vector<std::string>{"13:00 1"});
    return;
  }
  // Two at a time; the third waits until one ends, and is not left out.
  CHECK(texts() == std::vector<std::string>{"11:00 1", "12:00 2"});
  tick();
  CHECK(texts().size() == 2);
  end_all();
  CHECK(tick() == parse_time("2026-03-01T14:00:00Z"));
  CHECK(texts() == std::vector<std::string>{"11:00 1", "12:00 2", "13:00 3"});
}

TEST_CASE_FIXTURE(RecurringFixture,
                  "recurring runs: each takes the pipeline's latest version, and says what went wrong") {
  const Reply pipeline = upload("/pipelines/upload?name=p", "p.yaml", hello_spec("first"));
  REQUIRE(pipeline.status == 200);
  const std::string pipeline_id = pipeline.string("pipeline_id");
  json::object body = message({{"periodic_schedule", {{"interval_second", "60"}}}});
  body.erase("pipeline_spec");
  body["pipeline_version_reference"] = {{"pipeline_id", pipeline_id}};
  body["max_concurrency"] = 10;
  const std::string id = make(body);
  clock.advance(std::chrono::seconds(61));
  tick();
  REQUIRE(
      upload("/pipelines/upload_version?name=v2&pipelineid=" + pipeline_id, "p.yaml", hello_spec("second")).status ==
      200);
  clock.advance(std::chrono::seconds(60));
  tick();
  const Reply made = get("/runs?sort_by=created_at");
  REQUIRE(made.array("runs").size() == 2);
  const auto version = [&](size_t i) {
    return string_at(made.array("runs")[i], {"pipeline_version_reference", "pipeline_version_id"});
  };
  CHECK(version(0) != version(1));
  CHECK(string_at(made.array("runs")[0], {"recurring_run_id"}) == id);
  CHECK(string_at(made.array("runs")[1], {"display_name"}) == "nightly-2");
  REQUIRE(remove(fmt::format("/pipelines/{}?cascade=true", pipeline_id)).status == 200);
  clock.advance(std::chrono::seconds(60));
  tick();
  CHECK(get("/runs").array("runs").size() == 2);
  CHECK(get("/recurringruns/" + id).body.at("error").at("code") == 5);
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: a run that was made before a crash is not made again") {
  const std::string id = make(message(cron("0 0 * * * *")));
  clock.advance(std::chrono::hours(1));
  tick();
  end_all();
  // As if the server had died between the run and the note of it.
  wait(store.record_fire(id, Time{}, 0, {}));
  tick();
  CHECK(texts().size() == 1);
  CHECK(tick() == parse_time("2026-03-01T12:00:00Z"));
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: an interval of 0 is a second, no schedule is one run") {
  make(message({{"periodic_schedule", json::object()}}));
  CHECK(tick() == clock.now() + std::chrono::seconds(1));
  make(message({}));
  tick();
  CHECK(texts() == std::vector<std::string>{"10:00 1"});
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: archiving the experiment disables them") {
  const std::string experiment = post("/experiments", json::object{{"display_name", "e"}}).string("experiment_id");
  json::object body = message(cron("0 0 * * * *"));
  body["experiment_id"] = experiment;
  const std::string id = make(body);
  CHECK(post(fmt::format("/experiments/{}:archive", experiment)).status == 200);
  CHECK(get("/recurringruns/" + id).string("status") == "DISABLED");
  CHECK(post("/recurringruns", body).status == 400);
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: what is wrong is refused, and nothing stays") {
  const auto refused = [&](json::object body) {
    const Reply reply = post("/recurringruns", body);
    CHECK_MESSAGE(reply.status == 400, reply.text);
    return reply.string("message");
  };
  const auto has = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };
  CHECK(has(refused(message(cron("61 * * * * *"))), "\"61\" is no second"));
  json::object body = message(cron("0 0 * * * *"));
  body["max_concurrency"] = 11;
  CHECK(has(refused(body), "max_concurrency is 11"));
  body["max_concurrency"] = 0;
  CHECK(has(refused(body), "max_concurrency is 0"));
  body = message(cron("0 0 * * * *"));
  body.erase("pipeline_spec");
  CHECK(has(refused(body), "none of pipeline_spec"));
  body = message(cron("0 0 * * * *"));
  body["runtime_config"] = {{"parameters", {{"other", 1}}}};
  refused(body);
  body = message({{"periodic_schedule", {{"interval_second", -5}}}});
  CHECK(has(refused(body), "-5 is no interval"));
  body = message(cron("0 0 * * * *"));
  body["trigger"].as_object()["periodic_schedule"] = {{"interval_second", 5}};
  CHECK(has(refused(body), "a trigger is one of them"));
  body = message(cron("0 0 * * * *"));
  body["unknown"] = 1;
  CHECK(has(refused(body), "unknown"));
  CHECK(get("/recurringruns").text == "{}");
  int64_t specs_left = 0;
  database.read_now([&](db::Connection& c) {
    auto rows = c.query("SELECT count(*) FROM specs");
    rows.next();
    specs_left = rows.integer(0);
  });
  CHECK(specs_left == 0);
}

TEST_CASE_FIXTURE(RecurringFixture, "recurring runs: when they will fire is told, what was missed first") {
  const std::vector<Time> mondays{*parse_time("2026-03-02T06:30:00Z"), *parse_time("2026-03-09T06:30:00Z")};
  const std::string id = make(message(cron("0 30 6 * * 1")));
  RecurringRun one = wait(store.get_recurring_run(id));
  CHECK(scheduler.upcoming(one, 2) == mondays);
  clock.advance(std::chrono::days(10));
  CHECK(scheduler.upcoming(one, 2) == mondays);
  one.no_catchup = true;
  CHECK(scheduler.upcoming(one, 1) == std::vector<Time>{mondays[1]});
  one.trigger.end = mondays[1];
  CHECK(scheduler.upcoming(one, 500).size() <= 1);
  one.created_at = {};  // not made yet: nothing was missed
  one.trigger.end = {};
  CHECK(scheduler.upcoming(one, 1) == std::vector<Time>{*parse_time("2026-03-16T06:30:00Z")});
}
