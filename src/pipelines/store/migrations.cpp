#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace {

// Rows of runs are narrow, because lists scan them: what only a single run's page shows is in run_bodies. Each field
// that lists sort by has an index, whose ties SQLite breaks by seq.
constexpr const char* kTables = R"sql(
CREATE TABLE experiments (
  seq INTEGER PRIMARY KEY,
  experiment_id TEXT NOT NULL UNIQUE,
  namespace TEXT NOT NULL,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  storage_state TEXT NOT NULL,
  last_run_created_at INTEGER NOT NULL,
  UNIQUE (namespace, display_name)
);
CREATE INDEX experiments_created_at ON experiments (created_at);

CREATE TABLE pipelines (
  seq INTEGER PRIMARY KEY,
  pipeline_id TEXT NOT NULL UNIQUE,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  tags TEXT NOT NULL,
  UNIQUE (namespace, name)
);
CREATE INDEX pipelines_created_at ON pipelines (created_at);
CREATE INDEX pipelines_display_name ON pipelines (display_name);

CREATE TABLE pipeline_versions (
  seq INTEGER PRIMARY KEY,
  pipeline_version_id TEXT NOT NULL UNIQUE,
  pipeline_id TEXT NOT NULL,
  name TEXT NOT NULL,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  package_url TEXT NOT NULL,
  code_source_url TEXT NOT NULL,
  spec_hash TEXT NOT NULL,
  tags TEXT NOT NULL,
  UNIQUE (pipeline_id, name)
);
CREATE INDEX pipeline_versions_created_at ON pipeline_versions (pipeline_id, created_at);
CREATE INDEX pipeline_versions_spec ON pipeline_versions (spec_hash);

CREATE TABLE specs (
  hash TEXT PRIMARY KEY,
  text TEXT NOT NULL
);

CREATE TABLE runs (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL UNIQUE,
  experiment_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL,
  storage_state TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  scheduled_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  recurring_run_id TEXT NOT NULL
);
CREATE INDEX runs_experiment ON runs (experiment_id, created_at);
CREATE INDEX runs_namespace ON runs (namespace);
CREATE INDEX runs_display_name ON runs (display_name);
CREATE INDEX runs_description ON runs (description);
CREATE INDEX runs_storage_state ON runs (storage_state, created_at);
CREATE INDEX runs_by_storage_state ON runs (storage_state);
CREATE INDEX runs_by_state ON runs (state);
CREATE INDEX runs_state ON runs (state, created_at);
CREATE INDEX runs_created_at ON runs (created_at);
CREATE INDEX runs_scheduled_at ON runs (scheduled_at);
CREATE INDEX runs_finished_at ON runs (finished_at);
CREATE INDEX runs_recurring_run ON runs (recurring_run_id);

CREATE TABLE run_bodies (
  seq INTEGER PRIMARY KEY,
  pipeline_id TEXT NOT NULL,
  pipeline_version_id TEXT NOT NULL,
  spec_hash TEXT NOT NULL,
  pipeline_name TEXT NOT NULL,
  parameters TEXT NOT NULL,
  pipeline_root TEXT NOT NULL,
  service_account TEXT NOT NULL,
  error_code INTEGER NOT NULL,
  error_message TEXT NOT NULL,
  state_history TEXT NOT NULL
);
CREATE INDEX run_bodies_spec ON run_bodies (spec_hash);

CREATE TABLE run_list_version (version INTEGER NOT NULL);
INSERT INTO run_list_version VALUES (0);
CREATE TRIGGER runs_inserted AFTER INSERT ON runs BEGIN UPDATE run_list_version SET version = version + 1; END;
CREATE TRIGGER runs_updated AFTER UPDATE ON runs BEGIN UPDATE run_list_version SET version = version + 1; END;
CREATE TRIGGER runs_deleted AFTER DELETE ON runs BEGIN UPDATE run_list_version SET version = version + 1; END;

CREATE TABLE tasks (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  parent_task_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  display_name TEXT NOT NULL,
  type TEXT NOT NULL,
  state TEXT NOT NULL,
  scope_path TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  start_time INTEGER NOT NULL,
  end_time INTEGER NOT NULL,
  error_code INTEGER NOT NULL,
  error_message TEXT NOT NULL,
  pod_name TEXT NOT NULL,
  pod_uid TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  iteration_index INTEGER NOT NULL,
  iteration_count INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  state_history TEXT NOT NULL,
  inputs TEXT NOT NULL,
  outputs TEXT NOT NULL,
  UNIQUE (run_id, task_id)
);
CREATE INDEX tasks_position ON tasks (run_id, position);
CREATE INDEX tasks_parent ON tasks (parent_task_id, position);

CREATE TABLE run_events (
  run_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  event TEXT NOT NULL,
  PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

CREATE TABLE cached_tasks (
  pipeline_name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  run_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  outputs TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (pipeline_name, fingerprint)
) WITHOUT ROWID;
)sql";

constexpr char kRecurringRuns[] = R"sql(
CREATE TABLE recurring_runs (
  seq INTEGER PRIMARY KEY,
  recurring_run_id TEXT NOT NULL UNIQUE,
  experiment_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL,
  pipeline_id TEXT NOT NULL,
  pipeline_version_id TEXT NOT NULL,
  spec_hash TEXT NOT NULL,
  parameters TEXT NOT NULL,
  pipeline_root TEXT NOT NULL,
  service_account TEXT NOT NULL,
  max_concurrency INTEGER NOT NULL,
  cron TEXT NOT NULL,
  interval_second INTEGER NOT NULL,
  start_time INTEGER NOT NULL,
  end_time INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  no_catchup INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_fire INTEGER NOT NULL,
  fires INTEGER NOT NULL,
  error_code INTEGER NOT NULL,
  error_message TEXT NOT NULL
);
CREATE INDEX recurring_runs_experiment ON recurring_runs (experiment_id);
CREATE INDEX recurring_runs_spec ON recurring_runs (spec_hash);
CREATE INDEX recurring_runs_created_at ON recurring_runs (created_at);
)sql";

