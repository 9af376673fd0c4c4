// What is shared by the checks of all kinds: the causes that are found, field paths that cost nothing until one is
// printed, and the syntax of names, labels and quantities.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/status.h"

namespace penstock::kube {

// A field's path as a chain to its parent, which must outlive it. Becomes text only when something is wrong.
class Path {
 public:
  Path(std::string_view root) : key_(root) {}  // NOLINT: "spec" is a path
  Path operator[](size_t index) const { return Path(this, {}, static_cast<int64_t>(index)); }
  Path operator/(std::string_view key) const { return Path(this, key, -1); }
  Path at(std::string_view key) const { return Path(this, key, -2); }  // a key of a map: labels[key]
  std::string text() const;

 private:
  Path(const Path* parent, std::string_view key, int64_t index) : parent_(parent), key_(key), index_(index) {}
  const Path* parent_ = nullptr;
  std::string_view key_;
  int64_t index_ = -1;
};

// Collects what is wrong with one object, so that all of it is reported at once.
class Causes {
 public:
  void required(const Path& field, std::string_view why = {});
  void invalid(const Path& field, const json::value& value, std::string_view why);
  void forbidden(const Path& field, std::string_view why);
  void unsupported(const Path& field, const json::value& value, std::initializer_list<std::string_view> allowed);
  void duplicate(const Path& field, const json::value& value);
  void not_found(const Path& field, const json::value& value);

  bool empty() const { return causes_.empty(); }
  std::vector<Cause> take() { return std::move(causes_); }

 private:
  std::vector<Cause> causes_;
};

bool is_dns_label(std::string_view text);      // RFC 1123, at most 63 characters
bool is_dns_subdomain(std::string_view text);  // labels joined by dots, at most 253
bool is_label_key(std::string_view text);      // [prefix/]name
bool is_label_value(std::string_view text);

// The name (or generateName), labels, annotations, finalizers and owner references of an object.
void validate_metadata(const json::object& metadata, bool label_name, Causes& causes);

// The value of "500m", "1.5", "2Gi", "1e3"; empty when it is no quantity. JSON numbers are quantities too.
std::optional<double> parse_quantity(std::string_view text);
std::optional<double> quantity_of(const json::value& value);

}  // namespace penstock::kube
