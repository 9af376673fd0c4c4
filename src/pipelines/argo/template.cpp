#include "pipelines/argo/template.h"

#include <cstdlib>

namespace penstock::argo {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string fill(std::string_view text, const Lookup& lookup) {
  std::string result;
  size_t at = 0;
  for (;;) {
    const size_t begin = text.find("{{", at);
    const size_t end = begin == std::string_view::npos ? begin : text.find("}}", begin + 2);
    if (end == std::string_view::npos) break;
    result += text.substr(at, begin - at);
    const auto tag = trimmed(text.substr(begin + 2, end - begin - 2));
    const auto found = tag.empty() || tag[0] == '$' ? std::nullopt : lookup(tag);
    if (found) {
      result += *found;
      at = end + 2;
    } else {
      result += "{{";
      at = begin + 2;
    }
  }
  result += text.substr(at);
  return result;
}

json::value fill_texts(const json::value& value, const Lookup& lookup) {
  if (const auto* list = value.if_array()) {
    json::array result;
    result.reserve(list->size());
    for (const auto& item : *list) result.push_back(fill_texts(item, lookup));
    return result;
  }
  if (const auto* object = value.if_object()) {
    json::object result;
    for (const auto& [key, member] : *object) result[key] = fill_texts(member, lookup);
    return result;
  }
  if (!value.is_string() || to_view(value.get_string()).find("{{") == std::string_view::npos) return value;
  return json::value(fill(to_view(value.get_string()), lookup));
}

std::vector<std::string_view> split(std::string_view dotted) {
  std::vector<std::string_view> parts;
  for (size_t at = 0;;) {
    const size_t dot = dotted.find('.', at);
    parts.push_back(dotted.substr(at, dot == std::string_view::npos ? dot : dot - at));
    if (dot == std::string_view::npos) return parts;
    at = dot + 1;
  }
}

std::optional<double> duration_seconds(std::string_view text) {
  const std::string copy(trimmed(text));
  const char* at = copy.c_str();
  double total = 0;
  if (copy.empty()) return std::nullopt;
  while (*at != 0) {
    char* end = nullptr;
    const double number = std::strtod(at, &end);
    if (end == at || !(number >= 0) || number > 1e9) return std::nullopt;
    double unit = 1;
    if (*end == 0 && at == copy.c_str()) return number;
    if (end[0] == 'm' && end[1] == 's') {
      unit = 0.001;
      ++end;
    } else if (*end == 'm') {
      unit = 60;
    } else if (*end == 'h') {
      unit = 3600;
    } else if (*end == 'd') {
      unit = 86400;
    } else if (*end != 's') {
      return std::nullopt;
    }
    total += number * unit;
    at = end + 1;
  }
  return total;
}

std::optional<double> iso_seconds(std::string_view text) {
  const std::string copy(trimmed(text));
  if (copy.size() < 2 || (copy[0] != 'P' && copy[0] != 'p')) return std::nullopt;
  constexpr double kDay = 86400;
  bool time = false, any = false;
  double total = 0;
  for (const char* at = copy.c_str() + 1; *at != 0;) {
    if ((*at == 'T' || *at == 't') && !time) {
      time = true;
      ++at;
      continue;
    }
    char* end = nullptr;
    const double number = std::isdigit(static_cast<unsigned char>(*at)) ? std::strtod(at, &end) : -1;
    if (!(number >= 0) || number > 1e9) return std::nullopt;
    double unit = 0;
    switch (std::toupper(static_cast<unsigned char>(*end))) {
      case 'Y': unit = time ? 0 : 365 * kDay; break;
      case 'M': unit = time ? 60 : 30 * kDay; break;
      case 'W': unit = time ? 0 : 7 * kDay; break;
      case 'D': unit = time ? 0 : kDay; break;
      case 'H': unit = time ? 3600 : 0; break;
      case 'S': unit = time ? 1 : 0; break;
      default: break;
    }
    if (unit == 0) return std::nullopt;
    total += number * unit;
    any = true;
    at = end + 1;
  }
  return any ? std::optional(total) : std::nullopt;
}

}  // namespace penstock::argo
