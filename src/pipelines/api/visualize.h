// Pages made of data that a pipeline left: a table, a ROC curve. Self-contained HTML without scripts; whatever comes
// from the data is escaped. Pure. Private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::pipelines::api {

using CsvRow = std::vector<std::string>;

// RFC 4180, with either end of line. InvalidArgument for a quote that nothing closes.
std::vector<CsvRow> read_csv(std::string_view text);

// Without `headers` the first row is them. At most some thousand rows are shown; the page says so. InvalidArgument when
// there are no columns, or their number is not that of the headers.
std::string table_html(std::vector<CsvRow> rows, std::optional<CsvRow> headers);

struct RocPoint {
  double false_positives = 0, true_positives = 0;  // rates
  double threshold = 0;
};
// Of rows with a false positive rate, a true positive rate and perhaps a threshold. InvalidArgument naming the row.
std::vector<RocPoint> roc_points(const std::vector<CsvRow>& rows);
// Of a score and a label each: the points at every distinct score. InvalidArgument unless both labels occur.
std::vector<RocPoint> roc_points(std::vector<std::pair<double, bool>> scored);
std::string roc_html(const std::vector<RocPoint>& points);

}  // namespace penstock::pipelines::api
