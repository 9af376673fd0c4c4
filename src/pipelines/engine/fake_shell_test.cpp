#include <random>
#include <set>

#include <doctest/doctest.h>

#include "base/error.h"
#include "pipelines/engine/case_test.h"

namespace penstock::engine::testing {

namespace {

// The event's name without its time: what is replayed must be the same to the letter.
std::string key_of(std::string_view kind, TaskId task, int attempt) {
  return fmt::format("{} {} {}", kind, task, attempt);
}

bool path_matches(std::string_view pattern, std::string_view path) {
  while (!pattern.empty() || !path.empty()) {
    const std::string_view want = pattern.substr(0, pattern.find('/'));
    const std::string_view have = path.substr(0, path.find('/'));
    if (want != "*" && want != have) return false;
    if (want.size() == pattern.size() || have.size() == path.size()) {
      return want.size() == pattern.size() && have.size() == path.size();
    }
    pattern.remove_prefix(want.size() + 1);
    path.remove_prefix(have.size() + 1);
  }
  return true;
}

json::value default_output(const ir::ParameterDef& def, const LaunchSpec& spec) {
  switch (def.type) {
    case ir::ParameterType::Integer: return 1;
    case ir::ParameterType::Double: return 1.5;
    case ir::ParameterType::Boolean: return true;
    case ir::ParameterType::List: return json::array{"a", "b"};
    case ir::ParameterType::Struct: return json::object{{"k", "v"}};
    default: return json::value(spec.task_name);
  }
}

}  // namespace

FakeShell::FakeShell(const Case& test, std::shared_ptr<const ir::Pipeline> pipeline)
    : test_(test), pipeline_(std::move(pipeline)) {}

Engine FakeShell::make_engine() const {
  RunInfo info;
  info.run_id = "run-1";
  info.display_name = "my run";
  info.resource_name = "test-abcde";
  info.pipeline_root = "s3://bucket/root";
  info.created_at = *parse_time("2026-01-02T03:04:05Z");
  info.scheduled_at = info.created_at;
  info.caching = get_bool(test_.run, "caching", true);
  info.max_in_flight = static_cast<int>(get_int(test_.run, "max_in_flight", 200));
  const auto* parameters = find_object(test_.run, "parameters");
  return Engine(pipeline_, info, parameters != nullptr ? *parameters : json::object());
}

const json::value* FakeShell::result_of(const std::string& path, int attempt) const {
  for (const auto& [pattern, result] : test_.results) {
    if (!path_matches(pattern, path)) continue;
    if (!result.is_array()) return &result;
    const auto& list = result.get_array();
    return &list[std::min<size_t>(static_cast<size_t>(attempt), list.size() - 1)];
  }
  return nullptr;
}

Outputs FakeShell::outputs_for(const json::object& result, const LaunchSpec& spec) const {
  json::object values;
  for (const auto& def : spec.component->output_parameters) {
    if (const auto* value = result.if_contains(def.name))
      values[def.name] = *value;
    else if (result.empty())
      values[def.name] = default_output(def, spec);
  }
  if (const auto* echo = result.if_contains("echo")) {
    const auto* value = find_path(spec.executor_input.at("inputs"), {"parameterValues", to_view(echo->as_string())});
    if (value != nullptr) values["Output"] = *value;
  }
  json::object output{{"parameterValues", values}};
  if (const auto* artifacts = result.if_contains("art")) {
    json::object lists;
    for (const auto& [name, artifact] : artifacts->as_object()) {
      lists[name] = json::object{{"artifacts", artifact.is_array() ? artifact.as_array() : json::array{artifact}}};
    }
    output["artifacts"] = std::move(lists);
  }
  std::map<std::string, std::string> files;
  if (const auto* texts = find_object(result, "files")) {
    for (const auto& [name, text] : *texts) files[std::string(name)] = to_std(text.as_string());
  }
  return merge_executor_output(spec, output, files);
}

namespace {

std::string kind_of(const SetTimer& timer) {
  if (timer.until != Time{}) return fmt::format("deadline {}", format_time(timer.until));
  return fmt::format("timer {}ms", timer.delay.count());
}

bool runs_on(const Event& event) {
  return event.type == Event::Type::TaskStarted && event.outputs.parameters.contains("ip");
}

}  // namespace

std::vector<Event> FakeShell::answers(const Launch& launch) {
  const LaunchSpec& spec = *launch.spec;
  const json::value* result = result_of(spec.path, launch.attempt);
  const TaskId task = launch.task;
  std::vector<Event> events{Event::task_started(task, launch.attempt, {})};
  if (result != nullptr && result->is_string() && result->get_string() == "cancel") {
    cancel_ = true;
    return events;
  }
  const json::object object = result != nullptr && result->is_object() ? result->get_object() : json::object();
  if (spec.component->executor->daemon && object.empty()) {
    events[0].outputs.parameters["ip"] = "10.1.2.3";
    return events;
  }
  if (const auto* message = object.if_contains("fail")) {
    events.push_back(Event::task_failed(task, launch.attempt, {}, static_cast<int>(get_int(object, "code", 1)),
                                        to_std(message->as_string()), get_bool(object, "retriable", true)));
    events.back().infrastructure = get_bool(object, "infrastructure");
    return events;
  }
  try {
    events.push_back(Event::task_succeeded(task, launch.attempt, {}, outputs_for(object, spec)));
  } catch (const Error& error) {
    events.push_back(Event::task_failed(task, launch.attempt, {}, 0, error.message(), false));
  }
  return events;
}

void FakeShell::add(std::string kind, TaskId task, int attempt, std::vector<Event> events) {
  work_.push_back({std::move(kind), task, attempt, std::move(events)});
  most_in_flight_ = std::max(most_in_flight_, work_.size());
}

void FakeShell::carry_out(const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    REQUIRE_FALSE(done_);  // nothing follows the end
    if (const auto* changed = std::get_if<TaskChanged>(&command)) {
      paths_[changed->record->task] = changed->record->path;
      table_[changed->record->path] = *changed->record;
    } else if (const auto* launch = std::get_if<Launch>(&command)) {
      launched_.push_back(launch->spec);
      add("launch", launch->task, launch->attempt, answers(*launch));
    } else if (const auto* check = std::get_if<CheckCache>(&command)) {
      const auto* result = result_of(paths_.at(check->task), 0);
      const auto* cached = result != nullptr ? find(*result, "cached") : nullptr;
      add("cache", check->task, check->attempt,
          {cached != nullptr
               ? Event::cache_hit(check->task, check->attempt, {}, Outputs{cached->as_object(), {}}, "earlier")
               : Event::cache_miss(check->task, check->attempt, {})});
    } else if (const auto* import = std::get_if<Import>(&command)) {
      json::object artifact{{"name", import->spec->output},
                            {"uri", import->spec->uri},
                            {"type", import->spec->type},
                            {"metadata", import->spec->metadata}};
      const auto* result = result_of(import->spec->path, import->attempt);
      const auto* message = result != nullptr ? find(*result, "fail") : nullptr;
      add("import", import->task, import->attempt,
          {message != nullptr ? Event::import_failed(import->task, import->attempt, {}, 1, to_std(message->as_string()))
                              : Event::import_finished(import->task, import->attempt, {},
                                                       Outputs{{}, {{import->spec->output, json::array{artifact}}}})});
    } else if (const auto* timer = std::get_if<SetTimer>(&command)) {
      add(kind_of(*timer), timer->task, timer->attempt, {Event::timer_fired(timer->task, timer->attempt, {})});
    } else if (const auto* cancel = std::get_if<CancelTask>(&command)) {
      std::erase_if(work_, [&](const Work& work) { return work.task == cancel->task; });
      add("cancel", cancel->task, cancel->attempt, {Event::task_canceled(cancel->task, cancel->attempt, {})});
    } else if (const auto* finished = std::get_if<RunFinished>(&command)) {
      result_ = *finished;
      done_ = true;
    }
  }
}

