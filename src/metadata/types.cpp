// Types of artifacts.
#include "metadata/metadata.h"
#include "metadata/rows.h"

namespace penstock::metadata {

namespace {

constexpr std::string_view kTable = R"sql(
CREATE TABLE artifact_types (
  type_id INTEGER PRIMARY KEY,
  schema_title TEXT NOT NULL,
  schema_version TEXT NOT NULL,
  instance_schema TEXT NOT NULL,
  properties TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (schema_title, schema_version)
);
)sql";

struct Known {
  std::string_view title;
  std::string_view properties;  // JSON
};

// Those that the reference's SDK has classes for, with what their methods and schemas name.
constexpr Known kKnown[] = {
    {"system.Artifact", "{}"},
    {"system.Dataset", R"({"container_format":"STRING","payload_format":"STRING"})"},
    {"system.Model", R"({"framework":"STRING","framework_version":"STRING"})"},
    {"system.Metrics", R"({"accuracy":"DOUBLE","precision":"DOUBLE","recall":"DOUBLE","f1score":"DOUBLE",)"
                       R"("mean_absolute_error":"DOUBLE","mean_squared_error":"DOUBLE"})"},
    {"system.ClassificationMetrics", R"({"confidenceMetrics":"STRUCT","confusionMatrix":"STRUCT"})"},
    {"system.SlicedClassificationMetrics", R"({"evaluationSlices":"STRUCT"})"},
    {"system.HTML", "{}"},
    {"system.Markdown", "{}"},
};

constexpr std::string_view kColumns =
    "t.type_id, t.schema_title, t.schema_version, t.instance_schema, t.properties, t.created_at";

ArtifactType read_type(db::Rows& rows) {
  ArtifactType out;
  out.type_id = rows.integer(0);
  out.schema_title = rows.string(1);
  out.schema_version = rows.string(2);
  out.instance_schema = rows.string(3);
  const json::value properties = parse_json(rows.text(4));
  for (const auto& [name, type] : properties.as_object()) {
    out.properties[std::string(name)] = to_std(type.as_string());
  }
  out.created_at = from_micros(rows.integer(5));
  return out;
}

const db::ListModel& type_model() {
  using db::ColumnKind;
  static const db::ListModel kModel{.name = "ArtifactType",
                                    .table = "artifact_types",
                                    .key = "type_id",
                                    .columns = {{"type_id", "type_id", ColumnKind::Integer},
                                                {"schema_title", "schema_title"},
                                                {"name", "schema_title"},
                                                {"schema_version", "schema_version"},
                                                {"created_at", "created_at", ColumnKind::Time}},
                                    .default_sort = "schema_title"};
  return kModel;
}

std::string properties_text(const std::map<std::string, std::string>& properties) {
  json::object out;
  for (const auto& [name, type] : properties) out[name] = type;
  return to_text(out);
}

}  // namespace

const std::string& types_script() {
  static const std::string kScript = [] {
    std::string script(kTable);
    for (const Known& known : kKnown) {
      script += fmt::format("INSERT INTO artifact_types VALUES (NULL, '{}', '0.0.1', '', '{}', 0);\n", known.title,
                            known.properties);
    }
    script +=
        "INSERT OR IGNORE INTO artifact_types SELECT NULL, type, type_version, '', '{}', MIN(created_at) FROM "
        "artifacts "
        "WHERE type <> '' GROUP BY type, type_version;";
    return script;
  }();
  return kScript;
}

std::string_view property_type(const json::value& value) {
  if (value.is_bool()) return "BOOLEAN";
  if (value.is_int64() || value.is_uint64()) return "INT";
  if (value.is_double()) return "DOUBLE";
  return value.is_string() ? "STRING" : "STRUCT";
}

