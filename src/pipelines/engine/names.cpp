// How a task is called, and its row of the task table.
#include "pipelines/engine/state.h"

namespace penstock::engine {

namespace {

// A retried dag's tasks are new ones, under new names.
std::string prefix_of(const State& state, const Instance& parent) {
  std::string path = path_of(state, parent);
  if (parent.attempt > 0) path += fmt::format("@{}", parent.attempt);
  return path + "/";
}

}  // namespace

const std::string& path_of(const State& state, const Instance& instance) {
  auto& path = instance.path;
  if (!path.empty()) return path;
  path = instance.parent == kNoTask ? "root"
                                    : prefix_of(state, state.at(instance.parent)) + path_segment(name_of(instance));
  return path;
}

const std::string& task_id_of(const State& state, const Instance& instance) {
  auto& id = instance.task_id;
  if (id.empty()) id = uuid_from(state.info.run_id + "/" + path_of(state, instance));
  return id;
}

std::string output_uuid(const State& state, const Instance& instance) {
  return uuid_from(fmt::format("{}/{}#{}", state.info.run_id, path_of(state, instance), instance.attempt));
}

std::string pod_uid_of(const State& state, const Instance& instance) {
  return uuid_from(fmt::format("{}/{}/{}/{}", state.info.run_id, to_micros(state.instances[0]->created),
                               path_of(state, instance), instance.attempt));
}

std::string pod_name(std::string_view resource_name, TaskId task, std::string_view uid) {
  return fmt::format("{}-{}-{}", resource_name, task, uid.substr(0, 5));
}

std::string name_of(const Instance& instance) {
  if (instance.task == nullptr) return "root";
  return instance.iteration >= 0 ? std::to_string(instance.iteration) : instance.task->name;
}

std::string display_name_of(const Instance& instance) {
  if (instance.task == nullptr) return "root";
  if (instance.iteration < 0) return instance.task->display_name;
  return fmt::format("{} [{}]", instance.task->display_name, instance.iteration);
}

JobPlaceholders job_placeholders(const State& state, const std::string& task_name, const std::string& parent_id,
                                 std::vector<std::string>& storage) {
  storage = {format_time(state.info.created_at), format_time(state.info.scheduled_at)};
  return {state.info.display_name,
          state.info.resource_name,
          state.info.run_id,
          task_name,
          parent_id,
          storage[0],
          storage[1],
          state.info.pipeline_root,
          state.info.workspace_path};
}

TaskRecord record_of(const State& state, const Instance& instance) {
  TaskRecord record;
  record.task = instance.id;
  record.parent = instance.parent;
  record.path = path_of(state, instance);
  record.task_id = task_id_of(state, instance);
  if (instance.parent != kNoTask) record.parent_task_id = task_id_of(state, state.at(instance.parent));
  record.name = instance.iteration >= 0 ? instance.task->name : name_of(instance);
  record.display_name = display_name_of(instance);
  record.type = instance.type;
  record.state = instance.state;
  record.attempt = instance.attempt;
  record.iteration_index = instance.iteration;
  if (instance.loop) record.iteration_count = instance.loop->count;
  record.create_time = instance.created;
  record.start_time = instance.started;
  record.end_time = instance.ended;
  record.change_time = instance.changed;
  record.inputs = instance.inputs_json;
  record.outputs = instance.outputs_json;
  record.error = instance.error;
  record.waiting = instance.waiting;
  record.fingerprint = instance.fingerprint;
  record.cached_from = instance.cached_from;
  record.cache_note = instance.cache_note;
  if (instance.component != nullptr && instance.component->executor != nullptr) {
    const ir::Executor& executor = *instance.component->executor;
    record.not_applied = state.info.images ? executor.not_applied_in_images : executor.not_applied;
  }
  if (instance.parent == kNoTask) record.not_applied = state.pipeline->config.not_applied;
  return record;
}

}  // namespace penstock::engine
