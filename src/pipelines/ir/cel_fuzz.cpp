// Conditions: parsed, and evaluated over a few values.
#include "base/fuzz.h"
#include "pipelines/ir/cel.h"

using namespace penstock;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const json::value values = parse_json(R"({"a": 1, "b": "text", "c": [1, "x", {"k": null}], "d": {"k": 2.5},
      "e": true, "f": "{\"k\": [1]}", "g": -9223372036854775808, "h": 1e300, "i": ""})");
  const auto look = [](std::string_view name) { return find(values, name); };
  fuzz::taken([&] {
    const auto expression = cel::Expression::parse(fuzz::text(data, size));
    fuzz::taken([&] { expression.evaluate({look, look}); });
    fuzz::taken([&] { expression.holds({look, look}); });
  });
  return 0;
}
