#include "objects/remote/s3_remote.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/clock.h"
#include "http/message.h"
#include "http/url.h"
#include "objects/checksum.h"
#include "objects/s3/signature.h"
#include "objects/s3/xml.h"

namespace penstock::objects {

namespace {

constexpr uint64_t kMaxParts = 9'000;  // S3 allows 10,000
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr std::string_view kAws = "https://s3.{}.amazonaws.com";

std::string file_hash(int file, uint64_t offset, uint64_t length) {
  Digest digest(Algorithm::Sha256);
  std::string buffer(256 * 1024, '\0');
  for (uint64_t at = 0; at < length;) {
    const size_t want = std::min<uint64_t>(buffer.size(), length - at);
    const ssize_t got = ::pread(file, buffer.data(), want, static_cast<off_t>(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading what is to be sent");
    if (got == 0) throw Error(Code::FailedPrecondition, "the file became shorter while it was sent");
    digest.update({buffer.data(), static_cast<size_t>(got)});
    at += static_cast<uint64_t>(got);
  }
  return hex(digest.finish());
}

std::string query_text(const std::vector<std::pair<std::string, std::string>>& query) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : query) sorted[http::url_encode(name)] = http::url_encode(value);
  std::string text;
  for (const auto& [name, value] : sorted) text += (text.empty() ? "" : "&") + name + "=" + value;
  return text;
}

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// An answer that is not XML is a proxy's, most likely: worth another try.
XmlNode read_xml(const std::string& body, const std::string& name) {
  try {
    return parse_xml(body);
  } catch (const std::exception&) {
    throw Error(Code::Unavailable, fmt::format("{}: the answer is no XML", name));
  }
}

Code code_of(std::string_view s3, int status) {
  if (s3 == "NoSuchKey" || s3 == "NoSuchBucket" || s3 == "NoSuchUpload") return Code::NotFound;
  if (s3 == "SlowDown" || s3 == "RequestTimeout" || s3 == "InternalError") return Code::Unavailable;
  return remote_error(status, {}).code();
}

}  // namespace

S3Remote::S3Remote(S3Place place, RemoteOptions options) : place_(std::move(place)), options_(std::move(options)) {
  region_ = place_.region.empty() ? "us-east-1" : place_.region;
  aws_ = place_.endpoint.empty();
  if (aws_) place_.endpoint = fmt::format(fmt::runtime(kAws), region_);
  const http::Url url = http::parse_url(place_.endpoint);
  const bool plain = (url.path.empty() || url.path == "/") && url.query.empty();
  if ((url.scheme != "http" && url.scheme != "https") || !plain) {
    throw invalid("the endpoint {:?} is not HOST:PORT or http(s)://HOST:PORT", http::redacted(place_.endpoint));
  }
  const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  const std::string authority = url.port.empty() ? host : host + ":" + url.port;
  base_path_ = place_.path_style ? "/" + http::url_encode(place_.bucket) : "";
  base_ = fmt::format("{}://{}{}", url.scheme, place_.path_style ? "" : place_.bucket + ".", authority);
}

std::string S3Remote::name_of(std::string_view key) const {
  return fmt::format("{}://{}/{}", place_.scheme, place_.bucket, key);
}

std::string S3Remote::region() const {
  const std::lock_guard lock(mutex_);
  return region_;
}

http::ClientRequest S3Remote::make(std::string method, const std::string& key, const Query& query) const {
  std::string url = base_ + base_path_ + "/" + http::url_encode(key, "/");
  if (!query.empty()) url += "?" + query_text(query);
  return remote_request(options_, std::move(method), std::move(url));
}

void S3Remote::sign(http::ClientRequest& request, std::string_view payload_hash) const {
  if (place_.access_key.empty()) return;
  const std::string time = format_amz_time(SystemClock().now()), date = time.substr(0, 8);
  const size_t host_at = request.url.find("://") + 3,
               path_at = std::min(request.url.find('/', host_at), request.url.size());
  const size_t query_at = std::min(request.url.find('?', path_at), request.url.size());
  auto& headers = request.headers;
  headers.emplace_back("x-amz-date", time);
  headers.emplace_back("x-amz-content-sha256", payload_hash);
  if (!place_.session_token.empty()) headers.emplace_back("x-amz-security-token", place_.session_token);
  std::map<std::string, std::string> signed_headers{{"host", request.url.substr(host_at, path_at - host_at)}};
  for (const auto& [name, value] : headers) {
    if (name.starts_with("x-amz-")) signed_headers[name] = value;
  }
  std::string names, lines;
  for (const auto& [name, value] : signed_headers) {
    names += (names.empty() ? "" : ";") + name;
    lines += name + ":" + value + "\n";
  }
  const std::string query = query_at < request.url.size() ? request.url.substr(query_at + 1) : "";
  const std::string canonical =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.url.substr(path_at, query_at - path_at), query,
                  lines, names, payload_hash);
  const std::string zone = region(), scope = fmt::format("{}/{}/s3/aws4_request", date, zone);
  const std::string signature = signature_v4(signing_key(place_.secret_key, date, zone), time, scope, canonical);
  headers.emplace_back("Authorization", fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                                                    place_.access_key, scope, names, signature));
}

