// What the files of the registry's API share. Private to this folder.
#pragma once

#include "registry/api.h"

namespace penstock::registry {

constexpr size_t kMaxBody = 8 << 20;

Async<json::value> read_json(http::Request& request);  // ResourceExhausted past kMaxBody, InvalidArgument
int64_t path_id(const http::Request& request, std::string_view name = "id");
// pageSize, nextPageToken, orderBy, sortOrder, filterQuery. InvalidArgument.
ListRequest list_request(const http::Request& request);
http::Response page_response(const Page& page);

void add_own_routes(http::Router& router, Store& store, Sources& sources);

}  // namespace penstock::registry
