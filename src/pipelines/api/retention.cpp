#include "pipelines/api/retention.h"

#include <spdlog/spdlog.h>

#include "base/duration.h"
#include "pipelines/api/delete_run.h"
#include "pipelines/api/usage.h"

namespace penstock::pipelines {

namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxListed = 1000;  // runs in a dry run's answer

std::string seconds_text(std::chrono::seconds time) { return fmt::format("{}s", time.count()); }

struct DryRun {
  std::vector<DueRun> due;
  metadata::Removal removal;
  std::map<std::string, int64_t> log_bytes;  // by run
};

DryRun plan(db::Connection& c, const std::vector<RetentionRule>& rules, Time now, const metadata::OtherHolds& holds) {
  DryRun out;
  out.due = store::due_runs(c, rules, now, holds);
  std::vector<std::string> going;
  for (const auto& run : out.due) {
    if (run.action == RetentionAction::Delete) going.push_back(run.run_id);
  }
  out.removal = metadata::removal_of(c, going, {going.begin(), going.end()}, holds);
  store::mark_imports(c, out.removal);
  for (const auto& run : going) out.log_bytes[run] = metadata::space_of_run(c, run).log_bytes;
  auto orphans = metadata::unneeded_orphans(c, INT64_MAX, holds);
  for (auto& orphan : orphans.goes) out.removal.goes.push_back(std::move(orphan));
  return out;
}

json::object artifact_json(const metadata::LeavingArtifact& artifact) {
  json::object out{{"artifact_id", std::to_string(artifact.artifact_id)},
                   {"name", artifact.name},
                   {"uri", artifact.uri},
                   {"bytes", std::max<int64_t>(0, artifact.bytes)}};
  if (!artifact.own) out["content_stays"] = true;
  return out;
}

json::object run_json(const DueRun& run) {
  return {{"run_id", run.run_id},
          {"display_name", run.display_name},
          {"namespace", run.name_space},
          {"pipeline", run.pipeline_name},
          {"action", run.action == RetentionAction::Delete ? "DELETE" : "ARCHIVE"},
          {"rule", run.rule},
          {"reason", run.reason},
          {"finished_at", format_time(run.finished_at)}};
}

json::object dry_run_json(const DryRun& plan) {
  std::map<std::string, json::array> artifacts;
  std::set<std::string> listed;
  int64_t bytes = 0, deleted = 0, archived = 0;
  for (const auto& run : plan.due) {
    ++(run.action == RetentionAction::Delete ? deleted : archived);
    listed.insert(run.run_id);
  }
  json::array orphans;
  std::map<std::string, int64_t> freed = plan.log_bytes;
  for (const auto& artifact : plan.removal.goes) {
    const bool of_run = listed.contains(artifact.run_id);
    (of_run ? artifacts[artifact.run_id] : orphans).push_back(artifact_json(artifact));
    if (of_run) freed[artifact.run_id] += std::max<int64_t>(0, artifact.bytes);
    bytes += std::max<int64_t>(0, artifact.bytes);
  }
  json::array runs;
  for (const auto& run : plan.due) {
    if (runs.size() == kMaxListed) break;
    json::object item = run_json(run);
    item["bytes"] = freed[run.run_id];
    if (auto found = artifacts.find(run.run_id); found != artifacts.end()) item["artifacts"] = std::move(found->second);
    runs.push_back(std::move(item));
  }
  for (const auto& [run, logs] : plan.log_bytes) bytes += logs;
  json::array kept;
  for (const auto& one : plan.removal.stays) {
    if (kept.size() == kMaxListed) break;
    kept.push_back(
        json::object{{"artifact_id", std::to_string(one.artifact_id)}, {"uri", one.uri}, {"reason", one.reason}});
  }
  return {{"runs", std::move(runs)},
          {"unneeded_artifacts", std::move(orphans)},
          {"kept_artifacts", std::move(kept)},
          {"deleted", deleted},
          {"archived", archived},
          {"bytes", bytes}};
}

}  // namespace

Retention::Retention(Loop& control, const ApiContext& context, const Clock& clock, RetentionOptions options)
    : control_(control),
      context_(context),
      clock_(clock),
      options_(options),
      scope_(control.executor(), "retention"),
      changed_(control.executor()),
      idle_(control.executor()) {}

void Retention::start() {
  scope_.spawn([this] { return run(); });
}

Async<> Retention::stop() { co_await scope_.stop(); }

void Retention::changed() {
  control_.post([this] { changed_.set(); });
}

