// Expressions: the functions of sprig that give the same for the same arguments. As there, what a text or a number is
// wanted of is converted where that can be done, and is empty or zero where not; the value that is worked on comes
// last.
#include <algorithm>
#include <cmath>

#include <re2/re2.h>

#include "base/base64.h"
#include "base/clock.h"
#include "pipelines/argo/expr_node.h"

namespace penstock::argo::expr {

namespace {

std::string text(const json::value& value) {
  return value.is_string() ? to_std(value.get_string()) : value.is_null() ? std::string() : to_word(value);
}

int64_t whole(const json::value& value) {
  if (value.is_bool()) return value.get_bool() ? 1 : 0;
  try {
    return to_int(value);
  } catch (const Error&) {
    return 0;
  }
}

double floating(const json::value& value) {
  if (value.is_bool()) return value.get_bool() ? 1 : 0;
  try {
    return to_float(value);
  } catch (const Error&) {
    return 0;
  }
}

bool is_empty(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return true;
    case json::kind::bool_: return !value.get_bool();
    case json::kind::string: return value.get_string().empty();
    case json::kind::array: return value.get_array().empty();
    case json::kind::object: return value.get_object().empty();
    default: return value.to_number<double>() == 0;
  }
}

json::value call(std::string_view name, std::initializer_list<json::value> arguments, Budget& budget) {
  std::vector<json::value> list(arguments);
  return find_function(name)->call(list, budget);
}

std::string trimmed(const std::string& value, std::string_view of, bool front, bool back) {
  size_t begin = 0, end = value.size();
  while (front && begin < end && of.find(value[begin]) != std::string_view::npos) ++begin;
  while (back && end > begin && of.find(value[end - 1]) != std::string_view::npos) --end;
  return value.substr(begin, end - begin);
}

// --- texts ---

constexpr std::string_view kBlanks = " \t\r\n\v\f";

json::value trim(Arguments a, Budget&) { return json::value(trimmed(text(a[0]), kBlanks, true, true)); }
json::value trim_all(Arguments a, Budget&) { return json::value(trimmed(text(a[1]), text(a[0]), true, true)); }
json::value trim_prefix(Arguments a, Budget& b) {
  return call("trimPrefix", {json::value(text(a[1])), json::value(text(a[0]))}, b);
}
json::value trim_suffix(Arguments a, Budget& b) {
  return call("trimSuffix", {json::value(text(a[1])), json::value(text(a[0]))}, b);
}
json::value lower(Arguments a, Budget& b) { return call("lower", {json::value(text(a[0]))}, b); }
json::value upper(Arguments a, Budget& b) { return call("upper", {json::value(text(a[0]))}, b); }
json::value titled(const std::string& value, bool up) {
  std::string result = value;
  bool begin = true;
  for (char& c : result) {
    if (begin)
      c = static_cast<char>(up ? std::toupper(static_cast<unsigned char>(c))
                               : std::tolower(static_cast<unsigned char>(c)));
    begin = kBlanks.find(c) != std::string_view::npos;
  }
  return json::value(result);
}
json::value title(Arguments a, Budget&) { return titled(text(a[0]), true); }
json::value untitle(Arguments a, Budget&) { return titled(text(a[0]), false); }
json::value repeat(Arguments a, Budget& b) {
  return call("repeat", {json::value(text(a[1])), json::value(whole(a[0]))}, b);
}
json::value substr(Arguments a, Budget&) {
  const std::string value = text(a[2]);
  const auto size = static_cast<int64_t>(value.size());
  const int64_t from = std::clamp<int64_t>(whole(a[0]), 0, size), end = whole(a[1]);
  const int64_t to = end < 0 || end > size ? size : std::max(from, end);
  return json::value(value.substr(static_cast<size_t>(from), static_cast<size_t>(to - from)));
}
json::value trunc(Arguments a, Budget&) {
  const std::string value = text(a[1]);
  const int64_t size = static_cast<int64_t>(value.size()), want = whole(a[0]);
  if (want >= 0) return json::value(value.substr(0, static_cast<size_t>(std::min(want, size))));
  return json::value(want <= -size ? value : value.substr(static_cast<size_t>(size + want)));
}
json::value nospace(Arguments a, Budget&) {
  std::string value = text(a[0]);
  std::erase_if(value, [](char c) { return kBlanks.find(c) != std::string_view::npos; });
  return json::value(value);
}
json::value contains(Arguments a, Budget&) { return text(a[1]).find(text(a[0])) != std::string::npos; }
json::value has_prefix(Arguments a, Budget&) { return text(a[1]).starts_with(text(a[0])); }
json::value has_suffix(Arguments a, Budget&) { return text(a[1]).ends_with(text(a[0])); }
json::value replace(Arguments a, Budget& b) {
  return call("replace", {json::value(text(a[2])), json::value(text(a[0])), json::value(text(a[1]))}, b);
}
json::value quote(Arguments a, Budget&) { return json::value(json::serialize(json::string_view(text(a[0])))); }
json::value squote(Arguments a, Budget&) { return json::value("'" + text(a[0]) + "'"); }
json::value cat(Arguments a, Budget&) {
  std::string all;
  for (const auto& one : a) all += (all.empty() ? "" : " ") + text(one);
  return json::value(all);
}
std::string indented(const std::string& value, int64_t width) {
  if (width < 0 || width > 100) throw invalid("the indentation {} is out of bounds", width);
  const std::string pad(static_cast<size_t>(width), ' ');
  std::string result = pad;
  for (const char c : value) {
    result += c;
    if (c == '\n') result += pad;
  }
  return result;
}
json::value indent(Arguments a, Budget&) { return json::value(indented(text(a[1]), whole(a[0]))); }
json::value nindent(Arguments a, Budget&) { return json::value("\n" + indented(text(a[1]), whole(a[0]))); }
// "HTTPServer one" as its words' letters, with `between` them.
std::string cased(const std::string& value, char between) {
  std::string result;
  for (size_t i = 0; i < value.size(); ++i) {
    const auto c = static_cast<unsigned char>(value[i]);
    if (c == ' ' || c == '_' || c == '-' || c == '.') {
      if (!result.empty() && result.back() != between) result += between;
      continue;
    }
    const bool begins = std::isupper(c) && i > 0 &&
                        (std::islower(static_cast<unsigned char>(value[i - 1])) ||
                         std::isdigit(static_cast<unsigned char>(value[i - 1])));
    if (begins && result.back() != between) result += between;
    result += static_cast<char>(std::tolower(c));
  }
  return result;
}
json::value snake(Arguments a, Budget&) { return json::value(cased(text(a[0]), '_')); }
json::value kebab(Arguments a, Budget&) { return json::value(cased(text(a[0]), '-')); }
json::value camel(Arguments a, Budget&) {
  std::string result;
  bool begin = true;
  for (const char c : cased(text(a[0]), '_')) {
    if (c == '_') {
      begin = true;
      continue;
    }
    result += begin ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    begin = false;
  }
  return json::value(result);
}
json::value regex_match(Arguments a, Budget&) {
  const RE2 expression(text(a[0]), RE2::Quiet);
  return expression.ok() && RE2::PartialMatch(text(a[1]), expression);
}
json::value regex_find(Arguments a, Budget&) {
  const RE2 expression("(" + text(a[0]) + ")", RE2::Quiet);
  if (!expression.ok()) throw invalid("\"{}\" is no regular expression: {}", text(a[0]), expression.error());
  std::string found;
  RE2::PartialMatch(text(a[1]), expression, &found);
  return json::value(found);
}
json::value regex_replace(Arguments a, Budget& b) {
  const RE2 expression(text(a[0]), RE2::Quiet);
  if (!expression.ok()) throw invalid("\"{}\" is no regular expression: {}", text(a[0]), expression.error());
  std::string value = text(a[1]), with;
  // $1 and ${1} as RE2 writes them.
  const std::string given = text(a[2]);
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] == '\\') {
      with += "\\\\";
      continue;
    }
    const bool braces = given.substr(i).starts_with("${");
    const size_t digit = i + (braces ? 2 : 1);
    if (given[i] == '$' && digit < given.size() && std::isdigit(static_cast<unsigned char>(given[digit]))) {
      with += '\\';
      with += given[digit];
      i = digit + (braces ? 1 : 0);
    } else {
      with += given[i];
    }
  }
  b.spend_length(value.size() * (1 + with.size()));
  RE2::GlobalReplace(&value, expression, with);
  return json::value(value);
}

