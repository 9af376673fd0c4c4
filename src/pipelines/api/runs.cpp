#include "pipelines/api/delete_run.h"
#include "pipelines/api/messages.h"
#include "pipelines/api/new_run.h"
#include "pipelines/api/plugins.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RunMessage message = run_fields().read(body);
  if (message.experiment_id.empty()) message.experiment_id = request.query_or("experiment_id", "");
  if (!message.plugins_output.empty()) {
    throw Error(Code::Aborted, "plugins_output is written by the server; leave it out", "plugins_output");
  }
  check_plugins_input(message.plugins_input);
  RunSource source = co_await find_source(context, std::move(message.pipeline_spec), message.pipeline_version_id,
                                          message.pipeline_version_reference);
  std::string spec;
  if (source.reference.pipeline_version_id.empty()) spec = source.spec->text;
  Run run = message;
  RunMessage answer;
  static_cast<Run&>(answer) = co_await make_run(context, std::move(run), std::move(source));
  co_return json_text(run_text(std::move(answer), spec));
}

constexpr size_t kManyTasks = 200;

// DEFAULT, or FULL with the tasks in their newer form.
bool full_view(const Request& request) {
  const std::string view = request.query_or("view", "DEFAULT");
  if (view == "FULL" || view == "2") return true;
  if (view == "DEFAULT" || view == "VIEW_UNSPECIFIED" || view == "RUN_VIEW_UNSPECIFIED" || view == "0" || view == "1") {
    return false;
  }
  throw Error(Code::InvalidArgument, fmt::format("view is {:?}; expected DEFAULT or FULL", view), "view");
}

json::array full_tasks(const std::vector<TaskRecord>& tasks) {
  std::map<std::string_view, std::vector<std::string>> children;
  for (const TaskRecord& task : tasks) children[task.parent_task_id].push_back(task.task_id);
  json::array out;
  for (const TaskRecord& task : tasks) out.push_back(task_json(task, children[task.task_id]));
  return out;
}

Async<Response> get(const ApiContext& context, Request& request) {
  const bool full = full_view(request);
  RunMessage run;
  static_cast<Run&>(run) = co_await context.store.get_run(param(request, "run_id"));
  const std::vector<TaskRecord> tasks = co_await context.store.list_tasks(run.run_id);
  run.task_count = static_cast<int32_t>(tasks.size());
  std::string spec;
  if (run.pipeline_version_reference.pipeline_version_id.empty()) {
    spec = co_await context.store.get_spec(run.spec_hash);
  }
  const auto write = [&] {
    if (!tasks.empty()) run.run_details["task_details"] = task_details(tasks);
    if (full && !tasks.empty()) run.tasks = full_tasks(tasks);
    return run_text(std::move(run), spec);
  };
  // Thousands of tasks take a while, and others wait for this loop.
  std::string text;
  if (tasks.size() > kManyTasks) {
    text = co_await context.blocking.run(write);
  } else {
    text = write();
  }
  co_return json_text(std::move(text));
}

Async<Response> list(const ApiContext& context, Request& request) {
  const bool full = full_view(request);
  const Page<Run> page = co_await context.store.list_runs(request.query_or("experiment_id", ""), list_request(request));
  std::vector<std::string> hashes;
  for (const Run& run : page.items) {
    if (run.pipeline_version_reference.pipeline_version_id.empty()) hashes.push_back(run.spec_hash);
  }
  std::map<std::string, std::string> specs;
  if (!hashes.empty()) specs = co_await context.store.get_specs(std::move(hashes), kMaxListedSpec);
  std::string text;
  for (const Run& run : page.items) {
    RunMessage message{run};
    if (full) {
      const std::vector<TaskRecord> tasks = co_await context.store.list_tasks(run.run_id);
      message.task_count = static_cast<int32_t>(tasks.size());
      if (!tasks.empty()) message.tasks = full_tasks(tasks);
    }
    const bool own_spec = run.pipeline_version_reference.pipeline_version_id.empty();
    const auto spec = own_spec ? specs.find(run.spec_hash) : specs.end();
    if (!text.empty()) text += ',';
    text += run_text(std::move(message), spec == specs.end() ? std::string_view() : std::string_view(spec->second));
  }
  co_return json_text(page_text("runs", text, page.total_size, page.next_page_token));
}

