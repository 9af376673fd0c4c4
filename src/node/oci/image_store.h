// Images' files as folders of this machine, for volumes of the kind `image` (Kubernetes' KEP-4639).
//
//   <data>/images/<first 24 digits of the image's id>/   its files, complete and never changed
#pragma once

#include <filesystem>
#include <string>

#include "base/async.h"
#include "node/oci/engine.h"

namespace penstock::node {

class ImageStore {
 public:
  ImageStore(std::filesystem::path data, std::filesystem::path socket);

  // The folder with the files of `reference`; pulls it as `pull_policy` and `registry_auth` say (see ProcessSpec), and
  // unpacks it once. Device files and what would lie outside of the folder are left out. May be called on any loop.
  // Throws NotFound when there is no such image, Unavailable without the engine, Internal when the disk refuses.
  Async<std::filesystem::path> files(std::string reference, std::string pull_policy, std::string registry_auth);

 private:
  Async<std::filesystem::path> unpack(std::string reference, std::string pull_policy, std::string registry_auth);

  std::filesystem::path folder_;
  ContainerEngine engine_;
  Loop loop_;  // what the engine sends is written here
};

// Makes sure that the engine has the image. Throws NotFound with the engine's words.
Async<> ensure_image(const ContainerEngine& engine, std::string image, std::string pull_policy,
                     std::string registry_auth);

// Unpacks a tar into `folder`, which is made. Blocks. Throws Internal.
void unpack_tar(const std::filesystem::path& tar, const std::filesystem::path& folder);

}  // namespace penstock::node