http::ClientResponse S3Remote::send(http::ClientRequest request, std::string_view payload_hash) const {
  http::ClientRequest signed_request = request;
  sign(signed_request, payload_hash);
  http::ClientResponse response = remote_fetch(options_, signed_request);
  const std::string_view elsewhere = response.header("x-amz-bucket-region");
  const bool wrong_region = response.status == 301 || response.status == 400 || response.status == 307;
  if (!wrong_region || elsewhere.empty() || elsewhere == region()) return response;
  if (aws_) {
    const std::string from = fmt::format("s3.{}.", region());
    if (const size_t at = request.url.find(from); at != std::string::npos) {
      request.url.replace(at, from.size(), fmt::format("s3.{}.", elsewhere));
    }
  }
  {
    const std::lock_guard lock(mutex_);
    region_ = elsewhere;
  }
  sign(request, payload_hash);
  return remote_fetch(options_, request);
}

Error S3Remote::error_of(const http::ClientResponse& response, const std::string& key) const {
  std::string code, words;
  try {
    const XmlNode error = parse_xml(response.body);
    code = error.value("Code");
    words = error.value("Message");
  } catch (const std::exception&) {
    // HEAD has no body, and a proxy may have one of its own.
  }
  if (code == "NoSuchBucket") {
    return Error(Code::NotFound, fmt::format("{}: there is no bucket {}", name_of(key), place_.bucket));
  }
  std::string message = name_of(key) + ": ";
  message += code.empty() ? fmt::format("the store answers with the status {}", response.status) : code;
  if (!words.empty()) message += ": " + words.substr(0, 300);
  return Error(code_of(code, response.status), std::move(message));
}

http::ClientResponse S3Remote::call(http::ClientRequest request, const std::string& key) const {
  const std::string hash = sha256_hex(request.body);
  http::ClientResponse response = send(std::move(request), hash);
  if (response.status < 200 || response.status > 299) throw error_of(response, key);
  return response;
}

http::ClientResponse S3Remote::call_with_file(http::ClientRequest request, const std::string& key, int file,
                                              uint64_t offset, uint64_t length) const {
  // TLS guards the content; without it, the signature does.
  const bool hashed = base_.starts_with("http://") && !place_.access_key.empty();
  upload_from(request, file, offset, length);
  http::ClientResponse response =
      send(std::move(request), hashed ? file_hash(file, offset, length) : std::string(kUnsigned));
  if (response.status < 200 || response.status > 299) throw error_of(response, key);
  return response;
}

std::optional<RemoteObject> S3Remote::find(const std::string& key) {
  if (key.empty()) return std::nullopt;  // the bucket
  const http::ClientResponse response = send(make("HEAD", key), sha256_hex({}));
  if (response.status == 404) return std::nullopt;
  if (response.status != 200) throw error_of(response, key);
  return RemoteObject{key, number(response.header("content-length")), std::string(response.header("etag"))};
}

RemotePage S3Remote::list(const std::string& prefix, const std::string& token, size_t limit) {
  Query query{{"list-type", "2"}, {"prefix", prefix}, {"max-keys", std::to_string(limit)}};
  if (!token.empty()) query.emplace_back("continuation-token", token);
  http::ClientRequest request = make("GET", "", query);
  const http::ClientResponse response = call(std::move(request), prefix);
  const XmlNode result = read_xml(response.body, name_of(prefix));
  RemotePage page;
  for (const XmlNode* object : result.all("Contents")) {
    const XmlNode* key = object->child("Key");
    page.objects.push_back({key ? key->text : "", number(object->value("Size")), object->value("ETag")});
  }
  if (result.value("IsTruncated") == "true") page.next = result.value("NextContinuationToken");
  return page;
}

