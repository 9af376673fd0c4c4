// For tests: the API over a temporary database, without sockets and with a run controller that only notes what it is
// asked.
#pragma once

#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>

#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include "pipelines/api/api.h"

namespace penstock::pipelines {

class FakeRunControl : public RunControl {
 public:
  std::vector<std::string> calls;  // "start <run>"
  std::string log = "line 1\nline 2\n";
  size_t piece = 4096;  // how much of it is written at once
  bool refuse = false;

  Async<> start(std::string run_id) override { co_return note("start", run_id); }
  Async<> terminate(std::string run_id) override { co_return note("terminate", run_id); }
  Async<> resume_paused(std::string run_id) override { co_return note("resume", run_id); }
  Async<> retry(std::string run_id, std::vector<std::string> from) override {
    co_return note("retry", from.empty() ? run_id : fmt::format("{} from {}", run_id, fmt::join(from, " ")));
  }
  Async<> forget(std::string run_id) override { co_return note("forget", run_id); }
  Async<> check_log(std::string, std::string, int) override { co_return; }
  Async<> drop_logs(std::string, std::vector<TaskRecord> tasks) override {
    co_return note("drop_logs", std::to_string(tasks.size()));
  }
  Async<int64_t> log_bytes(std::string, std::vector<TaskRecord> tasks) override {
    co_return static_cast<int64_t>(tasks.size()) * 100;
  }
  Async<> read_log(std::string run_id, std::string task_id, int, LogPart part, http::BodyWriter& out) override {
    note("log", run_id + " " + task_id + (part.follow ? " follow" : ""));
    for (size_t at = 0; at < log.size(); at += piece) {
      if (part.at) part.at(static_cast<int64_t>(at));
      co_await out.write(std::string_view(log).substr(at, piece));
    }
  }

 private:
  void note(std::string_view what, const std::string& id) {
    if (refuse) throw internal("refused");
    calls.push_back(fmt::format("{} {}", what, id));
  }
};

struct Reply {
  int status = 0;
  std::string text;
  json::value body;  // null when the text is no JSON
  std::map<std::string, std::string> headers;

  std::string string(std::string_view key) const { return body.is_object() ? get_string(body.as_object(), key) : ""; }
  const json::array& array(std::string_view key) const {
    static const json::array kNone;
    const json::array* found = body.is_object() ? find_array(body.as_object(), key) : nullptr;
    return found ? *found : kNone;
  }
};

// One task that takes a string parameter "text" with a default and a number "count" without one.
inline std::string hello_spec(std::string_view name = "hello") {
  return fmt::format(
      R"({{"pipelineInfo":{{"name":"{}"}},"schemaVersion":"2.1.0","sdkVersion":"kfp-2.17.0",)"
      R"("deploymentSpec":{{"executors":{{"exec-say":{{"container":{{"image":"busybox","command":["echo","hi"]}}}}}}}},)"
      R"("components":{{"comp-say":{{"executorLabel":"exec-say","inputDefinitions":{{"parameters":{{)"
      R"("text":{{"parameterType":"STRING"}}}}}}}}}},"root":{{"dag":{{"tasks":{{"say":{{"taskInfo":{{"name":"say"}},)"
      R"("componentRef":{{"name":"comp-say"}},"inputs":{{"parameters":{{"text":)"
      R"({{"componentInputParameter":"text"}}}}}}}}}}}},"inputDefinitions":{{"parameters":{{"text":)"
      R"({{"parameterType":"STRING","defaultValue":"hi","isOptional":true}},)"
      R"("count":{{"parameterType":"NUMBER_INTEGER"}}}}}}}}}})",
      name);
}

struct ApiFixture {
  std::filesystem::path folder = make_folder();
  FakeClock clock{*parse_time("2026-03-01T10:00:00Z")};
  db::Database database{folder / "test.db", {Store::migrations(), metadata::Store::migrations()}};
  Store store{database, clock};
  metadata::Store metadata{database};
  objects::Store objects{folder / "objects"};
  SpecCache specs{ir_spec_reader()};
  FakeRunControl runs;
  BlockingPool blocking{1};
  http::Router router;
  Loop loop{"api-test"};
  std::string accept;  // the header of requests

