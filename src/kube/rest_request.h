// What a request to the Kubernetes face asks for: read from its path, its query and its body.
#pragma once

#include "http/message.h"
#include "kube/kinds.h"
#include "kube/pod_logs.h"

namespace penstock::kube {

// "namespaces/{ns}/pods/{name}/status", and so on.
struct Target {
  const Kind* kind = nullptr;
  std::string ns;    // empty: all
  std::string name;  // empty: the collection
  std::string subresource;
};

// `path` is what follows /api/v1/ or /apis/group/version/. Throws NotFound for a resource that is not served.
Target parse_target(const Kinds& kinds, std::string_view group, std::string_view version, std::string_view path);

// Throw BadRequest naming the parameter that is wrong.
ListQuery list_query(const http::Request& request, const Target& target);
WatchQuery watch_query(const http::Request& request, const Target& target);
WriteOptions write_options(const http::Request& request, const Target& target);
LogOptions log_options(const http::Request& request);
DeleteOptions delete_options(const http::Request& request, const json::value& body);
bool wants_watch(const http::Request& request);
std::optional<int64_t> query_number(const http::Request& request, std::string_view name);
PatchType patch_type(const http::Request& request);  // throws UnsupportedMediaType (415)

// The body as JSON, from JSON or YAML; null when there is none. Throws UnsupportedMediaType and RequestEntityTooLarge.
Async<json::value> read_body(http::Request& request);
// The object of a create or an update, its name and namespace checked against the path and filled in from it.
json::object object_for(const Target& target, json::value body);

}  // namespace penstock::kube
