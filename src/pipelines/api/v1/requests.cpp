#include "pipelines/api/v1/requests.h"

#include <algorithm>

#include "db/list_filter.h"
#include "pipelines/api/package.h"
#include "pipelines/ir/spec.h"

namespace penstock::pipelines::v1 {

namespace {

[[noreturn]] void refuse(const std::string& field, std::string_view why) {
  throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, why), field);
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// The states that v1 shows as this; the value itself where it is none of v1's.
json::array states_of(const json::value& status) {
  json::array out;
  for (int i = 0; status.is_string() && i <= static_cast<int>(RunState::Paused); ++i) {
    const auto state = static_cast<RunState>(i);
    if (same_word(status_of(state), to_view(status.as_string()))) out.emplace_back(to_string(state));
  }
  if (out.empty()) out.push_back(status);
  return out;
}

json::value without_prefix(const json::value& state) {
  constexpr std::string_view kPrefix = "STORAGESTATE_";
  if (!state.is_string() || !to_view(state.as_string()).starts_with(kPrefix)) return state;
  return json::value(to_view(state.as_string()).substr(kPrefix.size()));
}

json::array map_each(const json::value& values, json::value (*map)(const json::value&)) {
  json::array out;
  for (const json::value& value : values.as_array()) out.push_back(map(value));
  return out;
}

// One predicate in its normal form, as one or more of the store's.
void add_predicate(json::object predicate, json::array& out) {
  const std::string key = get_string(predicate, "key"), operation = get_string(predicate, "operation");
  json::value& value = predicate["value"];
  if (key == "storage_state") {
    value = value.is_array() ? json::value(map_each(value, without_prefix)) : without_prefix(value);
  } else if (key == "status" && operation == "EQUALS") {
    predicate["operation"] = "IN";
    value = states_of(value);
  } else if (key == "status" && operation == "NOT_EQUALS") {
    for (const json::value& state : states_of(value)) {
      out.push_back({{"operation", operation}, {"key", key}, {"value", state}});
    }
    return;
  } else if (key == "status" && operation == "IN") {
    json::array all;
    for (const json::value& one : value.as_array()) {
      for (const json::value& state : states_of(one)) all.push_back(state);
    }
    value = std::move(all);
  }
  out.push_back(std::move(predicate));
}

std::vector<json::value> documents_of(const std::string& manifest, const std::string& field) {
  try {
    return parse_documents(manifest);
  } catch (const Error& error) {
    refuse(field, error.message());
  }
}

// A parameter's text as its type. Python writes True, False and None.
json::value typed(const std::string& text, ir::ParameterType type, const std::string& field) {
  if (type == ir::ParameterType::String || type == ir::ParameterType::Unspecified) return json::value(text);
  json::value value;
  try {
    const std::string_view python = text;
    value = parse_json(python == "True" ? "true" : python == "False" ? "false" : python == "None" ? "null" : python);
  } catch (const Error&) {
    refuse(field, fmt::format("{:?} is no {}", text, ir::type_name(type)));
  }
  return ir::convert(value, type, field);
}

// {"int_value": "3"} of older clients.
json::value unwrapped(const json::value& value, ir::ParameterType type) {
  if (type == ir::ParameterType::Struct || !value.is_object() || value.as_object().size() != 1) return value;
  const auto& [key, inner] = *value.as_object().begin();
  if (key == "int_value" || key == "intValue") return read_int64(inner, "runtime_config.parameters");
  if (key == "double_value" || key == "doubleValue" || key == "string_value" || key == "stringValue") return inner;
  return value;
}

}  // namespace

db::ListRequest list_request_v1(const Request& request) {
  db::ListRequest out = list_request(request);
  if (out.filter.empty()) return out;
  const json::value filter = db::normalise_filter(db::decode_filter(out.filter));
  out.filter.clear();
  if (filter.is_null()) return out;
  json::array predicates;
  for (const json::value& predicate : filter.as_array()) add_predicate(predicate.as_object(), predicates);
  out.filter = to_text(json::object{{"predicates", std::move(predicates)}});
  return out;
}

