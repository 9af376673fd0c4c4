#include <algorithm>

#include "kube/patch.h"
#include "kube/status.h"

namespace penstock::kube {

namespace {

constexpr std::string_view kDeletePrimitives = "$deleteFromPrimitiveList/";
constexpr std::string_view kElementOrder = "$setElementOrder/";

// By which member the items of a list are matched; empty: the list is replaced as a whole. As the core kinds' Go types
// are tagged.
std::string_view merge_key(std::string_view list) {
  static constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
      {"containers", "name"},
      {"initContainers", "name"},
      {"ephemeralContainers", "name"},
      {"env", "name"},
      {"volumes", "name"},
      {"volumeMounts", "mountPath"},
      {"volumeDevices", "devicePath"},
      {"ports", "containerPort"},
      {"imagePullSecrets", "name"},
      {"hostAliases", "ip"},
      {"conditions", "type"},
      {"ownerReferences", "uid"},
      {"podIPs", "ip"},
      {"hostIPs", "ip"},
      {"topologySpreadConstraints", "topologyKey"},
      {"schedulingGates", "name"},
      {"resourceClaims", "name"},
      {"secrets", "name"}};
  for (const auto& [name, key] : kKeys) {
    if (name == list) return key;
  }
  return {};
}

bool is_primitive_set(std::string_view list) { return list == "finalizers"; }

std::string_view directive(const json::value& value) {
  const auto* found = find(value, "$patch");
  return found != nullptr && found->is_string() ? to_view(found->get_string()) : std::string_view();
}

void merge_object(json::object& target, const json::object& patch);

// A copy without directives, for values that are new.
json::value stripped(const json::value& value) {
  if (value.is_object()) {
    json::object copy;
    merge_object(copy, value.get_object());
    return copy;
  }
  if (value.is_array()) {
    json::array copy;
    for (const auto& item : value.get_array()) {
      if (directive(item) != "delete" && directive(item) != "replace") copy.push_back(stripped(item));
    }
    return copy;
  }
  return value;
}

auto find_item(json::array& list, std::string_view key, const json::value& wanted) {
  return std::find_if(list.begin(), list.end(), [&](const json::value& item) {
    const auto* value = find(item, key);
    return value != nullptr && *value == wanted;
  });
}

void merge_list(json::array& target, const json::array& patch, std::string_view name, std::string_view key) {
  const bool replace =
      std::any_of(patch.begin(), patch.end(), [](const json::value& item) { return directive(item) == "replace"; });
  if (replace) {
    target = stripped(patch).as_array();
    return;
  }
  for (const auto& item : patch) {
    const auto* wanted = find(item, key);
    if (wanted == nullptr) {
      throw bad_request(fmt::format("strategic merge patch: an item of \"{}\" lacks its key \"{}\"", name, key));
    }
    const auto found = find_item(target, key, *wanted);
    if (directive(item) == "delete") {
      if (found != target.end()) target.erase(found);
    } else if (found != target.end()) {
      merge_object(found->get_object(), item.get_object());
    } else {
      target.push_back(stripped(item));
    }
  }
}

void merge_set(json::array& target, const json::array& patch) {
  for (const auto& item : patch) {
    if (std::find(target.begin(), target.end(), item) == target.end()) target.push_back(item);
  }
}

// Items that the order names come first in that order, the others after them as they were.
void reorder(json::array& list, const json::array& order, std::string_view key) {
  auto rank = [&](const json::value& item) {
    const auto at = std::find_if(order.begin(), order.end(), [&](const json::value& wanted) {
      if (key.empty()) return wanted == item;
      const auto* a = find(wanted, key);
      const auto* b = find(item, key);
      return a != nullptr && b != nullptr && *a == *b;
    });
    return at - order.begin();
  };
  std::stable_sort(list.begin(), list.end(),
                   [&](const json::value& a, const json::value& b) { return rank(a) < rank(b); });
}

void delete_primitives(json::object& target, std::string_view name, const json::value& values) {
  auto* member = target.if_contains(name);
  auto* list = member ? member->if_array() : nullptr;
  const auto* gone = values.if_array();
  if (list == nullptr || gone == nullptr) return;
  list->erase(std::remove_if(
                  list->begin(), list->end(),
                  [&](const json::value& item) { return std::find(gone->begin(), gone->end(), item) != gone->end(); }),
              list->end());
}

void retain_keys(json::object& target, const json::value& keys) {
  const auto* names = keys.if_array();
  if (names == nullptr) return;
  std::vector<std::string> gone;
  for (const auto& [key, value] : target) {
    if (std::find(names->begin(), names->end(), json::value(key)) == names->end()) gone.emplace_back(key);
  }
  for (const auto& key : gone) target.stable_erase(target.find(key));
}

void merge_member(json::object& target, json::string_view key, const json::value& value) {
  const std::string_view name(key.data(), key.size());
  if (value.is_null()) {
    if (const auto at = target.find(key); at != target.end()) target.stable_erase(at);
  } else if (value.is_object()) {
    auto& member = target[key];
    if (!member.is_object()) member = json::object();
    merge_object(member.get_object(), value.get_object());
  } else if (value.is_array() && (!merge_key(name).empty() || is_primitive_set(name))) {
    auto& member = target[key];
    if (!member.is_array()) member = json::array();
    if (is_primitive_set(name))
      merge_set(member.get_array(), value.get_array());
    else
      merge_list(member.get_array(), value.get_array(), name, merge_key(name));
  } else {
    target[key] = value;
  }
}

void merge_object(json::object& target, const json::object& patch) {
  const auto* how = patch.if_contains("$patch");
  if (how != nullptr && how->is_string()) {
    if (how->get_string() == "replace" || how->get_string() == "delete") target.clear();
    if (how->get_string() == "delete") return;
  }
  if (const auto* keys = patch.if_contains("$retainKeys")) retain_keys(target, *keys);
  for (const auto& [key, value] : patch) {
    const std::string_view name(key.data(), key.size());
    if (name == "$patch" || name == "$retainKeys" || name.starts_with(kElementOrder)) continue;
    if (name.starts_with(kDeletePrimitives)) {
      delete_primitives(target, name.substr(kDeletePrimitives.size()), value);
    } else {
      merge_member(target, key, value);
    }
  }
  for (const auto& [key, value] : patch) {
    const std::string_view name(key.data(), key.size());
    if (!name.starts_with(kElementOrder) || !value.is_array()) continue;
    const std::string_view list = name.substr(kElementOrder.size());
    auto* member = target.if_contains(list);
    if (member != nullptr && member->is_array()) reorder(member->get_array(), value.get_array(), merge_key(list));
  }
}

}  // namespace

void apply_strategic_patch(json::value& target, const json::value& patch) {
  if (!patch.is_object()) throw bad_request("a strategic merge patch must be an object");
  if (!target.is_object()) target = json::object();
  merge_object(target.get_object(), patch.get_object());
}

}  // namespace penstock::kube
