// Plugins that a run asks for. This server has none: what is asked is checked and kept, and the run says for each that
// it is not here. Private to this folder.
#pragma once

#include "base/json.h"

namespace penstock::pipelines::api {

// InvalidArgument naming the plugin: at most 16 objects, each at most 64 KiB, 256 KiB together, nested 10 deep.
void check_plugins_input(const json::object& input);

// {name: {"state", "state_message"}} of each that was asked for.
json::object plugins_output_of(const json::object& input);

}  // namespace penstock::pipelines::api
