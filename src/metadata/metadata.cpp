#include "metadata/metadata.h"

#include "metadata/lineage.h"
#include "metadata/rows.h"

namespace penstock::metadata {

namespace {

constexpr const char* kTables = R"sql(
CREATE TABLE artifacts (
  artifact_id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  type TEXT NOT NULL,
  type_version TEXT NOT NULL,
  uri TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  namespace TEXT NOT NULL,
  run_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  producer_key TEXT NOT NULL,
  metadata TEXT NOT NULL
);
CREATE INDEX artifacts_run ON artifacts (run_id);
CREATE INDEX artifacts_name ON artifacts (name);
CREATE INDEX artifacts_type ON artifacts (type);
CREATE INDEX artifacts_uri ON artifacts (uri);
CREATE INDEX artifacts_created_at ON artifacts (created_at);

CREATE TABLE artifact_links (
  id INTEGER PRIMARY KEY,
  artifact_id INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  direction INTEGER NOT NULL,
  key TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  UNIQUE (run_id, task_id, direction, key, iteration, artifact_id)
);
CREATE INDEX artifact_links_artifact ON artifact_links (artifact_id);
CREATE INDEX artifact_links_task ON artifact_links (task_id);
)sql";

constexpr std::string_view kLinkColumns =
    "t.id, t.artifact_id, t.run_id, t.task_id, t.direction, t.key, t.iteration, t.type, t.producer";

constexpr const char* kTypesAndNumbers = R"sql(
ALTER TABLE artifacts ADD COLUMN number_value REAL NOT NULL DEFAULT 0;
ALTER TABLE artifact_links ADD COLUMN type TEXT NOT NULL DEFAULT 'COMPONENT_INPUT';
ALTER TABLE artifact_links ADD COLUMN producer TEXT NOT NULL DEFAULT '';
UPDATE artifact_links SET type = 'OUTPUT' WHERE direction = 1;
)sql";

// What artifacts take and who else holds their contents (references.h). bytes -1: not measured yet.
constexpr const char* kReferences = R"sql(
ALTER TABLE artifacts ADD COLUMN bytes INTEGER NOT NULL DEFAULT -1;
ALTER TABLE artifacts ADD COLUMN pipeline TEXT NOT NULL DEFAULT '';
ALTER TABLE artifacts ADD COLUMN orphan INTEGER NOT NULL DEFAULT 0;
CREATE INDEX artifacts_unmeasured ON artifacts (artifact_id) WHERE bytes < 0;
CREATE INDEX artifacts_orphan ON artifacts (artifact_id) WHERE orphan = 1;
CREATE TABLE content_holds (holder TEXT PRIMARY KEY, uri TEXT NOT NULL, what TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX content_holds_uri ON content_holds (uri);
CREATE TABLE used_space (
  scope TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  artifact_bytes INTEGER NOT NULL,
  artifacts INTEGER NOT NULL,
  log_bytes INTEGER NOT NULL,
  PRIMARY KEY (scope, namespace, name)
) WITHOUT ROWID;
CREATE INDEX used_space_name ON used_space (scope, name);
)sql";

Link read_link(db::Rows& rows) {
  Link out;
  out.id = rows.integer(0);
  out.artifact_id = rows.integer(1);
  out.run_id = rows.string(2);
  out.task_id = rows.string(3);
  out.direction = rows.integer(4) == 0 ? Direction::Input : Direction::Output;
  out.key = rows.string(5);
  out.iteration = rows.integer(6);
  out.type = rows.string(7);
  out.producer = rows.string(8);
  return out;
}

const db::ListModel& artifact_model() {
  using db::ColumnKind;
  static const db::ListModel kModel{.name = "Artifact",
                                    .table = "artifacts",
                                    .key = "artifact_id",
                                    .columns = {{"artifact_id", "artifact_id", ColumnKind::Integer},
                                                {"id", "artifact_id", ColumnKind::Integer},
                                                {"namespace", "namespace"},
                                                {"type", "type"},
                                                {"uri", "uri"},
                                                {"name", "name"},
                                                {"description", "description"},
                                                {"run_id", "run_id"},
                                                {"created_at", "created_at", ColumnKind::Time},
                                                {"last_update", "created_at", ColumnKind::Time},
                                                {"metadata", "metadata"},
                                                {"number_value", "number_value", ColumnKind::Real}}};
  return kModel;
}

