// Objects that clients create and patches that they send, by the rules of the embedded store. The input's first line
// says what is done: a kind's plural creates, "json", "merge" or "strategic" patch a pod; the rest is the body.
#include "base/clock.h"
#include "base/fuzz.h"
#include "kube/resources.h"

using namespace penstock;
using namespace penstock::kube;

namespace {

struct Rig {
  FakeClock clock{Time(std::chrono::seconds(1'700'000'000))};
  Kinds kinds = core_kinds();
  Resources resources{kinds, clock, Store::Limits{}};

  Rig() {
    resources.begin();
    json::value pod = parse_json(R"({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}, "finalizers": ["a.io/b"]},
        "spec": {"containers": [{"name": "main", "image": "busybox", "env": [{"name": "A", "value": "1"}],
                                 "ports": [{"containerPort": 80}]}, {"name": "side", "image": "x"}],
                 "volumes": [{"name": "v", "emptyDir": {}}], "tolerations": [{"key": "k"}]}})");
    resources.create(resources.store().table(kPods), std::move(pod.as_object()), {});
  }

  void act(std::string_view what, json::value body) {
    WriteOptions options;
    options.dry_run = true;
    for (const auto& [word, type] : {std::pair<std::string_view, PatchType>{"json", PatchType::Json},
                                     {"merge", PatchType::Merge},
                                     {"strategic", PatchType::Strategic}}) {
      if (what != word) continue;
      resources.patch(resources.store().table(kPods), "default", "web", type, body, options);
      options.subresource = "status";
      resources.patch(resources.store().table(kPods), "default", "web", type, body, options);
      return;
    }
    const Kind* kind = kinds.find("", "v1", what);
    if (kind == nullptr || !body.is_object()) return;
    resources.create(resources.store().table(kind->resource), body.get_object(), options);
    if (kind->resource == kPods) {
      body.get_object()["metadata"] = json::object{{"name", "web"}, {"namespace", "default"}};
      resources.update(resources.store().table(kPods), std::move(body.get_object()), options);
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Rig rig;
  const auto parts = fuzz::split(fuzz::text(data, size), '\n', 2);
  fuzz::taken([&] { rig.act(parts[0], parse_json(parts.back())); });
  return 0;
}
