// Model versions of what runs made.
#include "registry/rows.h"
#include "registry/store.h"

namespace penstock::registry {

namespace {

std::string first_of(const json::object& metadata, std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    if (std::string text = get_string(metadata, name); !text.empty()) return text;
  }
  return {};
}

// An artifact's metadata as custom properties; what has no type of theirs is left out.
json::object properties_of(const json::object& metadata) {
  json::object out;
  for (const auto& [name, value] : metadata) {
    if (value.is_string()) {
      out[name] = json::object{{"string_value", value}, {"metadataType", "MetadataStringValue"}};
    } else if (value.is_bool()) {
      out[name] = json::object{{"bool_value", value}, {"metadataType", "MetadataBoolValue"}};
    } else if (value.is_int64()) {
      out[name] = json::object{{"int_value", std::to_string(value.get_int64())}, {"metadataType", "MetadataIntValue"}};
    } else if (value.is_double()) {
      out[name] = json::object{{"double_value", value}, {"metadataType", "MetadataDoubleValue"}};
    }
  }
  return out;
}

Resource find_or_make_model(db::Connection& c, const NewRegistration& wanted, int64_t now) {
  if (auto found = rows::find(c, Kind::RegisteredModel, 0, wanted.model)) return std::move(*found);
  Resource model;
  model.kind = Kind::RegisteredModel;
  json::object body{{"name", wanted.model}};
  if (!wanted.author.empty()) body["owner"] = wanted.author;
  read_into(model, body);
  rows::insert(c, model, now);
  return model;
}

std::string next_version(db::Connection& c, int64_t model) {
  db::Rows count = c.query("SELECT count(*) FROM registry_resources WHERE kind = 'ModelVersion' AND parent = ?", model);
  count.next();
  for (int64_t number = count.integer(0) + 1;; ++number) {
    if (!rows::find(c, Kind::ModelVersion, model, std::to_string(number))) return std::to_string(number);
  }
}

Resource artifact_of(const RunArtifact& from, const NewRegistration& wanted) {
  const auto& metadata = from.metadata;
  const std::string format = wanted.format_name.empty()
                                 ? first_of(metadata, {"modelFormatName", "model_format_name", "framework"})
                                 : wanted.format_name;
  const std::string format_version =
      wanted.format_version.empty()
          ? first_of(metadata, {"modelFormatVersion", "model_format_version", "framework_version"})
          : wanted.format_version;
  json::object body{{"name", from.name.empty() ? wanted.model : from.name},
                    {"uri", from.uri},
                    {"state", "LIVE"},
                    {"modelSourceKind", "kfp"},
                    {"modelSourceClass", "pipelinerun"},
                    {"modelSourceGroup", from.name_space},
                    {"modelSourceId", from.run_id},
                    {"modelSourceName", from.run_name}};
  if (!format.empty()) body["modelFormatName"] = format;
  if (!format_version.empty()) body["modelFormatVersion"] = format_version;
  if (json::object custom = properties_of(metadata); !custom.empty()) body["customProperties"] = std::move(custom);
  Resource artifact;
  artifact.kind = Kind::Artifact;
  read_into(artifact, body, "model-artifact");
  return artifact;
}

// The version's artifact that was registered from the same one, if it was.
std::optional<Resource> same_artifact(db::Connection& c, int64_t version, const RunArtifact& from) {
  db::Rows found = c.query(
      fmt::format("SELECT {} FROM registry_resources t JOIN registry_attributions a ON a.artifact = t.id WHERE a.owner "
                  "= ? AND t.artifact_id = ? AND t.uri = ? AND json_extract(t.body, '$.modelSourceId') = ? LIMIT 1",
                  rows::kColumns),
      version, from.artifact_id, from.uri, from.run_id);
  if (!found.next()) return std::nullopt;
  return rows::read(found);
}

Registration register_in(db::Connection& c, const RunArtifact& from, const NewRegistration& wanted, int64_t now) {
  Registration out;
  out.model = find_or_make_model(c, wanted, now);
  if (auto version = rows::find(c, Kind::ModelVersion, out.model.id, wanted.version)) {
    auto artifact = same_artifact(c, version->id, from);
    if (!artifact) {
      throw Error(Code::AlreadyExists,
                  fmt::format("version: model {} has a version {} of something else", wanted.model, wanted.version),
                  "version");
    }
    out.version = std::move(*version);
    out.artifact = std::move(*artifact);
  } else {
    out.made = true;
    out.version.kind = Kind::ModelVersion;
    json::object body{{"name", wanted.version.empty() ? next_version(c, out.model.id) : wanted.version},
                      {"registeredModelId", std::to_string(out.model.id)}};
    if (!wanted.description.empty()) body["description"] = wanted.description;
    if (!wanted.author.empty()) body["author"] = wanted.author;
    read_into(out.version, body);
    rows::insert(c, out.version, now);
    out.artifact = artifact_of(from, wanted);
    out.artifact.parent = out.version.id;
    rows::insert(c, out.artifact, now);
    // Another run's artifact may lie at the same uri.
    c.execute("UPDATE registry_resources SET artifact_id = ? WHERE id = ?", from.artifact_id, out.artifact.id);
  }
  for (const auto& alias : wanted.aliases) rows::set_alias(c, out.model.id, alias, out.version.id);
  return out;
}

}  // namespace

Async<Registration> Store::register_artifact(RunArtifact from, NewRegistration wanted) {
  if (wanted.model.empty()) throw Error(Code::InvalidArgument, "model: is required", "model");
  const int64_t now = to_micros(clock_.now()) / 1000;
  co_return co_await database_.write([&](db::Connection& c) {
    // Deleted since it was found?
    db::Rows there = c.query("SELECT 1 FROM artifacts WHERE artifact_id = ?", from.artifact_id);
    if (!there.next()) throw not_found("artifact {} of run {} is gone", from.artifact_id, from.run_id);
    return register_in(c, from, wanted, now);
  });
}

}  // namespace penstock::registry
