#include "objects/s3/post_form.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "objects/s3/service.h"
#include "objects/s3/sse.h"
#include "objects/s3/tags.h"

namespace penstock::objects {

namespace {

constexpr size_t kMaxFields = 64 * 1024;

S3Error too_long() { return S3Error("MaxMessageLengthExceeded", "The fields before the file are longer than 64 KiB"); }

S3Error malformed() { return S3Error("MalformedPOSTRequest"); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// name="value" of a header, the quotes maybe missing.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  const std::string low = lower(header);
  size_t at = 0;
  while ((at = low.find(name, at)) != std::string::npos) {
    const bool begins = at > 0 && (low[at - 1] == ' ' || low[at - 1] == ';' || low[at - 1] == '\t');
    at += name.size();
    if (!begins || at >= low.size() || low[at] != '=') continue;
    std::string_view rest = header.substr(at + 1);
    if (!rest.starts_with('"')) return std::string(rest.substr(0, rest.find(';')));
    std::string out;
    for (size_t i = 1; i < rest.size() && rest[i] != '"'; ++i) {
      if (rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\')) ++i;
      out += rest[i];
    }
    return out;
  }
  return std::nullopt;
}

}  // namespace

FormReader::FormReader(std::string_view content_type) {
  if (!lower(content_type).starts_with("multipart/form-data")) {
    throw S3Error("MalformedPOSTRequest", "The Content-Type must be multipart/form-data");
  }
  const auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 200) throw malformed();
  boundary_ = "\r\n--" + *boundary;
  buffer_ = "\r\n";  // so that the first boundary looks like the others
}

void FormReader::read_head(std::string_view head) {
  name_.clear();
  while (!head.empty()) {
    const size_t end = head.find("\r\n");
    const auto line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    if (!lower(line).starts_with("content-disposition:")) continue;
    name_ = lower(parameter(line, "name").value_or(""));
    if (name_ == "file") file_name_ = parameter(line, "filename").value_or("");
  }
  if (name_.empty()) throw malformed();
  state_ = name_ == "file" ? State::File : State::Field;
}

void FormReader::feed(std::string_view bytes, const std::function<void(std::string_view)>& sink) {
  if (state_ == State::Done) return;
  buffer_ += bytes;
  while (true) {
    if (state_ == State::Start || state_ == State::Field || state_ == State::File) {
      const size_t at = buffer_.find(boundary_);
      // Enough must follow to tell whether it is the last one.
      const bool whole = at != std::string::npos && buffer_.size() >= at + boundary_.size() + 2;
      if (state_ == State::File) {
        const size_t safe = at != std::string::npos ? at : buffer_.size() - std::min(buffer_.size(), boundary_.size());
        if (safe > 0) sink(std::string_view(buffer_).substr(0, safe));
        buffer_.erase(0, safe);
        if (!whole) return;
        state_ = State::Done;
        return;
      }
      if (!whole) break;
      if (state_ == State::Field) {
        fields_size_ += name_.size() + at;
        if (fields_size_ > kMaxFields) throw too_long();
        fields_.emplace(name_, buffer_.substr(0, at));
      }
      const bool last = buffer_.compare(at + boundary_.size(), 2, "--") == 0;
      buffer_.erase(0, at + boundary_.size());
      if (last) {
        state_ = State::Done;
        return;
      }
      if (!buffer_.starts_with("\r\n")) throw malformed();
      state_ = State::Head;
      continue;
    }
    const size_t end = buffer_.find("\r\n\r\n");
    if (end == std::string::npos) break;
    const std::string head = buffer_.substr(2, end - 2 + 2);
    buffer_.erase(0, end + 2);
    read_head(head);
    // The line break that ends the head may begin the boundary behind an empty value.
    if (state_ == State::File || !buffer_.starts_with(boundary_)) buffer_.erase(0, 2);
    if (state_ == State::File) {
      std::string rest;
      rest.swap(buffer_);
      return feed(rest, sink);
    }
  }
  if (buffer_.size() > kMaxFields) throw too_long();
}

void FormReader::finish() const {
  if (state_ != State::Done) throw malformed();
}

namespace {

S3Error bad_policy(std::string message) { return S3Error("InvalidPolicyDocument", std::move(message)); }

// Checks conditions one by one, and notes which fields they were about.
class PolicyChecker {
 public:
  PolicyChecker(const std::map<std::string, std::string, std::less<>>& fields, std::string_view bucket)
      : fields_(fields), bucket_(bucket) {}

