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
  } else {
    throw internal("a run's log holds the unknown note \"{}\"", kind);
  }
  return true;
}

bool is_kept_by_retry(const ir::Pipeline& pipeline, std::string_view path) {
  const ir::Component* component = pipeline.root;
  const ir::Task* task = nullptr;
  for (size_t at = path.find('/'); at != std::string_view::npos;) {
    const size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string_view segment = path.substr(at + 1, end - at - 1);
    at = end == path.size() ? std::string_view::npos : end;
    const ir::Task* next = nullptr;
    if (component->dag) {
      for (const ir::Task& one : component->dag->tasks) {
        if (engine::path_segment(one.name) == segment) next = &one;
      }
    }
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

}  // namespace penstock::pipelines
