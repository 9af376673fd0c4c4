// Texts with references, filled in from a dag's inputs, its tasks' outputs and the run. Internal to engine/.
#pragma once

#include "pipelines/engine/state.h"

namespace penstock::engine {

struct TextScope {
  const State& state;
  const Instance& dag;                // that the text stands in
  const json::value* item = nullptr;  // of the loop; null outside of one
};

// The value; a text unless it is one reference alone, which gives what it stands for. Null, with the `reason`, when
// something that it needs has no value. Throws InvalidArgument for an expression that cannot be computed, and for an
// item without the member that is asked for.
Value text_value(const TextScope& scope, const ir::Text& text, std::string& reason);
// The artifacts that an expression gives; null when they are not there. Throws InvalidArgument for one that gives
// something else.
Artifacts text_artifacts(const TextScope& scope, const ir::Text& text);
// A condition: what is put between quotes cannot end them.
std::string condition_text(const TextScope& scope, const ir::Text& text);
// JSON: what is put in is escaped as inside of a JSON string when `inside_strings`.
std::string json_text(const TextScope& scope, const ir::Text& text, bool inside_strings);

// "name", "uid", "parameters.x", "status", "creationTimestamp.Y", …; nothing for what there is not.
std::optional<std::string> run_variable(const State& state, std::string_view name);

// What a workload's texts may name: "inputs.parameters.x", "workflow.uid", "retries", ….
std::optional<std::string> leaf_variable(const State& state, const Instance& leaf, std::string_view tag);

// Does `expression` of a retryStrategy hold for the attempt that has failed, whose error is the instance's? Throws
// InvalidArgument.
bool retry_holds(const State& state, const Instance& instance, const argo::Expression& expression);

bool depends_hold(const Instance& dag, const ir::Depends& depends);

}  // namespace penstock::engine
