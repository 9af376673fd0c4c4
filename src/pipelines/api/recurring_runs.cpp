#include "pipelines/api/messages.h"
#include "pipelines/api/new_recurring_run.h"
#include "pipelines/api/new_run.h"
#include "pipelines/api/plugins.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

// The text of its own spec, if it has one.
Async<std::string> spec_of(const ApiContext& context, const RecurringRun& recurring) {
  std::string spec;
  if (!recurring.spec_hash.empty()) spec = co_await context.store.get_spec(recurring.spec_hash);
  co_return spec;
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RecurringRunMessage message = recurring_run_fields().read(body);
  check_plugins_input(message.plugins_input);
  default_interval(body, message.schedule);
  RecurringRun recurring = message;
  recurring.trigger = read_trigger(message.schedule);
  recurring.enabled = message.mode != RecurringMode::Disable;
  RunSource source = co_await find_source(context, std::move(message.pipeline_spec), message.pipeline_version_id,
                                          message.pipeline_version_reference);
  const std::string spec = source.reference.pipeline_version_id.empty() ? source.spec->text : std::string();
  // A reference without a version stays one: each run takes what is the latest then.
  if (message.pipeline_version_reference.pipeline_version_id.empty() && message.pipeline_version_id.empty()) {
    source.latest = true;
  }
  recurring = co_await make_recurring_run(context, std::move(recurring), std::move(source));
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

// A recurring run owns nothing but its schedule: whatever the policy, its runs stay.
void check_policy(const Request& request) {
  constexpr std::string_view kPolicies[] = {"DELETE_PROPAGATION_POLICY_UNSPECIFIED", "FOREGROUND", "BACKGROUND",
                                            "ORPHAN"};
  const std::string policy = request.query_or("propagation_policy", request.query_or("propagationPolicy", ""));
  for (size_t i = 0; i < std::size(kPolicies); ++i) {
    if (policy.empty() || policy == kPolicies[i] || policy == std::to_string(i)) return;
  }
  throw Error(Code::InvalidArgument, fmt::format("propagation_policy: {:?} is none of its values", policy),
              "propagation_policy");
}

Async<Response> remove(const ApiContext& context, Request& request) {
  check_policy(request);
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

constexpr int kMostUpcoming = 500;

Response upcoming_reply(const ApiContext& context, const Request& request, const RecurringRun& recurring) {
  const int count = int_query(request, "count", 20);
  if (count < 1 || count > kMostUpcoming) {
    throw Error(Code::InvalidArgument, fmt::format("count is {}; it may be 1 to {}", count, kMostUpcoming), "count");
  }
  json::array times;
  if (context.recurring != nullptr && recurring.enabled) {
    for (const Time time : context.recurring->upcoming(recurring, static_cast<size_t>(count))) {
      times.push_back(json::object{{"scheduled_at", format_time(time)}});
    }
  }
  json::object reply{{"upcoming", std::move(times)}, {"runs_made", recurring.fires}};
  if (recurring.last_fire != Time{}) reply["last_scheduled_at"] = format_time(recurring.last_fire);
  return http::json_response(std::move(reply));
}

// When it will fire: never, while it is disabled.
Async<Response> schedule(const ApiContext& context, Request& request) {
  const RecurringRun recurring = co_await context.store.get_recurring_run(param(request, "recurring_run_id"));
  co_return upcoming_reply(context, request, recurring);
}

// When a recurring run with the body's trigger would fire, were it made now. Nothing is kept.
Async<Response> preview_schedule(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RecurringRunMessage message = schedule_fields().read(body);
  default_interval(body, message.schedule);
  RecurringRun recurring = message;
  recurring.trigger = read_trigger(message.schedule);
  co_return upcoming_reply(context, request, recurring);
}

}  // namespace

void add_recurring_run_routes(Routes& routes) {
  routes.add(Method::Post, "/recurringruns", create);
  routes.add(Method::Get, "/recurringruns", list);
  routes.add(Method::Get, "/recurringruns/{recurring_run_id}", get);
  routes.add(Method::Delete, "/recurringruns/{recurring_run_id}", remove);
  routes.add(Method::Post, "/recurringruns/{recurring_run_id}:enable", enable);
  routes.add(Method::Post, "/recurringruns/{recurring_run_id}:disable", disable);
  routes.add_at(Method::Get, "/apis/penstock/v1/recurringruns/{recurring_run_id}:schedule", schedule);
  routes.add_at(Method::Post, "/apis/penstock/v1/recurringruns:previewSchedule", preview_schedule);
}

}  // namespace penstock::pipelines::api
