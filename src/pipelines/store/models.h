// What of the store's tables can be listed, sorted and filtered, by the API's names. Private to this folder.
#pragma once

#include "db/list.h"

namespace penstock::pipelines::store {

const db::ListModel& experiment_model();
const db::ListModel& pipeline_model();
const db::ListModel& version_model();
const db::ListModel& run_model();
const db::ListModel& recurring_run_model();
const db::ListModel& task_model();
const db::ListModel& execution_model();
const db::ListModel& cache_entry_model();

}  // namespace penstock::pipelines::store
