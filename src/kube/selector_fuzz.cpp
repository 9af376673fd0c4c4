// Label and field selectors as text, and label selectors as objects.
#include "base/fuzz.h"
#include "kube/selector.h"

using namespace penstock;
using namespace penstock::kube;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Kinds kinds = core_kinds();
  static const Kind& pods = *kinds.find("", "v1", "pods");
  static const json::object object = parse_json(R"({"metadata": {"name": "web-1", "namespace": "default", "labels":
      {"app": "web", "tier": "a", "x.io/n": "1"}}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}})")
                                         .as_object();
  const std::string_view text = fuzz::text(data, size);
  fuzz::taken([&] { LabelSelector(text).matches(object); });
  fuzz::taken([&] { FieldSelector(text, pods).matches(object); });
  fuzz::taken([&] {
    const json::value selector = parse_json(text);
    if (selector.is_object()) LabelSelector(selector.get_object()).matches(object);
  });
  return 0;
}
