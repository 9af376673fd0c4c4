// The head of a table, whole and cut off.
#include "base/fuzz.h"
#include "base/utf8.h"
#include "pipelines/preview/npy.h"
#include "pipelines/preview/table.h"

using namespace penstock;
using namespace penstock::pipelines::preview;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text(data, size);
  const TableLimits limits{.rows = 20, .columns = 10, .cell = 50};
  for (const bool cut : {false, true}) {
    is_text(bytes, cut);
    const Text text = decode_text(bytes, cut);
    CHECK_INVARIANT(is_utf8(text.text));
    looks_like_table(text.text, cut);
    for (const std::string_view source : {std::string_view(text.text), bytes}) {
      const Table table = read_table(source, cut, limits);
      CHECK_INVARIANT(table.rows.size() <= limits.rows);
      for (const auto& row : table.rows) {
        CHECK_INVARIANT(row.size() <= limits.columns && row.size() <= table.columns);
        for (const std::string& cell : row) CHECK_INVARIANT(is_utf8(cell));
      }
    }
  }
  fuzz::taken([&] { read_npy_header(bytes); });
  return 0;
}
