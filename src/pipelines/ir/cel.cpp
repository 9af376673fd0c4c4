#include "pipelines/ir/cel.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <re2/re2.h>

#include "base/error.h"
#include "pipelines/ir/cel_node.h"

namespace penstock::cel {

namespace {

std::string_view type_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "bool";
    case json::kind::string: return "string";
    case json::kind::array: return "list";
    case json::kind::object: return "map";
    default: return value.is_double() ? "double" : "int";
  }
}

bool is_number(const json::value& value) { return value.is_number(); }
double as_double(const json::value& value) { return value.to_number<double>(); }

// Parameters arrive as doubles and literals are integers: numbers compare by value, whatever their type.
bool equal(const json::value& left, const json::value& right) {
  if (is_number(left) && is_number(right)) return as_double(left) == as_double(right);
  if (left.kind() != right.kind()) return false;
  if (left.is_array()) {
    const auto &a = left.get_array(), &b = right.get_array();
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!equal(a[i], b[i])) return false;
    }
    return true;
  }
  if (left.is_object()) {
    const auto &a = left.get_object(), &b = right.get_object();
    if (a.size() != b.size()) return false;
    for (const auto& [key, value] : a) {
      const auto* other = b.if_contains(key);
      if (other == nullptr || !equal(value, *other)) return false;
    }
    return true;
  }
  return left == right;
}

int compare(const json::value& left, const json::value& right, std::string_view op) {
  if (is_number(left) && is_number(right)) {
    const double a = as_double(left), b = as_double(right);
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (left.is_string() && right.is_string()) return left.get_string().compare(right.get_string());
  if (left.is_bool() && right.is_bool()) return int(left.get_bool()) - int(right.get_bool());
  throw invalid("'{}' does not compare {} with {}", op, type_of(left), type_of(right));
}

json::value integer_arithmetic(int64_t a, int64_t b, char op) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case '+': overflow = __builtin_add_overflow(a, b, &result); break;
    case '-': overflow = __builtin_sub_overflow(a, b, &result); break;
    case '*': overflow = __builtin_mul_overflow(a, b, &result); break;
    default:
      if (b == 0) throw invalid("division by zero");
      if (b == -1) {
        overflow = op == '/' && a == std::numeric_limits<int64_t>::min();
        result = op == '/' && !overflow ? -a : 0;
      } else {
        result = op == '/' ? a / b : a % b;
      }
  }
  if (overflow) throw invalid("integer overflow in '{}'", op);
  return result;
}

json::value arithmetic(const json::value& left, const json::value& right, char op) {
  if (op == '+' && left.is_string() && right.is_string()) {
    json::string text = left.get_string();
    text += json::string_view(right.get_string());
    return text;
  }
  if (op == '+' && left.is_array() && right.is_array()) {
    json::array list = left.get_array();
    list.insert(list.end(), right.get_array().begin(), right.get_array().end());
    return list;
  }
  if (!is_number(left) || !is_number(right)) {
    throw invalid("'{}' does not work on {} and {}", op, type_of(left), type_of(right));
  }
  if (left.is_int64() && right.is_int64()) return integer_arithmetic(left.get_int64(), right.get_int64(), op);
  const double a = as_double(left), b = as_double(right);
  switch (op) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return a / b;
    default:
      if (b == 0) throw invalid("division by zero");
      return std::fmod(a, b);
  }
}

// Values are borrowed while they can be: a condition on one field of a large value must not copy it.
struct Value {
  json::value owned;
  const json::value* borrowed = nullptr;
  bool is_inputs = false;      // the name `inputs`
  bool is_parameters = false;  // `inputs.parameter_values`

  const json::value& get() const { return borrowed != nullptr ? *borrowed : owned; }
  json::value take() && { return borrowed != nullptr ? *borrowed : std::move(owned); }
};

Value own(json::value value) { return Value{.owned = std::move(value)}; }
Value borrow(const json::value* value) { return Value{.borrowed = value}; }

std::string_view string_argument(const json::value& value, std::string_view function) {
  if (!value.is_string()) throw invalid("{}() takes a string, not {}", function, type_of(value));
  return to_view(value.get_string());
}

json::value to_int(const json::value& value) {
  if (value.is_int64()) return value;
  if (is_number(value)) {
    const double number = as_double(value);
    if (!(std::abs(number) < 9.2e18)) throw invalid("int() of {}: out of range", number);
    return static_cast<int64_t>(number);
  }
  if (value.is_string()) {
    const std::string_view text = to_view(value.get_string());
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) return number;
    throw invalid("int() of \"{}\": not a whole number", text);
  }
  if (value.is_bool()) return int64_t{value.get_bool()};
  throw invalid("int() does not take {}", type_of(value));
}

json::value to_double(const json::value& value) {
  if (is_number(value)) return as_double(value);
  if (value.is_string()) {
    const std::string text = to_std(value.get_string());
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (!text.empty() && *end == 0) return number;
    throw invalid("double() of \"{}\": not a number", text);
  }
  throw invalid("double() does not take {}", type_of(value));
}

