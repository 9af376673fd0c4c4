// The expressions of workflows: what stands in {{=…}}, in `valueFrom.expression`, in the `expression` of retries and
// hooks. The language is Argo's, expr-lang with the functions of sprig: operators (+ - * / % ** == != < <= > >= && ||
// ! and or not in, matches, contains, startsWith, endsWith, ??, ?., .., ?:, |), lists, maps, slices, `let`, closures
// (filter(list, {# > 1}), map(list, .name)), asInt, asFloat, toJson, jsonpath, and sprig.NAME.
//
// Two things differ from Go's: what reads a clock or draws at random (sprig.now, sprig.uuidv4) is refused, as a run is
// replayed after a crash; and an evaluation takes at most so many steps.
//
// Parsed once, when a workflow is read; evaluated without side effects. Copies share the tree. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace penstock::argo {

namespace expr {
struct Node;
}

class Expression {
 public:
  // Throws InvalidArgument with the column of the fault, or naming a function that there is not. Nesting is bounded.
  static Expression parse(std::string_view text);

  // `names` are what the expression may name at its beginning: inputs, tasks, workflow, item, …. What a map does not
  // have is null. Throws InvalidArgument saying what could not be computed.
  json::value evaluate(const json::object& names) const;
  // evaluate(), where anything but true or false is an error.
  bool holds(const json::object& names) const;

  // What it names, each as far as it is written: "tasks['a-b'].outputs.result" is tasks, a-b, outputs, result.
  const std::vector<std::vector<std::string>>& paths() const { return paths_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::shared_ptr<const expr::Node> root_;  // shared, so that a copy costs nothing
  std::vector<std::vector<std::string>> paths_;
};

}  // namespace penstock::argo
