#include "pipelines/api/artifact_messages.h"

#include <charconv>

#include "pipelines/api/messages.h"

namespace penstock::pipelines::api {

namespace {

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void put(json::object& out, std::string_view key, std::string_view text) {
  if (!text.empty()) out[key] = text;
}

void put(json::object& out, std::string_view key, Time time) {
  if (time != Time{}) out[key] = format_time(time, true);
}

}  // namespace

int64_t id_of(const std::string& text, std::string_view field) {
  const auto id = number_of(text);
  if (id && *id > 0) return *id;
  throw Error(Code::InvalidArgument, fmt::format("{} is {:?}; expected its number", field, text), std::string(field));
}

Async<metadata::Artifact> artifact_of(const ApiContext& context, const Request& request) {
  co_return co_await context.metadata.get(id_of(param(request, "artifact_id"), "artifact_id"));
}

int64_t number_query(const Request& request, std::string_view name, int64_t fallback, int64_t least, int64_t most) {
  const std::string text = request.query_or(name, "");
  if (text.empty()) return fallback;
  const auto value = number_of(text);
  if (value && *value >= least && *value <= most) return *value;
  throw Error(Code::InvalidArgument,
              fmt::format("{} is {:?}; expected a number from {} to {}", name, text, least, most), std::string(name));
}

std::vector<std::string> list_query(const Request& request, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& [key, value] : request.query) {
    if (key != name) continue;
    for (std::string_view rest = value; !rest.empty();) {
      const size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) out.emplace_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return out;
}

json::object own_artifact_json(const metadata::Artifact& artifact) {
  json::object out = artifact_json(artifact);
  put(out, "schema_title", artifact.type);
  put(out, "schema_version", artifact.type_version);
  put(out, "run_id", artifact.run_id);
  put(out, "task_id", artifact.task_id);
  put(out, "producer_key", artifact.producer_key);
  return out;
}

json::object task_summary_json(const TaskRecord& task) {
  json::object out{{"run_id", task.run_id}, {"task_id", task.task_id}, {"name", task.name}};
  out["display_name"] = task.display_name.empty() ? task.name : task.display_name;
  put(out, "type", task.type == "ITERATION" ? "DAG" : task.type);
  put(out, "state", task.state);
  put(out, "scope_path", task.scope_path);
  if (task.iteration_index >= 0) out["iteration_index"] = task.iteration_index;
  put(out, "create_time", task.create_time);
  put(out, "start_time", task.start_time);
  put(out, "end_time", task.end_time);
  return out;
}

json::object run_summary_json(const Run& run) {
  json::object out{{"run_id", run.run_id}, {"display_name", run.display_name}, {"state", to_string(run.state)}};
  put(out, "experiment_id", run.experiment_id);
  put(out, "namespace", run.name_space);
  put(out, "pipeline_name", run.pipeline_name);
  put(out, "pipeline_id", run.pipeline_version_reference.pipeline_id);
  put(out, "pipeline_version_id", run.pipeline_version_reference.pipeline_version_id);
  put(out, "created_at", run.created_at);
  put(out, "finished_at", run.finished_at);
  return out;
}

}  // namespace penstock::pipelines::api
