#include "objects/s3/signature.h"

#include <doctest/doctest.h>

#include "objects/s3/chunks.h"

namespace penstock::objects {

namespace {

// The key, the time and the signatures of the examples in AWS' documentation of Signature Version 4 for S3.
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const Time kNow = *parse_amz_time("20130524T000000Z");

http::Request request_of(http::Method method, std::string target,
                         std::vector<std::pair<std::string, std::string>> headers) {
  http::Request request;
  request.method = method;
  request.target = std::move(target);
  request.path = request.target.substr(0, request.target.find('?'));
  if (const size_t mark = request.target.find('?'); mark != std::string::npos) {
    request.query = http::parse_query(std::string_view(request.target).substr(mark + 1));
  }
  request.headers = std::move(headers);
  request.headers.emplace_back("host", "examplebucket.s3.amazonaws.com");
  return request;
}

http::Request signed_request(http::Method method, std::string target, std::string names, std::string signature,
                             std::vector<std::pair<std::string, std::string>> headers, std::string_view hash = kEmpty) {
  headers.emplace_back("x-amz-date", "20130524T000000Z");
  headers.emplace_back("x-amz-content-sha256", hash);
  headers.emplace_back("authorization",
                       fmt::format("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                                   "aws4_request,SignedHeaders={},Signature={}",
                                   names, signature));
  return request_of(method, std::move(target), std::move(headers));
}

std::string verdict(const http::Request& request, Time now = kNow) {
  try {
    check_signature(request, read_authorization(request), kSecret, "", now);
  } catch (const S3Error& error) {
    return error.s3_code();
  }
  return "good";
}

}  // namespace

TEST_CASE("the documented examples of header signatures") {
  const std::string plain = "host;x-amz-content-sha256;x-amz-date";
  auto get =
      signed_request(http::Method::Get, "/test.txt", "host;range;x-amz-content-sha256;x-amz-date",
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", {{"range", "bytes=0-9"}});
  CHECK(verdict(get) == "good");
  CHECK(verdict(signed_request(http::Method::Get, "/?lifecycle", plain,
                               "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", {})) == "good");
  CHECK(verdict(signed_request(http::Method::Get, "/?max-keys=2&prefix=J", plain,
                               "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", {})) == "good");
  CHECK(verdict(signed_request(
            http::Method::Put, "/test%24file.text", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")) == "good");
  get.headers[0].second = "bytes=0-99";
  CHECK(verdict(get) == "SignatureDoesNotMatch");
}

TEST_CASE("times of signatures") {
  const auto request = signed_request(http::Method::Get, "/?lifecycle", "host;x-amz-content-sha256;x-amz-date",
                                      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", {});
  CHECK(verdict(request, kNow + std::chrono::minutes(14)) == "good");
  CHECK(verdict(request, kNow + std::chrono::minutes(16)) == "RequestTimeTooSkewed");
  CHECK(verdict(request, kNow - std::chrono::minutes(16)) == "RequestTimeTooSkewed");
}

TEST_CASE("the documented example of a presigned URL") {
  const std::string query =
      "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
      "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
      "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
  CHECK(verdict(request_of(http::Method::Get, query, {})) == "good");
  CHECK(verdict(request_of(http::Method::Get, query, {}), kNow + std::chrono::hours(25)) == "AccessDenied");
  CHECK(verdict(request_of(http::Method::Put, query, {})) == "SignatureDoesNotMatch");
}

TEST_CASE("the documented example of signed chunks") {
  const std::string scope = "20130524/us-east-1/s3/aws4_request";
  const ChunkDecoder::Signing signing{signing_key(kSecret, "20130524", "us-east-1"), "20130524T000000Z", scope,
                                      "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"};
  const std::string body =
      "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" +
      std::string(65536, 'a') +
      "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" +
      std::string(1024, 'a') +
      "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n";
  const auto decode = [&](const std::string& text, size_t step) {
    ChunkDecoder decoder(signing);
    std::string out;
    for (size_t at = 0; at < text.size(); at += step) {
      decoder.feed(std::string_view(text).substr(at, step), [&](std::string_view bytes) { out += bytes; });
    }
    decoder.finish();
    return out;
  };
  for (const size_t step : {size_t{1}, size_t{7}, size_t{1000}, body.size()}) {
    CAPTURE(step);
    CHECK(decode(body, step) == std::string(66560, 'a'));
  }
  std::string changed = body;
  changed[200] = 'b';
  CHECK_THROWS_AS(decode(changed, 1000), S3Error);
  CHECK_THROWS_AS(decode(body.substr(0, body.size() - 90), 1000), S3Error);
}

TEST_CASE("unsigned chunks with a trailer") {
  ChunkDecoder decoder(std::nullopt);
  std::string out;
  decoder.feed("5\r\nhello\r\n0\r\nX-Amz-Checksum-Crc32: AAAAAA==\r\n\r\n",
               [&](std::string_view bytes) { out += bytes; });
  decoder.finish();
  CHECK(out == "hello");
  CHECK(decoder.trailers().find("x-amz-checksum-crc32")->second == "AAAAAA==");
  for (const char* bad : {"x\r\n", "5\r\nhello!\r\n", "\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "0\r\nnocolon\r\n"}) {
    CAPTURE(bad);
    ChunkDecoder other(std::nullopt);
    CHECK_THROWS_AS(other.feed(bad, [](std::string_view) {}), S3Error);
  }
}

TEST_CASE("what is no signature") {
  const auto code = [](std::string header, std::string target = "/") {
    auto request = request_of(http::Method::Get, std::move(target), {});
    if (!header.empty()) request.headers.emplace_back("authorization", header);
    try {
      return read_authorization(request).kind == AuthKind::None ? std::string("none") : std::string("read");
    } catch (const S3Error& error) {
      return error.s3_code();
    }
  };
  CHECK(code("") == "none");
  CHECK(code("\x07") == "none");
  CHECK(code("Basic abc") == "InvalidArgument");
  CHECK(code("AWS HAHAHA") == "InvalidArgument");
  CHECK(code("AWS key:signature") == "read");
  CHECK(code("AWS4-HMAC-SHA256 Credential=a/b") == "AuthorizationHeaderMalformed");
  CHECK(code("", "/?X-Amz-Signature=x") == "AuthorizationQueryParametersError");
  CHECK(code("", "/?AWSAccessKeyId=x") == "AccessDenied");
}

TEST_CASE("times") {
  CHECK(parse_http_time("Fri, 24 May 2013 00:00:00 GMT") == kNow);
  CHECK(parse_http_time("Fri, 24 May 2013 02:00:00 +0200") == kNow);
  CHECK(parse_http_time("Friday, 24-May-13 00:00:00 GMT") == kNow);
  CHECK_FALSE(parse_http_time("Bad Date"));
  CHECK(format_http_time(kNow) == "Fri, 24 May 2013 00:00:00 GMT");
  CHECK(format_amz_time(kNow) == "20130524T000000Z");
}

}  // namespace penstock::objects
