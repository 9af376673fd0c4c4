// May the caller do something with the viewers of a namespace? Everybody may everything where nobody logs in.
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

namespace {

// The number or the name of one of `names`, whose first is "not set". InvalidArgument.
void check_enum(const Request& request, std::string_view name, std::span<const std::string_view> names) {
  const std::string value = request.query_or(name, "");
  for (size_t i = 1; i < names.size(); ++i) {
    if (value == names[i] || value == std::to_string(i)) return;
  }
  std::string known;
  for (const std::string_view one : names.subspan(1)) known += fmt::format("{}{}", known.empty() ? "" : ", ", one);
  throw Error(Code::InvalidArgument, fmt::format("{} is {:?}; expected one of {}", name, value, known),
              std::string(name));
}

Async<Response> authorize(const ApiContext&, Request& request) {
  constexpr std::string_view kResources[] = {"UNASSIGNED_RESOURCES", "VIEWERS"};
  constexpr std::string_view kVerbs[] = {"UNASSIGNED_VERB", "CREATE", "GET", "DELETE"};
  if (request.query_or("namespace", "").empty()) {
    throw Error(Code::InvalidArgument, "namespace: it is required and missing", "namespace");
  }
  check_enum(request, "resources", kResources);
  check_enum(request, "verb", kVerbs);
  co_return empty_reply();
}

}  // namespace

void add_auth_routes(Routes& routes) {
  routes.add(Method::Get, "/auth", authorize);
  routes.add_v1(Method::Get, "/auth", authorize);
}

}  // namespace penstock::pipelines::api
