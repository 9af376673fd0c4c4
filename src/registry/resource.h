// What the model registry keeps: Kubeflow Model Registry's resources (API v1alpha3 and v1), each kind described by a
// table of fields from which reading, checking and writing come.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace penstock::registry {

enum class Kind { RegisteredModel, ModelVersion, Artifact, ServingEnvironment, InferenceService, ServeModel };

struct Field {
  enum class Type { Text, TextList, Choice, Number, Integer, Id };  // an Integer travels as text, an Id likewise
  std::string_view name;
  Type type = Type::Text;
  bool required = false;  // when it is made
  bool fixed = false;     // a PATCH leaves it as it is, silently, as the reference does
  std::string_view initial{};
  std::span<const std::string_view> choices{};
};

struct Schema {
  Kind kind;
  std::string_view name;        // "RegisteredModel"
  std::string_view collection;  // "registered_models"
  std::string_view single;      // "registered_model": where one is looked for by name
  std::string_view words;       // "registered model"
  std::string_view parent;      // the field that names what it belongs to; empty for none
  bool name_required = false;
  std::vector<Field> fields;  // besides name, description, externalId, customProperties and the parent
};
const Schema& schema_of(Kind kind);

// "model-artifact", "doc-artifact", "dataset-artifact", "metric", "parameter".
std::span<const std::string_view> artifact_types();
// The fields of the kind; of an artifact, those of its type. Throws InvalidArgument for an unknown type.
const std::vector<Field>& fields_of(Kind kind, std::string_view artifact_type);

struct Resource {
  Kind kind = Kind::RegisteredModel;
  int64_t id = 0;
  int64_t parent = 0;  // 0: none
  std::string name;
  std::optional<std::string> external_id;
  std::string type;                        // of an artifact
  json::object body;                       // description and the schema's fields
  json::object custom;                     // customProperties
  int64_t created_at = 0, updated_at = 0;  // milliseconds since 1970

  std::string uri() const { return get_string(body, "uri"); }
};

json::object to_json(const Resource& resource);

// A field that must be there is not: answered 422, as the reference does.
class MissingField : public Error {
 public:
  MissingField(std::string_view words, std::string_view field);
};

// Ids are decimal numbers. InvalidArgument naming `field`.
int64_t read_id(std::string_view text, std::string_view field);

// Checks a client's JSON and fills `resource` from it: of a new one everything that it must have, of one that is there
// (id is set) what the client gave. Fields that only the server writes are ignored. `artifact_type` is what the
// artifact must be, or empty. Throws InvalidArgument with the field and the reason, or MissingField.
void read_into(Resource& resource, const json::value& body, std::string_view artifact_type = {});

}  // namespace penstock::registry
