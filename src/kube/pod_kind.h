// Pods: defaults, checks, columns, and what makes their deletion graceful.
#pragma once

#include "kube/kinds.h"

namespace penstock::kube {

Kind pod_kind();

// Phase Succeeded or Failed: nothing of it runs any more.
bool is_finished_pod(const json::object& pod);

// How long a pod that is deleted may take to end: what the caller asked for, else its own. 0 for one that is not
// bound to a node or has finished, since there is nobody to end it.
int64_t deletion_grace(const json::object& pod, std::optional<int64_t> asked);

}  // namespace penstock::kube
