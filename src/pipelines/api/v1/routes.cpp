#include "pipelines/api/v1/routes.h"

namespace penstock::pipelines::api {

void add_v1_routes(Routes& routes) {
  v1::add_experiment_routes(routes);
  v1::add_pipeline_routes(routes);
  v1::add_run_routes(routes);
  v1::add_job_routes(routes);
  v1::add_cache_routes(routes);
}

}  // namespace penstock::pipelines::api
