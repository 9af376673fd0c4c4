// Artifacts, and their uses by tasks, that a client reports. All of a request or nothing of it is stored.
#include "pipelines/api/messages.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kMaxBatch = 1'000;

struct ArtifactMessage {
  std::string artifact_id, name, description, uri, name_space;
  json::value type;
  json::object metadata;
  double number_value = 0;
  Time created_at{};
};
struct CreateArtifact {
  ArtifactMessage artifact;
  std::string run_id, task_id, producer_key;
  json::value iteration_index, type;
  bool reuse_if_exists = false;
};
struct CreateArtifacts {
  std::vector<CreateArtifact> artifacts;
};
struct ProducerMessage {
  std::string task_name;
  json::value iteration;
};
struct ArtifactTask {
  std::string id, artifact_id, run_id, task_id, key;
  json::value type;
  ProducerMessage producer;
};
struct CreateArtifactTask {
  ArtifactTask artifact_task;
};
struct CreateArtifactTasks {
  std::vector<ArtifactTask> artifact_tasks;
};

const Fields<CreateArtifact>& create_artifact_fields() {
  using A = ArtifactMessage;
  using C = CreateArtifact;
  static const auto kArtifact = Fields<A>("Artifact")
                                    .add("artifact_id", &A::artifact_id, {.output_only = true})
                                    .add("name", &A::name, {.required = true, .max_length = 128})
                                    .add("description", &A::description)
                                    .add("type", &A::type)
                                    .add("uri", &A::uri, {.max_length = 4'096})
                                    .add("metadata", &A::metadata)
                                    .add("number_value", &A::number_value)
                                    .add("created_at", &A::created_at, {.output_only = true})
                                    .add("namespace", &A::name_space, {.max_length = 63});
  static const auto kFields = Fields<C>("CreateArtifactRequest")
                                  .add("artifact", &C::artifact, kArtifact, {.required = true})
                                  .add("run_id", &C::run_id, {.required = true})
                                  .add("task_id", &C::task_id, {.required = true})
                                  .add("producer_key", &C::producer_key, {.required = true, .max_length = 128})
                                  .add("iteration_index", &C::iteration_index)
                                  .add("type", &C::type)
                                  .add("reuse_if_exists", &C::reuse_if_exists);
  return kFields;
}

const Fields<ArtifactTask>& artifact_task_fields() {
  using M = ArtifactTask;
  static const auto kProducer = Fields<ProducerMessage>("IOProducer")
                                    .add("task_name", &ProducerMessage::task_name)
                                    .add("iteration", &ProducerMessage::iteration);
  static const auto kFields = Fields<M>("ArtifactTask")
                                  .add("id", &M::id, {.output_only = true})
                                  .add("artifact_id", &M::artifact_id, {.required = true})
                                  .add("run_id", &M::run_id, {.required = true})
                                  .add("task_id", &M::task_id, {.required = true})
                                  .add("type", &M::type, {.required = true})
                                  .add("producer", &M::producer, kProducer)
                                  .add("key", &M::key, {.required = true, .max_length = 128});
  return kFields;
}

std::string join(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::string text_of(const json::value& value) { return value.is_string() ? to_std(value.as_string()) : to_text(value); }

std::string io_type_of(const json::value& type, const std::string& field, std::string_view fallback) {
  const std::string name = type.is_null() ? std::string() : read_io_type(text_of(type), field);
  return name.empty() ? std::string(fallback) : name;
}

int64_t iteration_of(const json::value& iteration, const std::string& field) {
  if (iteration.is_null()) return -1;
  const int64_t index = read_int64(iteration, field);
  if (index < 0) throw Error(Code::InvalidArgument, fmt::format("{}: {} is no index", field, index), field);
  return index;
}

// An artifact and its use by the task that made it.
struct NewArtifact {
  metadata::Artifact artifact;
  metadata::Link link;
  bool reuse = false;
};

NewArtifact read_new(const CreateArtifact& message, const std::string& path) {
  NewArtifact out;
  const ArtifactMessage& from = message.artifact;
  const std::string type_field = join(path, "artifact.type");
  out.artifact.name = from.name;
  out.artifact.description = from.description;
  out.artifact.type = schema_title_of(from.type.is_null() ? std::string() : text_of(from.type), type_field);
  out.artifact.type_version = "0.0.1";
  out.artifact.uri = from.uri;
  out.artifact.metadata = from.metadata;
  out.artifact.number_value = from.number_value;
  out.artifact.run_id = message.run_id;
  out.artifact.task_id = message.task_id;
  out.artifact.producer_key = message.producer_key;
  out.link.run_id = message.run_id;
  out.link.task_id = message.task_id;
  out.link.key = message.producer_key;
  out.link.iteration = iteration_of(message.iteration_index, join(path, "iteration_index"));
  out.link.type = io_type_of(message.type, join(path, "type"), out.link.iteration >= 0 ? "ITERATOR_OUTPUT" : "OUTPUT");
  out.link.direction = is_output(out.link.type) ? metadata::Direction::Output : metadata::Direction::Input;
  out.reuse = message.reuse_if_exists;
  return out;
}

// A reported task's row shows its artifacts too.
void show_on_task(db::Connection& c, TaskRecord task, const metadata::Artifact& artifact, const metadata::Link& link) {
  if (!task.reported) return;
  const bool output = link.direction == metadata::Direction::Output;
  json::object& side = output ? task.outputs : task.inputs;
  json::value& artifacts = side["artifacts"];
  if (!artifacts.is_object()) artifacts = json::object();
  json::value& entry = artifacts.as_object()[link.key];
  json::array* list = nullptr;
  if (output) {
    if (!entry.is_array()) entry = json::array();
    list = &entry.as_array();
  } else {
    if (!entry.is_object()) entry = json::object{{"artifacts", json::array()}, {"type", link.type}};
    list = &entry.as_object()["artifacts"].as_array();
  }
  json::object shown{{"id", std::to_string(artifact.artifact_id)},
                     {"name", artifact.name},
                     {"uri", artifact.uri},
                     {"type", {{"schemaTitle", artifact.type}}}};
  if (!artifact.metadata.empty()) shown["metadata"] = artifact.metadata;
  list->push_back(std::move(shown));
  store::put_reported_task(c, std::move(task));
}

metadata::Artifact store_new(db::Connection& c, const NewArtifact& made) {
  TaskRecord task = store::load_task(c, made.artifact.run_id, made.artifact.task_id);
  int64_t id = 0;
  if (made.reuse) id = metadata::find_artifact(c, made.artifact.uri, made.artifact.type, made.artifact.metadata);
  if (id == 0) id = metadata::put_artifact(c, made.artifact);
  metadata::Artifact artifact = metadata::get_artifact(c, id);
  metadata::Link link = made.link;
  link.artifact_id = id;
  metadata::put_link(c, link);
  show_on_task(c, std::move(task), artifact, link);
  return artifact;
}

Async<std::vector<metadata::Artifact>> store_all(const ApiContext& context, std::vector<NewArtifact> made) {
  const Time now = context.store.now();
  for (NewArtifact& one : made) {
    one.artifact.artifact_id = context.metadata.next_artifact_id();
    one.artifact.created_at = now;
  }
  co_return co_await context.store.database().write([&](db::Connection& c) {
    std::vector<metadata::Artifact> artifacts;
    for (const NewArtifact& one : made) artifacts.push_back(store_new(c, one));
    return artifacts;
  });
}

void check_batch(size_t size, std::string_view field) {
  if (size >= 1 && size <= kMaxBatch) return;
  throw Error(Code::InvalidArgument, fmt::format("{}: {} are given; 1 to {} are taken at once", field, size, kMaxBatch),
              std::string(field));
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  std::vector<NewArtifact> made;
  made.push_back(read_new(create_artifact_fields().read(body), ""));
  const auto artifacts = co_await store_all(context, std::move(made));
  co_return http::json_response(artifact_json(artifacts[0]));
}

Async<Response> create_all(const ApiContext& context, Request& request) {
  static const auto kFields = Fields<CreateArtifacts>("CreateArtifactsBulkRequest")
                                  .add("artifacts", &CreateArtifacts::artifacts, create_artifact_fields());
  const json::value body = co_await read_json(context, request);
  const CreateArtifacts message = kFields.read(body);
  check_batch(message.artifacts.size(), "artifacts");
  std::vector<NewArtifact> made;
  for (size_t i = 0; i < message.artifacts.size(); ++i) {
    made.push_back(read_new(message.artifacts[i], fmt::format("artifacts[{}]", i)));
  }
  const auto artifacts = co_await store_all(context, std::move(made));
  json::array out;
  for (const metadata::Artifact& artifact : artifacts) out.push_back(artifact_json(artifact));
  co_return http::json_response(json::object{{"artifacts", std::move(out)}});
}

metadata::Link read_link(const ArtifactTask& message, const std::string& path) {
  metadata::Link link;
  link.artifact_id = read_int64(json::value(message.artifact_id), join(path, "artifact_id"));
  link.run_id = message.run_id;
  link.task_id = message.task_id;
  link.key = message.key;
  link.type = read_io_type(text_of(message.type), join(path, "type"));
  if (link.type.empty()) {
    const std::string field = join(path, "type");
    throw Error(Code::InvalidArgument, field + ": it is required and missing", field);
  }
  link.direction = is_output(link.type) ? metadata::Direction::Output : metadata::Direction::Input;
  link.producer = message.producer.task_name;
  link.iteration = iteration_of(message.producer.iteration, join(path, "producer.iteration"));
  return link;
}

Async<std::vector<metadata::Link>> link_all(const ApiContext& context, std::vector<metadata::Link> links) {
  co_return co_await context.store.database().write([&](db::Connection& c) {
    for (metadata::Link& link : links) {
      TaskRecord task = store::load_task(c, link.run_id, link.task_id);
      const metadata::Artifact artifact = metadata::get_artifact(c, link.artifact_id);
      link.id = metadata::put_link(c, link);
      show_on_task(c, std::move(task), artifact, link);
    }
    return links;
  });
}

Async<Response> create_link(const ApiContext& context, Request& request) {
  static const auto kFields =
      Fields<CreateArtifactTask>("CreateArtifactTaskRequest")
          .add("artifact_task", &CreateArtifactTask::artifact_task, artifact_task_fields(), {.required = true});
  const json::value body = co_await read_json(context, request);
  std::vector<metadata::Link> links;
  links.push_back(read_link(kFields.read(body).artifact_task, "artifact_task"));
  links = co_await link_all(context, std::move(links));
  co_return http::json_response(artifact_task_json(links[0]));
}

Async<Response> create_links(const ApiContext& context, Request& request) {
  static const auto kFields = Fields<CreateArtifactTasks>("CreateArtifactTasksBulkRequest")
                                  .add("artifact_tasks", &CreateArtifactTasks::artifact_tasks, artifact_task_fields());
  const json::value body = co_await read_json(context, request);
  const CreateArtifactTasks message = kFields.read(body);
  check_batch(message.artifact_tasks.size(), "artifact_tasks");
  std::vector<metadata::Link> links;
  for (size_t i = 0; i < message.artifact_tasks.size(); ++i) {
    links.push_back(read_link(message.artifact_tasks[i], fmt::format("artifact_tasks[{}]", i)));
  }
  links = co_await link_all(context, std::move(links));
  json::array out;
  for (const metadata::Link& link : links) out.push_back(artifact_task_json(link));
  co_return http::json_response(json::object{{"artifact_tasks", std::move(out)}});
}

}  // namespace

void add_reported_artifact_routes(Routes& routes) {
  routes.add(Method::Post, "/artifacts", create);
  routes.add(Method::Post, "/artifacts:batchCreate", create_all);
  routes.add(Method::Post, "/artifact_tasks", create_link);
  routes.add(Method::Post, "/artifact_tasks:batchCreate", create_links);
}

}  // namespace penstock::pipelines::api
