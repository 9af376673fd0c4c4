#include "registry/store.h"

#include "registry/rows.h"

namespace penstock::registry {

namespace {

constexpr const char* kTables = R"sql(
CREATE TABLE registry_resources (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  parent INTEGER NOT NULL,
  name TEXT NOT NULL,
  external_id TEXT,
  type TEXT NOT NULL,
  uri TEXT NOT NULL,
  artifact_id INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  body TEXT NOT NULL,
  custom TEXT NOT NULL
);
CREATE UNIQUE INDEX registry_names ON registry_resources (kind, parent, name) WHERE kind <> 'Artifact' OR parent <> 0;
CREATE UNIQUE INDEX registry_external_ids ON registry_resources (kind, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX registry_by_name ON registry_resources (kind, name);
CREATE INDEX registry_created ON registry_resources (kind, created_at);
CREATE INDEX registry_updated ON registry_resources (kind, updated_at);
CREATE INDEX registry_uris ON registry_resources (uri) WHERE uri <> '';
CREATE INDEX registry_run_artifacts ON registry_resources (artifact_id) WHERE artifact_id <> 0;

CREATE TABLE registry_attributions (
  owner INTEGER NOT NULL,
  artifact INTEGER NOT NULL,
  PRIMARY KEY (owner, artifact)
) WITHOUT ROWID;
CREATE INDEX registry_attributed ON registry_attributions (artifact);

CREATE TABLE registry_aliases (
  model INTEGER NOT NULL,
  alias TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (model, alias)
) WITHOUT ROWID;

CREATE VIEW registered_artifacts AS
SELECT a.id AS model_artifact_id, a.artifact_id, a.uri, a.name AS artifact_name, v.id AS model_version_id,
  v.name AS version_name, m.id AS registered_model_id, m.name AS model_name
FROM registry_resources a
JOIN registry_attributions t ON t.artifact = a.id
JOIN registry_resources v ON v.id = t.owner AND v.kind = 'ModelVersion'
JOIN registry_resources m ON m.id = v.parent
WHERE a.kind = 'Artifact';
)sql";

int64_t millis(Time time) { return to_micros(time) / 1000; }

void check_type(const Resource& resource, std::string_view type) {
  if (!type.empty() && resource.type != type) {
    throw not_found("artifact with id {} is not a {}", resource.id, type);
  }
}

Resource changed(db::Connection& c, Kind kind, int64_t id, const json::value& body, std::string_view type,
                 int64_t now) {
  Resource resource = rows::get(c, kind, id);
  check_type(resource, type);
  read_into(resource, body);
  rows::update(c, resource, now);
  return resource;
}

}  // namespace

const db::Migrations& Store::migrations() {
  static const db::Migrations kMigrations{"registry", {kTables}};
  return kMigrations;
}

Async<Resource> Store::create(Kind kind, json::value body, int64_t parent, std::string artifact_type) {
  Resource resource;
  resource.kind = kind;
  read_into(resource, body, artifact_type);
  if (parent != 0) resource.parent = parent;
  const Schema& schema = schema_of(kind);
  if (!schema.parent.empty() && resource.parent == 0) throw MissingField(schema.words, schema.parent);
  const int64_t now = millis(clock_.now());
  co_await database_.write([&](db::Connection& c) { rows::insert(c, resource, now); });
  co_return resource;
}

Async<Resource> Store::update(Kind kind, int64_t id, json::value body, std::string artifact_type) {
  const int64_t now = millis(clock_.now());
  co_return co_await database_.write([&](db::Connection& c) { return changed(c, kind, id, body, artifact_type, now); });
}

Async<std::pair<Resource, bool>> Store::put_artifact(int64_t version, json::value body) {
  const std::string given = string_at(body, {"id"});
  if (given.empty()) {
    Resource made = co_await create(Kind::Artifact, std::move(body), version);
    co_return std::make_pair(std::move(made), true);
  }
  const int64_t id = read_id(given, "id");
  const int64_t now = millis(clock_.now());
  Resource resource = co_await database_.write([&](db::Connection& c) {
    rows::get(c, Kind::ModelVersion, version);
    Resource one = changed(c, Kind::Artifact, id, body, "", now);
    rows::attribute(c, version, id);
    return one;
  });
  co_return std::make_pair(std::move(resource), false);
}

Async<Resource> Store::get(Kind kind, int64_t id, std::string artifact_type) {
  co_return co_await database_.read([&](db::Connection& c) {
    Resource resource = rows::get(c, kind, id);
    check_type(resource, artifact_type);
    return resource;
  });
}

Async<Resource> Store::find(Kind kind, std::string name, std::string external_id, int64_t parent, std::string type) {
  const Schema& schema = schema_of(kind);
  const bool owned = !schema.parent.empty() || kind == Kind::Artifact;
  const bool by_name = !name.empty() && (!owned || parent != 0);
  if (!by_name && external_id.empty()) {
    throw Error(Code::InvalidArgument,
                fmt::format("supply either {} or externalId", owned ? "name and parentResourceId" : "name"),
                owned && !name.empty() ? "parentResourceId" : "name");
  }
  ListRequest request;
  request.kind = kind;
  request.parent = parent;
  request.type = type;
  request.name = by_name ? name : std::string();
  request.external_id = external_id;
  request.page_size = 2;
  Page page = co_await list(std::move(request));
  if (page.items.size() != 1) {
    throw not_found("{} {}s found for name={}, externalId={}", page.items.empty() ? "no" : "multiple", schema.words,
                    name, external_id);
  }
  co_return std::move(page.items.front());
}

Async<Resource> Store::served_version(int64_t service) {
  co_return co_await database_.read([&](db::Connection& c) {
    const Resource found = rows::get(c, Kind::InferenceService, service);
    const std::string version = get_string(found.body, "modelVersionId");
    if (!version.empty()) return rows::get(c, Kind::ModelVersion, read_id(version, "modelVersionId"));
    const std::string model = get_string(found.body, "registeredModelId");
    db::Rows newest = c.query(
        fmt::format("SELECT {} FROM registry_resources t WHERE t.kind = 'ModelVersion' AND t.parent = ? ORDER BY "
                    "t.created_at DESC, t.id DESC LIMIT 1",
                    rows::kColumns),
        read_id(model, "registeredModelId"));
    if (!newest.next()) throw not_found("no model versions found for inference service {}", service);
    return rows::read(newest);
  });
}

Async<Resource> Store::served_model(int64_t service) {
  co_return co_await database_.read([&](db::Connection& c) {
    const Resource found = rows::get(c, Kind::InferenceService, service);
    return rows::get(c, Kind::RegisteredModel,
                     read_id(get_string(found.body, "registeredModelId"), "registeredModelId"));
  });
}

Async<std::vector<Alias>> Store::aliases(int64_t model) {
  co_return co_await database_.read([&](db::Connection& c) {
    rows::get(c, Kind::RegisteredModel, model);
    std::vector<Alias> out;
    db::Rows found = c.query("SELECT alias, version FROM registry_aliases WHERE model = ? ORDER BY alias", model);
    while (found.next()) out.push_back({found.string(0), found.integer(1)});
    return out;
  });
}

Async<> Store::set_alias(int64_t model, std::string alias, int64_t version) {
  co_await database_.write([&](db::Connection& c) {
    rows::get(c, Kind::RegisteredModel, model);
    rows::set_alias(c, model, alias, version);
  });
}

Async<> Store::remove_alias(int64_t model, std::string alias) {
  co_await database_.write([&](db::Connection& c) {
    rows::get(c, Kind::RegisteredModel, model);
    if (c.execute("DELETE FROM registry_aliases WHERE model = ? AND alias = ?", model, alias) == 0) {
      throw not_found("registered model {} has no alias {}", model, alias);
    }
  });
}

Async<std::vector<Resource>> Store::versions_at(std::string uri) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::vector<Resource> out;
    db::Rows found =
        c.query(fmt::format("SELECT DISTINCT {} FROM registered_artifacts r JOIN registry_resources t ON t.id = "
                            "r.model_version_id WHERE r.uri = ? ORDER BY t.id",
                            rows::kColumns),
                uri);
    while (found.next()) out.push_back(rows::read(found));
    return out;
  });
}

Async<std::vector<Resource>> Store::services_of(int64_t model) {
  co_return co_await database_.read([&](db::Connection& c) {
    rows::get(c, Kind::RegisteredModel, model);
    std::vector<Resource> out;
    db::Rows found = c.query(fmt::format("SELECT {} FROM registry_resources t WHERE t.kind = 'InferenceService' AND "
                                         "json_extract(t.body, '$.registeredModelId') = ? ORDER BY t.id",
                                         rows::kColumns),
                             std::to_string(model));
    while (found.next()) out.push_back(rows::read(found));
    return out;
  });
}

}  // namespace penstock::registry