// --- lists of texts ---

json::value split_list(Arguments a, Budget& b) {
  return call("split", {json::value(text(a[1])), json::value(text(a[0]))}, b);
}
json::value split_map(Arguments a, Budget& b) {
  const json::value parts = split_list(a, b);
  json::object made;
  for (size_t i = 0; i < parts.get_array().size(); ++i) made[fmt::format("_{}", i)] = parts.get_array()[i];
  return made;
}
json::value join(Arguments a, Budget& b) {
  if (!a[1].is_array()) return json::value(text(a[1]));
  return call("join", {a[1], json::value(text(a[0]))}, b);
}
json::value sort_alpha(Arguments a, Budget&) {
  std::vector<std::string> all;
  for (const auto& one : list_of(a[0], "the argument")) all.push_back(text(one));
  std::sort(all.begin(), all.end());
  json::array sorted;
  for (const auto& one : all) sorted.emplace_back(one);
  return sorted;
}

// --- choices ---

json::value or_default(Arguments a, Budget&) { return a.size() < 2 || is_empty(a[1]) ? a[0] : a[1]; }
json::value empty(Arguments a, Budget&) { return is_empty(a[0]); }
json::value coalesce(Arguments a, Budget&) {
  for (const auto& one : a) {
    if (!is_empty(one)) return one;
  }
  return nullptr;
}
json::value ternary(Arguments a, Budget&) { return truth(a[2], "the condition") ? a[0] : a[1]; }