// earlier_pods: "<name> <uid>\n" each.
constexpr char kAttemptsAndCaching[] = R"sql(
ALTER TABLE tasks ADD COLUMN earlier_pods TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN cache_note TEXT NOT NULL DEFAULT '';
ALTER TABLE run_bodies ADD COLUMN disable_caching INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recurring_runs ADD COLUMN disable_caching INTEGER NOT NULL DEFAULT 0;
)sql";

// Of one name in one run, `newest` is the value that was reported last: what lists are sorted by.
constexpr char kMetrics[] = R"sql(
CREATE TABLE run_metrics (
  run_seq INTEGER NOT NULL,
  name TEXT NOT NULL,
  node_id TEXT NOT NULL,
  value REAL NOT NULL,
  format INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  PRIMARY KEY (run_seq, name, node_id)
) WITHOUT ROWID;
CREATE INDEX run_metrics_value ON run_metrics (name, value, run_seq) WHERE newest = 1;
)sql";

constexpr char kReports[] = R"sql(
ALTER TABLE pipelines ADD COLUMN default_version_id TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN reported INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_reported ON tasks (fingerprint) WHERE reported = 1;
CREATE INDEX cached_tasks_fingerprint ON cached_tasks (fingerprint, created_at);
CREATE TABLE cache_entries (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  namespace TEXT NOT NULL,
  pipeline_name TEXT NOT NULL,
  run_id TEXT NOT NULL,
  mlmd_execution_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  fingerprint TEXT NOT NULL
);
CREATE INDEX cache_entries_fingerprint ON cache_entries (fingerprint, created_at);
CREATE INDEX cache_entries_created_at ON cache_entries (created_at);
ALTER TABLE run_bodies ADD COLUMN plugins_input TEXT NOT NULL DEFAULT '';
ALTER TABLE recurring_runs ADD COLUMN plugins_input TEXT NOT NULL DEFAULT '';
)sql";

// Which rows of runs changed, for the copy of their columns in memory (db/columns.h).
constexpr char kListChanges[] = R"sql(
DROP TRIGGER runs_inserted;
DROP TRIGGER runs_updated;
DROP TRIGGER runs_deleted;
DROP TABLE run_list_version;
CREATE TABLE run_list_changes (version INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TRIGGER runs_inserted AFTER INSERT ON runs BEGIN INSERT INTO run_list_changes (seq) VALUES (NEW.seq); END;
CREATE TRIGGER runs_updated AFTER UPDATE ON runs BEGIN INSERT INTO run_list_changes (seq) VALUES (NEW.seq); END;
CREATE TRIGGER runs_deleted AFTER DELETE ON runs BEGIN INSERT INTO run_list_changes (seq) VALUES (OLD.seq); END;
CREATE TRIGGER run_list_changes_kept AFTER INSERT ON run_list_changes WHEN NEW.version % 1000 = 0 BEGIN
  DELETE FROM run_list_changes WHERE version <= NEW.version - 10000;
END;
)sql";

// Lists show small specs. The index tells a spec's size without reading its text.
constexpr char kSpecSizes[] = R"sql(
ALTER TABLE specs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE specs SET bytes = length(CAST(text AS BLOB));
CREATE INDEX specs_bytes ON specs (hash, bytes);
)sql";

// leftovers: contents and logs whose rows are gone, and which are still to be deleted. unmeasured_runs: runs that have
// ended since their space was measured.
constexpr char kRetention[] = R"sql(
CREATE TABLE retention_rules (
  seq INTEGER PRIMARY KEY,
  rule_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  spec TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE TABLE leftovers (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  uri TEXT NOT NULL,
  namespace TEXT NOT NULL,
  root TEXT NOT NULL,
  pods TEXT NOT NULL
);
CREATE TABLE run_labels (
  run_id TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
CREATE INDEX run_labels_value ON run_labels (name, value);
CREATE TABLE unmeasured_runs (run_id TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO unmeasured_runs SELECT run_id FROM runs WHERE finished_at > 0;
CREATE TRIGGER runs_ended AFTER UPDATE OF finished_at ON runs
WHEN NEW.finished_at > 0 AND NEW.finished_at <> OLD.finished_at BEGIN
  INSERT OR IGNORE INTO unmeasured_runs VALUES (NEW.run_id);
END;
CREATE INDEX cached_tasks_run ON cached_tasks (run_id);
)sql";

}  // namespace

const db::Migrations& Store::migrations() {
  static const db::Migrations kMigrations{
      "pipelines",
      {kTables, "CREATE TABLE run_progress (run_id TEXT PRIMARY KEY, events INTEGER NOT NULL) WITHOUT ROWID;",
       kRecurringRuns, kAttemptsAndCaching,
       "CREATE TABLE run_notes (seq INTEGER PRIMARY KEY AUTOINCREMENT, delivery TEXT NOT NULL, run_id TEXT NOT NULL, "
       "state TEXT NOT NULL, at INTEGER NOT NULL);",
       "ALTER TABLE tasks ADD COLUMN not_applied TEXT NOT NULL DEFAULT '';", kMetrics, kReports, kListChanges,
       kSpecSizes, "ALTER TABLE tasks ADD COLUMN waiting TEXT NOT NULL DEFAULT '';", kRetention}};
  return kMigrations;
}

}  // namespace penstock::pipelines
