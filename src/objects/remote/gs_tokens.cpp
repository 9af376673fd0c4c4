#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/base64.h"
#include "base/json.h"
#include "http/message.h"
#include "objects/remote/gs_remote.h"

namespace penstock::objects {

namespace {

constexpr std::string_view kScope = "https://www.googleapis.com/auth/devstorage.read_write";
constexpr std::string_view kGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
constexpr auto kLifetime = std::chrono::hours(1);
constexpr auto kMargin = std::chrono::minutes(3);

std::string base64_url(std::string_view bytes) {
  std::string text = base64_encode(bytes);
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

Key read_key(const std::string& pem) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  return {PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free};
}

std::string sign_rs256(const std::string& pem, std::string_view text) {
  const Key key = read_key(pem);
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  size_t size = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  if (!key || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, data, text.size()) != 1) {
    throw internal("signing with a service account's key failed");
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data, text.size()) != 1)
    throw internal("signing with a service account's key failed");
  signature.resize(size);
  return signature;
}

}  // namespace

GsTokens::GsTokens(std::string_view key_file) {
  json::value file;
  try {
    file = parse_json(key_file);
  } catch (const Error&) {
    throw invalid("Google's key file is no JSON");
  }
  const auto text = [&](std::string_view name) { return string_at(file, {name}); };
  type_ = text("type");
  email_ = text("client_email");
  key_id_ = text("private_key_id");
  private_key_ = text("private_key");
  token_uri_ = text("token_uri");
  client_id_ = text("client_id");
  client_secret_ = text("client_secret");
  refresh_token_ = text("refresh_token");
  if (token_uri_.empty()) token_uri_ = "https://oauth2.googleapis.com/token";
  const bool usable = type_ == "service_account" ? !email_.empty() && read_key(private_key_) != nullptr
                                                 : type_ == "authorized_user" && !refresh_token_.empty();
  if (!usable) {
    throw invalid(
        "Google's key file is neither of a service_account, with client_email and private_key, nor of an "
        "authorized_user, with refresh_token");
  }
}

GsTokens::~GsTokens() = default;

std::string GsTokens::assertion(Time now) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  json::object header{{"alg", "RS256"}, {"typ", "JWT"}};
  if (!key_id_.empty()) header["kid"] = key_id_;
  const json::object claims{{"iss", email_},
                            {"scope", kScope},
                            {"aud", token_uri_},
                            {"iat", seconds},
                            {"exp", seconds + std::chrono::seconds(kLifetime).count()}};
  const std::string text = base64_url(to_text(header)) + "." + base64_url(to_text(claims));
  return text + "." + base64_url(sign_rs256(private_key_, text));
}

std::string GsTokens::token(const RemoteOptions& options) {
  const std::lock_guard lock(mutex_);
  const Time now = SystemClock().now();
  if (!token_.empty() && now < until_) return token_;
  http::ClientRequest request = remote_request(options, "POST", token_uri_);
  request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  if (type_ == "service_account") {
    request.body = fmt::format("grant_type={}&assertion={}", http::url_encode(kGrant), assertion(now));
  } else {
    request.body =
        fmt::format("grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
                    http::url_encode(client_id_), http::url_encode(client_secret_), http::url_encode(refresh_token_));
  }
  const http::ClientResponse response = remote_fetch(options, request);
  json::value answer;
  try {
    answer = parse_json(response.body);
  } catch (const Error&) {
    // Said below.
  }
  const std::string fresh = string_at(answer, {"access_token"});
  if (response.status != 200 || fresh.empty()) {
    if (response.status >= 500) throw remote_error(response.status, "Google's tokens are not given now");
    throw Error(Code::Unauthenticated,
                fmt::format("no token is given for {}: {} {}", email_.empty() ? client_id_ : email_,
                            string_at(answer, {"error"}, "status " + std::to_string(response.status)),
                            string_at(answer, {"error_description"})));
  }
  const auto* life = find(answer, "expires_in");
  const auto lasts = std::chrono::seconds(life != nullptr && life->is_int64() ? life->get_int64() : 3600);
  token_ = fresh;
  until_ = now + std::max<std::chrono::microseconds>(lasts - kMargin, lasts / 2);
  return token_;
}

}  // namespace penstock::objects
