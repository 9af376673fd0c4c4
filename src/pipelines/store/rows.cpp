#include "pipelines/store/rows.h"

#include <charconv>

namespace penstock::pipelines {

namespace {

constexpr std::string_view kStorageStates[] = {"STORAGE_STATE_UNSPECIFIED", "AVAILABLE", "ARCHIVED"};
constexpr std::string_view kRunStates[] = {"RUNTIME_STATE_UNSPECIFIED",
                                           "PENDING",
                                           "RUNNING",
                                           "SUCCEEDED",
                                           "SKIPPED",
                                           "FAILED",
                                           "CANCELING",
                                           "CANCELED",
                                           "PAUSED"};

json::object read_object(std::string_view text) {
  if (text.empty()) return {};
  json::value value = parse_json(text);
  return value.is_object() ? std::move(value.as_object()) : json::object{};
}

Time time_at(db::Rows& rows, int column) { return from_micros(rows.integer(column)); }

Tags read_tags(std::string_view text) {
  Tags tags;
  for (const auto& [key, value] : read_object(text)) {
    if (value.is_string()) tags[std::string(key)] = to_std(value.as_string());
  }
  return tags;
}

}  // namespace

std::string_view to_string(StorageState state) { return kStorageStates[static_cast<int>(state)]; }

StorageState storage_state_from(std::string_view name) {
  for (int i = 0; i < 3; ++i) {
    if (kStorageStates[i] == name) return static_cast<StorageState>(i);
  }
  return StorageState::Unspecified;
}

std::string_view to_string(RunState state) { return kRunStates[static_cast<int>(state)]; }

RunState run_state_from(std::string_view name) {
  for (int i = 0; i < 9; ++i) {
    if (kRunStates[i] == name) return static_cast<RunState>(i);
  }
  return RunState::Unspecified;
}

bool is_final(RunState state) {
  return state == RunState::Succeeded || state == RunState::Skipped || state == RunState::Failed ||
         state == RunState::Canceled;
}

namespace store {

std::string tags_text(const Tags& tags) {
  json::object out;
  for (const auto& [key, value] : tags) out[key] = value;
  return to_text(out);
}

std::string history_entry(Time at, std::string_view state) { return fmt::format("{} {}\n", to_micros(at), state); }

std::vector<StateChange> read_history(std::string_view text) {
  std::vector<StateChange> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    int64_t micros = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), micros);
    if (error != std::errc{} || rest == line.data() + line.size()) continue;
    out.push_back({from_micros(micros), std::string(rest + 1, line.data() + line.size()), {}});
  }
  return out;
}

Experiment read_experiment(db::Rows& rows) {
  Experiment out;
  out.experiment_id = rows.string(0);
  out.name_space = rows.string(1);
  out.display_name = rows.string(2);
  out.description = rows.string(3);
  out.created_at = time_at(rows, 4);
  out.storage_state = storage_state_from(rows.text(5));
  out.last_run_created_at = time_at(rows, 6);
  return out;
}

Pipeline read_pipeline(db::Rows& rows) {
  Pipeline out;
  out.pipeline_id = rows.string(0);
  out.name_space = rows.string(1);
  out.name = rows.string(2);
  out.display_name = rows.string(3);
  out.description = rows.string(4);
  out.created_at = time_at(rows, 5);
  out.tags = read_tags(rows.text(6));
  out.default_version_id = rows.string(7);
  return out;
}

PipelineVersion read_version(db::Rows& rows) {
  PipelineVersion out;
  out.pipeline_id = rows.string(0);
  out.pipeline_version_id = rows.string(1);
  out.name = rows.string(2);
  out.display_name = rows.string(3);
  out.description = rows.string(4);
  out.created_at = time_at(rows, 5);
  out.package_url = rows.string(6);
  out.code_source_url = rows.string(7);
  out.spec_hash = rows.string(8);
  out.tags = read_tags(rows.text(9));
  return out;
}

