// What a Parquet file says of itself in its footer, which is a struct in Thrift's compact protocol: its schema and how
// many rows it has. Pure. The layout is that of parquet-format's parquet.thrift.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::pipelines::preview {

struct ParquetField {
  std::string name;
  int depth = 0;           // 1: a column of the file
  std::string repetition;  // "REQUIRED", "OPTIONAL", "REPEATED"
  std::string type;        // "INT64", …; empty for a group
  std::string logical;     // "STRING", "TIMESTAMP(MICROS)", …; empty when it says none
};

struct ParquetInfo {
  int64_t version = 0;
  int64_t rows = 0;
  int64_t row_groups = 0;
  int64_t bytes = 0;  // of all row groups, uncompressed
  std::string created_by;
  std::vector<ParquetField> fields;
  std::vector<std::string> metadata_keys;
};

inline constexpr size_t kParquetTail = 8;  // the footer's length and "PAR1"

// The footer's length, of the file's last 8 bytes. InvalidArgument when they are no Parquet file's.
uint32_t parquet_footer_length(std::string_view tail);
// Of the footer's bytes. InvalidArgument with where it is broken.
ParquetInfo read_parquet_footer(std::string_view footer);

}  // namespace penstock::pipelines::preview
