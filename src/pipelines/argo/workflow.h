// Workflows of the v1 SDK (`kind: Workflow`, in Argo's words) as pipelines: the same graph that the engine runs for a
// PipelineSpec. Templates become components, the tasks of a dag and the steps of a step list become tasks. What is told
// to no purpose on this machine is named on the tasks (ir::Executor::not_applied); what cannot be done is refused.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "pipelines/ir/spec.h"

namespace penstock::argo {

// Throws InvalidArgument naming the path of what is wrong or not supported ("spec.templates.flip.container.image: …").
// Pipeline::spec is the workflow as it was given.
std::shared_ptr<const ir::Pipeline> read_workflow(json::value workflow);

// The pipeline's name: from the annotation pipelines.kubeflow.org/pipeline_spec, or the workflow's own without the dash
// that a generated one ends with. Empty when there is none.
std::string workflow_name(const json::object& workflow);

// Either form: read_workflow() for a workflow, ir::from_json() for anything else.
std::shared_ptr<const ir::Pipeline> read_either(json::value spec, json::value platform_spec);

}  // namespace penstock::argo
