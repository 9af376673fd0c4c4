// GET /apis/penstock/v1/lineage: what an artifact, a task or a run came from, and what came of it.
#include "metadata/lineage.h"
#include "pipelines/api/artifact_messages.h"
#include "pipelines/store/summaries.h"

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kDepth = 10, kMaxDepth = 1'000;
constexpr int64_t kNodes = 500, kMaxNodes = 5'000;

struct Asked {
  metadata::LineageQuery query;
  std::string task_id;  // whose run may still have to be found
};

Asked read_query(const Request& request) {
  Asked out;
  for (const std::string& id : list_query(request, "artifact")) {
    out.query.artifact_ids.push_back(id_of(id, "artifact"));
  }
  out.task_id = request.query_or("task", "");
  out.query.run_id = request.query_or("run", "");
  if (out.query.artifact_ids.size() > 100) {
    throw Error(Code::InvalidArgument, "artifact: at most 100 are taken at once", "artifact");
  }
  const bool has_artifact = !out.query.artifact_ids.empty(), has_task = !out.task_id.empty();
  // A run beside a task says which one the task is of.
  if (has_artifact == (has_task || !out.query.run_id.empty())) {
    throw Error(Code::InvalidArgument, "give one of artifact, task and run: where the lineage begins", "artifact");
  }
  const std::string direction = request.query_or("direction", "both");
  if (direction != "both" && direction != "upstream" && direction != "downstream") {
    throw Error(Code::InvalidArgument,
                fmt::format("direction is {:?}; expected both, upstream or downstream", direction), "direction");
  }
  out.query.upstream = direction != "downstream";
  out.query.downstream = direction != "upstream";
  out.query.depth = static_cast<int>(number_query(request, "depth", kDepth, 0, kMaxDepth));
  out.query.max_nodes = static_cast<size_t>(number_query(request, "max_nodes", kNodes, 1, kMaxNodes));
  return out;
}

// What the answer shows, all of one snapshot.
struct Answer {
  metadata::LineageGraph graph;
  std::map<metadata::TaskKey, TaskRecord> tasks;
  std::map<std::string, Run> runs;
};

void find_start(db::Connection& c, Asked& asked) {
  metadata::LineageQuery& query = asked.query;
  if (!asked.task_id.empty()) {
    metadata::TaskKey task{query.run_id, asked.task_id};
    if (task.run_id.empty()) task.run_id = store::run_of_task(c, task.task_id);
    if (task.run_id.empty()) {
      throw Error(Code::NotFound,
                  fmt::format("no artifact was taken or made by a task {}; give its run too, to see that it is there",
                              task.task_id),
                  "task");
    }
    if (!query.run_id.empty() && !store::task_summary(c, task.run_id, task.task_id)) {
      throw Error(Code::NotFound, fmt::format("Task {} not found in run {}", task.task_id, task.run_id), "task");
    }
    query.tasks.push_back(std::move(task));
    query.run_id.clear();
  } else if (!query.run_id.empty() && !store::run_summary(c, query.run_id)) {
    throw Error(Code::NotFound, fmt::format("Run {} not found", query.run_id), "run");
  }
}

Answer read_answer(db::Connection& c, const metadata::Store& metadata, Asked asked) {
  const std::string run_id = asked.task_id.empty() ? asked.query.run_id : std::string();
  find_start(c, asked);
  Answer out;
  out.graph = metadata.lineage_of(c, asked.query);
  const auto show_run = [&](const std::string& id) {
    if (id.empty() || out.runs.contains(id)) return;
    if (auto run = store::run_summary(c, id)) out.runs.emplace(id, std::move(*run));
  };
  show_run(run_id);
  for (const metadata::LineageNode& node : out.graph.nodes) {
    if (node.artifact_id != 0) {
      show_run(out.graph.artifacts.at(node.artifact_id).run_id);
    } else {
      show_run(node.task.run_id);
      if (auto task = store::task_summary(c, node.task.run_id, node.task.task_id)) {
        out.tasks.emplace(node.task, std::move(*task));
      }
    }
  }
  return out;
}

json::object node_json(const Answer& answer, const metadata::LineageNode& node) {
  if (node.artifact_id != 0) {
    return json::object{{"id", metadata::node_name(node.artifact_id)},
                        {"kind", "artifact"},
                        {"level", node.level},
                        {"artifact", own_artifact_json(answer.graph.artifacts.at(node.artifact_id))}};
  }
  const auto found = answer.tasks.find(node.task);
  // Of a run that was deleted the links alone are left.
  json::object task = found != answer.tasks.end()
                          ? task_summary_json(found->second)
                          : json::object{{"run_id", node.task.run_id}, {"task_id", node.task.task_id}};
  json::object out{
      {"id", metadata::node_name(node.task)}, {"kind", "task"}, {"level", node.level}, {"task", std::move(task)}};
  if (found == answer.tasks.end()) out["deleted"] = true;
  return out;
}

json::object answer_json(const Answer& answer) {
  json::array nodes, edges, start;
  for (const metadata::LineageNode& node : answer.graph.nodes) nodes.push_back(node_json(answer, node));
  for (const metadata::OtherNode& node : answer.graph.others) {
    nodes.push_back(json::object{{"id", node.name}, {"kind", node.kind}, {node.kind, node.fields}});
  }
  for (const auto& [id, run] : answer.runs) {
    nodes.push_back(json::object{{"id", fmt::format("run:{}", id)}, {"kind", "run"}, {"run", run_summary_json(run)}});
  }
  for (const metadata::LineageEdge& edge : answer.graph.edges) {
    json::object one{{"from", edge.from}, {"to", edge.to}, {"kind", metadata::to_string(edge.kind)}};
    if (!edge.key.empty()) one["key"] = edge.key;
    edges.push_back(std::move(one));
  }
  for (const std::string& name : answer.graph.start) start.emplace_back(name);
  return json::object{{"start", std::move(start)},
                      {"nodes", std::move(nodes)},
                      {"edges", std::move(edges)},
                      {"truncated", answer.graph.truncated}};
}

Async<Response> get(const ApiContext& context, Request& request) {
  const Asked asked = read_query(request);
  json::object out = co_await context.store.database().read(
      [&](db::Connection& c) { return answer_json(read_answer(c, context.metadata, asked)); });
  co_return http::json_response(std::move(out));
}

}  // namespace

void add_lineage_routes(Routes& routes) { routes.add_at(Method::Get, "/apis/penstock/v1/lineage", get); }

}  // namespace penstock::pipelines::api
