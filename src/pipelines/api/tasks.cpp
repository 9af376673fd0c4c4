#include <algorithm>

#include "pipelines/api/messages.h"
#include "pipelines/api/routes.h"
#include "pipelines/argo/manifest.h"

namespace penstock::pipelines::api {

namespace {

Async<Response> list(const ApiContext& context, Request& request) {
  const Page<TaskRecord> page = co_await context.store.list_tasks(
      param(request, "run_id"), request.query_or("parent_id", ""), list_request(request));
  std::vector<std::string> parents;
  for (const TaskRecord& task : page.items) parents.push_back(task.task_id);
  const auto children = co_await context.store.child_tasks(param(request, "run_id"), std::move(parents));
  json::array items;
  for (const TaskRecord& task : page.items) {
    const auto found = children.find(task.task_id);
    items.push_back(task_json(task, found == children.end() ? std::vector<std::string>() : found->second));
  }
  co_return http::json_response(page_json("tasks", std::move(items), page.total_size, page.next_page_token));
}

Async<Response> get(const ApiContext& context, Request& request) {
  const TaskRecord task = co_await context.store.get_task(param(request, "run_id"), param(request, "task_id"));
  std::vector<std::string> parents;
  parents.push_back(task.task_id);
  auto children = co_await context.store.child_tasks(task.run_id, std::move(parents));
  co_return http::json_response(task_json(task, children[task.task_id]));
}

}  // namespace

Async<TaskRecord> task_of_node(const ApiContext& context, std::string run_id, std::string node) {
  const Run run = co_await context.store.get_run(run_id);
  const std::string workflow = argo::workflow_name(run);
  if (node.starts_with(workflow)) {
    std::vector<TaskRecord> tasks = co_await context.store.list_tasks(run_id);
    const auto same = [&](const TaskRecord& task) {
      const auto has_name = [&](const auto& pod) { return pod.first == node; };
      return task.pod_name == node || argo::node_id(workflow, task.scope_path) == node ||
             std::ranges::any_of(task.earlier_pods, has_name);
    };
    const auto found = std::ranges::find_if(tasks, same);
    if (found != tasks.end()) co_return std::move(*found);
  }
  co_return co_await context.store.get_task(std::move(run_id), std::move(node));
}

void add_task_routes(Routes& routes) {
  routes.add(Method::Get, "/runs/{run_id}/tasks", list);
  routes.add(Method::Get, "/runs/{run_id}/tasks/{task_id}", get);
}

}  // namespace penstock::pipelines::api
