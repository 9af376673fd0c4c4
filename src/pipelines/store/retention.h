// Rules of retention, and which runs they mean.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/fields.h"
#include "db/database.h"
#include "metadata/references.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines {

enum class RetentionAction { Delete, Archive };
enum class RetentionGroup { Pipeline, Experiment, RecurringRun, Namespace };

// Which runs a rule looks at: those for which all of it holds. What is empty does not restrict.
struct RetentionSelector {
  std::string name_space;
  std::vector<std::string> experiment_ids, pipeline_ids, pipeline_names, recurring_run_ids;
  std::vector<std::string> states;  // final ones
  std::string storage_state;        // AVAILABLE, ARCHIVED
  Tags labels;                      // of the run
  Tags pipeline_tags;               // of the pipeline that the run is of
};

// Of the runs that it looks at and that have ended, the newest `keep_last` of each group stay. Of the others those go
// that are older than `older_than` since their end, and the oldest while the group takes more than `max_bytes`; all of
// them when neither is given.
struct RetentionRule {
  std::string rule_id;
  std::string name;  // unique
  std::string description;
  bool disabled = false;
  RetentionSelector selector;
  std::string older_than;  // "30d"
  int64_t keep_last = 0;
  int64_t max_bytes = 0;
  RetentionGroup per = RetentionGroup::Pipeline;
  RetentionAction action = RetentionAction::Delete;
  Time created_at{}, updated_at{};
};

// InvalidArgument with the field and the reason; `path` comes before the field's name.
void check_retention_rule(const RetentionRule& rule, const std::string& path = {});
const Fields<RetentionRule>& retention_rule_fields();

// A run that a rule says must go.
struct DueRun {
  std::string run_id, display_name, name_space, pipeline_name, experiment_id, recurring_run_id;
  StorageState storage_state = StorageState::Available;
  Time created_at{}, finished_at{};
  std::string rule;  // its name
  RetentionAction action = RetentionAction::Delete;
  std::string reason;
};

namespace store {

// What the rules mean now, in their order: a run that several of them mean is the first one's, but deleting goes before
// archiving.
std::vector<DueRun> due_runs(db::Connection& connection, const std::vector<RetentionRule>& rules, Time now,
                             const metadata::OtherHolds& holds);

std::vector<RetentionRule> retention_rules(db::Connection& connection);
RetentionRule retention_rule(db::Connection& connection, std::string_view rule_id);  // NotFound
void insert_retention_rule(db::Connection& connection, const RetentionRule& rule);   // AlreadyExists
void update_retention_rule(db::Connection& connection, const RetentionRule& rule);   // NotFound, AlreadyExists
void delete_retention_rule(db::Connection& connection, std::string_view rule_id);    // NotFound

Tags run_labels(db::Connection& connection, std::string_view run_id);                          // NotFound
void set_run_labels(db::Connection& connection, std::string_view run_id, const Tags& labels);  // NotFound

// What an importer named was there before its run and stays: of such artifacts the rows alone go.
void mark_imports(db::Connection& connection, metadata::Removal& removal);

// What has no rows any more and is still to be deleted: a content, or the logs of pods.
struct Leftover {
  int64_t seq = 0;
  std::string uri, name_space, root;  // root: the run's pipeline root, whose settings reach the content
  std::vector<std::string> pods;
};
void add_leftover(db::Connection& connection, const Leftover& leftover);
std::vector<Leftover> leftovers(db::Connection& connection, int64_t after, int64_t most);  // by seq
void drop_leftovers(db::Connection& connection, const std::vector<Leftover>& done);

}  // namespace store

}  // namespace penstock::pipelines