  ApiFixture() {
    ApiOptions options;
    options.max_body_bytes = 8u << 20;
    add_routes(router, ApiContext{store, metadata, objects, specs, runs, blocking, options});
  }
  ~ApiFixture() {
    loop.stop();
    std::filesystem::remove_all(folder);
  }

  template <class T>
  T wait(Async<T> work) {
    return asio::co_spawn(loop.executor(), std::move(work), asio::use_future).get();
  }

  // `path` is below /apis/v2beta1, unless it starts with two slashes.
  Reply call(http::Method method, std::string path, std::string body = {}, std::string content_type = {}) {
    clock.advance(std::chrono::milliseconds(10));
    path = path.starts_with("//") ? path.substr(1) : "/apis/v2beta1" + path;
    return wait(handle(method, std::move(path), std::move(body), std::move(content_type)));
  }
  Reply get(std::string path) { return call(http::Method::Get, std::move(path)); }
  Reply post(std::string path, const json::value& body = json::object()) {
    return call(http::Method::Post, std::move(path), to_text(body));
  }
  Reply remove(std::string path) { return call(http::Method::Delete, std::move(path)); }

  Reply upload(std::string path, std::string_view file_name, std::string_view content) {
    const std::string body = fmt::format(
        "--frontier\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n"
        "--frontier\r\nContent-Disposition: form-data; name=\"uploadfile\"; filename=\"{}\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n{}\r\n--frontier--\r\n",
        file_name, content);
    return call(http::Method::Post, std::move(path), body, "multipart/form-data; boundary=frontier");
  }

  // A run of hello_spec(); gives its id.
  std::string make_run(std::string_view name = "r", std::string_view experiment = {}) {
    json::object run{{"display_name", name},
                     {"pipeline_spec", parse_json(hello_spec())},
                     {"runtime_config", {{"parameters", {{"count", 1}}}}}};
    if (!experiment.empty()) run["experiment_id"] = experiment;
    const Reply reply = post("/runs", run);
    REQUIRE_MESSAGE(reply.status == 200, reply.text);
    return reply.string("run_id");
  }

 protected:
  class Body : public http::BodyReader {
   public:
    explicit Body(std::string text) : text_(std::move(text)) {}
    std::optional<uint64_t> length() const override { return std::nullopt; }
    Async<std::string> read_some(size_t max) override {
      std::string piece = text_.substr(at_, max);
      at_ += piece.size();
      co_return piece;
    }

   private:
    std::string text_;
    size_t at_ = 0;
  };
  class Collector : public http::BodyWriter {
   public:
    std::string text;
    Async<> write(std::string_view bytes) override {
      text += bytes;
      co_return;
    }
  };

  static std::filesystem::path make_folder() {
    const auto folder = std::filesystem::temp_directory_path() / ("penstock-api-" + new_uuid());
    std::filesystem::create_directories(folder);
    return folder;
  }

  Async<Reply> handle(http::Method method, std::string target, std::string text, std::string content_type) {
    Body body(std::move(text));
    http::Request request;
    request.method = method;
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size()) request.query = http::parse_query(target.substr(request.path.size() + 1));
    request.headers.emplace_back("content-type", std::move(content_type));
    if (!accept.empty()) request.headers.emplace_back("accept", accept);
    request.body = &body;
    http::Response response = co_await router.handle(request);
    Reply reply;
    reply.status = response.status;
    for (auto& [name, value] : response.headers) reply.headers[name] = value;
    if (response.stream) {
      Collector out;
      co_await response.stream(out);
      reply.text = std::move(out.text);
    } else if (response.file) {
      std::ifstream file(*response.file);
      reply.text.assign(std::istreambuf_iterator<char>(file), {});
    } else {
      reply.text = std::move(response.body);
    }
    try {
      reply.body = parse_json(reply.text);
    } catch (const Error&) {
    }
    co_return reply;
  }
};

}  // namespace penstock::pipelines
