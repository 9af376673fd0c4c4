#include "pipelines/engine/engine.h"

#include "pipelines/engine/machine.h"

namespace penstock::engine {

namespace {

json::value checked(const ir::ParameterDef& def, const json::value& value) {
  const std::string where = fmt::format("parameters.{}", def.name);
  json::value result = ir::convert(value, def.type, where);
  if (def.literals == nullptr) return result;
  for (const auto& allowed : *def.literals) {
    if (ir::text_of(allowed) == ir::text_of(result)) return result;
  }
  throw invalid("{}: {} is not one of the allowed values {}", where, to_text(value), to_text(*def.literals));
}

// By position among the root's inputs, defaults filled in.
std::vector<Value> run_parameters(const ir::Pipeline& pipeline, const json::object& given) {
  const auto& defs = pipeline.root->input_parameters;
  for (const auto& [name, value] : given) {
    if (pipeline.root->input_parameter(name) >= 0) continue;
    std::string known;
    for (const auto& def : defs) known += (known.empty() ? "" : ", ") + def.name;
    throw invalid("parameters.{}: pipeline \"{}\" has no such parameter{}{}", std::string_view(name), pipeline.name,
                  known.empty() ? "; it takes none" : "; it has ", known);
  }
  std::vector<Value> result(defs.size());
  for (size_t i = 0; i < defs.size(); ++i) {
    const json::value* value = given.if_contains(defs[i].name);
    if (value == nullptr) value = pipeline.runtime_parameters.if_contains(defs[i].name);
    if (value == nullptr || value->is_null()) value = defs[i].default_value;
    if (value != nullptr && !value->is_null()) {
      result[i] = std::make_shared<const json::value>(checked(defs[i], *value));
    } else if (!defs[i].optional) {
      throw invalid("parameters.{}: missing; pipeline \"{}\" requires it ({})", defs[i].name, pipeline.name,
                    ir::type_name(defs[i].type));
    }
  }
  return result;
}

}  // namespace

void validate_parameters(const ir::Pipeline& pipeline, const json::object& parameters) {
  run_parameters(pipeline, parameters);
}

Engine::Engine(std::shared_ptr<const ir::Pipeline> pipeline, RunInfo info, json::object parameters)
    : state_(std::make_unique<State>()) {
  state_->run_parameters = run_parameters(*pipeline, parameters);
  state_->info = std::move(info);
  RunInfo& run = state_->info;
  if (run.pipeline_name.empty()) run.pipeline_name = pipeline->name;
  if (run.pipeline_root.empty()) run.pipeline_root = pipeline->runtime_root;
  if (run.pipeline_root.empty()) run.pipeline_root = pipeline->default_root;
  while (run.pipeline_root.ends_with('/')) run.pipeline_root.pop_back();
  if (pipeline->config.max_in_flight > 0)
    run.max_in_flight = std::min(run.max_in_flight, pipeline->config.max_in_flight);
  run.max_in_flight = std::max(run.max_in_flight, 1);
  state_->pipeline = std::move(pipeline);
}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

std::vector<Command> Engine::step(const Event& event) {
  state_->commands.clear();
  Machine machine(*state_);
  machine.handle(event);
  machine.run();
  return std::move(state_->commands);
}

namespace {

bool inside_stopped(const State& state, const Instance& instance) {
  for (const Instance* at = &instance; at->parent != kNoTask; at = &state.at(at->parent)) {
    if (state.at(at->parent).stopping) return true;
  }
  return false;
}

}  // namespace

std::vector<Command> Engine::resume_commands() const {
  std::vector<Command> commands;
  if (state_->finished) {
    commands.emplace_back(state_->result);
    return commands;
  }
  if (state_->paused) commands.emplace_back(SetTimer{0, 0, std::chrono::milliseconds(0)});
  for (const auto& kept : state_->instances) {
    if (!kept) continue;
    const Instance& instance = *kept;
    switch (instance.phase) {
      case Phase::CheckingCache:
        commands.emplace_back(CheckCache{instance.id, instance.attempt, instance.fingerprint, instance.launch->path,
                                         instance.task->max_cache_age});
        break;
      case Phase::Launched:
        if (state_->canceling || instance.released || inside_stopped(*state_, instance))
          commands.emplace_back(CancelTask{instance.id, instance.attempt});
        else
          commands.emplace_back(Launch{instance.id, instance.attempt, instance.launch});
        break;
      case Phase::Importing: commands.emplace_back(Import{instance.id, instance.attempt, instance.import}); break;
      case Phase::Expanded:
        if (instance.dag && !instance.component->dag->deadlines.empty() && !instance.stopping) {
          commands.emplace_back(SetTimer{instance.id, instance.attempt, {}, instance.started + instance.delay});
        }
        break;
      case Phase::Paused:
        if (instance.delay.count() < 0) break;
        [[fallthrough]];
      case Phase::Timer: commands.emplace_back(SetTimer{instance.id, instance.attempt, instance.delay}); break;
      default: break;
    }
  }
  return commands;
}

std::vector<Event> Engine::resumptions(Time time) const {
  std::vector<Event> events;
  for (const auto& kept : state_->instances) {
    if (kept && kept->phase == Phase::Paused) events.push_back(Event::timer_fired(kept->id, kept->attempt, time));
  }
  return events;
}

bool Engine::started() const { return state_->started; }
bool Engine::finished() const { return state_->finished; }
bool Engine::canceling() const { return state_->canceling; }
const RunInfo& Engine::info() const { return state_->info; }
const ir::Pipeline& Engine::pipeline() const { return *state_->pipeline; }

Outputs Engine::outputs() const {
  const bool present = state_->finished && !state_->instances.empty() && state_->at(0).outputs_json;
  return present ? *state_->at(0).outputs_json : Outputs{};
}

}  // namespace penstock::engine
