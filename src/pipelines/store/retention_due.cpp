// Which runs the rules of retention mean.
#include <unordered_map>

#include "base/duration.h"
#include "pipelines/store/retention.h"

namespace penstock::pipelines {

namespace {

using Runs = std::set<std::string, std::less<>>;

// The WHERE of a rule's selector over runs t and bodies b, with its values.
struct Where {
  std::string sql = "t.state IN ('SUCCEEDED', 'SKIPPED', 'FAILED', 'CANCELED') AND t.finished_at > 0";
  std::vector<std::string> texts;

  void equal(std::string_view column, const std::string& value) {
    if (value.empty()) return;
    sql += fmt::format(" AND {} = ?", column);
    texts.push_back(value);
  }
  void one_of(std::string_view column, const std::vector<std::string>& values) {
    if (values.empty()) return;
    json::array list;
    for (const auto& value : values) list.emplace_back(value);
    sql += fmt::format(" AND {} IN (SELECT j.value FROM json_each(?) j)", column);
    texts.push_back(to_text(json::value(std::move(list))));
  }
  void labels(const Tags& labels) {
    for (const auto& [name, value] : labels) {
      sql += " AND EXISTS (SELECT 1 FROM run_labels l WHERE l.run_id = t.run_id AND l.name = ? AND l.value = ?)";
      texts.push_back(name);
      texts.push_back(value);
    }
  }
  void pipeline_tags(const Tags& tags) {
    for (const auto& [name, value] : tags) {
      sql +=
          " AND EXISTS (SELECT 1 FROM pipelines p, json_each(CASE WHEN p.tags = '' THEN '{}' ELSE p.tags END) g WHERE "
          "p.pipeline_id = b.pipeline_id AND g.key = ? AND g.value = ?)";
      texts.push_back(name);
      texts.push_back(value);
    }
  }
};

Where where_of(const RetentionRule& rule) {
  Where where;
  const auto& selector = rule.selector;
  where.equal("t.namespace", selector.name_space);
  where.equal("t.storage_state",
              rule.action == RetentionAction::Archive ? std::string("AVAILABLE") : selector.storage_state);
  where.one_of("t.experiment_id", selector.experiment_ids);
  where.one_of("t.recurring_run_id", selector.recurring_run_ids);
  where.one_of("t.state", selector.states);
  where.one_of("b.pipeline_id", selector.pipeline_ids);
  where.one_of("b.pipeline_name", selector.pipeline_names);
  where.labels(selector.labels);
  where.pipeline_tags(selector.pipeline_tags);
  return where;
}

std::string group_key(const RetentionRule& rule, const DueRun& run) {
  switch (rule.per) {
    case RetentionGroup::Pipeline: return run.name_space + '\0' + run.pipeline_name;
    case RetentionGroup::Experiment: return run.experiment_id;
    case RetentionGroup::RecurringRun: return run.recurring_run_id;
    case RetentionGroup::Namespace: return run.name_space;
  }
  return {};
}

std::string group_words(const RetentionRule& rule, const DueRun& run) {
  switch (rule.per) {
    case RetentionGroup::Pipeline: return fmt::format("pipeline {}", run.pipeline_name);
    case RetentionGroup::Experiment: return fmt::format("experiment {}", run.experiment_id);
    case RetentionGroup::RecurringRun: return fmt::format("recurring run {}", run.recurring_run_id);
    case RetentionGroup::Namespace: return fmt::format("namespace {:?}", run.name_space);
  }
  return {};
}

int64_t group_bytes(db::Connection& c, const RetentionRule& rule, const DueRun& run) {
  constexpr std::string_view kOfRuns =
      "SELECT coalesce(sum(s.artifact_bytes + s.log_bytes), 0) FROM runs t JOIN used_space s ON s.scope = 'run' AND "
      "s.name = t.run_id WHERE t.{} = ?";
  const auto of_runs = [&](std::string_view column, const std::string& value) {
    db::Rows rows = c.query(fmt::format(fmt::runtime(kOfRuns), column), value);
    return rows.next() ? rows.integer(0) : 0;
  };
  if (rule.per == RetentionGroup::Experiment) return of_runs("experiment_id", run.experiment_id);
  if (rule.per == RetentionGroup::RecurringRun) return of_runs("recurring_run_id", run.recurring_run_id);
  const bool pipeline = rule.per == RetentionGroup::Pipeline;
  db::Rows rows =
      c.query("SELECT artifact_bytes + log_bytes FROM used_space WHERE scope = ? AND namespace = ? AND name = ?",
              pipeline ? "pipeline" : "namespace", run.name_space, pipeline ? run.pipeline_name : std::string());
  return rows.next() ? rows.integer(0) : 0;
}

std::vector<DueRun> runs_of(db::Connection& c, const RetentionRule& rule, Time ended_before) {
  Where where = where_of(rule);
  // Without a number to keep and without a budget nobody else counts.
  const bool by_age = rule.keep_last == 0 && rule.max_bytes == 0;
  if (by_age) where.sql += " AND t.finished_at < ?";
  std::vector<db::Connection::Value> values;
  for (const auto& text : where.texts) values.emplace_back(std::string_view(text));
  if (by_age) values.emplace_back(to_micros(ended_before));
  db::Rows rows = c.query_values(
      fmt::format(
          "SELECT t.run_id, t.display_name, t.namespace, b.pipeline_name, t.experiment_id, t.recurring_run_id, "
          "t.storage_state, t.created_at, t.finished_at FROM runs t JOIN run_bodies b ON b.seq = t.seq WHERE {} "
          "ORDER BY t.created_at DESC, t.seq DESC",
          where.sql),
      values);
  std::vector<DueRun> out;
  while (rows.next()) {
    DueRun run;
    run.run_id = rows.string(0), run.display_name = rows.string(1), run.name_space = rows.string(2);
    run.pipeline_name = rows.string(3), run.experiment_id = rows.string(4), run.recurring_run_id = rows.string(5);
    run.storage_state = storage_state_from(rows.text(6));
    run.created_at = from_micros(rows.integer(7)), run.finished_at = from_micros(rows.integer(8));
    run.rule = rule.name;
    run.action = rule.action;
    // Runs that no recurring run made are none of its groups.
    if (rule.per == RetentionGroup::RecurringRun && run.recurring_run_id.empty()) continue;
    out.push_back(std::move(run));
  }
  return out;
}

class Planner {
 public:
  Planner(db::Connection& connection, Time now, const metadata::OtherHolds& holds)
      : c_(connection), now_(now), holds_(holds) {}

