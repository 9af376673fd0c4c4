// Metrics and charts of artifacts and of runs, and several runs beside each other.
#include "pipelines/api/artifact_bytes.h"
#include "pipelines/api/artifact_messages.h"
#include "pipelines/ir/spec.h"
#include "pipelines/preview/charts.h"
#include "pipelines/store/summaries.h"

namespace penstock::pipelines::api {

namespace {

constexpr size_t kMaxFile = 1u << 20;    // of a v1 file
constexpr size_t kMaxArtifacts = 1'000;  // with metrics, of a run
constexpr size_t kMaxCompared = 20;

using preview::Charts;

// Blocks: v1 files are read, and what they name.
void add_charts(const objects::Store& objects, const metadata::Artifact& artifact, std::string_view key,
                Charts& charts) {
  charts.add_metadata(artifact.type, artifact.metadata);
  const bool metrics = preview::is_metrics_name(key), page = preview::is_ui_metadata_name(key);
  if (!metrics && !page) return;
  const auto read = [&objects](const std::string& uri, size_t limit) {
    return read_artifact_text(objects, uri, limit);
  };
  try {
    const std::string text = read(artifact.uri, kMaxFile + 1);
    if (text.size() > kMaxFile) throw invalid("{} has more than {} bytes", artifact.uri, kMaxFile);
    if (metrics) {
      charts.add_metrics_file(text);
    } else {
      charts.add_ui_metadata(text, read);
    }
  } catch (const Error& error) {
    charts.add_problem(error.message());
  }
}

Async<Response> of_artifact(const ApiContext& context, Request& request) {
  const metadata::Artifact artifact = co_await artifact_of(context, request);
  json::object out = co_await context.blocking.run([&] {
    Charts charts;
    const std::string& key = artifact.producer_key.empty() ? artifact.name : artifact.producer_key;
    add_charts(context.objects, artifact, key, charts);
    charts.mark({{"artifact_id", std::to_string(artifact.artifact_id)}, {"artifact_name", artifact.name}});
    return charts.json();
  });
  out["artifact_id"] = std::to_string(artifact.artifact_id);
  co_return http::json_response(std::move(out));
}

struct RunMetrics {
  Run run;
  std::vector<metadata::Store::Output> outputs;
  bool truncated = false;
  std::map<std::string, std::string> task_names;
  std::vector<RunMetric> reported;
};

Async<RunMetrics> read_metrics(const ApiContext& context, std::string run_id) {
  RunMetrics out;
  out.run = co_await context.store.get_run(run_id);
  out.outputs = co_await context.metadata.metric_outputs(run_id, kMaxArtifacts + 1);
  out.truncated = out.outputs.size() > kMaxArtifacts;
  if (out.truncated) out.outputs.resize(kMaxArtifacts);
  out.task_names = co_await context.store.database().read([&](db::Connection& c) {
    std::map<std::string, std::string> names;
    for (const auto& output : out.outputs) {
      if (names.contains(output.task_id)) continue;
      const auto task = store::task_summary(c, run_id, output.task_id);
      names[output.task_id] = task ? task->name : std::string();
    }
    return names;
  });
  std::vector<std::string> ids;
  ids.push_back(run_id);
  auto reported = co_await context.store.metrics_of(std::move(ids));
  out.reported = std::move(reported[run_id]);
  co_return out;
}

bool has_scalar(const json::object& charts, const RunMetric& metric) {
  const json::array* scalars = find_array(charts, "scalars");
  return scalars != nullptr && std::ranges::any_of(*scalars, [&](const json::value& one) {
           return get_string(one.get_object(), "name") == metric.name &&
                  one.get_object().at("value") == json::value(metric.number_value);
         });
}

// Blocks.
json::object charts_of(const objects::Store& objects, const RunMetrics& from) {
  Charts charts;
  for (const auto& output : from.outputs) {
    add_charts(objects, output.artifact, output.key, charts);
    charts.mark({{"artifact_id", std::to_string(output.artifact.artifact_id)},
                 {"artifact_name", output.key},
                 {"task_id", output.task_id},
                 {"task_name", from.task_names.at(output.task_id)}});
  }
  // Those that came through the API; a task's file is an artifact, too.
  const json::object of_artifacts = charts.json();
  for (const RunMetric& metric : from.reported) {
    if (has_scalar(of_artifacts, metric)) continue;
    constexpr std::string_view kFormats[] = {"", "RAW", "PERCENTAGE"};
    charts.add_scalar(metric.name, metric.number_value, kFormats[static_cast<size_t>(metric.format)]);
    charts.mark({{"node_id", metric.node_id}});
  }
  return charts.json();
}

json::object run_json(const objects::Store& objects, const RunMetrics& from) {
  json::object out = charts_of(objects, from);
  out["run_id"] = from.run.run_id;
  if (from.truncated) out["truncated"] = true;
  return out;
}

Async<Response> of_run(const ApiContext& context, Request& request) {
  const RunMetrics metrics = co_await read_metrics(context, param(request, "run_id"));
  json::object out = co_await context.blocking.run([&] { return run_json(context.objects, metrics); });
  co_return http::json_response(std::move(out));
}

// What a run was not given has its pipeline's default.
void add_defaults(const ir::Pipeline& pipeline, json::object& parameters) {
  for (const ir::ParameterDef& parameter : pipeline.root->input_parameters) {
    if (parameter.default_value != nullptr && !parameters.contains(parameter.name)) {
      parameters[parameter.name] = *parameter.default_value;
    }
  }
}

// A table with a row for each parameter: its value in each run that has it.
json::array compare_parameters(const std::vector<RunMetrics>& runs) {
  std::map<std::string, json::object> rows;
  for (const RunMetrics& one : runs) {
    for (const auto& [name, value] : one.run.runtime_config.parameters) rows[std::string(name)][one.run.run_id] = value;
  }
  json::array out;
  for (auto& [name, values] : rows) {
    bool differs = values.size() < runs.size();
    for (const auto& [run, value] : values) differs |= value != values.begin()->value();
    out.push_back(json::object{{"name", name}, {"differs", differs}, {"values", std::move(values)}});
  }
  return out;
}

// Likewise of metrics; of one name each task's is a row of its own, and a loop's may have several values in a run.
json::array compare_scalars(const json::array& runs) {
  std::map<std::array<std::string, 3>, json::object> rows;
  for (const json::value& run : runs) {
    const json::array* scalars = find_array(run.at("metrics").get_object(), "scalars");
    if (scalars == nullptr) continue;
    const std::string run_id = string_at(run, {"run_id"});
    for (const json::value& one : *scalars) {
      const std::array<std::string, 3> key{string_at(one, {"name"}), string_at(one, {"task_name"}),
                                           string_at(one, {"artifact_name"})};
      json::value& values = rows[key][run_id];
      if (!values.is_array()) values.emplace_array();
      json::object entry{{"value", one.at("value")}};
      for (const std::string_view member : {"artifact_id", "node_id", "format"}) {
        if (const json::value* found = find(one, member)) entry[member] = *found;
      }
      values.get_array().push_back(std::move(entry));
    }
  }
  json::array out;
  for (auto& [key, values] : rows) {
    json::object row{{"name", key[0]}};
    if (!key[1].empty()) row["task_name"] = key[1];
    if (!key[2].empty()) row["artifact_name"] = key[2];
    row["values"] = std::move(values);
    out.push_back(std::move(row));
  }
  return out;
}

Async<Response> compare(const ApiContext& context, Request& request) {
  const std::vector<std::string> ids = list_query(request, "runs");
  if (ids.empty() || ids.size() > kMaxCompared) {
    throw Error(Code::InvalidArgument,
                fmt::format("runs: {} are given; 1 to {} are compared, as in runs=a,b", ids.size(), kMaxCompared),
                "runs");
  }
  std::vector<RunMetrics> runs;
  for (const std::string& id : ids) {
    const auto same = [&](const RunMetrics& one) { return one.run.run_id == id; };
    if (std::ranges::any_of(runs, same)) continue;
    RunMetrics one = co_await read_metrics(context, id);
    const std::shared_ptr<const Spec> spec = co_await load_spec(context, one.run.spec_hash);
    add_defaults(*spec->pipeline, one.run.runtime_config.parameters);
    runs.push_back(std::move(one));
  }
  json::object out = co_await context.blocking.run([&] {
    json::array shown;
    for (const RunMetrics& one : runs) {
      json::object run = run_summary_json(one.run);
      run["parameters"] = one.run.runtime_config.parameters;
      run["metrics"] = charts_of(context.objects, one);
      if (one.truncated) run["truncated"] = true;
      shown.push_back(std::move(run));
    }
    json::array scalars = compare_scalars(shown);
    return json::object{
        {"runs", std::move(shown)}, {"parameters", compare_parameters(runs)}, {"scalars", std::move(scalars)}};
  });
  co_return http::json_response(std::move(out));
}

}  // namespace

void add_artifact_metric_routes(Routes& routes) {
  routes.add_at(Method::Get, "/apis/penstock/v1/artifacts/{artifact_id}/metrics", of_artifact);
  routes.add_at(Method::Get, "/apis/penstock/v1/runs/{run_id}/metrics", of_run);
  routes.add_at(Method::Get, "/apis/penstock/v1/compare", compare);
}

}  // namespace penstock::pipelines::api
