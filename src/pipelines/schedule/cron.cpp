#include "pipelines/schedule/cron.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace penstock::pipelines {

namespace {

constexpr int kYears = 8;  // a 29 February may be that far away, where a century has none

struct Field {
  std::string_view name;
  int first, last;
  std::vector<std::string_view> names;  // of values from `first` on
};

const Field kSeconds{"second", 0, 59, {}};
const Field kMinutes{"minute", 0, 59, {}};
const Field kHours{"hour", 0, 23, {}};
const Field kDays{"day of the month", 1, 31, {}};
const Field kMonths{
    "month", 1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}};
const Field kWeekdays{"day of the week", 0, 7, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

[[noreturn]] void wrong(const Field& field, std::string_view part) {
  throw invalid("cron: \"{}\" is no {}: it may be *, {} to {}, a-b, */n, a-b/n, or a list of these", part, field.name,
                field.first, field.last);
}

int read_value(const Field& field, std::string_view text, std::string_view part) {
  const auto name = std::find(field.names.begin(), field.names.end(), lower(text));
  if (name != field.names.end()) return field.first + static_cast<int>(name - field.names.begin());
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < field.first || value > field.last) {
    wrong(field, part);
  }
  return value;
}

uint64_t read_part(const Field& field, std::string_view part) {
  const auto step_parts = split(part, '/');
  if (step_parts.size() > 2 || step_parts[0].empty()) wrong(field, part);
  int first = field.first, last = field.last, step = 1;
  if (step_parts[0] != "*" && step_parts[0] != "?") {
    const auto range = split(step_parts[0], '-');
    if (range.size() > 2) wrong(field, part);
    first = read_value(field, range[0], part);
    if (range.size() == 2) {
      last = read_value(field, range[1], part);
    } else if (step_parts.size() == 1) {
      last = first;
    }
  }
  if (step_parts.size() == 2) {
    const auto text = step_parts[1];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
    if (error != std::errc{} || end != text.data() + text.size() || step < 1) wrong(field, part);
  }
  if (first > last) wrong(field, part);
  uint64_t bits = 0;
  for (int value = first; value <= last; value += step) bits |= 1ull << value;
  return bits;
}

uint64_t read_field(const Field& field, std::string_view text) {
  uint64_t bits = 0;
  for (const auto part : split(text, ',')) bits |= read_part(field, part);
  return bits;
}

bool is_star(std::string_view text) { return text.starts_with('*') || text.starts_with('?'); }

// "1h30m", "90s", "1.5h".
std::chrono::seconds read_duration(std::string_view text) {
  absl::Duration duration;
  const auto longest = absl::Hours(24 * 366 * 100);
  if (!absl::ParseDuration(std::string(text), &duration) || duration < absl::Seconds(1) || duration > longest) {
    throw invalid(
        "cron: \"@every {}\": not a duration of a second or more, and of a century or less; write it as 1h30m10s",
        text);
  }
  return std::chrono::seconds(absl::ToInt64Seconds(duration));
}

std::string_view word_as_fields(std::string_view word) {
  if (word == "@yearly" || word == "@annually") return "0 0 0 1 1 *";
  if (word == "@monthly") return "0 0 0 1 * *";
  if (word == "@weekly") return "0 0 0 * * 0";
  if (word == "@daily" || word == "@midnight") return "0 0 0 * * *";
  if (word == "@hourly") return "0 0 * * * *";
  throw invalid(
      "cron: \"{}\" is not known: it may be @yearly, @monthly, @weekly, @daily, @hourly or @every with a duration",
      word);
}

absl::Time to_absl(Time time) { return absl::FromUnixMicros(to_micros(time)); }
Time from_absl(absl::Time time) { return from_micros(absl::ToUnixMicros(time)); }

// The first value at or after `from` in `bits`, or -1.
int next_bit(uint64_t bits, int from) {
  for (int value = from; value < 64; ++value) {
    if (bits >> value & 1) return value;
  }
  return -1;
}

}  // namespace

