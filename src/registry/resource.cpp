#include "registry/resource.h"

#include <algorithm>
#include <charconv>

#include "base/base64.h"
#include "base/clock.h"
#include "base/utf8.h"

namespace penstock::registry {

namespace {

using Type = Field::Type;

constexpr std::string_view kLive[] = {"LIVE", "ARCHIVED"};
constexpr std::string_view kArtifactStates[] = {"UNKNOWN", "PENDING",   "LIVE",     "MARKED_FOR_DELETION",
                                                "DELETED", "ABANDONED", "REFERENCE"};
constexpr std::string_view kDeployed[] = {"DEPLOYED", "UNDEPLOYED"};
constexpr std::string_view kExecution[] = {"UNKNOWN", "NEW", "RUNNING", "COMPLETE", "FAILED", "CACHED", "CANCELED"};
constexpr std::string_view kParameterTypes[] = {"string", "number", "boolean", "object"};
constexpr std::string_view kArtifactTypes[] = {"model-artifact", "doc-artifact", "dataset-artifact", "metric",
                                               "parameter"};

constexpr size_t kMaxText = 1 << 20;
constexpr size_t kMaxName = 4096;
constexpr size_t kMaxProperties = 1024;

const Field kArtifactState{.name = "state", .type = Type::Choice, .initial = "UNKNOWN", .choices = kArtifactStates};

const std::vector<Field> kModelFields{{.name = "readme"},
                                      {.name = "maturity"},
                                      {.name = "language", .type = Type::TextList},
                                      {.name = "tasks", .type = Type::TextList},
                                      {.name = "provider"},
                                      {.name = "logo"},
                                      {.name = "license"},
                                      {.name = "licenseLink"},
                                      {.name = "libraryName"},
                                      {.name = "owner"},
                                      {.name = "state", .type = Type::Choice, .initial = "LIVE", .choices = kLive}};
const std::vector<Field> kVersionFields{{.name = "author"},
                                        {.name = "state", .type = Type::Choice, .initial = "LIVE", .choices = kLive}};
const std::vector<Field> kServiceFields{
    {.name = "registeredModelId", .type = Type::Id, .required = true, .fixed = true},
    {.name = "modelVersionId", .type = Type::Id},
    {.name = "runtime"},
    {.name = "desiredState", .type = Type::Choice, .initial = "DEPLOYED", .choices = kDeployed}};
const std::vector<Field> kServeFields{
    {.name = "modelVersionId", .type = Type::Id, .required = true, .fixed = true},
    {.name = "lastKnownState", .type = Type::Choice, .initial = "UNKNOWN", .choices = kExecution}};

const std::vector<Field> kModelArtifactFields{{.name = "uri"},
                                              kArtifactState,
                                              {.name = "modelFormatName"},
                                              {.name = "modelFormatVersion"},
                                              {.name = "storageKey"},
                                              {.name = "storagePath"},
                                              {.name = "serviceAccountName"},
                                              {.name = "modelSourceKind"},
                                              {.name = "modelSourceClass"},
                                              {.name = "modelSourceGroup"},
                                              {.name = "modelSourceId"},
                                              {.name = "modelSourceName"}};
const std::vector<Field> kDocFields{{.name = "uri"}, kArtifactState};
const std::vector<Field> kDatasetFields{{.name = "uri"},        kArtifactState,     {.name = "digest"},
                                        {.name = "sourceType"}, {.name = "source"}, {.name = "schema"},
                                        {.name = "profile"}};
const std::vector<Field> kMetricFields{kArtifactState,
                                       {.name = "value", .type = Type::Number},
                                       {.name = "timestamp", .type = Type::Integer},
                                       {.name = "step", .type = Type::Integer}};
const std::vector<Field> kParameterFields{
    kArtifactState, {.name = "value"}, {.name = "parameterType", .type = Type::Choice, .choices = kParameterTypes}};

// What the server alone writes.
constexpr std::string_view kOutputOnly[] = {"id", "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"};

[[noreturn]] void refuse(std::string_view field, std::string_view why) {
  throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, why), std::string(field));
}

std::string read_text(const json::value& value, std::string_view field, size_t most = kMaxText) {
  if (!value.is_string()) refuse(field, "expected a text");
  std::string text = to_std(value.get_string());
  if (text.size() > most) refuse(field, fmt::format("is longer than {} bytes", most));
  if (text.find('\0') != std::string::npos) refuse(field, "holds a NUL");
  return text;
}

