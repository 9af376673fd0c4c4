#include "pipelines/api/new_recurring_run.h"

#include "pipelines/schedule/cron.h"
#include "pipelines/schedule/macros.h"

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kMostConcurrent = 10;

}  // namespace

Trigger read_trigger(const TriggerMessage& message) {
  const auto& cron = message.cron_schedule;
  const auto& periodic = message.periodic_schedule;
  Trigger trigger;
  if (!cron.cron.empty() && periodic.interval_second != 0) {
    throw Error(Code::InvalidArgument, "cron_schedule and periodic_schedule are given; a trigger is one of them",
                "trigger");
  }
  if (periodic.interval_second < 0) {
    throw Error(Code::InvalidArgument, fmt::format("interval_second: {} is no interval", periodic.interval_second),
                "trigger.periodic_schedule.interval_second");
  }
  const bool is_cron = !cron.cron.empty();
  if (is_cron) {
    try {
      const Cron checked(cron.cron);
    } catch (const Error& error) {
      throw Error(Code::InvalidArgument, error.message(), "trigger.cron_schedule.cron");
    }
    trigger.cron = cron.cron;
  }
  trigger.interval = std::chrono::seconds(periodic.interval_second);
  trigger.start = is_cron ? cron.start_time : periodic.start_time;
  trigger.end = is_cron ? cron.end_time : periodic.end_time;
  if (trigger.end != Time{} && trigger.end < trigger.start) {
    throw Error(Code::InvalidArgument, "end_time is before start_time",
                is_cron ? "trigger.cron_schedule.end_time" : "trigger.periodic_schedule.end_time");
  }
  return trigger;
}

void tell_scheduler(const ApiContext& context) {
  if (context.recurring != nullptr) context.recurring->changed();
}

void default_interval(const json::value& body, TriggerMessage& message) {
  const json::value* trigger = find(body, "trigger");
  if (trigger == nullptr || message.periodic_schedule.interval_second != 0) return;
  for (const std::string_view name : {"periodic_schedule", "periodicSchedule"}) {
    const json::value* schedule = find(*trigger, name);
    if (schedule != nullptr && schedule->is_object()) message.periodic_schedule.interval_second = 1;
  }
}

Async<RecurringRun> make_recurring_run(const ApiContext& context, RecurringRun recurring, RunSource source) {
  if (recurring.max_concurrency < 1 || recurring.max_concurrency > kMostConcurrent) {
    throw Error(Code::InvalidArgument,
                fmt::format("max_concurrency is {}; it may be 1 to {}", recurring.max_concurrency, kMostConcurrent),
                "max_concurrency");
  }
  // The values do not matter here, only their types.
  const MacroValues example{Time{}, Time{}, 1, new_uuid()};
  context.specs.validate_parameters(*source.spec, expand_macros(recurring.runtime_config.parameters, example));
  recurring.name_space.clear();  // one user, one namespace
  if (recurring.service_account.empty()) recurring.service_account = kDefaultServiceAccount;
  std::string spec;
  recurring.pipeline_version_reference = source.reference;
  if (source.reference.pipeline_version_id.empty()) {
    recurring.spec_hash = source.spec->hash;
    spec = source.spec->text;
  } else if (source.latest) {
    recurring.pipeline_version_reference.pipeline_version_id.clear();
  }
  recurring = co_await context.store.create_recurring_run(std::move(recurring), std::move(spec));
  tell_scheduler(context);
  co_return recurring;
}

}  // namespace penstock::pipelines::api
