// Placeholders: "{{$.inputs.parameters['x']}}" and its kin inside of texts. Internal to engine/.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace penstock::engine {

// Gives the text for what stands between "{{" and "}}", or nothing to leave the placeholder as it is.
using Lookup = std::function<std::optional<std::string>(std::string_view expression)>;

// One pass: what a lookup returns is not looked at again.
std::string substitute(std::string_view text, const Lookup& lookup);

// The name in "$.inputs.parameters['name']" when the expression starts with `prefix` ("$.inputs.parameters"); `rest`
// gets what follows the bracket.
std::optional<std::string_view> bracketed(std::string_view expression, std::string_view prefix, std::string_view& rest);

// The texts that every task of a run may ask for.
struct JobPlaceholders {
  std::string_view job_name, resource_name, job_uuid, task_name, task_uuid, created, scheduled, root, workspace;
  std::optional<std::string> find(std::string_view expression) const;
};

}  // namespace penstock::engine