bool is_integer(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

json::value read_field(const Field& field, const json::value& value) {
  switch (field.type) {
    case Type::Text: return json::value(read_text(value, field.name));
    case Type::TextList: {
      if (!value.is_array()) refuse(field.name, "expected a list of texts");
      json::array out;
      for (const auto& item : value.get_array()) out.emplace_back(read_text(item, field.name));
      return out;
    }
    case Type::Choice: {
      const std::string text = read_text(value, field.name);
      if (std::find(field.choices.begin(), field.choices.end(), text) == field.choices.end()) {
        refuse(field.name, fmt::format("is {:?}; expected one of {}", text, fmt::join(field.choices, ", ")));
      }
      return json::value(text);
    }
    case Type::Number:
      if (!value.is_number()) refuse(field.name, "expected a number");
      return value;
    case Type::Integer: {
      if (value.is_int64()) return json::value(std::to_string(value.get_int64()));
      const std::string text = read_text(value, field.name);
      if (!is_integer(text)) refuse(field.name, fmt::format("is {:?}; expected the text of an integer", text));
      return json::value(text);
    }
    case Type::Id: return json::value(std::to_string(read_id(read_text(value, field.name), field.name)));
  }
  return nullptr;
}

struct PropertyType {
  std::string_view metadata_type, member;
};
constexpr PropertyType kPropertyTypes[] = {
    {"MetadataStringValue", "string_value"}, {"MetadataIntValue", "int_value"},
    {"MetadataDoubleValue", "double_value"}, {"MetadataBoolValue", "bool_value"},
    {"MetadataStructValue", "struct_value"}, {"MetadataProtoValue", "proto_value"}};

// One value of customProperties: {"metadataType", the member of that type, and "type" of a proto}.
json::object read_property(std::string_view name, const json::value& value) {
  const std::string at = fmt::format("customProperties.{}", name);
  if (!value.is_object()) refuse(at, "expected an object with metadataType");
  const json::object& given = value.get_object();
  const std::string type = get_string(given, "metadataType");
  const auto* found = std::find_if(std::begin(kPropertyTypes), std::end(kPropertyTypes),
                                   [&](const PropertyType& one) { return one.metadata_type == type; });
  if (found == std::end(kPropertyTypes)) refuse(at + ".metadataType", fmt::format("is {:?}, which is no type", type));
  const json::value* member = given.if_contains(found->member);
  const std::string where = fmt::format("{}.{}", at, found->member);
  if (member == nullptr) refuse(where, "is missing");
  json::object out;
  if (found->member == "double_value") {
    if (!member->is_number()) refuse(where, "expected a number");
    out[found->member] = *member;
  } else if (found->member == "bool_value") {
    if (!member->is_bool()) refuse(where, "expected true or false");
    out[found->member] = *member;
  } else if (found->member == "int_value") {
    const std::string text = member->is_int64() ? std::to_string(member->get_int64()) : read_text(*member, where);
    if (!is_integer(text)) refuse(where, fmt::format("is {:?}; expected the text of an integer", text));
    out[found->member] = text;
  } else {
    const std::string text = read_text(*member, where);
    const bool bytes = found->member != "string_value";
    if (bytes && !base64_decode(text)) refuse(where, "is not base64");
    out[found->member] = text;
  }
  if (found->member == "proto_value") out["type"] = get_string(given, "type");
  out["metadataType"] = type;
  return out;
}

json::object read_properties(const json::value& value) {
  if (!value.is_object()) refuse("customProperties", "expected an object");
  if (value.get_object().size() > kMaxProperties) {
    refuse("customProperties", fmt::format("has more than {} members", kMaxProperties));
  }
  json::object out;
  for (const auto& [name, member] : value.get_object()) {
    if (name.empty() || name.size() > kMaxName) refuse("customProperties", "has a name that is empty or too long");
    out[name] = read_property(name, member);
  }
  return out;
}

const Field* find_field(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

bool is_common(std::string_view name, const Schema& schema) {
  if (std::find(std::begin(kOutputOnly), std::end(kOutputOnly), name) != std::end(kOutputOnly)) return true;
  return name == "name" || name == "description" || name == "externalId" || name == "customProperties" ||
         (!schema.parent.empty() && name == schema.parent) || (schema.kind == Kind::Artifact && name == "artifactType");
}

void read_type(Resource& resource, const json::object& given, std::string_view wanted) {
  const json::value* member = given.if_contains("artifactType");
  std::string type = member && !member->is_null() ? read_text(*member, "artifactType") : std::string(wanted);
  if (type.empty()) type = resource.type;
  if (type.empty()) throw MissingField("artifact", "artifactType");
  fields_of(Kind::Artifact, type);
  const std::string_view must = resource.id ? std::string_view(resource.type) : wanted;
  if (!must.empty() && type != must) refuse("artifactType", fmt::format("is {:?}; expected {:?}", type, must));
  resource.type = type;
}

void read_common(Resource& resource, const json::object& given, const Schema& schema) {
  const bool is_new = resource.id == 0;
  const auto member = [&](std::string_view name) -> const json::value* {
    const json::value* found = given.if_contains(name);
    return found && !found->is_null() ? found : nullptr;
  };
  if (const auto* name = member("name"); name && is_new) resource.name = read_text(*name, "name", kMaxName);
  if (is_new && resource.name.empty()) {
    if (schema.name_required) throw MissingField(schema.words, "name");
    resource.name = new_uuid();
  }
  if (const auto* text = member("description")) resource.body["description"] = read_text(*text, "description");
  if (const auto* text = member("externalId")) {
    std::string id = read_text(*text, "externalId", kMaxName);
    resource.external_id = id.empty() ? std::nullopt : std::optional(std::move(id));
  }
  if (const auto* custom = member("customProperties")) resource.custom = read_properties(*custom);
  if (const auto* parent = schema.parent.empty() ? nullptr : member(schema.parent); parent && is_new) {
    resource.parent = read_id(read_text(*parent, schema.parent), schema.parent);
  }
}

}  // namespace

MissingField::MissingField(std::string_view words, std::string_view field)
    : Error(Code::InvalidArgument, fmt::format("{}: is required of a {}", field, words), std::string(field)) {}

const Schema& schema_of(Kind kind) {
  static const Schema kSchemas[] = {
      {Kind::RegisteredModel, "RegisteredModel", "registered_models", "registered_model", "registered model", "", true,
       kModelFields},
      {Kind::ModelVersion, "ModelVersion", "model_versions", "model_version", "model version", "registeredModelId",
       true, kVersionFields},
      {Kind::Artifact, "Artifact", "artifacts", "artifact", "artifact", "", false, {}},
      {Kind::ServingEnvironment,
       "ServingEnvironment",
       "serving_environments",
       "serving_environment",
       "serving environment",
       "",
       true,
       {}},
      {Kind::InferenceService, "InferenceService", "inference_services", "inference_service", "inference service",
       "servingEnvironmentId", false, kServiceFields},
      {Kind::ServeModel, "ServeModel", "serves", "serve", "serve", "", false, kServeFields}};
  return kSchemas[static_cast<size_t>(kind)];
}

std::span<const std::string_view> artifact_types() { return kArtifactTypes; }

const std::vector<Field>& fields_of(Kind kind, std::string_view artifact_type) {
  if (kind != Kind::Artifact) return schema_of(kind).fields;
  if (artifact_type == "model-artifact") return kModelArtifactFields;
  if (artifact_type == "doc-artifact") return kDocFields;
  if (artifact_type == "dataset-artifact") return kDatasetFields;
  if (artifact_type == "metric") return kMetricFields;
  if (artifact_type == "parameter") return kParameterFields;
  refuse("artifactType", fmt::format("is {:?}; expected one of {}", artifact_type, fmt::join(artifact_types(), ", ")));
}

json::object to_json(const Resource& resource) {
  const Schema& schema = schema_of(resource.kind);
  json::object out{{"id", std::to_string(resource.id)}, {"name", resource.name}};
  if (resource.external_id) out["externalId"] = *resource.external_id;
  for (const auto& [name, value] : resource.body) out[name] = value;
  out["customProperties"] = resource.custom;
  if (!schema.parent.empty()) out[schema.parent] = std::to_string(resource.parent);
  if (resource.kind == Kind::Artifact) out["artifactType"] = resource.type;
  out["createTimeSinceEpoch"] = std::to_string(resource.created_at);
  out["lastUpdateTimeSinceEpoch"] = std::to_string(resource.updated_at);
  return out;
}

int64_t read_id(std::string_view text, std::string_view field) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id <= 0) {
    refuse(field, fmt::format("is {:?}; expected the number of a resource", text));
  }
  return id;
}

