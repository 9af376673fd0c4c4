// Cron expressions as Kubeflow's recurring runs take them. Pure.
//
//   second minute hour day-of-month month [day-of-week]
//
// Fields are "*", "?", numbers, names ("JAN", "mon"), ranges "a-b", steps "*/n", "a/n", "a-b/n", and lists of these.
// Days of the week are 0 (Sunday) to 6; 7 is Sunday too. A day matches when both of its fields do; when neither is a
// star, when either does. Or a word: "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
// and
// "@every 1h30m10s". "TZ=Asia/Seoul " or "CRON_TZ=…" before it names the time zone.
//
// Source of the format: robfig/cron 1.2, whose parser the reference uses (five fields leave out the day of the week).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "base/clock.h"

namespace penstock::pipelines {

class Cron {
 public:
  // Throws InvalidArgument that names the field which is wrong.
  explicit Cron(std::string_view text, std::string_view zone = "UTC");

  // The first time after `after`, in whole seconds. Where a day's clock skips a time, that day has none; a time that it
  // shows twice counts once. None: no day of the next eight years matches ("30 February").
  std::optional<Time> next(Time after) const;
  // The last time at or before `at` that is after `after`.
  std::optional<Time> last(Time after, Time at) const;

 private:
  bool day_matches(absl::CivilDay day) const;
  std::optional<Time> next_civil(absl::CivilSecond from, absl::CivilDay limit) const;

  std::chrono::seconds every_{0};  // of "@every"; then the rest is not used
  uint64_t seconds_ = 0, minutes_ = 0, hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;  // a bit a value
  bool any_day_ = false, any_weekday_ = false;                                             // a star
  absl::TimeZone zone_;
};

}  // namespace penstock::pipelines
