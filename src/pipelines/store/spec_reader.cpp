#include "pipelines/argo/workflow.h"
#include "pipelines/engine/engine.h"
#include "pipelines/store/spec_cache.h"

namespace penstock::pipelines {

SpecReader ir_spec_reader() {
  SpecReader reader;
  reader.read = [](json::value spec, json::value platform_spec) {
    return argo::read_either(std::move(spec), std::move(platform_spec));
  };
  reader.validate_parameters = [](const ir::Pipeline& pipeline, const json::object& parameters) {
    engine::validate_parameters(pipeline, parameters);
  };
  return reader;
}

}  // namespace penstock::pipelines