  void check(const json::value& condition) {
    if (condition.is_object()) {
      if (condition.get_object().empty()) throw bad_policy("Invalid condition");
      for (const auto& [name, wanted] : condition.get_object()) {
        if (!wanted.is_string()) throw bad_policy("Invalid condition");
        check_field("eq", std::string(name), to_std(wanted.get_string()));
      }
      return;
    }
    if (!condition.is_array() || condition.get_array().size() != 3 || !condition.get_array()[0].is_string()) {
      throw bad_policy("Invalid condition");
    }
    const json::array& list = condition.get_array();
    const std::string op = lower(to_std(list[0].get_string()));
    if (op == "content-length-range") {
      policy_.least = length_of(list[1]);
      policy_.most = length_of(list[2]);
      return;
    }
    if ((op != "eq" && op != "starts-with") || !list[1].is_string() || !list[2].is_string()) {
      throw bad_policy("Invalid condition");
    }
    check_field(op, to_std(list[1].get_string()), to_std(list[2].get_string()));
  }

  // Every field must have been spoken of, but for those that only say what the file is.
  FormPolicy finish() const {
    for (const auto& [name, text] : fields_) {
      if (named_.contains(name) || name.starts_with("x-ignore-") || name.starts_with("x-amz-checksum-")) continue;
      throw S3Error("AccessDenied", fmt::format("Invalid according to Policy: Extra input fields: {}", name));
    }
    return policy_;
  }

 private:
  static uint64_t length_of(const json::value& value) {
    int64_t length = -1;
    if (value.is_int64()) length = value.get_int64();
    if (value.is_string()) {
      try {
        length = number_of(to_std(value.get_string()), "content-length-range");
      } catch (const S3Error&) {
        length = -1;
      }
    }
    if (length < 0) throw bad_policy("Invalid content-length-range");
    return static_cast<uint64_t>(length);
  }

  void check_field(std::string_view op, std::string name, const std::string& wanted) {
    name = lower(name.starts_with('$') ? name.substr(1) : name);
    named_.insert(name);
    std::optional<std::string> given;
    if (name == "bucket") {
      given = bucket_;
    } else if (const auto found = fields_.find(name); found != fields_.end()) {
      given = found->second;
    }
    const bool holds = op == "eq" ? given == wanted : wanted.empty() || (given && given->starts_with(wanted));
    if (holds) return;
    throw S3Error("AccessDenied",
                  fmt::format("Invalid according to Policy: Policy Condition failed: [\"{}\", \"${}\"]", op, name));
  }

