#include "pipelines/run/notes.h"

#include <algorithm>

#include "pipelines/engine/launch.h"

namespace penstock::pipelines {

std::string folder_note(FlightKey key, const std::filesystem::path& folder) {
  json::object note{{"note", "Folder"}, {"task", key.first}};
  if (key.second != 0) note["attempt"] = key.second;
  note["folder"] = folder.filename().string();
  return to_text(note);
}

std::string kept_note(const std::string& path, const Kept& kept) {
  return to_text(
      json::object{{"note", "Kept"}, {"path", path}, {"outputs", kept.outputs}, {"pod", kept.pod}, {"uid", kept.uid}});
}

std::string again_note(const std::string& path) { return to_text(json::object{{"note", "Again"}, {"path", path}}); }

bool take_note(ActiveRun& run, const json::value& line, const std::filesystem::path& tasks) {
  const auto* note = line.if_object();
  if (note == nullptr || !note->contains("note")) return false;
  const auto kind = get_string(*note, "note");
  if (kind == "Folder") {
    const FlightKey key{static_cast<engine::TaskId>(get_int(*note, "task")),
                        static_cast<int>(get_int(*note, "attempt"))};
    const auto flight = run.flights.find(key);
    if (flight != run.flights.end()) flight->second.folder = tasks / get_string(*note, "folder");
  } else if (kind == "Kept") {
    auto& kept = run.kept[get_string(*note, "path")];
    if (const auto* outputs = find_object(*note, "outputs")) kept.outputs = *outputs;
    kept.pod = get_string(*note, "pod");
    kept.uid = get_string(*note, "uid");
  } else if (kind == "Again") {
    run.again.push_back(get_string(*note, "path"));
  } else {
    throw internal("a run's log holds the unknown note \"{}\"", kind);
  }
  return true;
}

namespace {

// The task of a dag that a segment of a path names; null for the number of an iteration.
const ir::Task* task_of_segment(const ir::Component& component, std::string_view segment) {
  if (!component.dag) return nullptr;
  for (const ir::Task& one : component.dag->tasks) {
    if (engine::path_segment(one.name) == segment) return &one;
  }
  return nullptr;
}

// Takes the first segment off a path.
std::string_view take_segment(std::string_view& path) {
  const size_t slash = std::min(path.find('/'), path.size());
  const auto segment = path.substr(0, slash);
  path.remove_prefix(std::min(slash + 1, path.size()));
  return segment;
}

bool comes_after(const ir::Dag& dag, const ir::Task& task, const ir::Task& first) {
  std::vector<bool> seen(dag.tasks.size());
  std::vector<int> waiting = first.downstream;
  while (!waiting.empty()) {
    const int index = waiting.back();
    waiting.pop_back();
    if (index == task.index) return true;
    if (seen[static_cast<size_t>(index)]) continue;
    seen[static_cast<size_t>(index)] = true;
    const auto& next = dag.tasks[static_cast<size_t>(index)].downstream;
    waiting.insert(waiting.end(), next.begin(), next.end());
  }
  return false;
}

}  // namespace

bool is_kept_by_retry(const ir::Pipeline& pipeline, std::string_view path) {
  const ir::Component* component = pipeline.root;
  const ir::Task* task = nullptr;
  take_segment(path);  // "root"
  while (!path.empty()) {
    const ir::Task* next = task_of_segment(*component, take_segment(path));
    if (next == nullptr) {
      if (task != nullptr && task->iterator) continue;  // the number of an iteration
      return false;
    }
    if (next->after_failure) return false;
    task = next;
    component = task->component;
  }
  return true;
}

bool is_at_or_below(std::string_view path, std::string_view from) {
  return path.starts_with(from) && (path.size() == from.size() || path[from.size()] == '/');
}

bool follows_from(const ir::Pipeline& pipeline, std::string_view path, std::string_view from) {
  if (is_at_or_below(path, from)) return true;
  const ir::Component* component = pipeline.root;
  take_segment(path);
  take_segment(from);
  while (!path.empty() && !from.empty()) {
    const auto segment = take_segment(path), other = take_segment(from);
    const ir::Task* task = task_of_segment(*component, segment);
    if (segment == other) {
      if (task != nullptr) component = task->component;
      continue;
    }
    const ir::Task* first = task_of_segment(*component, other);
    return task != nullptr && first != nullptr && comes_after(*component->dag, *task, *first);
  }
  return false;
}

}  // namespace penstock::pipelines
