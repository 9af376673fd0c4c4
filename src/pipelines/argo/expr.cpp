// Expressions: their evaluation.
#include "pipelines/argo/expr.h"

#include <algorithm>

#include "pipelines/argo/expr_node.h"

namespace penstock::argo {

namespace expr {

namespace {

class Evaluator {
 public:
  explicit Evaluator(const json::object& names) : names_(names) {}

  json::value eval(const Node& node) {
    budget_.spend(1);
    switch (node.kind) {
      case Node::Kind::Literal: return node.literal;
      case Node::Kind::Name: return name(node);
      case Node::Kind::Element: return closure_value(node);
      case Node::Kind::Member:
      case Node::Kind::Index: return member(node);
      case Node::Kind::Slice: return slice(node);
      case Node::Kind::Call: return call(node);
      case Node::Kind::Closure: return closure(node);
      case Node::Kind::Unary: return unary(node);
      case Node::Kind::Binary: return binary_node(node);
      case Node::Kind::Conditional: return eval(*node.children[truth(eval(*node.children[0]), "?") ? 1 : 2]);
      case Node::Kind::List: return list(node);
      case Node::Kind::Map: return map(node);
      case Node::Kind::Let: return let(node);
    }
    return nullptr;
  }

 private:
  struct Frame {
    const json::value* item;
    int64_t index;
    const json::value* acc;
  };

  // A chain of members that begins with a name is followed without copying what it passes through.
  const json::value* place(const Node& node) {
    if (node.kind == Node::Kind::Name) return look_up(node.text);
    if (node.kind == Node::Kind::Element) {
      return node.text.empty() ? frames_.back().item : node.text == "acc" ? frames_.back().acc : nullptr;
    }
    if (node.kind != Node::Kind::Member) return nullptr;
    const json::value* of = place(*node.children[0]);
    return of != nullptr && of->is_object() ? of->get_object().if_contains(node.text) : nullptr;
  }

  const json::value* look_up(std::string_view wanted) const {
    for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
      if (it->first == wanted) return &it->second;
    }
    return names_.if_contains(wanted);
  }

  json::value copy(const json::value& value) {
    budget_.spend(size_of(value));
    return value;
  }

  static size_t size_of(const json::value& value) {
    size_t size = 1;
    if (const auto* list = value.if_array()) {
      for (const auto& item : *list) size += size_of(item);
    } else if (const auto* object = value.if_object()) {
      for (const auto& [key, item] : *object) size += size_of(item);
    } else if (value.is_string()) {
      size += value.get_string().size() / 64;
    }
    return size;
  }

  json::value name(const Node& node) {
    const json::value* found = look_up(node.text);
    if (found == nullptr) throw invalid("there is nothing named {}", node.text);
    return copy(*found);
  }

  json::value closure_value(const Node& node) {
    const Frame& frame = frames_.back();
    if (node.text == "index") return frame.index;
    if (node.text.empty()) return copy(*frame.item);
    if (frame.acc == nullptr) throw invalid("#acc has a meaning in reduce() alone");
    return copy(*frame.acc);
  }

  json::value member(const Node& node) {
    if (const json::value* found = place(node)) return copy(*found);
    const json::value of = eval(*node.children[0]);
    const json::value key = node.kind == Node::Kind::Member ? json::value(node.text) : eval(*node.children[1]);
    if (of.is_null() && node.optional) return nullptr;
    if (of.is_null()) throw invalid("there is no {} of nothing", to_word(key));
    return element(of, key);
  }

  json::value slice(const Node& node) {
    const json::value of = eval(*node.children[0]);
    const auto size = static_cast<int64_t>(of.is_string() ? of.get_string().size() : list_of(of, "[:]").size());
    auto bound = [&](const NodePtr& child, int64_t fallback) {
      if (!child) return fallback;
      const json::value value = eval(*child);
      if (!value.is_int64()) throw invalid("[:] takes whole numbers, not {}", to_text(value).substr(0, 80));
      const int64_t at = value.get_int64();
      return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
    };
    const int64_t from = bound(node.children[1], 0), to = std::max(from, bound(node.children[2], size));
    if (of.is_string()) {
      return json::value(to_view(of.get_string()).substr(static_cast<size_t>(from), static_cast<size_t>(to - from)));
    }
    const auto& list = of.get_array();
    return json::array(list.begin() + from, list.begin() + to);
  }

  json::value call(const Node& node) {
    std::vector<json::value> arguments;
    arguments.reserve(node.children.size());
    for (const auto& child : node.children) arguments.push_back(eval(*child));
    try {
      return node.function->call(arguments, budget_);
    } catch (const Error& error) {
      throw invalid("{}: {}", node.text, error.message());
    }
  }

  json::value unary(const Node& node) {
    const json::value value = eval(*node.children[0]);
    if (node.text == "!") return !truth(value, "!");
    if (!value.is_number()) throw invalid("'{}' takes a number, not {}", node.text, to_text(value).substr(0, 80));
    if (node.text == "+") return value;
    return binary("-", json::value(0), value, budget_);
  }

  json::value binary_node(const Node& node) {
    json::value left = eval(*node.children[0]);
    if (node.text == "??") return left.is_null() ? eval(*node.children[1]) : left;
    if (node.text == "&&" || node.text == "||") {
      const bool stop = node.text == "||";
      if (truth(left, node.text) == stop) return stop;
      return truth(eval(*node.children[1]), node.text);
    }
    return binary(node.text, left, eval(*node.children[1]), budget_);
  }