  const std::map<std::string, std::string, std::less<>>& fields_;
  std::string bucket_;
  FormPolicy policy_;
  std::set<std::string> named_{"policy", "awsaccesskeyid", "signature", "file", "x-amz-signature", "submit"};
};

}  // namespace

FormPolicy check_form_policy(std::string_view document, const std::map<std::string, std::string, std::less<>>& fields,
                             std::string_view bucket, Time now) {
  json::value value;
  try {
    value = parse_json(document);
  } catch (const Error&) {
    throw bad_policy("Invalid JSON in the policy");
  }
  if (!value.is_object()) throw bad_policy("Invalid JSON in the policy");
  const json::object& policy = value.get_object();
  const json::value *expiration = find(policy, "expiration"), *conditions = find(policy, "conditions");
  if (expiration == nullptr || !expiration->is_string()) throw bad_policy("Policy missing expiration");
  if (conditions == nullptr || !conditions->is_array()) throw bad_policy("Policy missing conditions");
  const std::string text = to_std(expiration->get_string());
  const auto until = parse_time(text);
  // A space in the place of the T is no ISO 8601.
  if (!until || text.find('T') == std::string::npos) throw bad_policy("Invalid 'expiration' value");
  if (*until <= now) throw S3Error("AccessDenied", "Invalid according to Policy: Policy expired.");
  PolicyChecker checker(fields, bucket);
  for (const json::value& condition : conditions->get_array()) checker.check(condition);
  return checker.finish();
}

namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

std::string field_of(const Fields& fields, std::string_view name) {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : found->second;
}

// Who signed the form's policy; null for a form without one.
AccessKeyPtr authenticate_form(const Fields& fields, const Keys& keys) {
  const auto policy = field_of(fields, "policy");
  const bool v4 = fields.contains("x-amz-signature") || fields.contains("x-amz-credential");
  const bool v2 = fields.contains("awsaccesskeyid") || fields.contains("signature");
  if (!v4 && !v2) {
    if (!policy.empty()) throw S3Error("AccessDenied");
    return nullptr;
  }
  if (policy.empty()) {
    throw S3Error(
        "InvalidArgument",
        "Bucket POST must contain a field named 'policy'.  If it is specified, please check the order of the fields.");
  }
  if (v4) {
    if (field_of(fields, "x-amz-algorithm") != "AWS4-HMAC-SHA256") {
      throw S3Error("InvalidArgument", "x-amz-algorithm must be AWS4-HMAC-SHA256");
    }
    const auto credential = field_of(fields, "x-amz-credential");
    std::vector<std::string> parts;
    for (size_t at = 0;;) {
      const size_t slash = credential.find('/', at);
      parts.push_back(credential.substr(at, slash - at));
      if (slash == std::string::npos) break;
      at = slash + 1;
    }
    if (parts.size() < 5) throw S3Error("InvalidArgument", "x-amz-credential is malformed");
    const size_t n = parts.size();
    const auto tail = parts[n - 4].size() + parts[n - 3].size() + parts[n - 2].size() + parts[n - 1].size() + 4;
    auto key = keys.find(credential.substr(0, credential.size() - tail));
    if (!key) throw S3Error("InvalidAccessKeyId");
    const auto signature = hex(hmac_sha256(signing_key(key->secret, parts[n - 4], parts[n - 3]), policy));
    if (!same_signature(signature, field_of(fields, "x-amz-signature"))) throw S3Error("SignatureDoesNotMatch");
    return key;
  }
  if (!fields.contains("awsaccesskeyid") || !fields.contains("signature")) {
    throw S3Error("InvalidArgument", "Bucket POST must contain the fields AWSAccessKeyId and Signature");
  }
  auto key = keys.find(field_of(fields, "awsaccesskeyid"));
  if (!key) throw S3Error("InvalidAccessKeyId");
  if (!same_signature(base64_encode(hmac_sha1(key->secret, policy)), field_of(fields, "signature"))) {
    throw S3Error("SignatureDoesNotMatch");
  }
  return key;
}

// The form's fields as the headers of a PUT.
void headers_of_fields(const Fields& fields, http::Request& request) {
  std::vector<std::pair<std::string, std::string>> headers;
  for (const auto& [name, value] : request.headers) {
    if (name == "host" || name == "origin" || name == "referer" || name == "user-agent")
      headers.emplace_back(name, value);
  }
  static constexpr std::string_view kPlain[] = {"content-type",     "cache-control", "content-disposition",
                                                "content-encoding", "expires",       "content-language"};
  for (const auto& [name, value] : fields) {
    const bool amz = name.starts_with("x-amz-meta-") || name.starts_with("x-amz-checksum-") ||
                     name.starts_with("x-amz-object-lock-") || name.starts_with("x-amz-server-side-") ||
                     name == "x-amz-storage-class" || name == "x-amz-sdk-checksum-algorithm";
    if (amz || std::ranges::find(kPlain, name) != std::end(kPlain)) headers.emplace_back(name, value);
    if (name == "acl") headers.emplace_back("x-amz-acl", value);
    if (name == "tagging") {
      std::string query;
      for (const auto& [key, tag] : tags_of_xml(value, kObjectTags)) {
        query += (query.empty() ? "" : "&") + http::url_encode(std::string_view(key)) + "=" +
                 http::url_encode(to_std(tag.as_string()));
      }
      headers.emplace_back("x-amz-tagging", query);
    }
  }
  request.headers = std::move(headers);
}

// 204, or what the form's success_action fields ask for.
http::Response form_response(const Call& call, const Fields& fields, const std::string& etag,
                             const std::string& version) {
  http::Response response;
  const auto location =
      fmt::format("http://{}{}/{}", call.header("host"), call.http.path, http::url_encode(call.key, "/"));
  auto redirect = field_of(fields, "success_action_redirect");
  if (redirect.empty()) redirect = field_of(fields, "redirect");
  if (redirect.starts_with("http://") || redirect.starts_with("https://")) {
    response = empty_response(303);
    response.set(
        "Location",
        fmt::format("{}{}bucket={}&key={}&etag={}", redirect, redirect.find('?') == std::string::npos ? "?" : "&",
                    http::url_encode(call.bucket), http::url_encode(call.key), http::url_encode(quote_etag(etag))));
  } else if (const auto status = field_of(fields, "success_action_status"); status == "201") {
    XmlWriter xml("PostResponse", false);
    xml.element("Location", location).element("Bucket", call.bucket).element("Key", call.key);
    xml.element("ETag", quote_etag(etag));
    response = xml_response(xml.finish(), 201);
  } else {
    response = empty_response(status == "200" ? 200 : 204);
  }
  response.set("ETag", quote_etag(etag));
  if (response.status != 303) response.set("Location", location);
  if (!version.empty()) response.set("x-amz-version-id", version);
  return response;
}

}  // namespace

