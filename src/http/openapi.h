// The OpenAPI 3.1 document of what a router serves, made from its routes and what they say of themselves (RouteDoc).
//
// Types are written as base/schema.h reads them. A query is a list of parameters with types, "page_size int32, view
// DEFAULT|FULL"; one with a ! behind its name is required. Parameters of the path are taken from the pattern.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/schema.h"
#include "http/router.h"

namespace penstock::http {

struct OpenApiOptions {
  std::string title;
  std::string version;
  std::string description;
  // Routes below these are other names of the routes that have the rest of their path, and are left out.
  std::vector<std::string> alias_prefixes;
  // The type of errors by path prefix; the longest wins. "" is that of all others.
  std::map<std::string, std::string, std::less<>> errors;
  // What parameters mean, by their names.
  std::map<std::string, std::string, std::less<>> parameters;
};

// Throws Internal where a route names a type that is not among the schemas.
json::object openapi_document(const Router& router, Schemas schemas, const OpenApiOptions& options);

}  // namespace penstock::http
