// Other people's bytes in answers: no answer lets a browser run anything of them with this server's rights. Private to
// this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "objects/reader.h"
#include "pipelines/api/routes.h"
#include "pipelines/preview/preview.h"

namespace penstock::pipelines::api {

// The media type, and that nothing of the body may run.
void set_safe(Response& response, std::string media_type);
// A Content-Disposition by which a browser saves the body under `name`.
std::string disposition_of(std::string_view name);
// For pages: images, HTML in its sandbox and text are shown, all else is saved.
void set_raw(Response& response, const preview::Detected& detected, std::string_view file_name);
// The body, or the range of it that was asked for. `pool` outlives the answer.
void add_bytes(BlockingPool& pool, const Request& request, std::unique_ptr<objects::Reader> reader, Response& response);

// max_bytes and rows. InvalidArgument.
preview::PreviewLimits preview_limits(const Request& request);
// What is shown of a file, with the link `raw` where a page may show its bytes. Blocks.
json::object preview_json(objects::Reader& reader, std::string_view file_name, std::string_view schema_title,
                          const preview::PreviewLimits& limits, const std::string& raw);

}  // namespace penstock::pipelines::api