// What a new engine asks for again is exactly what is under way.
void FakeShell::check_resumed(const Engine& engine) const {
  std::set<std::string> expected, resumed;
  for (const auto& work : work_) {
    if (engine.canceling() && work.kind != "cancel") continue;
    // A dag's deadline means nothing once it has ended.
    const bool over = table_.at(paths_.at(work.task)).end_time != Time{};
    if (over && work.kind.starts_with("deadline")) continue;
    expected.insert(key_of(work.kind, work.task, work.attempt));
  }
  for (const Command& command : engine.resume_commands()) {
    if (const auto* launch = std::get_if<Launch>(&command))
      resumed.insert(key_of("launch", launch->task, launch->attempt));
    if (const auto* check = std::get_if<CheckCache>(&command))
      resumed.insert(key_of("cache", check->task, check->attempt));
    if (const auto* import = std::get_if<Import>(&command))
      resumed.insert(key_of("import", import->task, import->attempt));
    if (const auto* cancel = std::get_if<CancelTask>(&command))
      resumed.insert(key_of("cancel", cancel->task, cancel->attempt));
    if (const auto* timer = std::get_if<SetTimer>(&command)) {
      resumed.insert(key_of(kind_of(*timer), timer->task, timer->attempt));
    }
  }
  CHECK(expected == resumed);
}

