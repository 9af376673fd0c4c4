#include "pipelines/run/run_rows.h"

#include "pipelines/run/metrics_file.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

using engine::TaskState;

json::object outputs_json(const engine::Outputs& outputs) {
  json::object object;
  if (!outputs.parameters.empty()) object["parameters"] = outputs.parameters;
  if (!outputs.artifacts.empty()) object["artifacts"] = outputs.artifacts;
  return object;
}

engine::Outputs outputs_from(const json::object& object) {
  engine::Outputs outputs;
  if (const auto* parameters = find_object(object, "parameters")) outputs.parameters = *parameters;
  if (const auto* artifacts = find_object(object, "artifacts")) outputs.artifacts = *artifacts;
  return outputs;
}

namespace {

RunState run_state_of(TaskState state) {
  switch (state) {
    case TaskState::Succeeded: return RunState::Succeeded;
    case TaskState::Canceled: return RunState::Canceled;
    case TaskState::Skipped: return RunState::Skipped;
    default: return RunState::Failed;
  }
}

// {"value", "source", "producer"} of the engine as the API's {"value", "type", "producer": {"task_name"}}.
json::object stored_io(const json::object& inputs) {
  json::object stored;
  for (const auto& [group, members] : inputs) {
    if (!members.is_object()) continue;
    auto& target = stored[group].emplace_object();
    for (const auto& [name, member] : members.get_object()) {
      const auto* object = member.if_object();
      if (object == nullptr) {
        target.emplace(name, member);
        continue;
      }
      json::object entry;
      for (const auto& [key, value] : *object) {
        if (key == "source") {
          entry["type"] = value;
        } else if (key == "producer") {
          entry["producer"] = {{"task_name", value}};
        } else {
          entry.emplace(key, value);
        }
      }
      target.emplace(name, std::move(entry));
    }
  }
  return stored;
}

// Without inputs and outputs.
TaskRecord stored_record(const std::string& run_id, const engine::TaskRecord& from) {
  TaskRecord record;
  record.run_id = run_id;
  record.task_id = from.task_id;
  record.parent_task_id = from.parent_task_id;
  record.position = from.task;
  record.name = from.name;
  record.display_name = from.display_name;
  record.type = engine::name_of(from.type);
  record.state = engine::name_of(from.state);
  record.scope_path = from.path;
  record.create_time = from.create_time;
  record.start_time = from.start_time;
  record.end_time = from.end_time;
  record.error = {from.error.code, from.error.message};
  record.waiting = from.waiting;
  record.attempt = from.attempt;
  record.iteration_index = static_cast<int32_t>(from.iteration_index);
  record.iteration_count = static_cast<int32_t>(from.iteration_count);
  record.fingerprint = from.fingerprint;
  record.cache_note = from.cache_note;
  if (from.not_applied) record.not_applied = *from.not_applied;
  return record;
}

// INPUT and OUTPUT links of a record that has just been launched or ended.
void link_artifacts(const std::string& run_id, const engine::TaskRecord& record, std::vector<metadata::Link>& links) {
  auto add = [&](const json::object& artifacts, bool input) {
    for (const auto& [key, member] : artifacts) {
      const json::value* list = &member;
      if (const auto* object = member.if_object()) list = object->if_contains("artifacts");
      if (list == nullptr || !list->is_array()) continue;
      for (const auto& artifact : list->get_array()) {
        const auto id = artifact.is_object() ? get_int(artifact.get_object(), "id") : 0;
        if (id == 0) continue;
        metadata::Link link;
        link.artifact_id = id;
        link.run_id = run_id;
        link.task_id = record.task_id;
        link.direction = input ? metadata::Direction::Input : metadata::Direction::Output;
        link.key = key;
        if (const auto* object = member.if_object()) {
          link.type = get_string(*object, "source");
          link.producer = get_string(*object, "producer");
        }
        links.push_back(std::move(link));
      }
    }
  };
  const bool runs = record.type == engine::TaskType::Runtime || record.type == engine::TaskType::Importer;
  if (!runs) return;
  if (record.inputs && (record.state == TaskState::Running || record.state == TaskState::Cached)) {
    if (const auto* artifacts = find_object(*record.inputs, "artifacts")) add(*artifacts, true);
  }
  if (record.outputs && (record.state == TaskState::Succeeded || record.state == TaskState::Cached)) {
    add(record.outputs->artifacts, false);
  }
}

}  // namespace

