#include "objects/remote/oci_image.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <algorithm>

#include "base/base64.h"
#include "base/clock.h"
#include "http/message.h"
#include "objects/checksum.h"
#include "objects/descriptor.h"

namespace penstock::objects {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxManifest = 4 << 20;
constexpr std::string_view kDocker = "docker.io", kDockerRegistry = "registry-1.docker.io";
constexpr std::string_view kManifests =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

// realm="https://auth.example/token",service="registry",scope="repository:x:pull"
std::string challenge_value(std::string_view challenge, std::string_view name) {
  const std::string wanted = std::string(name) + "=\"";
  const size_t at = challenge.find(wanted);
  if (at == std::string_view::npos) return {};
  const auto rest = challenge.substr(at + wanted.size());
  return std::string(rest.substr(0, rest.find('"')));
}

std::string machine() {
  utsname names{};
  ::uname(&names);
  const std::string_view name = names.machine;
  return name == "x86_64" ? "amd64" : name == "aarch64" ? "arm64" : std::string(name);
}

std::string basic(const RegistryLogin& login) { return "Basic " + base64_encode(login.user + ":" + login.password); }

bool is_tar(std::string_view media_type) { return media_type.find("tar") != std::string_view::npos; }

// Where a layer that is a plain file goes: by its title, below "models".
fs::path file_of(const json::value& layer, const fs::path& target) {
  const std::string title = string_at(layer, {"annotations", "org.opencontainers.image.title"});
  if (title.empty()) return {};
  fs::path name = fs::path(title).lexically_normal();
  if (name.is_absolute() || name.empty() || *name.begin() == ".." || !name.has_filename()) {
    throw invalid("a layer is titled {:?}, which leads out of its folder", title);
  }
  return *name.begin() == "models" ? target / name : target / "models" / name;
}

}  // namespace

OciReference parse_oci_reference(std::string_view text) {
  const auto bad = [&](std::string_view why) { return invalid("{:?} is no image: {}", std::string(text), why); };
  OciReference out;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    out.reference = rest.substr(at + 1);
    rest = rest.substr(0, at);
    const auto digest = std::string_view(out.reference);
    if (!digest.starts_with("sha256:") || digest.size() != 71) throw bad("its digest is not sha256:…");
  }
  if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos && rest.find('/', colon) == rest.npos) {
    if (out.reference.empty()) out.reference = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  const size_t slash = rest.find('/');
  const std::string_view first = rest.substr(0, slash);
  const bool named =
      slash != std::string_view::npos && (first.find_first_of(".:[") != std::string_view::npos || first == "localhost");
  out.registry = named ? first : kDocker;
  out.repository = named ? rest.substr(slash + 1) : rest;
  if (out.registry == kDocker && out.repository.find('/') == std::string::npos) out.repository.insert(0, "library/");
  if (out.reference.empty()) out.reference = "latest";
  const auto plain = [](std::string_view name, std::string_view also) {
    return !name.empty() && std::ranges::all_of(name, [&](unsigned char c) {
      return std::isalnum(c) || also.find(static_cast<char>(c)) != std::string_view::npos;
    });
  };
  if (!plain(out.repository, "._-/") || out.repository.find("..") != std::string::npos) throw bad("its name is wrong");
  if (!plain(out.reference, "._-:")) throw bad("its tag is wrong");
  if (!plain(out.registry, ".-:[]")) throw bad("its registry is wrong");
  return out;
}

