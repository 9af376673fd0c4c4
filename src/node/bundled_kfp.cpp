#include "node/bundled_kfp.h"

#include <cstring>
#include <fstream>

#include "base/clock.h"
#include "base/error.h"

namespace penstock::node {

namespace fs = std::filesystem;

std::string bundled_kfp_hash() {
  std::string all;
  for (const auto& file : bundled_kfp_files()) {
    all += fmt::format("{} {}\n", file.name, file.text().size());
    all += file.text();
  }
  return sha256_hex(all);
}

namespace {

void write_all(const fs::path& folder) {
  for (const auto& file : bundled_kfp_files()) {
    const fs::path path = folder / file.name;
    fs::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out.write(file.begin, file.end - file.begin);
    out.close();
    if (!out) throw internal("cannot write {}: {}", path.string(), std::strerror(errno));
  }
}

}  // namespace

fs::path unpack_bundled_kfp(const fs::path& data) {
  if (bundled_kfp_files().empty()) return {};
  const fs::path folder = data / "envs" / ("kfp-" + bundled_kfp_hash().substr(0, 12));
  if (fs::is_directory(folder)) return folder;
  const fs::path fresh = folder.string() + "." + random_suffix(8);
  try {
    write_all(fresh);
    std::error_code error;
    fs::rename(fresh, folder, error);
    // Another server on the same folder was quicker.
    if (error && !fs::is_directory(folder)) throw internal("cannot rename {}: {}", fresh.string(), error.message());
  } catch (const fs::filesystem_error& e) {
    std::error_code ignored;
    fs::remove_all(fresh, ignored);
    throw internal("cannot unpack the kfp package: {}", e.what());
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove_all(fresh, ignored);
    throw;
  }
  std::error_code ignored;
  fs::remove_all(fresh, ignored);
  return folder;
}

}  // namespace penstock::node
