// The documents that tell clients which resources there are.
#pragma once

#include "kube/kinds.h"

namespace penstock::kube {

json::object api_versions(std::string_view host);  // GET /api
json::object api_groups(const Kinds& kinds);       // GET /apis
json::object api_group(const Kinds& kinds, std::string_view group);
json::object api_resources(const Kinds& kinds, std::string_view group, std::string_view version);
json::object server_version();  // GET /version

}  // namespace penstock::kube
