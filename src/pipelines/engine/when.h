// The conditions of workflows of the v1 SDK: `"heads" == "heads"`, `3 > 2 && x in (a, b)`. Values have been put in
// before, so that nothing is looked up here. Pure.
//
// As Argo: a bare word is a text, true and false are truth values. == and != compare values of the same type; <, <=, >
// and >= numbers or texts; =~ and !~ match a text with a regular expression. Unlike Argo, a number and a text that
// reads as the same number are equal, and compare as numbers: an output is a text, whatever its component says.
#pragma once

#include <string_view>

namespace penstock::engine {

// Throws InvalidArgument when it is no condition, or neither true nor false.
bool holds(std::string_view condition);

}  // namespace penstock::engine
