// Expressions: values, and what the operators make of them.
#include <cmath>

#include <re2/re2.h>

#include "pipelines/argo/expr_node.h"
#include "pipelines/ir/spec.h"

namespace penstock::argo::expr {

namespace {

constexpr int64_t kLongestRange = 100'000;

std::string excerpt(const json::value& value) { return to_text(value).substr(0, 80); }

[[noreturn]] void no_operands(std::string_view op, const json::value& left, const json::value& right) {
  throw invalid("'{}' does not take {} and {}", op, excerpt(left), excerpt(right));
}

bool matches(const json::value& left, const json::value& right) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 expression(text_of(right, "matches"), options);
  if (!expression.ok()) throw invalid("{} is no regular expression: {}", excerpt(right), expression.error());
  return RE2::PartialMatch(text_of(left, "matches"), expression);
}

bool is_in(const json::value& left, const json::value& right) {
  if (const auto* list = right.if_array()) {
    return std::any_of(list->begin(), list->end(), [&](const json::value& item) { return equal(left, item); });
  }
  if (const auto* object = right.if_object()) return object->contains(text_of(left, "in"));
  throw invalid("'in' takes a list or a map, not {}", excerpt(right));
}

json::value whole(std::string_view op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool over = false;
  if (op == "+") over = __builtin_add_overflow(left, right, &result);
  if (op == "-") over = __builtin_sub_overflow(left, right, &result);
  if (op == "*") over = __builtin_mul_overflow(left, right, &result);
  if (op == "%") {
    if (right == 0) throw invalid("a remainder by zero");
    result = right == -1 ? 0 : left % right;
  }
  if (over) throw invalid("{} {} {} is too large", left, op, right);
  return result;
}

json::value arithmetic(std::string_view op, const json::value& left, const json::value& right) {
  if (!left.is_number() || !right.is_number()) no_operands(op, left, right);
  const bool both_whole = left.is_int64() && right.is_int64();
  if (both_whole && op != "/" && op != "**") return whole(op, left.get_int64(), right.get_int64());
  const double a = to_float(left), b = to_float(right);
  double result = 0;
  if (op == "+") result = a + b;
  if (op == "-") result = a - b;
  if (op == "*") result = a * b;
  if (op == "/") result = a / b;
  if (op == "%") no_operands(op, left, right);
  if (op == "**") result = std::pow(a, b);
  if (!std::isfinite(result)) throw invalid("{} {} {} is no number", excerpt(left), op, excerpt(right));
  return result;
}

json::value range(const json::value& left, const json::value& right, Budget& budget) {
  if (!left.is_int64() || !right.is_int64()) no_operands("..", left, right);
  json::array list;
  const double size = static_cast<double>(right.get_int64()) - static_cast<double>(left.get_int64());
  if (size > kLongestRange) throw invalid("{}..{} is too long", left.get_int64(), right.get_int64());
  for (int64_t i = left.get_int64(); i <= right.get_int64(); ++i) list.emplace_back(i);
  budget.spend(list.size());
  return list;
}

}  // namespace

bool equal(const json::value& left, const json::value& right) {
  if (left.is_number() && right.is_number() && left.kind() != right.kind()) return to_float(left) == to_float(right);
  if (left.is_array() && right.is_array()) {
    const auto &a = left.get_array(), &b = right.get_array();
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
  }
  if (left.is_object() && right.is_object()) {
    const auto &a = left.get_object(), &b = right.get_object();
    return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& entry) {
             const auto* other = b.if_contains(entry.key());
             return other != nullptr && equal(entry.value(), *other);
           });
  }
  return left == right;
}

int compare(const json::value& left, const json::value& right) {
  if (left.is_int64() && right.is_int64()) {
    return left.get_int64() < right.get_int64() ? -1 : left.get_int64() > right.get_int64() ? 1 : 0;
  }
  if (left.is_number() && right.is_number()) {
    const double a = to_float(left), b = to_float(right);
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (left.is_string() && right.is_string()) return to_view(left.get_string()).compare(to_view(right.get_string()));
  throw invalid("{} and {} cannot be compared", excerpt(left), excerpt(right));
}

bool truth(const json::value& value, std::string_view of) {
  if (value.is_bool()) return value.get_bool();
  throw invalid("{} of {} is neither true nor false", of, excerpt(value));
}

int64_t to_int(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_number()) {
    const double number = value.to_number<double>();
    if (std::abs(number) < 9.2e18) return static_cast<int64_t>(number);
  }
  if (value.is_string()) {
    const std::string text = to_std(value.get_string());
    char* end = nullptr;
    errno = 0;
    const long long number = std::strtoll(text.c_str(), &end, 10);
    const bool blank = !text.empty() && std::isspace(static_cast<unsigned char>(text[0]));
    if (!text.empty() && !blank && *end == 0 && errno == 0) return number;
  }
  throw invalid("{} is no whole number", excerpt(value));
}

double to_float(const json::value& value) {
  if (value.is_number()) return value.to_number<double>();
  if (value.is_string()) {
    const std::string text = to_std(value.get_string());
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    const bool blank = !text.empty() && std::isspace(static_cast<unsigned char>(text[0]));
    if (!text.empty() && !blank && *end == 0 && std::isfinite(number)) return number;
  }
  throw invalid("{} is no number", excerpt(value));
}

