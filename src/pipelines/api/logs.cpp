// Tasks' logs, as text and, for the dashboard, as a stream of events.
#include "base/fields.h"
#include "base/utf8.h"
#include "http/event_stream.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

std::optional<int64_t> count_query(const Request& request, std::string_view name) {
  const std::string text = request.query_or(name, "");
  if (text.empty()) return std::nullopt;
  const int64_t number = read_int64(json::value(text), std::string(name));
  if (number < 0)
    throw Error(Code::InvalidArgument, fmt::format("{} is {}; it counts from 0", name, number), std::string(name));
  return number;
}

// How many bytes at the end of `text` begin a character that is not complete.
size_t incomplete_tail(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

// Turns a log's bytes into events: {"offset", "text"}, with the offset behind the text as the event's id. A character
// that comes in two pieces is in the second one's event.
class LogEvents : public http::BodyWriter {
 public:
  explicit LogEvents(http::BodyWriter& out) : out_(out) {}
  // Told before each write.
  void at(int64_t offset) { offset_ = offset; }

  Async<> write(std::string_view bytes) override {
    // What was lost in between belongs to no character.
    if (!held_.empty() && offset_ != end_) co_await flush();
    if (held_.empty()) begin_ = offset_;
    held_ += bytes;
    end_ = offset_ + static_cast<int64_t>(bytes.size());
    const std::string tail = held_.substr(held_.size() - incomplete_tail(held_));
    held_.resize(held_.size() - tail.size());
    const int64_t complete = end_ - static_cast<int64_t>(tail.size());
    if (!held_.empty()) co_await send(complete);
    held_ = tail;
    begin_ = complete;
  }

  Async<> finish() {
    if (!held_.empty()) co_await flush();
    co_await out_.write(http::event_text("end", "", "{}"));
  }

 private:
  Async<> flush() {
    co_await send(end_);
    held_.clear();
  }
  Async<> send(int64_t behind) {
    const std::string data = to_text(json::object{{"offset", begin_}, {"text", to_utf8(held_)}});
    const std::string event = http::event_text("", std::to_string(behind), data);
    co_await out_.write(event);
  }

  http::BodyWriter& out_;
  std::string held_;
  int64_t offset_ = 0, begin_ = 0, end_ = 0;
};

Async<> stream_events(RunControl& runs, TaskRecord task, int attempt, LogPart part, http::BodyWriter& out) {
  LogEvents events(out);
  part.at = [&events](int64_t offset) { events.at(offset); };
  co_await runs.read_log(task.run_id, task.task_id, attempt, std::move(part), events);
  co_await events.finish();
}

Async<Response> answer(const ApiContext& context, const Request& request, TaskRecord task, LogPart part) {
  const int attempt = int_query(request, "attempt", -1);
  part.follow = bool_query(request, "follow");
  co_await context.runs.check_log(task.run_id, task.task_id, attempt);
  Response response;
  if (http::wants_event_stream(request)) {
    const std::string seen = http::last_event_id(request);
    if (!seen.empty()) {
      part.offset = read_int64(json::value(seen), "last_event_id");
      part.tail_lines.reset();
    }
    response = http::event_stream_response();
    response.stream = [&runs = context.runs, task = std::move(task), attempt, part](http::BodyWriter& out) {
      return stream_events(runs, task, attempt, part, out);
    };
    co_return response;
  }
  response.set("Content-Type", "text/plain; charset=utf-8");
  response.set("X-Content-Type-Options", "nosniff");
  response.stream = [&runs = context.runs, run_id = task.run_id, task_id = task.task_id, attempt,
                     part](http::BodyWriter& out) { return runs.read_log(run_id, task_id, attempt, part, out); };
  co_return response;
}

Async<Response> node_log(const ApiContext& context, Request& request) {
  TaskRecord task = co_await task_of_node(context, param(request, "run_id"), param(request, "node_id"));
  LogPart part;
  co_return co_await answer(context, request, std::move(task), std::move(part));
}

Async<Response> task_log(const ApiContext& context, Request& request) {
  LogPart part;
  part.offset = count_query(request, "offset");
  part.tail_lines = count_query(request, "tail_lines");
  part.limit_bytes = count_query(request, "limit_bytes");
  TaskRecord task = co_await task_of_node(context, param(request, "run_id"), param(request, "task_id"));
  co_return co_await answer(context, request, std::move(task), std::move(part));
}

}  // namespace

void add_log_routes(Routes& routes) {
  routes.add_at(Method::Get, "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log", node_log);
  routes.add_at(Method::Get, "/apis/penstock/v1/runs/{run_id}/tasks/{task_id}/log", task_log);
}

}  // namespace penstock::pipelines::api
