#include "pipelines/run/resource_path.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace penstock::pipelines {

namespace {

const json::object kClaim = parse_json(R"({"metadata": {"name": "data", "labels": {"a.b": "c"}},
  "spec": {"accessModes": ["ReadWriteOnce"], "n": 3}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}})")
                                .as_object();

}  // namespace

TEST_CASE("paths lead to members of a resource") {
  CHECK(json_path(kClaim, "{.metadata.name}") == "data");
  CHECK(json_path(kClaim, "{.status.capacity.storage}") == "1Gi");
  CHECK(json_path(kClaim, "{.spec.accessModes[0]}") == "ReadWriteOnce");
  CHECK(json_path(kClaim, "{.metadata.labels['a.b']}") == "c");
  CHECK(json_path(kClaim, "{.metadata.labels.a\\.b}") == "c");
  CHECK(json_path(kClaim, "{.spec.n}") == "3");
  CHECK(json_path(kClaim, "n={.metadata.name}, {$.spec.n}") == "n=data, 3");
  CHECK(json_path(kClaim, "{.spec.accessModes}") == R"(["ReadWriteOnce"])");
  CHECK(parse_json(*json_path(kClaim, "{}")) == json::value(kClaim));
  CHECK_FALSE(json_path(kClaim, "{.status.missing}"));
  CHECK_FALSE(json_path(kClaim, "{.spec.accessModes[7]}"));
  for (const auto path : {"{.a", "{..name}", "{.items[*]}", "{.items[?(@.a)]}", "{.a['b}"}) {
    CAPTURE(path);
    CHECK_THROWS_AS(json_path(kClaim, path), Error);
  }
}

TEST_CASE("conditions are of members") {
  for (const auto condition :
       {"status.phase == Bound", "status.phase=Bound, spec.n > 2", "spec.n < 4", "metadata.name", "!status.reason",
        "status.phase in (Lost, Bound)", "status.phase notin (Lost)", "status.phase != Lost", "status.reason != x"}) {
    CAPTURE(condition);
    CHECK(condition_holds(kClaim, condition));
  }
  for (const auto condition : {"status.phase == Lost", "status.phase == Bound, spec.n > 3", "status.missing > 0",
                               "!metadata.name", "status.phase in (Lost)", "status.reason == x"}) {
    CAPTURE(condition);
    CHECK_FALSE(condition_holds(kClaim, condition));
  }
  CHECK_THROWS_AS(condition_holds(kClaim, "status.phase ~ x"), Error);
  CHECK_THROWS_AS(condition_holds(kClaim, "spec.n > many"), Error);
  CHECK_THROWS_AS(condition_holds(kClaim, ""), Error);
}

}  // namespace penstock::pipelines
