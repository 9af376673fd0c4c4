// An image or artifact in a registry, by the OCI distribution API: its files are pulled into a folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.h"
#include "objects/remote/remote.h"

namespace penstock::objects {

// "registry.example:5000/models/cat:1@sha256:…", as Docker and Kubernetes read it: without a registry it is Docker's.
struct OciReference {
  std::string registry;  // "registry.example:5000"
  std::string repository;
  std::string reference;  // the digest, else the tag, else "latest"
};

// Throws InvalidArgument.
OciReference parse_oci_reference(std::string_view text);

// The user's name and password for a registry in the text of a dockerconfigjson Secret; empty where it has none.
struct RegistryLogin {
  std::string user, password;
};
std::optional<RegistryLogin> find_login(std::string_view docker_config, const std::string& registry);

class OciImage {
 public:
  // `http`: the registry speaks no TLS.
  OciImage(OciReference reference, bool http, std::optional<RegistryLogin> login, RemoteOptions options);

  std::string name() const;
  // Empty when it is not there: else the digest of its manifest.
  std::optional<std::string> find();
  // Makes `target`, which is not there yet, a folder with the image's files as a container would see them; those of an
  // artifact whose layers are plain files stand in its subfolder `models`. Every blob is checked against its digest.
  // Nothing of a layer is written outside of `target`, whatever its names and links say. The caller removes what is
  // half-made after an error. NotFound, PermissionDenied, Unauthenticated, InvalidArgument for an image that is wrong.
  void pull(const std::filesystem::path& target);

 private:
  struct Manifest {
    std::string digest;
    json::value body;
  };
  http::ClientRequest make(const std::string& path) const;
  http::ClientResponse send(http::ClientRequest request);
  bool log_in(std::string_view challenge);
  std::optional<Manifest> manifest(const std::string& reference);
  Manifest manifest_of_this_machine();
  void pull_blob(const std::string& digest, const std::filesystem::path& to);
  Error error_of(const http::ClientResponse& response) const;

  OciReference reference_;
  std::string base_;
  std::optional<RegistryLogin> login_;
  RemoteOptions options_;
  std::string authorization_;  // of the header
};

// Unpacks a layer, a tar file which may be compressed by gzip or zstd, over what is in `folder`. Names and links that
// lead out of it are refused with InvalidArgument; devices and owners are left out, files' modes kept but for set-uid.
void apply_layer(const std::filesystem::path& layer, const std::filesystem::path& folder, const Stop& stop);

}  // namespace penstock::objects