// --- numbers ---

json::value fold(Arguments a, std::string_view op, Budget& b) {
  json::value total = whole(a[0]);
  for (size_t i = 1; i < a.size(); ++i) total = binary(op, total, json::value(whole(a[i])), b);
  return total;
}
json::value add(Arguments a, Budget& b) { return fold(a, "+", b); }
json::value add1(Arguments a, Budget& b) { return binary("+", json::value(whole(a[0])), json::value(1), b); }
json::value sub(Arguments a, Budget& b) { return fold(a, "-", b); }
json::value mul(Arguments a, Budget& b) { return fold(a, "*", b); }
json::value mod(Arguments a, Budget& b) { return fold(a, "%", b); }
json::value div(Arguments a, Budget& b) {
  const int64_t by = whole(a[1]);
  if (by == 0) throw invalid("a division by zero");
  if (by == -1) return binary("-", json::value(0), json::value(whole(a[0])), b);
  return whole(a[0]) / by;
}
json::value fold_float(Arguments a, std::string_view op, Budget& b) {
  json::value total = floating(a[0]);
  for (size_t i = 1; i < a.size(); ++i) total = binary(op, total, json::value(floating(a[i])), b);
  return total;
}
json::value addf(Arguments a, Budget& b) { return fold_float(a, "+", b); }
json::value subf(Arguments a, Budget& b) { return fold_float(a, "-", b); }
json::value mulf(Arguments a, Budget& b) { return fold_float(a, "*", b); }
json::value divf(Arguments a, Budget& b) { return fold_float(a, "/", b); }
json::value largest(Arguments a, Budget&) {
  int64_t found = whole(a[0]);
  for (const auto& one : a) found = std::max(found, whole(one));
  return found;
}
json::value smallest(Arguments a, Budget&) {
  int64_t found = whole(a[0]);
  for (const auto& one : a) found = std::min(found, whole(one));
  return found;
}
json::value to_whole(Arguments a, Budget&) { return whole(a[0]); }
json::value to_floating(Arguments a, Budget&) { return floating(a[0]); }
json::value floor_of(Arguments a, Budget&) { return std::floor(floating(a[0])); }
json::value ceiling(Arguments a, Budget&) { return std::ceil(floating(a[0])); }
json::value rounded(Arguments a, Budget&) {
  const double scale = std::pow(10.0, static_cast<double>(std::clamp<int64_t>(whole(a[1]), 0, 15)));
  return std::round(floating(a[0]) * scale) / scale;
}
json::value to_string(Arguments a, Budget&) { return json::value(text(a[0])); }

// --- lists and maps ---

