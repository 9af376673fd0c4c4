#include "http/openapi.h"

#include <doctest/doctest.h>

using namespace penstock;
using namespace penstock::http;

namespace {

Async<Response> nothing(Request&) { co_return Response(); }

}  // namespace

TEST_CASE("the document says of each route what it was registered with") {
  Router router;
  router.add(Method::Get, "/apis/x/v1/things", nothing,
             {.summary = "Lists things.", .query = "size! int32, view A|B", .response = "Things"});
  router.add(Method::Post, "/apis/x/v1/things/{id}:mark", nothing, {.summary = "Marks.", .request = "Thing?"});
  router.add(Method::Get, "/files/{path*}", nothing);
  router.add(Method::Get, "/also/apis/x/v1/things", nothing);
  router.add(Method::Get, "/also/nothing", nothing);
  Schemas schemas;
  schemas.add("Thing", {{"id!", "string"}});
  schemas.add("Things", {{"things", "[Thing]"}});
  const OpenApiOptions options{.title = "T",
                               .version = "1",
                               .description = "",
                               .alias_prefixes = {"/also"},
                               .errors = {{"", ""}, {"/apis/", "Thing"}},
                               .parameters = {{"size", "How many."}}};
  const json::object document = openapi_document(router, schemas, options);
  const json::object& paths = document.at("paths").as_object();
  CHECK(paths.size() == 4);
  CHECK(paths.contains("/also/nothing"));
  const json::value& list = paths.at("/apis/x/v1/things").at("get");
  CHECK(list.at("operationId") == "get_apis_x_v1_things");
  CHECK(to_text(list.at("tags")) == R"(["x v1"])");
  CHECK(to_text(list.at("parameters")) ==
        R"([{"name":"size","in":"query","schema":{"type":"integer","format":"int32"},"description":"How many.",)"
        R"("required":true},{"name":"view","in":"query","schema":{"type":"string","enum":["A","B"]}}])");
  const auto schema_of = [](const json::value& response) {
    return to_text(response.at("content").at("application/json").at("schema"));
  };
  CHECK(schema_of(list.at("responses").at("200")) == R"({"$ref":"#/components/schemas/Things"})");
  CHECK(schema_of(list.at("responses").at("default")) == R"({"$ref":"#/components/schemas/Thing"})");
  const json::value& mark = paths.at("/apis/x/v1/things/{id}:mark").at("post");
  CHECK(mark.at("requestBody").at("required") == false);
  CHECK(mark.at("parameters").at(0).at("name") == "id");
  CHECK(mark.at("parameters").at(0).at("required") == true);
  const json::value& file = paths.at("/files/{path}").at("get");
  CHECK(!file.as_object().contains("summary"));
  CHECK(!file.at("responses").at("default").as_object().contains("content"));
}

TEST_CASE("a route that names an unknown type, or a parameter without one, is a bug that is told") {
  for (const RouteDoc& doc :
       {RouteDoc{.summary = "x", .response = "Nothing"}, RouteDoc{.summary = "x", .query = "a"}}) {
    Router router;
    router.add(Method::Get, "/x", nothing, doc);
    CHECK_THROWS_AS(openapi_document(router, Schemas(), OpenApiOptions()), Error);
  }
}
