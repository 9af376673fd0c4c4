// Expressions: the functions of the language, and Argo's own.
#include <algorithm>
#include <cmath>

#include "base/base64.h"
#include "pipelines/argo/expr_node.h"

namespace penstock::argo::expr {

namespace {

std::string_view word(Arguments arguments, size_t at) {
  if (arguments[at].is_string()) return to_view(arguments[at].get_string());
  throw invalid("argument {} must be a text, not {}", at + 1, to_text(arguments[at]).substr(0, 80));
}

std::string mapped(std::string_view text, int (*change)(int)) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(change(static_cast<unsigned char>(c)));
  return result;
}

constexpr std::string_view kBlanks = " \t\r\n\v\f";

std::string_view stripped(std::string_view text, std::string_view of) {
  const size_t begin = text.find_first_not_of(of);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(of) - begin + 1);
}

json::array split(std::string_view text, std::string_view by, Budget& budget) {
  json::array parts;
  budget.spend_length(text.size());
  if (by.empty()) {
    for (const char c : text) parts.emplace_back(std::string_view(&c, 1));
    return parts;
  }
  for (size_t at = 0;;) {
    const size_t end = text.find(by, at);
    parts.emplace_back(text.substr(at, end == std::string_view::npos ? end : end - at));
    if (end == std::string_view::npos) return parts;
    at = end + by.size();
  }
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to, Budget& budget) {
  std::string result;
  if (from.empty()) return std::string(text);
  for (size_t at = 0;;) {
    const size_t found = text.find(from, at);
    result += text.substr(at, found == std::string_view::npos ? found : found - at);
    if (found == std::string_view::npos) return result;
    result += to;
    budget.spend_length(to.size());
    at = found + from.size();
  }
}

std::string repeated(std::string_view text, int64_t times, Budget& budget) {
  if (times < 0 || static_cast<double>(times) * static_cast<double>(text.size() + 1) > 1e6) {
    throw invalid("{} times is too often", times);
  }
  budget.spend_length(text.size() * static_cast<size_t>(times));
  std::string result;
  for (int64_t i = 0; i < times; ++i) result += text;
  return result;
}

// --- texts ---

json::value lower(Arguments a, Budget&) { return json::value(mapped(word(a, 0), std::tolower)); }
json::value upper(Arguments a, Budget&) { return json::value(mapped(word(a, 0), std::toupper)); }
json::value trim(Arguments a, Budget&) {
  return json::value(stripped(word(a, 0), a.size() > 1 ? word(a, 1) : kBlanks));
}
json::value trim_prefix(Arguments a, Budget&) {
  auto text = word(a, 0);
  if (text.starts_with(word(a, 1))) text.remove_prefix(word(a, 1).size());
  return json::value(text);
}
json::value trim_suffix(Arguments a, Budget&) {
  auto text = word(a, 0);
  if (text.ends_with(word(a, 1))) text.remove_suffix(word(a, 1).size());
  return json::value(text);
}
json::value split_text(Arguments a, Budget& b) { return split(word(a, 0), word(a, 1), b); }
json::value replace(Arguments a, Budget& b) { return json::value(replaced(word(a, 0), word(a, 1), word(a, 2), b)); }
json::value repeat(Arguments a, Budget& b) { return json::value(repeated(word(a, 0), to_int(a[1]), b)); }
json::value join(Arguments a, Budget& b) {
  std::string result;
  bool first = true;
  for (const auto& item : list_of(a[0], "join")) {
    if (!first && a.size() > 1) result += word(a, 1);
    result += to_word(item);
    first = false;
  }
  b.spend_length(result.size());
  return json::value(result);
}
json::value position(size_t at) {
  return at == std::string_view::npos ? json::value(-1) : json::value(static_cast<int64_t>(at));
}
json::value index_of(Arguments a, Budget&) { return position(word(a, 0).find(word(a, 1))); }
json::value last_index_of(Arguments a, Budget&) { return position(word(a, 0).rfind(word(a, 1))); }
json::value has_prefix(Arguments a, Budget&) { return word(a, 0).starts_with(word(a, 1)); }
json::value has_suffix(Arguments a, Budget&) { return word(a, 0).ends_with(word(a, 1)); }

// --- numbers ---

json::value as_int(Arguments a, Budget&) { return to_int(a[0]); }
json::value as_float(Arguments a, Budget&) { return to_float(a[0]); }
json::value as_string(Arguments a, Budget&) { return json::value(to_word(a[0])); }
json::value absolute(Arguments a, Budget& b) {
  const bool negative = compare(a[0], json::value(0)) < 0;
  return negative ? binary("-", json::value(0), a[0], b) : a[0];
}
json::value ceiling(Arguments a, Budget&) { return std::ceil(to_float(a[0])); }
json::value floor_of(Arguments a, Budget&) { return std::floor(to_float(a[0])); }
json::value rounded(Arguments a, Budget&) { return std::round(to_float(a[0])); }

