#include "kube/store.h"

#include <algorithm>
#include <charconv>

#include "base/base64.h"
#include "kube/status.h"

namespace penstock::kube {

namespace {

template <class Use>
void each_owner(const json::object& object, Use use) {
  const auto* metadata = find_object(object, "metadata");
  const auto* owners = metadata ? find_array(*metadata, "ownerReferences") : nullptr;
  if (owners == nullptr) return;
  for (const auto& owner : *owners) {
    const auto* uid = find(owner, "uid");
    if (uid != nullptr && uid->is_string()) use(to_std(uid->get_string()));
  }
}

const json::value* owners_of(const json::object& object) {
  const auto* metadata = find_object(object, "metadata");
  return metadata ? metadata->if_contains("ownerReferences") : nullptr;
}

bool same_owners(const json::object& a, const json::object& b) {
  const auto* x = owners_of(a);
  const auto* y = owners_of(b);
  return (x == nullptr || y == nullptr) ? x == y : *x == *y;
}

uint64_t parse_version(std::string_view text) {
  uint64_t version = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), version);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) {
    throw bad_request(fmt::format("resourceVersion \"{}\" is no version that this server gave", text));
  }
  return version;
}

// The token of the next page: the first page's version and the last key that was given.
std::string make_token(std::string_view version, const ObjectKey& last) {
  return base64_encode(to_text(json::object{{"v", version}, {"ns", last.ns}, {"name", last.name}}));
}

json::object parse_token(std::string_view token) {
  const auto text = base64_decode(token);
  if (text) {
    try {
      auto value = parse_json(*text);
      if (value.is_object()) return value.get_object();
    } catch (const Error&) {
      // Said below.
    }
  }
  throw bad_request("continue: this is no token that this server gave");
}

Object bookmark(const Kind& kind, std::string version, bool initial_end) {
  json::object metadata{{"resourceVersion", std::move(version)}, {"creationTimestamp", nullptr}};
  if (initial_end) metadata["annotations"] = json::object{{"k8s.io/initial-events-end", "true"}};
  return make_object(
      {{"kind", kind.resource.kind}, {"apiVersion", kind.resource.api_version()}, {"metadata", std::move(metadata)}});
}

}  // namespace

Store::Store(const Kinds& kinds, Limits limits) : limits_(limits) {
  for (const auto& kind : kinds.all()) tables_.emplace_back().kind = &kind;
}

Table& Store::table(const Resource& resource) {
  for (auto& table : tables_) {
    const auto& known = table.kind->resource;
    if (known.plural == resource.plural && known.group == resource.group && known.version == resource.version)
      return table;
  }
  throw StatusError(Code::NotFound, 404, "NotFound",
                    fmt::format("this server has no resource {} in {}", resource.plural, resource.api_version()));
}

Table* Store::find_table(std::string_view api_version, std::string_view kind) {
  for (auto& table : tables_) {
    if (table.kind->resource.kind == kind && table.kind->resource.api_version() == api_version) return &table;
  }
  return nullptr;
}

Entry* Store::find(Table& table, std::string_view ns, std::string_view name) {
  const auto at = table.objects.find(KeyView{ns, name});
  return at == table.objects.end() ? nullptr : &at->second;
}

Entry* Store::find_uid(std::string_view uid) {
  const auto at = by_uid_.find(std::string(uid));
  return at == by_uid_.end() ? nullptr : at->second;
}

std::vector<Entry*> Store::dependents(std::string_view uid) {
  const auto at = by_owner_.find(std::string(uid));
  return at == by_owner_.end() ? std::vector<Entry*>() : at->second;
}

void Store::index(Entry& entry) {
  each_owner(*entry.object, [&](std::string uid) { by_owner_[std::move(uid)].push_back(&entry); });
}

void Store::unindex(Entry& entry) {
  each_owner(*entry.object, [&](const std::string& uid) {
    const auto at = by_owner_.find(uid);
    if (at == by_owner_.end()) return;
    std::erase(at->second, &entry);
    if (at->second.empty()) by_owner_.erase(at);
  });
}

void Store::stamp(json::object& object) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, ++version_).ptr;
  object["metadata"].get_object()["resourceVersion"] = std::string_view(digits, static_cast<size_t>(end - digits));
}

void Store::announce(Table& table, EventType type, Object before, Object now) {
  bool stale = false;
  for (const auto& watcher : table.watchers) {
    if (watcher->closed())
      stale = true;
    else
      watcher->deliver(type, before, now);
  }
  if (stale) std::erase_if(table.watchers, [](const auto& watcher) { return watcher->closed(); });
  past_.push_back({version_, &table, type, std::move(before), std::move(now)});
  while (past_.size() > limits_.history) {
    forgotten_ = past_.front().version;
    past_.pop_front();
  }
}

Entry& Store::insert(Table& table, json::object object) {
  stamp(object);
  ObjectKey key{std::string(namespace_of(object)), std::string(name_of(object))};
  auto& entry = table.objects[std::move(key)];
  entry = {&table, static_cast<int64_t>(version_), make_object(std::move(object))};
  by_uid_[std::string(uid_of(*entry.object))] = &entry;
  index(entry);
  changes_.push_back({entry.row, &table, nullptr, entry.object});
  announce(table, EventType::Added, nullptr, entry.object);
  return entry;
}