std::optional<RegistryLogin> find_login(std::string_view docker_config, const std::string& registry) {
  json::value config;
  try {
    config = parse_json(docker_config);
  } catch (const Error&) {
    return std::nullopt;
  }
  const auto* auths = find(config, "auths");
  if (auths == nullptr || !auths->is_object()) auths = &config;  // the older form, .dockercfg
  if (!auths->is_object()) return std::nullopt;
  for (const auto& [key, entry] : auths->get_object()) {
    std::string_view host = key;
    if (const size_t scheme = host.find("://"); scheme != std::string_view::npos) host.remove_prefix(scheme + 3);
    host = host.substr(0, host.find('/'));
    if (host != registry && !(registry == kDocker && host == "index.docker.io")) continue;
    RegistryLogin login{string_at(entry, {"username"}), string_at(entry, {"password"})};
    const auto both = base64_decode(string_at(entry, {"auth"}));
    if (login.user.empty() && both && both->find(':') != std::string::npos) {
      login = {both->substr(0, both->find(':')), both->substr(both->find(':') + 1)};
    }
    if (!login.user.empty()) return login;
  }
  return std::nullopt;
}

OciImage::OciImage(OciReference reference, bool http, std::optional<RegistryLogin> login, RemoteOptions options)
    : reference_(std::move(reference)), login_(std::move(login)), options_(std::move(options)) {
  const std::string host = reference_.registry == kDocker ? std::string(kDockerRegistry) : reference_.registry;
  base_ = fmt::format("{}://{}/v2/{}", http ? "http" : "https", host, reference_.repository);
}

std::string OciImage::name() const {
  const bool digest = reference_.reference.starts_with("sha256:");
  return fmt::format("oci://{}/{}{}{}", reference_.registry, reference_.repository, digest ? "@" : ":",
                     reference_.reference);
}

Error OciImage::error_of(const http::ClientResponse& response) const {
  std::string words;
  try {
    const json::value body = parse_json(response.body);
    if (const auto* errors = find_path(body, {"errors"}); errors && errors->is_array() && !errors->get_array().empty())
      words = fmt::format(": {} {}", string_at(errors->get_array()[0], {"code"}),
                          string_at(errors->get_array()[0], {"message"}));
  } catch (const Error&) {
    // A proxy's own words are of no use.
  }
  const std::string_view whose =
      response.status == 401 ? (login_ ? " to the login of a Secret" : " without a login") : "";
  return remote_error(response.status, fmt::format("{}: the registry answers with the status {}{}{}", name(),
                                                   response.status, whose, words));
}

http::ClientRequest OciImage::make(const std::string& path) const {
  http::ClientRequest request = remote_request(options_, "GET", base_ + path);
  request.max_redirects = 5;  // blobs lie elsewhere, as a rule; libcurl sends no Authorization there
  return request;
}

// A registry says itself where tokens are got.
bool OciImage::log_in(std::string_view challenge) {
  if (challenge.starts_with("Basic") || challenge.starts_with("basic")) {
    if (!login_) return false;
    authorization_ = basic(*login_);
    return true;
  }
  std::string realm = challenge_value(challenge, "realm");
  if (!challenge.starts_with("Bearer") || realm.empty()) return false;
  realm += realm.find('?') == std::string::npos ? "?" : "&";
  realm += fmt::format("service={}&scope={}", http::url_encode(challenge_value(challenge, "service")),
                       http::url_encode(fmt::format("repository:{}:pull", reference_.repository)));
  http::ClientRequest request = remote_request(options_, "GET", realm);
  // A password over no TLS only to a registry that has none either.
  if (login_ && (realm.starts_with("https://") || base_.starts_with("http://"))) {
    request.headers.emplace_back("Authorization", basic(*login_));
  }
  const http::ClientResponse response = remote_fetch(options_, request);
  if (response.status != 200) throw error_of(response);
  const json::value answer = parse_json(response.body);
  const std::string token = string_at(answer, {"token"}, string_at(answer, {"access_token"}));
  authorization_ = "Bearer " + token;
  return !token.empty();
}

http::ClientResponse OciImage::send(http::ClientRequest request) {
  const auto plain = request.headers;
  for (int turn = 0;; ++turn) {
    request.headers = plain;
    if (!authorization_.empty()) request.headers.emplace_back("Authorization", authorization_);
    http::ClientResponse response = remote_fetch(options_, request);
    if (response.status != 401 || turn > 0 || !log_in(response.header("www-authenticate"))) return response;
  }
}

