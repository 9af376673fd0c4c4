#include "pipelines/api/fixture.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

// The pieces of a log's events, put together again; each must begin where the one before it ended.
struct Heard {
  std::string text;
  std::string last_id;
  bool ended = false;
};

Heard hear(std::string_view events, int64_t from) {
  Heard heard;
  heard.last_id = std::to_string(from);
  while (!events.empty()) {
    const size_t end = events.find("\n\n");
    REQUIRE(end != std::string_view::npos);
    const auto event = events.substr(0, end);
    events.remove_prefix(end + 2);
    const auto field = [&](std::string_view name) {
      const size_t at = event.find(name);
      if (at == std::string_view::npos) return std::string_view();
      const auto rest = event.substr(at + name.size());
      return rest.substr(0, rest.find('\n'));
    };
    CHECK(!heard.ended);
    if (field("event: ") == "end") {
      heard.ended = true;
      continue;
    }
    const json::value data = parse_json(field("data: "));
    CHECK(std::to_string(data.at("offset").as_int64()) == heard.last_id);
    heard.text += to_std(data.at("text").as_string());
    heard.last_id = field("id: ");
  }
  return heard;
}

}  // namespace

TEST_CASE_FIXTURE(ApiFixture, "a log as events is the same whatever pieces it comes in") {
  TaskRecord task;
  task.run_id = make_run();
  task.task_id = "t1";
  task.name = "say";
  task.state = "SUCCEEDED";
  wait(store.upsert_tasks({task}));
  const std::string path = "//apis/penstock/v1/runs/" + task.run_id + "/tasks/say/log";
  runs.log = "ünï \xe2\x82\xac \xf0\x9f\x98\x80 bad \xff\xe2\x82 end \xf0\x9f";
  CHECK(get(path).text == runs.log);
  accept = "text/event-stream";
  for (const size_t piece : {1, 2, 3, 4, 5, 100}) {
    CAPTURE(piece);
    runs.piece = piece;
    const Reply reply = get(path);
    CHECK(reply.headers.at("Content-Type") == "text/event-stream");
    const Heard heard = hear(reply.text, 0);
    CHECK(heard.ended);
    CHECK(heard.last_id == std::to_string(runs.log.size()));
    CHECK(heard.text == "ünï € 😀 bad \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd end \xef\xbf\xbd\xef\xbf\xbd");
  }
  CHECK(get(path + "?offset=-1").status == 400);
  CHECK(get(path + "?tail_lines=many").status == 400);
  CHECK(get(path + "?last_event_id=x").status == 400);
}
