#include "pipelines/schedule/trigger.h"

#include <algorithm>

#include "pipelines/schedule/cron.h"

namespace penstock::pipelines {

namespace {

std::optional<Time> next_cron(const Trigger& trigger, Time from, Time now, bool no_catchup, const std::string& zone) {
  const Cron cron(trigger.cron, zone);
  const auto next = cron.next(from);
  if (!next || !no_catchup || *next > now) return next;
  const Time until = trigger.end == Time{} ? now : std::min(now, trigger.end);
  return cron.last(from, until);
}

std::optional<Time> next_interval(const Trigger& trigger, const TriggerState& state, Time now, bool no_catchup) {
  const auto interval = std::max(trigger.interval, std::chrono::seconds(1));
  Time next = state.created + interval;
  if (state.last != Time{}) {
    next = state.last + interval;
  } else if (trigger.start > state.created) {
    next = trigger.start;
  }
  if (!no_catchup || next > now) return next;
  return trigger.end == Time{} ? now : std::min(now, trigger.end);
}

}  // namespace

std::optional<Time> next_fire(const Trigger& trigger, const TriggerState& state, Time now, bool no_catchup,
                              const std::string& zone) {
  std::optional<Time> next;
  if (!trigger.cron.empty()) {
    const Time from = state.last != Time{} ? state.last : trigger.start != Time{} ? trigger.start : state.created;
    next = next_cron(trigger, from, now, no_catchup, zone);
  } else if (trigger.interval.count() != 0) {
    next = next_interval(trigger, state, now, no_catchup);
  } else if (state.last == Time{}) {
    next = state.created;
  }
  if (next && trigger.end != Time{} && *next > trigger.end) return std::nullopt;
  // With the end passed, min(now, end) would be due again and again.
  if (next && state.last != Time{} && *next <= state.last) return std::nullopt;
  return next;
}

}  // namespace penstock::pipelines
