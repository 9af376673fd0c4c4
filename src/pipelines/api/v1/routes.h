// The routes of v1beta1, by resource. Private to this folder.
#pragma once

#include "pipelines/api/routes.h"

namespace penstock::pipelines::v1 {

void add_experiment_routes(api::Routes& routes);
void add_pipeline_routes(api::Routes& routes);
void add_run_routes(api::Routes& routes);
void add_job_routes(api::Routes& routes);
void add_cache_routes(api::Routes& routes);  // /apis/v1alpha1/tasks

}  // namespace penstock::pipelines::v1
