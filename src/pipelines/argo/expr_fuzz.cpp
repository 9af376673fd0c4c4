// Expressions of workflows: parsed, and evaluated over a few values.
#include "base/fuzz.h"
#include "pipelines/argo/expr.h"

using namespace penstock;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const json::object names = parse_json(R"({"inputs": {"parameters": {"a": "1", "b-c": "text",
      "list": "[1, {\"x\": 2}]"}}, "tasks": {"t": {"status": "Failed", "outputs": {"result": "7"}}},
      "workflow": {"name": "w"}, "item": {"k": "v"}, "n": 9223372036854775807, "f": 1e300,
      "l": [1, "x", null, {"k": [2]}]})")
                                        .as_object();
  fuzz::taken([&] {
    const auto expression = argo::Expression::parse(fuzz::text(data, size));
    fuzz::taken([&] { expression.evaluate(names); });
    fuzz::taken([&] { expression.holds(names); });
  });
  return 0;
}
