// Tasks that a client reports of a run, in the newer form of the messages: steps that it carries out itself. Tasks that
// this server carries out are written by it alone.
#include "pipelines/api/messages.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

struct Producer {
  std::string task_name;
  std::string iteration;
};
struct ParameterIo {
  json::value value;
  json::value type;
  std::string parameter_key;
  json::value producer;
};
struct ArtifactIo {
  json::value artifacts;  // a list
  json::value type;
  std::string artifact_key;
  json::value producer;
};
struct SideMessage {
  std::vector<ParameterIo> parameters;
  std::vector<ArtifactIo> artifacts;
};
struct PodMessage {
  std::string name, uid;
  json::value type;
};
struct StatusMetadata {
  std::string message;
  json::object custom_properties;
};
struct TypeAttributes {
  json::value iteration_index, iteration_count;
  bool download_to_workspace = false;
};

enum class TaskStateName { Unspecified, Running, Succeeded, Skipped, Failed, Cached, Pending, Canceled };
enum class TaskTypeName { Root, Runtime, ConditionBranch, Condition, Loop, ExitHandler, Importer, Dag };
constexpr EnumName kStates[] = {{0, "RUNTIME_STATE_UNSPECIFIED"},
                                {1, "RUNNING"},
                                {2, "SUCCEEDED"},
                                {3, "SKIPPED"},
                                {4, "FAILED"},
                                {5, "CACHED"},
                                {6, "PENDING"},
                                {7, "CANCELED"}};
constexpr EnumName kTypes[] = {{0, "ROOT"}, {1, "RUNTIME"},      {2, "CONDITION_BRANCH"}, {3, "CONDITION"},
                               {4, "LOOP"}, {5, "EXIT_HANDLER"}, {6, "IMPORTER"},         {7, "DAG"}};

struct TaskMessage {
  std::string name, display_name, task_id, run_id, cache_fingerprint, parent_task_id, scope_path;
  std::vector<PodMessage> pods;
  Time create_time{}, start_time{}, end_time{};
  TaskStateName state = TaskStateName::Unspecified;
  TaskTypeName type = TaskTypeName::Runtime;
  StatusMetadata status_metadata;
  TypeAttributes type_attributes;
  SideMessage inputs, outputs;
  json::value state_history, child_tasks;  // the server's own
};

const Fields<SideMessage>& side_fields() {
  static const auto kParameter = Fields<ParameterIo>("IOParameter")
                                     .add("value", &ParameterIo::value)
                                     .add("type", &ParameterIo::type)
                                     .add("parameter_key", &ParameterIo::parameter_key, {.required = true})
                                     .add("producer", &ParameterIo::producer);
  static const auto kArtifact = Fields<ArtifactIo>("IOArtifact")
                                    .add("artifacts", &ArtifactIo::artifacts)
                                    .add("type", &ArtifactIo::type)
                                    .add("artifact_key", &ArtifactIo::artifact_key, {.required = true})
                                    .add("producer", &ArtifactIo::producer);
  static const auto kFields = Fields<SideMessage>("InputOutputs")
                                  .add("parameters", &SideMessage::parameters, kParameter)
                                  .add("artifacts", &SideMessage::artifacts, kArtifact);
  return kFields;
}

