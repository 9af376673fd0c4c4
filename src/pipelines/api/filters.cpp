// GET /filters: reads a list's filter and gives it back, so that a client can check what it builds. No filter gives the
// empty one.
#include "db/list_filter.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

Async<Response> get(const ApiContext&, Request& request) {
  const std::string text = request.query_or("filter", "");
  if (text.empty()) co_return empty_reply();
  json::value filter = db::decode_filter(text);
  db::normalise_filter(filter);  // throws what is wrong
  co_return http::json_response(filter);
}

}  // namespace

void add_filter_routes(Routes& routes) { routes.add(Method::Get, "/filters", get); }

}  // namespace penstock::pipelines::api
