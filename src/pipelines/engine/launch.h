// One task that is to run: everything that its process needs, with the placeholders still in place, and the pure
// functions that turn it into a command line and its results into outputs. What depends on the folders of a runner
// comes in by a PathMap.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "pipelines/engine/event.h"
#include "pipelines/ir/spec.h"

namespace penstock::engine {

struct LaunchSpec {
  TaskId task = kNoTask;
  int attempt = 0;      // KFP_RETRY_INDEX
  std::string task_id;  // a UUID
  std::string pod_uid;  // of the pod that it runs in, the same in every replay
  std::string path;     // "root/for-loop-1/3/train"
  std::string task_name;
  std::string display_name;
  std::string component_name;
  std::string executor_label;

  // As the spec has them. A command or argument is a string, or an IfPresent or Concat object.
  std::string image;
  std::vector<json::value> command;
  std::vector<json::value> args;
  std::vector<std::pair<std::string, std::string>> env;
  // {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {…, "nvidia.com/gpu": "1"}}: Kubernetes quantities,
  // resolved. Empty when nothing is asked for.
  json::object resources;
  // {"inputs": {"parameterValues", "artifacts"}, "outputs": {"artifacts"}}: without the files of the runner.
  json::object executor_input;
  // The executor's KubernetesExecutorConfig with its inputs resolved: `secretNameParameter: {…}` has become
  // `secretName: value` (likewise pvcName, configMapName), `tolerationJson: {…}` its value.
  json::object platform;
  // Of Kind::Workload and Kind::Resource: the template of argo/template.h, all but {{pod.name}} filled in; then there
  // are no image, command, args, env, resources and platform.
  ir::Executor::Kind kind = ir::Executor::Kind::Container;
  json::object workload;
  std::string fingerprint;  // empty: leave no cache entry

  std::string pipeline_root;
  std::string output_prefix;  // "<root>/<pipeline>/<run>/<task>/<uuid>": where its artifacts go
  std::string run_id;
  std::string run_name;  // the display name
  std::string run_resource_name;
  std::string parent_task_id;
  std::string created_at;  // RFC 3339
  std::string scheduled_at;

  std::shared_ptr<const ir::Pipeline> pipeline;  // keeps `component` alive
  const ir::Component* component = nullptr;      // for the outputs that it declares
};

// CreatePVC and DeletePVC: the upstream SDK writes them as containers of two images that exist in name only. No process
// runs; the controller makes and deletes the claim. They are never cached: they change what is outside of the run.
inline constexpr std::string_view kCreateClaimImage = "argostub/createpvc", kDeleteClaimImage = "argostub/deletepvc";
inline bool is_claim_task(const LaunchSpec& spec) {
  return spec.image == kCreateClaimImage || spec.image == kDeleteClaimImage;
}

inline bool declares_outputs(const LaunchSpec& spec) {
  return spec.component != nullptr &&
         !(spec.component->output_parameters.empty() && spec.component->output_artifacts.empty());
}

// "hello-1a2b3c4d5e6f-12-9f8e7", where the end is the beginning of the pod's uid: the pod of an earlier attempt, or of
// the run before it was retried, may still be there. A DNS label.
std::string pod_name(std::string_view resource_name, TaskId task, std::string_view uid);

struct ImportSpec {
  std::string task_id;
  std::string path;
  std::string task_name;
  std::string output;  // the output's name, "artifact" as a rule
  std::string uri;
  json::object type;  // {"schemaTitle", "schemaVersion"}
  json::object metadata;
  bool reimport = false;  // false: an artifact with the same uri, type and metadata may be used again
  bool download_to_workspace = false;
};

// A name as one segment of a path: "a/b" and ".." stay where they are put.
std::string path_segment(std::string_view name);

// Where a runner puts what a task sees.
struct PathMap {
  // The first prefix that a URI starts with is replaced. A URI that none matches is its own path.
  std::vector<std::pair<std::string, std::string>> prefixes = {{"gs://", "/gcs/"},    {"minio://", "/minio/"},
                                                               {"s3://", "/s3/"},     {"https://", "/https/"},
                                                               {"http://", "/http/"}, {"file://", ""}};
  std::string parameter_folder = "/tmp/kfp/outputs";
  std::string executor_output_file = "/tmp/kfp_outputs/output_metadata.json";
  std::string workspace = "/kfp-workspace";
  // Tell the executor each artifact's path (`custom_path`), for one that maps URIs by fixed rules of its own.
  bool custom_paths = false;

  std::string path_of(std::string_view uri) const;
  std::string parameter_file(std::string_view output_parameter) const;
};

// Where an artifact stands in the workspace that an importer put it into, as the SDK's executor looks for it:
// "minio://bucket/key" is ".artifacts/minio/bucket/key".
std::string workspace_path(std::string_view uri);

struct ResolvedTask {
  std::string image;
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;
  json::object executor_input;              // whole, with the files of the runner
  std::vector<std::string> output_folders;  // that must exist before the task starts
};

// Replaces every placeholder, once: a value that looks like a placeholder stays as it is, and so does a placeholder
// that names nothing (program text may hold one). An optional input without a value is the empty text. Throws
// InvalidArgument for a malformed IfPresent or Concat.
ResolvedTask resolve(const LaunchSpec& spec, const PathMap& paths);

// The value in an output parameter's file. Throws InvalidArgument when the text is not of that type.
json::value read_output_parameter(ir::ParameterType type, std::string_view text);

// A task's outputs from what it left: its executor output (null when it wrote none) and the texts of the output
// parameter files that exist, by the output's name or its file's. Throws InvalidArgument naming the output.
Outputs merge_executor_output(const LaunchSpec& spec, const json::value& executor_output,
                              const std::map<std::string, std::string>& parameter_files);

}  // namespace penstock::engine
