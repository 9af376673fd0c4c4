// Fetching a package that a client names by its URL. Private to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipelines/api/api.h"

namespace penstock::pipelines::api {

// The package's documents. Only HTTPS, and only from public addresses, but for the hosts that the server's options
// name. InvalidArgument for a URL that may not be fetched or an answer that is no package, ResourceExhausted when it is
// too long, Unavailable when the host does not answer with it.
Async<std::vector<json::value>> import_package(const ApiContext& context, std::string url, std::string_view field);

}  // namespace penstock::pipelines::api