json::value list(Arguments a, Budget&) { return json::array(a.begin(), a.end()); }
json::value first(Arguments a, Budget& b) { return call("first", {a[0]}, b); }
json::value last(Arguments a, Budget& b) { return call("last", {a[0]}, b); }
json::value rest(Arguments a, Budget&) {
  const auto& all = list_of(a[0], "the argument");
  return json::array(all.begin() + (all.empty() ? 0 : 1), all.end());
}
json::value initial(Arguments a, Budget&) {
  const auto& all = list_of(a[0], "the argument");
  return json::array(all.begin(), all.end() - (all.empty() ? 0 : 1));
}
json::value append(Arguments a, Budget&) {
  json::array all = list_of(a[0], "the argument");
  all.push_back(a[1]);
  return all;
}
json::value prepend(Arguments a, Budget&) {
  json::array all = list_of(a[0], "the argument");
  all.insert(all.begin(), a[1]);
  return all;
}
json::value concat(Arguments a, Budget& b) { return find_function("concat")->call(a, b); }
json::value reverse(Arguments a, Budget& b) { return call("reverse", {a[0]}, b); }
json::value unique(Arguments a, Budget& b) { return call("uniq", {a[0]}, b); }
json::value has(Arguments a, Budget& b) { return binary("in", a[0], json::value(list_of(a[1], "has")), b); }
json::value without(Arguments a, Budget&) {
  json::array kept;
  for (const auto& one : list_of(a[0], "without")) {
    if (std::none_of(a.begin() + 1, a.end(), [&](const auto& gone) { return equal(gone, one); })) kept.push_back(one);
  }
  return kept;
}
json::value compact(Arguments a, Budget&) {
  json::array kept;
  for (const auto& one : list_of(a[0], "compact")) {
    if (!is_empty(one)) kept.push_back(one);
  }
  return kept;
}
const json::object& map_at(Arguments a, size_t at) {
  if (a[at].is_object()) return a[at].get_object();
  throw invalid("argument {} must be a map, not {}", at + 1, to_text(a[at]).substr(0, 80));
}
json::value dict(Arguments a, Budget&) {
  json::object made;
  for (size_t i = 0; i < a.size(); i += 2) made[text(a[i])] = i + 1 < a.size() ? a[i + 1] : json::value("");
  return made;
}
json::value get(Arguments a, Budget&) {
  const auto* found = map_at(a, 0).if_contains(text(a[1]));
  return found != nullptr ? *found : json::value("");
}
json::value has_key(Arguments a, Budget&) { return map_at(a, 0).contains(text(a[1])); }
json::value keys(Arguments a, Budget& b) { return call("keys", {a[0]}, b); }
json::value values(Arguments a, Budget& b) { return call("values", {a[0]}, b); }
json::value pick(Arguments a, Budget&) {
  json::object made;
  for (size_t i = 1; i < a.size(); ++i) {
    if (const auto* found = map_at(a, 0).if_contains(text(a[i]))) made[text(a[i])] = *found;
  }
  return made;
}
json::value omit(Arguments a, Budget&) {
  json::object made = map_at(a, 0);
  for (size_t i = 1; i < a.size(); ++i) made.erase(text(a[i]));
  return made;
}
json::value merge(Arguments a, Budget&) {
  json::object made = map_at(a, 0);
  for (size_t i = 1; i < a.size(); ++i) {
    for (const auto& [key, value] : map_at(a, i)) made.emplace(key, value);  // what is there stays
  }
  return made;
}

// --- JSON and others ---

json::value to_json(Arguments a, Budget& b) { return call("toJson", {a[0]}, b); }
json::value from_json(Arguments a, Budget& b) { return call("fromJSON", {json::value(text(a[0]))}, b); }
json::value encode(Arguments a, Budget&) { return json::value(base64_encode(text(a[0]))); }
json::value decode(Arguments a, Budget& b) { return call("fromBase64", {json::value(text(a[0]))}, b); }
json::value sha256(Arguments a, Budget& b) {
  b.spend_length(text(a[0]).size());
  return json::value(sha256_hex(text(a[0])));
}

