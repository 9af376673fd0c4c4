// The registry's filterQuery: a WHERE clause over a resource's fields and custom properties, turned into SQL.
//
//   name LIKE 'iris%' AND (state = "LIVE" OR accuracy.double_value >= 0.9) AND framework IN ('onnx', 'sklearn')
//
// A name that is no field of the kind is a custom property; `names` in backquotes may hold anything. Without a type
// after it, a property is compared as what the literal is, a number with both kinds of numbers. A resource that lacks
// the property never matches. AND binds stronger than OR.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "registry/resource.h"

namespace penstock::registry {

using SqlValue = std::variant<int64_t, double, std::string>;

struct Filter {
  std::string sql;  // of the alias t of registry_resources; empty for none
  std::vector<SqlValue> values;
};

// Throws InvalidArgument (filterQuery) with the place of the fault.
Filter read_filter(Kind kind, std::string_view text);

}  // namespace penstock::registry
