// Texts with references in them, and what decides whether a task starts, as workflows of the v1 SDK have them. The
// names are looked up when the workflow is read: what is kept here are positions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock::argo {
class Expression;
}

namespace penstock::ir {

// A piece of a text: literal, or what stands for a value that the dag knows when a task of it starts.
struct Reference {
  enum class Kind {
    Literal,     // `text` itself
    Input,       // of the dag: parameter `index`
    Inputs,      // of the dag: all parameters, as JSON
    Output,      // of the sibling `task`: parameter `index`
    Outputs,     // of the sibling: all parameters, as JSON; a list of these when it is a loop
    Fact,        // about the sibling: `text` is status, exitCode, id, ip, startedAt or finishedAt
    Item,        // of the loop: itself, or with `text` its member of that name
    Run,         // of the run: `text` is a variable's name, as run_variable() of the engine knows it
    Expression,  // {{=…}}: `expression`, in the language of argo/expr.h
  };
  Kind kind = Kind::Literal;
  std::string text;
  int task = -1;
  int index = -1;
  std::shared_ptr<const argo::Expression> expression{};  // shared by the copies of a text
  std::vector<int> tasks{};                              // Expression: the siblings that it names
};

using Text = std::vector<Reference>;

// What a sibling came to, as one bit each.
enum Result : uint32_t {
  kSucceeded = 1,
  kFailed = 2,         // its process ended with another code than 0
  kErrored = 4,        // it could not be run, or its outputs could not be taken
  kSkipped = 8,        // its `when` did not hold
  kOmitted = 16,       // its `depends` did not hold
  kAnySucceeded = 32,  // of a loop: one item did
  kAllFailed = 64,     // of a loop: every item did
  kDaemoned = 128,     // its pod runs and is ready
};

// A boolean expression over what siblings came to; evaluated once all of them have ended.
struct Depends {
  enum class Kind { Always, Result, Not, And, Or };
  Kind kind = Kind::Always;
  int task = -1;         // Result
  uint32_t results = 0;  // Result: any of these
  std::vector<Depends> children;
};

// withSequence: numbers as texts, with the format of C's printf for one number.
struct Sequence {
  Text start, end, count, format;  // empty: not given
};

}  // namespace penstock::ir