void S3Remote::read(const RemoteObject& object, uint64_t offset, uint64_t length,
                    const std::function<bool(std::string_view)>& sink) {
  if (length == 0) return;
  http::ClientRequest request = make("GET", object.key);
  if (!object.version.empty()) request.headers.emplace_back("If-Match", object.version);
  RangeReader reader{offset, length, sink};
  reader.attach(request);
  const http::ClientResponse response = send(std::move(request), sha256_hex({}));
  if (response.status == 412) {
    throw Error(Code::FailedPrecondition, fmt::format("{}: it was changed while it was read", name_of(object.key)));
  }
  if (response.status != 200 && response.status != 206) throw error_of(response, object.key);
  reader.check(name_of(object.key));
}

void S3Remote::put(const std::string& key, int file, uint64_t size) {
  call_with_file(make("PUT", key), key, file, 0, size);
}

void S3Remote::remove(const std::string& key) {
  const http::ClientResponse response = send(make("DELETE", key), sha256_hex({}));
  if (response.status > 299 && response.status != 404) throw error_of(response, key);
}

void S3Remote::drop_uploads(const std::string& key) const {
  const http::ClientResponse response = send(make("GET", "", {{"uploads", ""}, {"prefix", key}}), sha256_hex({}));
  if (response.status != 200) return;  // it may not be allowed: then what was left stays
  const XmlNode result = read_xml(response.body, name_of(key));
  for (const XmlNode* upload : result.all("Upload")) {
    const XmlNode* of = upload->child("Key");
    if (of == nullptr || of->text != key) continue;
    send(make("DELETE", key, {{"uploadId", upload->value("UploadId")}}), sha256_hex({}));
  }
}

class S3Upload : public RemoteUpload {
 public:
  S3Upload(S3Remote& remote, std::string key, std::string id, uint64_t part_size, uint64_t size)
      : remote_(remote), key_(std::move(key)), id_(std::move(id)), part_size_(part_size), size_(size) {
    tags_.resize((size + part_size - 1) / part_size);
  }
  ~S3Upload() override {
    if (!finished_) abort();
  }

  uint64_t part_size() const override { return part_size_; }

  void send(size_t number, int file, uint64_t length) override {
    const auto response = remote_.call_with_file(
        remote_.make("PUT", key_, {{"partNumber", std::to_string(number + 1)}, {"uploadId", id_}}), key_, file,
        number * part_size_, length);
    const std::lock_guard lock(mutex_);
    tags_.at(number) = response.header("etag");
  }

  void finish() override {
    XmlWriter xml("CompleteMultipartUpload");
    for (size_t i = 0; i < tags_.size(); ++i) {
      xml.open("Part").element("PartNumber", static_cast<int64_t>(i + 1)).element("ETag", tags_[i]).close();
    }
    http::ClientRequest request = remote_.make("POST", key_, {{"uploadId", id_}});
    request.body = xml.finish();
    try {
      const http::ClientResponse response = remote_.call(std::move(request), key_);
      // As S3 does: 200 is sent before it is known whether all goes well.
      if (response.body.find("<Error>") != std::string::npos) throw remote_.error_of(response, key_);
    } catch (const Error& error) {
      // The answer to an earlier try was lost.
      const auto there = error.code() == Code::NotFound ? remote_.find(key_) : std::nullopt;
      if (!there || there->size != size_) throw;
    }
    finished_ = true;
  }

  // Also of one that was stopped.
  void abort() noexcept override {
    finished_ = true;
    try {
      RemoteOptions options = remote_.options_;
      options.stop = std::make_shared<Stop>();
      options.stall_timeout = std::chrono::seconds(5);
      const S3Remote again(remote_.place_, options);
      again.send(again.make("DELETE", key_, {{"uploadId", id_}}), sha256_hex({}));
    } catch (const std::exception&) {
      // The store drops it by its own rules, or the next upload of this key does.
    }
  }

 private:
  S3Remote& remote_;
  const std::string key_, id_;
  const uint64_t part_size_, size_;
  std::mutex mutex_;
  std::vector<std::string> tags_;
  bool finished_ = false;
};

std::unique_ptr<RemoteUpload> S3Remote::begin_upload(const std::string& key, uint64_t size) {
  if (size <= place_.part_size) return nullptr;
  drop_uploads(key);
  const http::ClientResponse response = call(make("POST", key, {{"uploads", ""}}), key);
  const std::string id = read_xml(response.body, name_of(key)).value("UploadId");
  if (id.empty()) throw Error(Code::Unavailable, fmt::format("{}: the store begins no upload", name_of(key)));
  const uint64_t part = std::max(place_.part_size, (size / kMaxParts + (1 << 20)) >> 20 << 20);
  return std::make_unique<S3Upload>(*this, key, id, part, size);
}

}  // namespace penstock::objects
