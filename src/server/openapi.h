// GET /openapi.json: the document of everything that the router serves.
#pragma once

#include <string>

#include "http/router.h"

namespace penstock::server {

// After all routes have been added; the router is asked when the document is first wanted.
void add_openapi_route(http::Router& router, std::string version);

}  // namespace penstock::server