void read_into(Resource& resource, const json::value& body, std::string_view artifact_type) {
  if (!body.is_object()) refuse("body", "expected a JSON object");
  const json::object& given = body.get_object();
  const Schema& schema = schema_of(resource.kind);
  if (resource.kind == Kind::Artifact) read_type(resource, given, artifact_type);
  const std::vector<Field>& fields = fields_of(resource.kind, resource.type);
  for (const auto& [name, value] : given) {
    if (!is_common(name, schema) && !find_field(fields, name)) {
      refuse(name, fmt::format("is no field of a {}", resource.kind == Kind::Artifact ? resource.type : schema.words));
    }
  }
  read_common(resource, given, schema);
  const bool is_new = resource.id == 0;
  for (const Field& field : fields) {
    const json::value* value = given.if_contains(field.name);
    if (value && !value->is_null()) {
      // An empty id is one that was not given.
      const bool nothing = field.type == Type::Id && value->is_string() && value->get_string().empty();
      if (!nothing && (is_new || !field.fixed)) resource.body[field.name] = read_field(field, *value);
    }
    if (!is_new || resource.body.contains(field.name)) continue;
    if (field.required) throw MissingField(schema.words, field.name);
    if (!field.initial.empty()) resource.body[field.name] = field.initial;
  }
}

}  // namespace penstock::registry
