// What other parts show of runs and tasks beside their own rows. All work on a connection, on one snapshot.
#pragma once

#include <optional>

#include "db/database.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines::store {

// Names, type, states and times; without inputs, outputs and history. Empty when it is gone.
std::optional<TaskRecord> task_summary(db::Connection& connection, std::string_view run_id, std::string_view task_id);
// Without parameters and history. Empty when it is gone.
std::optional<Run> run_summary(db::Connection& connection, std::string_view run_id);
// The run of a task, by the artifacts that it took or made; empty when there are none.
std::string run_of_task(db::Connection& connection, std::string_view task_id);

}  // namespace penstock::pipelines::store
