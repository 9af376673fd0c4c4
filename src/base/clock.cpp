#include "base/clock.h"

#include <charconv>
#include <random>

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

namespace penstock {

Time SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

int64_t to_micros(Time time) { return time.time_since_epoch().count(); }
Time from_micros(int64_t micros) { return Time(std::chrono::microseconds(micros)); }

std::string format_time(Time time, bool fraction) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto micros = (time - day).count();
  const auto seconds = micros / 1'000'000;
  auto text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                          static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), seconds / 3600,
                          seconds / 60 % 60, seconds % 60);
  if (fraction && micros % 1'000'000 != 0) text += fmt::format(".{:06}", micros % 1'000'000);
  return text + "Z";
}

std::optional<Time> parse_time(std::string_view text) {
  auto number = [&](size_t at, size_t length) -> int {
    int value = -1;
    if (at + length > text.size()) return -1;
    const auto* end = text.data() + at + length;
    const auto result = std::from_chars(text.data() + at, end, value);
    return result.ptr == end && result.ec == std::errc{} ? value : -1;
  };
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
      text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
      minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  size_t at = 19;
  int64_t micros = 0;
  if (at < text.size() && text[at] == '.') {
    int64_t scale = 100'000;
    const size_t begin = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      micros += (text[at] - '0') * scale;
    if (at == begin) return std::nullopt;
  }
  int offset_minutes = 0;
  if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
    ++at;
  } else if (at + 6 == text.size() && (text[at] == '+' || text[at] == '-') && text[at + 3] == ':') {
    const int h = number(at + 1, 2), m = number(at + 4, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59) return std::nullopt;
    offset_minutes = (h * 60 + m) * (text[at] == '-' ? -1 : 1);
    at += 6;
  } else {
    return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  return Time(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
              std::chrono::minutes(minute - offset_minutes) + std::chrono::seconds(second) +
              std::chrono::microseconds(micros));
}

std::string new_uuid() {
  thread_local boost::uuids::random_generator_mt19937 generator;
  return boost::uuids::to_string(generator());
}

std::string uuid_from(std::string_view seed) {
  static const boost::uuids::uuid space = boost::uuids::ns::oid();
  boost::uuids::name_generator_sha1 generator(space);
  return boost::uuids::to_string(generator(seed.data(), seed.size()));
}

std::string random_suffix(int length) {
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string text;
  for (int i = 0; i < length; ++i) text += kAlphabet[random() % kAlphabet.size()];
  return text;
}

namespace {

std::string hex_of(const unsigned char (&digest)[SHA256_DIGEST_LENGTH]) {
  std::string text;
  text.reserve(64);
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

std::string sha256_hex(std::string_view data) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(bytes_of(data), data.size(), digest);
  return hex_of(digest);
}

std::string hmac_sha256_hex(std::string_view key, std::string_view data) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  unsigned int size = sizeof digest;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(data), data.size(), digest, &size);
  return hex_of(digest);
}

}  // namespace penstock
