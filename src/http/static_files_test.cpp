#include "http/static_files.h"

#include <array>

#include <doctest/doctest.h>

using namespace penstock;
using namespace penstock::http;

namespace {

constexpr std::array<StaticFile, 3> kFiles = {{
    {"/index.html", "text/html; charset=utf-8", "aa", false, "<page>", "gz-page", ""},
    {"/assets/app-12345678.js", "text/javascript; charset=utf-8", "bb", true, "script", "gz-script", "br-script"},
    {"/logo.png", "image/png", "cc", false, "png", "", ""},
}};

const StaticFiles& site() {
  static const StaticFiles kSite(kFiles, {.headers = {{"X-Extra", "yes"}}, .foreign = {"/apis"}});
  return kSite;
}

std::optional<Response> get(std::string path, std::vector<std::pair<std::string, std::string>> headers = {}) {
  Request request;
  request.path = std::move(path);
  request.headers = std::move(headers);
  return site().find(request);
}

std::string header(const std::optional<Response>& response, std::string_view name) {
  REQUIRE(response);
  for (const auto& [key, value] : response->headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

TEST_CASE("a file comes in the smallest form that the client takes") {
  const std::string path = "/assets/app-12345678.js";
  CHECK(get(path)->fixed == "script");
  CHECK(header(get(path), "ETag") == "\"bb\"");
  CHECK(header(get(path), "Content-Encoding") == "");
  CHECK(get(path, {{"accept-encoding", "gzip, deflate, br"}})->fixed == "br-script");
  CHECK(get(path, {{"accept-encoding", "gzip"}})->fixed == "gz-script");
  CHECK(get(path, {{"accept-encoding", "br;q=0, gzip;q=0.5"}})->fixed == "gz-script");
  CHECK(get(path, {{"accept-encoding", "gzip;q=0.0"}})->fixed == "script");
  CHECK(get("/logo.png", {{"accept-encoding", "gzip, br"}})->fixed == "png");
  const auto compressed = get(path, {{"accept-encoding", "br"}});
  CHECK(header(compressed, "ETag") == "\"bb-br\"");
  CHECK(header(compressed, "Content-Encoding") == "br");
  CHECK(header(compressed, "Vary") == "Accept-Encoding");
  CHECK(header(compressed, "Cache-Control").find("immutable") != std::string::npos);
  CHECK(header(compressed, "X-Extra") == "yes");
  CHECK(header(get("/"), "Cache-Control") == "no-cache");
}

TEST_CASE("what the client has is not sent again") {
  for (const char* known : {"\"aa\"", "W/\"aa\"", "\"x\", \"aa\"", "*"}) {
    CAPTURE(known);
    const auto answer = get("/", {{"if-none-match", known}});
    CHECK(answer->status == 304);
    CHECK(answer->fixed.empty());
    CHECK(header(answer, "ETag") == "\"aa\"");
  }
  CHECK(get("/", {{"if-none-match", "\"aa-gzip\""}})->status == 200);  // another form of it
}

TEST_CASE("a person's navigation gets the page, everything else what is there") {
  const std::pair<std::string, std::string> person{"accept", "text/html,application/xhtml+xml"};
  CHECK(get("/runs/12", {person})->fixed == "<page>");
  CHECK(get("/apisomething", {person})->fixed == "<page>");
  CHECK(!get("/runs/12"));
  CHECK(!get("/runs/12", {{"accept", "application/json"}}));
  CHECK(!get("/apis/nothing", {person}));
  CHECK(!get("/apis", {person}));
  CHECK(!get("/assets/app-old.js", {person}));
  CHECK(!get("/../etc/passwd"));
}
