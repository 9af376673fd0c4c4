#include "metadata/lineage.h"

#include <utility>

#include "metadata/rows.h"

namespace penstock::metadata {

std::string_view to_string(EdgeKind kind) {
  switch (kind) {
    case EdgeKind::Input: return "INPUT";
    case EdgeKind::Output: return "OUTPUT";
    case EdgeKind::Reused: return "REUSED";
    case EdgeKind::SameUri: return "SAME_URI";
    case EdgeKind::Other: break;
  }
  return "OTHER";
}

std::string node_name(int64_t artifact_id) { return fmt::format("artifact:{}", artifact_id); }
std::string node_name(const TaskKey& task) { return fmt::format("task:{}/{}", task.run_id, task.task_id); }

namespace {

// Goes from level to level. A level is a set of artifacts; each direction keeps its own record of where it has been, as
// an artifact can lie before one task and behind another.
class Walk {
 public:
  Walk(db::Connection& connection, const LineageQuery& query) : c_(connection), query_(query) {}

  LineageGraph run() {
    begin();
    if (query_.upstream) go(Direction::Input);
    if (query_.downstream) go(Direction::Output);
    // Rows of artifacts may be gone while their links are still there.
    std::set<std::string> known;
    std::erase_if(graph_.nodes, [&](const LineageNode& node) {
      return node.artifact_id != 0 && !graph_.artifacts.contains(node.artifact_id);
    });
    for (const LineageNode& node : graph_.nodes) {
      known.insert(node.artifact_id != 0 ? node_name(node.artifact_id) : node_name(node.task));
    }
    std::erase_if(graph_.edges,
                  [&](const LineageEdge& edge) { return !known.contains(edge.from) || !known.contains(edge.to); });
    return std::move(graph_);
  }

 private:
  using Level = std::set<int64_t>;
  using Tasks = std::set<TaskKey>;

  void begin() {
    for (const int64_t id : query_.artifact_ids) {
      if (load({id}).empty()) throw not_found("Artifact {} not found", id);
      add(id, 0);
      start_.insert(id);
      graph_.start.push_back(node_name(id));
    }
    std::vector<TaskKey> tasks = query_.tasks;
    if (!query_.run_id.empty()) {
      db::Rows rows = c_.query("SELECT DISTINCT task_id FROM artifact_links WHERE run_id = ?", query_.run_id);
      while (tasks.size() <= query_.max_nodes && rows.next()) tasks.push_back({query_.run_id, rows.string(0)});
    }
    for (const TaskKey& task : tasks) {
      if (!add(task, 0)) break;
      start_tasks_.insert(task);
      graph_.start.push_back(node_name(task));
    }
  }

  void go(Direction direction) {
    Level level = start_;
    Tasks tasks = start_tasks_;
    Level been = start_;
    Tasks tasks_been = start_tasks_;
    const int sign = direction == Direction::Input ? -1 : 1;
    for (int depth = 1; !level.empty() || !tasks.empty(); ++depth) {
      // Of the last level only whether there is more.
      const bool last = depth > query_.depth;
      at_ = sign * depth;
      Level next;
      const Tasks found =
          direction == Direction::Input ? producers_of(level, next, last) : takers_of(level, next, last);
      if (last) break;
      for (const TaskKey& task : found) {
        if (tasks_been.insert(task).second) tasks.insert(task);
      }
      if (direction == Direction::Input) {
        inputs_of(tasks, next);
        // What a task at the beginning took from the cache.
        if (depth == 1) outputs_of(tasks, next, true);
      } else {
        outputs_of(tasks, next, false);
      }
      tasks.clear();
      level.clear();
      for (const int64_t id : next) {
        if (been.insert(id).second) level.insert(id);
      }
    }
  }

  // False when there is no room for it.
  bool add(int64_t id, int level) {
    if (artifact_nodes_.contains(id)) return true;
    if (full()) return false;
    artifact_nodes_.insert(id);
    graph_.nodes.push_back({id, {}, level});
    return true;
  }
  bool add(const TaskKey& task, int level) {
    if (task_nodes_.contains(task)) return true;
    if (full()) return false;
    task_nodes_.insert(task);
    graph_.nodes.push_back({0, task, level});
    return true;
  }
  bool full() {
    if (graph_.nodes.size() < query_.max_nodes) return false;
    graph_.truncated = true;
    return true;
  }

  // The rows of these artifacts, read once.
  std::vector<const Artifact*> load(const Level& ids) {
    json::array missing;
    for (const int64_t id : ids) {
      if (!graph_.artifacts.contains(id)) missing.emplace_back(id);
    }
    if (!missing.empty()) {
      db::Rows rows = c_.query(fmt::format("SELECT {} FROM json_each(?) j CROSS JOIN artifacts t ON t.artifact_id = "
                                           "j.value",
                                           kBareArtifactColumns),
                               to_text(missing));
      while (rows.next()) {
        Artifact artifact = read_artifact(rows);
        graph_.artifacts.emplace(artifact.artifact_id, std::move(artifact));
      }
    }
    std::vector<const Artifact*> out;
    for (const int64_t id : ids) {
      if (const auto found = graph_.artifacts.find(id); found != graph_.artifacts.end()) out.push_back(&found->second);
    }
    return out;
  }

  // Who made an artifact; an importer's is known by its link alone.
  TaskKey producer_of(const Artifact& artifact) {
    if (!artifact.task_id.empty()) return {artifact.run_id, artifact.task_id};
    db::Rows rows = c_.query(
        "SELECT run_id, task_id FROM artifact_links WHERE artifact_id = ? AND direction = 1 ORDER BY id LIMIT 1",
        artifact.artifact_id);
    return rows.next() ? TaskKey{rows.string(0), rows.string(1)} : TaskKey{};
  }

