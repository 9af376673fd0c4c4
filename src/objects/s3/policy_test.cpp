#include "objects/s3/policy.h"

#include <doctest/doctest.h>

#include "objects/s3_error.h"

namespace penstock::objects {

namespace {

Verdict ask(std::string_view policy, PolicyRequest request) {
  return evaluate_policy(read_policy(policy, "b"), request);
}

PolicyRequest request_of(std::string action, std::string key = "k", std::string who = "alice") {
  PolicyRequest request;
  request.principal = who;
  request.action = action;
  request.resource = key.empty() ? "arn:aws:s3:::b" : "arn:aws:s3:::b/" + key;
  return request;
}

}  // namespace

TEST_CASE("wildcards") {
  CHECK(matches_wildcard("*", ""));
  CHECK(matches_wildcard("a*c", "abbc"));
  CHECK(matches_wildcard("a?c", "abc"));
  CHECK_FALSE(matches_wildcard("a?c", "ac"));
  CHECK(matches_wildcard("*/x/*", "a/b/x/y"));
  CHECK_FALSE(matches_wildcard("", "a"));
}

TEST_CASE("statements by principal, action and resource; a deny wins") {
  const auto policy = R"({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::alice:root", "arn:aws:iam:::user/bob"]},
     "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"},
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/secret/*"}]})";
  CHECK(ask(policy, request_of("s3:GetObject")) == Verdict::Allow);
  CHECK(ask(policy, request_of("s3:PutObject")) == Verdict::None);
  CHECK(ask(policy, request_of("s3:GetObject", "secret/x")) == Verdict::Deny);
  CHECK(ask(policy, request_of("s3:GetObject", "k", "")) == Verdict::None);
  CHECK(ask(policy, request_of("s3:GetObject", "k", "carol")) == Verdict::None);
  auto bob = request_of("s3:GetObject", "k", "id-of-bob");
  bob.names = {"bob"};
  CHECK(ask(policy, bob) == Verdict::Allow);
}

TEST_CASE("conditions") {
  const auto with = [](std::string condition, std::map<std::string, std::vector<std::string>, std::less<>> context) {
    auto request = request_of("s3:GetObject");
    request.context = std::move(context);
    return ask(R"({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
      "Resource": "arn:aws:s3:::b/*", "Condition": )" +
                   condition + "}}",
               request) == Verdict::Allow;
  };
  CHECK(with(R"({"StringEquals": {"s3:prefix": ["a", "b"]}})", {{"s3:prefix", {"b"}}}));
  CHECK_FALSE(with(R"({"StringEquals": {"s3:prefix": "a"}})", {}));
  CHECK(with(R"({"StringEqualsIfExists": {"s3:prefix": "a"}})", {}));
  CHECK(with(R"({"StringNotEquals": {"s3:prefix": "a"}})", {}));
  CHECK_FALSE(with(R"({"StringNotEquals": {"s3:prefix": "a"}})", {{"s3:prefix", {"a"}}}));
  CHECK(with(R"({"StringLike": {"aws:Referer": "http://*.example.org/*"}})",
             {{"aws:referer", {"http://x.example.org/y"}}}));
  CHECK(with(R"({"Null": {"s3:x-amz-acl": true}})", {}));
  CHECK_FALSE(with(R"({"Null": {"s3:x-amz-acl": "false"}})", {}));
  CHECK(with(R"({"NumericLessThanEquals": {"s3:max-keys": "10"}})", {{"s3:max-keys", {"10"}}}));
  CHECK(with(R"({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})", {{"aws:sourceip", {"10.1.2.3"}}}));
  CHECK_FALSE(with(R"({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})", {{"aws:sourceip", {"11.1.2.3"}}}));
  CHECK(with(R"({"Bool": {"aws:SecureTransport": false}})", {{"aws:securetransport", {"false"}}}));
  CHECK(with(R"({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}})",
             {{"aws:currenttime", {"2021-01-01T00:00:00Z"}}}));
  CHECK(with(R"({"ForAllValues:StringLike": {"s3:RequestObjectTagKeys": ["a", "b"]}})",
             {{"s3:requestobjecttagkeys", {"a"}}}));
  CHECK_FALSE(with(R"({"ForAllValues:StringLike": {"s3:RequestObjectTagKeys": ["a"]}})",
                   {{"s3:requestobjecttagkeys", {"a", "c"}}}));
}

TEST_CASE("malformed policies are refused") {
  for (
      const char* bad :
      {"", "{", "[]", "{}", R"({"Statement": []})", R"({"Version": "2000", "Statement": []})",
       R"({"Statement": [{"Effect": "Perhaps", "Principal": "*", "Action": "s3:*", "Resource": "*"}]})",
       R"({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})",
       R"({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::other/*"}]})",
       R"({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"Sounds": {}}}]})"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read_policy(bad, "b"), S3Error);
  }
}

TEST_CASE("public policies") {
  const auto open = [](std::string statement) {
    return is_public_policy(read_policy(R"({"Statement": [)" + statement + "]}", "b"));
  };
  CHECK(open(R"({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"})"));
  CHECK_FALSE(open(R"({"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"})"));
  CHECK_FALSE(open(R"({"Effect": "Allow", "Principal": {"AWS": "alice"}, "Action": "s3:GetObject", "Resource": "*"})"));
  CHECK_FALSE(open(R"({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*",
                       "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}})"));
}

}  // namespace penstock::objects
