// What tasks get from their templates: names, retries, what they tolerate, and whether they are cached.
#include <cmath>

#include "pipelines/argo/translator.h"

namespace penstock::argo {

namespace {

constexpr std::string_view kDisplayName = "pipelines.kubeflow.org/task_display_name";

const json::object* metadata_of(const Template& from, std::string_view map) {
  const auto* metadata = ir::object_member(*from.spec, "metadata", from.path);
  return metadata != nullptr ? ir::object_member(*metadata, map, from.path + ".metadata") : nullptr;
}

std::chrono::milliseconds duration(const json::object& object, std::string_view name, const std::string& path) {
  const auto* value = ir::member(object, name);
  if (value == nullptr) return std::chrono::milliseconds(0);
  const std::string text = any_text(*value, path + "." + std::string(name));
  const auto seconds = duration_seconds(text);
  if (!seconds) throw invalid("{}.{}: \"{}\" is no duration; write it as \"30s\", \"5m\" or \"1h\"", path, name, text);
  return std::chrono::milliseconds(std::llround(*seconds * 1000));
}

// As the SDK's label says it, and no older than its staleness; a staleness of nothing turns it off. A memoized
// template is cached in any case. What a resource template or a request does is outside of the run.
void read_cache(ir::Task& task, const Template& callee) {
  if (ir::member(*callee.spec, "resource") != nullptr || is_delete_step(callee)) return;
  if (ir::bool_member(*callee.spec, "daemon", callee.path)) return;
  if (const auto* memo = ir::object_member(*callee.spec, "memoize", callee.path)) {
    task.cache = true;
    const auto age = duration(*memo, "maxAge", callee.path + ".memoize");
    if (age.count() > 0) task.max_cache_age = std::chrono::duration_cast<std::chrono::seconds>(age);
    return;
  }
  if (ir::member(*callee.spec, "http") != nullptr) return;
  const auto* labels = metadata_of(callee, "labels");
  const auto* label = labels != nullptr ? labels->if_contains("pipelines.kubeflow.org/enable_caching") : nullptr;
  task.cache = label != nullptr && any_text(*label, callee.path) == "true";
  constexpr std::string_view kStaleness = "pipelines.kubeflow.org/max_cache_staleness";
  const auto* annotations = metadata_of(callee, "annotations");
  const auto* staleness = annotations != nullptr ? annotations->if_contains(kStaleness) : nullptr;
  if (!task.cache || staleness == nullptr) return;
  const std::string text = any_text(*staleness, callee.path);
  const auto seconds = iso_seconds(text);
  if (!seconds) return;  // as the reference has it: any age
  task.cache = *seconds > 0;
  task.max_cache_age = std::chrono::seconds(std::llround(*seconds));
}

}  // namespace

void Translator::read_policies(ir::Task& task, const json::object& spec, const Template& callee,
                               const std::string& path) const {
  task.display_name = task.name;
  if (const auto* annotations = metadata_of(callee, "annotations")) {
    if (const auto* name = annotations->if_contains(kDisplayName)) task.display_name = any_text(*name, callee.path);
  }
  if (const auto* go_on = ir::object_member(spec, "continueOn", path)) {
    if (ir::bool_member(*go_on, "failed", path + ".continueOn")) task.tolerated |= ir::kFailed;
    if (ir::bool_member(*go_on, "error", path + ".continueOn")) task.tolerated |= ir::kErrored;
  }
  read_cache(task, callee);
  const json::object* retry = ir::object_member(*callee.spec, "retryStrategy", callee.path);
  if (retry != nullptr) read_retry(task.retry, *retry, callee, callee.path + ".retryStrategy");
}

void Translator::read_retry(ir::RetryPolicy& retry, const json::object& spec, const Template& callee,
                            const std::string& path) const {
  check_fields(spec, path, {"limit", "retryPolicy", "backoff", "expression"}, {"affinity"});
  constexpr int kUnlimited = 1'000'000;
  const auto* limit = ir::member(spec, "limit");
  retry.max_retries = limit == nullptr ? kUnlimited : static_cast<int>(whole(spec, "limit", 0, path));
  retry.each_item = true;
  const std::string policy = ir::string_member(spec, "retryPolicy", path);
  const std::string expression = ir::string_member(spec, "expression", path);
  if (!expression.empty()) retry.expression = retry_expression(expression, callee, path + ".expression");
  if (policy.empty() && retry.expression) {
    // Always.
  } else if (policy.empty() || policy == "OnFailure") {
    retry.results = ir::kFailed;
  } else if (policy == "OnError" || policy == "OnTransientError") {
    retry.results = ir::kErrored;
  } else if (policy != "Always") {
    throw invalid("{}.retryPolicy: \"{}\" is none of Always, OnFailure, OnError and OnTransientError", path, policy);
  }
  retry.factor = 1;
  const auto* backoff = ir::object_member(spec, "backoff", path);
  if (backoff == nullptr) return;
  const std::string at = path + ".backoff";
  check_fields(*backoff, at, {"duration", "factor", "maxDuration", "cap"});
  retry.backoff = duration(*backoff, "duration", at);
  retry.factor = ir::number_member(*backoff, "factor", 1, at);
  if (!(retry.factor >= 0) || retry.factor > 1e6) throw invalid("{}.factor: must be at least 0", at);
  if (retry.factor == 0) retry.factor = 1;
  retry.max_duration = duration(*backoff, "maxDuration", at);
  const auto cap = duration(*backoff, "cap", at);
  retry.max_backoff = cap.count() > 0 ? cap : std::chrono::hours(24 * 365);
}

// Looked at when an attempt has failed: over that, the inputs and the run.
std::shared_ptr<const Expression> Translator::retry_expression(const std::string& text, const Template& callee,
                                                               const std::string& path) const {
  if (text.find("{{") != std::string::npos) {
    throw invalid("{}: write what it names without braces: inputs.parameters.x", path);
  }
  auto parsed = std::make_shared<const Expression>(parse_expression(text, path));
  for (const auto& names : parsed->paths()) {
    if (names[0] != "lastRetry" && names[0] != "retries") {
      check_common(names, *callee.component, text, path);
    }
  }
  return parsed;
}

}  // namespace penstock::argo
