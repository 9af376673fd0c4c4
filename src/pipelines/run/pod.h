// A task as a pod, and a pod's status as the fate of a task. Pure.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "pipelines/engine/launch.h"

namespace penstock::pipelines {

inline constexpr std::string_view kRunLabel = "pipeline/runid";
inline constexpr std::string_view kTaskLabel = "penstock.dev/task";
inline constexpr std::string_view kAttemptLabel = "penstock.dev/attempt";
// The host folder that the node gives a pod as its /tmp.
inline constexpr std::string_view kTmpAnnotation = "penstock.dev/tmp-dir";

// A folder or file of the object store that the task sees at the place which its URI stands for.
struct ObjectMount {
  std::filesystem::path source;
  std::string target;
  bool read_only = true;
};

// The files of an image at the place which its URI stands for (a "modelcar").
struct ImageMount {
  std::string reference;  // "registry.example/models/cat:1"
  std::string target;
};

struct PodInputs {
  std::string name;
  std::string ns;
  const engine::LaunchSpec* spec = nullptr;
  const engine::ResolvedTask* task = nullptr;
  std::filesystem::path folder;  // its /tmp on the host
  std::vector<ObjectMount> mounts;
  std::vector<ImageMount> images;
  std::string workspace;  // the volume claim to mount; empty: none
  std::string path_map;   // JSON for tasks without mounts; empty otherwise
};

// What kTmpAnnotation says; empty when it is not there.
// Fills in the task's inputs of the type TASK_CONFIG with the parts of its pod that its component asks for, and takes
// those from the task that are not for its own pod: {"resources", "env", "affinity", "tolerations", "nodeSelector",
// "volumes", "volumeMounts"}, in Kubernetes' form.
void pass_through(engine::LaunchSpec& spec);

std::filesystem::path folder_of(const json::object& pod);

// Throws InvalidArgument for a platform setting that is malformed.
json::object make_pod(const PodInputs& inputs);

// The pipeline's name as a DNS label of at most 36 characters, and the end of the run's id.
std::string resource_name(std::string_view pipeline_name, std::string_view run_id);

struct PodOutcome {
  bool started = false;
  bool finished = false;
  bool succeeded = false;
  int exit_code = 0;
  std::string reason;  // "OOMKilled", "NodeLost", "OutOfcpu"; empty for a plain exit
  std::string message;
  std::string
      waiting;  // "CreateContainerConfigError: secret \"x\" not found": what keeps it from starting, if that is told
  Time started_at{};
  Time finished_at{};
};

PodOutcome outcome_of(const json::object& pod);

}  // namespace penstock::pipelines
