#include "registry/api.h"

#include <charconv>

#include "registry/requests.h"

namespace penstock::registry {

namespace {

using http::Method;
using http::Request;
using http::Response;

Response error_response(const Request&, const Error& error) {
  int status = http_status(error.code());
  if (dynamic_cast<const MissingField*>(&error)) status = 422;
  if (error.code() == Code::ResourceExhausted && error.field() == "body") status = 413;
  return http::json_response(json::object{{"code", std::to_string(status)}, {"message", error.message()}}, status);
}

// One collection as the API shows it. model_artifacts is that of artifacts, of one type alone.
struct Face {
  Store* store;
  Kind kind;
  std::string type;
};

Async<Response> list_of(const Face& face, Request& request, Kind kind, int64_t parent) {
  ListRequest list = list_request(request);
  list.kind = kind;
  list.parent = parent;
  list.type = face.type;
  if (kind == Kind::Artifact) {
    if (const std::string type = request.query_or("artifactType", ""); !type.empty()) {
      fields_of(Kind::Artifact, type);
      list.type = type;
    }
  }
  // The lists below a resource can be asked for one of a name; so can the others, an addition.
  list.name = request.query_or("name", "");
  list.external_id = request.query_or("externalId", "");
  const Page page = co_await face.store->list(std::move(list));
  co_return page_response(page);
}

Async<Response> list(const Face& face, Request& request) { co_return co_await list_of(face, request, face.kind, 0); }

Async<Response> create(const Face& face, Request& request) {
  json::value body = co_await read_json(request);
  const Resource made = co_await face.store->create(face.kind, std::move(body), 0, face.type);
  co_return http::json_response(to_json(made), 201);
}

Async<Response> get(const Face& face, Request& request) {
  const Resource found = co_await face.store->get(face.kind, path_id(request), face.type);
  co_return http::json_response(to_json(found));
}

Async<Response> patch(const Face& face, Request& request) {
  const int64_t id = path_id(request);
  json::value body = co_await read_json(request);
  const Resource changed = co_await face.store->update(face.kind, id, std::move(body), face.type);
  co_return http::json_response(to_json(changed));
}

Async<Response> find(const Face& face, Request& request) {
  const std::string parent_text = request.query_or("parentResourceId", "");
  const int64_t parent = parent_text.empty() ? 0 : read_id(parent_text, "parentResourceId");
  const Resource found = co_await face.store->find(face.kind, request.query_or("name", ""),
                                                   request.query_or("externalId", ""), parent, face.type);
  co_return http::json_response(to_json(found));
}

// --- below a resource; the face is that of what is listed and made ---

Async<Response> list_below(const Face& face, Request& request) {
  co_return co_await list_of(face, request, face.kind, path_id(request));
}

Async<Response> create_below(const Face& face, Request& request) {
  const int64_t parent = path_id(request);
  json::value body = co_await read_json(request);
  if (face.kind == Kind::Artifact) {
    const auto [artifact, made] = co_await face.store->put_artifact(parent, std::move(body));
    co_return http::json_response(to_json(artifact), made ? 201 : 200);
  }
  const Resource made = co_await face.store->create(face.kind, std::move(body), parent);
  co_return http::json_response(to_json(made), 201);
}

Async<Response> served_model(const Face& face, Request& request) {
  const Resource found = co_await face.store->served_model(path_id(request));
  co_return http::json_response(to_json(found));
}

Async<Response> served_version(const Face& face, Request& request) {
  const Resource found = co_await face.store->served_version(path_id(request));
  co_return http::json_response(to_json(found));
}

using FaceHandler = Async<Response> (*)(const Face&, Request&);

class Routes {
 public:
  Routes(http::Router& router, Store& store, std::string base)
      : router_(router), store_(store), base_(std::move(base)) {}

  void add(Method method, const std::string& path, Kind kind, FaceHandler handler, std::string type = {}) {
    // Shared: a handler's coroutines refer to it.
    auto face = std::make_shared<const Face>(Face{&store_, kind, std::move(type)});
    router_.add(method, base_ + path, [face, handler](Request& request) { return handler(*face, request); });
  }
  void add_collection(Kind kind, const std::string& collection, const std::string& single,
                      const std::string& type = {}) {
    add(Method::Get, "/" + collection, kind, list, type);
    add(Method::Post, "/" + collection, kind, create, type);
    add(Method::Get, "/" + collection + "/{id}", kind, get, type);
    add(Method::Patch, "/" + collection + "/{id}", kind, patch, type);
    add(Method::Get, "/" + single, kind, find, type);
  }
  void add_below(const std::string& path, Kind kind) {
    add(Method::Get, path, kind, list_below);
    add(Method::Post, path, kind, create_below);
  }

 private:
  http::Router& router_;
  Store& store_;
  std::string base_;
};

void add_version(Routes routes) {
  for (const Kind kind :
       {Kind::RegisteredModel, Kind::ModelVersion, Kind::Artifact, Kind::ServingEnvironment, Kind::InferenceService}) {
    const Schema& schema = schema_of(kind);
    routes.add_collection(kind, std::string(schema.collection), std::string(schema.single));
  }
  routes.add_collection(Kind::Artifact, "model_artifacts", "model_artifact", "model-artifact");
  routes.add_below("/registered_models/{id}/versions", Kind::ModelVersion);
  routes.add_below("/model_versions/{id}/artifacts", Kind::Artifact);
  routes.add_below("/serving_environments/{id}/inference_services", Kind::InferenceService);
  routes.add_below("/inference_services/{id}/serves", Kind::ServeModel);
  routes.add(Method::Get, "/inference_services/{id}/model", Kind::InferenceService, served_model);
  routes.add(Method::Get, "/inference_services/{id}/version", Kind::InferenceService, served_version);
}

}  // namespace

void add_routes(http::Router& router, Store& store, Sources& sources) {
  for (const std::string base : {"/api/model_registry", "/pipeline/api/model_registry"}) {
    router.on_error(base + "/", error_response);
    add_version(Routes(router, store, base + "/v1alpha3"));
    add_version(Routes(router, store, base + "/v1"));
  }
  add_own_routes(router, store, sources);
}

}  // namespace penstock::registry