const Fields<TaskMessage>& task_fields() {
  using M = TaskMessage;
  static const auto kPod = Fields<PodMessage>("TaskPod")
                               .add("name", &PodMessage::name)
                               .add("uid", &PodMessage::uid)
                               .add("type", &PodMessage::type);
  static const auto kStatus = Fields<StatusMetadata>("StatusMetadata")
                                  .add("message", &StatusMetadata::message)
                                  .add("custom_properties", &StatusMetadata::custom_properties);
  static const auto kAttributes = Fields<TypeAttributes>("TypeAttributes")
                                      .add("iteration_index", &TypeAttributes::iteration_index)
                                      .add("iteration_count", &TypeAttributes::iteration_count)
                                      .add("download_to_workspace", &TypeAttributes::download_to_workspace);
  static const auto kFields = Fields<M>("PipelineTask")
                                  .add("name", &M::name, {.max_length = 128})
                                  .add("display_name", &M::display_name, {.max_length = 1'024})
                                  .add("task_id", &M::task_id)
                                  .add("run_id", &M::run_id)
                                  .add("pods", &M::pods, kPod)
                                  .add("cache_fingerprint", &M::cache_fingerprint, {.max_length = 255})
                                  .add("create_time", &M::create_time, {.output_only = true})
                                  .add("start_time", &M::start_time)
                                  .add("end_time", &M::end_time)
                                  .add("state", &M::state, kStates)
                                  .add("status_metadata", &M::status_metadata, kStatus)
                                  .add("state_history", &M::state_history, {.output_only = true})
                                  .add("type", &M::type, kTypes)
                                  .add("type_attributes", &M::type_attributes, kAttributes)
                                  .add("parent_task_id", &M::parent_task_id)
                                  .add("child_tasks", &M::child_tasks, {.output_only = true})
                                  .add("inputs", &M::inputs, side_fields())
                                  .add("outputs", &M::outputs, side_fields())
                                  .add("scope_path", &M::scope_path, {.max_length = 4'096});
  return kFields;
}

std::string io_type_at(const json::value& type, const std::string& path, std::string_view fallback) {
  if (type.is_null()) return std::string(fallback);
  const std::string text = type.is_string() ? to_std(type.as_string()) : to_text(type);
  const std::string name = read_io_type(text, path);
  return name.empty() ? std::string(fallback) : name;
}

json::object producer_at(const json::value& producer, const std::string& path) {
  static const auto kFields =
      Fields<Producer>("IOProducer").add("task_name", &Producer::task_name).add("iteration", &Producer::iteration);
  if (producer.is_null()) return {};
  json::value copy = producer;
  if (json::value* iteration = copy.is_object() ? copy.as_object().if_contains("iteration") : nullptr;
      iteration && !iteration->is_string()) {
    *iteration = std::to_string(read_int64(*iteration, path + ".iteration"));
  }
  return kFields.write(kFields.read(copy, path));
}

// An artifact as a task's row keeps it.
json::object stored_artifact(const json::value& artifact, const std::string& path) {
  if (!artifact.is_object()) throw Error(Code::InvalidArgument, path + ": expected an object", path);
  json::object out;
  const json::object& from = artifact.as_object();
  const json::value* id = find(from, "artifact_id");
  if (!id) id = find(from, "artifactId");
  if (id) out["id"] = std::to_string(read_int64(*id, path + ".artifact_id"));
  for (const std::string_view key : {"name", "uri"}) {
    if (const std::string text = get_string(from, key); !text.empty()) out[key] = text;
  }
  const std::string type = get_string(from, "type", "Artifact");
  out["type"] = json::object{{"schemaTitle", schema_title_of(type, path + ".type")}};
  if (const json::object* metadata = find_object(from, "metadata")) out["metadata"] = *metadata;
  return out;
}

json::array stored_artifacts(const json::value& list, const std::string& path) {
  json::array out;
  if (list.is_null()) return out;
  if (!list.is_array()) throw Error(Code::InvalidArgument, path + ": expected a list", path);
  for (size_t i = 0; i < list.as_array().size(); ++i) {
    out.push_back(stored_artifact(list.as_array()[i], fmt::format("{}[{}]", path, i)));
  }
  return out;
}

json::object stored_side(const SideMessage& side, const std::string& path, bool outputs) {
  json::object parameters, artifacts;
  const std::string_view fallback = outputs ? "OUTPUT" : "COMPONENT_INPUT";
  for (size_t i = 0; i < side.parameters.size(); ++i) {
    const ParameterIo& from = side.parameters[i];
    const std::string at = fmt::format("{}.parameters[{}]", path, i);
    const std::string type = io_type_at(from.type, at + ".type", fallback);
    json::object producer = producer_at(from.producer, at + ".producer");
    if (outputs) {
      parameters[from.parameter_key] = from.value;
      continue;
    }
    json::object entry{{"value", from.value}, {"type", type}};
    if (!producer.empty()) entry["producer"] = std::move(producer);
    parameters[from.parameter_key] = std::move(entry);
  }
  for (size_t i = 0; i < side.artifacts.size(); ++i) {
    const ArtifactIo& from = side.artifacts[i];
    const std::string at = fmt::format("{}.artifacts[{}]", path, i);
    const std::string type = io_type_at(from.type, at + ".type", fallback);
    json::object producer = producer_at(from.producer, at + ".producer");
    json::array list = stored_artifacts(from.artifacts, at + ".artifacts");
    if (outputs) {
      artifacts[from.artifact_key] = std::move(list);
      continue;
    }
    json::object entry{{"artifacts", std::move(list)}, {"type", type}};
    if (!producer.empty()) entry["producer"] = std::move(producer);
    artifacts[from.artifact_key] = std::move(entry);
  }
  json::object out;
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (!artifacts.empty()) out["artifacts"] = std::move(artifacts);
  return out;
}

int32_t count_at(const json::value& value, const std::string& path) {
  const int64_t number = read_int64(value, path);
  if (number < 0 || number > INT32_MAX)
    throw Error(Code::InvalidArgument, fmt::format("{}: {} is no count", path, number), path);
  return static_cast<int32_t>(number);
}

bool is_final_state(std::string_view state) { return state != "PENDING" && state != "RUNNING"; }

// A task's message, and which of its fields the client gave.
struct TaskChange {
  json::value body;
  TaskMessage message;

  explicit TaskChange(json::value value, const std::string& path = {})
      : body(std::move(value)), message(task_fields().read(body, path)), path_(path.empty() ? path : path + ".") {
    inputs_ = stored_side(message.inputs, path_ + "inputs", false);
    outputs_ = stored_side(message.outputs, path_ + "outputs", true);
    const TypeAttributes& attributes = message.type_attributes;
    if (!attributes.iteration_index.is_null())
      index_ = count_at(attributes.iteration_index, path_ + "type_attributes.iteration_index");
    if (!attributes.iteration_count.is_null())
      count_ = count_at(attributes.iteration_count, path_ + "type_attributes.iteration_count");
  }

  void apply(TaskRecord& task, Time now) const {
    const TaskMessage& m = message;
    if (has("name", "name") && m.name.empty()) {
      throw Error(Code::InvalidArgument, path_ + "name: it may not be empty", path_ + "name");
    }
    if (has("name", "name")) task.name = m.name;
    if (has("display_name", "displayName")) task.display_name = m.display_name;
    if (has("cache_fingerprint", "cacheFingerprint")) task.fingerprint = m.cache_fingerprint;
    if (has("start_time", "startTime")) task.start_time = m.start_time;
    if (has("end_time", "endTime")) task.end_time = m.end_time;
    if (has("type", "type")) task.type = kTypes[static_cast<size_t>(m.type)].name;
    if (has("parent_task_id", "parentTaskId")) task.parent_task_id = m.parent_task_id;
    if (has("scope_path", "scopePath")) task.scope_path = m.scope_path;
    if (has("inputs", "inputs")) task.inputs = inputs_;
    if (has("outputs", "outputs")) task.outputs = outputs_;
    if (index_) task.iteration_index = *index_;
    if (count_) task.iteration_count = *count_;
    if (!m.pods.empty()) {
      task.pod_name = m.pods.back().name;
      task.pod_uid = m.pods.back().uid;
    }
    if (m.state != TaskStateName::Unspecified) task.state = kStates[static_cast<size_t>(m.state)].name;
    if (has("status_metadata", "statusMetadata")) {
      const bool failed = task.state == "FAILED";
      task.error = {m.status_metadata.message.empty() ? 0 : failed ? 1 : 0, m.status_metadata.message};
    }
    if (is_final_state(task.state) && task.end_time == Time{}) task.end_time = now;
    if (task.end_time != Time{} && task.start_time != Time{} && task.end_time < task.start_time) {
      throw Error(Code::InvalidArgument, path_ + "end_time: it is before start_time", path_ + "end_time");
    }
  }

  void check_ids(std::string_view run_id, std::string_view task_id) const {
    if (!message.run_id.empty() && message.run_id != run_id) {
      throw Error(Code::InvalidArgument, path_ + "run_id: it differs from the one in the path", path_ + "run_id");
    }
    if (!message.task_id.empty() && message.task_id != task_id) {
      throw Error(Code::InvalidArgument, path_ + "task_id: it differs from the task's", path_ + "task_id");
    }
  }

 private:
  bool has(std::string_view key, std::string_view camel) const { return has_field(body, key, camel); }
  std::string path_;
  json::object inputs_, outputs_;
  std::optional<int32_t> index_, count_;
};

Async<Response> create(const ApiContext& context, Request& request) {
  const TaskChange change(co_await read_json(context, request));
  if (change.message.name.empty()) {
    throw Error(Code::InvalidArgument, "name: it is required and missing", "name");
  }
  TaskRecord task;
  task.run_id = param(request, "run_id");
  task.type = "RUNTIME";
  task.state = "RUNNING";
  change.check_ids(task.run_id, "");
  change.apply(task, context.store.now());
  task = co_await context.store.create_task(std::move(task));
  co_return http::json_response(task_json(task, {}));
}

Async<json::object> with_children(const ApiContext& context, TaskRecord task) {
  std::vector<std::string> parents;
  parents.push_back(task.task_id);
  auto children = co_await context.store.child_tasks(task.run_id, std::move(parents));
  co_return task_json(task, children[task.task_id]);
}

Async<Response> update(const ApiContext& context, Request& request) {
  const TaskChange change(co_await read_json(context, request));
  const std::string run_id = param(request, "run_id"), task_id = param(request, "task_id");
  change.check_ids(run_id, task_id);
  const Time now = context.store.now();
  std::vector<std::string> ids;
  ids.push_back(task_id);
  const auto apply = [&](TaskRecord& task) { change.apply(task, now); };
  auto changed = co_await context.store.change_tasks(run_id, std::move(ids), apply);
  co_return http::json_response(co_await with_children(context, std::move(changed[0])));
}

constexpr size_t kMaxBatch = 1'000;

Async<Response> update_all(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  const json::object* tasks = nullptr;
  if (body.is_object()) {
    for (const auto& [key, value] : body.as_object()) {
      if (key != "tasks")
        throw Error(Code::InvalidArgument, fmt::format("{}: unknown field", std::string_view(key)), std::string(key));
    }
    tasks = find_object(body.as_object(), "tasks");
  }
  if (!tasks || tasks->empty() || tasks->size() > kMaxBatch) {
    throw Error(Code::InvalidArgument, fmt::format("tasks: expected a map of 1 to {} tasks by their ids", kMaxBatch),
                "tasks");
  }
  const std::string run_id = param(request, "run_id");
  std::map<std::string, TaskChange> changes;
  std::vector<std::string> ids;
  for (const auto& [id, task] : *tasks) {
    const TaskChange& change =
        changes.emplace(id, TaskChange(task, fmt::format("tasks.{}", std::string_view(id)))).first->second;
    change.check_ids(run_id, id);
    ids.emplace_back(id);
  }
  const Time now = context.store.now();
  const auto apply = [&](TaskRecord& task) { changes.at(task.task_id).apply(task, now); };
  auto changed = co_await context.store.change_tasks(run_id, std::move(ids), apply);
  json::object out;
  for (TaskRecord& task : changed) {
    const std::string id = task.task_id;
    out[id] = co_await with_children(context, std::move(task));
  }
  co_return http::json_response(json::object{{"tasks", std::move(out)}});
}

struct FindCached {
  std::string name_space, cache_fingerprint;
};

Async<Response> find_cached(const ApiContext& context, Request& request) {
  static const auto kFields = Fields<FindCached>("FindCachedTaskRequest")
                                  .add("namespace", &FindCached::name_space)
                                  .add("cache_fingerprint", &FindCached::cache_fingerprint, {.required = true});
  const json::value body = co_await read_json(context, request);
  const FindCached wanted = kFields.read(body);
  TaskRecord task = co_await context.store.find_by_fingerprint(wanted.cache_fingerprint);
  co_return http::json_response(co_await with_children(context, std::move(task)));
}

}  // namespace

void add_reported_task_routes(Routes& routes) {
  routes.add(Method::Post, "/runs/{run_id}/tasks", create);
  routes.add(Method::Patch, "/runs/{run_id}/tasks/{task_id}", update);
  routes.add(Method::Post, "/runs/{run_id}/tasks:batchUpdate", update_all);
  routes.add(Method::Post, "/tasks:findCached", find_cached);
}

}  // namespace penstock::pipelines::api
