// When a recurring run is due. Pure: the clock is an argument.
//
// Source of the rules: Kubeflow Pipelines' controller of scheduled workflows.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"

namespace penstock::pipelines {

// One of `cron` and `interval`; neither: it fires once, at its creation.
struct Trigger {
  std::string cron;
  std::chrono::seconds interval{0};
  Time start{};  // Time{}: none
  Time end{};
};

struct TriggerState {
  Time created{};
  Time last{};  // the scheduled time of the last fire; Time{}: none yet
};

// The scheduled time of the next fire, which may be past; none: never again. What was missed is due one by one, or,
// with `no_catchup`, only its latest. `zone` is that of cron expressions that name none. Throws InvalidArgument.
std::optional<Time> next_fire(const Trigger& trigger, const TriggerState& state, Time now, bool no_catchup,
                              const std::string& zone);

}  // namespace penstock::pipelines