Async<std::vector<RetentionRule>> Retention::all_rules() {
  std::vector<RetentionRule> rules;
  if (options_.delete_after.count() > 0) {
    RetentionRule rule;
    rule.name = "--delete-archived-runs-after";
    rule.older_than = seconds_text(options_.delete_after);
    rule.selector.storage_state = "ARCHIVED";
    rules.push_back(std::move(rule));
  }
  if (options_.archive_after.count() > 0) {
    RetentionRule rule;
    rule.name = "--archive-runs-after";
    rule.older_than = seconds_text(options_.archive_after);
    rule.action = RetentionAction::Archive;
    rules.push_back(std::move(rule));
  }
  for (auto& rule : co_await context_.store.database().read(store::retention_rules)) rules.push_back(std::move(rule));
  co_return rules;
}

Async<std::chrono::seconds> Retention::pause() {
  std::chrono::seconds shortest = 10min;
  for (const auto& rule : co_await all_rules()) {
    if (rule.disabled) continue;
    const auto age = read_duration(rule.older_than);
    shortest = std::min<std::chrono::seconds>(shortest, age ? *age / 10 : std::chrono::seconds(5min));
  }
  co_return std::max<std::chrono::seconds>(shortest, 1s);
}

Async<> Retention::run() {
  while (true) {
    std::chrono::seconds wait = 1h;
    try {
      co_await tick();
      wait = co_await pause();
    } catch (const Error& error) {
      spdlog::error("retention: {}", error.message());
    }
    const bool changed = co_await changed_.wait_for(wait);
    // Who makes a rule may look at what it would do, or make another, before it does.
    if (changed) {
      changed_.reset();
      const auto soon = std::min<std::chrono::seconds>(co_await pause(), 1min);
      co_await sleep_for(soon);
    }
  }
}

Async<Retention::Swept> Retention::do_sweep() {
  Swept swept;
  co_await api::clear_leftovers(context_);
  co_await api::measure_space(context_);
  const auto rules = co_await all_rules();
  const auto holds = co_await api::other_holds(context_);
  const Time now = clock_.now();
  const auto due =
      co_await context_.store.database().read([&](db::Connection& c) { return store::due_runs(c, rules, now, holds); });
  for (const auto& run : due) {
    try {
      if (run.action == RetentionAction::Archive) {
        co_await context_.store.archive_run(run.run_id);
        ++swept.archived;
        continue;
      }
      Run whole = co_await context_.store.get_run(run.run_id);
      // The rule looked at its state of storage.
      if (whole.storage_state != run.storage_state) continue;
      api::DeleteRun options;
      options.with_artifacts = options.only_ended = true;
      const auto done = co_await api::delete_run(context_, std::move(whole), options);
      swept.deleted += done.done ? 1 : 0;
      swept.bytes += done.bytes;
    } catch (const Error& error) {
      // Somebody else deleted it meanwhile.
      if (error.code() != Code::NotFound) throw;
    }
  }
  swept.bytes += co_await api::clear_orphans(context_);
  if (swept.archived > 0 || swept.deleted > 0) {
    spdlog::info("retention: {} runs archived, {} deleted, {} bytes freed", swept.archived, swept.deleted, swept.bytes);
  }
  co_return swept;
}

Async<> Retention::tick() { co_await sweep(); }

Async<json::object> Retention::sweep() {
  Swept swept;
  co_await on(control_.executor(), [this, &swept]() -> Async<> {
    while (sweeping_) {
      idle_.reset();
      co_await idle_.wait();
    }
    sweeping_ = true;
    std::exception_ptr failed;
    try {
      swept = co_await do_sweep();
    } catch (...) {
      failed = std::current_exception();
    }
    sweeping_ = false;
    idle_.set();
    if (failed) std::rethrow_exception(failed);
  });
  co_return json::object{{"archived", swept.archived}, {"deleted", swept.deleted}, {"bytes", swept.bytes}};
}

Async<json::object> Retention::dry_run(std::optional<std::vector<RetentionRule>> given) {
  co_await api::measure_space(context_);
  std::vector<RetentionRule> rules;
  if (given) {
    rules = std::move(*given);
  } else {
    rules = co_await all_rules();
  }
  const auto holds = co_await api::other_holds(context_);
  const Time now = clock_.now();
  const DryRun planned =
      co_await context_.store.database().read([&](db::Connection& c) { return plan(c, rules, now, holds); });
  co_return dry_run_json(planned);
}

}  // namespace penstock::pipelines
