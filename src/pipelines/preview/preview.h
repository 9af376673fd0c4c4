// What a person is shown of an artifact's bytes, as JSON: its kind, and as much of the content as is asked for. Nothing
// of an artifact is ever run or unpickled here.
#pragma once

#include "base/json.h"
#include "objects/reader.h"
#include "pipelines/preview/detect.h"

namespace penstock::pipelines::preview {

struct PreviewLimits {
  size_t bytes = 64 * 1024;  // read and shown of text
  size_t rows = 50;          // of tables, records and entries of archives
};

// As many first bytes as detect() wants.
Detected detect(objects::Reader& reader, std::string_view file_name, std::string_view schema_title);

// {"kind", "media_type", "size", "truncated", …} with, by kind: csv "delimiter", "header", "columns", "rows"; json,
// text and markdown "text"; jsonl "records"; notebook "language", "cells"; parquet "rows_total", "row_groups",
// "schema", …; npy "dtype", "shape", "fortran_order"; archive "format", "entries"; model "format". What is not what it
// looks like has a "problem" instead. Blocks.
json::object preview(objects::Reader& reader, const Detected& detected, const PreviewLimits& limits);

}  // namespace penstock::pipelines::preview
