#include "kube/discovery.h"

#include <algorithm>

namespace penstock::kube {

namespace {

json::array texts(const std::vector<std::string>& list) {
  json::array array;
  for (const auto& item : list) array.push_back(json::value(item));
  return array;
}

json::object subresource(const Kind& kind, std::string_view name, json::array verbs) {
  return {{"name", fmt::format("{}/{}", kind.resource.plural, name)},
          {"singularName", ""},
          {"namespaced", kind.resource.namespaced},
          {"kind", kind.resource.kind},
          {"verbs", std::move(verbs)}};
}

}  // namespace

json::object api_versions(std::string_view host) {
  return {
      {"kind", "APIVersions"},
      {"versions", json::array{"v1"}},
      {"serverAddressByClientCIDRs", json::array{json::object{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", host}}}}};
}

json::object api_resources(const Kinds& kinds, std::string_view group, std::string_view version) {
  json::array resources;
  for (const auto& kind : kinds.all()) {
    if (kind.resource.group != group || kind.resource.version != version) continue;
    json::object item{
        {"name", kind.resource.plural},
        {"singularName", kind.singular},
        {"namespaced", kind.resource.namespaced},
        {"kind", kind.resource.kind},
        {"verbs", json::array{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}}};
    if (!kind.short_names.empty()) item["shortNames"] = texts(kind.short_names);
    if (!kind.categories.empty()) item["categories"] = texts(kind.categories);
    resources.push_back(std::move(item));
    if (kind.status_subresource) resources.push_back(subresource(kind, "status", {"get", "patch", "update"}));
    if (kind.resource == kPods) resources.push_back(subresource(kind, "log", {"get"}));
  }
  return {{"kind", "APIResourceList"},
          {"apiVersion", "v1"},
          {"groupVersion", group.empty() ? std::string(version) : fmt::format("{}/{}", group, version)},
          {"resources", std::move(resources)}};
}

json::object api_group(const Kinds& kinds, std::string_view group) {
  json::array versions;
  for (const auto& kind : kinds.all()) {
    if (kind.resource.group != group) continue;
    json::value version =
        json::object{{"groupVersion", kind.resource.api_version()}, {"version", kind.resource.version}};
    if (std::find(versions.begin(), versions.end(), version) == versions.end()) versions.push_back(std::move(version));
  }
  json::object result{{"kind", "APIGroup"}, {"apiVersion", "v1"}, {"name", group}};
  if (!versions.empty()) result["preferredVersion"] = versions.front();
  result["versions"] = std::move(versions);
  return result;
}

json::object api_groups(const Kinds& kinds) {
  json::array groups;
  std::vector<std::string> seen;
  for (const auto& kind : kinds.all()) {
    const auto& group = kind.resource.group;
    if (group.empty() || std::find(seen.begin(), seen.end(), group) != seen.end()) continue;
    seen.push_back(group);
    groups.push_back(api_group(kinds, group));
  }
  return {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}};
}

json::object server_version() {
  // The version of Kubernetes whose behaviour is matched; clients compare theirs with it.
  return {{"major", "1"},    {"minor", "30"},      {"gitVersion", "v1.30.0+penstock"},
          {"gitCommit", ""}, {"gitTreeState", ""}, {"buildDate", ""},
          {"goVersion", ""}, {"compiler", "g++"},  {"platform", "linux/amd64"}};
}

}  // namespace penstock::kube
