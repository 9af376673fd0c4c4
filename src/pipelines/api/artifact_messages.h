// The JSON of artifacts, tasks and runs in Penstock's own endpoints, and their parameters. Private to this folder.
#pragma once

#include "metadata/metadata.h"
#include "pipelines/api/routes.h"

namespace penstock::pipelines::api {

inline constexpr std::string_view kOwnBase = "/apis/penstock/v1";

// An artifact's or an execution's number. InvalidArgument unless it is a positive one.
int64_t id_of(const std::string& text, std::string_view field);
// The artifact that the path names. NotFound.
Async<metadata::Artifact> artifact_of(const ApiContext& context, const Request& request);
// InvalidArgument outside of `least` to `most`.
int64_t number_query(const Request& request, std::string_view name, int64_t fallback, int64_t least, int64_t most);
// A member "a,b,c", or the same name several times.
std::vector<std::string> list_query(const Request& request, std::string_view name);

// As the reference has it, and with the whole type and where it was made.
json::object own_artifact_json(const metadata::Artifact& artifact);
json::object task_summary_json(const TaskRecord& task);
json::object run_summary_json(const Run& run);

}  // namespace penstock::pipelines::api
