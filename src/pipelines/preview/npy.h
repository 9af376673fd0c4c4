// The header of a NumPy array's file (.npy). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::pipelines::preview {

struct NpyHeader {
  std::string dtype;  // "<f8", or the text of a structured type
  std::vector<int64_t> shape;
  bool fortran_order = false;
};

// Of the file's first bytes. InvalidArgument.
NpyHeader read_npy_header(std::string_view bytes);

}  // namespace penstock::pipelines::preview
