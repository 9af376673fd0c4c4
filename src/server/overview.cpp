#include "server/overview.h"

#include <memory>

#include "kube/kinds.h"
#include "pipelines/run/pod.h"

namespace penstock::server {

namespace {

constexpr int64_t kMost = 10;  // of each list
constexpr int64_t kMostQueued = 50;
constexpr auto kLately = std::chrono::hours(24 * 7);

struct Context : OverviewParts {
  explicit Context(const OverviewParts& parts) : OverviewParts(parts) {}
  UsageMeter meter{};
};
using ContextPtr = std::shared_ptr<Context>;  // shared by the handlers

json::object run_json(const pipelines::RunSummary& summary) {
  const auto& run = summary.run;
  json::object out{{"run_id", run.run_id},
                   {"display_name", run.display_name},
                   {"experiment_id", run.experiment_id},
                   {"pipeline_name", run.pipeline_name},
                   {"namespace", run.name_space},
                   {"state", pipelines::to_string(run.state)},
                   {"created_at", format_time(run.created_at, true)}};
  if (!run.recurring_run_id.empty()) out["recurring_run_id"] = run.recurring_run_id;
  if (run.finished_at != Time{}) out["finished_at"] = format_time(run.finished_at, true);
  json::object tasks;
  for (const auto& [state, count] : summary.tasks) tasks[state] = count;
  out["tasks"] = std::move(tasks);
  if (!run.error.message.empty()) out["error"] = run.error.message;
  if (const auto& task = summary.first_failure) {
    out["first_failure"] = json::object{{"task_id", task->task_id},
                                        {"name", task->name},
                                        {"display_name", task->display_name.empty() ? task->name : task->display_name},
                                        {"message", task->error.message}};
  }
  return out;
}

json::array runs_json(const std::vector<pipelines::RunSummary>& runs) {
  json::array out;
  for (const auto& run : runs) out.push_back(run_json(run));
  return out;
}

json::object counts_json(const std::map<std::string, int64_t>& counts) {
  json::object out;
  for (const auto& [name, count] : counts) out[name] = count;
  return out;
}

// What the node knows; gathered on the control loop.
struct NodeView {
  node::Resources capacity, requested;
  std::vector<node::WaitingPod> waiting;
  size_t waiting_count = 0;
  std::vector<int> processes;
};

Async<NodeView> look_at_node(ContextPtr context) {
  NodeView view;
  view.capacity = context->agent.capacity();
  view.requested = context->agent.used();
  view.waiting = context->agent.waiting(kMostQueued);
  view.waiting_count = context->agent.waiting_pods();
  for (const auto& process : co_await context->spawner.list()) {
    if (process.running && process.pid > 0) view.processes.push_back(process.pid);
  }
  co_return view;
}

json::array queue_json(const std::vector<node::WaitingPod>& pods) {
  json::array out;
  for (const auto& pod : pods) {
    const json::object& object = *pod.object;
    json::object one{{"pod", kube::name_of(object)}, {"namespace", kube::namespace_of(object)},
                     {"reason", pod.reason},         {"cpu", static_cast<double>(pod.request.cpu_milli) / 1000},
                     {"memory", pod.request.memory}, {"gpus", pod.request.gpus}};
    if (const auto run = kube::label_of(object, pipelines::kRunLabel); !run.empty()) one["run_id"] = run;
    const auto* metadata = find_object(object, "metadata");
    if (metadata) one["since"] = get_string(*metadata, "creationTimestamp");
    const auto* notes = metadata ? find_object(*metadata, "annotations") : nullptr;
    if (notes) one["task"] = get_string(*notes, "pipelines.kubeflow.org/task_display_name");
    out.push_back(std::move(one));
  }
  return out;
}

json::object resources_json(const NodeView& node, const UsageMeter::Sample& usage, const Disk& disk) {
  const auto one = [](json::value capacity, json::value requested) {
    return json::object{{"capacity", std::move(capacity)}, {"requested", std::move(requested)}};
  };
  json::object cpu =
      one(static_cast<double>(node.capacity.cpu_milli) / 1000, static_cast<double>(node.requested.cpu_milli) / 1000);
  cpu["used_by_server"] = usage.server.cpu_cores;
  cpu["used_by_tasks"] = usage.tasks.cpu_cores;
  json::object memory = one(node.capacity.memory, node.requested.memory);
  memory["used_by_server"] = usage.server.memory;
  memory["used_by_tasks"] = usage.tasks.memory;
  return {{"cpu", std::move(cpu)},
          {"memory", std::move(memory)},
          {"gpus", one(node.capacity.gpus, node.requested.gpus)},
          {"pods", one(node.capacity.pods, node.requested.pods)},
          {"disk", json::object{{"capacity", disk.capacity}, {"free", disk.free}}},
          {"processes", usage.tasks.processes}};
}

Async<http::Response> overview(ContextPtr context) {
  const Time now = context->clock.now();
  const pipelines::Overview store = co_await context->store.overview(kMost, now - kLately);
  const auto look = [context] { return look_at_node(context); };
  const NodeView node = co_await on(context->control.executor(), look);
  const auto measure = [&] { return std::pair(context->meter.look(node.processes), disk_of(context->data)); };
  const auto [usage, disk] = co_await context->pool.run(measure);
  json::object out{{"time", format_time(now, true)},      {"active", runs_json(store.active)},
                   {"failed", runs_json(store.failed)},   {"queued", queue_json(node.waiting)},
                   {"queued_count", node.waiting_count},  {"runs", counts_json(store.runs)},
                   {"counts", counts_json(store.counts)}, {"resources", resources_json(node, usage, disk)}};
  http::Response response = http::json_response(out);
  response.set("Cache-Control", "no-store");
  co_return response;
}

// A section is there when the server serves the kind of resource, or the path, that it is about.
json::object sections_of(const http::Router& router) {
  const kube::Kinds kinds = kube::core_kinds();
  const auto has_kind = [&](std::initializer_list<std::string_view> names) {
    for (const auto& kind : kinds.all()) {
      for (const auto name : names) {
        if (kind.resource.kind == name && !kind.resource.group.empty()) return true;
      }
    }
    return false;
  };
  const auto has_path = [&](std::string_view prefix) {
    for (const auto& route : router.routes()) {
      if (route.pattern.starts_with(prefix)) return true;
    }
    return false;
  };
  return {{"pipelines", has_path("/apis/v2beta1/pipelines")},
          {"runs", has_path("/apis/v2beta1/runs")},
          {"recurring_runs", has_path("/apis/v2beta1/recurringruns")},
          {"artifacts", has_path("/apis/v2beta1/artifacts")},
          {"objects", has_path("/s3")},
          {"resources", has_path("/api/v1")},
          {"models", has_path("/api/model_registry")},
          {"tuning", has_kind({"Trial", "Suggestion"})},
          {"training", has_kind({"PyTorchJob", "TFJob", "TrainJob", "MPIJob"})},
          {"serving", has_kind({"InferenceService"})},
          {"notebooks", has_kind({"Notebook"})}};
}

}  // namespace

void add_overview_routes(http::Router& router, const OverviewParts& parts) {
  const auto context = std::make_shared<Context>(parts);
  router.add(http::Method::Get, "/apis/penstock/v1/overview", [context](http::Request&) { return overview(context); },
             {.summary = "What runs, what failed lately and why, what waits and for what, and what is used.",
              .response = "Overview"});
  router.add(http::Method::Get, "/apis/penstock/v1/features",
             [context, &router](http::Request&) -> Async<http::Response> {
               json::object tasks{{"sandbox", context->sandbox_problem.empty()}, {"images", context->images}};
               if (!context->sandbox_problem.empty()) tasks["sandbox_problem"] = context->sandbox_problem;
               co_return http::json_response(json::object{{"version", context->version},
                                                          {"time_zone", context->time_zone},
                                                          {"users", false},
                                                          {"tasks", std::move(tasks)},
                                                          {"sections", sections_of(router)}});
             },
             {.summary = "Which parts this server has.", .response = "Features"});
}

void add_overview_schemas(Schemas& schemas) {
  schemas.add("FirstFailure", {{"task_id!", "string"},
                               {"name!", "string"},
                               {"display_name!", "string"},
                               {"message!", "string", "With the last lines of its log."}});
  schemas.add("RunSummary", {{"run_id!", "string"},
                             {"display_name!", "string"},
                             {"experiment_id!", "string"},
                             {"pipeline_name!", "string"},
                             {"namespace!", "string"},
                             {"state!", "string"},
                             {"created_at!", "time"},
                             {"finished_at", "time"},
                             {"recurring_run_id", "string"},
                             {"tasks!", "{number}", "How many of its steps are in each state."},
                             {"error", "string"},
                             {"first_failure", "FirstFailure"}});
  schemas.add("QueuedPod", {{"pod!", "string"},
                            {"namespace!", "string"},
                            {"reason!", "string", "What it waits for."},
                            {"cpu!", "number", "Cores that it asks for."},
                            {"memory!", "number", "Bytes that it asks for."},
                            {"gpus!", "number"},
                            {"run_id", "string"},
                            {"task", "string"},
                            {"since", "time"}});
  schemas.add(
      "ResourceUse",
      {{"capacity!", "number"}, {"requested!", "number"}, {"used_by_server", "number"}, {"used_by_tasks", "number"}});
  schemas.add("DiskUse", {{"capacity!", "number"}, {"free!", "number"}});
  schemas.add("Resources", {{"cpu!", "ResourceUse", "Cores."},
                            {"memory!", "ResourceUse", "Bytes."},
                            {"gpus!", "ResourceUse"},
                            {"pods!", "ResourceUse"},
                            {"disk!", "DiskUse", "Bytes of the file system of the data folder."},
                            {"processes!", "number", "Of tasks."}});
  schemas.add("Overview", {{"time!", "time"},
                           {"active!", "[RunSummary]", "Not ended, the newest first; at most 10."},
                           {"failed!", "[RunSummary]", "Of the last seven days, the latest first; at most 10."},
                           {"queued!", "[QueuedPod]", "At most 50."},
                           {"queued_count!", "number"},
                           {"runs!", "{number}", "How many runs are in each state, archived ones included."},
                           {"counts!", "{number}", "Of experiments, pipelines, pipeline_versions, …"},
                           {"resources!", "Resources"}});
  schemas.add("TaskFeatures", {{"sandbox!", "bool"}, {"sandbox_problem", "string"}, {"images!", "bool"}});
  schemas.add("Features", {{"version!", "string"},
                           {"time_zone!", "string", "Of cron expressions that name none."},
                           {"users!", "bool", "Whether people log in."},
                           {"tasks!", "TaskFeatures"},
                           {"sections!", "{bool}"}});
  schemas.add("Change", {{"kind!", "run|task|pipeline|version|experiment|recurringrun|artifact|pod|event"},
                         {"type!", "ADDED|MODIFIED|DELETED"},
                         {"id!", "string", "Of pods and events the name."},
                         {"namespace", "string"},
                         {"state", "string", "Of a pod its phase, of an event its reason."},
                         {"parent", "string", "The run of a task, an artifact and a pod, the pipeline of a version."},
                         {"version!", "number", "Greater with each change."}});
}

}  // namespace penstock::server
