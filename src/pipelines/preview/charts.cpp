#include "pipelines/preview/charts.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/utf8.h"
#include "pipelines/preview/table.h"
#include "pipelines/run/metrics_file.h"

namespace penstock::pipelines::preview {

namespace {

constexpr size_t kMaxOutputs = 100;      // of one UI metadata file
constexpr size_t kMaxSource = 1u << 20;  // bytes of a source that are read
constexpr size_t kMaxRows = 1'000;       // of a table
constexpr size_t kMaxPoints = 20'000;    // of a curve
constexpr size_t kMaxLabels = 200;       // of a matrix

std::optional<double> number_of(const json::value* value) {
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

std::optional<double> number_of(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A list, or one inside of {"list": […]}, as the metadata store of older versions kept it.
const json::array* list_of(const json::object& object, std::string_view key) {
  const json::value* value = find(object, key);
  if (value == nullptr) return nullptr;
  if (value->is_array()) return &value->get_array();
  return value->is_object() ? find_array(value->get_object(), "list") : nullptr;
}

// Likewise {"struct": {…}}.
const json::object* struct_of(const json::object& object, std::string_view key) {
  const json::object* found = find_object(object, key);
  if (found == nullptr) return nullptr;
  const json::object* inner = find_object(*found, "struct");
  return inner != nullptr ? inner : found;
}

struct Point {
  double x = 0, y = 0;
  std::optional<double> threshold{};
};

json::object curve_json(std::vector<Point> points) {
  std::ranges::stable_sort(points, [](const Point& a, const Point& b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  double area = 0;
  json::array list;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i > 0) area += (points[i].x - points[i - 1].x) * (points[i].y + points[i - 1].y) / 2;
    json::object one{{"false_positive_rate", points[i].x}, {"true_positive_rate", points[i].y}};
    // The first point's is infinite as scikit-learn has it, which JSON has no word for.
    if (points[i].threshold && std::isfinite(*points[i].threshold)) one["threshold"] = *points[i].threshold;
    list.push_back(std::move(one));
  }
  return json::object{{"points", std::move(list)}, {"auc", area}};
}

std::vector<Point> points_of(const json::array& metrics) {
  std::vector<Point> points;
  for (const json::value& one : metrics) {
    if (!one.is_object()) throw invalid("confidenceMetrics holds something that is no object");
    const auto x = number_of(find(one.get_object(), "falsePositiveRate")),
               y = number_of(find(one.get_object(), "recall"));
    if (!x || !y) continue;  // other measures at a threshold
    points.push_back({*x, *y, number_of(find(one.get_object(), "confidenceThreshold"))});
    if (points.size() > kMaxPoints) throw invalid("confidenceMetrics has more than {} points", kMaxPoints);
  }
  return points;
}

json::object matrix_json(const json::object& matrix) {
  json::array labels, rows;
  if (const json::array* specs = find_array(matrix, "annotationSpecs")) {
    for (const json::value& spec : *specs) labels.emplace_back(string_at(spec, {"displayName"}));
  }
  if (const json::array* given = find_array(matrix, "rows")) {
    for (const json::value& row : *given) {
      const json::array* cells = row.is_object() ? find_array(row.get_object(), "row") : row.if_array();
      if (cells == nullptr) throw invalid("a row of confusionMatrix is no list");
      rows.push_back(*cells);
    }
  }
  if (labels.size() > kMaxLabels) throw invalid("confusionMatrix has more than {} labels", kMaxLabels);
  return json::object{{"labels", std::move(labels)}, {"rows", std::move(rows)}};
}

// Where the named column stands; `fallback` when the schema doesn't say.
size_t column_of(const json::object& output, std::initializer_list<std::string_view> names, size_t fallback) {
  const json::array* schema = find_array(output, "schema");
  for (size_t i = 0; schema != nullptr && i < schema->size(); ++i) {
    const std::string name = string_at((*schema)[i], {"name"});
    if (std::ranges::find(names, name) != names.end()) return i;
  }
  return fallback;
}

std::string_view cell_of(const std::vector<std::string>& row, size_t column) {
  return column < row.size() ? std::string_view(row[column]) : std::string_view();
}

std::string source_of(const json::object& output, const Charts::ReadSource& read) {
  const std::string source = get_string(output, "source");
  if (get_string(output, "storage") == "inline") return source;
  if (source.empty()) throw invalid("it names no source");
  std::string bytes = read(source, kMaxSource + 1);
  if (bytes.size() > kMaxSource) throw invalid("its source {} has more than {} bytes", source, kMaxSource);
  return decode_text(bytes, false).text;
}

Table rows_of(const json::object& output, const Charts::ReadSource& read, size_t most) {
  const std::string format = get_string(output, "format", "csv");
  if (format != "csv") throw invalid("its format is {:?}; csv is read", format);
  return read_table(source_of(output, read), false, {.rows = most}, ',');
}

json::object v1_matrix(const json::object& output, const Charts::ReadSource& read) {
  const Table table = rows_of(output, read, kMaxLabels * kMaxLabels);
  json::array labels;
  std::map<std::string, size_t, std::less<>> at;
  const auto label = [&](std::string_view name) {
    const auto [found, fresh] = at.try_emplace(std::string(name), labels.size());
    if (fresh) labels.emplace_back(name);
    return found->second;
  };
  if (const json::array* given = find_array(output, "labels")) {
    for (const json::value& name : *given) label(name.is_string() ? to_std(name.get_string()) : to_text(name));
  }
  const size_t target = column_of(output, {"target"}, 0), predicted = column_of(output, {"predicted"}, 1),
               count = column_of(output, {"count"}, 2);
  std::map<std::pair<size_t, size_t>, double> counts;
  for (const auto& row : table.rows) {
    const auto number = number_of(cell_of(row, count));
    if (!number) continue;  // a row of headers
    const size_t row_at = label(cell_of(row, target));
    counts[{row_at, label(cell_of(row, predicted))}] += *number;
  }
  if (labels.size() > kMaxLabels) throw invalid("it has more than {} labels", kMaxLabels);
  json::array rows;
  for (size_t i = 0; i < labels.size(); ++i) {
    json::array row;
    for (size_t j = 0; j < labels.size(); ++j) row.emplace_back(counts[{i, j}]);
    rows.push_back(std::move(row));
  }
  return json::object{{"labels", std::move(labels)}, {"rows", std::move(rows)}};
}

json::object v1_curve(const json::object& output, const Charts::ReadSource& read) {
  const Table table = rows_of(output, read, kMaxPoints);
  const size_t x = column_of(output, {"fpr"}, 0), y = column_of(output, {"tpr"}, 1),
               threshold = column_of(output, {"threshold", "thresholds"}, 2);
  std::vector<Point> points;
  for (const auto& row : table.rows) {
    const auto across = number_of(cell_of(row, x)), up = number_of(cell_of(row, y));
    if (across && up) points.push_back({*across, *up, number_of(cell_of(row, threshold))});
  }
  if (points.empty()) throw invalid("its source has no points");
  return curve_json(std::move(points));
}

json::object v1_table(const json::object& output, const Charts::ReadSource& read) {
  Table table = rows_of(output, read, kMaxRows);
  json::array header, rows;
  if (const json::array* given = find_array(output, "header")) header = *given;
  for (auto& row : table.rows) rows.push_back(json::array(row.begin(), row.end()));
  return json::object{{"header", std::move(header)}, {"rows", std::move(rows)}, {"truncated", table.truncated}};
}

}  // namespace

bool is_metrics_name(std::string_view name) { return is_artifact_name(name, kMetricsArtifact); }
bool is_ui_metadata_name(std::string_view name) { return is_artifact_name(name, "mlpipeline-ui-metadata"); }

json::array& Charts::list(std::string_view name) {
  json::value& value = out_[name];
  if (!value.is_array()) value.emplace_array();
  return value.get_array();
}

void Charts::mark(const json::object& members) {
  for (auto& [name, value] : out_) {
    size_t& done = marked_[std::string(name)];
    json::array& entries = value.get_array();
    for (; done < entries.size(); ++done) {
      if (!entries[done].is_object()) continue;
      for (const auto& [key, member] : members) entries[done].get_object()[key] = member;
    }
  }
}

void Charts::add_scalar(std::string_view name, double value, std::string_view format) {
  json::object entry{{"name", name}, {"value", value}};
  if (!format.empty()) entry["format"] = format;
  add("scalars", std::move(entry));
}

void Charts::add_problem(std::string text) { list("problems").emplace_back(std::move(text)); }

void Charts::add_classification(const json::object& metadata, const json::value* slice) {
  const auto put = [&](std::string_view name, json::object entry) {
    if (slice != nullptr) entry["slice"] = *slice;
    add(name, std::move(entry));
  };
  try {
    if (const json::array* metrics = list_of(metadata, "confidenceMetrics")) {
      std::vector<Point> points = points_of(*metrics);
      if (!points.empty()) put("roc_curves", curve_json(std::move(points)));
    }
    if (const json::object* matrix = struct_of(metadata, "confusionMatrix")) {
      put("confusion_matrices", matrix_json(*matrix));
    }
  } catch (const Error& error) {
    add_problem(error.message());
  }
}

void Charts::add_metadata(std::string_view schema_title, const json::object& metadata) {
  if (!schema_title.ends_with("Metrics")) return;
  add_classification(metadata, nullptr);
  if (const json::array* slices = list_of(metadata, "evaluationSlices")) {
    for (const json::value& one : *slices) {
      if (!one.is_object()) continue;
      const json::object* inner = find_object(one.get_object(), "sliceClassificationMetrics");
      const json::value* slice = find(one.get_object(), "slice");
      const json::value unnamed;
      if (inner != nullptr) add_classification(*inner, slice != nullptr ? slice : &unnamed);
    }
  }
  for (const auto& [key, value] : metadata) {
    const std::string_view name(key.data(), key.size());
    const bool shown = name == "confidenceMetrics" || name == "confusionMatrix" || name == "evaluationSlices";
    if (shown || name.starts_with("_kfp")) continue;
    if (const auto number = number_of(&value)) {
      add_scalar(name, *number, "");
    } else {
      add("values", json::object{{"name", name}, {"value", value}});
    }
  }
}

void Charts::add_metrics_file(std::string_view text) {
  try {
    std::vector<std::string> problems;
    for (const RunMetric& metric : parse_metrics(text, "node", problems)) {
      constexpr std::string_view kFormats[] = {"", "RAW", "PERCENTAGE"};
      add_scalar(metric.name, metric.number_value, kFormats[static_cast<size_t>(metric.format)]);
    }
    for (std::string& problem : problems) add_problem(std::move(problem));
  } catch (const Error& error) {
    add_problem(fmt::format("it is no file of metrics: {}", error.message()));
  }
}

void Charts::add_output(const json::object& output, const ReadSource& read) {
  const std::string type = get_string(output, "type"), source = get_string(output, "source");
  const bool is_inline = get_string(output, "storage") == "inline";
  if (type == "confusion_matrix") {
    add("confusion_matrices", v1_matrix(output, read));
  } else if (type == "roc") {
    add("roc_curves", v1_curve(output, read));
  } else if (type == "table") {
    add("tables", v1_table(output, read));
  } else if (type == "markdown") {
    add("markdown", json::object{{"text", source_of(output, read)}});
  } else if (type == "web-app") {
    add("web_pages", is_inline ? json::object{{"html", source}} : json::object{{"source", source}});
  } else if (type == "tensorboard") {
    add("tensorboards", json::object{{"source", source}});
  } else {
    throw invalid("its type is {:?}, which nothing is known of", type);
  }
}

void Charts::add_ui_metadata(std::string_view text, const ReadSource& read) {
  json::value file;
  try {
    file = parse_json(text);
  } catch (const Error& error) {
    return add_problem(fmt::format("it is no UI metadata: {}", error.message()));
  }
  const json::array* outputs = file.is_object() ? find_array(file.get_object(), "outputs") : nullptr;
  if (outputs == nullptr) return add_problem("it is no UI metadata: expected {\"outputs\": […]}");
  for (size_t i = 0; i < outputs->size(); ++i) {
    if (i == kMaxOutputs) return add_problem(fmt::format("outputs: only the first {} are read", kMaxOutputs));
    try {
      if (!(*outputs)[i].is_object()) throw invalid("it is no object");
      add_output((*outputs)[i].get_object(), read);
    } catch (const Error& error) {
      add_problem(fmt::format("outputs[{}]: {}", i, error.message()));
    }
  }
}

}  // namespace penstock::pipelines::preview
