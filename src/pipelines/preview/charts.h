// Metrics and charts of artifacts in one shape, whichever of the SDKs wrote them, for whoever draws or compares them:
//
//   scalars              {"name", "value", "format"}             format: "RAW" or "PERCENTAGE", where it is known
//   values               {"name", "value"}                       what is no number
//   confusion_matrices   {"labels", "rows", "slice"}             a row for each true label, a column for each predicted
//   roc_curves           {"points", "auc", "slice"}              a point: {"false_positive_rate", "true_positive_rate",
//                                                                "threshold"}, by the first
//   tables               {"header", "rows", "truncated"}
//   markdown             {"text"}
//   web_pages            {"html"} or {"source"}                  to be shown in a sandboxed frame alone
//   tensorboards         {"source"}                              the URI of its logs
//   problems             texts: what could not be read, and why
//
// Lists that are empty are left out.
#pragma once

#include <functional>

#include "base/json.h"

namespace penstock::pipelines::preview {

class Charts {
 public:
  // Reads what a source names by its URI, at most that many bytes. May throw Error.
  using ReadSource = std::function<std::string(const std::string& uri, size_t limit)>;

  // Of an artifact's metadata: system.Metrics, system.ClassificationMetrics, system.SlicedClassificationMetrics and
  // types with the same members, such as google.ClassificationMetrics.
  void add_metadata(std::string_view schema_title, const json::object& metadata);
  // A file {"metrics": […]} of the first SDK.
  void add_metrics_file(std::string_view text);
  // A file {"version": 1, "outputs": […]} of the first SDK.
  void add_ui_metadata(std::string_view text, const ReadSource& read);
  void add_scalar(std::string_view name, double value, std::string_view format);
  void add_problem(std::string text);

  json::object json() const { return out_; }
  bool empty() const { return out_.empty(); }
  // Puts these members into each entry that has come since the last call: whose they are.
  void mark(const json::object& members);

 private:
  json::array& list(std::string_view name);
  void add(std::string_view name, json::object entry) { list(name).push_back(std::move(entry)); }
  void add_classification(const json::object& metadata, const json::value* slice);
  void add_output(const json::object& output, const ReadSource& read);
  json::object out_;
  std::map<std::string, size_t, std::less<>> marked_;
};

// A v1 file's name, in which the SDKs write _ or -.
bool is_metrics_name(std::string_view name);      // mlpipeline-metrics
bool is_ui_metadata_name(std::string_view name);  // mlpipeline-ui-metadata

}  // namespace penstock::pipelines::preview