Async<Response> remove(const ApiContext& context, Request& request) {
  const Run run = co_await context.store.get_run(param(request, "run_id"));
  DeleteRun options;
  options.with_artifacts = bool_query(request, "delete_artifacts");
  co_await delete_run(context, run, options);
  co_return empty_reply();
}

}  // namespace

Async<> terminate_run(const ApiContext& context, std::string run_id) {
  const Run run = co_await context.store.get_run(std::move(run_id));
  const bool stoppable = run.state == RunState::Pending || run.state == RunState::Running ||
                         run.state == RunState::Paused || run.state == RunState::Unspecified;
  if (!stoppable) {
    throw Error(Code::FailedPrecondition,
                fmt::format("Run {} is {} and cannot be terminated", run.run_id, to_string(run.state)));
  }
  co_await context.runs.terminate(run.run_id);
}

Async<> retry_run(const ApiContext& context, std::string run_id, std::vector<std::string> task_ids) {
  const Run run = co_await context.store.get_run(std::move(run_id));
  const bool failed = run.state == RunState::Failed || run.state == RunState::Canceled;
  if (!failed && (task_ids.empty() || !is_final(run.state))) {
    throw Error(Code::Aborted, fmt::format("Run {} is {}; only failed or canceled runs can be retried", run.run_id,
                                           to_string(run.state)));
  }
  std::vector<std::string> from;
  for (const std::string& id : task_ids) {
    const TaskRecord task = co_await context.store.get_task(run.run_id, id);
    from.push_back(task.scope_path);
  }
  co_await context.runs.retry(run.run_id, std::move(from));
}

const Fields<RetryRun>& retry_run_fields() {
  static const auto kFields =
      Fields<RetryRun>("RetryRunRequest")
          .add("run_id", &RetryRun::run_id, {.output_only = true})
          .add("task_ids", &RetryRun::task_ids,
               {.doc = "An addition: these tasks, by their ids or names, and what comes after them run again as well, "
                       "though they have succeeded. With them a run that has succeeded may be retried too."});
  return kFields;
}

namespace {

Async<Response> terminate(const ApiContext& context, Request& request) {
  co_await terminate_run(context, param(request, "run_id"));
  co_return empty_reply();
}

Async<Response> retry(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RetryRun wanted = retry_run_fields().read(body);
  co_await retry_run(context, param(request, "run_id"), std::move(wanted.task_ids));
  co_return empty_reply();
}

Async<Response> resume(const ApiContext& context, Request& request) {
  const Run run = co_await context.store.get_run(param(request, "run_id"));
  co_await context.runs.resume_paused(run.run_id);
  co_return empty_reply();
}

Async<Response> archive(const ApiContext& context, Request& request) {
  co_await context.store.archive_run(param(request, "run_id"));
  co_return empty_reply();
}

Async<Response> unarchive(const ApiContext& context, Request& request) {
  co_await context.store.unarchive_run(param(request, "run_id"));
  co_return empty_reply();
}

}  // namespace

void add_run_routes(Routes& routes) {
  routes.add(Method::Post, "/runs", create);
  routes.add(Method::Get, "/runs", list);
  routes.add(Method::Get, "/runs/{run_id}", get);
  routes.add(Method::Delete, "/runs/{run_id}", remove);
  routes.add(Method::Post, "/runs/{run_id}:terminate", terminate);
  routes.add(Method::Post, "/runs/{run_id}:retry", retry);
  routes.add_at(Method::Post, "/apis/penstock/v1/runs/{run_id}:resume", resume);
  routes.add(Method::Post, "/runs/{run_id}:archive", archive);
  routes.add(Method::Post, "/runs/{run_id}:unarchive", unarchive);
}

}  // namespace penstock::pipelines::api
