// Deleting a run with what belongs to it.
#pragma once

#include "pipelines/api/api.h"

namespace penstock::pipelines::api {

// Ends the run if it is in progress, and deletes it with its tasks and logs; `with_artifacts` also the artifacts that
// it made, rows and objects, but for those that tasks of other runs have taken or made too, or that another artifact's
// row refers to. Objects go first, so that after a crash the run is still there to be deleted again.
Async<> delete_run(const ApiContext& context, Run run, bool with_artifacts);

}  // namespace penstock::pipelines::api
