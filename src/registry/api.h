// The registry's REST faces: Kubeflow Model Registry's, under /api/model_registry/v1alpha3 and /api/model_registry/v1
// (both below /pipeline too), and Penstock's additions under /apis/penstock/v1: registering what a run made, aliases,
// where a model is served.
#pragma once

#include "http/router.h"
#include "registry/store.h"

namespace penstock::registry {

// Which of a run's artifacts is meant: by its id; by task and output; or, when neither is given, its only model.
struct RunArtifactQuery {
  std::string run_id, task, output;
  int64_t artifact_id = 0;
};

// A model server that runs, from outside of the registry.
struct ServedModel {
  std::string name_space, name, storage_uri, url;
  bool ready = false;
  json::object labels;
};

// What the registry asks of the rest of the program. Called on a server loop.
class Sources {
 public:
  virtual ~Sources() = default;
  // NotFound for the run, the task and the output; InvalidArgument when it is not clear which artifact is meant.
  virtual Async<RunArtifact> find_artifact(RunArtifactQuery query) = 0;
  virtual Async<std::vector<ServedModel>> served_models() = 0;
};

// Both must outlive the router.
void add_routes(http::Router& router, Store& store, Sources& sources);

}  // namespace penstock::registry
