#include "metadata/references.h"

#include <map>

#include "base/json.h"

namespace penstock::metadata {

namespace {

using Runs = std::set<std::string, std::less<>>;

constexpr std::string_view kMinio = "minio://", kS3 = "s3://";

// What comes after the scheme of this program's store, by either of its names; the whole uri of another place.
std::string place_of(std::string_view uri) {
  for (const auto scheme : {kMinio, kS3}) {
    if (uri.starts_with(scheme)) uri.remove_prefix(scheme.size());
  }
  while (uri.ends_with('/')) uri.remove_suffix(1);
  return std::string(uri);
}

// A condition on the indexed column `uri`: the same place as `uri`, or one above or below it.
struct Overlap {
  std::string exact;  // JSON list of the spellings of the place itself and of those above it
  std::string minio_from, minio_to, s3_from, s3_to;

  static constexpr std::string_view kSql =
      "(uri IN (SELECT j.value FROM json_each(?1) j) OR (uri >= ?2 AND uri < ?3) OR (uri >= ?4 AND uri < ?5))";

  explicit Overlap(std::string_view uri) {
    const std::string place = place_of(uri);
    const bool ours = uri.starts_with(kMinio) || uri.starts_with(kS3);
    json::array spellings;
    std::string_view above = place;
    while (!above.empty()) {
      for (const auto scheme : {kMinio, kS3}) {
        const std::string text = ours ? fmt::format("{}{}", scheme, above) : std::string(above);
        spellings.emplace_back(text);
        spellings.emplace_back(text + "/");
        if (!ours) break;
      }
      const size_t slash = above.rfind('/');
      if (slash == std::string_view::npos || above.substr(0, slash).ends_with('/')) break;
      above = above.substr(0, slash);
    }
    exact = to_text(json::value(spellings));
    minio_from = (ours ? std::string(kMinio) : std::string()) + place + "/";
    s3_from = (ours ? std::string(kS3) : std::string()) + place + "/";
    // What comes after every text that starts with the one before: '0' follows '/'.
    minio_to = minio_from.substr(0, minio_from.size() - 1) + "0";
    s3_to = s3_from.substr(0, s3_from.size() - 1) + "0";
  }
  db::Rows query(db::Connection& c, std::string_view select) const {
    return c.query(fmt::format("{} WHERE {}", select, kSql), exact, minio_from, minio_to, s3_from, s3_to);
  }
};

// A run outside of `runs` that has to do with the artifact.
std::optional<std::string> user_besides(db::Connection& c, int64_t artifact_id, const Runs& runs) {
  db::Rows rows = c.query("SELECT DISTINCT run_id FROM artifact_links WHERE artifact_id = ?", artifact_id);
  while (rows.next()) {
    if (!runs.contains(rows.text(0))) return rows.string(0);
  }
  return std::nullopt;
}

struct Other {
  int64_t artifact_id;
  std::string run_id;
  bool orphan;
};

std::optional<std::string> other_artifact_there(db::Connection& c, const LeavingArtifact& artifact, const Runs& runs) {
  std::vector<Other> others;
  {
    db::Rows rows = Overlap(artifact.uri).query(c, "SELECT artifact_id, run_id, orphan FROM artifacts");
    while (rows.next()) others.push_back({rows.integer(0), rows.string(1), rows.integer(2) != 0});
  }
  for (const Other& other : others) {
    if (other.artifact_id == artifact.artifact_id) continue;
    const bool goes = (other.orphan || runs.contains(other.run_id)) && !user_besides(c, other.artifact_id, runs);
    if (!goes) return fmt::format("artifact {} has the same content", other.artifact_id);
  }
  return std::nullopt;
}

std::optional<std::string> held(db::Connection& c, std::string_view uri, const OtherHolds& others) {
  {
    db::Rows rows = Overlap(uri).query(c, "SELECT what FROM content_holds");
    if (rows.next()) return fmt::format("{} refers to it", rows.text(0));
  }
  for (const auto& [other, what] : others) {
    if (overlap(other, uri)) return fmt::format("{} refers to it", what);
  }
  return std::nullopt;
}

std::optional<std::string> why_needed(db::Connection& c, const LeavingArtifact& artifact, const Runs& runs,
                                      const OtherHolds& others) {
  if (const auto run = user_besides(c, artifact.artifact_id, runs)) return fmt::format("run {} refers to it", *run);
  if (artifact.uri.empty()) return std::nullopt;
  if (auto why = other_artifact_there(c, artifact, runs)) return why;
  return held(c, artifact.uri, others);
}

constexpr std::string_view kColumns = "artifact_id, name, uri, run_id, namespace, pipeline, task_id, bytes, orphan";

void read_candidates(db::Rows rows, std::map<int64_t, LeavingArtifact>& into) {
  while (rows.next()) {
    const int64_t id = rows.integer(0);
    into[id] = {id,
                rows.string(1),
                rows.string(2),
                rows.string(3),
                rows.string(4),
                rows.string(5),
                rows.string(6),
                rows.integer(7),
                rows.integer(8) != 0};
  }
}

Removal sort_out(db::Connection& c, const std::map<int64_t, LeavingArtifact>& candidates, const Runs& runs,
                 const OtherHolds& others) {
  Removal out;
  for (const auto& [id, artifact] : candidates) {
    if (auto why = why_needed(c, artifact, runs, others)) {
      out.stays.push_back({id, artifact.uri, std::move(*why)});
    } else {
      out.goes.push_back(artifact);
    }
  }
  return out;
}

}  // namespace

void hold(db::Connection& c, const std::string& holder, std::string_view uri, std::string_view what) {
  if (uri.empty()) {
    c.execute("DELETE FROM content_holds WHERE holder = ?", holder);
    return;
  }
  c.execute(
      "INSERT INTO content_holds (holder, uri, what) VALUES (?, ?, ?) ON CONFLICT (holder) DO UPDATE SET uri = "
      "excluded.uri, what = excluded.what",
      holder, uri, what);
}

bool overlap(std::string_view uri, std::string_view other) {
  const std::string a = place_of(uri), b = place_of(other);
  if (a.empty() || b.empty()) return false;
  const std::string_view shorter = a.size() <= b.size() ? a : b, longer = a.size() <= b.size() ? b : a;
  return longer.starts_with(shorter) && (longer.size() == shorter.size() || longer[shorter.size()] == '/');
}

Removal removal_of(db::Connection& c, const std::vector<std::string>& of, const Runs& runs, const OtherHolds& others) {
  std::map<int64_t, LeavingArtifact> candidates;
  for (const auto& run : of) {
    read_candidates(c.query(fmt::format("SELECT {} FROM artifacts WHERE run_id = ?", kColumns), run), candidates);
    std::map<int64_t, LeavingArtifact> taken;
    read_candidates(c.query(fmt::format("SELECT {} FROM artifacts WHERE run_id <> ?1 AND artifact_id IN (SELECT "
                                        "l.artifact_id FROM artifact_links l WHERE l.run_id = ?1)",
                                        kColumns),
                            run),
                    taken);
    for (auto& [id, artifact] : taken) {
      if (artifact.orphan || runs.contains(artifact.run_id)) candidates.emplace(id, std::move(artifact));
    }
  }
  return sort_out(c, candidates, runs, others);
}

Removal unneeded_orphans(db::Connection& c, int64_t most, const OtherHolds& others) {
  std::map<int64_t, LeavingArtifact> candidates;
  read_candidates(c.query(fmt::format("SELECT {} FROM artifacts WHERE orphan = 1 AND NOT EXISTS (SELECT 1 FROM "
                                      "artifact_links l WHERE l.artifact_id = artifacts.artifact_id) LIMIT ?",
                                      kColumns),
                          most),
                  candidates);
  return sort_out(c, candidates, {}, others);
}

std::optional<std::string> why_kept(db::Connection& c, std::string_view uri, const OtherHolds& others) {
  {
    db::Rows rows = Overlap(uri).query(c, "SELECT artifact_id FROM artifacts");
    if (rows.next()) return fmt::format("artifact {} has the same content", rows.integer(0));
  }
  return held(c, uri, others);
}

void remove(db::Connection& c, const Runs& runs, const Removal& removal) {
  for (const auto& artifact : removal.goes) {
    c.execute("DELETE FROM artifacts WHERE artifact_id = ?", artifact.artifact_id);
    if (artifact.bytes < 0) continue;
    add_space(c, {artifact.run_id, artifact.pipeline, artifact.name_space}, {-artifact.bytes, -1, 0});
  }
  for (const auto& run : runs) {
    c.execute("UPDATE artifacts SET orphan = 1 WHERE run_id = ?", run);
    c.execute("DELETE FROM artifact_links WHERE run_id = ?", run);
  }
}

void add_space(db::Connection& c, const SpaceOwner& owner, const Space& change) {
  const auto add = [&](std::string_view scope, const std::string& key) {
    c.execute(
        "INSERT INTO used_space (scope, namespace, name, artifact_bytes, artifacts, log_bytes) VALUES (?, ?, ?, ?, ?, "
        "?) ON CONFLICT (scope, namespace, name) DO UPDATE SET artifact_bytes = artifact_bytes + "
        "excluded.artifact_bytes, artifacts = artifacts + excluded.artifacts, log_bytes = log_bytes + "
        "excluded.log_bytes",
        scope, owner.name_space, key, change.artifact_bytes, change.artifacts, change.log_bytes);
    c.execute(
        "DELETE FROM used_space WHERE scope = ? AND namespace = ? AND name = ? AND artifact_bytes = 0 AND artifacts = "
        "0 "
        "AND log_bytes = 0",
        scope, owner.name_space, key);
  };
  add("namespace", "");
  add("pipeline", owner.pipeline);
  add("run", owner.run_id);
}

Space space_of_run(db::Connection& c, std::string_view run_id) {
  db::Rows rows =
      c.query("SELECT artifact_bytes, artifacts, log_bytes FROM used_space WHERE scope = 'run' AND name = ?", run_id);
  if (!rows.next()) return {};
  return {rows.integer(0), rows.integer(1), rows.integer(2)};
}

void set_artifact_bytes(db::Connection& c, int64_t artifact_id, int64_t bytes, const std::string& pipeline) {
  std::string run, name_space, uri, old_pipeline;
  int64_t before = -1;
  {
    db::Rows rows =
        c.query("SELECT run_id, namespace, uri, bytes, pipeline FROM artifacts WHERE artifact_id = ?", artifact_id);
    if (!rows.next()) return;
    run = rows.string(0), name_space = rows.string(1), uri = rows.string(2);
    before = rows.integer(3), old_pipeline = rows.string(4);
  }
  if (!uri.empty()) {
    db::Rows rows = c.query("SELECT 1 FROM artifacts WHERE uri = ? AND artifact_id < ? LIMIT 1", uri, artifact_id);
    if (rows.next()) bytes = 0;
  }
  if (before >= 0) add_space(c, {run, old_pipeline, name_space}, {-before, -1, 0});
  c.execute("UPDATE artifacts SET bytes = ?, pipeline = ? WHERE artifact_id = ?", bytes, pipeline, artifact_id);
  add_space(c, {run, pipeline, name_space}, {bytes, 1, 0});
}

}  // namespace penstock::metadata
