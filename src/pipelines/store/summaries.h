// What other parts show of runs and tasks beside their own rows. All work on a connection, on one snapshot.
#pragma once

#include <optional>

#include "db/database.h"
#include "metadata/metadata.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines::store {

// Names, type, states and times; without inputs, outputs and history. Empty when it is gone.
std::optional<TaskRecord> task_summary(db::Connection& connection, std::string_view run_id, std::string_view task_id);
// Without parameters and history. Empty when it is gone.
std::optional<Run> run_summary(db::Connection& connection, std::string_view run_id);
// The run of a task, by the artifacts that it took or made; empty when there are none.
std::string run_of_task(db::Connection& connection, std::string_view task_id);

// Artifacts that are versions of one thing: the same output of the same task of the same pipeline, newest first, with
// numbers below `before`.
struct VersionPage {
  std::vector<int64_t> artifact_ids;
  int64_t next = 0;  // what the next page is `before`; 0 on the last one
};
VersionPage versions_of_output(db::Connection& connection, const metadata::Artifact& artifact, int64_t before,
                               size_t limit);

// A task of any run, under a number of its own.
struct Execution {
  int64_t execution_id = 0;
  TaskRecord task;
};

}  // namespace penstock::pipelines::store
