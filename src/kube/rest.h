// Kubernetes' REST face over any Api: what kubectl and the client libraries of every language speak.
#pragma once

#include "http/router.h"
#include "kube/kinds.h"
#include "kube/pod_logs.h"

namespace penstock::kube {

// Adds /api, /apis, /version, /openapi and the paths of every kind. `api` and `logs` must outlive the router; without
// `logs` no pod has a log. `clock` (by default the system's) tells the ages that kubectl shows.
//
// Lists, single objects and watches come as JSON, as Tables or as metadata only, whatever the client accepts. Bodies
// are JSON or YAML. Errors are Status objects.
void add_routes(http::Router& router, Api& api, PodLogs* logs, Kinds kinds = core_kinds(),
                const Clock* clock = nullptr);

}  // namespace penstock::kube
