// Where artifacts come from and what came of them, across runs.
//
// Nodes are artifacts and tasks. A task's inputs and outputs connect them. So does an artifact that is there already
// and that a later task gives again, from the cache or through an importer: it stays one node. Artifacts of one URI are
// connected in the order in which they were recorded: a place that was written again, or imported anew.
#pragma once

#include <set>

#include "metadata/metadata.h"

namespace penstock::metadata {

struct TaskKey {
  std::string run_id, task_id;
  auto operator<=>(const TaskKey&) const = default;
};

struct LineageQuery {
  // Where to begin: any of these.
  std::vector<int64_t> artifact_ids;
  std::vector<TaskKey> tasks;
  std::string run_id;  // all its tasks
  bool upstream = true, downstream = true;
  int depth = 10;          // how many tasks away
  size_t max_nodes = 500;  // artifacts and tasks
};

struct LineageNode {
  int64_t artifact_id = 0;  // 0: a task
  TaskKey task{};
  int level = 0;  // tasks away from where it began; negative upstream
};

enum class EdgeKind {
  Input,    // an artifact to a task that took it
  Output,   // a task to an artifact that it made
  Reused,   // a task to an artifact that was there already and that it gave again
  SameUri,  // an artifact to the next one at its URI
  Other,    // of an extension
};
std::string_view to_string(EdgeKind kind);  // "SAME_URI"

// The ends are names of nodes: "artifact:7", "task:<run>/<task>", or an extension's own.
struct LineageEdge {
  std::string from, to;
  EdgeKind kind = EdgeKind::Other;
  std::string key{};  // the name of the task's input or output; of an extension what it likes
  auto operator<=>(const LineageEdge&) const = default;
};
std::string node_name(int64_t artifact_id);
std::string node_name(const TaskKey& task);

// A node of another part, such as a registered model.
struct OtherNode {
  std::string name;  // "model-version:12"
  std::string kind;  // "model_version"
  json::object fields;
};

struct LineageGraph {
  std::vector<LineageNode> nodes;
  std::map<int64_t, Artifact> artifacts;  // those of the nodes, without their metadata
  std::vector<OtherNode> others;
  std::set<LineageEdge> edges;
  std::vector<std::string> start;
  bool truncated = false;  // there is more, past the depth or the number of nodes
};

// What other parts know of artifacts: models that were registered of them, services that serve these.
class LineageExtension {
 public:
  virtual ~LineageExtension() = default;
  // Adds to `others` and `edges` what refers to the graph's artifacts, at most `room` nodes; sets `truncated` when
  // there is more. Runs on a reader's thread.
  virtual void extend(db::Connection& connection, size_t room, LineageGraph& graph) const = 0;
};

// NotFound for an artifact that is not there. A task or run that nothing is known of is a graph with that node or none.
LineageGraph read_lineage(db::Connection& connection, const LineageQuery& query);

}  // namespace penstock::metadata
