#include "stores/stores.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/base64.h"
#include "http/url.h"
#include "objects/remote/file_remote.h"
#include "objects/remote/http_remote.h"
#include "objects/remote/s3_remote.h"

namespace penstock::stores {

using objects::Remote;
using objects::RemoteOptions;
using objects::Stop;

namespace {

constexpr std::string_view kConfigMap = "kfp-launcher";
constexpr uint64_t kPiece = 4u << 20;  // of an answer that is streamed
constexpr size_t kMostTokens = 64;
constexpr int kRedirects = 5;
constexpr int kQuick = 4;  // threads

constexpr const char* kVariables[] = {
    "AWS_ACCESS_KEY_ID",    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",   "AWS_REGION",
    "AWS_DEFAULT_REGION",   "AWS_ENDPOINT_URL",      "AWS_ENDPOINT_URL_S3", "GOOGLE_APPLICATION_CREDENTIALS",
    "STORAGE_EMULATOR_HOST"};

std::string read_file(const std::string& path, std::string_view what) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) throw Error(Code::Unauthenticated, fmt::format("{} {} cannot be read", what, path));
  return text.str();
}

}  // namespace

json::value read_providers(const std::filesystem::path& file) {
  if (file.empty()) return {};
  std::ifstream stream(file);
  if (!stream) throw Error(Code::InvalidArgument, fmt::format("the file {} cannot be read", file.string()), "stores");
  std::stringstream text;
  text << stream.rdbuf();
  const auto documents = parse_yaml(text.str(), 100'000);
  if (documents.size() != 1 || !documents[0].is_object()) {
    throw Error(Code::InvalidArgument, fmt::format("the file {} must hold one mapping", file.string()), "stores");
  }
  return documents[0];
}

std::map<std::string, std::string> store_environment() {
  std::map<std::string, std::string> out;
  for (const char* name : kVariables) {
    if (const char* value = std::getenv(name); value != nullptr && *value != 0) out[name] = value;
  }
  return out;
}

struct Stores::Place {
  std::shared_ptr<Remote> remote;              // shared with what streams it
  std::shared_ptr<objects::OciImage> image{};  // in its stead
  std::string key;
  objects::TransferOptions options{};
};

struct Stores::Login {
  std::string access_key, secret_key, session_token, key_file;
};

Stores::Stores(kube::Api& api, objects::Store& embedded, StoresOptions options)
    : api_(api), embedded_(embedded), options_(std::move(options)), pool_(options_.transfers), quick_(kQuick) {}

Stores::~Stores() { stop(); }

void Stores::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& weak : stops_) {
    if (const auto stop = weak.lock()) stop->set();
  }
  stops_.clear();
}

bool Stores::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

std::shared_ptr<Stop> Stores::begin(std::shared_ptr<Stop> stop) {
  if (!stop) stop = std::make_shared<Stop>();
  const std::lock_guard lock(mutex_);
  std::erase_if(stops_, [](const auto& weak) { return weak.expired(); });
  if (stopping_) stop->set();
  stops_.push_back(stop);
  return stop;
}

