#include "pipelines/store/retention.h"

#include "base/duration.h"
#include "pipelines/store/queries.h"

namespace penstock::pipelines {

namespace {

constexpr EnumName kActions[] = {{0, "DELETE"}, {1, "ARCHIVE"}};
constexpr EnumName kGroups[] = {{0, "PIPELINE"}, {1, "EXPERIMENT"}, {2, "RECURRING_RUN"}, {3, "NAMESPACE"}};
constexpr size_t kMaxLabels = 64, kMaxLabel = 256;

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
  throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, why), field);
}

const Fields<RetentionSelector>& selector_fields() {
  static const auto fields = Fields<RetentionSelector>("RetentionSelector")
                                 .add("namespace", &RetentionSelector::name_space)
                                 .add("experiment_ids", &RetentionSelector::experiment_ids)
                                 .add("pipeline_ids", &RetentionSelector::pipeline_ids)
                                 .add("pipeline_names", &RetentionSelector::pipeline_names)
                                 .add("recurring_run_ids", &RetentionSelector::recurring_run_ids)
                                 .add("states", &RetentionSelector::states)
                                 .add("storage_state", &RetentionSelector::storage_state)
                                 .add("labels", &RetentionSelector::labels)
                                 .add("pipeline_tags", &RetentionSelector::pipeline_tags);
  return fields;
}

std::string spec_text(const RetentionRule& rule) { return to_text(retention_rule_fields().write(rule)); }

RetentionRule read_rule(db::Rows& rows) {
  RetentionRule rule = retention_rule_fields().read(parse_json(rows.text(1)));
  rule.rule_id = rows.string(0);
  rule.created_at = from_micros(rows.integer(2));
  rule.updated_at = from_micros(rows.integer(3));
  return rule;
}

constexpr std::string_view kRules = "SELECT rule_id, spec, created_at, updated_at FROM retention_rules";

}  // namespace

const Fields<RetentionRule>& retention_rule_fields() {
  static const auto fields =
      Fields<RetentionRule>("RetentionRule")
          .add("rule_id", &RetentionRule::rule_id, {.output_only = true})
          .add("name", &RetentionRule::name, {.required = true, .max_length = 128})
          .add("description", &RetentionRule::description, {.max_length = 1024})
          .add("disabled", &RetentionRule::disabled)
          .add("selector", &RetentionRule::selector, selector_fields())
          .add("older_than", &RetentionRule::older_than, {.doc = "since a run's end: 90s, 12h, 30d"})
          .add("keep_last", &RetentionRule::keep_last, {.doc = "of each group, the newest so many stay"})
          .add("max_bytes", &RetentionRule::max_bytes, {.doc = "of each group; the oldest go first"})
          .add("per", &RetentionRule::per, kGroups, {.always = true})
          .add("action", &RetentionRule::action, kActions, {.always = true})
          .add("created_at", &RetentionRule::created_at, {.output_only = true})
          .add("updated_at", &RetentionRule::updated_at, {.output_only = true});
  return fields;
}

void check_retention_rule(const RetentionRule& rule, const std::string& path) {
  if (rule.older_than.empty() && rule.keep_last == 0 && rule.max_bytes == 0) {
    refuse(path + "older_than", "a rule needs older_than, keep_last or max_bytes");
  }
  if (!rule.older_than.empty() && !read_duration(rule.older_than)) {
    refuse(path + "older_than", fmt::format("{:?} is no time; write it as 90s, 15m, 12h or 30d", rule.older_than));
  }
  if (rule.keep_last < 0) refuse(path + "keep_last", "is less than 0");
  if (rule.max_bytes < 0) refuse(path + "max_bytes", "is less than 0");
  if (rule.max_bytes > 0 && rule.action == RetentionAction::Archive) {
    refuse(path + "action", "archiving frees no space: max_bytes needs DELETE");
  }
  const auto& selector = rule.selector;
  for (size_t i = 0; i < selector.states.size(); ++i) {
    const auto& state = selector.states[i];
    if (!is_final(run_state_from(state))) {
      refuse(fmt::format("{}selector.states[{}]", path, i),
             fmt::format("{:?} is none of SUCCEEDED, FAILED, CANCELED, SKIPPED", state));
    }
  }
  const auto& storage = selector.storage_state;
  if (!storage.empty() && storage != "AVAILABLE" && storage != "ARCHIVED") {
    refuse(path + "selector.storage_state", fmt::format("{:?} is neither AVAILABLE nor ARCHIVED", storage));
  }
  if (rule.action == RetentionAction::Archive && storage == "ARCHIVED") {
    refuse(path + "selector.storage_state", "what is ARCHIVED cannot be archived");
  }
}

