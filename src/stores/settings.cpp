#include "stores/settings.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "http/message.h"
#include "http/url.h"

namespace penstock::stores {

namespace {

constexpr std::array<std::string_view, 7> kSchemes{"s3", "minio", "gs", "http", "https", "file", "oci"};

bool has_buckets(std::string_view scheme) { return scheme == "s3" || scheme == "minio" || scheme == "gs"; }

std::string with_scheme(std::string endpoint, bool tls) {
  if (endpoint.empty()) return endpoint;
  // As upstream: the service's own name says nothing of the region's endpoint.
  std::string_view host = endpoint;
  if (host.starts_with("https://")) host.remove_prefix(8);
  if (host.starts_with("s3.amazonaws.com")) return {};
  if (endpoint.find("://") == std::string::npos) endpoint.insert(0, tls ? "https://" : "http://");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

bool read_bool(const json::value* value, std::string_view name) {
  if (value->is_bool()) return value->get_bool();
  const std::string text = value->is_string() ? to_std(value->get_string()) : "";
  if (text != "true" && text != "false") throw invalid("providers: {} is neither true nor false", name);
  return text == "true";
}

void read_credentials(const json::object& level, std::string_view where, Access& access) {
  const json::object* credentials = find_object(level, "credentials");
  if (credentials == nullptr) throw invalid("providers: {} has no credentials", where);
  const json::value* env = find(*credentials, "fromEnv");
  access.from_env = env != nullptr && read_bool(env, "fromEnv");
  access.access_key = get_string(*credentials, "accessKey");
  access.secret_key = get_string(*credentials, "secretKey");
  access.session_token = get_string(*credentials, "sessionToken");
  access.token_file = get_string(*credentials, "tokenFile");
  access.secret.clear();
  if (access.from_env || !access.access_key.empty() || !access.token_file.empty()) return;
  const json::object* secret = find_object(*credentials, "secretRef");
  if (secret == nullptr) throw invalid("providers: {} has credentials that are neither fromEnv nor a secretRef", where);
  access.secret = get_string(*secret, "secretName");
  access.access_key_key = get_string(*secret, "accessKeyKey");
  access.secret_key_key = get_string(*secret, "secretKeyKey");
  access.session_token_key = get_string(*secret, "sessionTokenKey");
  access.token_key = get_string(*secret, "tokenKey");
  if (access.secret.empty()) throw invalid("providers: {} has a secretRef without a secretName", where);
}

void read_level(const json::object& level, std::string_view where, Access& access, bool& tls) {
  if (const auto* value = find(level, "disableSSL"); value && !value->is_null()) tls = !read_bool(value, "disableSSL");
  if (const std::string text = get_string(level, "endpoint"); !text.empty()) access.endpoint = text;
  if (const std::string text = get_string(level, "region"); !text.empty()) access.region = text;
  if (const std::string text = get_string(level, "caBundle"); !text.empty()) access.ca_pem = text;
  if (const auto* value = find(level, "forcePathStyle"); value && !value->is_null())
    access.path_style = read_bool(value, "forcePathStyle");
  if (const auto* value = find(level, "verifySSL"); value && !value->is_null())
    access.verify_tls = read_bool(value, "verifySSL");
  if (find(level, "maxRetries") != nullptr) {
    access.retries = static_cast<int>(std::clamp<int64_t>(get_int(level, "maxRetries", 5), 0, 20));
  }
  read_credentials(level, where, access);
}

std::string_view trim_slashes(std::string_view text) {
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

bool is_below(std::string_view key, std::string_view prefix) {
  key = trim_slashes(key);
  prefix = trim_slashes(prefix);
  return prefix.empty() || key == prefix || (key.starts_with(prefix) && key[prefix.size()] == '/');
}

}  // namespace

StoreUri parse_store_uri(std::string_view uri) {
  const size_t colon = uri.find("://");
  const auto bad = [&](std::string_view why) { return invalid("{:?} {}", http::redacted(uri), why); };
  if (colon == std::string_view::npos) throw bad("is no URI of a store, as s3://bucket/key");
  StoreUri out;
  out.scheme = uri.substr(0, colon);
  if (std::ranges::find(kSchemes, out.scheme) == kSchemes.end()) {
    throw bad("is of no store that is known here: s3, minio, gs, http, https, file, oci");
  }
  std::string_view rest = uri.substr(colon + 3);
  if (has_buckets(out.scheme)) {
    const size_t query = rest.find('?');
    if (query != std::string_view::npos) out.query = rest.substr(query + 1);
    rest = rest.substr(0, query);
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  out.bucket = rest.substr(0, slash);
  out.key = rest.substr(std::min(slash + 1, rest.size()));
  if (out.scheme == "file" ? !out.bucket.empty() || out.key.empty() : out.bucket.empty()) {
    throw bad(out.scheme == "file" ? "is not file:///PATH" : "names no bucket or host");
  }
  return out;
}

bool is_writable_scheme(std::string_view scheme) { return has_buckets(scheme) || scheme == "file"; }

std::string without_query(std::string_view root) {
  const size_t colon = root.find("://");
  const bool settings = colon != std::string_view::npos && has_buckets(root.substr(0, colon));
  std::string_view text = settings ? root.substr(0, root.find('?')) : root;
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

std::string query_for(std::string_view uri, std::string_view root) {
  const StoreUri own = parse_store_uri(uri);
  if (!own.query.empty() || root.find('?') == std::string_view::npos) return own.query;
  const std::string plain = without_query(root);
  const bool of_root = uri.starts_with(plain) && (uri.size() == plain.size() || uri[plain.size()] == '/');
  return of_root ? std::string(root.substr(root.find('?') + 1)) : "";
}

std::optional<Access> find_access(const json::value& providers, const StoreUri& uri) {
  const json::object* all = providers.if_object();
  const json::object* provider = all != nullptr ? find_object(*all, uri.scheme) : nullptr;
  if (provider == nullptr) return std::nullopt;
  const json::object* main = find_object(*provider, "default");
  const json::array* overrides = find_array(*provider, "overrides");
  if (overrides == nullptr) overrides = find_array(*provider, "Overrides");
  if (main == nullptr && overrides == nullptr) return std::nullopt;
  if (main == nullptr) throw invalid("providers: {} has no default", uri.scheme);
  Access access;
  bool tls = true;
  read_level(*main, uri.scheme + ".default", access, tls);
  for (size_t i = 0; overrides != nullptr && i < overrides->size(); ++i) {
    const json::object* level = (*overrides)[i].if_object();
    if (level == nullptr) throw invalid("providers: {}.overrides[{}] is no mapping", uri.scheme, i);
    if (get_string(*level, "bucketName") != uri.bucket || !is_below(uri.key, get_string(*level, "keyPrefix"))) continue;
    read_level(*level, fmt::format("{}.overrides[{}]", uri.scheme, i), access, tls);
    break;
  }
  access.endpoint = with_scheme(std::move(access.endpoint), tls);
  return access;
}

Access access_of_query(std::string_view query) {
  Access access;
  bool tls = true;
  for (const auto& [name, value] : http::parse_query(query)) {
    const json::value text(value);
    if (name == "endpoint") {
      access.endpoint = value;
    } else if (name == "region") {
      access.region = value;
    } else if (name == "disableSSL" || name == "disable_https") {
      tls = !read_bool(&text, name);
    } else if (name == "s3ForcePathStyle" || name == "use_path_style") {
      access.path_style = read_bool(&text, name);
    } else if (name == "anonymous") {
      access.anonymous = read_bool(&text, name);
    } else if (name != "awssdk") {
      throw invalid("the URI has the setting {:?}; known are endpoint, region, disableSSL, use_path_style, anonymous",
                    name);
    }
  }
  access.endpoint = with_scheme(std::move(access.endpoint), tls);
  return access;
}

bool is_own_endpoint(std::string_view endpoint) {
  if (const size_t scheme = endpoint.find("://"); scheme != std::string_view::npos) endpoint.remove_prefix(scheme + 3);
  const std::string_view host = endpoint.substr(0, endpoint.find_first_of(":/"));
  for (const std::string_view name : {"minio-service", "seaweedfs"}) {
    if (host.starts_with(name) && (host.size() == name.size() || host.substr(name.size()).starts_with(".kubeflow"))) {
      return true;
    }
  }
  return false;
}

}  // namespace penstock::stores