  void apply(const RetentionRule& rule) {
    const auto age = rule.older_than.empty() ? std::nullopt : read_duration(rule.older_than);
    std::unordered_map<std::string, int64_t> seen;
    std::map<std::string, std::vector<DueRun>> for_space;  // by group, the newest first
    for (DueRun& run : runs_of(c_, rule, age ? now_ - *age : now_)) {
      if (due_.contains(run.run_id)) continue;
      const std::string group = group_key(rule, run);
      if (++seen[group] <= rule.keep_last) continue;
      if (age && run.finished_at < now_ - *age) {
        run.reason = fmt::format("ended {}, longer than {} ago", format_time(run.finished_at), rule.older_than);
        take(std::move(run));
      } else if (rule.max_bytes > 0) {
        for_space[group].push_back(std::move(run));
      } else if (!age) {
        run.reason = fmt::format("is not among the newest {} of {}", rule.keep_last, group_words(rule, run));
        take(std::move(run));
      }
    }
    for (auto& [group, runs] : for_space) fit(rule, group, runs);
  }

  std::vector<DueRun> done() { return std::move(out_); }

 private:
  void take(DueRun run) {
    due_.insert(run.run_id);
    if (run.action == RetentionAction::Delete) going_.insert(run.run_id);
    out_.push_back(std::move(run));
  }

  // Bytes of artifacts that go with the run, beside those that go already.
  int64_t frees(const std::string& run_id) {
    going_.insert(run_id);
    int64_t bytes = 0;
    for (const auto& artifact : metadata::removal_of(c_, {run_id}, going_, holds_).goes) {
      if (counted_.insert(artifact.artifact_id).second) bytes += std::max<int64_t>(0, artifact.bytes);
    }
    return bytes;
  }

  // Takes of `runs`, which are the group's, the oldest until the rest fits.
  void fit(const RetentionRule& rule, const std::string& group, std::vector<DueRun>& runs) {
    const int64_t used = group_bytes(c_, rule, runs.front());
    int64_t left = used;
    counted_.clear();
    for (const auto& run : out_) {
      if (run.action != RetentionAction::Delete || group_key(rule, run) != group) continue;
      left -= frees(run.run_id) + metadata::space_of_run(c_, run.run_id).log_bytes;
    }
    for (auto run = runs.rbegin(); run != runs.rend() && left > rule.max_bytes; ++run) {
      const metadata::Space space = metadata::space_of_run(c_, run->run_id);
      const int64_t freed = frees(run->run_id);
      if (freed == 0 && (space.artifact_bytes > 0 || space.log_bytes == 0)) {
        going_.erase(run->run_id);  // what it made is needed: it would go for nothing
        continue;
      }
      left -= freed + space.log_bytes;
      run->reason = fmt::format("{} takes {} bytes, more than {}", group_words(rule, *run), used, rule.max_bytes);
      take(std::move(*run));
    }
  }

  db::Connection& c_;
  Time now_;
  const metadata::OtherHolds& holds_;
  std::vector<DueRun> out_;
  std::set<std::string> due_;
  Runs going_;                 // of them those that are to be deleted
  std::set<int64_t> counted_;  // artifacts of a group that are counted as freed
};

}  // namespace

std::vector<DueRun> store::due_runs(db::Connection& c, const std::vector<RetentionRule>& rules, Time now,
                                    const metadata::OtherHolds& holds) {
  Planner planner(c, now, holds);
  for (const auto action : {RetentionAction::Delete, RetentionAction::Archive}) {
    for (const auto& rule : rules) {
      if (!rule.disabled && rule.action == action) planner.apply(rule);
    }
  }
  return planner.done();
}

}  // namespace penstock::pipelines
