// YAML: what is read is written such that it is read again as the same.
#include "base/fuzz.h"
#include "base/json.h"

using namespace penstock;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::taken([&] {
    for (const json::value& document : parse_yaml(fuzz::text(data, size))) {
      const std::vector<json::value> again = parse_yaml(to_yaml(document));
      CHECK_INVARIANT(again.size() == 1 && again[0] == document);
    }
  });
  return 0;
}
