#include "base/base64.h"
#include "pipelines/api/fixture.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

struct StoreFixture : ApiFixture {
  Run add(std::string name, std::string description = {}) {
    clock.advance(std::chrono::seconds(1));
    Run run;
    run.display_name = std::move(name);
    run.description = std::move(description);
    run.spec_hash = "h";
    return wait(store.create_run(run, "{}"));
  }
  std::string names(const db::ListRequest& request) {
    std::string out;
    for (const Run& run : wait(store.list_runs("", request)).items) out += run.display_name + " ";
    return out;
  }
  std::string filtered(std::string_view operation, std::string_view key, const json::value& value,
                       std::string_view kind = "string_value") {
    const json::value filter = {
        {"predicates", json::array{json::object{{"operation", operation}, {"key", key}, {kind, value}}}}};
    return names({.filter = to_text(filter)});
  }
  void refused(db::ListRequest request, std::string_view part) {
    try {
      wait(store.list_runs("", std::move(request)));
      FAIL_CHECK("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == Code::InvalidArgument);
      CHECK_MESSAGE(error.message().find(part) != std::string::npos, error.message());
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(StoreFixture, "pages follow each other in any order") {
  for (int i = 0; i < 45; ++i) add(fmt::format("run-{:02}", (i * 7) % 45), i % 2 ? "odd" : "even");
  for (const char* sort : {"", "created_at", "created_at desc", "display_name ASC", "name desc", "run_id desc",
                           "description", "state desc", "finished_at", "storage_state"}) {
    CAPTURE(sort);
    std::set<std::string> seen;
    db::ListRequest request{.page_size = 10, .sort_by = sort};
    int pages = 0;
    std::string last;
    do {
      const Page<Run> page = wait(store.list_runs("", request));
      CHECK(page.total_size == 45);
      for (const Run& run : page.items) {
        CHECK(seen.insert(run.run_id).second);
        if (std::string_view(sort) == "name desc" && !last.empty()) CHECK(run.display_name < last);
        last = run.display_name;
      }
      request.page_token = page.next_page_token;
      ++pages;
    } while (!request.page_token.empty());
    CHECK(seen.size() == 45);
    CHECK(pages == 5);
  }
  CHECK(wait(store.list_runs("", {})).items.size() == 20);
  CHECK(wait(store.list_runs("", {.page_size = 1000})).items.size() == 45);
  CHECK(wait(store.list_runs("other", {})).total_size == 0);
}

TEST_CASE_FIXTURE(StoreFixture, "a token carries its sort and filter, and refuses others") {
  for (int i = 0; i < 6; ++i) add(fmt::format("r{}", i), i < 4 ? "keep" : "drop");
  const std::string filter = R"({"predicates":[{"operation":"EQUALS","key":"description","string_value":"keep"}]})";
  const std::string token =
      wait(store.list_runs("", {.page_size = 2, .sort_by = "name desc", .filter = filter})).next_page_token;
  REQUIRE_FALSE(token.empty());
  CHECK(names({.page_token = token}) == "r1 r0 ");
  CHECK(names({.page_token = token, .sort_by = "display_name desc", .filter = filter}) == "r1 r0 ");
  refused({.page_token = token, .sort_by = "name"}, "does not match");
  refused({.page_token = token, .filter = R"({"predicates":[]})"}, "does not match");
  refused({.page_token = "%%%"}, "page token");
  refused({.page_token = "bm9uc2Vuc2U="}, "page token");
  refused({.page_token = base64_encode(R"({"ModelName":"Run"})")}, "page token");
  refused({.page_token = base64_encode(R"({"ModelName":"Pipeline","SortByFieldName":"name"})")}, "another list");
  refused({.page_token = base64_encode(R"({"ModelName":"Run","SortByFieldName":"name","IsDesc":true,)"
                                       R"("SortByFieldValue":3,"KeyFieldValue":1})")},
          "wrong type");
  refused({.page_token = base64_encode(R"({"ModelName":"Run","SortByFieldName":"name","IsDesc":true,)"
                                       R"("SortByFieldValue":"a","KeyFieldValue":1,)"
                                       R"("Filter":[{"operation":"EQUALS","key":"name","value":{"a":1}}]})")},
          "filter");
}

TEST_CASE_FIXTURE(StoreFixture, "filters") {
  add("alpha", "50% done");
  add("beta", "a_b");
  const Run gamma = add("gamma", "aXb");
  wait(store.set_run_state(gamma.run_id, RunState::Succeeded, {}, clock.now()));
  CHECK(filtered("EQUALS", "name", "beta") == "beta ");
  CHECK(filtered("EQUALS", "display_name", "beta", "stringValue") == "beta ");
  CHECK(filtered("NOT_EQUALS", "state", "SUCCEEDED") == "alpha beta ");
  CHECK(filtered("GREATER_THAN", "name", "alpha") == "beta gamma ");
  CHECK(filtered("LESS_THAN_EQUALS", "name", "beta") == "alpha beta ");
  CHECK(filtered("IN", "name", {{"values", json::array{"alpha", "gamma"}}}, "string_values") == "alpha gamma ");
  CHECK(filtered("IS_SUBSTRING", "name", "MM") == "gamma ");
  CHECK(filtered("IS_SUBSTRING", "name", "") == "alpha beta gamma ");
  CHECK(filtered("IS_SUBSTRING", "name", "alphabet") == "");
  CHECK(filtered("IS_SUBSTRING", "description", "DONE") == "alpha ");
  CHECK(filtered("IS_SUBSTRING", "description", "_") == "beta ");
  CHECK(filtered("IS_SUBSTRING", "description", "%") == "alpha ");
  CHECK(filtered("EQUALS", "created_at", "2026-03-01T10:00:02Z", "timestamp_value") == "beta ");
  CHECK(filtered("NOT_EQUALS", "created_at", "2026-03-01T10:00:02Z", "timestamp_value") == "alpha gamma ");
  CHECK(filtered("GREATER_THAN", "created_at", "2026-03-01T10:00:02Z", "timestamp_value") == "gamma ");
  CHECK(filtered("LESS_THAN_EQUALS", "created_at", "2026-03-01T10:00:02Z", "timestamp_value") == "alpha beta ");
  CHECK(filtered("IN", "created_at", {{"values", json::array{"1772359201"}}}, "long_values") == "alpha ");
  CHECK(filtered("EQUALS", "finished_at", "0", "long_value") == "alpha beta ");
  CHECK(names({.filter = R"({"predicates":[{"operation":"NOT_EQUALS","key":"name","string_value":"alpha"},)"
                         R"({"op":1,"key":"state","stringValue":"PENDING"}]})"}) == "beta ");
  CHECK(names({.filter = "%7B%22predicates%22%3A%5B%7B%22operation%22%3A1%2C%22key%22%3A%22name%22%2C"
                         "%22string_value%22%3A%22beta%22%7D%5D%7D"}) == "beta ");
  CHECK(names({.filter = "{}"}) == "alpha beta gamma ");

  refused({.filter = "nonsense"}, "not JSON");
  refused({.filter = R"({"predicate":[]})"}, "unknown field");
  const auto predicate = [this](std::string_view text, std::string_view part) {
    refused({.filter = fmt::format(R"({{"predicates":[{}]}})", text)}, part);
  };
  predicate(R"({"operation":"EQUALS","key":"x","string_value":"a"})",
            "no support for filtering on unrecognized field \"x\"");
  predicate(R"({"operation":"LIKE","key":"name","string_value":"a"})", "unknown operation");
  predicate(R"({"operation":"EQUALS","key":"name","string_values":{"values":["a"]}})", "one value");
  predicate(R"({"operation":"IN","key":"name","string_value":"a"})", "IN needs");
  predicate(R"({"operation":"IS_SUBSTRING","key":"name","int_value":3})", "IS_SUBSTRING");
  predicate(R"({"operation":"IS_SUBSTRING","key":"created_at","string_value":"a"})", "substring");
  predicate(R"({"operation":"EQUALS","key":"name","value_string":"a"})", "unknown field");
  predicate(R"({"operation":"EQUALS","key":"name","string_value":"a","int_value":1})", "more than one");
  predicate(R"({"operation":"EQUALS","key":"name"})", "no value");
  predicate(R"({"key":"name","string_value":"a"})", "no operation");
  predicate(R"({"operation":"EQUALS","string_value":"a"})", "no key");
  predicate(R"({"operation":"EQUALS","key":"created_at","timestamp_value":"yesterday"})", "RFC 3339");
  predicate(R"({"operation":"EQUALS","key":"tags.a","string_value":"a"})", "unrecognized");
  predicate("5", "expected an object");
}

TEST_CASE_FIXTURE(StoreFixture, "bad sorts and sizes") {
  for (const char* sort : {"color", "name sideways", "name asc desc", "metric:", "name; DROP TABLE runs"}) {
    CAPTURE(sort);
    refused({.sort_by = sort}, "Invalid sorting field");
  }
  refused({.page_size = -1}, "page_size");
  CHECK(get("/runs?page_size=-1").status == 400);
  CHECK(get("/runs?page_size=many").status == 400);
  CHECK(get("/runs?page_size=5").status == 200);
  CHECK(get("/runs?sort_by=color").status == 400);
}

TEST_CASE_FIXTURE(StoreFixture, "totals follow each change") {
  const auto total = [this] { return wait(store.list_runs("", {})).total_size; };
  CHECK(total() == 0);
  const Run run = add("a");
  CHECK(total() == 1);
  add("b");
  CHECK(total() == 2);
  const auto archived = [this] { return filtered("EQUALS", "storage_state", "ARCHIVED"); };
  CHECK(archived() == "");
  wait(store.archive_run(run.run_id));
  CHECK(archived() == "a ");
  wait(store.delete_run(run.run_id));
  CHECK(archived() == "");
  CHECK(total() == 1);
}

TEST_CASE_FIXTURE(StoreFixture, "events continue a log and never fork it") {
  wait(store.append_events("r", 0, {"a", "b"}));
  wait(store.append_events("r", 2, {"c"}));
  wait(store.append_events("other", 0, {"x"}));
  CHECK(wait(store.load_events("r")).events == std::vector<std::string>{"a", "b", "c"});
  CHECK_THROWS_AS(wait(store.append_events("r", 2, {"d"})), Error);
  CHECK(wait(store.load_events("r")).events.size() == 3);
}

TEST_CASE_FIXTURE(StoreFixture, "cached tasks: the newest for a pipeline and fingerprint") {
  CHECK_FALSE(wait(store.find_cached("p", "f")));
  wait(store.put_cached("p", "f", {"r1", "t1", {{"parameters", {{"a", 1}}}}}));
  wait(store.put_cached("p", "f", {"r2", "t2", {{"parameters", {{"a", 2}}}}}));
  const auto found = wait(store.find_cached("p", "f"));
  REQUIRE(found);
  CHECK(found->task_id == "t2");
  CHECK(found->outputs.at("parameters").at("a") == 2);
  CHECK_FALSE(wait(store.find_cached("q", "f")));
}

TEST_CASE_FIXTURE(StoreFixture, "a task's history grows only with its state") {
  TaskRecord task{.run_id = "r", .task_id = "t", .name = "n", .state = "PENDING", .create_time = clock.now()};
  wait(store.upsert_tasks({task, task}));
  task.state = "RUNNING";
  task.start_time = clock.now() + std::chrono::seconds(1);
  wait(store.upsert_tasks({task}));
  task.state = "FAILED";
  task.error = {1, "broke"};
  task.end_time = clock.now() + std::chrono::seconds(2);
  wait(store.upsert_tasks({task}));
  const std::vector<TaskRecord> tasks = wait(store.list_tasks("r"));
  REQUIRE(tasks.size() == 1);
  const auto& history = tasks[0].state_history;
  REQUIRE(history.size() == 3);
  CHECK(history[1].state == "RUNNING");
  CHECK(history[1].update_time == task.start_time);
  CHECK(history[2].error.message == "broke");
}

TEST_CASE("specs are parsed once, and the least used are dropped") {
  int parsed = 0;
  SpecReader reader;
  reader.read = [&parsed](json::value, json::value) {
    ++parsed;
    return std::shared_ptr<const ir::Pipeline>();
  };
  SpecCache cache(reader, 3 * hello_spec("a").size());
  const auto a = cache.parse(hello_spec("a"));
  CHECK(a->pipeline_name == "a");
  CHECK(cache.parse(hello_spec("a")) == a);
  cache.parse(hello_spec("b"));
  cache.parse(hello_spec("c"));
  CHECK(cache.find(a->hash) == a);
  cache.parse(hello_spec("d"));
  CHECK(parsed == 4);
  CHECK(cache.find(a->hash));
  CHECK_FALSE(cache.find(sha256_hex(hello_spec("b"))));
  CHECK_THROWS_AS(cache.parse(R"({"root":{}})"), Error);
}
