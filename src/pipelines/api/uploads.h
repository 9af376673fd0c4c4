// Packages that clients upload, for both versions of the API. Private to this folder.
#pragma once

#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

struct UploadedPipeline {
  Pipeline pipeline;
  PipelineVersion version;
  std::shared_ptr<const Spec> spec;
};

// A pipeline with its first version, of the request's file and query; or a version of the pipeline in its query. Both
// or nothing is stored. InvalidArgument naming what is wrong, AlreadyExists when the name is taken.
Async<UploadedPipeline> upload_pipeline(const ApiContext& context, Request& request);
Async<UploadedPipeline> upload_version(const ApiContext& context, Request& request);

}  // namespace penstock::pipelines::api