json::value to_string(const json::value& value) {
  if (value.is_string()) return value;
  if (value.is_double()) return json::value(number_text(value.get_double()));
  return json::value(to_text(value));
}

json::value to_bool(const json::value& value) {
  if (value.is_bool()) return value;
  if (value.is_string()) {
    const std::string_view text = to_view(value.get_string());
    if (text == "true" || text == "True" || text == "TRUE" || text == "t" || text == "1") return true;
    if (text == "false" || text == "False" || text == "FALSE" || text == "f" || text == "0") return false;
    throw invalid("bool() of \"{}\": neither true nor false", text);
  }
  throw invalid("bool() does not take {}", type_of(value));
}

json::value size_of(const json::value& value) {
  if (value.is_array()) return static_cast<int64_t>(value.get_array().size());
  if (value.is_object()) return static_cast<int64_t>(value.get_object().size());
  if (value.is_string()) {  // characters, not bytes
    int64_t count = 0;
    for (const char c : to_view(value.get_string())) count += (c & 0xC0) != 0x80;
    return count;
  }
  throw invalid("size() does not take {}", type_of(value));
}

bool matches(std::string_view text, std::string_view pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 expression(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!expression.ok()) throw invalid("matches(): {}", expression.error());
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), expression);
}

class Evaluator {
 public:
  explicit Evaluator(const Environment& environment) : environment_(environment) {}

