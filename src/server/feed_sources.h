// Who tells the feed what has changed: the database's rows, and the watches of Kubernetes' objects.
#pragma once

#include "base/async.h"
#include "db/database.h"
#include "kube/api.h"
#include "server/feed.h"

namespace penstock::server {

// Rows of pipelines and metadata, from now on. All must outlive the database.
void tell_row_changes(db::Database& database, Feed& feed);

// Pods and events, until it is cancelled. On the control loop.
Async<> tell_object_changes(kube::Api& api, kube::Resource resource, Change::Kind kind, Feed& feed);

}  // namespace penstock::server
