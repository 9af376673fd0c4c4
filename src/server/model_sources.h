// What the model registry and the rules of retention ask of the other parts: artifacts of runs, and which model servers
// there are.
#pragma once

#include "kube/api.h"
#include "metadata/metadata.h"
#include "pipelines/api/api.h"
#include "pipelines/store/store.h"
#include "registry/api.h"

namespace penstock::server {

// All of it may be called from any loop.
class ModelSources : public registry::Sources, public pipelines::ContentHolders {
 public:
  ModelSources(pipelines::Store& runs, metadata::Store& artifacts, kube::Api& api)
      : runs_(runs), artifacts_(artifacts), api_(api) {}

  Async<registry::RunArtifact> find_artifact(registry::RunArtifactQuery query) override;
  // KServe's InferenceServices; none where that kind is not known.
  Async<std::vector<registry::ServedModel>> served_models() override;
  Async<metadata::OtherHolds> holds() override;  // what they serve from

 private:
  pipelines::Store& runs_;
  metadata::Store& artifacts_;
  kube::Api& api_;
};

// The models of an InferenceService: what its predictors' storageUri say. Empty when it has none.
std::vector<registry::ServedModel> models_of(const json::object& service);

}  // namespace penstock::server
