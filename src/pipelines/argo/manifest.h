// A run as an Argo Workflow: metadata, spec and a status with its nodes, which is how the v1 API, its SDK and the v1
// dashboard see a run. Made on demand from what the tables say; nothing of it is stored. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pipelines/store/records.h"

namespace penstock::ir {
class Pipeline;
}

namespace penstock::argo {

// The workflow's name: the same that tasks are told as their job's.
std::string workflow_name(const pipelines::Run& run);

// A node's name follows from its task's place: "root/loop/3/train" is "<workflow>.loop(3).train".
std::string node_name(std::string_view workflow, std::string_view scope_path);
// As Argo names nodes: the workflow's name for the root, "<workflow>-<FNV-1a of the node's name, in decimal>" else.
std::string node_id(std::string_view workflow, std::string_view scope_path);

// The phase that a run or a task of this state has in Argo: "Succeeded". A canceled one has failed.
std::string_view phase_of(std::string_view state);

// `tasks`: every task of the run, parents before their children. `original`: the Workflow that the run was made from;
// null for one of IR, whose spec is then written as templates with the same names, tasks and dependencies.
json::object workflow_manifest(const pipelines::Run& run, const std::vector<pipelines::TaskRecord>& tasks,
                               const ir::Pipeline& pipeline, const json::object* original);

}  // namespace penstock::argo
