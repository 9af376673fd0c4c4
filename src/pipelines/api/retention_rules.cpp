// Rules of retention, and labels of runs by which they choose: additions, under /apis/penstock/v1.
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

RetentionRule read_rule(const json::value& body, const std::string& path = {}) {
  RetentionRule rule = retention_rule_fields().read(body, path);
  rule.rule_id.clear();
  rule.created_at = rule.updated_at = {};
  check_retention_rule(rule, path.empty() ? path : path + ".");
  return rule;
}

Response rule_response(const RetentionRule& rule) { return http::json_response(retention_rule_fields().write(rule)); }

void tell(const ApiContext& context) {
  if (context.retention != nullptr) context.retention->changed();
}

RetentionControl& control_of(const ApiContext& context) {
  if (context.retention == nullptr) throw Error(Code::Unimplemented, "nothing follows from rules here");
  return *context.retention;
}

Async<Response> create(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RetentionRule rule = read_rule(body);
  rule.rule_id = new_uuid();
  rule.created_at = rule.updated_at = context.store.now();
  co_await context.store.database().write([&](db::Connection& c) { store::insert_retention_rule(c, rule); });
  tell(context);
  co_return rule_response(rule);
}

Async<Response> list(const ApiContext& context, Request&) {
  json::array items;
  for (const auto& rule : co_await context.store.database().read(store::retention_rules)) {
    items.push_back(retention_rule_fields().write(rule));
  }
  co_return http::json_response(json::object{{"retention_rules", std::move(items)}});
}

Async<Response> get(const ApiContext& context, Request& request) {
  const std::string id = param(request, "rule_id");
  const auto rule =
      co_await context.store.database().read([&](db::Connection& c) { return store::retention_rule(c, id); });
  co_return rule_response(rule);
}

Async<Response> replace(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  RetentionRule rule = read_rule(body);
  rule.rule_id = param(request, "rule_id");
  rule.updated_at = context.store.now();
  co_await context.store.database().write([&](db::Connection& c) {
    rule.created_at = store::retention_rule(c, rule.rule_id).created_at;
    store::update_retention_rule(c, rule);
  });
  tell(context);
  co_return rule_response(rule);
}

Async<Response> remove(const ApiContext& context, Request& request) {
  const std::string id = param(request, "rule_id");
  co_await context.store.database().write([&](db::Connection& c) { store::delete_retention_rule(c, id); });
  tell(context);
  co_return empty_reply();
}

Async<Response> dry_run(const ApiContext& context, Request& request) {
  const json::value body = co_await read_json(context, request);
  if (!body.is_object()) throw Error(Code::InvalidArgument, "body: expected an object", "body");
  std::optional<std::vector<RetentionRule>> rules;
  for (const auto& [name, value] : body.get_object()) {
    if (name != "rules") throw Error(Code::InvalidArgument, fmt::format("{}: unknown field", name), std::string(name));
    if (!value.is_array()) throw Error(Code::InvalidArgument, "rules: expected a list", "rules");
    rules.emplace();
    for (size_t i = 0; i < value.get_array().size(); ++i) {
      rules->push_back(read_rule(value.get_array()[i], fmt::format("rules[{}]", i)));
    }
  }
  const json::object planned = co_await control_of(context).dry_run(std::move(rules));
  co_return http::json_response(planned);
}

Async<Response> sweep(const ApiContext& context, Request&) {
  const json::object done = co_await control_of(context).sweep();
  co_return http::json_response(done);
}

// --- labels of runs ---

Response labels_response(const Tags& labels) {
  json::object out;
  for (const auto& [name, value] : labels) out[name] = value;
  return http::json_response(json::object{{"labels", std::move(out)}});
}

Async<Response> get_labels(const ApiContext& context, Request& request) {
  const std::string id = param(request, "run_id");
  const Tags labels =
      co_await context.store.database().read([&](db::Connection& c) { return store::run_labels(c, id); });
  co_return labels_response(labels);
}

Async<Response> set_labels(const ApiContext& context, Request& request) {
  const std::string id = param(request, "run_id");
  const json::value body = co_await read_json(context, request);
  const json::value* given = body.is_object() ? find(body, "labels") : nullptr;
  if (given == nullptr || !given->is_object()) {
    throw Error(Code::InvalidArgument, "labels: expected an object of texts", "labels");
  }
  Tags labels;
  for (const auto& [name, value] : given->get_object()) {
    if (!value.is_string()) {
      const std::string field = fmt::format("labels.{}", std::string_view(name));
      throw Error(Code::InvalidArgument, fmt::format("{}: expected a text", field), field);
    }
    labels[std::string(name)] = to_std(value.get_string());
  }
  co_await context.store.database().write([&](db::Connection& c) { store::set_run_labels(c, id, labels); });
  co_return labels_response(labels);
}

}  // namespace

void add_retention_routes(Routes& routes) {
  routes.add_at(Method::Post, "/apis/penstock/v1/retention_rules", create);
  routes.add_at(Method::Get, "/apis/penstock/v1/retention_rules", list);
  routes.add_at(Method::Get, "/apis/penstock/v1/retention_rules/{rule_id}", get);
  routes.add_at(Method::Put, "/apis/penstock/v1/retention_rules/{rule_id}", replace);
  routes.add_at(Method::Delete, "/apis/penstock/v1/retention_rules/{rule_id}", remove);
  routes.add_at(Method::Post, "/apis/penstock/v1/retention_rules:dryRun", dry_run);
  routes.add_at(Method::Post, "/apis/penstock/v1/retention_rules:sweep", sweep);
  routes.add_at(Method::Get, "/apis/penstock/v1/runs/{run_id}/labels", get_labels);
  routes.add_at(Method::Put, "/apis/penstock/v1/runs/{run_id}/labels", set_labels);
}

}  // namespace penstock::pipelines::api