Async<http::Response> S3Service::post_object(Call& call) {
  const BucketPtr bucket = engine_.bucket(call.bucket);
  FormReader form(call.header("content-type"));
  std::string pending;
  const auto collect = [&](std::string_view bytes) { pending += bytes; };
  while (!form.in_file()) {
    const std::string piece = co_await call.http.body->read_some();
    if (piece.empty()) break;
    form.feed(piece, collect);
  }
  const Fields& fields = form.fields();
  if (!form.in_file()) throw S3Error("MalformedPOSTRequest");
  std::string key = field_of(fields, "key");
  if (!fields.contains("key") || key.empty()) {
    throw S3Error(
        "InvalidArgument",
        "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.");
  }
  if (const size_t at = key.find("${filename}"); at != std::string::npos) key.replace(at, 11, form.file_name());
  if (key.size() > 1'024) throw S3Error("KeyTooLongError");
  if (key.find('\0') != std::string::npos || !is_utf8(key)) throw S3Error("InvalidURI");
  call.key = key;
  const Time now = engine_.clock().now();
  call.who = authenticate_form(fields, keys_);
  FormPolicy policy;
  if (call.who) {
    const auto document = base64_decode(field_of(fields, "policy"));
    if (!document) throw S3Error("InvalidPolicyDocument", "The policy is not base64");
    Fields checked = fields;
    checked["key"] = key;
    policy = check_form_policy(*document, checked, call.bucket, now);
  }
  const Fields kept = fields;
  headers_of_fields(kept, call.http);
  Ask ask{.action = "s3:PutObject", .permission = "WRITE", .key = key, .write = true};
  require(call, *bucket, ask);
  NewObject object;
  object.key = key;
  object.meta = new_meta(call, *bucket);
  BodyDigests digests = digests_of_headers(call.http);
  std::vector<Algorithm> extra;
  if (digests.algorithm) extra.push_back(*digests.algorithm);
  Intake upload(engine_, extra, seal(call, *bucket, object.meta));
  const auto too_large = [&] {
    if (policy.most && upload.size() + pending.size() > *policy.most) {
      throw S3Error("EntityTooLarge").with("MaxSizeAllowed", std::to_string(*policy.most));
    }
  };
  while (true) {
    too_large();
    co_await upload.write(pending);
    pending.clear();
    const std::string piece = co_await call.http.body->read_some();
    if (piece.empty()) break;
    form.feed(piece, collect);
  }
  form.finish();
  if (policy.least && upload.size() < *policy.least) {
    throw S3Error("EntityTooSmall").with("MinSizeAllowed", std::to_string(*policy.least));
  }
  Staged staged = co_await upload.finish();
  if (digests.algorithm) {
    const auto value = base64_encode(staged.extra[0]);
    if (!digests.value.empty() && digests.value != value) throw S3Error("BadDigest");
    object.meta["checksum"] = json::object{{checksum_name(*digests.algorithm), value}, {"type", "FULL_OBJECT"}};
  }
  object.etag = hex(staged.md5);
  const std::string etag = object.etag;
  const json::object meta = object.meta;
  const Written written = co_await engine_.put(bucket, std::move(object), std::move(staged));
  auto response = form_response(call, kept, etag, written.version);
  add_sse_headers(response, meta, call.http);
  co_return response;
}

}  // namespace penstock::objects
