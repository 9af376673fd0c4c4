// The workspace of a run: a volume claim that all its tasks see at /kfp-workspace.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "pipelines/ir/spec.h"

namespace penstock::pipelines {

// "hello-1a2b3c4d5e6f-kfp-workspace".
std::string workspace_claim_name(std::string_view resource_name);

// The claim. Its spec is ReadWriteOnce and of the size that the pipeline asks for, with the pipeline's patch merged in.
json::object make_workspace_claim(const ir::PipelineConfig& config, std::string_view name, std::string_view ns,
                                  std::string_view run_id);

// Copies the file or folder <objects>/<object> to <workspace>/<path>, where it replaces what is there. What tasks have
// put into either is not trusted: no link is followed. Blocks. Throws NotFound without the object, and InvalidArgument
// when something other than a folder is in the way.
void copy_into_workspace(const std::filesystem::path& objects, const std::filesystem::path& object,
                         const std::filesystem::path& workspace, const std::filesystem::path& path);

}  // namespace penstock::pipelines