const db::ListModel& link_model() {
  static const db::ListModel kModel{.name = "ArtifactTask",
                                    .table = "artifact_links",
                                    .key = "id",
                                    .columns = {{"id", "id", db::ColumnKind::Integer},
                                                {"artifact_id", "artifact_id", db::ColumnKind::Integer},
                                                {"run_id", "run_id"},
                                                {"task_id", "task_id"},
                                                {"key", "key"},
                                                {"type", "type"}},
                                    .default_sort = "id"};
  return kModel;
}

json::array to_array(const auto& values) {
  json::array out;
  for (const auto& value : values) out.emplace_back(value);
  return out;
}

}  // namespace

Artifact read_artifact(db::Rows& rows) {
  Artifact out;
  out.artifact_id = rows.integer(0);
  out.uuid = rows.string(1);
  out.name = rows.string(2);
  out.description = rows.string(3);
  out.type = rows.string(4);
  out.type_version = rows.string(5);
  out.uri = rows.string(6);
  out.created_at = from_micros(rows.integer(7));
  out.name_space = rows.string(8);
  out.run_id = rows.string(9);
  out.task_id = rows.string(10);
  out.producer_key = rows.string(11);
  if (!rows.text(12).empty()) out.metadata = parse_json(rows.text(12)).as_object();
  out.number_value = rows.real(13);
  return out;
}

int64_t put_artifact(db::Connection& c, const Artifact& artifact) {
  put_type(c, artifact);
  const std::string uuid = artifact.uuid.empty() ? new_uuid() : artifact.uuid;
  const std::optional<int64_t> id = artifact.artifact_id ? std::optional<int64_t>(artifact.artifact_id) : std::nullopt;
  db::Rows rows = c.query(
      "INSERT INTO artifacts (artifact_id, uuid, name, description, type, type_version, uri, created_at, namespace, "
      "run_id, task_id, producer_key, metadata, number_value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (artifact_id) DO UPDATE SET artifact_id = artifact_id "
      "ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, uri = excluded.uri, type = excluded.type, "
      "type_version = excluded.type_version, metadata = excluded.metadata RETURNING artifact_id",
      id, uuid, artifact.name, artifact.description, artifact.type, artifact.type_version, artifact.uri,
      to_micros(artifact.created_at), artifact.name_space, artifact.run_id, artifact.task_id, artifact.producer_key,
      artifact.metadata.empty() ? std::string() : to_text(artifact.metadata), artifact.number_value);
  rows.next();
  return rows.integer(0);
}

Artifact get_artifact(db::Connection& c, int64_t artifact_id) {
  db::Rows rows =
      c.query(fmt::format("SELECT {} FROM artifacts t WHERE t.artifact_id = ?", kArtifactColumns), artifact_id);
  if (!rows.next()) throw not_found("Artifact {} not found", artifact_id);
  return read_artifact(rows);
}

int64_t find_artifact(db::Connection& c, std::string_view uri, std::string_view type, const json::object& metadata) {
  db::Rows rows = c.query(
      "SELECT artifact_id FROM artifacts WHERE uri = ? AND type = ? AND metadata = ? ORDER BY artifact_id DESC LIMIT 1",
      uri, type, metadata.empty() ? std::string() : to_text(metadata));
  return rows.next() ? rows.integer(0) : 0;
}

int64_t put_link(db::Connection& c, const Link& link) {
  const bool input = link.direction == Direction::Input;
  const std::string_view by_direction = input ? "COMPONENT_INPUT" : "OUTPUT";
  db::Rows rows = c.query(
      "INSERT INTO artifact_links (artifact_id, run_id, task_id, direction, key, iteration, type, producer) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (run_id, task_id, direction, key, iteration, artifact_id) DO UPDATE SET id = id RETURNING id",
      link.artifact_id, link.run_id, link.task_id, input ? 0 : 1, link.key, link.iteration,
      link.type.empty() ? by_direction : std::string_view(link.type), link.producer);
  rows.next();
  return rows.integer(0);
}

const db::Migrations& Store::migrations() {
  static const db::Migrations kMigrations{"metadata", {kTables, kTypesAndNumbers, types_script(), kReferences}};
  return kMigrations;
}

Store::Store(db::Database& database) : database_(database) {
  database_.read_now([this](db::Connection& c) {
    db::Rows rows = c.query("SELECT MAX(artifact_id) FROM artifacts");
    if (rows.next() && !rows.is_null(0)) next_id_ = rows.integer(0) + 1;
  });
}

Async<Artifact> Store::get(int64_t artifact_id) {
  co_return co_await database_.read([&](db::Connection& c) { return get_artifact(c, artifact_id); });
}

