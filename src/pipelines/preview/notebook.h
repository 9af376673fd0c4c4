// The cells of a Jupyter notebook with their outputs as data. Pure.
#pragma once

#include "base/json.h"

namespace penstock::pipelines::preview {

struct NotebookLimits {
  size_t cells = 50;
  size_t bytes = 1u << 20;  // of all texts and images together
};

// Adds "language", "cells" and "truncated" to `out`. A cell: {"type", "source", "execution_count", "outputs": [{"type",
// "name", "text", "data": {media type: text}, "omitted": [media types]}]}. Only plain text, Markdown, JSON, PNG and
// JPEG (in base64) are data; HTML, SVG and scripts are named as omitted. InvalidArgument when it is no notebook.
void show_notebook(const json::value& notebook, const NotebookLimits& limits, json::object& out);

}  // namespace penstock::pipelines::preview