// The arguments, or those of the list that is the only one.
json::array numbers(Arguments a) {
  json::array all;
  for (const auto& one : a) {
    if (one.is_array()) {
      all.insert(all.end(), one.get_array().begin(), one.get_array().end());
    } else {
      all.push_back(one);
    }
  }
  if (all.empty()) throw invalid("there are no numbers");
  return all;
}
json::value smallest(Arguments a, Budget&) {
  const json::array all = numbers(a);
  return *std::min_element(all.begin(), all.end(), [](const auto& x, const auto& y) { return compare(x, y) < 0; });
}
json::value largest(Arguments a, Budget&) {
  const json::array all = numbers(a);
  return *std::max_element(all.begin(), all.end(), [](const auto& x, const auto& y) { return compare(x, y) < 0; });
}
json::value sum(Arguments a, Budget& b) {
  json::value total = 0;
  for (const auto& one : list_of(a[0], "sum")) total = binary("+", total, one, b);
  return total;
}
json::value mean(Arguments a, Budget& b) {
  const auto size = list_of(a[0], "mean").size();
  return size == 0 ? json::value(0.0) : json::value(to_float(sum(a, b)) / static_cast<double>(size));
}
json::value median(Arguments a, Budget&) {
  std::vector<double> all;
  for (const auto& one : list_of(a[0], "median")) all.push_back(to_float(one));
  if (all.empty()) return 0.0;
  std::sort(all.begin(), all.end());
  const size_t half = all.size() / 2;
  return all.size() % 2 == 1 ? all[half] : (all[half - 1] + all[half]) / 2;
}

// --- lists and maps ---

json::value length(Arguments a, Budget&) {
  if (const auto* object = a[0].if_object()) return static_cast<int64_t>(object->size());
  if (const auto* list = a[0].if_array()) return static_cast<int64_t>(list->size());
  const auto text = word(a, 0);  // in characters
  return static_cast<int64_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}
