// Making recurring runs, for both versions of the API. Private to this folder.
#pragma once

#include "pipelines/api/messages.h"
#include "pipelines/api/new_run.h"

namespace penstock::pipelines::api {

// InvalidArgument with the field that is wrong.
Trigger read_trigger(const TriggerMessage& message);
// A periodic schedule of `body`, from which `message` was read, whose interval is left out or 0 comes every second, as
// in the reference; without a schedule there is one run.
void default_interval(const json::value& body, TriggerMessage& message);

// Checks what it says and the parameters, commits it and tells the scheduler.
Async<RecurringRun> make_recurring_run(const ApiContext& context, RecurringRun recurring, RunSource source);

// One was changed.
void tell_scheduler(const ApiContext& context);

}  // namespace penstock::pipelines::api
