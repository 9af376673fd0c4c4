#include "http/url.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace penstock::http {

TEST_CASE("addresses of the public internet") {
  for (const char* address : {"8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"}) {
    CAPTURE(address);
    CHECK(is_public_address(address));
  }
  for (const char* address : {"127.0.0.1",       "10.1.2.3",      "172.16.0.1",
                              "172.31.255.255",  "192.168.1.1",   "169.254.169.254",
                              "100.64.0.1",      "0.0.0.0",       "224.0.0.1",
                              "255.255.255.255", "::1",           "::",
                              "fe80::1%eth0",    "fd00::1",       "::ffff:127.0.0.1",
                              "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1",
                              "2001:db8::1",     "nonsense",      ""}) {
    CAPTURE(address);
    CHECK_FALSE(is_public_address(address));
  }
}

TEST_CASE("the parts of a URL") {
  const Url url = parse_url("HTTPS://Host.example:8443/a/b%20c?x=1&y=2#part");
  CHECK(url.scheme == "https");
  CHECK(url.host == "host.example");
  CHECK(url.port == "8443");
  CHECK(url.path == "/a/b%20c");
  CHECK(url.query == "x=1&y=2");
  CHECK(parse_url("http://[2001:db8::1]:80/p").host == "2001:db8::1");
  CHECK(parse_url("http://[::1]").port.empty());
  CHECK(parse_url("s3://bucket").path.empty());
  for (const char* wrong : {"", "host/path", "http://", "http:///p", "http://user@host/", "http://[::1/"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_url(wrong), Error);
  }
}

TEST_CASE("what a message shows of a URL") {
  CHECK(redacted("https://user:word@host/p?token=1#f") == "https://host/p");
  CHECK(redacted("https://host/a@b") == "https://host/a@b");
  CHECK(redacted("no url?x") == "no url");
}

}  // namespace penstock::http
