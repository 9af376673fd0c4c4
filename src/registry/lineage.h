// Registered models in the lineage of artifacts: the versions that were registered of an artifact, and the services
// that serve these.
#pragma once

#include "metadata/lineage.h"

namespace penstock::registry {

// Adds "model-version:ID" nodes, each with an edge REGISTERED from its artifact, and "inference-service:ID" nodes, each
// with an edge SERVED from the version. A service that names no version serves the newest of its model.
class ModelLineage : public metadata::LineageExtension {
 public:
  void extend(db::Connection& connection, size_t room, metadata::LineageGraph& graph) const override;
};

}  // namespace penstock::registry
