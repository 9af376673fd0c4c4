#include "kube/kinds.h"

#include "base/base64.h"
#include "kube/pod_kind.h"
#include "kube/validation.h"

namespace penstock::kube {

const Kind& Kinds::add(Kind kind) {
  const auto& resource = kind.resource;
  if (find(resource.group, resource.version, resource.plural) != nullptr) {
    throw Error(Code::AlreadyExists,
                fmt::format("the kind {} {} is there twice", resource.api_version(), resource.kind));
  }
  return kinds_.emplace_back(std::move(kind));
}

const Kind* Kinds::find(std::string_view group, std::string_view version, std::string_view plural) const {
  for (const auto& kind : kinds_) {
    const auto& resource = kind.resource;
    if (resource.plural == plural && resource.group == group && resource.version == version) return &kind;
  }
  return nullptr;
}

const Kind* Kinds::find_kind(std::string_view api_version, std::string_view name) const {
  for (const auto& kind : kinds_) {
    if (kind.resource.kind == name && kind.resource.api_version() == api_version) return &kind;
  }
  return nullptr;
}

std::string short_duration(std::chrono::seconds duration) {
  const auto seconds = std::max<int64_t>(0, duration.count());
  if (seconds < 120) return fmt::format("{}s", seconds);
  const auto minutes = seconds / 60;
  if (minutes < 10 && seconds % 60 != 0) return fmt::format("{}m{}s", minutes, seconds % 60);
  if (minutes < 180) return fmt::format("{}m", minutes);
  const auto hours = minutes / 60;
  if (hours < 8 && minutes % 60 != 0) return fmt::format("{}h{}m", hours, minutes % 60);
  if (hours < 48) return fmt::format("{}h", hours);
  const auto days = hours / 24;
  if (days < 8 && hours % 24 != 0) return fmt::format("{}d{}h", days, hours % 24);
  return fmt::format("{}d", days);
}

namespace {

constexpr size_t kMaxDataBytes = 1024 * 1024;

json::object& status_of(json::object& object) {
  auto& status = object["status"];
  if (!status.is_object()) status = json::object();
  return status.get_object();
}

void namespace_defaults(json::object& object) {
  auto& spec = object["spec"];
  if (!spec.is_object()) spec = json::object();
  spec.get_object()["finalizers"] = json::array{"kubernetes"};
  status_of(object)["phase"] = "Active";
  auto& metadata = object["metadata"].as_object();
  auto& labels = metadata["labels"];
  if (!labels.is_object()) labels = json::object();
  labels.get_object()["kubernetes.io/metadata.name"] = std::string(name_of(object));
}

Column path_column(std::string name, std::vector<std::string> path, std::string description) {
  return {.name = std::move(name), .description = std::move(description), .cell = [path](const json::object& o, Time) {
            const json::object* at = &o;
            const json::value* value = nullptr;
            for (const auto& key : path) {
              value = at ? at->if_contains(key) : nullptr;
              at = value ? value->if_object() : nullptr;
            }
            return value ? *value : json::value("");
          }};
}

Kind namespace_kind() {
  Kind kind{.resource = kNamespaces, .singular = "namespace", .short_names = {"ns"}, .status_subresource = true};
  kind.label_name = true;
  kind.selectable_fields = {"status.phase", "name"};
  kind.set_defaults = namespace_defaults;
  kind.columns = {path_column("Status", {"status", "phase"}, "The phase of the namespace")};
  return kind;
}

// Keys of ConfigMaps and Secrets become file names.
bool is_data_key(std::string_view key) {
  if (key.empty() || key.size() > 253 || key == "." || key == ".." || key.starts_with("..")) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

// Never puts a value into the message: it may be a secret.
void validate_data(const json::object& object, std::string_view member, bool base64, size_t& bytes, Causes& causes) {
  const auto* value = object.if_contains(member);
  if (value == nullptr || value->is_null()) return;
  const Path path(member);
  if (!value->is_object()) return causes.invalid(path, json::value("…"), "must be an object of strings");
  for (const auto& [key, item] : value->get_object()) {
    bytes += key.size();
    if (!is_data_key(key)) {
      causes.invalid(path.at(key), json::value(key), "a key has letters, digits, '-', '_' and '.', at most 253");
    }
    if (!item.is_string()) {
      causes.invalid(path.at(key), json::value("…"), "must be a string");
    } else if (base64) {
      const auto decoded = base64_decode(to_view(item.get_string()));
      if (!decoded) causes.invalid(path.at(key), json::value("…"), "must be base64");
      bytes += decoded ? decoded->size() : 0;
    } else {
      bytes += item.get_string().size();
    }
  }
}

void check_size(size_t bytes, Causes& causes) {
  if (bytes <= kMaxDataBytes) return;
  causes.invalid(Path("data"), json::value(bytes), "the data may have at most 1048576 bytes in all");
}

void validate_immutable(const json::object& before, const json::object& now, Causes& causes) {
  if (!get_bool(before, "immutable")) return;
  if (!get_bool(now, "immutable")) causes.forbidden(Path("immutable"), "it cannot be unset once it is true");
  for (const std::string_view member : {"data", "binaryData"}) {
    const auto* old_data = before.if_contains(member);
    const auto* new_data = now.if_contains(member);
    if ((old_data == nullptr) != (new_data == nullptr) || (old_data != nullptr && *old_data != *new_data)) {
      causes.forbidden(Path(member), "it cannot be changed when immutable is true");
    }
  }
}

Column data_count() {
  return {.name = "Data",
          .type = "integer",
          .description = "How many keys it has",
          .cell = [](const json::object& object, Time) {
            size_t count = 0;
            for (const std::string_view member : {"data", "binaryData"}) {
              if (const auto* data = find_object(object, member)) count += data->size();
            }
            return json::value(count);
          }};
}

Kind config_map_kind() {
  Kind kind{.resource = kConfigMaps, .singular = "configmap", .short_names = {"cm"}};
  kind.validate = [](const json::object& object, Causes& causes) {
    size_t bytes = 0;
    validate_data(object, "data", false, bytes, causes);
    validate_data(object, "binaryData", true, bytes, causes);
    check_size(bytes, causes);
  };
  kind.validate_update = validate_immutable;
  kind.columns = {data_count()};
  return kind;
}

void secret_defaults(json::object& object) {
  if (get_string(object, "type").empty()) object["type"] = "Opaque";
  const auto* plain = find_object(object, "stringData");
  if (plain != nullptr) {
    auto& data = object["data"];
    if (!data.is_object()) data = json::object();
    plain = find_object(object, "stringData");  // the insertion above may have moved it
    for (const auto& [key, value] : *plain) {
      if (value.is_string()) data.get_object()[key] = base64_encode(to_view(value.get_string()));
    }
  }
  if (const auto at = object.find("stringData"); at != object.end()) object.stable_erase(at);
}

Kind secret_kind() {
  Kind kind{.resource = kSecrets, .singular = "secret"};
  kind.selectable_fields = {"type"};
  kind.set_defaults = secret_defaults;
  kind.validate = [](const json::object& object, Causes& causes) {
    size_t bytes = 0;
    validate_data(object, "data", true, bytes, causes);
    check_size(bytes, causes);
  };
  kind.validate_update = [](const json::object& before, const json::object& now, Causes& causes) {
    if (get_string(before, "type") != get_string(now, "type")) {
      causes.invalid(Path("type"), *now.if_contains("type"), "it cannot be changed");
    }
    validate_immutable(before, now, causes);
  };
  kind.columns = {path_column("Type", {"type"}, "What the secret is for"), data_count()};
  return kind;
}

void validate_claim(const json::object& object, Causes& causes) {
  const Path spec_path("spec");
  const auto* spec = find_object(object, "spec");
  if (spec == nullptr) return causes.required(spec_path);
  const auto* modes = find_array(*spec, "accessModes");
  if (modes == nullptr || modes->empty()) {
    causes.required(spec_path / "accessModes", "at least one access mode is required");
  } else {
    for (size_t i = 0; i < modes->size(); ++i) {
      const auto* mode = (*modes)[i].if_string();
      if (mode == nullptr || (*mode != "ReadWriteOnce" && *mode != "ReadOnlyMany" && *mode != "ReadWriteMany" &&
                              *mode != "ReadWriteOncePod")) {
        causes.unsupported((spec_path / "accessModes")[i], (*modes)[i],
                           {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"});
      }
    }
  }
  const auto* resources = spec->if_contains("resources");
  const auto* storage = resources ? find_path(*resources, {"requests", "storage"}) : nullptr;
  const Path resources_path = spec_path / "resources";
  const Path requests = resources_path / "requests";
  if (storage == nullptr) {
    causes.required(requests / "storage");
  } else if (const auto size = quantity_of(*storage); !size || *size <= 0) {
    causes.invalid(requests / "storage", *storage, "must be a quantity above 0, as \"10Gi\"");
  }
}

// The size may grow and the volume may be bound; nothing else changes.
void validate_claim_update(const json::object& before, const json::object& now, Causes& causes) {
  const auto* a = find_object(before, "spec");
  const auto* b = find_object(now, "spec");
  if (a == nullptr || b == nullptr || *a == *b) return;
  json::object old_spec = *a, new_spec = *b;
  if (get_string(old_spec, "volumeName").empty()) old_spec["volumeName"] = get_string(new_spec, "volumeName");
  if (!new_spec.contains("volumeName")) new_spec["volumeName"] = "";
  old_spec["resources"] = nullptr;
  new_spec["resources"] = nullptr;
  if (old_spec != new_spec) {
    causes.forbidden(Path("spec"), "it cannot be changed after creation, but for resources.requests");
  }
}

Kind claim_kind() {
  Kind kind{.resource = kPersistentVolumeClaims, .singular = "persistentvolumeclaim", .short_names = {"pvc"}};
  kind.status_subresource = true;
  kind.selectable_fields = {"status.phase"};
  kind.set_defaults = [](json::object& object) {
    auto& spec = object["spec"];
    if (spec.is_object() && !spec.get_object().contains("volumeMode")) spec.get_object()["volumeMode"] = "Filesystem";
    // A claim is a folder: there is nothing to wait for.
    auto& status = status_of(object);
    if (!status.contains("phase")) status["phase"] = "Bound";
    const auto* size = find_path(spec, {"resources", "requests", "storage"});
    if (size != nullptr && !status.contains("capacity")) status["capacity"] = json::object{{"storage", *size}};
    const auto* modes = find(spec, "accessModes");
    if (modes != nullptr && !status.contains("accessModes")) status["accessModes"] = *modes;
  };
  kind.validate = validate_claim;
  kind.validate_update = validate_claim_update;
  kind.columns = {path_column("Status", {"status", "phase"}, "The phase of the claim"),
                  path_column("Volume", {"spec", "volumeName"}, "The volume that is bound"),
                  path_column("Capacity", {"status", "capacity", "storage"}, "The size of the volume")};
  kind.columns.push_back(
      {.name = "Access Modes", .description = "How it can be mounted", .cell = [](const json::object& object, Time) {
         std::string text;
         const auto* spec = find_object(object, "spec");
         const auto* modes = spec ? find_array(*spec, "accessModes") : nullptr;
         for (const auto& mode : modes ? *modes : json::array()) {
           if (!mode.is_string()) continue;
           const auto& name = mode.get_string();
           text += text.empty() ? "" : ",";
           text += name == "ReadWriteOnce"   ? "RWO"
                   : name == "ReadOnlyMany"  ? "ROX"
                   : name == "ReadWriteMany" ? "RWX"
                                             : "RWOP";
         }
         return json::value(text);
       }});
  kind.columns.push_back(path_column("StorageClass", {"spec", "storageClassName"}, "The storage class"));
  return kind;
}

Kind event_kind() {
  Kind kind{.resource = kEvents, .singular = "event", .short_names = {"ev"}};
  kind.selectable_fields = {"involvedObject.kind",
                            "involvedObject.namespace",
                            "involvedObject.name",
                            "involvedObject.uid",
                            "involvedObject.apiVersion",
                            "involvedObject.resourceVersion",
                            "involvedObject.fieldPath",
                            "reason",
                            "reportingComponent",
                            "source",
                            "type"};
  kind.validate = [](const json::object& object, Causes& causes) {
    const Path path("involvedObject");
    const auto* about = find_object(object, "involvedObject");
    if (about == nullptr) return causes.required(path);
    const std::string ns = get_string(*about, "namespace");
    if (!ns.empty() && ns != namespace_of(object)) {
      causes.invalid(path / "namespace", json::value(ns), "must be the event's own namespace");
    }
  };
  auto age = [](const json::object& object, Time now) {
    std::string text = get_string(object, "lastTimestamp");
    if (text.empty()) text = get_string(object, "eventTime");
    const auto time = parse_time(text);
    if (!time) return json::value("<unknown>");
    return json::value(short_duration(std::chrono::duration_cast<std::chrono::seconds>(now - *time)));
  };
  auto about = [](const json::object& object, Time) {
    const json::value* kind_name = nullptr;
    const auto* target = find_object(object, "involvedObject");
    if (target != nullptr) kind_name = target->if_contains("kind");
    std::string text = kind_name != nullptr && kind_name->is_string() ? to_std(kind_name->get_string()) : "";
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return json::value(text + "/" + (target ? get_string(*target, "name") : ""));
  };
  kind.columns = {{.name = "Last Seen", .description = "When it last happened", .cell = age},
                  path_column("Type", {"type"}, "Normal or Warning"),
                  path_column("Reason", {"reason"}, "A word that names what happened"),
                  {.name = "Object", .description = "What it happened to", .cell = about},
                  path_column("Message", {"message"}, "What happened")};
  return kind;
}

}  // namespace

Kinds core_kinds() {
  Kinds kinds;
  kinds.add(namespace_kind());
  kinds.add(pod_kind());
  kinds.add(config_map_kind());
  kinds.add(secret_kind());
  kinds.add(claim_kind());
  kinds.add(event_kind());
  return kinds;
}

}  // namespace penstock::kube
