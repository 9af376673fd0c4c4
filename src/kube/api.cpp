#include "kube/api.h"

namespace penstock::kube {

const Resource kNamespaces{"", "v1", "namespaces", "Namespace", false};
const Resource kPods{"", "v1", "pods", "Pod", true};
const Resource kConfigMaps{"", "v1", "configmaps", "ConfigMap", true};
const Resource kSecrets{"", "v1", "secrets", "Secret", true};
const Resource kPersistentVolumeClaims{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true};
const Resource kEvents{"", "v1", "events", "Event", true};

namespace {

std::string_view metadata_text(const json::object& object, std::string_view key) {
  const auto* metadata = find_object(object, "metadata");
  const auto* value = metadata ? metadata->if_contains(key) : nullptr;
  return value != nullptr && value->is_string() ? to_view(value->get_string()) : std::string_view();
}

}  // namespace

std::string_view name_of(const json::object& object) { return metadata_text(object, "name"); }
std::string_view namespace_of(const json::object& object) { return metadata_text(object, "namespace"); }
std::string_view uid_of(const json::object& object) { return metadata_text(object, "uid"); }
std::string_view resource_version_of(const json::object& object) { return metadata_text(object, "resourceVersion"); }
bool is_deleting(const json::object& object) { return !metadata_text(object, "deletionTimestamp").empty(); }

std::string_view label_of(const json::object& object, std::string_view key) {
  const auto* metadata = find_object(object, "metadata");
  const auto* labels = metadata ? find_object(*metadata, "labels") : nullptr;
  const auto* value = labels ? labels->if_contains(key) : nullptr;
  return value != nullptr && value->is_string() ? to_view(value->get_string()) : std::string_view();
}

}  // namespace penstock::kube
