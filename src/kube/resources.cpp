#include "kube/resources.h"

#include <algorithm>

#include "kube/patch.h"
#include "kube/pod_kind.h"
#include "kube/validation.h"

namespace penstock::kube {

namespace {

constexpr int kNameAttempts = 8;

json::object& metadata_of(json::object& object) {
  auto& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  return metadata.get_object();
}

void drop_member(json::object& object, std::string_view key) {
  if (const auto at = object.find(key); at != object.end()) object.stable_erase(at);
}

bool same_member(const json::object& a, const json::object& b, std::string_view key) {
  const auto* x = a.if_contains(key);
  const auto* y = b.if_contains(key);
  return (x == nullptr || y == nullptr) ? x == y : *x == *y;
}

// Sets apiVersion and kind where they are missing; throws BadRequest where they speak of another kind.
void check_type(const Resource& resource, json::object& object) {
  for (const auto& [key, wanted] : {std::pair<std::string_view, std::string>("apiVersion", resource.api_version()),
                                    std::pair<std::string_view, std::string>("kind", resource.kind)}) {
    auto* value = object.if_contains(key);
    if (value == nullptr || (value->is_string() && value->get_string().empty())) {
      object[key] = wanted;
    } else if (!value->is_string() || to_view(value->get_string()) != wanted) {
      throw bad_request(fmt::format("{}: the object says {}, this path takes \"{}\"", key, to_text(*value), wanted));
    }
  }
}

// Members of metadata that only the server sets.
void keep_system_metadata(const json::object& before, json::object& next) {
  const auto* from = find_object(before, "metadata");
  auto& to = metadata_of(next);
  for (const std::string_view key : {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
                                     "deletionTimestamp", "deletionGracePeriodSeconds", "generateName"}) {
    const auto* value = from->if_contains(key);
    auto* mine = to.if_contains(key);
    if (value == nullptr)
      drop_member(to, key);
    else if (mine == nullptr)
      to.emplace(key, *value);
    else if (*mine != *value)
      *mine = *value;
  }
  drop_member(to, "managedFields");
  drop_member(to, "selfLink");
}

bool has_finalizers(const json::object& object) {
  const auto* metadata = find_object(object, "metadata");
  const auto* finalizers = metadata ? find_array(*metadata, "finalizers") : nullptr;
  return finalizers != nullptr && !finalizers->empty();
}

void check_new_finalizers(const json::object& before, const json::object& next, Causes& causes) {
  if (!is_deleting(before)) return;
  const auto* now = find_array(*find_object(next, "metadata"), "finalizers");
  if (now == nullptr) return;
  const auto* old = find_array(*find_object(before, "metadata"), "finalizers");
  for (const auto& item : *now) {
    if (old != nullptr && std::find(old->begin(), old->end(), item) != old->end()) continue;
    const Path root("metadata");
    causes.forbidden(root / "finalizers", "none can be added while the object is being deleted");
    return;
  }
}

void validate(const Kind& kind, const json::object* before, const json::object& next) {
  Causes causes;
  const auto& metadata = *find_object(next, "metadata");
  if (before == nullptr || !same_member(*before, next, "metadata")) {
    validate_metadata(metadata, kind.label_name, causes);
  }
  if (kind.validate) kind.validate(next, causes);
  if (before != nullptr) {
    check_new_finalizers(*before, next, causes);
    if (kind.validate_update) kind.validate_update(*before, next, causes);
  }
  if (!causes.empty()) throw invalid_object(kind.resource, name_of(next), causes.take());
}

void check_subresource(const Kind& kind, std::string_view subresource) {
  if (subresource.empty() || (subresource == "status" && kind.status_subresource)) return;
  throw StatusError(Code::NotFound, 404, "NotFound",
                    fmt::format("{} have no subresource \"{}\"", kind.resource.plural, subresource));
}

}  // namespace

Entry& Resources::existing(Table& table, std::string_view ns, std::string_view name) {
  Entry* entry = store_.find(table, table.kind->resource.namespaced ? ns : std::string_view(), name);
  if (entry == nullptr) throw no_such_object(table.kind->resource, name);
  return *entry;
}

void Resources::check_namespace(const Kind& kind, std::string_view ns) {
  if (!kind.resource.namespaced) return;
  if (ns.empty()) throw bad_request(fmt::format("{}: metadata.namespace is required", kind.resource.plural));
  Entry* entry = store_.find(store_.table(kNamespaces), {}, ns);
  if (entry == nullptr) throw no_such_object(kNamespaces, ns);
  if (is_deleting(*entry->object)) {
    throw forbidden(kind.resource, "",
                    fmt::format("nothing can be created in the namespace {}: it is being deleted", ns));
  }
}

json::object Resources::prepare_new(const Kind& kind, json::object object) {
  check_type(kind.resource, object);
  auto& metadata = metadata_of(object);
  if (!get_string(metadata, "resourceVersion").empty()) {
    throw bad_request("metadata.resourceVersion must not be set on an object that is created");
  }
  for (const std::string_view key : {"resourceVersion", "uid", "deletionTimestamp", "deletionGracePeriodSeconds",
                                     "managedFields", "selfLink", "creationTimestamp", "generation"}) {
    drop_member(metadata, key);
  }
  if (!kind.resource.namespaced) drop_member(metadata, "namespace");
  if (kind.status_subresource) drop_member(object, "status");
  if (name_of(object).empty()) {
    // Kubernetes cuts the base, so that the name stays a DNS label.
    const std::string base = get_string(metadata, "generateName").substr(0, 58);
    if (!base.empty()) metadata["name"] = base + random_suffix();
  }
  const Time now = clock_.now();
  const int64_t second = to_micros(now) / 1'000'000;
  if (second != stamp_second_) {
    stamp_second_ = second;
    stamp_text_ = format_time(now);
  }
  metadata["uid"] = new_uuid();
  metadata["creationTimestamp"] = stamp_text_;
  if (kind.tracks_generation) metadata["generation"] = 1;
  if (kind.set_defaults) kind.set_defaults(object);
  return object;
}

Object Resources::create(Table& table, json::object object, const WriteOptions& options) {
  const Kind& kind = *table.kind;
  check_namespace(kind, namespace_of(object));
  const bool generated = name_of(object).empty();
  object = prepare_new(kind, std::move(object));
  validate(kind, nullptr, object);
  for (int attempt = 0; store_.find(table, namespace_of(object), name_of(object)) != nullptr; ++attempt) {
    if (!generated || attempt == kNameAttempts) throw object_exists(kind.resource, name_of(object));
    auto& metadata = metadata_of(object);
    metadata["name"] = get_string(metadata, "generateName").substr(0, 58) + random_suffix();
  }
  if (!options.uid.empty()) metadata_of(object)["uid"] = options.uid;
  if (options.dry_run) return make_object(std::move(object));
  Entry& entry = store_.insert(table, std::move(object));
  if (find_array(*find_object(*entry.object, "metadata"), "ownerReferences") != nullptr) {
    add_garbage(uid_of(*entry.object));
  }
  return entry.object;
}

void Resources::check_preconditions(const Entry& entry, std::string_view uid, std::string_view version) {
  const auto& resource = entry.table->kind->resource;
  const auto& object = *entry.object;
  if (!uid.empty() && uid != uid_of(object)) {
    throw conflict(resource, name_of(object),
                   fmt::format("it is another object of the same name (uid {}, not {})", uid_of(object), uid));
  }
  if (!version.empty() && version != resource_version_of(object)) {
    throw conflict(resource, name_of(object),
                   fmt::format("it was changed meanwhile (resourceVersion {} was given, {} is current): read it again "
                               "and make the change on the latest version",
                               version, resource_version_of(object)));
  }
}

Object Resources::update(Table& table, json::object object, const WriteOptions& options) {
  check_subresource(*table.kind, options.subresource);
  check_type(table.kind->resource, object);
  Entry& entry = existing(table, namespace_of(object), name_of(object));
  check_preconditions(entry, uid_of(object), resource_version_of(object));
  if (options.subresource == "status") return change_status(entry, object.if_contains("status"), options.dry_run);
  return change(entry, std::move(object), options);
}

Object Resources::patch(Table& table, std::string_view ns, std::string_view name, PatchType type,
                        const json::value& patch, const WriteOptions& options) {
  const Kind& kind = *table.kind;
  check_subresource(kind, options.subresource);
  if (type == PatchType::Strategic && !kind.strategic) {
    throw unsupported_media_type(
        fmt::format("{}: strategic merge patches are for the core kinds: use "
                    "application/merge-patch+json",
                    kind.resource.plural));
  }
  if (type == PatchType::Apply) {
    if (!patch.is_object()) throw bad_request("an apply patch must be the object");
    const std::string_view key = kind.resource.namespaced ? ns : std::string_view();
    if (store_.find(table, key, name) == nullptr) {
      json::object object = patch.get_object();
      auto& metadata = metadata_of(object);
      metadata["name"] = name;
      if (kind.resource.namespaced) metadata["namespace"] = ns;
      return create(table, std::move(object), options);
    }
    type = kind.strategic ? PatchType::Strategic : PatchType::Merge;
  }
  Entry& entry = existing(table, ns, name);
  if (patch.is_object()) {
    const auto& object = patch.get_object();
    check_preconditions(entry, uid_of(object), resource_version_of(object));
  }
  if (options.subresource == "status") {
    const json::object holder = patched_status(entry, type, patch);
    return change_status(entry, holder.if_contains("status"), options.dry_run);
  }
  json::value next(*entry.object);
  if (type == PatchType::Json)
    apply_json_patch(next, patch);
  else if (type == PatchType::Merge)
    apply_merge_patch(next, patch);
  else
    apply_strategic_patch(next, patch);
  if (!next.is_object()) throw bad_request("the patch makes something else than an object of it");
  auto& object = next.get_object();
  check_type(kind.resource, object);
  if (!metadata_of(object).empty() && name_of(object) != name_of(*entry.object)) {
    throw bad_request("metadata.name cannot be changed");
  }
  check_preconditions(entry, uid_of(object), resource_version_of(object));
  return change(entry, std::move(object), options);
}

// The object with a status to which the patch was applied; of a merge patch only the status is looked at, so that the
// rest need not be copied.
json::object Resources::patched_status(const Entry& entry, PatchType type, const json::value& patch) {
  json::value holder = json::object();
  if (type == PatchType::Json) {
    holder = *entry.object;
    apply_json_patch(holder, patch);
    if (!holder.is_object()) throw bad_request("the patch makes something else than an object of it");
    check_preconditions(entry, uid_of(holder.get_object()), resource_version_of(holder.get_object()));
    return std::move(holder.get_object());
  }
  if (!patch.is_object()) throw bad_request("a merge patch must be an object");
  if (const auto* status = entry.object->if_contains("status")) holder.get_object()["status"] = *status;
  const auto* part = patch.get_object().if_contains("status");
  const json::value status_patch = json::object{{"status", part ? *part : json::value(json::object())}};
  if (type == PatchType::Merge)
    apply_merge_patch(holder, status_patch);
  else
    apply_strategic_patch(holder, status_patch);
  return std::move(holder.get_object());
}

Object Resources::change_status(Entry& entry, const json::value* status, bool dry_run) {
  const auto* old = entry.object->if_contains("status");
  if (status != nullptr && !status->is_object() && !status->is_null()) {
    throw bad_request("status must be an object");
  }
  if ((old == nullptr || status == nullptr) ? old == status : *old == *status) {
    if (!dry_run) store_.touch(entry);
    return entry.object;
  }
  json::object next;
  next.reserve(entry.object->size() + 1);
  for (const auto& [key, value] : *entry.object) {
    if (key != "status") next.emplace(key, value);
  }
  if (status != nullptr) next.emplace("status", *status);
  if (dry_run) return make_object(std::move(next));
  return store_.replace(entry, std::move(next));
}

Object Resources::change(Entry& entry, json::object next, const WriteOptions& options) {
  const Kind& kind = *entry.table->kind;
  const json::object& before = *entry.object;
  keep_system_metadata(before, next);
  if (kind.status_subresource && !options.whole) {
    const auto* status = before.if_contains("status");
    if (status != nullptr)
      next["status"] = *status;
    else
      drop_member(next, "status");
  }
  if (kind.set_defaults) kind.set_defaults(next);
  if (next == before) {
    if (!options.dry_run) store_.touch(entry);
    return entry.object;
  }
  validate(kind, &before, next);
  if (kind.tracks_generation && !same_member(before, next, "spec")) {
    auto& metadata = metadata_of(next);
    metadata["generation"] = get_int(metadata, "generation") + 1;
  }
  if (options.dry_run) return make_object(std::move(next));
  return settle(entry, std::move(next));
}

// Stores the new state, or lets the object go when this was what its deletion waited for.
Object Resources::settle(Entry& entry, json::object next) {
  const bool owners_changed =
      !same_member(*find_object(*entry.object, "metadata"), *find_object(next, "metadata"), "ownerReferences");
  if (is_deleting(next) && !has_finalizers(next) && entry.table->kind->resource != kNamespaces &&
      get_int(*find_object(next, "metadata"), "deletionGracePeriodSeconds") == 0) {
    store_.replace(entry, std::move(next));
    return drop(entry);
  }
  const Object now = store_.replace(entry, std::move(next));
  if (owners_changed || is_deleting(*now)) add_garbage(uid_of(*now));
  return now;
}

void Resources::begin() {
  auto& namespaces = store_.table(kNamespaces);
  for (const std::string_view name : {"default", "kube-system", "kubeflow"}) {
    if (store_.find(namespaces, {}, name) == nullptr) {
      create(namespaces, {{"metadata", json::object{{"name", name}}}}, kDefaultWrite);
    }
  }
  for (auto& table : store_.tables()) {
    for (auto& [key, entry] : table.objects) {
      const auto& metadata = *find_object(*entry.object, "metadata");
      if (is_deleting(*entry.object) || metadata.contains("ownerReferences")) add_garbage(uid_of(*entry.object));
    }
  }
}

}  // namespace penstock::kube
