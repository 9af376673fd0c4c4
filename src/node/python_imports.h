// What a Python source imports, read as text. Pure. Used to have imports done before a step starts, so it may miss some
// and may find some that are never reached, but must not mistake what decides whether that is the same to the step.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::node {

// Its import statements, wherever they stand, each on one line and without what it calls things: "import numpy",
// "from sklearn.svm import SVC", "from kfp.dsl import *". In order of appearance, none twice.
std::vector<std::string> imports_of(std::string_view source);

// Whether it may change what its imports find or do: sys.path and the like, or environment variables.
bool prepares_imports(std::string_view source);

}  // namespace penstock::node
