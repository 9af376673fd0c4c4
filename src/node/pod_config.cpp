#include "node/pod_config.h"

#include <set>

#include "base/base64.h"
#include "node/quantity.h"

namespace penstock::node {

namespace {

std::string_view word(ConfigKind kind) {
  switch (kind) {
    case ConfigKind::Secret: return "secret";
    case ConfigKind::ConfigMap: return "configmap";
    default: return "persistentvolumeclaim";
  }
}

template <class Use>
void each_object(const json::object& parent, std::string_view key, Use use) {
  const auto* items = find_array(parent, key);
  if (!items) return;
  for (const auto& item : *items) {
    if (item.is_object()) use(item.get_object());
  }
}

void volume_refs(const json::object& volume, std::set<ConfigRef>& refs) {
  if (const auto* secret = find_object(volume, "secret")) {
    refs.insert({ConfigKind::Secret, get_string(*secret, "secretName")});
  }
  if (const auto* map = find_object(volume, "configMap"))
    refs.insert({ConfigKind::ConfigMap, get_string(*map, "name")});
  if (const auto* claim = find_object(volume, "persistentVolumeClaim")) {
    refs.insert({ConfigKind::Claim, get_string(*claim, "claimName")});
  }
  if (const auto* projected = find_object(volume, "projected")) {
    each_object(*projected, "sources", [&](const json::object& source) {
      if (const auto* secret = find_object(source, "secret")) {
        refs.insert({ConfigKind::Secret, get_string(*secret, "name")});
      }
      if (const auto* map = find_object(source, "configMap")) {
        refs.insert({ConfigKind::ConfigMap, get_string(*map, "name")});
      }
    });
  }
}

void container_refs(const json::object& container, std::set<ConfigRef>& refs) {
  each_object(container, "envFrom", [&](const json::object& from) {
    if (const auto* ref = find_object(from, "secretRef")) refs.insert({ConfigKind::Secret, get_string(*ref, "name")});
    if (const auto* ref = find_object(from, "configMapRef")) {
      refs.insert({ConfigKind::ConfigMap, get_string(*ref, "name")});
    }
  });
  each_object(container, "env", [&](const json::object& variable) {
    const auto* from = find_object(variable, "valueFrom");
    if (!from) return;
    if (const auto* ref = find_object(*from, "secretKeyRef")) {
      refs.insert({ConfigKind::Secret, get_string(*ref, "name")});
    }
    if (const auto* ref = find_object(*from, "configMapKeyRef")) {
      refs.insert({ConfigKind::ConfigMap, get_string(*ref, "name")});
    }
  });
}

// labels['app'] → app, when `path` is of the map `name`.
std::optional<std::string_view> subscript(std::string_view path, std::string_view name) {
  if (!path.starts_with(name)) return std::nullopt;
  path.remove_prefix(name.size());
  if (path.size() < 5 || !path.starts_with("['") || !path.ends_with("']")) return std::nullopt;
  return path.substr(2, path.size() - 4);
}

std::string map_entry(const json::object& metadata, std::string_view map, std::string_view key) {
  const auto* entries = find_object(metadata, map);
  return entries ? get_string(*entries, key) : std::string();
}

std::string map_lines(const json::object& metadata, std::string_view map) {
  std::string text;
  const auto* entries = find_object(metadata, map);
  if (!entries) return text;
  std::map<std::string, std::string> sorted;
  for (const auto& entry : *entries) {
    if (entry.value().is_string()) sorted.emplace(entry.key(), to_text(entry.value()));
  }
  for (const auto& [key, value] : sorted) text += fmt::format("{}{}={}", text.empty() ? "" : "\n", key, value);
  return text;
}

const kube::Object* object_for(const ConfigObjects& objects, ConfigKind kind, const std::string& name) {
  const auto found = objects.find({kind, name});
  return found == objects.end() || !found->second ? nullptr : &found->second;
}

std::optional<std::string> key_ref(const json::object& ref, ConfigKind kind, const ConfigObjects& objects) {
  const auto name = get_string(ref, "name");
  const auto key = get_string(ref, "key");
  const bool optional = get_bool(ref, "optional");
  const auto* object = object_for(objects, kind, name);
  if (!object) {
    if (optional) return std::nullopt;
    throw ConfigMissing(fmt::format("{} \"{}\" not found", word(kind), name));
  }
  auto value = config_value(kind, *object, key);
  if (!value && !optional) throw ConfigMissing(fmt::format("{} \"{}\" has no key \"{}\"", word(kind), name, key));
  return value;
}

std::optional<std::string> value_from(const json::object& pod, const json::object& container, const json::object& from,
                                      const ConfigObjects& objects, const PodContext& context) {
  if (const auto* ref = find_object(from, "secretKeyRef")) return key_ref(*ref, ConfigKind::Secret, objects);
  if (const auto* ref = find_object(from, "configMapKeyRef")) return key_ref(*ref, ConfigKind::ConfigMap, objects);
  if (const auto* ref = find_object(from, "fieldRef")) return pod_field(pod, get_string(*ref, "fieldPath"), context);
  if (const auto* ref = find_object(from, "resourceFieldRef")) return resource_field(pod, &container, *ref, context);
  throw invalid(
      "an environment variable's valueFrom needs one of secretKeyRef, configMapKeyRef, fieldRef and "
      "resourceFieldRef");
}

// Kubernetes passes over keys of an envFrom that cannot be names.
bool is_env_name(std::string_view name) {
  return !name.empty() && name.find('=') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

void add_env_from(const json::object& container, const ConfigObjects& objects, EnvList& env) {
  each_object(container, "envFrom", [&](const json::object& from) {
    const auto prefix = get_string(from, "prefix");
    for (const auto& [member, kind] :
         {std::pair{"configMapRef", ConfigKind::ConfigMap}, std::pair{"secretRef", ConfigKind::Secret}}) {
      const auto* ref = find_object(from, member);
      if (!ref) continue;
      const auto name = get_string(*ref, "name");
      const auto* object = object_for(objects, kind, name);
      if (!object && !get_bool(*ref, "optional")) {
        throw ConfigMissing(fmt::format("{} \"{}\" not found", word(kind), name));
      }
      if (!object) continue;
      for (auto& [key, value] : config_values(kind, *object)) {
        if (is_env_name(key)) set_env(env, prefix + key, std::move(value));
      }
    }
  });
}

}  // namespace

std::vector<ConfigRef> config_refs(const json::object& pod) {
  const auto* spec = find_object(pod, "spec");
  if (!spec) return {};
  std::set<ConfigRef> refs;
  each_object(*spec, "volumes", [&](const json::object& volume) { volume_refs(volume, refs); });
  for (const char* list : {"initContainers", "containers"}) {
    each_object(*spec, list, [&](const json::object& container) { container_refs(container, refs); });
  }
  for (auto& name : pull_secrets(pod)) refs.insert({ConfigKind::Secret, std::move(name)});
  return {refs.begin(), refs.end()};
}

std::vector<std::string> pull_secrets(const json::object& pod) {
  std::vector<std::string> names;
  if (const auto* spec = find_object(pod, "spec")) {
    each_object(*spec, "imagePullSecrets", [&](const json::object& ref) { names.push_back(get_string(ref, "name")); });
  }
  return names;
}

const json::value* container_resource(const json::object& container, std::string_view kind, std::string_view name) {
  const auto* resources = find_object(container, "resources");
  const auto* amounts = resources ? find_object(*resources, kind) : nullptr;
  return amounts ? find(*amounts, name) : nullptr;
}

const json::object* container_of(const json::object& pod, std::string_view name) {
  const json::object* found = nullptr;
  const auto* spec = find_object(pod, "spec");
  if (!spec) return found;
  for (const char* list : {"initContainers", "containers"}) {
    each_object(*spec, list, [&](const json::object& container) {
      if (get_string(container, "name") == name) found = &container;
    });
  }
  return found;
}

std::string first_container(const json::object& pod) {
  const auto* spec = find_object(pod, "spec");
  const auto* containers = spec ? find_array(*spec, "containers") : nullptr;
  if (!containers || containers->empty() || !containers->front().is_object()) return {};
  return get_string(containers->front().get_object(), "name");
}

std::string pod_field(const json::object& pod, std::string_view path, const PodContext& context, bool all) {
  static const json::object kEmpty;
  const auto* found = find_object(pod, "metadata");
  const auto& metadata = found ? *found : kEmpty;
  const auto* spec = find_object(pod, "spec");
  if (path == "metadata.name") return get_string(metadata, "name");
  if (path == "metadata.namespace") return get_string(metadata, "namespace");
  if (path == "metadata.uid") return get_string(metadata, "uid");
  if (const auto key = subscript(path, "metadata.labels")) return map_entry(metadata, "labels", *key);
  if (const auto key = subscript(path, "metadata.annotations")) return map_entry(metadata, "annotations", *key);
  if (path == "spec.nodeName") return context.node_name;
  if (path == "spec.serviceAccountName") return spec ? get_string(*spec, "serviceAccountName", "default") : "default";
  if (path == "status.hostIP" || path == "status.podIP" || path == "status.hostIPs" || path == "status.podIPs") {
    return context.host_ip;
  }
  if (all && path == "metadata.labels") return map_lines(metadata, "labels");
  if (all && path == "metadata.annotations") return map_lines(metadata, "annotations");
  throw invalid(
      "fieldPath \"{}\" is not offered; use metadata.name, metadata.namespace, metadata.uid, "
      "metadata.labels['…'], metadata.annotations['…'], spec.nodeName, spec.serviceAccountName, "
      "status.hostIP or status.podIP",
      path);
}

std::string resource_field(const json::object& pod, const json::object* container, const json::object& ref,
                           const PodContext& context) {
  const auto name = get_string(ref, "containerName");
  if (!name.empty()) container = container_of(pod, name);
  if (!container) throw invalid("resourceFieldRef: the pod has no container \"{}\"", name);
  const auto resource = get_string(ref, "resource");
  const auto dot = resource.find('.');
  const auto kind = resource.substr(0, dot), unit = dot == std::string::npos ? "" : resource.substr(dot + 1);
  if ((kind != "limits" && kind != "requests") || (unit != "cpu" && unit != "memory" && unit != "ephemeral-storage")) {
    throw invalid("resourceFieldRef: \"{}\" is not offered; use limits. or requests. with cpu or memory", resource);
  }
  Quantity amount;
  const auto* value = container_resource(*container, kind, unit);
  if (!value && kind == "requests") value = container_resource(*container, "limits", unit);
  if (value) {
    amount = Quantity::read(*value, resource);
  } else if (kind == "limits") {
    amount = unit == "cpu" ? Quantity::of_milli(context.node_cpu_milli) : Quantity::of(context.node_memory);
  }
  const auto* divisor_value = find(ref, "divisor");
  auto divisor = divisor_value ? Quantity::read(*divisor_value, "divisor") : Quantity::of(1);
  if (divisor <= Quantity()) divisor = Quantity::of(1);
  // In thousandths where the divisor is below one, so that both are whole.
  const bool fine = divisor < Quantity::of(1);
  const int64_t top = fine ? amount.milli() : amount.units(), bottom = fine ? divisor.milli() : divisor.units();
  return std::to_string(top / bottom + (top % bottom ? 1 : 0));
}

std::optional<std::string> config_value(ConfigKind kind, const kube::Object& object, std::string_view key) {
  if (!object) return std::nullopt;
  const auto* data = find_object(*object, "data");
  const auto* value = data ? find(*data, key) : nullptr;
  const bool secret = kind == ConfigKind::Secret;
  if (value && value->is_string()) {
    return secret ? base64_decode(to_view(value->get_string())) : to_std(value->get_string());
  }
  const auto* binary = secret ? nullptr : find_object(*object, "binaryData");
  value = binary ? find(*binary, key) : nullptr;
  if (value && value->is_string()) return base64_decode(to_view(value->get_string()));
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> config_values(ConfigKind kind, const kube::Object& object) {
  std::vector<std::pair<std::string, std::string>> values;
  if (!object) return values;
  for (const char* member : {"data", "binaryData"}) {
    const auto* data = find_object(*object, member);
    if (!data) continue;
    for (const auto& entry : *data) {
      if (auto value = config_value(kind, object, entry.key())) values.emplace_back(entry.key(), std::move(*value));
    }
  }
  return values;
}

const std::string* env_value(const EnvList& env, std::string_view name) {
  for (const auto& [key, value] : env) {
    if (key == name) return &value;
  }
  return nullptr;
}

void set_env(EnvList& env, std::string_view name, std::string value) {
  for (auto& [key, old] : env) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  env.emplace_back(name, std::move(value));
}

std::string expand(std::string_view text, const EnvList& env) {
  std::string result;
  size_t at = 0;
  while (at < text.size()) {
    const size_t dollar = text.find('$', at);
    result.append(text.substr(at, dollar == std::string_view::npos ? dollar : dollar - at));
    if (dollar == std::string_view::npos) break;
    const char next = dollar + 1 < text.size() ? text[dollar + 1] : '\0';
    at = dollar + 1;
    if (next == '$') {
      ++at;
    } else if (next == '(') {
      const size_t close = text.find(')', dollar);
      if (close != std::string_view::npos) {
        const auto* value = env_value(env, text.substr(dollar + 2, close - dollar - 2));
        result.append(value ? std::string_view(*value) : text.substr(dollar, close + 1 - dollar));
        at = close + 1;
        continue;
      }
    }
    result += '$';
  }
  return result;
}

EnvList container_env(const json::object& pod, const json::object& container, const ConfigObjects& objects,
                      const PodContext& context, EnvList base) {
  EnvList env = std::move(base);
  add_env_from(container, objects, env);
  each_object(container, "env", [&](const json::object& variable) {
    const auto name = get_string(variable, "name");
    if (!is_env_name(name)) throw invalid("\"{}\" cannot be the name of an environment variable", name);
    if (const auto* from = find_object(variable, "valueFrom")) {
      if (auto value = value_from(pod, container, *from, objects, context)) set_env(env, name, std::move(*value));
      return;
    }
    const auto* value = find(variable, "value");
    if (!value || value->is_null()) return set_env(env, name, "");
    if (!value->is_string()) throw invalid("the environment variable \"{}\" needs a string as its value", name);
    set_env(env, name, expand(to_view(value->get_string()), env));
  });
  return env;
}

}  // namespace penstock::node
