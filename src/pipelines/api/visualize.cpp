#include "pipelines/api/visualize.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kMaxShown = 5'000;  // rows of a table, points of a curve

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>{}</title><style>"
      "body{{font:14px system-ui,sans-serif;margin:16px;color:#202124}}"
      "table{{border-collapse:collapse}}th,td{{border:1px solid #dadce0;padding:4px 8px;text-align:left}}"
      "th{{background:#f1f3f4;position:sticky;top:0}}svg text{{font:12px system-ui,sans-serif;fill:#5f6368}}"
      "</style></head><body>{}</body></html>\n",
      escape(title), body);
}

std::optional<double> number_in(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::vector<CsvRow> read_csv(std::string_view text) {
  std::vector<CsvRow> rows;
  CsvRow row;
  std::string cell;
  bool quoted = false, content = false;
  const auto end_row = [&] {
    row.push_back(std::exchange(cell, {}));
    if (content || row.size() > 1 || !row[0].empty()) rows.push_back(std::move(row));
    row.clear();
    content = false;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        cell += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cell += '"';
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"' && cell.empty()) {
      quoted = content = true;
    } else if (c == ',') {
      row.push_back(std::exchange(cell, {}));
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r') {
      cell += c;
    }
  }
  if (quoted) throw invalid("row {} has a quote that nothing closes", rows.size() + 1);
  end_row();
  return rows;
}

std::string table_html(std::vector<CsvRow> rows, std::optional<CsvRow> headers) {
  if (!headers) {
    if (rows.empty()) throw invalid("the source is empty: a table needs a row of headers");
    headers = std::move(rows.front());
    rows.erase(rows.begin());
  }
  if (!rows.empty() && rows[0].size() != headers->size()) {
    throw invalid("{} headers are given, and the first row has {} columns", headers->size(), rows[0].size());
  }
  std::string body = "<table><thead><tr>";
  for (const std::string& header : *headers) body += fmt::format("<th>{}</th>", escape(header));
  body += "</tr></thead><tbody>";
  for (size_t i = 0; i < std::min(rows.size(), kMaxShown); ++i) {
    body += "<tr>";
    for (const std::string& cell : rows[i]) body += fmt::format("<td>{}</td>", escape(cell));
    body += "</tr>";
  }
  body += "</tbody></table>";
  if (rows.size() > kMaxShown) body += fmt::format("<p>The first {} of {} rows.</p>", kMaxShown, rows.size());
  return page("Table", body);
}

std::vector<RocPoint> roc_points(const std::vector<CsvRow>& rows) {
  std::vector<RocPoint> points;
  for (size_t i = 0; i < rows.size(); ++i) {
    const CsvRow& row = rows[i];
    const auto x = row.size() >= 2 ? number_in(row[0]) : std::nullopt;
    const auto y = row.size() >= 2 ? number_in(row[1]) : std::nullopt;
    if (!x || !y || *x < 0 || *x > 1 || *y < 0 || *y > 1) {
      throw invalid(
          "row {} of the source has no false positive rate and true positive rate, each from 0 to 1, in its first two "
          "columns",
          i + 1);
    }
    const auto threshold = row.size() > 2 ? number_in(row[2]) : std::nullopt;
    points.push_back({*x, *y, threshold.value_or(0)});
  }
  if (points.empty()) throw invalid("the source is empty: a curve needs points");
  return points;
}

std::vector<RocPoint> roc_points(std::vector<std::pair<double, bool>> scored) {
  std::ranges::sort(scored, [](const auto& a, const auto& b) { return a.first > b.first; });
  const auto positives = static_cast<double>(std::ranges::count_if(scored, [](const auto& one) { return one.second; }));
  const double negatives = static_cast<double>(scored.size()) - positives;
  if (positives == 0 || negatives == 0) throw invalid("a curve needs rows of the true class and of another");
  std::vector<RocPoint> points{{0, 0, std::numeric_limits<double>::infinity()}};
  double hits = 0, misses = 0;
  for (size_t i = 0; i < scored.size(); ++i) {
    (scored[i].second ? hits : misses) += 1;
    if (i + 1 < scored.size() && scored[i + 1].first == scored[i].first) continue;
    points.push_back({misses / negatives, hits / positives, scored[i].first});
  }
  return points;
}

std::string roc_html(const std::vector<RocPoint>& points) {
  constexpr double kSize = 400, kLeft = 50, kTop = 10;
  const size_t step = points.size() / kMaxShown + 1;
  std::string line, dots;
  double area = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    const RocPoint& p = points[i];
    if (i > 0) {
      area +=
          (p.false_positives - points[i - 1].false_positives) * (p.true_positives + points[i - 1].true_positives) / 2;
    }
    if (i % step != 0 && i + 1 != points.size()) continue;
    const double x = kLeft + p.false_positives * kSize, y = kTop + (1 - p.true_positives) * kSize;
    line += fmt::format("{}{:.2f},{:.2f}", line.empty() ? "" : " ", x, y);
    dots += fmt::format(
        "<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"3\" fill=\"#1a73e8\"><title>threshold {}: {:.4f}, "
        "{:.4f}</title></circle>",
        x, y, p.threshold, p.false_positives, p.true_positives);
  }
  const std::string body = fmt::format(
      "<svg width=\"480\" height=\"470\" role=\"img\" aria-label=\"ROC curve\">"
      "<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{2}\" fill=\"none\" stroke=\"#dadce0\"/>"
      "<line x1=\"{0}\" y1=\"{3}\" x2=\"{4}\" y2=\"{1}\" stroke=\"#dadce0\" stroke-dasharray=\"4\"/>"
      "<polyline points=\"{5}\" fill=\"none\" stroke=\"#1a73e8\" stroke-width=\"2\"/>{6}"
      "<text x=\"200\" y=\"440\">false positive rate</text>"
      "<text x=\"15\" y=\"260\" transform=\"rotate(-90 15 260)\">true positive rate</text></svg>"
      "<p>Area under the curve: {7:.4f}</p>",
      kLeft, kTop, kSize, kTop + kSize, kLeft + kSize, line, dots, std::abs(area));
  return page("ROC curve", body);
}

}  // namespace penstock::pipelines::api
