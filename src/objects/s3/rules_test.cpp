// The pure parts that read documents and decide by them: conditions, ranges, CORS, lifecycle, locks, lists of access,
// tags, keys.
#include <doctest/doctest.h>

#include "objects/s3/acl.h"
#include "objects/s3/call.h"
#include "objects/s3/conditions.h"
#include "objects/s3/cors.h"
#include "objects/s3/lifecycle.h"
#include "objects/s3/lock.h"
#include "objects/s3/post_form.h"
#include "objects/s3/tags.h"

namespace penstock::objects {

namespace {

const Time kNow = *parse_time("2026-03-10T12:00:00Z");

template <class Call>
std::string code_of(Call call) {
  try {
    call();
  } catch (const S3Error& error) {
    return error.s3_code();
  }
  return "good";
}

http::Request with(std::vector<std::pair<std::string, std::string>> headers) {
  http::Request request;
  request.headers = std::move(headers);
  return request;
}

Object object_of(std::string key, Time modified = kNow) {
  Object object;
  object.key = std::move(key);
  object.etag = "abc";
  object.modified = modified;
  object.size = 100;
  return object;
}

}  // namespace

TEST_CASE("ranges") {
  const auto range = [](std::string_view text, uint64_t size) {
    const auto got = read_range(text, size);
    return got ? fmt::format("{}+{}", got->first, got->length) : std::string("all");
  };
  CHECK(range("bytes=0-9", 100) == "0+10");
  CHECK(range("bytes=90-200", 100) == "90+10");
  CHECK(range("bytes=90-", 100) == "90+10");
  CHECK(range("bytes=-10", 100) == "90+10");
  CHECK(range("bytes=-200", 100) == "0+100");
  for (const char* whole : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=9-0", "lines=0-1", "bytes=0-1,3-4"}) {
    CAPTURE(whole);
    CHECK(range(whole, 100) == "all");
  }
  CHECK(code_of([] { read_range("bytes=100-", 100); }) == "InvalidRange");
  CHECK(code_of([] { read_range("bytes=-0", 100); }) == "InvalidRange");
  CHECK(code_of([] { read_range("bytes=0-", 0); }) == "InvalidRange");
}

TEST_CASE("conditions of reading") {
  const Object object = object_of("k");
  const std::string before = "Tue, 10 Mar 2026 11:00:00 GMT", same = "Tue, 10 Mar 2026 12:00:00 GMT";
  CHECK(check_read(with({}), object) == Condition::Holds);
  CHECK(check_read(with({{"if-match", "\"abc\""}}), object) == Condition::Holds);
  CHECK(check_read(with({{"if-match", "abc"}}), object) == Condition::Holds);
  CHECK(check_read(with({{"if-match", "\"x\", \"abc\""}}), object) == Condition::Holds);
  CHECK(check_read(with({{"if-match", "\"x\""}}), object) == Condition::Failed);
  CHECK(check_read(with({{"if-none-match", "*"}}), object) == Condition::NotModified);
  CHECK(check_read(with({{"if-modified-since", same}}), object) == Condition::NotModified);
  CHECK(check_read(with({{"if-modified-since", before}}), object) == Condition::Holds);
  CHECK(check_read(with({{"if-unmodified-since", before}}), object) == Condition::Failed);
  CHECK(check_read(with({{"if-unmodified-since", before}, {"if-match", "abc"}}), object) == Condition::Holds);
  CHECK(check_read(with({{"if-modified-since", same}, {"if-none-match", "x"}}), object) == Condition::Holds);
}

TEST_CASE("lifecycle: what goes, and when") {
  const auto rules = [](std::string inside) {
    return read_lifecycle("<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>" + inside +
                          "</Rule></LifecycleConfiguration>");
  };
  const auto days = rules("<Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>2</Days></Expiration>");
  CHECK(expiry_of(days, object_of("tmp/k"))->at == *parse_time("2026-03-13T00:00:00Z"));
  CHECK_FALSE(expiry_of(days, object_of("other")));
  CHECK(expired_of(days, {object_of("tmp/k")}, false, kNow + std::chrono::days(1)).empty());
  const auto gone = expired_of(days, {object_of("tmp/k")}, false, kNow + std::chrono::days(3));
  REQUIRE(gone.size() == 1);
  CHECK(gone[0].current);
  const auto tagged =
      rules("<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter><Expiration><Days>1</Days></Expiration>");
  Object object = object_of("k");
  CHECK_FALSE(expiry_of(tagged, object));
  object.meta["tags"] = json::object{{"a", "b"}};
  CHECK(expiry_of(tagged, object));
  const auto large = rules(
      "<Filter><ObjectSizeGreaterThan>100</ObjectSizeGreaterThan></Filter><Expiration><Days>1</Days></Expiration>");
  CHECK_FALSE(expiry_of(large, object_of("k")));
  const auto old = rules(
      "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1"
      "</NewerNoncurrentVersions></NoncurrentVersionExpiration>");
  std::vector<Object> states{object_of("k"), object_of("k"), object_of("k")};
  for (size_t i = 0; i < 3; ++i) states[i].version = std::to_string(i);
  const auto late = expired_of(old, states, true, kNow + std::chrono::days(5));
  REQUIRE(late.size() == 1);
  CHECK(late[0].version == "2");
  CHECK(expired_of(old, states, false, kNow + std::chrono::days(5)).empty());
  const auto markers =
      rules("<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>");
  Object marker = object_of("k");
  marker.marker = true;
  CHECK(expired_of(markers, {marker}, true, kNow).size() == 1);
  CHECK(expired_of(markers, {marker, object_of("k")}, true, kNow).empty());
  const auto uploads = rules(
      "<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></"
      "AbortIncompleteMultipartUpload>");
  CHECK_FALSE(upload_expired(uploads, {"u", "k", kNow, {}}, kNow + std::chrono::hours(20)));
  CHECK(upload_expired(uploads, {"u", "k", kNow, {}}, kNow + std::chrono::days(3)));
  const auto xml = lifecycle_to_xml(days);
  CHECK(read_lifecycle(xml) == days);
}

TEST_CASE("lifecycle: what is refused") {
  const auto code = [](std::string rule) {
    return code_of([&] { read_lifecycle("<LifecycleConfiguration>" + rule + "</LifecycleConfiguration>"); });
  };
  CHECK(code("") == "MalformedXML");
  CHECK(code("<Rule><Status>Enabled</Status><Filter/><Expiration><Days>0</Days></Expiration></Rule>") ==
        "InvalidArgument");
  CHECK(code("<Rule><Status>enabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>") ==
        "MalformedXML");
  CHECK(code("<Rule><Status>Enabled</Status><Filter/></Rule>") == "InvalidRequest");
  CHECK(code("<Rule><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>") == "MalformedXML");
  const std::string rule =
      "<Rule><ID>x</ID><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>";
  CHECK(code(rule) == "good");
  CHECK(code(rule + rule) == "InvalidArgument");
  CHECK(code("<Rule><ID>" + std::string(256, 'x') + rule.substr(11)) == "InvalidArgument");
}

TEST_CASE("CORS") {
  const auto cors = read_cors(
      "<CORSConfiguration><CORSRule><AllowedOrigin>http://*.org</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
      "<AllowedHeader>X-Amz-*</AllowedHeader></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin>"
      "<AllowedMethod>PUT</AllowedMethod></CORSRule></CORSConfiguration>");
  CHECK(cors_headers(cors, "http://a.org", "GET", std::nullopt));
  CHECK_FALSE(cors_headers(cors, "http://a.com", "GET", std::nullopt));
  CHECK(cors_headers(cors, "http://a.org", "GET", "x-amz-date, X-Amz-Acl"));
  CHECK_FALSE(cors_headers(cors, "http://a.org", "GET", "x-amz-date, other"));
  CHECK(cors_headers(cors, "http://a.com", "PUT", std::nullopt)->at(0).second == "*");
  CHECK(read_cors(cors_to_xml(cors)) == cors);
  CHECK(code_of([] { read_cors("<CORSConfiguration/>"); }) == "MalformedXML");
}

TEST_CASE("locks") {
  Object object = object_of("k");
  object.meta["retention"] = read_retention("GOVERNANCE", "2026-03-20T00:00:00Z", kNow);
  CHECK(code_of([&] { check_unlocked(object, kNow, false); }) == "AccessDenied");
  CHECK(code_of([&] { check_unlocked(object, kNow, true); }) == "good");
  CHECK(code_of([&] { check_unlocked(object, kNow + std::chrono::days(30), false); }) == "good");
  const auto longer = read_retention("GOVERNANCE", "2026-03-21T00:00:00Z", kNow);
  const auto shorter = read_retention("GOVERNANCE", "2026-03-19T00:00:00Z", kNow);
  const auto strict = read_retention("COMPLIANCE", "2026-03-21T00:00:00Z", kNow);
  CHECK(code_of([&] { check_retention_change(object.meta, longer, kNow, false); }) == "good");
  CHECK(code_of([&] { check_retention_change(object.meta, shorter, kNow, false); }) == "AccessDenied");
  CHECK(code_of([&] { check_retention_change(object.meta, shorter, kNow, true); }) == "good");
  CHECK(code_of([&] { check_retention_change(object.meta, strict, kNow, false); }) == "AccessDenied");
  CHECK(code_of([&] { check_retention_change(object.meta, strict, kNow, true); }) == "good");
  object.meta["retention"] = strict;
  CHECK(code_of([&] { check_unlocked(object, kNow, true); }) == "AccessDenied");
  CHECK(code_of([&] { check_retention_change(object.meta, longer, kNow, true); }) == "AccessDenied");
  object.meta.erase("retention");
  object.meta["hold"] = "ON";
  CHECK(code_of([&] { check_unlocked(object, kNow, true); }) == "AccessDenied");
  CHECK(code_of([] { read_retention("governance", "2026-03-20T00:00:00Z", kNow); }) == "MalformedXML");
  CHECK(code_of([] { read_retention("GOVERNANCE", "2026-03-01T00:00:00Z", kNow); }) == "InvalidArgument");
}

TEST_CASE("lists of access") {
  const Keys keys(AccessKey{"key", "secret", {"me", "Me", "me@example.org"}, {}});
  const auto open = canned_acl("public-read", "me", "me");
  CHECK(acl_grants(open, "", "READ", false));
  CHECK_FALSE(acl_grants(open, "", "READ", true));
  CHECK_FALSE(acl_grants(open, "", "WRITE", false));
  CHECK(acl_grants(open, "me", "WRITE", false));
  CHECK(is_public_acl(open));
  // Read back, the group stands first.
  const json::object back = acl_of_xml(acl_to_xml(open, keys), "me", keys);
  json::array turned = open.at("grants").as_array();
  std::reverse(turned.begin(), turned.end());
  CHECK(back.at("grants") == json::value(turned));
  CHECK(acl_to_xml(back, keys) == acl_to_xml(open, keys));
  const auto none = json::object{{"owner", "me"}, {"grants", json::array{}}};
  CHECK_FALSE(acl_grants(none, "me", "READ", false));
  CHECK(acl_grants(none, "me", "WRITE_ACP", false));
  CHECK(code_of([] { canned_acl("nothing", "me", "me"); }) == "InvalidArgument");
  CHECK(acl_of_headers(with({{"x-amz-grant-read", "id=\"me\", emailAddress=me@example.org"}}), "me", "me", keys)
            ->at("grants")
            .as_array()
            .size() == 2);
  CHECK(code_of([&] {
          acl_of_headers(with({{"x-amz-grant-read", "emailAddress=x"}}), "me", "me", keys);
        }) == "UnresolvableGrantByEmailAddress");
  CHECK(code_of([&] {
          acl_of_headers(with({{"x-amz-grant-read", "id=you"}}), "me", "me", keys);
        }) == "InvalidArgument");
}

TEST_CASE("tags") {
  CHECK(tags_of_query("a=1&b=x%20y") == json::object{{"a", "1"}, {"b", "x y"}});
  CHECK(tags_of_xml(tags_to_xml({{"a", "<"}}), kObjectTags) == json::object{{"a", "<"}});
  CHECK(code_of([] { tags_of_query("a=1&a=2"); }) == "InvalidTag");
  CHECK(code_of([] { tags_of_query(std::string(129, 'x') + "=1"); }) == "InvalidTag");
  CHECK(code_of([] { tags_of_xml("<Tagging/>", 10); }) == "MalformedXML");
}

TEST_CASE("forms, in pieces of any size") {
  const std::string text =
      "--B\r\nContent-Disposition: form-data; name=\"Key\"\r\n\r\na/${filename}\r\n"
      "--B\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
      "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\n"
      "data\r\n--Bdata\r\n--B--\r\n";
  for (size_t step = 1; step <= text.size(); step += step < 20 ? 1 : 31) {
    CAPTURE(step);
    FormReader form("multipart/form-data; boundary=\"B\"");
    std::string file;
    for (size_t at = 0; at < text.size(); at += step) {
      form.feed(std::string_view(text).substr(at, step), [&](std::string_view bytes) { file += bytes; });
    }
    form.finish();
    CHECK(form.fields().find("key")->second == "a/${filename}");
    CHECK(form.fields().find("empty")->second.empty());
    CHECK(form.file_name() == "f.txt");
    CHECK(file == "data");
  }
  CHECK(code_of([] { FormReader form("text/plain"); }) == "MalformedPOSTRequest");
  CHECK(code_of([] {
          FormReader form("multipart/form-data; boundary=B");
          for (int i = 0; i < 1'000; ++i) {
            form.feed(fmt::format("--B\r\nContent-Disposition: form-data; name=\"f{}\"\r\n\r\n{}\r\n", i,
                                  std::string(100, 'x')),
                      [](std::string_view) {});
          }
        }) == "MaxMessageLengthExceeded");
}

TEST_CASE("policies of forms") {
  const std::map<std::string, std::string, std::less<>> fields{{"key", "up/x"}, {"acl", "private"}, {"policy", "…"}};
  const auto check = [&](std::string conditions, std::string expiration = "2026-03-11T00:00:00Z") {
    return code_of([&] {
      check_form_policy(fmt::format(R"({{"expiration": "{}", "conditions": {}}})", expiration, conditions), fields, "b",
                        kNow);
    });
  };
  const std::string good = R"([{"bucket": "b"}, ["starts-with", "$key", "up/"], ["eq", "$acl", "private"]])";
  CHECK(check(good) == "good");
  CHECK(check(good, "2026-03-09T00:00:00Z") == "AccessDenied");
  CHECK(check(R"([{"bucket": "c"}, ["starts-with", "$key", ""], {"acl": "private"}])") == "AccessDenied");
  CHECK(check(R"([{"bucket": "b"}, ["starts-with", "$key", "up/"]])") == "AccessDenied");
  CHECK(check(R"([["content-length-range", 0]])") == "InvalidPolicyDocument");
  CHECK(check(R"([["content-length-range", -1, 5]])") == "InvalidPolicyDocument");
  CHECK(check(R"([{}])") == "InvalidPolicyDocument");
  CHECK(check(R"({})") == "InvalidPolicyDocument");
}

TEST_CASE("keys files") {
  const Account root{"root", "Root", ""};
  const auto code = [&](std::string_view text) {
    try {
      return std::to_string(read_keys(parse_json(text), "f", root).size());
    } catch (const Error& error) {
      return error.message();
    }
  };
  CHECK(
      code(
          R"({"keys": [{"access_key": "abc", "secret_key": "12345678", "scopes": [{"bucket": "b", "access": "read"}]}]})") ==
      "1");
  CHECK(code(R"({"keys": [{"access_key": "abc", "secret_key": "short"}]})").find("secret_key") != std::string::npos);
  CHECK(
      code(R"({"keys": [{"access_key": "abc", "secret_key": "12345678", "scopes": [{"bucket": "b", "access": "x"}]}]})")
          .find("scopes[0]") != std::string::npos);
  CHECK(code(R"({"keys": [{"key": "abc"}]})").find("unknown key") != std::string::npos);
  CHECK(code("[]").find("keys") != std::string::npos);
}

}  // namespace penstock::objects