  // With `only_look`, says just whether there is anything.
  Tasks producers_of(const Level& level, Level& older, bool only_look) {
    Tasks tasks;
    for (const Artifact* artifact : load(level)) {
      const TaskKey task = producer_of(*artifact);
      const int64_t before = neighbour(*artifact, "MAX", "<");
      if (only_look && (!task.task_id.empty() || before != 0)) {
        graph_.truncated |= (!task.task_id.empty() && !task_nodes_.contains(task)) ||
                            (before != 0 && !artifact_nodes_.contains(before));
        continue;
      }
      if (!task.task_id.empty() && add(task, at_)) {
        tasks.insert(task);
        edge(node_name(task), node_name(artifact->artifact_id), EdgeKind::Output, artifact->producer_key);
      }
      if (before != 0 && add(before, at_)) {
        older.insert(before);
        edge(node_name(before), node_name(artifact->artifact_id), EdgeKind::SameUri, "");
      }
    }
    return tasks;
  }

  // The tasks that took an artifact; beside them, not followed, those that gave it again.
  Tasks takers_of(const Level& level, Level& newer, bool only_look) {
    Tasks tasks;
    for (const Artifact* artifact : load(level)) {
      const TaskKey producer = producer_of(*artifact);
      const std::string name = node_name(artifact->artifact_id);
      db::Rows rows =
          c_.query("SELECT run_id, task_id, direction, key FROM artifact_links WHERE artifact_id = ? ORDER BY id",
                   artifact->artifact_id);
      while (rows.next()) {
        TaskKey task{rows.string(0), rows.string(1)};
        const bool input = rows.integer(2) == 0;
        if (!input && task == producer) continue;
        if (only_look) {
          graph_.truncated |= !task_nodes_.contains(task);
          if (graph_.truncated) return tasks;
          continue;
        }
        if (!add(task, at_)) break;
        if (input) {
          edge(name, node_name(task), EdgeKind::Input, rows.string(3));
          tasks.insert(std::move(task));
        } else {
          edge(node_name(task), name, EdgeKind::Reused, rows.string(3));
        }
      }
      const int64_t after = neighbour(*artifact, "MIN", ">");
      if (after == 0) continue;
      if (only_look) {
        graph_.truncated |= !artifact_nodes_.contains(after);
      } else if (add(after, at_)) {
        newer.insert(after);
        edge(name, node_name(after), EdgeKind::SameUri, "");
      }
    }
    return tasks;
  }

  // The artifact that was recorded at the same URI just before or after this one; 0 when there is none.
  int64_t neighbour(const Artifact& artifact, std::string_view which, std::string_view side) {
    if (artifact.uri.empty()) return 0;
    db::Rows rows =
        c_.query(fmt::format("SELECT {}(artifact_id) FROM artifacts WHERE uri = ? AND artifact_id {} ?", which, side),
                 artifact.uri, artifact.artifact_id);
    return rows.next() && !rows.is_null(0) ? rows.integer(0) : 0;
  }

  void inputs_of(const Tasks& tasks, Level& found) {
    for (const TaskKey& task : tasks) {
      const std::string name = node_name(task);
      db::Rows rows = links_of(task, Direction::Input);
      while (rows.next()) {
        const int64_t id = rows.integer(0);
        if (!add(id, at_)) return;
        found.insert(id);
        edge(node_name(id), name, EdgeKind::Input, rows.string(1));
      }
    }
  }

  void outputs_of(const Tasks& tasks, Level& found, bool only_reused) {
    for (const TaskKey& task : tasks) {
      const std::string name = node_name(task);
      std::vector<std::pair<int64_t, std::string>> links;
      Level ids;
      {
        db::Rows rows = links_of(task, Direction::Output);
        while (links.size() < query_.max_nodes && rows.next()) {
          links.emplace_back(rows.integer(0), rows.string(1));
          ids.insert(rows.integer(0));
        }
        graph_.truncated |= rows.next();
      }
      load(ids);
      for (auto& [id, key] : links) {
        const auto row = graph_.artifacts.find(id);
        if (row == graph_.artifacts.end()) continue;
        const bool reused = producer_of(row->second) != task;
        if (only_reused && !reused) continue;
        if (!add(id, at_)) return;
        found.insert(id);
        if (!reused) key = row->second.producer_key;  // as producers_of() has it
        edge(name, node_name(id), reused ? EdgeKind::Reused : EdgeKind::Output, std::move(key));
      }
    }
  }

  db::Rows links_of(const TaskKey& task, Direction direction) {
    return c_.query(
        "SELECT artifact_id, key FROM artifact_links WHERE run_id = ? AND task_id = ? AND direction = ? "
        "ORDER BY key, iteration, artifact_id",
        task.run_id, task.task_id, direction == Direction::Input ? 0 : 1);
  }

  void edge(std::string from, std::string to, EdgeKind kind, std::string key) {
    graph_.edges.insert({std::move(from), std::move(to), kind, std::move(key)});
  }

  db::Connection& c_;
  const LineageQuery& query_;
  LineageGraph graph_;
  Level start_;
  Tasks start_tasks_;
  std::set<int64_t> artifact_nodes_;
  Tasks task_nodes_;
  int at_ = 0;  // the level that is being made
};

}  // namespace

LineageGraph read_lineage(db::Connection& connection, const LineageQuery& query) {
  return Walk(connection, query).run();
}

}  // namespace penstock::metadata
