// The file in which a v1 task leaves numbers for its whole run: {"metrics": [{"name", "numberValue", "format"}]}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "objects/store.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines {

inline constexpr std::string_view kMetricsArtifact = "mlpipeline-metrics";
// Whether an artifact is the one that the first SDK calls so: the SDKs write a name's underscores as dashes, or leave
// them.
bool is_artifact_name(std::string_view name, std::string_view wanted);

// InvalidArgument, naming what is wrong, unless the metric can be kept: of its name, its node and its number.
void check_metric(const RunMetric& metric);

// Those of the file that can be kept; `problems` says what is wrong with the others. Throws InvalidArgument when the
// text is no such file.
std::vector<RunMetric> parse_metrics(std::string_view text, const std::string& node_id,
                                     std::vector<std::string>& problems);

// Blocks. What is wrong with the file is logged: it does not fail the task. A task need not have written one.
inline constexpr uint64_t kMaxMetricsFile = 1 << 20;
// What is wrong is logged, and that metric or file left out.
std::vector<RunMetric> parse_metrics_file(std::string_view text, const std::string& uri, const std::string& node_id);
std::vector<RunMetric> read_metrics_file(const objects::Store& objects, const std::string& uri,
                                         const std::string& node_id);

}  // namespace penstock::pipelines
