// The footer of a Parquet file, and its last eight bytes.
#include "base/fuzz.h"
#include "pipelines/preview/parquet.h"

using namespace penstock;
using namespace penstock::pipelines::preview;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text(data, size);
  fuzz::taken([&] {
    const ParquetInfo info = read_parquet_footer(bytes);
    for (const ParquetField& field : info.fields) CHECK_INVARIANT(field.depth >= 0 && field.depth <= 100);
  });
  fuzz::taken([&] { parquet_footer_length(bytes.substr(0, kParquetTail)); });
  return 0;
}