ResourceQuery resource_query(const Request& request, std::string_view name) {
  ResourceQuery out;
  const std::string key(name);
  const bool short_name = name == "resource_key";
  const std::string camel = short_name ? "resourceKey" : "resourceReferenceKey";
  const std::string type = request.query_or(key + ".type", request.query_or(camel + ".type", ""));
  out.id = request.query_or(key + ".id", request.query_or(camel + ".id", ""));
  if (!type.empty()) out.type = read_resource_type(type, key + ".type");
  if (out.type == ResourceType::Unknown && !out.id.empty()) refuse(key + ".type", "it is missing beside the id");
  return out;
}

void check_resource(const ResourceQuery& query, std::initializer_list<ResourceType> types, std::string_view list) {
  if (query.type == ResourceType::Unknown || std::ranges::find(types, query.type) != types.end()) return;
  refuse("resource_reference_key.type", fmt::format("{} cannot be listed by it", list));
}

Async<RunSource> find_source_v1(const ApiContext& context, PipelineSpec spec, References references) {
  const std::string version = referred(references, ResourceType::PipelineVersion);
  const bool workflow = !spec.workflow_manifest.empty(), pipeline = !spec.pipeline_manifest.empty();
  if (workflow || pipeline) {
    if (workflow && pipeline) refuse("pipeline_spec", "workflow_manifest and pipeline_manifest are given; give one");
    if (!version.empty() || !spec.pipeline_id.empty()) {
      refuse("pipeline_spec", "a manifest is given, and a pipeline or a version too; give one of them");
    }
    const std::string field = workflow ? "pipeline_spec.workflow_manifest" : "pipeline_spec.pipeline_manifest";
    const std::string manifest = workflow ? std::move(spec.workflow_manifest) : std::move(spec.pipeline_manifest);
    std::vector<json::value> documents = co_await context.blocking.run([&] { return documents_of(manifest, field); });
    RunSource source;
    source.spec = co_await check_spec(context, std::move(documents));
    co_return source;
  }
  PipelineVersionReference reference{spec.pipeline_id, version};
  if (reference.pipeline_id.empty() && version.empty()) {
    refuse("pipeline_spec", "give a manifest, a pipeline_id, or a PIPELINE_VERSION among the resource_references");
  }
  if (version.empty()) {
    co_await context.store.get_pipeline(spec.pipeline_id);
    std::vector<std::string> ids;
    ids.push_back(spec.pipeline_id);
    const auto versions = co_await context.store.default_versions(std::move(ids));
    const auto found = versions.find(spec.pipeline_id);
    if (found == versions.end()) throw not_found("Pipeline {} has no version", spec.pipeline_id);
    reference.pipeline_version_id = found->second.pipeline_version_id;
  }
  co_return co_await version_source(context, std::move(reference));
}

RuntimeConfig runtime_config_of(const PipelineSpec& spec, const Spec& pipeline) {
  RuntimeConfig out;
  const ir::Component* root = pipeline.pipeline ? pipeline.pipeline->root : nullptr;
  const auto type_of = [&](std::string_view name) {
    const int at = root ? root->input_parameter(name) : -1;
    return at < 0 ? std::optional<ir::ParameterType>() : root->input_parameters[static_cast<size_t>(at)].type;
  };
  out.pipeline_root = spec.runtime_config.pipeline_root;
  for (const auto& [name, value] : spec.runtime_config.parameters) {
    out.parameters[name] = unwrapped(value, type_of(std::string_view(name)).value_or(ir::ParameterType::Struct));
  }
  for (size_t i = 0; i < spec.parameters.size(); ++i) {
    const Parameter& given = spec.parameters[i];
    const std::string field = fmt::format("pipeline_spec.parameters[{}]", i);
    if (given.name.empty()) refuse(field + ".name", "it is required and missing");
    const auto type = type_of(given.name);
    if (!type && given.name == "pipeline-root") {
      out.pipeline_root = given.value;
      continue;
    }
    // What the pipeline does not know is told by the check of the whole.
    json::value value = type ? typed(given.value, *type, field + ".value") : json::value(given.value);
    const json::value* other = out.parameters.if_contains(given.name);
    if (other && *other != value) {
      refuse(field, fmt::format("{} has another value in the runtime_config", given.name));
    }
    out.parameters[given.name] = std::move(value);
  }
  return out;
}

}  // namespace penstock::pipelines::v1