Object Store::replace(Entry& entry, json::object object) {
  stamp(object);
  Object before = entry.object;
  const bool reindex = !same_owners(*before, object);
  if (reindex) unindex(entry);
  entry.object = make_object(std::move(object));
  if (reindex) index(entry);
  changes_.push_back({entry.row, entry.table, before, entry.object});
  announce(*entry.table, EventType::Modified, std::move(before), entry.object);
  return entry.object;
}

Object Store::erase(Entry& entry) {
  Object before = entry.object;
  Table& table = *entry.table;
  json::object last = compact_copy(*before);
  stamp(last);
  Object now = make_object(std::move(last));
  changes_.push_back({entry.row, &table, before, nullptr});
  unindex(entry);
  by_uid_.erase(std::string(uid_of(*before)));
  table.objects.erase(table.objects.find(KeyView{namespace_of(*before), name_of(*before)}));
  announce(table, EventType::Deleted, std::move(before), now);
  return now;
}

void Store::revert(const RowChange& change) {
  if (change.now == change.before) return;
  const Object& known = change.now ? change.now : change.before;
  Entry* entry = find(*change.table, namespace_of(*known), name_of(*known));
  if (change.now == nullptr) {
    if (entry == nullptr) insert(*change.table, *change.before);
  } else if (entry != nullptr && entry->object == change.now) {
    if (change.before == nullptr)
      erase(*entry);
    else
      replace(*entry, *change.before);
  }
}

void Store::load(Table& table, int64_t row, Object object) {
  ObjectKey key{std::string(namespace_of(*object)), std::string(name_of(*object))};
  auto& entry = table.objects[std::move(key)];
  entry = {&table, row, std::move(object)};
  by_uid_[std::string(uid_of(*entry.object))] = &entry;
  index(entry);
}

void Store::set_version(uint64_t version) {
  version_ = version;
  forgotten_ = version;
}

List Store::list(Table& table, const ListQuery& query) {
  const Filter filter{query.ns, LabelSelector(query.label_selector), FieldSelector(query.field_selector, *table.kind)};
  const bool selects = !filter.labels.empty() || !filter.fields.empty();
  List list;
  list.resource_version = version_text();
  auto at = table.objects.lower_bound(KeyView{query.ns, {}});
  if (!query.continue_token.empty()) {
    const json::object token = parse_token(query.continue_token);
    // Pages after the first show objects as they are now; a watch from the first page's version tells the rest.
    list.resource_version = get_string(token, "v");
    const std::string ns = get_string(token, "ns"), name = get_string(token, "name");
    at = table.objects.upper_bound(KeyView{ns, name});
  } else if (const auto name = filter.fields.exact_name(); !name.empty() && !query.ns.empty()) {
    Entry* entry = find(table, query.ns, name);
    if (entry != nullptr && filter.matches(*entry->object)) list.items.push_back(entry->object);
    return list;
  }
  const ObjectKey* last = nullptr;
  for (; at != table.objects.end(); ++at) {
    if (!query.ns.empty() && at->first.ns != query.ns) break;
    if (selects && !filter.matches(*at->second.object)) continue;
    if (query.limit > 0 && static_cast<int64_t>(list.items.size()) == query.limit) {
      list.continue_token = make_token(list.resource_version, *last);
      for (; !selects && at != table.objects.end() && (query.ns.empty() || at->first.ns == query.ns); ++at) {
        ++list.remaining;
      }
      break;
    }
    list.items.push_back(at->second.object);
    last = &at->first;
  }
  return list;
}

void Store::replay(Table& table, uint64_t after, Watcher& watcher) {
  if (after < forgotten_ || after > version_) {
    throw expired(fmt::format("resourceVersion {} is {}: list again and watch from the version of that list", after,
                              after < forgotten_ ? "older than what is kept" : "newer than any that this server gave"));
  }
  auto at = std::upper_bound(past_.begin(), past_.end(), after,
                             [](uint64_t version, const Past& event) { return version < event.version; });
  for (; at != past_.end(); ++at) {
    if (at->table == &table) watcher.deliver(at->type, at->before, at->now);
  }
}

std::shared_ptr<Watcher> Store::watch(Table& table, const WatchQuery& query) {
  Filter filter{query.ns, LabelSelector(query.label_selector), FieldSelector(query.field_selector, *table.kind)};
  auto watcher = std::make_shared<Watcher>(std::move(filter), query.bookmarks);
  if (query.resource_version.empty() || query.resource_version == "0") {
    const List present = list(table, {query.ns, query.label_selector, query.field_selector, 0, {}});
    watcher->begin(present.items.size());
    for (const auto& object : present.items) watcher->push({EventType::Added, object});
    if (query.bookmarks) watcher->push({EventType::Bookmark, bookmark(*table.kind, version_text(), true)});
  } else {
    watcher->begin(past_.size());
    replay(table, parse_version(query.resource_version), *watcher);
  }
  std::erase_if(table.watchers, [](const auto& other) { return other->closed(); });
  table.watchers.push_back(watcher);
  return watcher;
}

void Store::send_bookmarks() {
  for (auto& table : tables_) {
    for (const auto& watcher : table.watchers) {
      if (!watcher->wants_bookmarks() || watcher->closed()) continue;
      watcher->push({EventType::Bookmark, bookmark(*table.kind, version_text(), false)});
    }
  }
}

}  // namespace penstock::kube