Run read_run(db::Rows& rows) {
  Run out;
  out.run_id = rows.string(0);
  out.experiment_id = rows.string(1);
  out.name_space = rows.string(2);
  out.display_name = rows.string(3);
  out.description = rows.string(4);
  out.storage_state = storage_state_from(rows.text(5));
  out.state = run_state_from(rows.text(6));
  out.created_at = time_at(rows, 7);
  out.scheduled_at = time_at(rows, 8);
  out.finished_at = time_at(rows, 9);
  out.recurring_run_id = rows.string(10);
  out.pipeline_version_reference.pipeline_id = rows.string(11);
  out.pipeline_version_reference.pipeline_version_id = rows.string(12);
  out.spec_hash = rows.string(13);
  out.pipeline_name = rows.string(14);
  out.runtime_config.parameters = read_object(rows.text(15));
  out.runtime_config.pipeline_root = rows.string(16);
  out.service_account = rows.string(17);
  out.error = {static_cast<int32_t>(rows.integer(18)), rows.string(19)};
  out.state_history = read_history(rows.text(20));
  out.runtime_config.disable_caching = rows.integer(21) != 0;
  out.plugins_input = read_object(rows.text(22));
  if (!out.error.empty() && !out.state_history.empty()) out.state_history.back().error = out.error;
  return out;
}

RecurringRun read_recurring_run(db::Rows& rows) {
  RecurringRun out;
  out.recurring_run_id = rows.string(0);
  out.experiment_id = rows.string(1);
  out.name_space = rows.string(2);
  out.display_name = rows.string(3);
  out.description = rows.string(4);
  out.pipeline_version_reference = {rows.string(5), rows.string(6)};
  out.spec_hash = rows.string(7);
  out.runtime_config.parameters = read_object(rows.text(8));
  out.runtime_config.pipeline_root = rows.string(9);
  out.service_account = rows.string(10);
  out.max_concurrency = rows.integer(11);
  out.trigger.cron = rows.string(12);
  out.trigger.interval = std::chrono::seconds(rows.integer(13));
  out.trigger.start = time_at(rows, 14);
  out.trigger.end = time_at(rows, 15);
  out.enabled = rows.integer(16) != 0;
  out.no_catchup = rows.integer(17) != 0;
  out.created_at = time_at(rows, 18);
  out.updated_at = time_at(rows, 19);
  out.last_fire = time_at(rows, 20);
  out.fires = rows.integer(21);
  out.error = {static_cast<int32_t>(rows.integer(22)), rows.string(23)};
  out.runtime_config.disable_caching = rows.integer(24) != 0;
  out.plugins_input = read_object(rows.text(25));
  return out;
}

namespace {

// Each pod once, but for `current`: it may have been written with several batches.
std::vector<std::pair<std::string, std::string>> read_pods(std::string_view text, std::string_view current) {
  std::vector<std::pair<std::string, std::string>> pods;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    at = end + 1;
    const auto space = line.find(' ');
    if (space == std::string_view::npos) continue;
    std::pair<std::string, std::string> pod(line.substr(0, space), line.substr(space + 1));
    if (pod.second != current && std::find(pods.begin(), pods.end(), pod) == pods.end()) pods.push_back(std::move(pod));
  }
  return pods;
}

}  // namespace

TaskRecord read_task(db::Rows& rows) {
  TaskRecord out;
  out.run_id = rows.string(0);
  out.task_id = rows.string(1);
  out.parent_task_id = rows.string(2);
  out.position = rows.integer(3);
  out.name = rows.string(4);
  out.display_name = rows.string(5);
  out.type = rows.string(6);
  out.state = rows.string(7);
  out.scope_path = rows.string(8);
  out.create_time = time_at(rows, 9);
  out.start_time = time_at(rows, 10);
  out.end_time = time_at(rows, 11);
  out.error = {static_cast<int32_t>(rows.integer(12)), rows.string(13)};
  out.pod_name = rows.string(14);
  out.attempt = static_cast<int32_t>(rows.integer(15));
  out.iteration_index = static_cast<int32_t>(rows.integer(16));
  out.iteration_count = static_cast<int32_t>(rows.integer(17));
  out.fingerprint = rows.string(18);
  out.state_history = read_history(rows.text(19));
  out.inputs = read_object(rows.text(20));
  out.outputs = read_object(rows.text(21));
  out.pod_uid = rows.string(22);
  out.earlier_pods = read_pods(rows.text(23), out.pod_uid);
  out.cache_note = rows.string(24);
  out.not_applied = rows.string(25);
  out.reported = rows.integer(26) != 0;
  out.waiting = rows.string(27);
  if (out.state_history.empty()) return out;
  if (!out.error.empty()) out.state_history.back().error = out.error;
  // As the reference has it: the error of a state that is not final is one that may pass.
  if (!out.waiting.empty()) out.state_history.back().error = {static_cast<int32_t>(Code::Unavailable), out.waiting};
  return out;
}

}  // namespace store
}  // namespace penstock::pipelines
