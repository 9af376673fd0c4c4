// The part of the Common Expression Language that compiled pipelines use: conditions of tasks, and selectors into
// values. An expression is parsed once, when the pipeline is read, and evaluated without side effects.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace penstock::cel {

struct Node;

// What an expression sees. `inputs.parameter_values['x']` asks `parameter`; any other name asks `variable`. Both return
// null for what is not there; what they return must outlive the evaluation.
struct Environment {
  std::function<const json::value*(std::string_view)> parameter;
  std::function<const json::value*(std::string_view)> variable;
};

class Expression {
 public:
  // Throws InvalidArgument with the column of the fault. Nesting is bounded.
  static Expression parse(std::string_view text);

  // Throws InvalidArgument saying what could not be computed.
  json::value evaluate(const Environment& environment) const;
  // evaluate(), where anything but true or false is an error.
  bool holds(const Environment& environment) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::shared_ptr<const Node> root_;  // shared, so that an Expression can be copied with its task
};

}  // namespace penstock::cel