ArtifactType read_instance_schema(std::string_view text) {
  constexpr size_t kMaxNodes = 10'000;
  const std::vector<json::value> documents = parse_yaml(text, kMaxNodes);
  if (documents.size() != 1 || !documents[0].is_object()) throw invalid("an instance schema is one object");
  const json::object& schema = documents[0].as_object();
  ArtifactType out;
  out.schema_title = get_string(schema, "title");
  out.schema_version = get_string(schema, "version");
  out.instance_schema = text;
  if (const json::object* properties = find_object(schema, "properties")) {
    for (const auto& [name, property] : *properties) {
      const std::string type = string_at(property, {"type"});
      out.properties[std::string(name)] = type == "string"    ? "STRING"
                                          : type == "number"  ? "DOUBLE"
                                          : type == "integer" ? "INT"
                                          : type == "boolean" ? "BOOLEAN"
                                                              : "STRUCT";
    }
  }
  return out;
}

std::string title_of_schema(std::string_view instance_schema) {
  std::string title;
  try {
    if (!instance_schema.empty()) title = read_instance_schema(instance_schema).schema_title;
  } catch (const Error&) {
    // What a component's author wrote need not be a schema.
  }
  return title.empty() ? "system.Artifact" : title;
}

void put_type(db::Connection& c, const Artifact& artifact) {
  if (artifact.type.empty()) return;
  {
    db::Rows rows = c.query("SELECT instance_schema FROM artifact_types WHERE schema_title = ? AND schema_version = ?",
                            artifact.type, artifact.type_version);
    // The first schema of a version stays: it says what the version is.
    if (rows.next() && (artifact.instance_schema.empty() || !rows.text(0).empty())) return;
  }
  std::map<std::string, std::string> properties;
  if (!artifact.instance_schema.empty()) {
    try {
      properties = read_instance_schema(artifact.instance_schema).properties;
    } catch (const Error&) {
      // What a component's author wrote; the type is known by its title alone.
    }
  }
  c.execute(
      "INSERT INTO artifact_types (schema_title, schema_version, instance_schema, properties, created_at) "
      "VALUES (?, ?, ?, ?, ?) ON CONFLICT (schema_title, schema_version) DO UPDATE SET "
      "instance_schema = excluded.instance_schema, properties = excluded.properties",
      artifact.type, artifact.type_version, artifact.instance_schema, properties_text(properties),
      to_micros(artifact.created_at));
}

Async<Store::TypePage> Store::list_types(db::ListRequest request) {
  db::List list(type_model(), request);
  co_return co_await database_.read([&](db::Connection& c) {
    TypePage page;
    auto result = list.read(
        c, kColumns, "", [&](db::Rows& rows) { page.items.push_back(read_type(rows)); }, nullptr);
    page.total_size = result.total_size;
    page.next_page_token = std::move(result.next_page_token);
    return page;
  });
}

Async<ArtifactType> Store::get_type(std::string id_or_title) {
  co_return co_await database_.read([&](db::Connection& c) {
    const bool number = !id_or_title.empty() && id_or_title.size() < 19 &&
                        id_or_title.find_first_not_of("0123456789") == std::string::npos;
    db::Rows rows =
        number ? c.query(fmt::format("SELECT {} FROM artifact_types t WHERE t.type_id = ?", kColumns),
                         static_cast<int64_t>(std::stoll(id_or_title)))
               : c.query(fmt::format("SELECT {} FROM artifact_types t WHERE t.schema_title = ? ORDER BY t.type_id DESC",
                                     kColumns),
                         id_or_title);
    if (!rows.next()) throw not_found("Artifact type {} not found", id_or_title);
    return read_type(rows);
  });
}

Async<ArtifactType> Store::type_of(std::string schema_title, std::string schema_version) {
  co_return co_await database_.read([&](db::Connection& c) {
    db::Rows rows = c.query(
        fmt::format("SELECT {} FROM artifact_types t WHERE t.schema_title = ? AND t.schema_version = ?", kColumns),
        schema_title, schema_version);
    if (rows.next()) return read_type(rows);
    ArtifactType none;
    none.schema_title = schema_title;
    none.schema_version = schema_version;
    return none;
  });
}

}  // namespace penstock::metadata