std::string FakeShell::play(Order order, unsigned seed, bool crash) {
  std::mt19937 random(seed);
  Time now = *parse_time("2026-01-02T03:04:06Z");
  auto engine = std::make_unique<Engine>(make_engine());
  auto deliver = [&](Event event) {
    event.time = now += std::chrono::seconds(1);
    // The log is kept as text, so that what is replayed has gone through it.
    log_.push_back(event_from_json(parse_json(to_text(to_json(event)))));
    carry_out(engine->step(event));
    if (!crash) return;
    engine = std::make_unique<Engine>(make_engine());
    std::map<std::string, std::string> again;
    for (const Event& logged : log_) {
      for (const Command& command : engine->step(logged)) {
        if (const auto* changed = std::get_if<TaskChanged>(&command)) {
          again[changed->record->path] = to_text(to_json(*changed->record));
        }
      }
    }
    for (const auto& [path, record] : table_) CHECK(again[path] == to_text(to_json(record)));
    if (!done_) check_resumed(*engine);
  };
  deliver(Event::run_started({}));
  while (!done_) {
    // A cancellation comes once whatever was under way then has been asked for.
    if (cancel_ && !engine->canceling()) {
      deliver(Event::cancel_requested({}));
      continue;
    }
    // What has told all that it has to tell: a daemon runs on.
    const auto rest =
        std::stable_partition(work_.begin(), work_.end(), [](const Work& work) { return !work.events.empty(); });
    const auto count = static_cast<size_t>(rest - work_.begin());
    REQUIRE(count > 0);  // otherwise the engine waits for nothing, for ever
    const size_t pick = order == Order::First ? 0 : random() % count;
    const Event event = work_[pick].events.front();
    work_[pick].events.erase(work_[pick].events.begin());
    const bool repeat = order == Order::Random && random() % 4 == 0;
    if (work_[pick].events.empty() && !runs_on(event)) work_.erase(work_.begin() + static_cast<std::ptrdiff_t>(pick));
    deliver(event);
    if (repeat && !done_) deliver(event);  // events may come twice
  }
  CHECK(engine->step(Event::cancel_requested(now)).empty());
  return table_text();
}

std::string FakeShell::table_text() const {
  const auto* shown = find(test_.run, "show");
  std::string wanted = shown != nullptr && shown->is_string() ? to_std(shown->get_string()) : "";
  auto shows = [&](std::string_view what) { return wanted.find(what) != std::string::npos; };
  std::string text = fmt::format("run {}{}\n", name_of(result_.state),
                                 result_.error.message.empty() ? "" : ": " + result_.error.message);
  for (const auto& [path, record] : table_) {
    text += fmt::format("{} {} {}", path, name_of(record.type), name_of(record.state));
    if (record.attempt > 0) text += fmt::format(" #{}", record.attempt);
    if (record.iteration_count >= 0) text += fmt::format(" of {}", record.iteration_count);
    if (record.inputs && shows("in")) {
      if (const auto* parameters = find_object(*record.inputs, "parameters")) {
        for (const auto& [name, entry] : *parameters) {
          text += fmt::format(" {}={}", std::string_view(name), to_text(entry.as_object().at("value")));
        }
      }
      if (const auto* artifacts = find_object(*record.inputs, "artifacts")) {
        for (const auto& [name, entry] : *artifacts) {
          text += fmt::format(" {}:", std::string_view(name));
          for (const auto& artifact : entry.as_object().at("artifacts").as_array()) {
            std::string uri = string_at(artifact, {"uri"});
            text += " " + uri.substr(uri.rfind('/') + 1);
          }
        }
      }
    }
    if (record.outputs && !record.outputs->parameters.empty()) text += " -> " + to_text(record.outputs->parameters);
    if (record.outputs && shows("art")) {
      for (const auto& [name, list] : record.outputs->artifacts) {
        text += fmt::format(" {}({})", std::string_view(name), list.as_array().size());
      }
    }
    if (!record.error.message.empty() && record.path != "root") text += " !! " + record.error.message;
    text += "\n";
  }
  return text;
}

}  // namespace penstock::engine::testing
