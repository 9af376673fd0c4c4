#include "stores/settings.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace penstock::stores {

namespace {

std::optional<Access> access(const std::string& yaml, const std::string& uri) {
  return find_access(parse_yaml(yaml)[0], parse_store_uri(uri));
}

constexpr const char* kProviders = R"(
s3:
  default:
    endpoint: s3.amazonaws.com
    region: us-east-1
    disableSSL: false
    credentials: {fromEnv: false, secretRef: {secretName: main, accessKeyKey: a, secretKeyKey: s}}
  overrides:
    - bucketName: models
      keyPrefix: some/path
      endpoint: store.example:9000
      disableSSL: true
      forcePathStyle: false
      maxRetries: 2
      credentials: {secretRef: {secretName: own, accessKeyKey: a2, secretKeyKey: s2, sessionTokenKey: t}}
    - bucketName: models
      credentials: {fromEnv: true}
minio:
  Overrides: []
  default: {endpoint: "http://minio.example", region: minio, credentials: {fromEnv: true}}
gs:
  default: {credentials: {secretRef: {secretName: g, tokenKey: key.json}}}
)";

}  // namespace

TEST_CASE("the parts of a store's URI") {
  const StoreUri s3 = parse_store_uri("s3://bucket/a/b?endpoint=host:9000");
  CHECK(s3.scheme == "s3");
  CHECK(s3.bucket == "bucket");
  CHECK(s3.key == "a/b");
  CHECK(s3.query == "endpoint=host:9000");
  CHECK(parse_store_uri("gs://bucket").key.empty());
  CHECK(parse_store_uri("https://host:1/p?x=1").query.empty());
  CHECK(parse_store_uri("file:///a/b").key == "a/b");
  for (const char* wrong : {"", "x", "ftp://h/x", "s3://", "s3:///x", "file://host/x", "file:///", "S3://b/x"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_store_uri(wrong), Error);
  }
}

TEST_CASE("the settings that a pipeline root carries are those of what is below it") {
  CHECK(without_query("s3://b/root/?region=x") == "s3://b/root");
  CHECK(without_query("minio://b/root") == "minio://b/root");
  CHECK(query_for("s3://b/root/a", "s3://b/root?region=x") == "region=x");
  CHECK(query_for("s3://b/root", "s3://b/root/?region=x") == "region=x");
  CHECK(query_for("s3://b/rooted/a", "s3://b/root?region=x").empty());
  CHECK(query_for("s3://b/root/a?region=y", "s3://b/root?region=x") == "region=y");
}

TEST_CASE("the default and the first override that matches") {
  const auto main = access(kProviders, "s3://other/x");
  REQUIRE(main);
  CHECK(main->endpoint.empty());
  CHECK(main->secret == "main");
  CHECK(main->path_style);
  const auto own = access(kProviders, "s3://models/some/path/x");
  CHECK(own->endpoint == "http://store.example:9000");
  CHECK(own->secret == "own");
  CHECK(own->session_token_key == "t");
  CHECK_FALSE(own->path_style);
  CHECK(own->retries == 2);
  const auto rest = access(kProviders, "s3://models/some/pathology/x");
  CHECK(rest->from_env);
  CHECK(rest->secret.empty());
  CHECK(access(kProviders, "minio://b/x")->endpoint == "http://minio.example");
  CHECK(access(kProviders, "gs://b/x")->token_key == "key.json");
  CHECK_FALSE(access("s3: {}", "s3://b/x"));
  CHECK_FALSE(access("other: 1", "s3://b/x"));
}

TEST_CASE("settings that are wrong are named") {
  const std::pair<const char*, const char*> wrong[] = {
      {"s3: {default: {endpoint: x}}", "s3.default has no credentials"},
      {"s3: {default: {credentials: {}}}", "neither fromEnv nor a secretRef"},
      {"s3: {default: {credentials: {secretRef: {accessKeyKey: a}}}}", "without a secretName"},
      {"s3: {overrides: []}", "s3 has no default"},
      {"s3: {default: {disableSSL: maybe, credentials: {fromEnv: true}}}", "disableSSL"},
      {"s3: {default: {credentials: {fromEnv: true}}, overrides: [1]}", "s3.overrides[0]"},
      {"s3: {default: {credentials: {fromEnv: true}}, overrides: [{bucketName: b}]}", "s3.overrides[0] has no"}};
  for (const auto& [yaml, words] : wrong) {
    CAPTURE(yaml);
    std::string message;
    try {
      access(yaml, "s3://b/x");
    } catch (const Error& error) {
      message = error.message();
    }
    CAPTURE(message);
    CHECK(message.find(words) != std::string::npos);
  }
}

TEST_CASE("a URI's query") {
  const Access access = access_of_query("endpoint=host:9000&disableSSL=true&region=eu&s3ForcePathStyle=false");
  CHECK(access.endpoint == "http://host:9000");
  CHECK(access.region == "eu");
  CHECK_FALSE(access.path_style);
  CHECK(access_of_query("endpoint=host").endpoint == "https://host");
  CHECK(access_of_query("anonymous=true").anonymous);
  CHECK_THROWS_AS(access_of_query("colour=red"), Error);
  CHECK_THROWS_AS(access_of_query("disableSSL=perhaps"), Error);
}

TEST_CASE("the names of the store inside a Kubeflow installation") {
  CHECK(is_own_endpoint("minio-service.kubeflow:9000"));
  CHECK(is_own_endpoint("http://seaweedfs.kubeflow.svc.cluster.local:9000"));
  CHECK(is_own_endpoint("minio-service:9000"));
  CHECK_FALSE(is_own_endpoint("minio-service.example.com"));
  CHECK_FALSE(is_own_endpoint("minio.kubeflow:9000"));
  CHECK_FALSE(is_own_endpoint(""));
}

}  // namespace penstock::stores