std::string to_word(const json::value& value) { return value.is_null() ? "<nil>" : ir::text_of(value); }

const json::array& list_of(const json::value& value, std::string_view of) {
  if (!value.is_array()) throw invalid("{} takes a list, not {}", of, excerpt(value));
  return value.get_array();
}

std::string_view text_of(const json::value& value, std::string_view of) {
  if (!value.is_string()) throw invalid("{} takes a text, not {}", of, excerpt(value));
  return to_view(value.get_string());
}

json::value binary(std::string_view op, const json::value& left, const json::value& right, Budget& budget) {
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  if (op == "<") return compare(left, right) < 0;
  if (op == "<=") return compare(left, right) <= 0;
  if (op == ">") return compare(left, right) > 0;
  if (op == ">=") return compare(left, right) >= 0;
  if (op == "in") return is_in(left, right);
  if (op == "matches") return matches(left, right);
  if (op == "contains") return text_of(left, op).find(text_of(right, op)) != std::string_view::npos;
  if (op == "startsWith") return text_of(left, op).starts_with(text_of(right, op));
  if (op == "endsWith") return text_of(left, op).ends_with(text_of(right, op));
  if (op == "..") return range(left, right, budget);
  if (op == "+" && left.is_string() && right.is_string()) {
    budget.spend_length(left.get_string().size() + right.get_string().size());
    return json::value(to_std(left.get_string()) + to_std(right.get_string()));
  }
  return arithmetic(op, left, right);
}

json::value element(const json::value& of, const json::value& index) {
  if (const auto* object = of.if_object()) {
    const auto* found = object->if_contains(text_of(index, "[]"));
    return found != nullptr ? *found : json::value();
  }
  if (const auto* list = of.if_array(); list != nullptr && index.is_int64()) {
    const auto size = static_cast<int64_t>(list->size());
    const int64_t at = index.get_int64() < 0 ? index.get_int64() + size : index.get_int64();
    if (at < 0 || at >= size) throw invalid("the list of {} has no item {}", size, index.get_int64());
    return (*list)[static_cast<size_t>(at)];
  }
  throw invalid("{} has no member {}", excerpt(of), excerpt(index));
}

namespace {

// "$.a[0]['b c'].*" as its steps; "*" is every member.
std::vector<json::value> steps_of(std::string_view path) {
  const auto fail = [&] { return invalid("the JSONPath \"{}\" is malformed or uses what is not supported", path); };
  std::vector<json::value> steps;
  size_t at = path.starts_with('$') ? 1 : 0;
  while (at < path.size()) {
    if (path[at] == '.') {
      const size_t end = std::min(path.find_first_of(".[", at + 1), path.size());
      if (end == at + 1 && end < path.size() && path[end] == '[') {
        ++at;
        continue;
      }
      if (end == at + 1) throw fail();  // ".." or nothing
      steps.emplace_back(path.substr(at + 1, end - at - 1));
      at = end;
    } else if (path[at] == '[') {
      const bool quoted = at + 1 < path.size() && (path[at + 1] == '\'' || path[at + 1] == '"');
      const std::string closing = quoted ? std::string{path[at + 1], ']'} : "]";
      const size_t begin = at + (quoted ? 2 : 1), end = path.find(closing, begin);
      if (end == std::string_view::npos) throw fail();
      const auto name = path.substr(begin, end - begin);
      if (quoted || name == "*") {
        steps.emplace_back(name);
      } else {
        steps.emplace_back(to_int(json::value(name)));
      }
      at = end + closing.size();
    } else if (at == 0) {  // without the "$."
      const size_t end = std::min(path.find_first_of(".["), path.size());
      steps.emplace_back(path.substr(0, end));
      at = end;
    } else {
      throw fail();
    }
  }
  return steps;
}

}  // namespace

json::value json_path(const json::value& document, std::string_view path, Budget& budget) {
  std::vector<const json::value*> found{&document};
  bool many = false;
  for (const auto& step : steps_of(path)) {
    std::vector<const json::value*> next;
    for (const auto* value : found) {
      const auto* list = value->if_array();
      const auto* object = value->if_object();
      if (step.is_string() && step.get_string() == "*") {
        many = true;
        if (list != nullptr) {
          for (const auto& item : *list) next.push_back(&item);
        } else if (object != nullptr) {
          for (const auto& [key, item] : *object) next.push_back(&item);
        }
      } else if (step.is_string() && object != nullptr) {
        if (const auto* member = object->if_contains(to_view(step.get_string()))) next.push_back(member);
      } else if (step.is_int64() && list != nullptr) {
        const auto size = static_cast<int64_t>(list->size());
        const int64_t at = step.get_int64() < 0 ? step.get_int64() + size : step.get_int64();
        if (at >= 0 && at < size) next.push_back(&(*list)[static_cast<size_t>(at)]);
      }
    }
    budget.spend(1 + next.size());
    found = std::move(next);
  }
  if (many) {
    json::array all;
    for (const auto* value : found) all.push_back(*value);
    return all;
  }
  if (found.empty()) throw invalid("there is nothing at {}", path);
  return *found[0];
}

}  // namespace penstock::argo::expr
