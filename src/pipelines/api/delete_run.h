// Deleting a run with what belongs to it.
#pragma once

#include "pipelines/api/api.h"

namespace penstock::pipelines::api {

struct DeleteRun {
  bool with_artifacts = false;  // but for those that something which stays refers to (metadata/references.h)
  bool only_ended = false;      // leave a run alone that is in progress by now
};
struct DeletedRun {
  bool done = false;  // false: it was left alone
  int64_t bytes = 0;  // of artifacts and logs, as far as they were measured
};

// Ends the run if it is in progress, and deletes it with its tasks and logs. Rows go first, in one transaction with a
// note of the contents and logs that are theirs; then these. After a crash clear_leftovers() goes on. NotFound.
Async<DeletedRun> delete_run(const ApiContext& context, Run run, DeleteRun options);

// Deletes contents and logs whose rows are gone. What somebody refers to again by now stays.
Async<> clear_leftovers(const ApiContext& context);
// Orphans that nobody needs any more go; returns their bytes.
Async<int64_t> clear_orphans(const ApiContext& context);

Async<metadata::OtherHolds> other_holds(const ApiContext& context);

}  // namespace penstock::pipelines::api
