#include "server/model_sources.h"

#include <algorithm>

namespace penstock::server {

namespace {

const kube::Resource kInferenceServices{"serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService"};

// Numbers and pictures about models.
constexpr std::string_view kNoModels[] = {"system.Metrics", "system.ClassificationMetrics",
                                          "system.SlicedClassificationMetrics", "system.HTML", "system.Markdown"};

bool may_be_model(const metadata::Artifact& artifact) {
  return std::find(std::begin(kNoModels), std::end(kNoModels), artifact.type) == std::end(kNoModels);
}

registry::RunArtifact found(const pipelines::Run& run, metadata::Artifact artifact) {
  if (!may_be_model(artifact)) {
    throw Error(Code::InvalidArgument,
                fmt::format("output: artifact {} is a {}, not a model", artifact.artifact_id, artifact.type), "output");
  }
  if (artifact.uri.empty()) {
    throw Error(Code::InvalidArgument, fmt::format("output: artifact {} has no uri", artifact.artifact_id), "output");
  }
  registry::RunArtifact out;
  out.run_id = run.run_id;
  out.run_name = run.display_name;
  out.name_space = run.name_space;
  out.artifact_id = artifact.artifact_id;
  out.name = std::move(artifact.name);
  out.type = std::move(artifact.type);
  out.uri = std::move(artifact.uri);
  out.metadata = std::move(artifact.metadata);
  return out;
}

}  // namespace

Async<registry::RunArtifact> ModelSources::find_artifact(registry::RunArtifactQuery query) {
  const pipelines::Run run = co_await runs_.get_run(query.run_id);
  const std::vector<metadata::Link> links = co_await artifacts_.links_of_run(query.run_id);
  std::string task_id;
  if (!query.task.empty()) {
    const auto task = co_await runs_.get_task(query.run_id, query.task);
    task_id = task.task_id;
  }
  std::vector<int64_t> ids;
  for (const auto& link : links) {
    if (query.artifact_id != 0 ? link.artifact_id != query.artifact_id
                               : link.direction != metadata::Direction::Output) {
      continue;
    }
    if (!task_id.empty() && link.task_id != task_id) continue;
    if (!query.output.empty() && link.key != query.output) continue;
    ids.push_back(link.artifact_id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.empty()) {
    throw not_found("run {} has no such artifact{}{}", query.run_id, query.task.empty() ? "" : " of task ", query.task);
  }
  std::vector<metadata::Artifact> artifacts = co_await artifacts_.get_all(ids);
  if (artifacts.size() > 1 && query.output.empty()) {
    std::erase_if(artifacts, [](const auto& one) { return one.type.find("Model") == std::string::npos; });
  }
  if (artifacts.size() != 1) {
    throw Error(Code::InvalidArgument,
                fmt::format("task: {} artifacts of run {} may be meant; say which by task and output, or artifact_id",
                            artifacts.size(), query.run_id),
                "task");
  }
  co_return found(run, std::move(artifacts.front()));
}

std::vector<registry::ServedModel> models_of(const json::object& service) {
  const json::value whole(service);
  registry::ServedModel common;
  common.name_space = kube::namespace_of(service);
  common.name = kube::name_of(service);
  common.url = string_at(whole, {"status", "url"});
  if (const auto* labels = find_path(whole, {"metadata", "labels"}); labels && labels->is_object()) {
    common.labels = labels->get_object();
  }
  if (const auto* conditions = find_path(whole, {"status", "conditions"}); conditions && conditions->is_array()) {
    for (const auto& one : conditions->get_array()) {
      if (string_at(one, {"type"}) == "Ready") common.ready = string_at(one, {"status"}) == "True";
    }
  }
  std::vector<registry::ServedModel> out;
  const auto* predictor = find_path(whole, {"spec", "predictor"});
  if (predictor != nullptr && predictor->is_object()) {
    // Under `model`, or, in the older form, under the framework's name.
    for (const auto& [part, value] : predictor->get_object()) {
      if (const std::string uri = string_at(value, {"storageUri"}); !uri.empty()) {
        out.push_back(common);
        out.back().storage_uri = uri;
      }
    }
  }
  if (out.empty() && !common.labels.empty()) out.push_back(std::move(common));
  return out;
}

Async<std::vector<registry::ServedModel>> ModelSources::served_models() {
  std::vector<registry::ServedModel> out;
  kube::List services;
  const kube::ListQuery everywhere;
  try {
    services = co_await api_.list(kInferenceServices, everywhere);
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) throw;
  }
  for (const auto& service : services.items) {
    for (auto& model : models_of(*service)) out.push_back(std::move(model));
  }
  co_return out;
}

Async<metadata::OtherHolds> ModelSources::holds() {
  metadata::OtherHolds out;
  for (auto& model : co_await served_models()) {
    if (model.storage_uri.empty()) continue;
    out.emplace_back(std::move(model.storage_uri), fmt::format("InferenceService {}/{}", model.name_space, model.name));
  }
  co_return out;
}

}  // namespace penstock::server
