// What a step leaves behind: its executor output, and the files of its output parameters.
#include "base/fuzz.h"
#include "pipelines/engine/launch.h"

using namespace penstock;
using namespace penstock::engine;

namespace {

LaunchSpec launch_spec(const ir::Component& component) {
  LaunchSpec spec;
  spec.component = &component;
  spec.executor_input = parse_json(R"({"inputs": {}, "outputs": {"artifacts": {
      "model": {"artifacts": [{"name": "m", "uri": "s3://b/m", "type": {"schemaTitle": "system.Model"}}]},
      "many": {"artifacts": [{"name": "n", "uri": "s3://b/n"}]}}}})")
                            .as_object();
  return spec;
}

ir::Component make_component() {
  ir::Component component;
  using Type = ir::ParameterType;
  for (const auto& [name, type] :
       {std::pair{"b", Type::Boolean}, std::pair{"d", Type::Double}, std::pair{"i", Type::Integer},
        std::pair{"l", Type::List}, std::pair{"o", Type::Struct}, std::pair{"s", Type::String}}) {
    component.output_parameters.push_back({.name = name, .type = type});
  }
  component.output_artifacts.push_back({.name = "many", .type = {}, .list = true});
  component.output_artifacts.push_back({.name = "model"});
  return component;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ir::Component component = make_component();
  static const LaunchSpec spec = launch_spec(component);
  const std::string_view text = fuzz::text(data, size);
  for (const auto& def : component.output_parameters) {
    fuzz::taken([&] { read_output_parameter(def.type, text); });
    fuzz::taken([&] { merge_executor_output(spec, nullptr, {{def.name, std::string(text)}}); });
  }
  fuzz::taken([&] {
    const Outputs outputs = merge_executor_output(spec, parse_json(text), {});
    for (const auto& [name, value] : outputs.parameters) CHECK_INVARIANT(component.output_parameter(name) >= 0);
    for (const auto& [name, list] : outputs.artifacts) CHECK_INVARIANT(list.is_array());
  });
  return 0;
}