Cron::Cron(std::string_view text, std::string_view zone) {
  for (const std::string_view prefix : {"TZ=", "CRON_TZ="}) {
    if (!text.starts_with(prefix)) continue;
    const size_t space = std::min(text.find(' '), text.size());
    zone = text.substr(prefix.size(), space - prefix.size());
    text.remove_prefix(space);
  }
  if (!absl::LoadTimeZone(std::string(zone), &zone_)) throw invalid("cron: there is no time zone \"{}\"", zone);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with("@every ")) {
    every_ = read_duration(text.substr(7));
    return;
  }
  if (text.starts_with('@')) text = word_as_fields(text);
  std::vector<std::string_view> fields;
  for (const auto field : split(text, ' ')) {
    if (!field.empty()) fields.push_back(field);
  }
  if (fields.size() != 5 && fields.size() != 6) {
    throw invalid(
        "cron: \"{}\" has {} fields; it needs second, minute, hour, day of the month, month and, if wanted, "
        "day of the week",
        text, fields.size());
  }
  const std::string_view weekdays = fields.size() == 6 ? fields[5] : "*";
  seconds_ = read_field(kSeconds, fields[0]);
  minutes_ = read_field(kMinutes, fields[1]);
  hours_ = read_field(kHours, fields[2]);
  days_ = read_field(kDays, fields[3]);
  months_ = read_field(kMonths, fields[4]);
  weekdays_ = read_field(kWeekdays, weekdays);
  if (weekdays_ >> 7 & 1) weekdays_ |= 1;
  any_day_ = is_star(fields[3]);
  any_weekday_ = is_star(weekdays);
}

bool Cron::day_matches(absl::CivilDay day) const {
  if ((months_ >> day.month() & 1) == 0) return false;
  const bool in_month = days_ >> day.day() & 1;
  // absl counts from Monday.
  const int weekday = (static_cast<int>(absl::GetWeekday(day)) + 1) % 7;
  const bool in_week = weekdays_ >> weekday & 1;
  return any_day_ || any_weekday_ ? in_month && in_week : in_month || in_week;
}

std::optional<Time> Cron::next_civil(absl::CivilSecond from, absl::CivilDay limit) const {
  auto day = absl::CivilDay(from);
  int hour = from.hour(), minute = from.minute(), second = from.second();
  for (; day < limit; ++day, hour = minute = second = 0) {
    if (!day_matches(day)) continue;
    while (true) {
      // The next time of this day at or after hour:minute:second.
      const int h = next_bit(hours_, hour);
      if (h < 0) break;
      if (h > hour) minute = second = 0;
      int m = next_bit(minutes_, minute);
      if (m < 0) {
        hour = h + 1;
        minute = second = 0;
        continue;
      }
      if (m > minute) second = 0;
      const int s = next_bit(seconds_, second);
      if (s < 0) {
        hour = h;
        minute = m + 1;
        second = 0;
        continue;
      }
      const auto found = zone_.At(absl::CivilSecond(day.year(), day.month(), day.day(), h, m, s));
      if (found.kind != absl::TimeZone::TimeInfo::SKIPPED) return from_absl(found.pre);
      hour = h;
      minute = m;
      second = s + 1;
    }
  }
  return std::nullopt;
}

std::optional<Time> Cron::next(Time after) const {
  const auto floor = std::chrono::floor<std::chrono::seconds>(after);
  if (every_.count() > 0) return Time(floor + every_);
  auto civil = zone_.At(to_absl(Time(floor))).cs + 1;
  const auto limit = absl::CivilDay(civil) + kYears * 366;
  while (true) {
    const auto found = next_civil(civil, limit);
    if (!found || *found > after) return found;
    // A time that the clock shows a second time: its first is past.
    civil = zone_.At(to_absl(*found)).cs + 1;
  }
}

std::optional<Time> Cron::last(Time after, Time at) const {
  if (every_.count() > 0) {
    const auto first = next(after);
    if (!first || *first > at) return std::nullopt;
    const auto rounds = std::chrono::floor<std::chrono::seconds>(at - *first) / every_;
    return *first + rounds * every_;
  }
  // Backwards in growing steps, until one holds a time; then forwards to its last.
  for (auto step = std::chrono::seconds(1);; step *= 2) {
    const Time from = std::max(after, at - step);
    auto found = next(from);
    if (found && *found <= at) {
      for (auto later = next(*found); later && *later <= at; later = next(*found)) found = later;
      return found;
    }
    if (from == after) return std::nullopt;
  }
}

}  // namespace penstock::pipelines
