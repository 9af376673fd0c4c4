// What the requests of v1beta1 say, in the store's terms. Private to this folder.
#pragma once

#include "db/list.h"
#include "pipelines/api/new_run.h"
#include "pipelines/api/v1/messages.h"

namespace penstock::pipelines::v1 {

// list_request(), with v1's names of states in the filter replaced by the store's. InvalidArgument.
db::ListRequest list_request_v1(const Request& request);

// resource_reference_key.type and .id of a list's query, or resource_key's.
struct ResourceQuery {
  ResourceType type = ResourceType::Unknown;
  std::string id;
};
ResourceQuery resource_query(const Request& request, std::string_view name);
// InvalidArgument unless the resource is of one of `types`, or none is given.
void check_resource(const ResourceQuery& query, std::initializer_list<ResourceType> types, std::string_view list);

// Where a run's or a job's spec comes from: its manifest, its version, or its pipeline's default version. Exactly one
// must be given, but that a version may stand with its own pipeline. InvalidArgument, NotFound.
Async<RunSource> find_source_v1(const ApiContext& context, PipelineSpec spec, References references);

// The values of a run: v1 gives texts, which become what the pipeline's inputs are. InvalidArgument naming the
// parameter. A pipeline-root that is no input of the pipeline is the run's pipeline root.
RuntimeConfig runtime_config_of(const PipelineSpec& spec, const Spec& pipeline);

}  // namespace penstock::pipelines::v1