Async<std::vector<Artifact>> Store::get_all(std::vector<int64_t> artifact_ids) {
  co_return co_await database_.read([&](db::Connection& c) {
    return read_all(c.query(fmt::format("SELECT {} FROM artifacts t WHERE t.artifact_id IN (SELECT j.value FROM "
                                        "json_each(?) j) ORDER BY t.artifact_id",
                                        kArtifactColumns),
                            to_text(to_array(artifact_ids))),
                    read_artifact);
  });
}

Async<Store::Page> Store::list(db::ListRequest request) {
  db::List list(artifact_model(), request);
  co_return co_await database_.read([&](db::Connection& c) {
    Page page;
    auto result = list.read(
        c, kArtifactColumns, "", [&](db::Rows& rows) { page.items.push_back(read_artifact(rows)); }, nullptr);
    page.total_size = result.total_size;
    page.next_page_token = std::move(result.next_page_token);
    return page;
  });
}

Async<std::vector<Artifact>> Store::of_run(std::string run_id) {
  co_return co_await database_.read([&](db::Connection& c) {
    return read_all(
        c.query(fmt::format("SELECT {} FROM artifacts t WHERE t.run_id = ? ORDER BY t.artifact_id", kArtifactColumns),
                run_id),
        read_artifact);
  });
}

Async<Store::LinkPage> Store::list_links(LinkFilter filter, db::ListRequest request) {
  db::List list(link_model(), request);
  if (!filter.artifact_ids.empty()) list.only_in("artifact_id", to_array(filter.artifact_ids));
  if (!filter.run_ids.empty()) list.only_in("run_id", to_array(filter.run_ids));
  if (!filter.task_ids.empty()) list.only_in("task_id", to_array(filter.task_ids));
  if (!filter.type.empty()) list.only("type", std::move(filter.type));
  co_return co_await database_.read([&](db::Connection& c) {
    LinkPage page;
    auto result = list.read(
        c, kLinkColumns, "", [&](db::Rows& rows) { page.items.push_back(read_link(rows)); }, nullptr);
    page.total_size = result.total_size;
    page.next_page_token = std::move(result.next_page_token);
    return page;
  });
}

Async<std::vector<Link>> Store::links_of_run(std::string run_id) {
  co_return co_await database_.read([&](db::Connection& c) {
    return read_all(
        c.query(fmt::format("SELECT {} FROM artifact_links t WHERE t.run_id = ? ORDER BY t.id", kLinkColumns), run_id),
        read_link);
  });
}

Async<Store::Page> Store::at_uri(std::string uri, db::ListRequest request) {
  if (request.sort_by.empty() && request.page_token.empty()) request.sort_by = "artifact_id desc";
  db::List list(artifact_model(), request);
  list.only("uri", std::move(uri));
  co_return co_await database_.read([&](db::Connection& c) {
    Page page;
    auto result = list.read(
        c, kArtifactColumns, "", [&](db::Rows& rows) { page.items.push_back(read_artifact(rows)); }, nullptr);
    page.total_size = result.total_size;
    page.next_page_token = std::move(result.next_page_token);
    return page;
  });
}

Async<std::vector<Store::Output>> Store::metric_outputs(std::string run_id, size_t limit) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::vector<Output> out;
    db::Rows rows = c.query(
        fmt::format(
            "SELECT {}, l.task_id, l.key FROM artifact_links l CROSS JOIN artifacts t ON t.artifact_id = "
            "l.artifact_id WHERE l.run_id = ? AND l.direction = 1 AND (t.type LIKE '%Metrics' OR "
            "replace(l.key, '_', '-') IN ('mlpipeline-metrics', 'mlpipeline-ui-metadata')) ORDER BY l.id LIMIT ?",
            kArtifactColumns),
        run_id, limit);
    while (rows.next()) {
      Output one{read_artifact(rows), {}, {}};
      one.task_id = rows.string(rows.columns() - 2);
      one.key = rows.string(rows.columns() - 1);
      out.push_back(std::move(one));
    }
    return out;
  });
}

Async<LineageGraph> Store::lineage(LineageQuery query) {
  co_return co_await database_.read([&](db::Connection& c) { return lineage_of(c, query); });
}

LineageGraph Store::lineage_of(db::Connection& c, const LineageQuery& query) const {
  LineageGraph graph = read_lineage(c, query);
  for (const LineageExtension* extension : extensions_) {
    const size_t used = graph.nodes.size() + graph.others.size();
    extension->extend(c, used < query.max_nodes ? query.max_nodes - used : 0, graph);
  }
  return graph;
}

}  // namespace penstock::metadata