std::optional<OciImage::Manifest> OciImage::manifest(const std::string& reference) {
  http::ClientRequest request = make("/manifests/" + reference);
  request.headers.emplace_back("Accept", kManifests);
  std::string body;
  request.on_answer = [](const http::ClientResponse& answer) { return answer.status == 200; };
  request.on_data = [&](std::string_view piece) {
    body.append(piece);
    return body.size() <= kMaxManifest;
  };
  const http::ClientResponse response = send(std::move(request));
  if (response.status == 404) return std::nullopt;
  if (response.status != 200) throw error_of(response);
  if (body.size() > kMaxManifest) throw invalid("{}: its manifest is longer than {} bytes", name(), kMaxManifest);
  const std::string digest = "sha256:" + sha256_hex(body);
  if (reference.starts_with("sha256:") && reference != digest) {
    throw Error(Code::DataLoss, fmt::format("{}: the manifest {} does not have its digest", name(), reference));
  }
  return Manifest{digest, parse_json(body)};
}

std::optional<std::string> OciImage::find() {
  const auto found = manifest(reference_.reference);
  return found ? std::optional(found->digest) : std::nullopt;
}

OciImage::Manifest OciImage::manifest_of_this_machine() {
  auto found = manifest(reference_.reference);
  if (!found) throw not_found("there is no image {}", name());
  const auto* list = find_path(found->body, {"manifests"});
  if (list == nullptr || !list->is_array()) return std::move(*found);
  std::string digest;
  for (const json::value& one : list->get_array()) {
    const std::string of = string_at(one, {"platform", "architecture"});
    if (digest.empty() && (of == machine() || of.empty() || of == "unknown")) digest = string_at(one, {"digest"});
    if (of == machine()) digest = string_at(one, {"digest"});
    if (of == machine()) break;
  }
  if (digest.empty()) throw invalid("{}: it has nothing for {}", name(), machine());
  auto own = manifest(digest);
  if (!own) throw not_found("{}: its manifest {} is not there", name(), digest);
  return std::move(*own);
}

void OciImage::pull_blob(const std::string& digest, const fs::path& to) {
  if (!digest.starts_with("sha256:") || digest.size() != 71) throw invalid("{}: {:?} is no digest", name(), digest);
  const Descriptor out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out) throw_disk("writing " + to.string());
  Digest hash(Algorithm::Sha256);
  http::ClientRequest request = make("/blobs/" + digest);
  request.on_answer = [](const http::ClientResponse& answer) { return answer.status == 200; };
  request.on_data = [&](std::string_view piece) {
    hash.update(piece);
    write_all(out.get(), piece);
    return true;
  };
  const http::ClientResponse response = send(std::move(request));
  if (response.status != 200) throw error_of(response);
  if ("sha256:" + hex(hash.finish()) != digest) {
    throw Error(Code::DataLoss, fmt::format("{}: the blob {} does not have its digest", name(), digest));
  }
}

void OciImage::pull(const fs::path& target) {
  const Manifest manifest = manifest_of_this_machine();
  const auto* layers = find_path(manifest.body, {"layers"});
  if (layers == nullptr || !layers->is_array()) throw invalid("{}: its manifest has no layers", name());
  fs::create_directories(target);
  for (const json::value& layer : layers->get_array()) {
    options_.stop->check();
    const std::string digest = string_at(layer, {"digest"});
    const bool tar = is_tar(string_at(layer, {"mediaType"}));
    fs::path file = tar ? fs::path(target.string() + ".layer") : file_of(layer, target);
    if (file.empty()) continue;
    if (!tar) fs::create_directories(file.parent_path());
    pull_blob(digest, file);
    if (!tar) continue;
    apply_layer(file, target, *options_.stop);
    fs::remove(file);
  }
}

}  // namespace penstock::objects