Async<kube::Object> Stores::config_map(std::string ns) {
  kube::Object found;
  try {
    found = co_await api_.get(kube::kConfigMaps, ns, std::string(kConfigMap));
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
  co_return found;
}

Async<std::string> Stores::default_root(std::string ns) {
  const kube::Object found = co_await config_map(std::move(ns));
  const json::object* data = found ? find_object(*found, "data") : nullptr;
  co_return data != nullptr ? get_string(*data, "defaultPipelineRoot") : std::string();
}

void Stores::check_root(const std::string& root) {
  try {
    const StoreUri uri = parse_store_uri(root);
    if (!is_writable_scheme(uri.scheme)) {
      throw invalid("{:?} is no place where tasks' outputs can be put", http::redacted(root));
    }
    if (!uri.query.empty()) access_of_query(uri.query);
  } catch (const Error& error) {
    throw Error(Code::InvalidArgument, fmt::format("pipeline_root: {}", error.message()), "pipeline_root");
  }
}

Async<json::value> Stores::providers_of(std::string ns) {
  const kube::Object found = co_await config_map(ns);
  const json::object* data = found ? find_object(*found, "data") : nullptr;
  const std::string text = data != nullptr ? get_string(*data, "providers") : std::string();
  if (text.empty()) co_return json::value();
  try {
    auto documents = parse_yaml(text, 100'000);
    if (documents.size() == 1) co_return std::move(documents[0]);
  } catch (const Error& error) {
    throw invalid("the ConfigMap {}/{}: providers: {}", ns, kConfigMap, error.message());
  }
  co_return json::value();
}

Async<std::optional<Access>> Stores::access_of(std::string ns, StoreUri uri) {
  if (uri.scheme == "file" || uri.scheme == "oci" || uri.scheme.starts_with("http")) co_return std::nullopt;
  const json::value own = co_await providers_of(std::move(ns));
  auto access = find_access(own, uri);
  if (!access) access = find_access(options_.providers, uri);
  co_return access;
}

Async<bool> Stores::is_outside(std::string ns, std::string uri, std::string root) {
  const StoreUri parsed = parse_store_uri(uri);
  if (parsed.scheme != "minio" && parsed.scheme != "s3") co_return true;
  if (!query_for(uri, root).empty()) co_return true;
  const auto access = co_await access_of(std::move(ns), parsed);
  if (access) co_return !is_own_endpoint(access->endpoint);
  if (parsed.scheme == "minio") co_return false;
  try {
    co_return !embedded_.has_bucket(parsed.bucket);
  } catch (const Error&) {
    co_return true;  // no name for a bucket of ours
  }
}

bool Stores::is_trusted(const std::string& host, const std::string& port, std::string_view scheme) const {
  return std::ranges::any_of(options_.hosts, [&](std::string_view entry) {
    if (const size_t at = entry.find("://"); at != std::string_view::npos) {
      if (!scheme.empty() && entry.substr(0, at) != scheme) return false;
      entry.remove_prefix(at + 3);
    } else if (!scheme.empty()) {
      return false;
    }
    return entry == host || entry == host + ":" + port;
  });
}

std::function<bool(const std::string&)> Stores::guard_of(const std::string& host, const std::string& port) const {
  if (is_trusted(host, port)) return nullptr;
  return [](const std::string& address) { return http::is_public_address(address); };
}

RemoteOptions Stores::remote_options(const Ask& ask) {
  RemoteOptions out;
  out.connections = &connections_;
  out.stop = begin(ask.stop);
  out.stall_timeout = options_.stall_timeout;
  return out;
}

std::shared_ptr<objects::GsTokens> Stores::tokens_of(const std::string& key_file) {
  const std::string hash = sha256_hex(key_file);
  const std::lock_guard lock(mutex_);
  if (const auto found = tokens_.find(hash); found != tokens_.end()) return found->second;
  auto made = std::make_shared<objects::GsTokens>(key_file);
  if (tokens_.size() >= kMostTokens) tokens_.clear();
  tokens_[hash] = made;
  return made;
}

Stores::Login Stores::login_of_environment(const Access& access, std::string_view scheme) const {
  const auto variable = [&](const char* name) {
    const auto found = options_.environment.find(name);
    return found == options_.environment.end() ? std::string() : found->second;
  };
  Login login;
  if (!access.access_key.empty()) {
    login = {access.access_key, access.secret_key, access.session_token, {}};
  } else if (!access.token_file.empty()) {
    login.key_file = read_file(access.token_file, "the file of a token");
  } else if (scheme == "gs") {
    const std::string file = variable("GOOGLE_APPLICATION_CREDENTIALS");
    if (!file.empty()) login.key_file = read_file(file, "GOOGLE_APPLICATION_CREDENTIALS");
  } else if (!access.anonymous) {
    login = {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN"), {}};
  }
  return login;
}

Async<Stores::Login> Stores::login_of(std::string ns, const Access& access, std::string scheme) {
  if (access.secret.empty()) co_return login_of_environment(access, scheme);
  kube::Object secret;
  try {
    secret = co_await api_.get(kube::kSecrets, ns, access.secret);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
  if (!secret) {
    throw Error(Code::Unauthenticated,
                fmt::format("the Secret {}/{} with the credentials of {}:// is not there", ns, access.secret, scheme));
  }
  const json::object* data = find_object(*secret, "data");
  const auto value = [&](const std::string& key, bool needed) {
    const auto text = base64_decode(data != nullptr && !key.empty() ? get_string(*data, key) : std::string());
    if (needed && (!text || text->empty())) {
      throw Error(Code::Unauthenticated,
                  fmt::format("the Secret {}/{} has no value under the key {:?}", ns, access.secret, key));
    }
    return text.value_or(std::string());
  };
  Login login;
  if (scheme == "gs" && access.access_key_key.empty()) {
    login.key_file = value(access.token_key, true);
  } else {
    login = {value(access.access_key_key, true),
             value(access.secret_key_key, true),
             value(access.session_token_key, false),
             {}};
  }
  co_return login;
}

Async<Stores::Place> Stores::bucket_place(const Ask& ask, const StoreUri& uri, RemoteOptions options) {
  Access access;
  const std::string query = query_for(ask.uri, ask.root);
  const auto known = co_await access_of(ask.ns, uri);
  if (!query.empty()) {
    access = access_of_query(query);
    if (!access.endpoint.empty()) {
      const http::Url url = http::parse_url(access.endpoint);
      options.may_connect = guard_of(url.host, url.port);
    }
  } else if (known) {
    access = *known;
  }
  const auto variable = [&](const char* name) {
    const auto found = options_.environment.find(name);
    return access.from_env && found != options_.environment.end() ? found->second : std::string();
  };
  Login login = co_await login_of(ask.ns, access, uri.scheme);
  options.ca_pem = access.ca_pem;
  options.verify_tls = access.verify_tls;
  Place place;
  place.options.retries = access.retries;
  place.key = uri.key;
  if (uri.scheme == "gs" && login.access_key.empty()) {
    // Where the server's own token would go, only the server says.
    const std::string endpoint = access.from_env ? variable("STORAGE_EMULATOR_HOST") : access.endpoint;
    objects::GsPlace bucket{uri.bucket, endpoint, nullptr};
    if (!login.key_file.empty()) bucket.tokens = tokens_of(login.key_file);
    place.remote = std::make_shared<objects::GsRemote>(std::move(bucket), std::move(options));
    co_return place;
  }
  objects::S3Place bucket;
  bucket.bucket = uri.bucket;
  bucket.scheme = uri.scheme;
  bucket.endpoint = access.endpoint;
  bucket.region = access.region;
  if (uri.scheme == "gs" && bucket.endpoint.empty()) bucket.endpoint = "https://storage.googleapis.com";
  if (bucket.endpoint.empty()) bucket.endpoint = variable("AWS_ENDPOINT_URL_S3");
  if (bucket.endpoint.empty()) bucket.endpoint = variable("AWS_ENDPOINT_URL");
  if (bucket.region.empty()) bucket.region = variable("AWS_REGION");
  if (bucket.region.empty()) bucket.region = variable("AWS_DEFAULT_REGION");
  bucket.path_style = access.path_style;
  bucket.access_key = std::move(login.access_key);
  bucket.secret_key = std::move(login.secret_key);
  bucket.session_token = std::move(login.session_token);
  place.remote = std::make_shared<objects::S3Remote>(std::move(bucket), std::move(options));
  co_return place;
}

Stores::Place Stores::file_place(const StoreUri& uri, const RemoteOptions& options) const {
  const std::filesystem::path path = std::filesystem::path("/" + uri.key).lexically_normal();
  for (const auto& folder : options_.folders) {
    const auto inside = path.lexically_relative(folder);
    if (inside.empty() || *inside.begin() == "..") continue;
    Place place;
    place.remote = std::make_shared<objects::FileRemote>(folder, options.stop);
    place.key = inside == "." ? "" : inside.generic_string();
    while (place.key.ends_with('/')) place.key.pop_back();
    return place;
  }
  throw Error(Code::PermissionDenied,
              fmt::format("file://{} is in no folder that the server's option --store-folders allows", path.string()));
}

std::optional<std::filesystem::path> Stores::local_path(const std::string& uri) const {
  if (!uri.starts_with("file://")) return std::nullopt;
  RemoteOptions options;
  options.stop = std::make_shared<Stop>();
  const Place place = file_place(parse_store_uri(uri), options);
  return place.remote->local_path(place.key);
}

Async<std::optional<objects::RegistryLogin>> Stores::registry_login(std::string ns, std::string registry) {
  kube::ListQuery query;
  query.ns = std::move(ns);
  const kube::List secrets = co_await api_.list(kube::kSecrets, query);
  for (const auto& secret : secrets.items) {
    const std::string type = get_string(*secret, "type");
    const std::string_view key = type == "kubernetes.io/dockerconfigjson" ? ".dockerconfigjson"
                                 : type == "kubernetes.io/dockercfg"      ? ".dockercfg"
                                                                          : "";
    const json::object* data = find_object(*secret, "data");
    if (key.empty() || data == nullptr) continue;
    const auto text = base64_decode(get_string(*data, key));
    if (auto login = text ? objects::find_login(*text, registry) : std::nullopt) co_return login;
  }
  co_return std::nullopt;
}

Async<Stores::Place> Stores::place_of(Ask ask) {
  const StoreUri uri = parse_store_uri(ask.uri);
  RemoteOptions options = remote_options(ask);
  const auto stop = options.stop;
  Place place;
  if (uri.scheme == "file") {
    place = file_place(uri, options);
  } else if (uri.scheme == "oci") {
    const auto reference = objects::parse_oci_reference(uri.bucket + (uri.key.empty() ? "" : "/" + uri.key));
    const http::Url host = http::parse_url("https://" + reference.registry);
    options.may_connect = guard_of(host.host, host.port);
    const bool plain = is_trusted(host.host, host.port, "http");
    auto login = co_await registry_login(ask.ns, reference.registry);
    place.image = std::make_shared<objects::OciImage>(reference, plain, std::move(login), options);
  } else if (uri.scheme == "http" || uri.scheme == "https") {
    const http::Url url = http::parse_url(ask.uri);
    options.may_connect = guard_of(url.host, url.port);
    // A host is trusted for itself: it may not send us elsewhere.
    const int redirects = options.may_connect ? kRedirects : 0;
    place.remote = std::make_shared<objects::HttpRemote>(ask.uri, redirects, options_.max_download, options);
  } else {
    place = co_await bucket_place(ask, uri, options);
  }
  place.options.stop = stop;
  co_return place;
}

Async<> Stores::fetch(Ask ask, std::filesystem::path target) {
  const Place place = co_await place_of(std::move(ask));
  const std::function<void()> work = [&] {
    if (!place.image) return objects::fetch_tree(*place.remote, place.key, target, place.options);
    if (std::filesystem::exists(std::filesystem::symlink_status(target))) return;
    const auto fresh = target.parent_path() / (".fetch-" + new_uuid());
    struct Remove {
      const std::filesystem::path& path;
      ~Remove() {
        std::error_code error;
        std::filesystem::remove_all(path, error);
        std::filesystem::remove(path.string() + ".layer", error);
      }
    } remove{fresh};
    std::filesystem::create_directories(target.parent_path());
    objects::with_retries(place.options, [&] {
      std::filesystem::remove_all(fresh);
      place.image->pull(fresh);
    });
    std::filesystem::rename(fresh, target);
  };
  co_await pool_.run(work);
}

Async<> Stores::put(Ask ask, std::filesystem::path folder) {
  const Place place = co_await place_of(std::move(ask));
  if (!place.remote) throw Error(Code::Unimplemented, "nothing is put to a registry");
  const std::function<void()> work = [&] { objects::put_tree(*place.remote, folder, place.key, place.options); };
  co_await pool_.run(work);
}

Async<bool> Stores::exists(Ask ask) {
  const Place place = co_await place_of(std::move(ask));
  const std::function<bool()> work = [&] {
    if (!place.image) return objects::exists(*place.remote, place.key, place.options);
    bool there = false;
    objects::with_retries(place.options, [&] { there = place.image->find().has_value(); });
    return there;
  };
  co_return co_await quick_.run(work);
}

Async<> Stores::remove(Ask ask) {
  const Place place = co_await place_of(std::move(ask));
  if (!place.remote || place.key.empty()) throw Error(Code::Unimplemented, "it cannot be removed");
  const std::function<void()> work = [&] { objects::remove_tree(*place.remote, place.key, place.options); };
  co_await pool_.run(work);
}

Async<std::optional<Stores::Opened>> Stores::open(Ask ask) {
  Place place = co_await place_of(std::move(ask));
  if (!place.remote) throw Error(Code::Unimplemented, "an image is read by tasks alone");
  std::optional<Opened> out;
  const std::function<void()> work = [&] {
    objects::with_retries(place.options, [&] {
      auto found = place.remote->find(place.key);
      if (found) out = Opened{place.remote, std::move(*found), place.options};
    });
  };
  co_await quick_.run(work);
  co_return out;
}

Async<> Stores::stream(Opened opened, http::BodyWriter& out) {
  for (uint64_t at = 0; at < opened.object.size;) {
    const uint64_t want = std::min(kPiece, opened.object.size - at);
    std::string piece;
    const std::function<void()> work = [&] {
      objects::with_retries(opened.options, [&] {
        piece.clear();
        opened.remote->read(opened.object, at, want, [&](std::string_view bytes) {
          piece.append(bytes);
          return true;
        });
      });
    };
    co_await quick_.run(work);
    co_await out.write(piece);
    at += want;
  }
}

Async<std::string> Stores::read(Ask ask, uint64_t limit) {
  const std::string name = http::redacted(ask.uri);
  const auto opened = co_await open(std::move(ask));
  if (!opened) throw not_found("there is no object {}", name);
  std::string text;
  const std::function<void()> work = [&] {
    objects::with_retries(opened->options, [&] {
      text.clear();
      const uint64_t length =
          opened->object.size == objects::kUnknownSize ? opened->object.size : std::min(limit, opened->object.size);
      opened->remote->read(opened->object, 0, length, [&](std::string_view bytes) {
        text.append(bytes.substr(0, limit - text.size()));
        return text.size() < limit;
      });
    });
  };
  co_await quick_.run(work);
  co_return text;
}

Async<std::vector<objects::RemoteObject>> Stores::list(Ask ask, size_t limit) {
  Place place = co_await place_of(std::move(ask));
  if (!place.remote) throw Error(Code::Unimplemented, "an image is read by tasks alone");
  std::vector<objects::RemoteObject> out;
  const std::function<void()> work = [&] {
    const std::string prefix = place.key.empty() || place.key.ends_with('/') ? place.key : place.key + "/";
    objects::RemotePage page;
    do {
      objects::with_retries(place.options, [&, token = page.next] { page = place.remote->list(prefix, token, limit); });
      std::ranges::move(page.objects, std::back_inserter(out));
    } while (!page.next.empty() && out.size() < limit);
    if (out.size() > limit) out.resize(limit);
  };
  co_await quick_.run(work);
  co_return out;
}

}  // namespace penstock::stores
