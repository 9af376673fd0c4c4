#include "pipelines/run/metrics_file.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include <spdlog/spdlog.h>

#include "base/error.h"
#include "base/fields.h"

namespace penstock::pipelines {

namespace {

constexpr size_t kMaxMetrics = 1'000;
constexpr size_t kMaxName = 191;  // as the reference's table has it

constexpr EnumName kFormats[] = {{0, "UNSPECIFIED"}, {1, "RAW"}, {2, "PERCENTAGE"}};

const Fields<RunMetric>& file_fields() {
  static const auto kFields = Fields<RunMetric>("RunMetric")
                                  .add("name", &RunMetric::name)
                                  .add("node_id", &RunMetric::node_id)
                                  .add("number_value", &RunMetric::number_value)
                                  .add("format", &RunMetric::format, kFormats);
  return kFields;
}

[[noreturn]] void refuse(std::string_view field, std::string_view why) {
  throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, why), std::string(field));
}

}  // namespace

bool is_artifact_name(std::string_view name, std::string_view wanted) {
  return name.size() == wanted.size() && std::equal(name.begin(), name.end(), wanted.begin(),
                                                    [](char a, char b) { return a == b || (a == '_' && b == '-'); });
}

void check_metric(const RunMetric& metric) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; };
  const std::string& name = metric.name;
  const bool named = !name.empty() && name.size() <= kMaxName && std::isalpha(static_cast<unsigned char>(name[0])) &&
                     std::isalnum(static_cast<unsigned char>(name.back())) && std::ranges::all_of(name, plain);
  if (!named) {
    refuse("name", fmt::format("{:?} is no metric's name: a letter, then letters, digits, - and _, with a letter or "
                               "digit at the end, at most {} in all",
                               name, kMaxName));
  }
  if (metric.node_id.empty()) refuse("node_id", "it is required and missing");
  if (metric.node_id.size() > kMaxName) refuse("node_id", fmt::format("it has more than {} characters", kMaxName));
  if (!std::isfinite(metric.number_value)) refuse("number_value", "it is no finite number");
}

std::vector<RunMetric> parse_metrics(std::string_view text, const std::string& node_id,
                                     std::vector<std::string>& problems) {
  const json::value file = parse_json(text);
  const json::array* list = file.is_object() ? find_array(file.as_object(), "metrics") : nullptr;
  if (!list) throw invalid("expected {{\"metrics\": […]}}");
  if (list->size() > kMaxMetrics) throw invalid("it has {} metrics; at most {} are kept", list->size(), kMaxMetrics);
  std::vector<RunMetric> metrics;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string path = fmt::format("metrics[{}]", i);
    try {
      RunMetric metric = file_fields().read((*list)[i], path);
      metric.node_id = node_id;
      check_metric(metric);
      metrics.push_back(std::move(metric));
    } catch (const Error& error) {
      problems.push_back(error.message().starts_with(path) ? error.message()
                                                           : fmt::format("{}.{}", path, error.message()));
    }
  }
  return metrics;
}

std::vector<RunMetric> parse_metrics_file(std::string_view text, const std::string& uri, const std::string& node_id) {
  try {
    if (text.size() > kMaxMetricsFile) throw invalid("it is longer than {} bytes", kMaxMetricsFile);
    std::vector<std::string> problems;
    std::vector<RunMetric> metrics = parse_metrics(text, node_id, problems);
    for (const std::string& problem : problems) {
      spdlog::warn("{} of node {}: this metric is not kept: {}", uri, node_id, problem);
    }
    return metrics;
  } catch (const Error& error) {
    spdlog::warn("{} of node {} is no file of metrics: {}", uri, node_id, error.message());
    return {};
  }
}

std::vector<RunMetric> read_metrics_file(const objects::Store& objects, const std::string& uri,
                                         const std::string& node_id) {
  const auto location = objects::parse_uri(uri);
  if (!location || !objects.find(location->bucket, location->key)) return {};
  return parse_metrics_file(objects.get(location->bucket, location->key, kMaxMetricsFile + 1), uri, node_id);
}

}  // namespace penstock::pipelines
