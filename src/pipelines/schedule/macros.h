// What stands for times and numbers in the parameters of a recurring run. Pure.
//
//   [[ScheduledTime]] [[CurrentTime]]       as 20060102150405, in UTC
//   [[ScheduledTime.2006-01-02]]            with a layout of Go's
//   [[Index]] [[RunUUID]]                   from 1 on; the run's id
//   [[schedule]] [[now]] [[uuid]]           the same by the names of old workflows; also [[schedule.2006-01-02]]
//   {{$.scheduledTime.strftime('%Y-%m')}}   also $.currentTime
//
// Source: the reference's parameter formatter of scheduled workflows. What is none of these stays as it is.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"

namespace penstock::pipelines {

struct MacroValues {
  Time scheduled{};
  Time now{};
  int64_t index = 0;
  std::string run_id;
};

std::string expand_macros(std::string_view text, const MacroValues& values);
// In every string of `parameters`, however deep.
json::object expand_macros(const json::object& parameters, const MacroValues& values);

// `time` in UTC by a layout of Go's ("Mon Jan 2 15:04:05 MST 2006").
std::string format_go(std::string_view layout, Time time);

}  // namespace penstock::pipelines
