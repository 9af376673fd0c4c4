// Time and identifiers, injected so that tests set them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

using Time = std::chrono::sys_time<std::chrono::microseconds>;  // UTC

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

class SystemClock : public Clock {
 public:
  Time now() const override;
};

// Moves only when told.
class FakeClock : public Clock {
 public:
  explicit FakeClock(Time start = {}) : now_(start) {}
  Time now() const override { return now_; }
  void advance(std::chrono::microseconds by) { now_ += by; }

 private:
  Time now_;
};

// RFC 3339 in UTC: "2026-01-02T03:04:05Z"; with `fraction`, microseconds when they are not zero.
std::string format_time(Time time, bool fraction = false);
// Any RFC 3339 offset. Empty when it is not one.
std::optional<Time> parse_time(std::string_view text);

int64_t to_micros(Time time);
Time from_micros(int64_t micros);

std::string new_uuid();                        // random, "0b8f…-…"
std::string uuid_from(std::string_view seed);  // version 5: the same seed gives the same id
std::string random_suffix(int length = 5);     // as Kubernetes' generateName appends
std::string sha256_hex(std::string_view data);
std::string hmac_sha256_hex(std::string_view key, std::string_view data);

}  // namespace penstock
