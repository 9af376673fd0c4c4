// What lies in an archive, without unpacking it: tar (also compressed) and zip.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "objects/reader.h"

namespace penstock::pipelines::preview {

struct ArchiveEntry {
  std::string name;
  std::string kind;  // "file", "folder", "link", "other"
  uint64_t size = 0;
};

struct ArchiveList {
  std::string format;  // "GNU tar format", as libarchive calls it
  std::vector<ArchiveEntry> entries;
  bool truncated = false;
  std::string problem{};  // what is wrong behind these entries
};

struct ArchiveLimits {
  size_t entries = 1'000;
  uint64_t bytes = 32u << 20;  // read of the file
  std::chrono::milliseconds time{2'000};
};

// Blocks. InvalidArgument when it is none of these archives, or damaged from the beginning. Past a limit it is
// truncated.
ArchiveList list_archive(objects::Reader& reader, const ArchiveLimits& limits);

}  // namespace penstock::pipelines::preview
