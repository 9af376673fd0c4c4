// The kfp package inside the program: what `import kfp` finds in a step that didn't bring its own.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace penstock::node {

struct BundledFile {
  const char* name = nullptr;  // "kfp/dsl/executor.py"
  const char* begin = nullptr;
  const char* end = nullptr;

  std::string_view text() const { return {begin, static_cast<size_t>(end - begin)}; }
};

// Sorted by name. Empty when the program was built without the package.
std::span<const BundledFile> bundled_kfp_files();

// The SHA-256 of all names and texts.
std::string bundled_kfp_hash();

// Writes the files into <data>/envs/kfp-<12 characters of the hash>/ unless they are there, all or none, and returns
// that folder, which is to be put in PYTHONPATH; empty when nothing is bundled. Blocks. Throws Internal when it
// cannot write.
std::filesystem::path unpack_bundled_kfp(const std::filesystem::path& data);

}  // namespace penstock::node
