#include "kube/validation.h"

#include <charconv>
#include <cmath>

namespace penstock::kube {

namespace {

constexpr std::string_view kSubdomainRule =
    "use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters";
constexpr std::string_view kLabelRule =
    "use lower-case letters, digits and '-', beginning and ending with a letter or digit, at most 63 characters";
constexpr std::string_view kKeyRule =
    "use [prefix/]name, the name of letters, digits, '-', '_' and '.' (at most 63), the prefix a DNS name";
constexpr std::string_view kValueRule =
    "use letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63 characters";
constexpr size_t kMaxAnnotationBytes = 256 * 1024;

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

bool is_dns_part(std::string_view text) {
  if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
  for (const char c : text) {
    if (!is_lower_alnum(c) && c != '-') return false;
  }
  return true;
}

bool is_qualified_part(std::string_view text) {
  if (text.empty() || text.size() > 63 || !is_alnum(text.front()) || !is_alnum(text.back())) return false;
  for (const char c : text) {
    if (!is_alnum(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

std::string shown(const json::value& value) {
  std::string text = to_text(value);
  if (text.size() > 200) text = text.substr(0, 200) + "…";
  return text;
}

}  // namespace

std::string Path::text() const {
  if (parent_ == nullptr) return std::string(key_);
  if (index_ >= 0) return fmt::format("{}[{}]", parent_->text(), index_);
  if (index_ == -2) return fmt::format("{}[{}]", parent_->text(), key_);
  return fmt::format("{}.{}", parent_->text(), key_);
}

void Causes::required(const Path& field, std::string_view why) {
  causes_.push_back(
      {"FieldValueRequired", why.empty() ? "Required value" : fmt::format("Required value: {}", why), field.text()});
}

void Causes::invalid(const Path& field, const json::value& value, std::string_view why) {
  causes_.push_back({"FieldValueInvalid", fmt::format("Invalid value: {}: {}", shown(value), why), field.text()});
}

void Causes::forbidden(const Path& field, std::string_view why) {
  causes_.push_back({"FieldValueForbidden", fmt::format("Forbidden: {}", why), field.text()});
}

void Causes::unsupported(const Path& field, const json::value& value, std::initializer_list<std::string_view> allowed) {
  std::string list;
  for (const auto item : allowed) list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", item);
  causes_.push_back({"FieldValueNotSupported",
                     fmt::format("Unsupported value: {}: supported values: {}", shown(value), list), field.text()});
}

void Causes::duplicate(const Path& field, const json::value& value) {
  causes_.push_back({"FieldValueDuplicate", fmt::format("Duplicate value: {}", shown(value)), field.text()});
}

void Causes::not_found(const Path& field, const json::value& value) {
  causes_.push_back({"FieldValueNotFound", fmt::format("Not found: {}", shown(value)), field.text()});
}

bool is_dns_label(std::string_view text) { return text.size() <= 63 && is_dns_part(text); }

bool is_dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const size_t dot = text.find('.');
    if (!is_dns_part(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_label_key(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_qualified_part(text);
  return is_dns_subdomain(text.substr(0, slash)) && is_qualified_part(text.substr(slash + 1));
}

bool is_label_value(std::string_view text) { return text.empty() || is_qualified_part(text); }

namespace {

void validate_string_map(const json::object& metadata, std::string_view member, bool labels, Causes& causes) {
  const auto* value = metadata.if_contains(member);
  if (value == nullptr || value->is_null()) return;
  const Path root("metadata");
  const Path path = root / member;
  if (!value->is_object()) return causes.invalid(path, *value, "must be an object of strings");
  size_t bytes = 0;
  for (const auto& [key, item] : value->get_object()) {
    if (!is_label_key(key)) causes.invalid(path, json::value(key), kKeyRule);
    if (!item.is_string()) {
      causes.invalid(path.at(key), item, "must be a string");
    } else if (labels && !is_label_value(to_view(item.get_string()))) {
      causes.invalid(path.at(key), item, kValueRule);
    }
    bytes += key.size() + (item.is_string() ? item.get_string().size() : 0);
  }
  if (!labels && bytes > kMaxAnnotationBytes) {
    causes.invalid(path, json::value(bytes), "must have at most 262144 bytes in all");
  }
}

void validate_owners(const json::object& metadata, Causes& causes) {
  const auto* value = metadata.if_contains("ownerReferences");
  if (value == nullptr || value->is_null()) return;
  const Path root("metadata");
  const Path path = root / "ownerReferences";
  if (!value->is_array()) return causes.invalid(path, *value, "must be a list");
  int controllers = 0;
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    const auto& item = value->get_array()[i];
    const Path at = path[i];
    if (!item.is_object()) {
      causes.invalid(at, item, "must be an object");
      continue;
    }
    for (const std::string_view key : {"apiVersion", "kind", "name", "uid"}) {
      const auto* member = item.get_object().if_contains(key);
      if (member == nullptr || !member->is_string() || member->get_string().empty()) causes.required(at / key);
    }
    controllers += get_bool(item.get_object(), "controller");
  }
  if (controllers > 1) causes.invalid(path, *value, "only one owner can be the controller");
}

void validate_finalizers(const json::object& metadata, Causes& causes) {
  const auto* value = metadata.if_contains("finalizers");
  if (value == nullptr || value->is_null()) return;
  const Path root("metadata");
  const Path path = root / "finalizers";
  if (!value->is_array()) return causes.invalid(path, *value, "must be a list of strings");
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    const auto& item = value->get_array()[i];
    if (!item.is_string() || !is_label_key(to_view(item.get_string()))) causes.invalid(path[i], item, kKeyRule);
  }
}

}  // namespace

void validate_metadata(const json::object& metadata, bool label_name, Causes& causes) {
  const Path root("metadata");
  const auto* name = metadata.if_contains("name");
  if (name == nullptr || (name->is_string() && name->get_string().empty())) {
    causes.required(root / "name", "name or generateName is required");
  } else if (!name->is_string()) {
    causes.invalid(root / "name", *name, "must be a string");
  } else if (label_name ? !is_dns_label(to_view(name->get_string())) : !is_dns_subdomain(to_view(name->get_string()))) {
    causes.invalid(root / "name", *name, label_name ? kLabelRule : kSubdomainRule);
  }
  validate_string_map(metadata, "labels", true, causes);
  validate_string_map(metadata, "annotations", false, causes);
  validate_owners(metadata, causes);
  validate_finalizers(metadata, causes);
}

std::optional<double> parse_quantity(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double number = 0;
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  if (begin == end || !((*begin >= '0' && *begin <= '9') || *begin == '.' || *begin == '-')) return std::nullopt;
  auto [at, error] = std::from_chars(begin, end, number, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view suffix(at, static_cast<size_t>(end - at));
  if (suffix.empty()) return number;
  static constexpr std::pair<std::string_view, double> kSuffixes[] = {
      {"n", 1e-9},    {"u", 1e-6},    {"m", 1e-3},    {"k", 1e3},     {"M", 1e6},
      {"G", 1e9},     {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"Ki", 0x1p10},
      {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}};
  for (const auto& [name, factor] : kSuffixes) {
    if (suffix == name) return number * factor;
  }
  if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    int exponent = 0;
    const char* digits = at + (suffix[1] == '+' ? 2 : 1);
    const auto result = std::from_chars(digits, end, exponent);
    if (result.ec == std::errc{} && result.ptr == end && std::abs(exponent) < 300) {
      return number * std::pow(10.0, exponent);
    }
  }
  return std::nullopt;
}

std::optional<double> quantity_of(const json::value& value) {
  if (value.is_string()) return parse_quantity(to_view(value.get_string()));
  if (value.is_number()) return value.to_number<double>();
  return std::nullopt;
}

}  // namespace penstock::kube
