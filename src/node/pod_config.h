// What a pod takes from other objects, and the environment of its containers. Pure: the objects are handed in.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kube/api.h"
#include "node/python_env.h"

namespace penstock::node {

enum class ConfigKind { Secret, ConfigMap, Claim };

struct ConfigRef {
  ConfigKind kind;
  std::string name;
  auto operator<=>(const ConfigRef&) const = default;
};

// A null object is one that does not exist.
using ConfigObjects = std::map<ConfigRef, kube::Object>;

// Something that the pod needs is not there yet: the container waits with reason CreateContainerConfigError, and is
// tried again when a Secret, ConfigMap or claim of its namespace changes.
class ConfigMissing : public Error {
 public:
  explicit ConfigMissing(std::string message) : Error(Code::NotFound, std::move(message)) {}
};

// Every Secret, ConfigMap and claim that the pod names, optional ones too.
std::vector<ConfigRef> config_refs(const json::object& pod);

// The names in spec.imagePullSecrets.
std::vector<std::string> pull_secrets(const json::object& pod);

// By name, init containers too; null when there is none.
const json::object* container_of(const json::object& pod, std::string_view name);
// resources.<kind>.<name>; null when absent.
const json::value* container_resource(const json::object& container, std::string_view kind, std::string_view name);
// The name of the first container; empty when the pod has none.
std::string first_container(const json::object& pod);

// What the agent knows about where the pod runs.
struct PodContext {
  std::string node_name;
  std::string host_ip = "127.0.0.1";
  int64_t node_cpu_milli = 0;  // what a container without a limit may use
  int64_t node_memory = 0;
};

// The text of metadata.name, metadata.labels['x'], spec.nodeName, status.podIP, …; `all` allows the whole
// metadata.labels and metadata.annotations, as files of a downwardAPI volume have them.
// Throws InvalidArgument for a path that Kubernetes does not offer.
std::string pod_field(const json::object& pod, std::string_view path, const PodContext& context, bool all = false);

// {"containerName", "resource": "limits.memory", "divisor": "1Mi"} as text. `container` is the default one.
std::string resource_field(const json::object& pod, const json::object* container, const json::object& ref,
                           const PodContext& context);

// The bytes of a Secret's or ConfigMap's key; null when the object or the key is missing.
std::optional<std::string> config_value(ConfigKind kind, const kube::Object& object, std::string_view key);
// All keys with their bytes.
std::vector<std::pair<std::string, std::string>> config_values(ConfigKind kind, const kube::Object& object);

// "$(NAME)" replaced where `env` has NAME; "$$" is "$". Unknown names stay as they are written.
std::string expand(std::string_view text, const EnvList& env);

const std::string* env_value(const EnvList& env, std::string_view name);
void set_env(EnvList& env, std::string_view name, std::string value);

// `base` with the container's envFrom and env on top. Throws ConfigMissing, InvalidArgument.
EnvList container_env(const json::object& pod, const json::object& container, const ConfigObjects& objects,
                      const PodContext& context, EnvList base);

}  // namespace penstock::node