void RunRows::add(const std::string& run_id, std::shared_ptr<const engine::TaskRecord> record) {
  link_artifacts(run_id, *record, links_);
  const bool ended = record->state == TaskState::Succeeded || record->state == TaskState::Cached;
  if (ended && record->outputs && record->type == engine::TaskType::Runtime) {
    for (const auto& [name, list] : record->outputs->artifacts) {
      if (!is_artifact_name(name, kMetricsArtifact) || !list.is_array()) continue;
      for (const auto& artifact : list.get_array())
        metrics_files_.push_back({record->path, string_at(artifact, {"uri"})});
    }
  }
  const auto [at, fresh] = task_at_.try_emplace(record->task_id, tasks_.size());
  if (fresh) tasks_.emplace_back();
  auto& task = tasks_[at->second];
  if (fresh || task.record->state != record->state) {
    task.history.push_back({record->change_time, std::string(engine::name_of(record->state)), {}});
  }
  task.record = std::move(record);
}

void RunRows::add_cached(std::string fingerprint, std::string task_id, engine::Outputs outputs) {
  cached_.push_back({std::move(fingerprint), std::move(task_id), std::move(outputs)});
}

bool RunRows::empty() const {
  return tasks_.empty() && artifacts_.empty() && links_.empty() && cached_.empty() && !begins_ && !cancels_ &&
         !finished_;
}

std::optional<RunState> RunRows::state() const {
  if (finished_) return run_state_of(finished_->state);
  if (cancels_) return RunState::Canceling;
  if (begins_) return RunState::Running;
  return std::nullopt;
}

Status RunRows::error() const { return finished_ ? Status{finished_->error.code, finished_->error.message} : Status{}; }

void RunRows::write(db::Connection& c, const Run& run, int64_t events, Time now) const {
  std::vector<TaskRecord> records;
  records.reserve(tasks_.size());
  for (const auto& task : tasks_) {
    auto& record = records.emplace_back(stored_record(run.run_id, *task.record));
    if (task.record->inputs) record.inputs = stored_io(*task.record->inputs);
    if (task.record->outputs) record.outputs = outputs_json(*task.record->outputs);
    record.state_history = task.history;
    if (const auto pod = pods_.find(record.task_id); pod != pods_.end()) {
      record.pod_name = pod->second.back().first;
      record.pod_uid = pod->second.back().second;
      record.earlier_pods.assign(pod->second.begin(), std::prev(pod->second.end()));
    }
  }
  store::write_tasks(c, records);
  if (!metrics_.empty()) store::put_metrics(c, run.run_id, metrics_);
  for (const auto& artifact : artifacts_) metadata::put_artifact(c, artifact);
  for (const auto& link : links_) metadata::put_link(c, link);
  for (const auto& cached : cached_) {
    store::put_cached(c, run.pipeline_name, cached.fingerprint,
                      {run.run_id, cached.task_id, outputs_json(cached.outputs)}, now);
  }
  if (begins_) store::set_run_state(c, run.run_id, RunState::Running, {}, *begins_);
  if (cancels_ && !finished_) store::set_run_state(c, run.run_id, RunState::Canceling, {}, *cancels_);
  if (finished_) store::set_run_state(c, run.run_id, *state(), error(), finished_->time);
  store::write_progress(c, run.run_id, events);
}

std::string RunRows::lines(const Run& run) const {
  std::string lines;
  for (const auto& task : tasks_) lines += task_line(stored_record(run.run_id, *task.record));
  if (state()) lines += run_line(run);
  return lines;
}

std::string task_line(const TaskRecord& record) {
  json::object task{{"task_id", record.task_id}, {"name", record.name}, {"display_name", record.display_name},
                    {"path", record.scope_path}, {"type", record.type}, {"state", record.state},
                    {"attempt", record.attempt}};
  if (record.start_time != Time{}) task["start_time"] = format_time(record.start_time, true);
  if (record.end_time != Time{}) task["end_time"] = format_time(record.end_time, true);
  if (!record.waiting.empty()) task["waiting"] = record.waiting;
  if (!record.error.empty()) task["error"] = {{"code", record.error.code}, {"message", record.error.message}};
  return to_text(json::object{{"task", std::move(task)}}) + "\n";
}

std::string run_line(const Run& run) {
  json::object line{{"run_id", run.run_id}, {"display_name", run.display_name}, {"state", to_string(run.state)}};
  if (!run.error.empty()) line["error"] = {{"code", run.error.code}, {"message", run.error.message}};
  return to_text(json::object{{"run", std::move(line)}}) + "\n";
}

}  // namespace penstock::pipelines