namespace store {

std::vector<RetentionRule> retention_rules(db::Connection& c) {
  std::vector<RetentionRule> out;
  db::Rows rows = c.query(fmt::format("{} ORDER BY seq", kRules));
  while (rows.next()) out.push_back(read_rule(rows));
  return out;
}

RetentionRule retention_rule(db::Connection& c, std::string_view rule_id) {
  return first_row(c.query(fmt::format("{} WHERE rule_id = ?", kRules), rule_id), read_rule, "Retention rule", rule_id);
}

namespace {

void check_name(db::Connection& c, const RetentionRule& rule) {
  db::Rows rows = c.query("SELECT 1 FROM retention_rules WHERE name = ? AND rule_id <> ?", rule.name, rule.rule_id);
  if (rows.next()) {
    throw Error(Code::AlreadyExists, fmt::format("name: there is a retention rule {:?} already", rule.name), "name");
  }
}

}  // namespace

void insert_retention_rule(db::Connection& c, const RetentionRule& rule) {
  check_name(c, rule);
  c.execute("INSERT INTO retention_rules (rule_id, name, spec, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            rule.rule_id, rule.name, spec_text(rule), to_micros(rule.created_at), to_micros(rule.updated_at));
}

void update_retention_rule(db::Connection& c, const RetentionRule& rule) {
  check_name(c, rule);
  const auto changed = c.execute("UPDATE retention_rules SET name = ?, spec = ?, updated_at = ? WHERE rule_id = ?",
                                 rule.name, spec_text(rule), to_micros(rule.updated_at), rule.rule_id);
  if (changed == 0) throw not_found("Retention rule {} not found", rule.rule_id);
}

void delete_retention_rule(db::Connection& c, std::string_view rule_id) {
  if (c.execute("DELETE FROM retention_rules WHERE rule_id = ?", rule_id) == 0) {
    throw not_found("Retention rule {} not found", rule_id);
  }
}

Tags run_labels(db::Connection& c, std::string_view run_id) {
  run_seq(c, run_id);
  Tags out;
  db::Rows rows = c.query("SELECT name, value FROM run_labels WHERE run_id = ?", run_id);
  while (rows.next()) out[rows.string(0)] = rows.string(1);
  return out;
}

void set_run_labels(db::Connection& c, std::string_view run_id, const Tags& labels) {
  run_seq(c, run_id);
  if (labels.size() > kMaxLabels) refuse("labels", fmt::format("are more than {}", kMaxLabels));
  c.execute("DELETE FROM run_labels WHERE run_id = ?", run_id);
  for (const auto& [name, value] : labels) {
    if (name.empty() || name.size() > kMaxLabel || value.size() > kMaxLabel) {
      refuse(fmt::format("labels.{}", name.substr(0, kMaxLabel)),
             fmt::format("a label and its value have at most {} bytes, and a label at least one", kMaxLabel));
    }
    c.execute("INSERT INTO run_labels (run_id, name, value) VALUES (?, ?, ?)", run_id, name, value);
  }
}

void mark_imports(db::Connection& c, metadata::Removal& removal) {
  for (auto& artifact : removal.goes) {
    db::Rows rows =
        c.query("SELECT type FROM tasks WHERE run_id = ? AND task_id = ?", artifact.run_id, artifact.task_id);
    artifact.own = !rows.next() || rows.text(0) != "IMPORTER";
  }
}

void add_leftover(db::Connection& c, const Leftover& leftover) {
  std::string pods;
  for (const auto& pod : leftover.pods) pods += pod + "\n";
  c.execute("INSERT INTO leftovers (uri, namespace, root, pods) VALUES (?, ?, ?, ?)", leftover.uri, leftover.name_space,
            leftover.root, pods);
}

std::vector<Leftover> leftovers(db::Connection& c, int64_t after, int64_t most) {
  std::vector<Leftover> out;
  db::Rows rows =
      c.query("SELECT seq, uri, namespace, root, pods FROM leftovers WHERE seq > ? ORDER BY seq LIMIT ?", after, most);
  while (rows.next()) {
    Leftover one{rows.integer(0), rows.string(1), rows.string(2), rows.string(3), {}};
    const std::string_view pods = rows.text(4);
    for (size_t at = 0, end; at < pods.size(); at = end + 1) {
      end = pods.find('\n', at);
      one.pods.emplace_back(pods.substr(at, end - at));
    }
    out.push_back(std::move(one));
  }
  return out;
}

void drop_leftovers(db::Connection& c, const std::vector<Leftover>& done) {
  for (const auto& one : done) c.execute("DELETE FROM leftovers WHERE seq = ?", one.seq);
}

}  // namespace store

}  // namespace penstock::pipelines
