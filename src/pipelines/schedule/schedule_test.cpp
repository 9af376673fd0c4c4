#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/schedule/cron.h"
#include "pipelines/schedule/macros.h"
#include "pipelines/schedule/trigger.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

Time at(std::string_view text) { return parse_time(text).value(); }

std::string next(std::string_view cron, std::string_view after, std::string_view zone = "UTC") {
  const auto found = Cron(cron, zone).next(at(after));
  return found ? format_time(*found) : "never";
}

std::string refusal(std::string_view cron, std::string_view zone = "UTC") {
  try {
    const Cron read(cron, zone);
    return "none";
  } catch (const Error& error) {
    CHECK(error.code() == Code::InvalidArgument);
    return error.message();
  }
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("cron: the next time") {
  CHECK(next("0 0 * * * *", "2026-11-23T10:00:00Z") == "2026-11-23T11:00:00Z");
  CHECK(next("0 0 * * * *", "2026-11-23T10:00:00.5Z") == "2026-11-23T11:00:00Z");
  CHECK(next("*/15 * * * * *", "2026-11-23T10:00:14.999Z") == "2026-11-23T10:00:15Z");
  CHECK(next("*/15 * * * * *", "2026-11-23T10:00:59Z") == "2026-11-23T10:01:00Z");
  CHECK(next("0 30 8-10/2 * * mon-fri", "2026-11-27T10:31:00Z") == "2026-11-30T08:30:00Z");
  CHECK(next("0 0 0 29 2 *", "2026-01-01T00:00:00Z") == "2028-02-29T00:00:00Z");
  CHECK(next("0 0 0 30 2 *", "2026-01-01T00:00:00Z") == "never");
  CHECK(next("0 0 0 1 JAN ?", "2026-01-01T00:00:00Z") == "2027-01-01T00:00:00Z");
  CHECK(next("59 59 23 31 12 *", "2026-01-01T00:00:00Z") == "2026-12-31T23:59:59Z");
  CHECK(next("5/20 * * * * *", "2026-01-01T00:00:26Z") == "2026-01-01T00:00:45Z");
  CHECK(next("10,20 * * * * *", "2026-01-01T00:00:10Z") == "2026-01-01T00:00:20Z");
  CHECK(next("0 0 0 * * 7", "2026-11-23T00:00:00Z") == "2026-11-29T00:00:00Z");
  // Five fields leave out the day of the week.
  CHECK(next("0 30 12 * *", "2026-11-23T13:00:00Z") == "2026-11-24T12:30:00Z");
}

TEST_CASE("cron: a day of the month or a day of the week") {
  CHECK(next("0 0 0 13 * 5", "2026-11-23T00:00:00Z") == "2026-11-27T00:00:00Z");
  CHECK(next("0 0 0 13 * 5", "2026-12-12T00:00:00Z") == "2026-12-13T00:00:00Z");
  CHECK(next("0 0 0 13 * *", "2026-11-23T00:00:00Z") == "2026-12-13T00:00:00Z");
  CHECK(next("0 0 0 */2 * 0", "2026-11-23T00:00:00Z") == "2026-11-29T00:00:00Z");
}

TEST_CASE("cron: words") {
  CHECK(next("@hourly", "2026-11-23T10:20:00Z") == "2026-11-23T11:00:00Z");
  CHECK(next("@daily", "2026-11-23T10:20:00Z") == "2026-11-24T00:00:00Z");
  CHECK(next("@midnight", "2026-11-23T10:20:00Z") == "2026-11-24T00:00:00Z");
  CHECK(next("@weekly", "2026-11-23T10:20:00Z") == "2026-11-29T00:00:00Z");
  CHECK(next("@monthly", "2026-11-23T10:20:00Z") == "2026-12-01T00:00:00Z");
  CHECK(next("@yearly", "2026-11-23T10:20:00Z") == "2027-01-01T00:00:00Z");
  CHECK(next("@every 1h30m", "2026-11-23T10:20:00Z") == "2026-11-23T11:50:00Z");
}

TEST_CASE("cron: time zones and the days on which clocks change") {
  CHECK(next("0 0 9 * * *", "2026-11-23T00:00:00Z", "Asia/Seoul") == "2026-11-24T00:00:00Z");
  CHECK(next("TZ=Asia/Seoul 0 0 9 * * *", "2026-11-22T20:00:00Z") == "2026-11-23T00:00:00Z");
  CHECK(next("CRON_TZ=America/New_York 0 0 9 * * *", "2026-07-01T00:00:00Z") == "2026-07-01T13:00:00Z");
  // 2026-03-29 has no 02:30 in Berlin.
  CHECK(next("0 30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin") == "2026-03-30T00:30:00Z");
  // 2026-10-25 has it twice: the first counts.
  CHECK(next("0 30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin") == "2026-10-25T00:30:00Z");
  CHECK(next("0 30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin") == "2026-10-26T01:30:00Z");
  CHECK(next("0 30 2 * * *", "2026-10-25T01:30:00Z", "Europe/Berlin") == "2026-10-26T01:30:00Z");
  // A whole year of hours, in a zone that changes its clock twice: none is lost, none comes twice, but for the hour
  // that is shown twice.
  const Cron hourly("0 0 * * * *", "Europe/Berlin");
  Time time = at("2026-01-01T00:00:00Z");
  int count = 0;
  while (const auto later = hourly.next(time)) {
    if (*later > at("2027-01-01T00:00:00Z")) break;
    CHECK(*later > time);
    time = *later;
    ++count;
  }
  CHECK(count == 365 * 24 - 1);
}

TEST_CASE("cron: the last time that has passed") {
  const Cron hourly("0 0 * * * *");
  CHECK(hourly.last(at("2020-01-01T00:00:00Z"), at("2026-11-23T10:59:59Z")) == at("2026-11-23T10:00:00Z"));
  CHECK(hourly.last(at("2026-11-23T10:00:00Z"), at("2026-11-23T10:59:59Z")) == std::nullopt);
  const Cron yearly("0 0 0 1 1 *");
  CHECK(yearly.last(at("2020-06-01T00:00:00Z"), at("2026-11-23T00:00:00Z")) == at("2026-01-01T00:00:00Z"));
  const Cron every("@every 7s");
  CHECK(every.last(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:01:00Z")) == at("2026-01-01T00:00:56Z"));
  const Cron second("* * * * * *");
  CHECK(second.last(at("2000-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")) == at("2026-01-01T00:00:00Z"));
}

TEST_CASE("cron: what is wrong is said") {
  CHECK(has(refusal("61 * * * * *"), "\"61\" is no second"));
  CHECK(has(refusal("* * 24 * * *"), "\"24\" is no hour"));
  CHECK(has(refusal("* * * 0 * *"), "\"0\" is no day of the month"));
  CHECK(has(refusal("* * * * foo *"), "\"foo\" is no month"));
  CHECK(has(refusal("* * * * * 5-1"), "\"5-1\" is no day of the week"));
  CHECK(has(refusal("*/0 * * * * *"), "\"*/0\" is no second"));
  CHECK(has(refusal("1-2-3 * * * * *"), "is no second"));
  CHECK(has(refusal(", * * * * *"), "is no second"));
  CHECK(has(refusal("* * * *"), "has 4 fields"));
  CHECK(has(refusal(""), "has 0 fields"));
  CHECK(has(refusal("@often"), "\"@often\" is not known"));
  CHECK(has(refusal("@every soon"), "not a duration"));
  CHECK(has(refusal("@every 10ms"), "not a duration of a second or more"));
  CHECK(has(refusal("@every inf"), "of a century or less"));
  CHECK(has(refusal("0 0 * * * *", "Mars/Olympus"), "no time zone \"Mars/Olympus\""));
  CHECK(has(refusal("TZ=Nowhere 0 0 * * * *"), "no time zone"));
}

namespace {

// The scheduled times of the fires until `until`, as the controller makes them: at each it looks again.
std::vector<std::string> fires(const Trigger& trigger, TriggerState state, Time now, Time until, bool no_catchup) {
  std::vector<std::string> times;
  while (true) {
    const auto next = next_fire(trigger, state, now, no_catchup, "UTC");
    if (!next || *next > until || times.size() > 50) return times;
    now = std::max(now, *next);
    state.last = *next;
    times.push_back(format_time(*next).substr(11, 8));
  }
}

}  // namespace

TEST_CASE("a recurring run: cron, with what was missed") {
  Trigger trigger;
  trigger.cron = "0 0 * * * *";
  const TriggerState state{at("2026-11-23T08:30:00Z"), {}};
  const Time now = at("2026-11-23T11:15:00Z"), until = at("2026-11-23T13:00:00Z");
  CHECK(fires(trigger, state, now, until, false) ==
        std::vector<std::string>{"09:00:00", "10:00:00", "11:00:00", "12:00:00", "13:00:00"});
  CHECK(fires(trigger, state, now, until, true) == std::vector<std::string>{"11:00:00", "12:00:00", "13:00:00"});
  trigger.end = at("2026-11-23T10:30:00Z");
  CHECK(fires(trigger, state, now, until, false) == std::vector<std::string>{"09:00:00", "10:00:00"});
  CHECK(fires(trigger, state, now, until, true) == std::vector<std::string>{"10:00:00"});
  trigger.end = {};
  trigger.start = at("2026-11-23T11:30:00Z");
  CHECK(fires(trigger, state, now, until, false) == std::vector<std::string>{"12:00:00", "13:00:00"});
}

TEST_CASE("a recurring run: intervals") {
  Trigger trigger;
  trigger.interval = std::chrono::minutes(40);
  const TriggerState state{at("2026-11-23T10:00:00Z"), {}};
  const Time now = at("2026-11-23T11:30:00Z"), until = at("2026-11-23T12:45:00Z");
  CHECK(fires(trigger, state, now, until, false) ==
        std::vector<std::string>{"10:40:00", "11:20:00", "12:00:00", "12:40:00"});
  CHECK(fires(trigger, state, now, until, true) == std::vector<std::string>{"11:30:00", "12:10:00"});
  trigger.start = at("2026-11-23T12:05:00Z");
  CHECK(fires(trigger, state, now, until, false) == std::vector<std::string>{"12:05:00", "12:45:00"});
  trigger.end = at("2026-11-23T12:10:00Z");
  CHECK(fires(trigger, state, now, until, false) == std::vector<std::string>{"12:05:00"});
  trigger.start = {};
  trigger.end = at("2026-11-23T11:00:00Z");
  CHECK(fires(trigger, state, now, until, true) == std::vector<std::string>{"11:00:00"});
}

TEST_CASE("a recurring run without a trigger fires once") {
  const TriggerState state{at("2026-11-23T10:00:00Z"), {}};
  CHECK(fires({}, state, at("2026-11-23T10:00:00Z"), at("2027-01-01T00:00:00Z"), false).size() == 1);
}

TEST_CASE("macros in parameters") {
  const MacroValues values{at("2026-03-05T07:08:09Z"), at("2026-11-23T16:05:06Z"), 12, "run-id"};
  CHECK(expand_macros("[[ScheduledTime]]/[[CurrentTime]]", values) == "20260305070809/20261123160506");
  CHECK(expand_macros("[[ScheduledTime.2006-01-02T15:04:05Z07:00]]", values) == "2026-03-05T07:08:09Z");
  CHECK(expand_macros("[[CurrentTime.Mon Jan _2 3:4:5 PM 06]]", values) == "Mon Nov 23 4:5:6 PM 26");
  CHECK(expand_macros("[[ScheduledTime.Monday, January 2 -0700 MST]]", values) == "Thursday, March 5 +0000 UTC");
  CHECK(expand_macros("no [[Index]] of [[RunUUID]]", values) == "no 12 of run-id");
  CHECK(expand_macros("{{$.scheduledTime.strftime('%Y/%m')}}-{{$.currentTime.strftime(\"%H\")}}", values) ==
        "2026/03-16");
  CHECK(expand_macros("[[schedule]] [[schedule.2006]] [[now.15:04]] [[uuid]]", values) ==
        "20260305070809 2026 16:05 run-id");
  for (const char* same :
       {"[[Unknown]]", "[[Index", "{{$.scheduledTime}}", "{{$.scheduledTime.strftime(%Y)}}", "[[]]", "[", "{{"}) {
    CHECK(expand_macros(same, values) == same);
  }
  const auto parameters = parse_json(R"({"a":"[[Index]]","b":{"c":["[[Index]]",3,null]}})").as_object();
  // Megabytes of what begins like a macro take no time.
  const std::string brackets(4'000'000, '[');
  CHECK(expand_macros(brackets, values) == brackets);
  CHECK(to_text(expand_macros(parameters, values)) == R"({"a":"12","b":{"c":["12",3,null]}})");
}
