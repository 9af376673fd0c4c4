#include "pipelines/api/messages.h"
#include "pipelines/api/new_run.h"
#include "pipelines/api/routes.h"
#include "pipelines/schedule/cron.h"
#include "pipelines/schedule/macros.h"

namespace penstock::pipelines::api {

namespace {

constexpr int64_t kMostConcurrent = 10;

// A periodic schedule whose interval is left out or 0 comes every second, as in the reference; without a schedule there
// is one run.
bool is_periodic(const json::value& body) {
  const json::value* trigger = find(body, "trigger");
  if (trigger == nullptr) return false;
  for (const std::string_view name : {"periodic_schedule", "periodicSchedule"}) {
    const json::value* schedule = find(*trigger, name);
    if (schedule != nullptr && schedule->is_object()) return true;
  }
  return false;
}

Trigger read_trigger(const TriggerMessage& message) {
  const auto& cron = message.cron_schedule;
  const auto& periodic = message.periodic_schedule;
  Trigger trigger;
  if (!cron.cron.empty() && periodic.interval_second != 0) {
    throw Error(Code::InvalidArgument, "cron_schedule and periodic_schedule are given; a trigger is one of them",
                "trigger");
  }
  if (periodic.interval_second < 0) {
    throw Error(Code::InvalidArgument, fmt::format("{} is no interval", periodic.interval_second),
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

// The text of its own spec, if it has one.
Async<std::string> spec_of(const ApiContext& context, const RecurringRun& recurring) {
  std::string spec;
  if (!recurring.spec_hash.empty()) spec = co_await context.store.get_spec(recurring.spec_hash);
  co_return spec;
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RecurringRunMessage message = recurring_run_fields().read(body);
  if (!message.plugins_input.empty()) {
    throw Error(Code::InvalidArgument, "this server has no plugins; leave plugins_input out", "plugins_input");
  }
  if (message.max_concurrency < 1 || message.max_concurrency > kMostConcurrent) {
    throw Error(Code::InvalidArgument,
                fmt::format("max_concurrency is {}; it may be 1 to {}", message.max_concurrency, kMostConcurrent),
                "max_concurrency");
  }
  if (is_periodic(body) && message.schedule.periodic_schedule.interval_second == 0) {
    message.schedule.periodic_schedule.interval_second = 1;
  }
  message.trigger = read_trigger(message.schedule);
  message.enabled = message.mode != RecurringMode::Disable;
  const RunSource source = co_await find_source(context, std::move(message.pipeline_spec), message.pipeline_version_id,
                                                message.pipeline_version_reference);
  // The values do not matter here, only their types.
  const MacroValues example{Time{}, Time{}, 1, new_uuid()};
  context.specs.validate_parameters(*source.spec, expand_macros(message.runtime_config.parameters, example));
  RecurringRun recurring = message;
  recurring.name_space.clear();  // one user, one namespace
  std::string spec;
  if (source.reference.pipeline_version_id.empty()) {
    recurring.spec_hash = source.spec->hash;
    spec = source.spec->text;
  } else {
    recurring.pipeline_version_reference.pipeline_id = source.reference.pipeline_id;
    if (!message.pipeline_version_id.empty()) recurring.pipeline_version_reference = source.reference;
  }
  recurring = co_await context.store.create_recurring_run(std::move(recurring), spec);
  tell_scheduler(context);
  co_return json_text(recurring_run_text(recurring, spec));
}

Async<Response> get(const ApiContext& context, Request& request) {
  const RecurringRun recurring = co_await context.store.get_recurring_run(param(request, "recurring_run_id"));
  const std::string spec = co_await spec_of(context, recurring);
  co_return json_text(recurring_run_text(recurring, spec));
}

Async<Response> list(const ApiContext& context, Request& request) {
  const Page<RecurringRun> page =
      co_await context.store.list_recurring_runs(request.query_or("experiment_id", ""), list_request(request));
  std::vector<std::string> hashes;
  for (const auto& recurring : page.items) {
    if (!recurring.spec_hash.empty()) hashes.push_back(recurring.spec_hash);
  }
  std::map<std::string, std::string> specs;
  if (!hashes.empty()) specs = co_await context.store.get_specs(std::move(hashes), kMaxListedSpec);
  std::string text;
  for (const auto& recurring : page.items) {
    if (!text.empty()) text += ',';
    text += recurring_run_text(recurring, specs[recurring.spec_hash]);
  }
  // The one list whose name the reference writes in camel case.
  co_return json_text(page_text("recurringRuns", text, page.total_size, page.next_page_token));
}

Async<Response> remove(const ApiContext& context, Request& request) {
  co_await context.store.delete_recurring_run(param(request, "recurring_run_id"));
  tell_scheduler(context);
  co_return empty_reply();
}

Async<Response> enable(const ApiContext& context, Request& request) {
  co_await context.store.enable_recurring_run(param(request, "recurring_run_id"), true);
  tell_scheduler(context);
  co_return empty_reply();
}

Async<Response> disable(const ApiContext& context, Request& request) {
  co_await context.store.enable_recurring_run(param(request, "recurring_run_id"), false);
  tell_scheduler(context);
  co_return empty_reply();
}

}  // namespace

void add_recurring_run_routes(Routes& routes) {
  routes.add(Method::Post, "/recurringruns", create);
  routes.add(Method::Get, "/recurringruns", list);
  routes.add(Method::Get, "/recurringruns/{recurring_run_id}", get);
  routes.add(Method::Delete, "/recurringruns/{recurring_run_id}", remove);
  routes.add(Method::Post, "/recurringruns/{recurring_run_id}:enable", enable);
  routes.add(Method::Post, "/recurringruns/{recurring_run_id}:disable", disable);
}

}  // namespace penstock::pipelines::api
