// A folder of an artifact as one archive, made piece by piece while it is sent. Private to this folder.
#pragma once

#include <memory>
#include <string>

#include "pipelines/api/artifact_bytes.h"

namespace penstock::pipelines::api {

enum class ArchiveFormat { TarGz, Zip };

class FolderArchive {
 public:
  FolderArchive(ArtifactBytes folder, ArchiveFormat format);
  ~FolderArchive();
  // The next bytes of it; empty at its end. Blocks. DataLoss when a file changes its size meanwhile.
  std::string next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::pipelines::api
