#include "registry/lineage.h"

namespace penstock::registry {

namespace {

struct Extending {
  metadata::LineageGraph& graph;
  size_t room;
  std::set<std::string> known{};

  // False when there is no room for it.
  bool add(const std::string& name, std::string_view kind, json::object fields) {
    if (known.contains(name)) return true;
    if (known.size() >= room) {
      graph.truncated = true;
      return false;
    }
    known.insert(name);
    graph.others.push_back({name, std::string(kind), std::move(fields)});
    return true;
  }
  void connect(const std::string& from, const std::string& to, std::string_view key) {
    graph.edges.insert({from, to, metadata::EdgeKind::Other, std::string(key)});
  }
};

struct Version {
  int64_t artifact_id, id, model;
  std::string name, model_name;
};

std::vector<Version> versions_of(db::Connection& c, const std::map<int64_t, metadata::Artifact>& artifacts) {
  std::vector<Version> out;
  for (const auto& [id, artifact] : artifacts) {
    db::Rows rows = c.query(
        "SELECT model_version_id, registered_model_id, version_name, model_name FROM registered_artifacts "
        "WHERE artifact_id = ? AND artifact_id <> 0 ORDER BY model_version_id",
        id);
    while (rows.next()) out.push_back({id, rows.integer(0), rows.integer(1), rows.string(2), rows.string(3)});
  }
  return out;
}

bool is_newest(db::Connection& c, const Version& version) {
  db::Rows rows =
      c.query("SELECT max(id) FROM registry_resources WHERE kind = 'ModelVersion' AND parent = ?", version.model);
  return rows.next() && rows.integer(0) == version.id;
}

void add_services(db::Connection& c, const Version& version, const std::string& name, Extending& out) {
  db::Rows rows = c.query(
      "SELECT id, name, json_extract(body, '$.modelVersionId'), json_extract(body, '$.desiredState') FROM "
      "registry_resources WHERE kind = 'InferenceService' AND json_extract(body, '$.registeredModelId') = ? ORDER BY "
      "id",
      std::to_string(version.model));
  while (rows.next()) {
    const std::string wanted = rows.string(2);
    if (wanted.empty() ? !is_newest(c, version) : wanted != std::to_string(version.id)) continue;
    const std::string service = fmt::format("inference-service:{}", rows.integer(0));
    json::object fields{{"id", std::to_string(rows.integer(0))}, {"name", rows.string(1)}};
    if (!rows.text(3).empty()) fields["desired_state"] = rows.string(3);
    if (out.add(service, "inference_service", std::move(fields))) out.connect(name, service, "SERVED");
  }
}

}  // namespace

void ModelLineage::extend(db::Connection& c, size_t room, metadata::LineageGraph& graph) const {
  db::Rows any = c.query("SELECT 1 FROM registry_resources WHERE kind = 'Artifact' LIMIT 1");
  if (!any.next()) return;
  Extending out{graph, room};
  for (const Version& version : versions_of(c, graph.artifacts)) {
    const std::string name = fmt::format("model-version:{}", version.id);
    json::object fields{{"id", std::to_string(version.id)},
                        {"name", version.name},
                        {"registered_model_id", std::to_string(version.model)},
                        {"registered_model", version.model_name}};
    if (!out.add(name, "model_version", std::move(fields))) return;
    out.connect(metadata::node_name(version.artifact_id), name, "REGISTERED");
    add_services(c, version, name, out);
  }
}

}  // namespace penstock::registry
