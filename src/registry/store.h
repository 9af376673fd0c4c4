// The registry's tables, in the program's database. Changes are synced before they are answered.
//
// Names are unique among a kind's siblings (the versions of a model, the artifacts of a version, the services of an
// environment), external ids in their kind. An artifact with a uri holds what lies there (metadata/references.h) for as
// long as its state is not DELETED, and knows the artifact of that uri which a run made (artifact_id; the view
// registered_artifacts is for joins).
#pragma once

#include "base/async.h"
#include "base/clock.h"
#include "db/database.h"
#include "registry/filter.h"
#include "registry/resource.h"

namespace penstock::registry {

enum class OrderBy { Id, CreateTime, LastUpdateTime };

struct ListRequest {
  Kind kind = Kind::RegisteredModel;
  int64_t parent = 0;  // 0: of any
  std::string type;    // of artifacts; empty: of any
  std::string name, external_id;
  int64_t page_size = 0;  // 0: 20
  std::string page_token;
  OrderBy order_by = OrderBy::Id;
  bool descending = false;
  std::string filter;
};

struct Page {
  std::vector<Resource> items;
  int64_t page_size = 0;
  std::string next_page_token;
};

struct Alias {
  std::string name;
  int64_t version = 0;
};

// What the API calls a run's artifact, once it is found.
struct RunArtifact {
  std::string run_id, run_name, name_space;
  int64_t artifact_id = 0;
  std::string name, type, uri;
  json::object metadata;
};

struct NewRegistration {
  std::string model, version, description, author;  // an empty version: the next number
  std::string format_name, format_version;          // empty: what the artifact's metadata says
  std::vector<std::string> aliases;
};

struct Registration {
  Resource model, version, artifact;
  bool made = false;  // false: it was there already, just so
};

class Store {
 public:
  // Both must outlive the store.
  Store(db::Database& database, const Clock& clock) : database_(database), clock_(clock) {}
  static const db::Migrations& migrations();

  // `parent` 0: what the body says. NotFound for the parent and for what the fields refer to, AlreadyExists.
  Async<Resource> create(Kind kind, json::value body, int64_t parent = 0, std::string artifact_type = {});
  // What the body does not give stays. `artifact_type`: NotFound unless the artifact is of it.
  Async<Resource> update(Kind kind, int64_t id, json::value body, std::string artifact_type = {});
  // An artifact of a version: without an id a new one; else that one, changed, and the version's from now on too.
  Async<std::pair<Resource, bool>> put_artifact(int64_t version, json::value body);  // true: a new one
  Async<Resource> get(Kind kind, int64_t id, std::string artifact_type = {});
  // By name (and parent, for kinds that have one) or external id. NotFound, also when there are several.
  Async<Resource> find(Kind kind, std::string name, std::string external_id, int64_t parent, std::string type);
  Async<Page> list(ListRequest request);
  // What an inference service serves: its version, or the newest of its model.
  Async<Resource> served_version(int64_t service);
  Async<Resource> served_model(int64_t service);

  // --- aliases; an addition ---
  Async<std::vector<Alias>> aliases(int64_t model);
  Async<> set_alias(int64_t model, std::string alias, int64_t version);
  Async<> remove_alias(int64_t model, std::string alias);  // NotFound

  // A model version of what a run made: the model when there is none of that name, the version, its model artifact.
  // AlreadyExists when the version is there with something else.
  Async<Registration> register_artifact(RunArtifact from, NewRegistration wanted);

  // Every version that may be served from `uri`, and every service row of the model.
  Async<std::vector<Resource>> versions_at(std::string uri);
  Async<std::vector<Resource>> services_of(int64_t model);

 private:
  db::Database& database_;
  const Clock& clock_;
};

}  // namespace penstock::registry
