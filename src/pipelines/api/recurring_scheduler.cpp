#include "pipelines/api/recurring_scheduler.h"

#include <spdlog/spdlog.h>

#include "pipelines/api/new_run.h"
#include "pipelines/api/routes.h"
#include "pipelines/schedule/cron.h"
#include "pipelines/schedule/macros.h"
#include "pipelines/schedule/trigger.h"

namespace penstock::pipelines {

namespace {

// The wall clock may be set: it is looked at again after so long.
constexpr std::chrono::minutes kLongestWait{5};
constexpr std::chrono::seconds kRetry{10};

// Throws what is wrong with the pipeline or its parameters.
Async<> make_scheduled_run(const ApiContext& context, const RecurringRun& recurring, Time scheduled, Time now) {
  Run run;
  const int64_t index = recurring.fires + 1;
  run.run_id = uuid_from(fmt::format("{}/{}", recurring.recurring_run_id, index));
  run.experiment_id = recurring.experiment_id;
  run.display_name = fmt::format("{}-{}", recurring.display_name, index);
  run.description = recurring.description;
  run.service_account = recurring.service_account;
  run.plugins_input = recurring.plugins_input;
  run.recurring_run_id = recurring.recurring_run_id;
  run.scheduled_at = scheduled;
  run.runtime_config = recurring.runtime_config;
  const MacroValues values{scheduled, now, index, run.run_id};
  run.runtime_config.parameters = expand_macros(recurring.runtime_config.parameters, values);
  api::RunSource source;
  if (recurring.spec_hash.empty()) {
    source = co_await api::version_source(context, recurring.pipeline_version_reference);
  } else {
    source.spec = co_await api::load_spec(context, recurring.spec_hash);
  }
  try {
    co_await api::make_run(context, std::move(run), std::move(source));
  } catch (const Error& error) {
    // Made before a crash, and not yet recorded.
    if (error.code() != Code::AlreadyExists) throw;
  }
}

}  // namespace

RecurringScheduler::RecurringScheduler(Loop& control, const ApiContext& context, const Clock& clock, std::string zone)
    : control_(control),
      context_(context),
      clock_(clock),
      zone_(std::move(zone)),
      scope_(control.executor(), "recurring runs"),
      wake_(control.executor()) {
  static_cast<void>(Cron("@daily", zone_));  // throws when there is no such zone
}

void RecurringScheduler::start() {
  scope_.spawn([this] { return run(); });
}

Async<> RecurringScheduler::stop() { co_await scope_.stop(); }

void RecurringScheduler::changed() {
  control_.post([this] { wake_.set(); });
}

void RecurringScheduler::run_ended(const std::string& recurring_run_id) {
  if (!recurring_run_id.empty()) wake_.set();
}

Async<> RecurringScheduler::run() {
  while (true) {
    wake_.reset();
    std::optional<Time> next;
    bool failed = false;
    try {
      next = co_await tick();
    } catch (const Error& error) {
      spdlog::error("recurring runs: {}", error.message());
      failed = true;
    }
    if (failed) {
      co_await wake_.wait_for(kRetry);
    } else if (!next) {
      co_await wake_.wait();
    } else {
      const std::chrono::nanoseconds left = *next - clock_.now();
      co_await wake_.wait_for(std::clamp<std::chrono::nanoseconds>(left, std::chrono::milliseconds(1), kLongestWait));
    }
  }
}

Async<std::optional<Time>> RecurringScheduler::tick() {
  std::optional<Time> earliest;
  auto all = co_await context_.store.enabled_recurring_runs();
  for (auto& recurring : all) {
    while (true) {
      const Time now = clock_.now();
      const auto due =
          next_fire(recurring.trigger, {recurring.created_at, recurring.last_fire}, now, recurring.no_catchup, zone_);
      if (due && *due > now) earliest = earliest ? std::min(*earliest, *due) : *due;
      if (!due || *due > now) break;
      const bool fired = co_await fire(recurring, *due);
      if (!fired) break;
    }
  }
  co_return earliest;
}

std::vector<Time> RecurringScheduler::upcoming(const RecurringRun& recurring, size_t count) const {
  std::vector<Time> times;
  const Time now = clock_.now();
  TriggerState state{recurring.created_at == Time{} ? now : recurring.created_at, recurring.last_fire};
  while (times.size() < count) {
    const auto due = next_fire(recurring.trigger, state, std::max(now, state.last), recurring.no_catchup, zone_);
    if (!due) break;
    times.push_back(*due);
    state.last = *due;
  }
  return times;
}

Async<bool> RecurringScheduler::fire(RecurringRun& recurring, Time scheduled) {
  const auto active = co_await context_.store.count_active_runs(recurring.recurring_run_id);
  if (active >= recurring.max_concurrency) co_return false;
  Status failure;
  try {
    co_await make_scheduled_run(context_, recurring, scheduled, clock_.now());
  } catch (const Error& error) {
    // The next one may do better: the pipeline may have a version by then.
    failure = {static_cast<int32_t>(error.code()), error.message()};
  }
  if (!failure.empty()) {
    spdlog::warn("recurring run {} could not be run: {}", recurring.recurring_run_id, failure.message);
  }
  recurring.last_fire = scheduled;
  ++recurring.fires;
  co_await context_.store.record_fire(recurring.recurring_run_id, scheduled, recurring.fires, failure);
  co_return true;
}

}  // namespace penstock::pipelines
