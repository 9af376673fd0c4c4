#include "pipelines/run/workspace.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "pipelines/run/controller.h"

namespace penstock::pipelines {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kWorkspaceSuffix = "-kfp-workspace";
constexpr std::string_view kClaimLabel = "penstock.dev/run-claim";  // of volumeClaimTemplates

void merge(json::object& into, const json::object& patch) {
  for (const auto& [key, value] : patch) {
    auto* known = into.if_contains(key);
    if (known != nullptr && known->is_object() && value.is_object()) {
      merge(known->get_object(), value.get_object());
    } else {
      into[key] = value;
    }
  }
}

}  // namespace

std::string workspace_claim_name(std::string_view resource_name) {
  return fmt::format("{}{}", resource_name, kWorkspaceSuffix);
}

json::object make_workspace_claim(const ir::PipelineConfig& config, std::string_view name, std::string_view ns,
                                  std::string_view run_id) {
  json::object spec{{"accessModes", json::array{"ReadWriteOnce"}},
                    {"resources", {{"requests", {{"storage", config.workspace_size}}}}}};
  if (config.workspace_patch != nullptr) merge(spec, *config.workspace_patch);
  return {{"apiVersion", "v1"},
          {"kind", "PersistentVolumeClaim"},
          {"metadata", {{"name", name}, {"namespace", ns}, {"labels", {{kRunLabel, run_id}}}}},
          {"spec", std::move(spec)}};
}

void copy_into_workspace(const fs::path& objects, const fs::path& object, const fs::path& workspace,
                         const fs::path& path) {
  const OpenFolder root(::open(objects.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const OpenFolder source(static_cast<int>(::syscall(SYS_openat2, root.fd(), object.c_str(), &how, sizeof how)));
  if (source.fd() < 0) throw not_found("there is no object {}", object.string());
  // Beside the workspace, where no task comes, and then moved: the copy's own paths cannot be led astray.
  const fs::path fresh = workspace.parent_path() / (".copy-" + new_uuid());
  struct Remove {
    const fs::path& path;
    ~Remove() { remove_folder(path); }
  } remove{fresh};
  fs::create_directories(workspace);
  // What is open, by whatever name it goes now; "/." as the link itself would be copied.
  const fs::path opened = fmt::format("/proc/self/fd/{}", source.fd());
  fs::copy(fs::is_directory(opened) ? opened / "." : fs::read_symlink(opened), fresh,
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  OpenFolder folder(::open(workspace.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.fd() < 0) throw_errno(fmt::format("cannot open {}", workspace.string()));
  const auto parent = path.parent_path();
  for (const auto& part : parent) folder.enter(part.string());
  const auto name = path.filename().string();
  if (::renameat(AT_FDCWD, fresh.c_str(), folder.fd(), name.c_str()) == 0) return;
  // Something of that name is there: it goes with the folder of the copy.
  if (::renameat2(AT_FDCWD, fresh.c_str(), folder.fd(), name.c_str(), RENAME_EXCHANGE) != 0) {
    throw_errno(fmt::format("cannot put {} into the workspace", path.string()));
  }
}

Async<std::string> RunController::ensure_workspace(RunPtr run) {
  const auto& info = run->engine.info();
  const auto& config = run->engine.pipeline().config;
  if (config.workspace_size.empty()) co_return std::string();
  auto name = workspace_claim_name(info.resource_name);
  co_await create_own_claim(make_workspace_claim(config, name, info.ns, info.run_id));
  if (run->workspace.empty()) run->workspace = name;
  co_return name;
}

Async<> RunController::ensure_claims(RunPtr run) {
  const auto& info = run->engine.info();
  const auto* claims = run->engine.pipeline().config.claims;
  if (claims == nullptr || run->has_claims) co_return;
  for (const auto& from : *claims) {
    json::object claim = from.as_object();
    const auto name = fmt::format("{}-{}", info.resource_name, string_at(from, {"metadata", "name"}));
    claim["apiVersion"] = "v1";
    claim["kind"] = "PersistentVolumeClaim";
    claim["metadata"] = json::object{
        {"name", name}, {"namespace", info.ns}, {"labels", {{kRunLabel, info.run_id}, {kClaimLabel, "true"}}}};
    co_await create_own_claim(std::move(claim));
  }
  run->has_claims = true;
}

// It goes with the run that succeeded or is deleted; one that failed may be retried.
Async<> RunController::drop_workspace(std::string run_id) {
  try {
    kube::ListQuery query;
    query.label_selector = fmt::format("{}={}", kRunLabel, run_id);
    const auto claims = co_await api_.list(kube::kPersistentVolumeClaims, query);
    for (const auto& claim : claims.items) {
      const std::string name(kube::name_of(*claim));
      if (!name.ends_with(kWorkspaceSuffix) && kube::label_of(*claim, kClaimLabel).empty()) continue;
      co_await api_.remove(kube::kPersistentVolumeClaims, std::string(kube::namespace_of(*claim)), name);
    }
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) spdlog::warn("the workspace of run {} stays: {}", run_id, error.message());
  }
}

// Empty, or why it cannot be done.
Async<std::string> RunController::import_into_workspace(RunPtr run, std::string uri) {
  std::string failure;
  try {
    const auto claim = co_await ensure_workspace(run);
    if (claim.empty()) {
      co_return "the importer downloads into the workspace, but the pipeline has none: set one in its PipelineConfig";
    }
    const auto folder = options_.claim_folder(run->engine.info().ns, claim);
    const std::filesystem::path path = std::filesystem::path(engine::workspace_path(uri)).lexically_normal();
    const bool outside = co_await is_outside(*run, uri);
    const auto embedded = embedded_path(options_.objects, uri);
    if (!outside && !embedded) throw invalid("{} names no object", uri);
    // Beside what tasks see, until it is whole.
    const std::filesystem::path fetched = staging_folder(options_.data, new_uuid());
    struct Remove {
      const std::filesystem::path& path;
      ~Remove() { remove_folder(path); }
    } remove{fetched};
    if (outside && options_.stores == nullptr) throw invalid("{} is of a store that is not known here", uri);
    if (outside) co_await options_.stores->fetch(ask_for(*run, uri), fetched / "object");
    const std::function<void()> copy = [&] {
      if (outside) return copy_into_workspace(fetched, "object", folder, path);
      if (options_.lay_out) options_.lay_out(uri);
      copy_into_workspace(options_.objects, embedded->lexically_relative(options_.objects), folder, path);
    };
    co_await pool_.run(copy);
  } catch (const Error& error) {
    failure = error.message();
  } catch (const std::filesystem::filesystem_error& error) {
    failure = error.what();
  }
  co_return failure;
}

}  // namespace penstock::pipelines
