// GET /apis/penstock/v1/overview and /features: the server at a glance, and what it can do.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/schema.h"
#include "http/router.h"
#include "kube/api.h"
#include "node/agent.h"
#include "node/host/spawner.h"
#include "pipelines/store/store.h"
#include "server/usage.h"

namespace penstock::server {

// All outlive the router.
struct OverviewParts {
  Loop& control;
  BlockingPool& pool;
  const Clock& clock;
  node::Agent& agent;
  node::Spawner& spawner;
  kube::Api& api;
  pipelines::Store& store;
  std::filesystem::path data;
  std::string version;
  std::string sandbox_problem;  // why tasks run without one; empty: they have one
  bool images = false;          // tasks run in containers of their images
  std::string time_zone;
};

void add_overview_routes(http::Router& router, const OverviewParts& parts);
void add_overview_schemas(Schemas& schemas);

}  // namespace penstock::server
