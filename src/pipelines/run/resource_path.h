// Looking into resources, as templates of the kind `resource` do. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace penstock::pipelines {

// A JSONPath as kubectl takes it: "{}", "{.metadata.name}", "{.spec.containers[0].image}", "{.metadata.labels['a.b']}",
// with text around the braces; texts as they are, the rest as JSON. Nothing when it leads nowhere. Throws
// InvalidArgument for one that is malformed or uses what is not supported (filters, ranges, "..").
std::optional<std::string> json_path(const json::object& resource, std::string_view path);

// A condition in the words of a label selector, whose names are paths of members: "status.phase == Bound",
// "status.succeeded > 0, status.active != 1", "status.phase in (Succeeded, Failed)", "!status.reason". All parts must
// hold. Throws InvalidArgument when it is malformed.
bool condition_holds(const json::object& resource, std::string_view condition);

}  // namespace penstock::pipelines
