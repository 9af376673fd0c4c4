// The tree of a parsed expression, and its functions. Internal to expr*.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace penstock::argo::expr {

// What an evaluation may still do.
class Budget {
 public:
  // Throws InvalidArgument when there have been too many steps.
  void spend(size_t steps) {
    if (steps > left_) throw invalid("the expression takes too long");
    left_ -= steps;
  }
  // For a text or a list of this length.
  void spend_length(size_t length) { spend(1 + length / 16); }

 private:
  size_t left_ = 1'000'000;
};

using Arguments = std::span<json::value>;

struct Function {
  std::string_view name;  // "sprig.trim" for those of sprig
  size_t least, most;     // arguments
  json::value (*call)(Arguments arguments, Budget& budget);
};
// Null for one that there is not.
const Function* find_function(std::string_view name);

struct Node {
  enum class Kind {
    Literal,
    Name,         // text
    Element,      // # of a closure; text is "", "index" or "acc"
    Member,       // child 0, text
    Index,        // child 0, child 1
    Slice,        // child 0, child 1, child 2; null: from the beginning, to the end
    Call,         // function, children
    Closure,      // text ("filter"), child 0 the list, child 1 the closure; of reduce child 2 what it begins with
    Unary,        // text ("!", "-", "+")
    Binary,       // text
    Conditional,  // children
    List,
    Map,  // keys and values in turn
    Let,  // text = child 0; child 1
  };
  Kind kind = Kind::Literal;
  std::string text;
  json::value literal;
  const Function* function = nullptr;
  bool optional = false;  // Member, Index: of null it is null
  int depth = 1;
  std::vector<std::unique_ptr<const Node>> children;
};
using NodePtr = std::unique_ptr<const Node>;

// expr_parse.cpp
NodePtr parse_tree(std::string_view text);
bool is_closure(std::string_view name);

// expr_values.cpp
bool equal(const json::value& left, const json::value& right);
// Negative, zero or positive. Throws InvalidArgument for what cannot be ordered.
int compare(const json::value& left, const json::value& right);
bool truth(const json::value& value, std::string_view of);
int64_t to_int(const json::value& value);
double to_float(const json::value& value);
std::string to_word(const json::value& value);  // as string() gives it
const json::array& list_of(const json::value& value, std::string_view of);
std::string_view text_of(const json::value& value, std::string_view of);
json::value binary(std::string_view op, const json::value& left, const json::value& right, Budget& budget);
json::value element(const json::value& of, const json::value& index);
json::value json_path(const json::value& document, std::string_view path, Budget& budget);

// expr_sprig.cpp, the others being in expr_functions.cpp
std::span<const Function> sprig_functions();

}  // namespace penstock::argo::expr