json::value first(Arguments a, Budget&) {
  const auto& list = list_of(a[0], "first");
  return list.empty() ? json::value() : list.front();
}
json::value last(Arguments a, Budget&) {
  const auto& list = list_of(a[0], "last");
  return list.empty() ? json::value() : list.back();
}
json::value take(Arguments a, Budget&) {
  const auto& list = list_of(a[0], "take");
  const auto size = std::clamp<int64_t>(to_int(a[1]), 0, static_cast<int64_t>(list.size()));
  return json::array(list.begin(), list.begin() + size);
}
json::value reverse(Arguments a, Budget&) {
  const auto& list = list_of(a[0], "reverse");
  json::array reversed;
  for (size_t i = list.size(); i-- > 0;) reversed.push_back(list[i]);
  return reversed;
}
json::value sorted(Arguments a, Budget& b) {
  const auto& list = list_of(a[0], "sort");
  std::vector<json::value> all(list.begin(), list.end());
  b.spend(all.size() * 8);
  const bool down = a.size() > 1 && word(a, 1) == "desc";
  std::stable_sort(all.begin(), all.end(),
                   [&](const auto& x, const auto& y) { return (down ? compare(y, x) : compare(x, y)) < 0; });
  return json::array(all.begin(), all.end());
}
json::value unique(Arguments a, Budget& b) {
  json::array kept;
  for (const auto& item : list_of(a[0], "uniq")) {
    b.spend(1 + kept.size());
    if (std::none_of(kept.begin(), kept.end(), [&](const auto& one) { return equal(one, item); })) kept.push_back(item);
  }
  return kept;
}
json::value concat(Arguments a, Budget& b) {
  json::array all;
  for (const auto& one : a) {
    const auto& list = list_of(one, "concat");
    b.spend(list.size());
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}
void flatten_into(const json::array& list, json::array& all) {
  for (const auto& item : list) {
    if (item.is_array()) {
      flatten_into(item.get_array(), all);
    } else {
      all.push_back(item);
    }
  }
}
json::value flatten(Arguments a, Budget&) {
  json::array all;
  flatten_into(list_of(a[0], "flatten"), all);
  return all;
}
const json::object& object_at(Arguments a, size_t at) {
  if (a[at].is_object()) return a[at].get_object();
  throw invalid("argument {} must be a map, not {}", at + 1, to_text(a[at]).substr(0, 80));
}
json::value keys(Arguments a, Budget&) {
  json::array all;
  for (const auto& [key, value] : object_at(a, 0)) all.emplace_back(std::string_view(key));
  return all;
}
json::value values(Arguments a, Budget&) {
  json::array all;
  for (const auto& [key, value] : object_at(a, 0)) all.push_back(value);
  return all;
}
json::value to_pairs(Arguments a, Budget&) {
  json::array all;
  for (const auto& [key, value] : object_at(a, 0)) all.push_back(json::array{std::string_view(key), value});
  return all;
}
json::value from_pairs(Arguments a, Budget&) {
  json::object made;
  for (const auto& pair : list_of(a[0], "fromPairs")) {
    const auto& both = list_of(pair, "fromPairs");
    if (both.size() != 2) throw invalid("a pair has two items");
    made[to_word(both[0])] = both[1];
  }
  return made;
}
json::value get(Arguments a, Budget&) {
  if (a[0].is_null()) return nullptr;
  if (const auto* list = a[0].if_array()) {
    const int64_t at = to_int(a[1]), size = static_cast<int64_t>(list->size());
    if (at < -size || at >= size) return nullptr;
  }
  return element(a[0], a[1]);
}

// --- JSON and others ---

json::value to_json(Arguments a, Budget& b) {
  std::string text = to_text(a[0]);
  b.spend_length(text.size());
  return json::value(text);
}
json::value from_json(Arguments a, Budget& b) {
  b.spend_length(word(a, 0).size());
  return parse_json(word(a, 0));
}
json::value path_in_json(Arguments a, Budget& b) {
  b.spend_length(word(a, 0).size());
  return json_path(parse_json(word(a, 0)), word(a, 1), b);
}
json::value to_base64(Arguments a, Budget&) { return json::value(base64_encode(word(a, 0))); }
json::value from_base64(Arguments a, Budget&) {
  const auto bytes = base64_decode(word(a, 0));
  if (!bytes) throw invalid("it is no base64");
  return json::value(*bytes);
}
json::value type_of(Arguments a, Budget&) {
  switch (a[0].kind()) {
    case json::kind::null: return "nil";
    case json::kind::bool_: return "bool";
    case json::kind::string: return "string";
    case json::kind::array: return "array";
    case json::kind::object: return "map";
    case json::kind::double_: return "float";
    default: return "int";
  }
}

constexpr size_t kMany = 64;
constexpr Function kFunctions[] = {
    {"abs", 1, 1, absolute},
    {"asFloat", 1, 1, as_float},
    {"asInt", 1, 1, as_int},
    {"ceil", 1, 1, ceiling},
    {"concat", 1, kMany, concat},
    {"first", 1, 1, first},
    {"flatten", 1, 1, flatten},
    {"float", 1, 1, as_float},
    {"floor", 1, 1, floor_of},
    {"fromBase64", 1, 1, from_base64},
    {"fromJSON", 1, 1, from_json},
    {"fromPairs", 1, 1, from_pairs},
    {"get", 2, 2, get},
    {"hasPrefix", 2, 2, has_prefix},
    {"hasSuffix", 2, 2, has_suffix},
    {"indexOf", 2, 2, index_of},
    {"int", 1, 1, as_int},
    {"join", 1, 2, join},
    {"jsonpath", 2, 2, path_in_json},
    {"keys", 1, 1, keys},
    {"last", 1, 1, last},
    {"lastIndexOf", 2, 2, last_index_of},
    {"len", 1, 1, length},
    {"lower", 1, 1, lower},
    {"max", 1, kMany, largest},
    {"mean", 1, 1, mean},
    {"median", 1, 1, median},
    {"min", 1, kMany, smallest},
    {"repeat", 2, 2, repeat},
    {"replace", 3, 3, replace},
    {"reverse", 1, 1, reverse},
    {"round", 1, 1, rounded},
    {"sort", 1, 2, sorted},
    {"split", 2, 2, split_text},
    {"string", 1, 1, as_string},
    {"sum", 1, 1, sum},
    {"take", 2, 2, take},
    {"toBase64", 1, 1, to_base64},
    {"toJSON", 1, 1, to_json},
    {"toJson", 1, 1, to_json},
    {"toPairs", 1, 1, to_pairs},
    {"trim", 1, 2, trim},
    {"trimPrefix", 2, 2, trim_prefix},
    {"trimSuffix", 2, 2, trim_suffix},
    {"type", 1, 1, type_of},
    {"uniq", 1, 1, unique},
    {"upper", 1, 1, upper},
    {"values", 1, 1, values},
};

}  // namespace

const Function* find_function(std::string_view name) {
  const std::span<const Function> all = name.starts_with("sprig.") ? sprig_functions() : std::span(kFunctions);
  const auto found = std::find_if(all.begin(), all.end(), [&](const Function& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace penstock::argo::expr
