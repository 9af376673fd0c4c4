#include "pipelines/store/spec_cache.h"

#include "base/clock.h"
#include "base/error.h"
#include "pipelines/argo/workflow.h"

namespace penstock::pipelines {

namespace {

const json::value* either(const json::object& object, std::string_view snake, std::string_view camel) {
  const json::value* value = find(object, snake);
  return value ? value : find(object, camel);
}

bool is_platform(const json::object& document) { return document.contains("platforms"); }

bool is_spec(const json::object& document) {
  return either(document, "pipeline_info", "pipelineInfo") || document.contains("root");
}

// A document's pipeline spec and platform spec, wherever it keeps them.
void take(json::object& document, json::value& spec, json::value& platform) {
  const std::string kind = get_string(document, "kind");
  if (kind == "Workflow") {  // of the v1 SDK
    if (!spec.is_null()) throw invalid("more than one pipeline in the file");
    spec = std::move(document);
    return;
  }
  if (kind == "Pipeline") return;  // only names what the PipelineVersion beside it holds
  if (kind == "PipelineVersion") {
    json::value* inner = document.if_contains("spec");
    if (!inner || !inner->is_object()) throw invalid("PipelineVersion: spec is missing");
    take(inner->as_object(), spec, platform);
    return;
  }
  const json::value* fixed = either(document, "runtime_config", "runtimeConfig");
  if (const json::value* inner = either(document, "pipeline_spec", "pipelineSpec");
      inner && fixed && fixed->is_object() && !fixed->as_object().empty()) {
    spec = std::move(document);  // a PipelineJob whose parameters count: kept whole
  } else if (inner) {
    if (const json::value* other = either(document, "platform_spec", "platformSpec")) platform = *other;
    spec = *inner;
  } else if (is_spec(document)) {
    spec = std::move(document);
  } else if (is_platform(document)) {
    platform = std::move(document);
  } else {
    throw invalid("this is no pipeline spec: it has neither pipelineInfo nor root");
  }
}

std::string name_of(const json::value& stored) {
  const json::object* spec = stored.is_object() ? &stored.as_object() : nullptr;
  if (spec && get_string(*spec, "kind") == "Workflow") return argo::workflow_name(*spec);
  if (spec) {
    const json::value* inner = either(*spec, "pipeline_spec", "pipelineSpec");
    if (inner && inner->is_object()) spec = &inner->as_object();
    const json::value* info = either(*spec, "pipeline_info", "pipelineInfo");
    if (info && info->is_object()) return get_string(info->as_object(), "name");
  }
  return {};
}

}  // namespace

json::value SpecCache::normalise(std::vector<json::value> documents) {
  json::value spec, platform;
  for (json::value& document : documents) {
    if (document.is_null()) continue;
    if (!document.is_object()) throw invalid("this is no pipeline spec: expected a map at the top");
    take(document.as_object(), spec, platform);
  }
  if (!spec.is_object()) throw invalid("this is no pipeline spec: it has no document with pipelineInfo and root");
  if (platform.is_null() || (platform.is_object() && platform.as_object().empty())) return spec;
  return json::object{{"pipeline_spec", std::move(spec)}, {"platform_spec", std::move(platform)}};
}

SpecCache::SpecCache(SpecReader reader, size_t max_bytes) : reader_(std::move(reader)), max_bytes_(max_bytes) {}

std::shared_ptr<const Spec> SpecCache::find(const std::string& hash) {
  const std::lock_guard lock(mutex_);
  const auto entry = by_hash_.find(hash);
  if (entry == by_hash_.end()) return nullptr;
  newest_.splice(newest_.begin(), newest_, entry->second);
  return *entry->second;
}

std::shared_ptr<const Spec> SpecCache::parse(std::string text) {
  std::string hash = sha256_hex(text);
  if (auto found = find(hash)) return found;

  json::value stored = parse_json(text);
  auto spec = std::make_shared<Spec>();
  spec->pipeline_name = name_of(stored);
  if (spec->pipeline_name.empty()) {
    const auto field = string_at(stored, {"kind"}) == "Workflow" ? "metadata.name" : "pipelineInfo.name";
    throw Error(Code::InvalidArgument, fmt::format("{}: it is required and missing", field), field);
  }
  json::value platform;
  if (stored.is_object()) {
    json::object& object = stored.as_object();
    json::value* inner = object.if_contains("pipeline_spec");
    if (inner && !either(object, "runtime_config", "runtimeConfig")) {
      if (const json::value* other = object.if_contains("platform_spec")) platform = *other;
      json::value only = std::move(*inner);
      stored = std::move(only);
    }
  }
  spec->pipeline = reader_.read(std::move(stored), std::move(platform));
  spec->hash = std::move(hash);
  spec->text = std::move(text);

  const std::lock_guard lock(mutex_);
  const auto [entry, added] = by_hash_.try_emplace(spec->hash);
  if (!added) return *entry->second;
  newest_.push_front(spec);
  entry->second = newest_.begin();
  bytes_ += spec->text.size();
  while (bytes_ > max_bytes_ && newest_.size() > 1) {
    bytes_ -= newest_.back()->text.size();
    by_hash_.erase(newest_.back()->hash);
    newest_.pop_back();
  }
  return spec;
}

void SpecCache::validate_parameters(const Spec& spec, const json::object& parameters) const {
  reader_.validate_parameters(*spec.pipeline, parameters);
}

}  // namespace penstock::pipelines
