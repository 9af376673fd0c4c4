// The examples, compiled when the program was built.
#pragma once

#include <span>

#include "pipelines/api/api.h"

namespace penstock::server {

std::span<const pipelines::Example> bundled_examples();

}  // namespace penstock::server
