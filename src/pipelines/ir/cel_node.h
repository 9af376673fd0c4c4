// The tree of a parsed expression. Internal to cel*.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace penstock::cel {

struct Node {
  enum class Kind { Literal, Name, Member, Index, Call, Not, Negate, Binary, And, Or, Conditional, List, Map };
  Kind kind = Kind::Literal;
  json::value literal;  // Literal
  std::string name;     // Name, Member, Call, Binary ("==", "<=", "+", "in", …)
  // Member, Index: the object first. Call: the receiver first when `is_method`. Map: keys and values in turn.
  std::vector<std::unique_ptr<Node>> children;
  bool is_method = false;
  int depth = 1;
};

std::unique_ptr<Node> parse_expression(std::string_view text);  // throws InvalidArgument

}  // namespace penstock::cel
