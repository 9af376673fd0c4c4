#include "http/guard.h"

#include <doctest/doctest.h>

using namespace penstock;
using namespace penstock::http;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

bool passes(const Guard& guard, Method method, Headers headers, std::string path = "/apis/v2beta1/runs") {
  Request request;
  request.method = method;
  request.path = std::move(path);
  request.headers = std::move(headers);
  try {
    guard.check(request);
    return true;
  } catch (const Error& error) {
    CHECK(error.code() == Code::PermissionDenied);
    return false;
  }
}

Headers from(std::string host, std::string origin, std::string site = {}) {
  Headers headers{{"host", std::move(host)}};
  if (!origin.empty()) headers.emplace_back("origin", std::move(origin));
  if (!site.empty()) headers.emplace_back("sec-fetch-site", std::move(site));
  return headers;
}

}  // namespace

TEST_CASE("the names of Host headers") {
  CHECK(host_name("LocalHost:8080") == "localhost");
  CHECK(host_name("localhost.") == "localhost");
  CHECK(host_name("[::1]:8080") == "::1");
  CHECK(host_name("[::1") == "");
  CHECK(host_name("") == "");
}

TEST_CASE("foreign names of the server are refused, also for reading") {
  const Guard guard({.check_host = true, .hosts = {"penstock.example"}, .exempt = {"/s3"}});
  for (const char* host : {"localhost:8080", "bucket.localhost", "127.0.0.1:1", "[::1]:8080", "10.1.2.3", "",
                           "penstock.example:80", "PENSTOCK.example"}) {
    CAPTURE(host);
    CHECK(passes(guard, Method::Get, from(host, "")));
  }
  for (const char* host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "[evil]", "penstock.example.evil"}) {
    CAPTURE(host);
    CHECK(!passes(guard, Method::Get, from(host, "")));
    CHECK(passes(guard, Method::Get, from(host, ""), "/s3/bucket/key"));
    CHECK(!passes(guard, Method::Get, from(host, ""), "/s3x"));
  }
  CHECK(passes(Guard({.check_host = false, .hosts = {}, .exempt = {}}), Method::Get, from("any.example", "")));
}

TEST_CASE("pages of other sites change nothing") {
  const Guard guard({.check_host = true, .hosts = {"trusted.example"}, .exempt = {}});
  const std::string host = "127.0.0.1:8080";
  for (const auto method : {Method::Post, Method::Put, Method::Patch, Method::Delete}) {
    CHECK(passes(guard, method, from(host, "")));  // a program
    CHECK(passes(guard, method, from(host, "http://127.0.0.1:8080")));
    CHECK(passes(guard, method, from(host, "http://127.0.0.1:8080", "same-origin")));
    CHECK(passes(guard, method, from(host, "https://trusted.example", "cross-site")));
    CHECK(!passes(guard, method, from(host, "http://evil.example")));
    CHECK(!passes(guard, method, from(host, "http://evil.example", "cross-site")));
    CHECK(!passes(guard, method, from(host, "http://127.0.0.1:9999")));  // another port: another program
    CHECK(!passes(guard, method, from(host, "http://127.0.0.1:9999", "same-site")));
    CHECK(!passes(guard, method, from(host, "null")));
    CHECK(!passes(guard, method, from(host, "null", "cross-site")));
    CHECK(!passes(guard, method, from(host, "", "cross-site")));
    CHECK(!passes(guard, method, from(host, "ftp://127.0.0.1:8080")));
  }
  CHECK(passes(guard, Method::Post, from("localhost", "http://localhost:80")));
  CHECK(passes(guard, Method::Get, from(host, "http://evil.example", "cross-site")));  // it cannot read the answer
}
