// Kubernetes quantities: "100m", "1.5", "1Gi", "500M", "1e3". Exact: kept as a whole number of billionths.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace penstock::node {

class Quantity {
 public:
  Quantity() = default;
  static Quantity of(int64_t units) { return Quantity(static_cast<__int128>(units) * kNano); }
  static Quantity of_milli(int64_t milli) { return Quantity(static_cast<__int128>(milli) * (kNano / 1000)); }

  // Throws InvalidArgument, naming `field`, when `text` is no quantity or is not below 2^63 units.
  // What is finer than a billionth is rounded up, as Kubernetes does.
  static Quantity parse(std::string_view text, std::string_view field = {});
  // A JSON string, or a JSON number as YAML authors write them (cpu: 2).
  static Quantity read(const json::value& value, std::string_view field = {});

  int64_t units() const;  // rounded up: 1500m is 2
  int64_t milli() const;  // rounded up; at most INT64_MAX
  double number() const;
  std::string text() const;  // "1.5", "250m": the shortest decimal form, without binary suffixes

  auto operator<=>(const Quantity&) const = default;
  Quantity operator+(Quantity other) const { return Quantity(nano_ + other.nano_); }
  Quantity operator-(Quantity other) const { return Quantity(nano_ - other.nano_); }

 private:
  static constexpr int64_t kNano = 1'000'000'000;
  explicit Quantity(__int128 nano) : nano_(nano) {}
  __int128 nano_ = 0;
};

// "7.8Gi", "512Mi", "1000": bytes as a person reads them, for messages.
std::string bytes_text(int64_t bytes);

}  // namespace penstock::node
