// The folders of a pod on this machine, and what each of its volumes is there.
//
//   <data>/pods/<uid>/              0700; removed when the pod object is deleted
//   <data>/pods/<uid>/tmp           the private /tmp, unless the pod's annotation names another
//   <data>/pods/<uid>/volumes/<v>/  emptyDir, and the files of Secrets, ConfigMaps and the downward API
//   <data>/volumes/<ns>/<claim>/    a persistent volume claim
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "node/host/spawner.h"
#include "node/pod_config.h"

namespace penstock::node {

// Our own annotations on pods:
// set by whoever creates the pod: the folder on this machine that its processes see as /tmp. It must lie inside the
// data folder's tasks/, and is not removed with the pod.
inline constexpr std::string_view kTmpDirAnnotation = "penstock.dev/tmp-dir";
// set by the node: "none: <why>" when a process of the pod ran without a sandbox.
inline constexpr std::string_view kSandboxAnnotation = "penstock.dev/sandbox";

struct VolumeOptions {
  std::filesystem::path data;
  bool allow_host_path =
      false;  // any hostPath, not only what is inside the data folder's tasks/, objects/, staged/ and envs/
  std::map<std::string, std::filesystem::path> image_volumes = {};  // by name: where their images' files are
  std::vector<std::filesystem::path> host_folders = {};             // whose inside a hostPath may name too
};

struct PodVolume {
  std::filesystem::path path;
  bool read_only = false;
};

struct PodFiles {
  std::filesystem::path tmp;
  std::map<std::string, PodVolume> volumes;
  bool own_folder = false;  // pod_folder() exists
};

std::filesystem::path pod_folder(const std::filesystem::path& data, std::string_view uid);
std::filesystem::path claim_folder(const std::filesystem::path& data, std::string_view ns, std::string_view claim);

// Makes the pod's folders and files; what is there already stays, files of Secrets and the like are written anew.
// Throws ConfigMissing for what may come yet, InvalidArgument or PermissionDenied (with the field) for what never will
// do.
PodFiles prepare_files(const json::object& pod, const ConfigObjects& objects, const PodContext& context,
                       const VolumeOptions& options);

// Where the container sees the volumes. Makes missing folders of subPaths. Throws InvalidArgument.
std::vector<Mount> container_mounts(const json::object& container, const PodFiles& files, const EnvList& env);

}  // namespace penstock::node
