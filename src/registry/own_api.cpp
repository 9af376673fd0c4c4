// Penstock's additions, under /apis/penstock/v1.
#include <charconv>

#include "base/fields.h"
#include "registry/requests.h"

namespace penstock::registry {

namespace {

using http::Method;
using http::Request;
using http::Response;

struct Context {
  Store& store;
  Sources& sources;
};

struct RegisterMessage {
  std::string run_id, task, output, artifact_id;
  std::string model, version, description, author, model_format_name, model_format_version;
  std::vector<std::string> aliases;
};

const Fields<RegisterMessage>& register_fields() {
  static const auto fields =
      Fields<RegisterMessage>("RegisterModelRequest")
          .add("run_id", &RegisterMessage::run_id, {.required = true})
          .add("task", &RegisterMessage::task, {.doc = "id or name of the task that made the artifact"})
          .add("output", &RegisterMessage::output, {.doc = "name of the task's output"})
          .add("artifact_id", &RegisterMessage::artifact_id, {.doc = "in the place of task and output"})
          .add("model", &RegisterMessage::model, {.required = true, .doc = "made when there is none of that name"})
          .add("version", &RegisterMessage::version, {.doc = "the next number when there is none"})
          .add("description", &RegisterMessage::description)
          .add("author", &RegisterMessage::author)
          .add("model_format_name", &RegisterMessage::model_format_name)
          .add("model_format_version", &RegisterMessage::model_format_version)
          .add("aliases", &RegisterMessage::aliases);
  return fields;
}

Async<Response> register_model(const Context& context, Request& request) {
  const json::value body = co_await read_json(request);
  const RegisterMessage message = register_fields().read(body);
  RunArtifactQuery query;
  query.run_id = message.run_id;
  query.task = message.task;
  query.output = message.output;
  if (!message.artifact_id.empty()) query.artifact_id = read_id(message.artifact_id, "artifact_id");
  RunArtifact artifact = co_await context.sources.find_artifact(std::move(query));
  NewRegistration wanted;
  wanted.model = message.model;
  wanted.version = message.version;
  wanted.description = message.description;
  wanted.author = message.author;
  wanted.format_name = message.model_format_name;
  wanted.format_version = message.model_format_version;
  wanted.aliases = message.aliases;
  const Registration done = co_await context.store.register_artifact(std::move(artifact), std::move(wanted));
  co_return http::json_response(json::object{{"registered_model", to_json(done.model)},
                                             {"model_version", to_json(done.version)},
                                             {"model_artifact", to_json(done.artifact)}},
                                done.made ? 201 : 200);
}

// --- aliases ---

json::object alias_json(const Alias& alias) {
  return {{"alias", alias.name}, {"model_version_id", std::to_string(alias.version)}};
}

Async<Response> list_aliases(const Context& context, Request& request) {
  json::array items;
  for (const auto& alias : co_await context.store.aliases(path_id(request))) items.push_back(alias_json(alias));
  co_return http::json_response(json::object{{"aliases", std::move(items)}});
}

Async<Response> get_alias(const Context& context, Request& request) {
  const int64_t model = path_id(request);
  const std::string name = request.params.find("alias")->second;
  for (const auto& alias : co_await context.store.aliases(model)) {
    if (alias.name != name) continue;
    const Resource version = co_await context.store.get(Kind::ModelVersion, alias.version);
    json::object out = alias_json(alias);
    out["model_version"] = to_json(version);
    co_return http::json_response(out);
  }
  throw not_found("registered model {} has no alias {}", model, name);
}

Async<Response> set_alias(const Context& context, Request& request) {
  const int64_t model = path_id(request);
  const json::value body = co_await read_json(request);
  Alias alias;
  alias.name = request.params.find("alias")->second;
  alias.version = read_id(string_at(body, {"model_version_id"}), "model_version_id");
  co_await context.store.set_alias(model, alias.name, alias.version);
  co_return http::json_response(alias_json(alias));
}

Async<Response> remove_alias(const Context& context, Request& request) {
  co_await context.store.remove_alias(path_id(request), request.params.find("alias")->second);
  co_return http::json_response(json::object());
}

// --- where a model is served ---

constexpr std::string_view kModelLabel = "modelregistry.kubeflow.org/registered-model-id";
constexpr std::string_view kVersionLabel = "modelregistry.kubeflow.org/model-version-id";
constexpr std::string_view kRegistryScheme = "model-registry://";

// model-registry://[HOST/]MODEL[/VERSION]: the names; a host is told by the dot or colon in it.
std::pair<std::string, std::string> names_in(std::string_view uri) {
  uri.remove_prefix(kRegistryScheme.size());
  std::vector<std::string> parts;
  while (!uri.empty()) {
    const size_t slash = std::min(uri.find('/'), uri.size());
    if (slash > 0) parts.push_back(http::url_decode(uri.substr(0, slash), false));
    uri.remove_prefix(std::min(slash + 1, uri.size()));
  }
  if (parts.size() > 2 || (parts.size() == 2 && parts[0].find(':') != std::string::npos)) parts.erase(parts.begin());
  parts.resize(std::max<size_t>(parts.size(), 2));
  return {parts[0], parts[1]};
}

// The version that a server serves, as far as it can be told; 0 for "the model's newest".
Async<std::optional<int64_t>> version_served(const Context& context, const Resource& model, const ServedModel& server) {
  const std::string by_label = get_string(server.labels, kModelLabel);
  if (by_label == std::to_string(model.id)) {
    // Anybody may write labels.
    const std::string version = get_string(server.labels, kVersionLabel);
    int64_t id = 0;
    std::from_chars(version.data(), version.data() + version.size(), id);
    co_return id;
  }
  if (server.storage_uri.starts_with(kRegistryScheme)) {
    const auto [name, version] = names_in(server.storage_uri);
    if (name != model.name) co_return std::nullopt;
    if (version.empty()) co_return 0;
    for (const auto& alias : co_await context.store.aliases(model.id)) {
      if (alias.name == version) co_return alias.version;
    }
    ListRequest request;
    request.kind = Kind::ModelVersion;
    request.parent = model.id;
    request.name = version;
    const Page page = co_await context.store.list(std::move(request));
    if (page.items.empty()) co_return std::nullopt;
    co_return page.items.front().id;
  }
  if (server.storage_uri.empty()) co_return std::nullopt;
  for (const auto& version : co_await context.store.versions_at(server.storage_uri)) {
    if (version.parent == model.id) co_return version.id;
  }
  co_return std::nullopt;
}

json::object service_json(const Resource& service) {
  json::object out{{"source", "registry"}, {"inference_service", to_json(service)}};
  out["model_version_id"] = get_string(service.body, "modelVersionId");
  out["desired_state"] = get_string(service.body, "desiredState");
  return out;
}

Async<Response> deployments(const Context& context, Request& request) {
  const Resource model = co_await context.store.get(Kind::RegisteredModel, path_id(request));
  json::array items;
  for (const auto& service : co_await context.store.services_of(model.id)) items.push_back(service_json(service));
  for (const auto& server : co_await context.sources.served_models()) {
    const auto version = co_await version_served(context, model, server);
    if (!version) continue;
    items.push_back(json::object{{"source", "kserve"},
                                 {"namespace", server.name_space},
                                 {"name", server.name},
                                 {"storage_uri", server.storage_uri},
                                 {"url", server.url},
                                 {"ready", server.ready},
                                 {"model_version_id", *version == 0 ? std::string() : std::to_string(*version)}});
  }
  co_return http::json_response(json::object{{"deployments", std::move(items)}});
}

}  // namespace

void add_own_routes(http::Router& router, Store& store, Sources& sources) {
  using Handler = Async<Response> (*)(const Context&, Request&);
  // Shared by the handlers of all routes.
  auto context = std::make_shared<const Context>(Context{store, sources});
  const auto add = [&](Method method, std::string_view path, Handler handler, http::RouteDoc doc) {
    const auto call = [context, handler](Request& request) { return handler(*context, request); };
    for (const char* prefix : {"", "/pipeline"}) {
      router.add(method, fmt::format("{}/apis/penstock/v1{}", prefix, path), call, doc);
    }
  };
  add(Method::Post, "/models:register", register_model,
      {"Registers a run's artifact as a version of a model.", "", "object", "object"});
  add(Method::Get, "/models/{id}/aliases", list_aliases, {"The aliases of a model's versions.", "", "", "object"});
  add(Method::Get, "/models/{id}/aliases/{alias}", get_alias, {"The version that an alias names.", "", "", "object"});
  add(Method::Put, "/models/{id}/aliases/{alias}", set_alias,
      {"Lets an alias name a version.", "", "object", "object"});
  add(Method::Delete, "/models/{id}/aliases/{alias}", remove_alias, {"Takes an alias away."});
  add(Method::Get, "/models/{id}/deployments", deployments, {"Where a model is served.", "", "", "object"});
}

}  // namespace penstock::registry
