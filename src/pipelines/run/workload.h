// A task that is a pod in Kubernetes' own words: what it sees at which paths, its pod, and what it left. The template
// is described in argo/template.h.
//
// Paths below /tmp are in the task's folder. What a task reads or leaves anywhere else stands below `.paths` in that
// folder, or in the volume that is mounted there:
//   - Of an output's folders, the topmost that this machine does not have is mounted, empty: the task makes those in
//     it. Where the machine has them all, and something in the last one, the output alone is mounted: as a file, or as
//     a folder where it is an artifact whose name has no extension.
//   - Inputs are mounted read-only.
// Without a sandbox nothing can be mounted: then the paths that the template declares are replaced in the task's words.
//
// Functions block; call them on a BlockingPool. What a task left is not trusted: no link leads out of its place.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/engine/launch.h"
#include "pipelines/run/pod.h"

namespace penstock::pipelines {

struct WorkloadHost {
  std::string pod, ns;
  std::filesystem::path folder;  // the task's /tmp on this machine
  bool sandbox = true;
  std::function<std::filesystem::path(std::string_view ns, std::string_view claim)> claim_folder;
  std::function<std::filesystem::path(std::string_view volume)> scratch_folder;      // of an emptyDir of the pod
  std::function<std::optional<std::filesystem::path>(std::string_view uri)> object;  // in the object store
};

// Makes what has to be there before the task starts, and its pod. What is there already stays. Throws InvalidArgument
// and NotFound.
json::object make_workload_pod(const engine::LaunchSpec& spec, const WorkloadHost& host);

// Takes its outputs in: artifacts are moved to their places in the object store. Throws InvalidArgument for one that is
// missing.
engine::Outputs collect_workload(const engine::LaunchSpec& spec, const WorkloadHost& host);

}  // namespace penstock::pipelines
