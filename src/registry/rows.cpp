#include "registry/rows.h"

#include "metadata/references.h"

namespace penstock::registry::rows {

namespace {

Kind kind_from(std::string_view name) {
  for (int i = 0;; ++i) {
    const auto kind = static_cast<Kind>(i);
    if (schema_of(kind).name == name) return kind;
  }
}

std::optional<Kind> parent_kind(Kind kind) {
  switch (kind) {
    case Kind::ModelVersion: return Kind::RegisteredModel;
    case Kind::Artifact: return Kind::ModelVersion;
    case Kind::InferenceService: return Kind::ServingEnvironment;
    case Kind::ServeModel: return Kind::InferenceService;
    default: return std::nullopt;
  }
}

int64_t id_in(const Resource& resource, std::string_view field) {
  const std::string text = get_string(resource.body, field);
  return text.empty() ? 0 : read_id(text, field);
}

void check_references(db::Connection& c, const Resource& resource) {
  if (resource.parent != 0) require_parent(c, resource.kind, resource.parent);
  const int64_t model = id_in(resource, "registeredModelId"), version = id_in(resource, "modelVersionId");
  if (model != 0) get(c, Kind::RegisteredModel, model);
  if (version == 0) return;
  const Resource found = get(c, Kind::ModelVersion, version);
  if (model != 0 && found.parent != model) {
    throw Error(Code::InvalidArgument,
                fmt::format("modelVersionId: model version {} is none of registered model {}", version, model),
                "modelVersionId");
  }
}

// The artifact that a run made at this uri; 0 when none did.
int64_t run_artifact_at(db::Connection& c, const std::string& uri) {
  if (uri.empty()) return 0;
  db::Rows rows = c.query("SELECT artifact_id FROM artifacts WHERE uri = ? ORDER BY artifact_id LIMIT 1", uri);
  return rows.next() ? rows.integer(0) : 0;
}

void hold_content(db::Connection& c, const Resource& resource) {
  const std::string holder = fmt::format("registry/artifacts/{}", resource.id);
  const bool gone = get_string(resource.body, "state") == "DELETED";
  metadata::hold(c, holder, gone ? std::string() : resource.uri(),
                 fmt::format("registered {} {} ({})", resource.type, resource.id, resource.name));
}

// What the unique indexes would refuse, in words.
void check_unique(db::Connection& c, const Resource& resource) {
  const Schema& schema = schema_of(resource.kind);
  const bool nameless = resource.kind == Kind::Artifact && resource.parent == 0;
  if (!nameless) {
    const auto other = find(c, resource.kind, resource.parent, resource.name);
    if (other && other->id != resource.id) {
      throw Error(Code::AlreadyExists, fmt::format("{} with name {} already exists", schema.words, resource.name),
                  "name");
    }
  }
  if (!resource.external_id) return;
  db::Rows rows = c.query("SELECT id FROM registry_resources WHERE kind = ? AND external_id = ? AND id <> ?",
                          schema.name, *resource.external_id, resource.id);
  if (rows.next()) {
    throw Error(Code::AlreadyExists,
                fmt::format("{} with externalId {} already exists", schema.words, *resource.external_id), "externalId");
  }
}

}  // namespace

Resource read(db::Rows& rows) {
  Resource out;
  out.kind = kind_from(rows.text(0));
  out.id = rows.integer(1);
  out.parent = rows.integer(2);
  out.name = rows.string(3);
  if (!rows.is_null(4)) out.external_id = rows.string(4);
  out.type = rows.string(5);
  out.body = parse_json(rows.text(6)).as_object();
  out.custom = parse_json(rows.text(7)).as_object();
  out.created_at = rows.integer(8);
  out.updated_at = rows.integer(9);
  return out;
}

Resource get(db::Connection& c, Kind kind, int64_t id) {
  const Schema& schema = schema_of(kind);
  db::Rows rows = c.query(fmt::format("SELECT {} FROM registry_resources t WHERE t.id = ? AND t.kind = ?", kColumns),
                          id, schema.name);
  if (!rows.next()) throw not_found("no {} found for id {}", schema.words, id);
  return read(rows);
}

void require_parent(db::Connection& c, Kind kind, int64_t parent) {
  if (const auto above = parent_kind(kind)) get(c, *above, parent);
}

std::optional<Resource> find(db::Connection& c, Kind kind, int64_t parent, std::string_view name) {
  db::Rows rows = c.query(
      fmt::format("SELECT {} FROM registry_resources t WHERE t.kind = ? AND t.parent = ? AND t.name = ?", kColumns),
      schema_of(kind).name, parent, name);
  if (!rows.next()) return std::nullopt;
  return read(rows);
}

void insert(db::Connection& c, Resource& resource, int64_t now) {
  check_references(c, resource);
  check_unique(c, resource);
  resource.created_at = resource.updated_at = now;
  const std::string uri = resource.uri();
  c.execute(
      "INSERT INTO registry_resources (kind, parent, name, external_id, type, uri, artifact_id, created_at, "
      "updated_at, "
      "body, custom) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      schema_of(resource.kind).name, resource.parent, resource.name, resource.external_id, resource.type, uri,
      resource.kind == Kind::Artifact ? run_artifact_at(c, uri) : 0, now, now, to_text(resource.body),
      to_text(resource.custom));
  resource.id = c.last_insert_id();
  if (resource.kind != Kind::Artifact) return;
  if (resource.parent != 0) attribute(c, resource.parent, resource.id);
  hold_content(c, resource);
}

void update(db::Connection& c, Resource& resource, int64_t now) {
  check_references(c, resource);
  check_unique(c, resource);
  resource.updated_at = now;
  const std::string uri = resource.uri();
  c.execute(
      "UPDATE registry_resources SET external_id = ?, artifact_id = CASE WHEN uri = ? THEN artifact_id ELSE ? END, "
      "uri = ?, updated_at = ?, body = ?, custom = ? WHERE id = ?",
      resource.external_id, uri, resource.kind == Kind::Artifact ? run_artifact_at(c, uri) : 0, uri, now,
      to_text(resource.body), to_text(resource.custom), resource.id);
  if (resource.kind == Kind::Artifact) hold_content(c, resource);
}

void attribute(db::Connection& c, int64_t owner, int64_t artifact) {
  c.execute("INSERT INTO registry_attributions (owner, artifact) VALUES (?, ?) ON CONFLICT DO NOTHING", owner,
            artifact);
}

void set_alias(db::Connection& c, int64_t model, const std::string& alias, int64_t version) {
  const auto usable = [](char x) {
    return (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || x == '-' || x == '_' ||
           x == '.';
  };
  if (alias.empty() || alias.size() > 63 || !std::all_of(alias.begin(), alias.end(), usable)) {
    throw Error(Code::InvalidArgument,
                fmt::format("alias: is {:?}; expected up to 63 letters, digits, dots, dashes and underscores", alias),
                "alias");
  }
  const Resource found = get(c, Kind::ModelVersion, version);
  if (found.parent != model) {
    throw Error(Code::InvalidArgument,
                fmt::format("model_version_id: model version {} is none of registered model {}", version, model),
                "model_version_id");
  }
  c.execute(
      "INSERT INTO registry_aliases (model, alias, version) VALUES (?, ?, ?) ON CONFLICT (model, alias) DO UPDATE SET "
      "version = excluded.version",
      model, alias, version);
}

}  // namespace penstock::registry::rows
