// Tasks that send a request instead of running a process. One that a server was waiting for when it was lost is sent
// again.
#include "base/utf8.h"
#include "http/client.h"
#include "pipelines/argo/expr.h"
#include "pipelines/run/controller.h"

namespace penstock::pipelines {

using engine::Event;

namespace {

constexpr size_t kLargest = 1 << 20;  // of an answer

http::ClientRequest request_of(const json::object& workload) {
  http::ClientRequest request;
  request.method = get_string(workload, "method", "GET");
  request.url = get_string(workload, "url");
  request.body = get_string(workload, "body");
  request.timeout = std::chrono::seconds(std::max<int64_t>(1, get_int(workload, "timeoutSeconds", 30)));
  request.max_redirects = 10;
  if (const auto* headers = find_array(workload, "headers")) {
    for (const auto& header : *headers) {
      request.headers.emplace_back(string_at(header, {"name"}), string_at(header, {"value"}));
    }
  }
  return request;
}

// Throws FailedPrecondition for an answer that is not what was wanted.
std::string answer_of(const json::object& workload) {
  http::ClientRequest request = request_of(workload);
  std::string body;
  request.on_data = [&body](std::string_view bytes) {
    body += bytes;
    return body.size() <= kLargest;
  };
  const int status = http::fetch(request).status;
  if (body.size() > kLargest) throw Error(Code::FailedPrecondition, "the answer is larger than 1 MiB");
  body = to_utf8(body);
  const std::string condition = get_string(workload, "successCondition");
  bool good = status >= 200 && status < 300;
  if (!condition.empty()) {
    json::object names;
    names["request"] = json::object{{"method", request.method}, {"url", request.url}, {"body", request.body}};
    names["response"] = json::object{{"statusCode", status}, {"body", body}};
    good = argo::Expression::parse(condition).holds(names);
  }
  if (!good) {
    throw Error(Code::FailedPrecondition, fmt::format("{} answered {}: {}", request.url, status, body.substr(0, 1000)));
  }
  return body;
}

}  // namespace

Async<> RunController::run_http_task(RunPtr run, FlightKey key) {
  const auto spec = run->flights.at(key).spec;
  post(run, Event::task_started(key.first, key.second, clock_.now()));
  std::string failure, body;
  bool infrastructure = false;
  try {
    const auto send = [&] { return answer_of(spec->workload); };
    body = co_await pool_.run(send);
  } catch (const Error& error) {
    failure = error.message();
    infrastructure = error.code() != Code::FailedPrecondition;
  }
  const auto flight = run->flights.find(key);
  if (flight == run->flights.end() || flight->second.over) co_return;
  flight->second.over = true;
  if (!failure.empty()) {
    Event event = Event::task_failed(key.first, key.second, clock_.now(), 1, to_utf8(failure));
    event.infrastructure = infrastructure;
    post(run, std::move(event));
    co_return;
  }
  engine::Outputs outputs;
  const auto* constants = find_object(spec->workload, "constants");
  for (const auto& def : spec->component->output_parameters) {
    const bool constant = def.found == ir::Found::Constant && constants != nullptr;
    outputs.parameters[def.name] = constant ? get_string(*constants, def.name) : body;
  }
  post(run, Event::task_succeeded(key.first, key.second, clock_.now(), std::move(outputs)));
}

}  // namespace penstock::pipelines
