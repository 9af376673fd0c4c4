#include "node/quantity.h"

#include <limits>

#include "base/error.h"

namespace penstock::node {

namespace {

constexpr __int128 kMaxNano = static_cast<__int128>(std::numeric_limits<int64_t>::max()) * 1'000'000'000;
constexpr int kMaxDigits = 40;

[[noreturn]] void refuse(std::string_view text, std::string_view field, std::string_view why) {
  throw Error(Code::InvalidArgument,
              fmt::format("\"{}\" is not a quantity: {}; write for example 500m, 1.5, 128Mi or 2Gi", text, why),
              std::string(field));
}

// A decimal number as digits times 10^exponent times 2^binary.
struct Parts {
  __int128 digits = 0;
  int exponent = 0;
  int binary = 0;
};

size_t read_digits(std::string_view text, std::string_view field, Parts& parts) {
  size_t at = 0;
  int count = 0;
  bool any = false, fraction = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    any = true;
    if (count > 0 || c != '0') ++count;
    // Digits past a billionth of the smallest suffix change nothing but the rounding.
    if (count > kMaxDigits - 4) {
      if (!fraction) refuse(text, field, "it is too large");
      if (c != '0') parts.digits |= 1;
      continue;
    }
    parts.digits = parts.digits * 10 + (c - '0');
    if (fraction) --parts.exponent;
  }
  if (!any) refuse(text, field, "it does not start with a number");
  return at;
}

void read_suffix(std::string_view text, std::string_view suffix, std::string_view field, Parts& parts) {
  static constexpr std::string_view kDecimal = "num kMGTPE";  // 10^-9, 10^-6, … by threes
  static constexpr std::string_view kBinary = "KMGTPE";
  if (suffix.empty()) return;
  if (suffix.size() == 2 && suffix[1] == 'i' && kBinary.find(suffix[0]) != std::string_view::npos) {
    parts.binary = 10 * (static_cast<int>(kBinary.find(suffix[0])) + 1);
    return;
  }
  if (suffix.size() == 1 && suffix[0] != ' ' && kDecimal.find(suffix[0]) != std::string_view::npos) {
    parts.exponent += 3 * static_cast<int>(kDecimal.find(suffix[0])) - 9;
    return;
  }
  if (suffix[0] == 'e' || suffix[0] == 'E') {
    std::string_view number = suffix.substr(1);
    const bool negative = !number.empty() && number[0] == '-';
    if (!number.empty() && (number[0] == '-' || number[0] == '+')) number.remove_prefix(1);
    if (!number.empty() && number.size() <= 3 && number.find_first_not_of("0123456789") == std::string_view::npos) {
      const int exponent = std::stoi(std::string(number));
      parts.exponent += negative ? -exponent : exponent;
      return;
    }
  }
  refuse(text, field, fmt::format("\"{}\" is no suffix", suffix));
}

__int128 to_nano(Parts parts, std::string_view text, std::string_view field) {
  __int128 value = parts.digits;
  constexpr __int128 kRoom = static_cast<__int128>(1) << 120;
  bool remainder = false;
  int exponent = parts.exponent + 9;
  // Divide last, so that nothing is rounded which a multiplication would have made whole.
  for (; parts.binary > 0 && value < kRoom; --parts.binary) value *= 2;
  for (; exponent > 0 && value != 0; --exponent) {
    if (value > kMaxNano) refuse(text, field, "it is too large");
    value *= 10;
  }
  for (; exponent < 0 && value != 0; ++exponent) {
    remainder = remainder || value % 10 != 0;
    value /= 10;
  }
  for (; parts.binary > 0; --parts.binary) {
    if (value > kMaxNano) refuse(text, field, "it is too large");
    value *= 2;
  }
  if (remainder) ++value;
  if (value > kMaxNano) refuse(text, field, "it is too large");
  return value;
}

}  // namespace

Quantity Quantity::parse(std::string_view text, std::string_view field) {
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  if (rest.empty()) refuse(text, field, "it is empty");
  Parts parts;
  const size_t end = read_digits(rest, field, parts);
  read_suffix(text, rest.substr(end), field, parts);
  const __int128 nano = to_nano(parts, text, field);
  return Quantity(negative ? -nano : nano);
}

Quantity Quantity::read(const json::value& value, std::string_view field) {
  if (value.is_string()) return parse(to_view(value.get_string()), field);
  if (value.is_int64() || value.is_uint64()) return parse(to_text(value), field);
  if (value.is_double()) return parse(number_text(value.get_double()), field);
  refuse(to_text(value), field, "it is neither a string nor a number");
}

int64_t Quantity::units() const {
  const __int128 up = nano_ > 0 ? kNano - 1 : 0;
  return static_cast<int64_t>((nano_ + up) / kNano);
}

int64_t Quantity::milli() const {
  constexpr __int128 kStep = kNano / 1000;
  const __int128 milli = (nano_ + (nano_ > 0 ? kStep - 1 : 0)) / kStep;
  if (milli > std::numeric_limits<int64_t>::max()) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(milli);
}

double Quantity::number() const { return static_cast<double>(nano_) / kNano; }

std::string Quantity::text() const {
  const bool negative = nano_ < 0;
  const auto nano = static_cast<unsigned __int128>(negative ? -nano_ : nano_);
  const auto units = static_cast<uint64_t>(nano / kNano), part = static_cast<uint64_t>(nano % kNano);
  const std::string_view sign = negative ? "-" : "";
  constexpr uint64_t kMostInMilli = 1'000'000'000'000;
  if (part == 0) return fmt::format("{}{}", sign, units);
  if (part % (kNano / 10) == 0 && units > 0) return fmt::format("{}{}.{}", sign, units, part / (kNano / 10));
  if (part % 1'000'000 == 0 && units < kMostInMilli) {
    return fmt::format("{}{}m", sign, units * 1000 + part / 1'000'000);
  }
  std::string text = fmt::format("{}{}.{:09}", sign, units, part);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

std::string bytes_text(int64_t bytes) {
  static constexpr std::pair<const char*, int64_t> kSteps[] = {
      {"Ti", 1LL << 40}, {"Gi", 1LL << 30}, {"Mi", 1LL << 20}, {"Ki", 1LL << 10}};
  for (const auto& [suffix, size] : kSteps) {
    if (bytes < size) continue;
    if (bytes % size == 0) return fmt::format("{}{}", bytes / size, suffix);
    return fmt::format("{:.1f}{}", static_cast<double>(bytes) / static_cast<double>(size), suffix);
  }
  return std::to_string(bytes);
}

}  // namespace penstock::node