  Value evaluate(const Node& node) const {
    switch (node.kind) {
      case Node::Kind::Literal: return borrow(&node.literal);
      case Node::Kind::Name: return variable(node.name);
      case Node::Kind::Member: return member(node);
      case Node::Kind::Index: return index(node);
      case Node::Kind::Call: return call(node);
      case Node::Kind::Not: return own(!boolean(evaluate(*node.children[0]).get(), "!"));
      case Node::Kind::Negate: return negate(node);
      case Node::Kind::Binary: return binary(node);
      case Node::Kind::And: return own(logical(node, false));
      case Node::Kind::Or: return own(logical(node, true));
      case Node::Kind::Conditional:
        return evaluate(*node.children[boolean(evaluate(*node.children[0]).get(), "?") ? 1 : 2]);
      case Node::Kind::List: {
        json::array list;
        for (const auto& child : node.children) list.push_back(evaluate(*child).take());
        return own(std::move(list));
      }
      case Node::Kind::Map: {
        json::object map;
        for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
          const json::value key = to_string(evaluate(*node.children[i]).get());
          map[key.get_string()] = evaluate(*node.children[i + 1]).take();
        }
        return own(std::move(map));
      }
    }
    return {};
  }

 private:
  static bool boolean(const json::value& value, std::string_view op) {
    if (!value.is_bool()) throw invalid("'{}' takes true or false, not {}", op, type_of(value));
    return value.get_bool();
  }

  // As CEL: an error on one side does not matter when another side decides.
  bool logical(const Node& node, bool decisive) const {
    std::exception_ptr failure;
    for (const auto& child : node.children) {
      try {
        if (boolean(evaluate(*child).get(), decisive ? "||" : "&&") == decisive) return decisive;
      } catch (const Error&) {
        if (!failure) failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return !decisive;
  }

  Value negate(const Node& node) const {
    const Value value = evaluate(*node.children[0]);
    if (value.get().is_int64()) return own(integer_arithmetic(0, value.get().get_int64(), '-'));
    if (is_number(value.get())) return own(-as_double(value.get()));
    throw invalid("'-' does not work on {}", type_of(value.get()));
  }

  Value binary(const Node& node) const {
    const Value a = evaluate(*node.children[0]);
    const Value b = evaluate(*node.children[1]);
    if (node.name == "in" && b.is_parameters) {
      return own(environment_.parameter(string_argument(a.get(), "in")) != nullptr);
    }
    const json::value &left = a.get(), &right = b.get();
    if (node.name == "==") return own(equal(left, right));
    if (node.name == "!=") return own(!equal(left, right));
    if (node.name == "<") return own(compare(left, right, node.name) < 0);
    if (node.name == "<=") return own(compare(left, right, node.name) <= 0);
    if (node.name == ">") return own(compare(left, right, node.name) > 0);
    if (node.name == ">=") return own(compare(left, right, node.name) >= 0);
    if (node.name != "in") return own(arithmetic(left, right, node.name[0]));
    if (right.is_array()) {
      for (const auto& item : right.get_array()) {
        if (equal(left, item)) return own(true);
      }
      return own(false);
    }
    if (right.is_object()) return own(right.get_object().contains(string_argument(left, "in")));
    throw invalid("'in' needs a list or a map on its right, not {}", type_of(right));
  }

  Value variable(const std::string& name) const {
    if (const json::value* value = environment_.variable ? environment_.variable(name) : nullptr) return borrow(value);
    if (name == "inputs" && environment_.parameter) return Value{.is_inputs = true};
    throw invalid("unknown name \"{}\"", name);
  }

  Value member(const Node& node) const {
    Value object = evaluate(*node.children[0]);
    if (object.is_inputs) {
      if (node.name == "parameter_values" || node.name == "parameterValues" || node.name == "parameters") {
        object.is_inputs = false;
        object.is_parameters = true;
        return object;
      }
      const json::value* value = environment_.variable ? environment_.variable("inputs." + node.name) : nullptr;
      if (value != nullptr) return borrow(value);
      throw invalid("inputs has no member \"{}\"", node.name);
    }
    // Schema 2.0.0 writes inputs.parameters['x'].string_value: the kind's name selects the value itself.
    if (!object.get().is_object() && !object.is_parameters &&
        (node.name == "string_value" || node.name == "int_value" || node.name == "double_value")) {
      return object;
    }
    return select(std::move(object), node.name);
  }

  Value index(const Node& node) const {
    Value object = evaluate(*node.children[0]);
    const Value key = evaluate(*node.children[1]);
    if (object.get().is_array() && !object.is_parameters) {
      const json::array& list = object.get().get_array();
      if (!is_number(key.get())) throw invalid("a list's index is a number, not {}", type_of(key.get()));
      const double at = as_double(key.get());
      if (!(at >= 0) || at >= static_cast<double>(list.size()) || at != std::floor(at)) {
        throw invalid("index {} is outside of a list of {}", number_text(at), list.size());
      }
      const size_t position = static_cast<size_t>(at);
      if (object.borrowed != nullptr) return borrow(&list[position]);
      return own(list[position]);
    }
    return select(std::move(object), string_argument(key.get(), "[]"));
  }

  Value select(Value object, std::string_view key) const {
    if (object.is_parameters) {
      const json::value* value = environment_.parameter(key);
      if (value == nullptr) throw invalid("there is no input parameter \"{}\"", key);
      return borrow(value);
    }
    const json::object* map = object.get().if_object();
    if (map == nullptr) throw invalid("{} has no member \"{}\"", type_of(object.get()), key);
    const json::value* value = map->if_contains(key);
    if (value == nullptr) throw invalid("there is no key \"{}\"", key);
    if (object.borrowed != nullptr) return borrow(value);
    return own(*value);
  }

  Value call(const Node& node) const {
    const auto& name = node.name;
    const size_t count = node.children.size();
    if (name == "has" && !node.is_method && count == 1) {
      try {
        evaluate(*node.children[0]);
        return own(true);
      } catch (const Error&) {
        return own(false);
      }
    }
    std::vector<Value> values;
    for (const auto& child : node.children) values.push_back(evaluate(*child));
    auto argument = [&](size_t i) -> const json::value& { return values[i].get(); };
    if (count == 1) {
      if (name == "size") return own(size_of(argument(0)));
      if (!node.is_method) {
        if (name == "int" || name == "uint") return own(to_int(argument(0)));
        if (name == "double") return own(to_double(argument(0)));
        if (name == "string") return own(to_string(argument(0)));
        if (name == "bool") return own(to_bool(argument(0)));
        if (name == "parseJson") return own(parse_json(string_argument(argument(0), name)));
        if (name == "type") return own(json::value(type_of(argument(0))));
      }
    }
    if (count == 2 && (node.is_method || name == "matches")) {
      const std::string_view text = string_argument(argument(0), name), other = string_argument(argument(1), name);
      if (name == "startsWith") return own(text.starts_with(other));
      if (name == "endsWith") return own(text.ends_with(other));
      if (name == "contains") return own(text.find(other) != std::string_view::npos);
      if (name == "matches") return own(matches(text, other));
    }
    throw invalid("unknown function {}() with {} arguments", name, count);
  }

  const Environment& environment_;
};

// An unknown function is a fault of the pipeline, not of a run: found when it is read.
void check_calls(const Node& node) {
  static constexpr std::string_view kFunctions[] = {"size", "int", "uint", "double",    "string",
                                                    "bool", "has", "type", "parseJson", "matches"};
  static constexpr std::string_view kMethods[] = {"size", "startsWith", "endsWith", "contains", "matches"};
  if (node.kind == Node::Kind::Call) {
    bool known = false;
    if (node.is_method) {
      for (const auto name : kMethods) known |= name == node.name;
    } else {
      for (const auto name : kFunctions) known |= name == node.name;
    }
    if (!known) throw invalid("unknown function {}()", node.name);
  }
  for (const auto& child : node.children) check_calls(*child);
}

}  // namespace

Expression Expression::parse(std::string_view text) {
  Expression expression;
  expression.text_ = std::string(text);
  expression.root_ = parse_expression(text);
  check_calls(*expression.root_);
  return expression;
}

json::value Expression::evaluate(const Environment& environment) const {
  return Evaluator(environment).evaluate(*root_).take();
}

bool Expression::holds(const Environment& environment) const {
  const json::value value = evaluate(environment);
  if (!value.is_bool()) throw invalid("the condition gives {}, neither true nor false", to_text(value));
  return value.get_bool();
}

}  // namespace penstock::cel
