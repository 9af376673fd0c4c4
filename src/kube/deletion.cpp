// The part of Resources that takes objects away.
#include <algorithm>

#include "kube/pod_kind.h"
#include "kube/resources.h"
#include "kube/status.h"

namespace penstock::kube {

namespace {

constexpr std::string_view kForeground = "foregroundDeletion";

json::array* finalizers_of(json::object& object) {
  auto& metadata = object["metadata"].as_object();
  auto* finalizers = metadata.if_contains("finalizers");
  return finalizers ? finalizers->if_array() : nullptr;
}

const json::array* finalizers_of(const json::object& object) {
  const auto* metadata = find_object(object, "metadata");
  return metadata ? find_array(*metadata, "finalizers") : nullptr;
}

bool is_foreground_deleting(const json::object& object) {
  const auto* finalizers = finalizers_of(object);
  return is_deleting(object) && finalizers != nullptr &&
         std::find(finalizers->begin(), finalizers->end(), json::value(kForeground)) != finalizers->end();
}

const json::array* owners_of(const json::object& object) {
  const auto* metadata = find_object(object, "metadata");
  return metadata ? find_array(*metadata, "ownerReferences") : nullptr;
}

// Whether the dependent holds up the foreground deletion of the owner with this uid.
bool blocks(const json::object& dependent, std::string_view uid) {
  const auto* owners = owners_of(dependent);
  if (owners == nullptr) return false;
  return std::any_of(owners->begin(), owners->end(), [&](const json::value& owner) {
    return owner.is_object() && get_string(owner.get_object(), "uid") == uid &&
           get_bool(owner.get_object(), "blockOwnerDeletion");
  });
}

}  // namespace

void Resources::add_garbage(std::string_view uid) {
  if (garbage_set_.emplace(uid).second) garbage_.emplace_back(uid);
}

Object Resources::remove(Table& table, std::string_view ns, std::string_view name, const DeleteOptions& options) {
  Entry& entry = existing(table, ns, name);
  check_preconditions(entry, options.uid, options.resource_version);
  if (options.dry_run) return entry.object;
  if (table.kind->resource == kNamespaces) return remove_namespace(entry);
  const bool is_pod = table.kind->resource == kPods;
  int64_t grace = is_pod ? deletion_grace(*entry.object, options.grace_period_seconds) : 0;
  const auto& metadata = *find_object(*entry.object, "metadata");
  const bool deleting = is_deleting(*entry.object);
  // A deletion under way can be hastened, not delayed.
  if (deleting) grace = std::min(grace, get_int(metadata, "deletionGracePeriodSeconds"));
  if (options.propagation == Propagation::Orphan) orphan_dependents(entry);
  const bool foreground =
      options.propagation == Propagation::Foreground && !deleting && !store_.dependents(uid_of(*entry.object)).empty();
  const auto* finalizers = finalizers_of(*entry.object);
  if (!foreground && grace == 0 && (finalizers == nullptr || finalizers->empty())) return drop(entry);
  const Object now = mark_deleted(entry, grace, foreground);
  if (foreground) {
    for (Entry* dependent : store_.dependents(uid_of(*now))) add_garbage(uid_of(*dependent->object));
    add_garbage(uid_of(*now));
  }
  return now;
}

Object Resources::mark_deleted(Entry& entry, int64_t grace, bool foreground) {
  const auto& old = *find_object(*entry.object, "metadata");
  if (is_deleting(*entry.object) && get_int(old, "deletionGracePeriodSeconds") == grace) {
    store_.touch(entry);
    return entry.object;
  }
  json::object next = *entry.object;
  auto& metadata = next["metadata"].get_object();
  metadata["deletionTimestamp"] = format_time(clock_.now() + std::chrono::seconds(grace));
  metadata["deletionGracePeriodSeconds"] = grace;
  if (entry.table->kind->tracks_generation) metadata["generation"] = get_int(metadata, "generation") + 1;
  if (foreground) {
    auto& finalizers = metadata["finalizers"];
    if (!finalizers.is_array()) finalizers = json::array();
    finalizers.get_array().push_back(json::value(kForeground));
  }
  return store_.replace(entry, std::move(next));
}

Object Resources::remove_namespace(Entry& entry) {
  const std::string_view name = name_of(*entry.object);
  if (name == "default" || name == "kube-system") {
    throw forbidden(kNamespaces, name, "this namespace always exists");
  }
  if (is_deleting(*entry.object)) {
    store_.touch(entry);
    return entry.object;
  }
  json::object next = *entry.object;
  next["metadata"].get_object()["deletionTimestamp"] = format_time(clock_.now());
  next["status"] = json::object{{"phase", "Terminating"}};
  const Object now = store_.replace(entry, std::move(next));
  add_garbage(uid_of(*now));
  return now;
}

void Resources::orphan_dependents(Entry& entry) {
  const std::string uid(uid_of(*entry.object));
  for (Entry* dependent : store_.dependents(uid)) {
    json::object next = *dependent->object;
    auto& metadata = next["metadata"].get_object();
    auto& owners = metadata["ownerReferences"].get_array();
    owners.erase(std::remove_if(owners.begin(), owners.end(),
                                [&](const json::value& owner) {
                                  return owner.is_object() && get_string(owner.get_object(), "uid") == uid;
                                }),
                 owners.end());
    if (owners.empty()) metadata.stable_erase(metadata.find("ownerReferences"));
    store_.replace(*dependent, std::move(next));
  }
}

// Takes the object away, and remembers who must be looked after because of it.
Object Resources::drop(Entry& entry) {
  const Object last = entry.object;
  const bool namespaced = entry.table->kind->resource.namespaced;
  const std::string uid(uid_of(*last));
  const Object gone = store_.erase(entry);
  for (Entry* dependent : store_.dependents(uid)) add_garbage(uid_of(*dependent->object));
  if (const auto* owners = owners_of(*last)) {
    for (const auto& owner : *owners) {
      Entry* there = owner.is_object() ? store_.find_uid(get_string(owner.get_object(), "uid")) : nullptr;
      if (there != nullptr && is_foreground_deleting(*there->object)) add_garbage(uid_of(*there->object));
    }
  }
  if (namespaced) {
    Entry* ns = store_.find(store_.table(kNamespaces), {}, namespace_of(*last));
    if (ns != nullptr && is_deleting(*ns->object)) add_garbage(uid_of(*ns->object));
  }
  return gone;
}

void Resources::collect(int steps) {
  while (steps > 0 && !garbage_.empty()) {
    const std::string uid = std::move(garbage_.front());
    garbage_.pop_front();
    garbage_set_.erase(uid);
    --steps;
    look_after(uid, steps);
  }
}

void Resources::look_after(const std::string& uid, int& steps) {
  Entry* entry = store_.find_uid(uid);
  if (entry == nullptr) return;
  if (entry->table->kind->resource == kNamespaces) {
    if (is_deleting(*entry->object)) empty_namespace(*entry, steps);
    return;
  }
  if (is_foreground_deleting(*entry->object)) {
    look_after_foreground(*entry);
    entry = store_.find_uid(uid);
  }
  if (entry != nullptr && !is_deleting(*entry->object) && owners_of(*entry->object) != nullptr) {
    look_after_owners(*entry);
  }
}

void Resources::empty_namespace(Entry& entry, int& steps) {
  const std::string ns(name_of(*entry.object));
  const std::string uid(uid_of(*entry.object));
  bool empty = true;
  for (auto& table : store_.tables()) {
    if (!table.kind->resource.namespaced) continue;
    auto at = table.objects.lower_bound(KeyView{ns, {}});
    while (at != table.objects.end() && at->first.ns == ns) {
      Entry& item = (at++)->second;
      if (!is_deleting(*item.object)) {
        if (steps-- <= 0) return add_garbage(uid);
        const Object now = remove(table, ns, std::string(name_of(*item.object)), {});
        if (store_.find_uid(uid_of(*now)) == nullptr) continue;
      }
      empty = false;
    }
  }
  // What is left (finalizers, pods that end gracefully) brings us back here when it goes.
  if (empty) drop(entry);
}

void Resources::look_after_foreground(Entry& entry) {
  const std::string uid(uid_of(*entry.object));
  for (Entry* dependent : store_.dependents(uid)) {
    if (blocks(*dependent->object, uid)) return;
  }
  json::object next = *entry.object;
  auto& finalizers = *finalizers_of(next);
  finalizers.erase(std::remove(finalizers.begin(), finalizers.end(), json::value(kForeground)), finalizers.end());
  if (finalizers.empty()) {
    auto& metadata = next["metadata"].get_object();
    metadata.stable_erase(metadata.find("finalizers"));
  }
  settle(entry, std::move(next));
}

// Owners of kinds that this store does not hold count as there: nobody here can say that they are not.
bool Resources::owner_is_there(const json::object& reference, const json::object& dependent, bool& foreground) {
  if (store_.find_table(get_string(reference, "apiVersion"), get_string(reference, "kind")) == nullptr) return true;
  Entry* owner = store_.find_uid(get_string(reference, "uid"));
  if (owner == nullptr) return false;
  const std::string_view ns = namespace_of(*owner->object);
  if (!ns.empty() && ns != namespace_of(dependent)) return false;
  if (is_foreground_deleting(*owner->object)) {
    foreground = true;
    return false;
  }
  return true;
}

void Resources::look_after_owners(Entry& entry) {
  bool foreground = false;
  for (const auto& owner : *owners_of(*entry.object)) {
    if (owner.is_object() && owner_is_there(owner.get_object(), *entry.object, foreground)) return;
  }
  DeleteOptions options;
  if (foreground) options.propagation = Propagation::Foreground;
  remove(*entry.table, std::string(namespace_of(*entry.object)), std::string(name_of(*entry.object)), options);
}

void Resources::expire_events(Time limit) {
  auto& table = store_.table(kEvents);
  for (auto at = table.objects.begin(); at != table.objects.end();) {
    Entry& entry = (at++)->second;
    std::string text = get_string(*entry.object, "lastTimestamp");
    if (text.empty()) text = get_string(*find_object(*entry.object, "metadata"), "creationTimestamp");
    const auto time = parse_time(text);
    if (time && *time < limit) drop(entry);
  }
}

}  // namespace penstock::kube
