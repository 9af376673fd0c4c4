// Used space: what artifacts and logs take, by namespace, pipeline and run.
//
// The sums are kept in the database with every change (metadata/references.h). What is new is measured once: an
// artifact when it is first asked about, a run's artifacts and logs again when it has ended.
#pragma once

#include "pipelines/api/api.h"

namespace penstock::pipelines::api {

Async<> measure_space(const ApiContext& context);

}  // namespace penstock::pipelines::api
