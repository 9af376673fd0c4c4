// Label and field selectors, and the filter that lists and watches are made with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kube/kinds.h"

namespace penstock::kube {

// "app=web,tier in (a,b),!canary": all requirements must hold. `!=` and `notin` hold where the label is absent.
class LabelSelector {
 public:
  LabelSelector() = default;
  // Throws BadRequest naming the part that is wrong.
  explicit LabelSelector(std::string_view text);
  // From a LabelSelector object: matchLabels and matchExpressions.
  explicit LabelSelector(const json::object& selector);

  bool matches(const json::object& object) const;
  bool empty() const { return requirements_.empty(); }

 private:
  enum class Operator { In, NotIn, Exists, Absent };
  struct Requirement {
    std::string key;
    Operator op;
    std::vector<std::string> values;
  };
  std::vector<Requirement> requirements_;
};

// "status.phase=Running,metadata.name!=x".
class FieldSelector {
 public:
  FieldSelector() = default;
  // Throws BadRequest for a field that the kind cannot be selected by.
  FieldSelector(std::string_view text, const Kind& kind);

  bool matches(const json::object& object) const;
  bool empty() const { return requirements_.empty(); }
  // The name that metadata.name must equal; empty when it may be any.
  std::string_view exact_name() const;

 private:
  struct Requirement {
    std::vector<std::string> path;
    bool equal;
    std::string value;
  };
  std::vector<Requirement> requirements_;
};

struct Filter {
  std::string ns;  // empty: all
  LabelSelector labels;
  FieldSelector fields;

  bool matches(const json::object& object) const;
};

}  // namespace penstock::kube
