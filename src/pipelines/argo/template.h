// What Executor::spec holds for templates of workflows. References ("{{inputs.parameters.x}}") stand in any of its
// texts; they are filled in when a task is launched, {{pod.name}} when its pod is made.
//
//   Kind::Workload   {"main": container, "initContainers": […], "sidecars": […], "volumes": […],
//                     "metadata": {"labels", "annotations"}, "activeDeadlineSeconds": number or text,
//                     "podSpecPatch": [JSON or YAML texts], "files": [{"path", "data", "mode"}],
//                     "objects": [{"path", "uri"}], "set": […]}
//                    `set`: containers that run beside the main one; each of them, and that, may have "dependencies",
//                    the names of those whose success it waits for.
//                    Containers are as in Kubernetes; `files` are given to the main one, unless an input artifact has
//                    the same path; `objects` are of the object store.
//                    "inputs": {artifact: path}, "outputs": {"parameters": {name: path}, "artifacts": {name: path}} and
//                    "constants": {output parameter: value} are of the template.
//   Kind::Resource   {"action", "manifest", "successCondition", "failureCondition", "mergeStrategy",
//                     "outputs": {"parameters": {name: JSONPath}}, "constants"}
//                    The manifest is a text, or the resource itself; "missingIsError" tells whether delete fails where
//                    there is nothing.
//   Of any of these  "memoize": {"key", "cache"}: what its outputs are found by in the cache
//   Kind::Suspend    {"seconds": text}; empty: until it is resumed
//   Kind::Http       {"method", "url", "headers": [{"name", "value"}], "body", "timeoutSeconds": number,
//                     "successCondition": expression over request and response}
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace penstock::argo {

// Replaces "{{…}}" in `text` by what `lookup` gives for the trimmed text between the braces; where it gives nothing,
// the tag stays. One pass: what was put in is not looked at again. Tags that begin with "$" are left alone.
using Lookup = std::function<std::optional<std::string>(std::string_view tag)>;
std::string fill(std::string_view text, const Lookup& lookup);
// In every text of a value, the names of members excepted.
json::value fill_texts(const json::value& value, const Lookup& lookup);

// "tasks.flip.outputs.result" as its parts.
std::vector<std::string_view> split(std::string_view dotted);

// Seconds in "90", "1m30s", "2h", "1.5d"; nothing for other texts.
std::optional<double> duration_seconds(std::string_view text);

// Seconds in "P30D", "PT1H30M", "P1W": a month is 30 days, a year 365. Nothing for other texts.
std::optional<double> iso_seconds(std::string_view text);

}  // namespace penstock::argo
