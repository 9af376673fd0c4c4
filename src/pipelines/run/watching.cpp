// What others see of runs while they go on: their changes as a stream, and their tasks' logs.
#include "pipelines/run/watching.h"

namespace penstock::pipelines {

void RunController::publish(const Run& run, const RunRows& rows) {
  std::shared_ptr<const std::string> lines;  // shared by the watchers
  for (const auto& watcher : watchers_) {
    if (watcher->run_id != run.run_id) continue;
    if (lines == nullptr) lines = std::make_shared<const std::string>(rows.lines(run));
    asio::post(watcher->executor, [watcher, lines, last = rows.finished().has_value()] {
      watcher->lines += *lines;
      watcher->done = watcher->done || last;
      watcher->ready.set();
    });
  }
}

Async<> RunController::watch(std::string run_id, http::BodyWriter& out) {
  auto watcher = std::make_shared<Watcher>(run_id, co_await asio::this_coro::executor);
  co_await on_control([this, &watcher]() -> Async<> {
    watchers_.push_back(watcher);
    co_return;
  });
  // From here on every change reaches the watcher; what was before is read now, and a change may come twice.
  std::exception_ptr failure;
  try {
    const Run run = co_await store_.get_run(run_id);
    std::string present;
    for (const auto& task : co_await store_.list_tasks(run_id)) present += task_line(task);
    present += run_line(run);
    co_await out.write(present);
    if (is_final(run.state)) watcher->done = true;
    while (true) {
      while (!watcher->lines.empty()) {
        const std::string lines = std::exchange(watcher->lines, {});
        co_await out.write(lines);
      }
      if (watcher->done) break;
      watcher->ready.reset();
      co_await watcher->ready.wait();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  control_.post([this, watcher] { watchers_.remove(watcher); });
  if (failure) std::rethrow_exception(failure);
}

void RunController::add_watch_route(http::Router& router) {
  static constexpr http::RouteDoc kDoc = {
      .summary = "A line of JSON for each change of the run and its tasks, until the run has ended.",
      .response = "string",
      .response_media = "application/x-ndjson"};
  for (const auto prefix : {"", "/pipeline"}) {
    router.add(
        http::Method::Get, fmt::format("{}/apis/v2beta1/runs/{{run_id}}:watch", prefix),
        [this](http::Request& request) -> Async<http::Response> {
          const std::string run_id = request.params.find("run_id")->second;
          co_await store_.get_run(run_id);
          http::Response response;
          response.set("Content-Type", "application/x-ndjson");
          response.stream = [this, run_id](http::BodyWriter& out) { return watch(run_id, out); };
          co_return response;
        },
        kDoc);
  }
}

Async<RunController::TaskLog> RunController::log_of(std::string run_id, std::string task_id, int attempt) {
  const TaskRecord task = co_await store_.get_task(run_id, task_id);
  if (task.pod_name.empty()) {
    throw not_found(
        "task {} of run {} has no log: {}", task.name, run_id,
        task.state == "CACHED" ? "it took the outputs of an earlier task" : "no process was started for it");
  }
  const Run run = co_await store_.get_run(run_id);
  const std::string ns = run.name_space.empty() ? options_.ns : run.name_space;
  const auto attempts = static_cast<int>(task.earlier_pods.size()) + 1;
  if (attempt < -1 || attempt >= attempts) {
    throw not_found("task {} of run {} has no attempt {}: it has {}", task.name, run_id, attempt, attempts);
  }
  const bool last = attempt == -1 || attempt == attempts - 1;
  const auto pod = last ? std::pair(task.pod_name, task.pod_uid) : task.earlier_pods[static_cast<size_t>(attempt)];
  TaskLog log;
  log.pod = {{"metadata", {{"name", pod.first}, {"namespace", ns}, {"uid", pod.second}}}};
  log.options.container = "main";
  log.options.follow = last && task.state == "RUNNING";
  log.options.follow = log.options.follow || (last && task.state == "PENDING");
  co_return log;
}

Async<> RunController::check_log(std::string run_id, std::string task_id, int attempt) {
  const TaskLog log = co_await log_of(run_id, task_id, attempt);
  co_await logs_.check(log.pod, log.options);
}

namespace {

std::set<std::string> pods_of(const std::vector<TaskRecord>& tasks) {
  std::set<std::string> uids;
  for (const auto& task : tasks) {
    if (!task.pod_uid.empty()) uids.insert(task.pod_uid);
    for (const auto& [name, uid] : task.earlier_pods) uids.insert(uid);
  }
  return uids;
}

}  // namespace

Async<> RunController::drop_logs(std::string run_namespace, std::vector<TaskRecord> tasks) {
  std::set<std::string> uids = pods_of(tasks);
  if (!uids.empty()) co_await logs_.erase(run_namespace.empty() ? options_.ns : run_namespace, std::move(uids));
}

Async<int64_t> RunController::log_bytes(std::string run_namespace, std::vector<TaskRecord> tasks) {
  std::set<std::string> uids = pods_of(tasks);
  if (uids.empty()) co_return 0;
  co_return co_await logs_.size(run_namespace.empty() ? options_.ns : run_namespace, std::move(uids));
}

Async<> RunController::read_log(std::string run_id, std::string task_id, int attempt, LogPart part,
                                http::BodyWriter& out) {
  TaskLog log = co_await log_of(run_id, task_id, attempt);
  log.options.follow = log.options.follow && part.follow;
  log.options.offset = part.offset;
  log.options.tail_lines = part.tail_lines;
  log.options.limit_bytes = part.limit_bytes;
  log.options.at = std::move(part.at);
  co_await logs_.read(log.pod, log.options, out);
}

}  // namespace penstock::pipelines