constexpr size_t kMany = 64;
constexpr Function kFunctions[] = {
    {"sprig.add", 1, kMany, add},
    {"sprig.add1", 1, 1, add1},
    {"sprig.addf", 1, kMany, addf},
    {"sprig.append", 2, 2, append},
    {"sprig.atoi", 1, 1, to_whole},
    {"sprig.b64dec", 1, 1, decode},
    {"sprig.b64enc", 1, 1, encode},
    {"sprig.camelcase", 1, 1, camel},
    {"sprig.cat", 1, kMany, cat},
    {"sprig.ceil", 1, 1, ceiling},
    {"sprig.coalesce", 1, kMany, coalesce},
    {"sprig.compact", 1, 1, compact},
    {"sprig.concat", 1, kMany, concat},
    {"sprig.contains", 2, 2, contains},
    {"sprig.default", 1, 2, or_default},
    {"sprig.dict", 0, kMany, dict},
    {"sprig.div", 2, 2, div},
    {"sprig.divf", 2, kMany, divf},
    {"sprig.empty", 1, 1, empty},
    {"sprig.first", 1, 1, first},
    {"sprig.float64", 1, 1, to_floating},
    {"sprig.floor", 1, 1, floor_of},
    {"sprig.fromJson", 1, 1, from_json},
    {"sprig.get", 2, 2, get},
    {"sprig.has", 2, 2, has},
    {"sprig.hasKey", 2, 2, has_key},
    {"sprig.hasPrefix", 2, 2, has_prefix},
    {"sprig.hasSuffix", 2, 2, has_suffix},
    {"sprig.indent", 2, 2, indent},
    {"sprig.initial", 1, 1, initial},
    {"sprig.int", 1, 1, to_whole},
    {"sprig.int64", 1, 1, to_whole},
    {"sprig.join", 2, 2, join},
    {"sprig.kebabcase", 1, 1, kebab},
    {"sprig.keys", 1, 1, keys},
    {"sprig.last", 1, 1, last},
    {"sprig.list", 0, kMany, list},
    {"sprig.lower", 1, 1, lower},
    {"sprig.max", 1, kMany, largest},
    {"sprig.merge", 1, kMany, merge},
    {"sprig.min", 1, kMany, smallest},
    {"sprig.mod", 2, 2, mod},
    {"sprig.mul", 1, kMany, mul},
    {"sprig.mulf", 1, kMany, mulf},
    {"sprig.nindent", 2, 2, nindent},
    {"sprig.nospace", 1, 1, nospace},
    {"sprig.omit", 1, kMany, omit},
    {"sprig.pick", 1, kMany, pick},
    {"sprig.prepend", 2, 2, prepend},
    {"sprig.quote", 1, 1, quote},
    {"sprig.regexFind", 2, 2, regex_find},
    {"sprig.regexMatch", 2, 2, regex_match},
    {"sprig.regexReplaceAll", 3, 3, regex_replace},
    {"sprig.repeat", 2, 2, repeat},
    {"sprig.replace", 3, 3, replace},
    {"sprig.rest", 1, 1, rest},
    {"sprig.reverse", 1, 1, reverse},
    {"sprig.round", 2, 2, rounded},
    {"sprig.sha256sum", 1, 1, sha256},
    {"sprig.snakecase", 1, 1, snake},
    {"sprig.sortAlpha", 1, 1, sort_alpha},
    {"sprig.split", 2, 2, split_map},
    {"sprig.splitList", 2, 2, split_list},
    {"sprig.squote", 1, 1, squote},
    {"sprig.sub", 2, 2, sub},
    {"sprig.subf", 2, kMany, subf},
    {"sprig.substr", 3, 3, substr},
    {"sprig.ternary", 3, 3, ternary},
    {"sprig.title", 1, 1, title},
    {"sprig.toJson", 1, 1, to_json},
    {"sprig.toString", 1, 1, to_string},
    {"sprig.trim", 1, 1, trim},
    {"sprig.trimAll", 2, 2, trim_all},
    {"sprig.trimPrefix", 2, 2, trim_prefix},
    {"sprig.trimSuffix", 2, 2, trim_suffix},
    {"sprig.trunc", 2, 2, trunc},
    {"sprig.uniq", 1, 1, unique},
    {"sprig.untitle", 1, 1, untitle},
    {"sprig.upper", 1, 1, upper},
    {"sprig.values", 1, 1, values},
    {"sprig.without", 1, kMany, without},
};

}  // namespace

std::span<const Function> sprig_functions() { return kFunctions; }

}  // namespace penstock::argo::expr
