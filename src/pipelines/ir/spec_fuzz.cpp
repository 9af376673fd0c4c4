// Pipelines as clients send them: read or refused; and what is read is run by the engine, with every task succeeding.
#include <deque>

#include "base/fuzz.h"
#include "pipelines/engine/engine.h"
#include "pipelines/ir/spec.h"
#include "pipelines/store/spec_cache.h"

using namespace penstock;
using namespace penstock::engine;

namespace {

constexpr int kMostEvents = 400;

json::value some_value(ir::ParameterType type) {
  switch (type) {
    case ir::ParameterType::Integer: return 1;
    case ir::ParameterType::Double: return 1.5;
    case ir::ParameterType::Boolean: return true;
    case ir::ParameterType::List: return json::array{1, "b"};
    case ir::ParameterType::Struct: return json::object{{"k", "v"}};
    default: return "text";
  }
}

Event answer(const Launch& launch) {
  const LaunchSpec& spec = *launch.spec;
  json::object values;
  for (const auto& def : spec.component->output_parameters) values[def.name] = some_value(def.type);
  const json::value output = json::object{{"parameterValues", std::move(values)}};
  try {
    resolve(spec, PathMap{});
    return Event::task_succeeded(launch.task, launch.attempt, {}, merge_executor_output(spec, output, {}));
  } catch (const Error& error) {
    CHECK_INVARIANT(error.code() != Code::Internal);
    return Event::task_failed(launch.task, launch.attempt, {}, 1, error.message(), false);
  }
}

void play(const std::shared_ptr<const ir::Pipeline>& pipeline) {
  json::object parameters;
  for (const auto& def : pipeline->root->input_parameters) {
    if (!def.optional) parameters[def.name] = some_value(def.type);
  }
  RunInfo info;
  info.run_id = "run-1";
  info.pipeline_root = "s3://bucket/root";
  Engine engine(pipeline, info, std::move(parameters));
  std::deque<Event> events{Event::run_started({})};
  for (int i = 0; i < kMostEvents && !events.empty(); ++i) {
    const Event event = std::move(events.front());
    events.pop_front();
    for (const Command& command : engine.step(event)) {
      if (const auto* launch = std::get_if<Launch>(&command)) events.push_back(answer(*launch));
      if (const auto* check = std::get_if<CheckCache>(&command)) {
        events.push_back(Event::cache_miss(check->task, check->attempt, {}));
      }
      if (const auto* import = std::get_if<Import>(&command)) {
        events.push_back(Event::import_failed(import->task, import->attempt, {}, 1, "no"));
      }
      if (const auto* timer = std::get_if<SetTimer>(&command)) {
        events.push_back(Event::timer_fired(timer->task, timer->attempt, {}));
      }
    }
  }
  CHECK_INVARIANT(engine.finished() || !events.empty());  // otherwise it waits for nothing
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text(data, size);
  std::shared_ptr<const ir::Pipeline> pipeline;
  fuzz::taken([&] { pipeline = ir::read_pipeline(text); });
  if (pipeline) fuzz::taken([&] { play(pipeline); });
  // As uploads and runs come in: text that is stored, and read again later.
  fuzz::taken([&] {
    pipelines::SpecCache cache(pipelines::ir_spec_reader());
    const std::string stored = to_text(pipelines::SpecCache::normalise(parse_yaml(text)));
    cache.parse(stored);
    CHECK_INVARIANT(cache.parse(stored)->text == stored);
  });
  return 0;
}