  json::value list(const Node& node) {
    json::array made;
    for (const auto& child : node.children) made.push_back(eval(*child));
    return made;
  }

  json::value map(const Node& node) {
    json::object made;
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const std::string key = to_word(eval(*node.children[i]));
      made[key] = eval(*node.children[i + 1]);
    }
    return made;
  }

  json::value let(const Node& node) {
    variables_.emplace_back(node.text, eval(*node.children[0]));
    json::value result = eval(*node.children[1]);
    variables_.pop_back();
    return result;
  }

  json::value body(const Node& node, const json::value& item, size_t index, const json::value* acc = nullptr) {
    frames_.push_back({&item, static_cast<int64_t>(index), acc});
    json::value result = eval(*node.children[1]);
    frames_.pop_back();
    return result;
  }

  json::value closure(const Node& node) {
    const json::value of = eval(*node.children[0]);
    const json::array& items = list_of(of, node.text);
    if (node.text == "map" || node.text == "sum" || node.text == "sortBy" || node.text == "groupBy") {
      return gathered(node, items);
    }
    if (node.text == "reduce") return reduce(node, items);
    return chosen(node, items);
  }

  json::value reduce(const Node& node, const json::array& items) {
    size_t first = 0;
    json::value acc;
    if (node.children.size() > 2) {
      acc = eval(*node.children[2]);
    } else if (items.empty()) {
      throw invalid("reduce() of an empty list needs a value to begin with");
    } else {
      acc = items[first++];
    }
    for (; first < items.size(); ++first) acc = body(node, items[first], first, &acc);
    return acc;
  }

  // Those that ask each item for a value.
  json::value gathered(const Node& node, const json::array& items) {
    json::array values;
    for (size_t i = 0; i < items.size(); ++i) values.push_back(body(node, items[i], i));
    if (node.text == "map") return values;
    if (node.text == "sum") {
      json::value total = 0;
      for (const auto& value : values) total = binary("+", total, value, budget_);
      return total;
    }
    if (node.text == "groupBy") {
      json::object groups;
      for (size_t i = 0; i < items.size(); ++i) {
        auto& group = groups[to_word(values[i])];
        if (!group.is_array()) group = json::array();
        group.get_array().push_back(items[i]);
      }
      return groups;
    }
    std::vector<size_t> order(items.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    budget_.spend(items.size() * 8);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return compare(values[a], values[b]) < 0; });
    json::array sorted;
    for (const size_t at : order) sorted.push_back(items[at]);
    return sorted;
  }

  // Those that ask each item whether.
  json::value chosen(const Node& node, const json::array& items) {
    const std::string& what = node.text;
    const bool from_end = what == "findLast" || what == "findLastIndex";
    json::array kept;
    size_t count = 0;
    for (size_t n = 0; n < items.size(); ++n) {
      const size_t i = from_end ? items.size() - 1 - n : n;
      const bool holds = truth(body(node, items[i], i), what);
      count += holds;
      if (what == "all" && !holds) return false;
      if (what == "any" && holds) return true;
      if (what == "none" && holds) return false;
      if (holds && (what == "find" || what == "findLast")) return items[i];
      if (holds && (what == "findIndex" || what == "findLastIndex")) return static_cast<int64_t>(i);
      if (holds && what == "filter") kept.push_back(items[i]);
    }
    if (what == "filter") return kept;
    if (what == "count") return static_cast<int64_t>(count);
    if (what == "one") return count == 1;
    if (what == "all" || what == "none") return true;
    if (what == "any") return false;
    return nullptr;
  }

  const json::object& names_;
  std::vector<std::pair<std::string, json::value>> variables_;
  std::vector<Frame> frames_;
  Budget budget_;
};

// The path that a chain of members writes; empty when it does not begin with a name.
std::vector<std::string> path_of(const Node& node) {
  if (node.kind == Node::Kind::Name) return {node.text};
  const bool index = node.kind == Node::Kind::Index && node.children[1]->kind == Node::Kind::Literal &&
                     node.children[1]->literal.is_string();
  if (node.kind != Node::Kind::Member && !index) return {};
  auto path = path_of(*node.children[0]);
  if (!path.empty()) path.push_back(index ? to_std(node.children[1]->literal.get_string()) : node.text);
  return path;
}

void collect(const Node& node, std::vector<std::vector<std::string>>& paths) {
  auto path = path_of(node);
  if (!path.empty()) {
    paths.push_back(std::move(path));
    return;
  }
  for (const auto& child : node.children) {
    if (child) collect(*child, paths);
  }
}

}  // namespace

}  // namespace expr

Expression Expression::parse(std::string_view text) {
  Expression expression;
  expression.text_ = std::string(text);
  auto root = expr::parse_tree(text);
  expr::collect(*root, expression.paths_);
  expression.root_ = std::move(root);
  return expression;
}

json::value Expression::evaluate(const json::object& names) const { return expr::Evaluator(names).eval(*root_); }

bool Expression::holds(const json::object& names) const { return expr::truth(evaluate(names), "the whole"); }

}  // namespace penstock::argo
