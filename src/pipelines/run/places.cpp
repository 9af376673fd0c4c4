#include "pipelines/run/places.h"

#include <algorithm>

#include "base/clock.h"

namespace penstock::pipelines {

namespace fs = std::filesystem;

namespace {

bool is_plain(std::string_view path) {
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, end - at);
    if (part == "." || part == ".." || part.find('\0') != std::string_view::npos) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace

std::optional<fs::path> embedded_path(const fs::path& objects, std::string_view uri) {
  for (const std::string_view scheme : {"minio://", "s3://"}) {
    if (!uri.starts_with(scheme)) continue;
    const auto rest = uri.substr(scheme.size());
    if (rest.empty() || rest.front() == '/' || !is_plain(rest)) return std::nullopt;
    return objects / rest;
  }
  return std::nullopt;
}

std::optional<fs::path> Places::path_of(std::string_view uri) const {
  if (const auto found = inputs.find(uri); found != inputs.end()) return found->second;
  if (output && uri.starts_with(output_prefix)) {
    auto rest = uri.substr(output_prefix.size());
    if (rest.empty()) return output;
    if (rest.front() == '/' && is_plain(rest)) return *output / rest.substr(1);
  }
  return uri.starts_with("minio://") && !(output && uri.starts_with(output_prefix)) ? embedded_path(objects, uri)
                                                                                    : std::nullopt;
}

std::vector<std::pair<std::string, std::string>> Places::prefixes() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [uri, path] : inputs) out.emplace_back(uri, path.string());
  if (output) out.emplace_back(output_prefix, output->string());
  std::ranges::sort(out, [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  return out;
}

fs::path staging_folder(const fs::path& data, const std::string& uid) { return data / "staged" / uid; }

fs::path staged_input(const fs::path& data, const std::string& uid, const std::string& uri) {
  std::string_view name = uri;
  name = name.substr(0, name.find('?'));
  while (name.ends_with('/')) name.remove_suffix(1);
  name.remove_prefix(name.rfind('/') + 1);
  const bool usable = !name.empty() && name.size() <= 200 && is_plain(name);
  return staging_folder(data, uid) / "in" / sha256_hex(uri).substr(0, 20) / (usable ? name : "object");
}

fs::path staged_output(const fs::path& data, const std::string& uid) { return staging_folder(data, uid) / "out"; }

std::vector<std::string> input_uris(const engine::LaunchSpec& spec) {
  std::vector<std::string> uris;
  const auto* section = find_object(spec.executor_input, "inputs");
  const auto* inputs = section != nullptr ? find_object(*section, "artifacts") : nullptr;
  if (inputs == nullptr) return uris;
  for (const auto& [name, entry] : *inputs) {
    const auto* list = find(entry, "artifacts");
    if (list == nullptr || !list->is_array()) continue;
    for (const auto& artifact : list->get_array()) {
      if (!artifact.is_object() || get_bool(artifact.get_object(), "unwritten")) continue;
      const auto* metadata = find_object(artifact.get_object(), "metadata");
      if (metadata != nullptr && get_bool(*metadata, "_kfp_workspace")) continue;
      if (auto uri = string_at(artifact, {"uri"}); !uri.empty()) uris.push_back(std::move(uri));
    }
  }
  return uris;
}

void note_unwritten(engine::Outputs& outputs, const std::string& prefix, const fs::path& folder) {
  for (auto& [name, list] : outputs.artifacts) {
    for (auto& item : list.as_array()) {
      const std::string uri = string_at(item, {"uri"});
      if (!uri.starts_with(prefix + "/") || !is_plain(uri.substr(prefix.size()))) continue;
      std::error_code error;
      const auto status = fs::symlink_status(folder / uri.substr(prefix.size() + 1), error);
      if (!fs::exists(status)) item.as_object()["unwritten"] = true;
    }
  }
}

}  // namespace penstock::pipelines
