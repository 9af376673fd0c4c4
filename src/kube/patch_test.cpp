#include "kube/patch.h"

#include <doctest/doctest.h>

#include "kube/status.h"

using namespace penstock;
using namespace penstock::kube;

namespace {

std::string json_patched(std::string_view target, std::string_view patch) {
  json::value value = parse_json(target);
  try {
    apply_json_patch(value, parse_json(patch));
  } catch (const StatusError& error) {
    return error.reason();
  }
  return to_text(value);
}

std::string merged(std::string_view target, std::string_view patch) {
  json::value value = parse_json(target);
  apply_merge_patch(value, parse_json(patch));
  return to_text(value);
}

std::string strategic(std::string_view target, std::string_view patch) {
  json::value value = parse_json(target);
  try {
    apply_strategic_patch(value, parse_json(patch));
  } catch (const StatusError& error) {
    return error.reason();
  }
  return to_text(value);
}

}  // namespace

TEST_CASE("JSON patch: every operation") {
  CHECK(json_patched(R"({"a":1})", R"([{"op":"add","path":"/b","value":[1]}])") == R"({"a":1,"b":[1]})");
  CHECK(json_patched(R"({"b":[1,3]})",
                     R"([{"op":"add","path":"/b/1","value":2},{"op":"add","path":"/b/-","value":4}])") ==
        R"({"b":[1,2,3,4]})");
  CHECK(json_patched(R"({"a":1,"b":2,"c":3})", R"([{"op":"remove","path":"/a"}])") == R"({"b":2,"c":3})");
  CHECK(json_patched(R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/0"}])") == R"({"a":[2]})");
  CHECK(json_patched(R"({"a":{"x/y":1,"m~n":2}})",
                     R"([{"op":"replace","path":"/a/x~1y","value":5},{"op":"remove","path":"/a/m~0n"}])") ==
        R"({"a":{"x/y":5}})");
  CHECK(json_patched(R"({"a":{"b":1},"c":{}})", R"([{"op":"move","from":"/a/b","path":"/c/d"}])") ==
        R"({"a":{},"c":{"d":1}})");
  CHECK(json_patched(R"({"a":{"b":1}})",
                     R"([{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}])") ==
        R"({"a":{"b":1},"c":{"b":2}})");
  CHECK(json_patched(R"({"a":1})", R"([{"op":"test","path":"/a","value":1},{"op":"replace","path":"","value":7}])") ==
        "7");
}

TEST_CASE("JSON patch: what cannot be applied, and what is no patch") {
  for (const auto* patch :
       {R"([{"op":"remove","path":"/x"}])", R"([{"op":"replace","path":"/x","value":1}])",
        R"([{"op":"add","path":"/x/y","value":1}])", R"([{"op":"add","path":"/l/3","value":1}])",
        R"([{"op":"add","path":"/l/01","value":1}])", R"([{"op":"test","path":"/a","value":2}])",
        R"([{"op":"move","from":"/o","path":"/o/p"}])", R"([{"op":"copy","from":"/x","path":"/y"}])",
        R"([{"op":"remove","path":""}])", R"([{"op":"add","path":"/a/b","value":1}])"}) {
    CAPTURE(patch);
    CHECK(json_patched(R"({"a":1,"l":[1,2],"o":{}})", patch) == "Invalid");
  }
  for (const auto* patch : {R"({"op":"remove"})", R"([1])", R"([{"op":"jump","path":"/a"}])", R"([{"path":"/a"}])",
                            R"([{"op":"add","path":"a","value":1}])", R"([{"op":"add","path":"/a"}])",
                            R"([{"op":"add","path":"/~2","value":1}])", R"([{"op":"move","path":"/a"}])"}) {
    CAPTURE(patch);
    CHECK(json_patched(R"({"a":1})", patch) == "BadRequest");
  }
}

TEST_CASE("merge patch: the examples of RFC 7386") {
  CHECK(merged(R"({"a":"b"})", R"({"a":"c"})") == R"({"a":"c"})");
  CHECK(merged(R"({"a":"b"})", R"({"b":"c"})") == R"({"a":"b","b":"c"})");
  CHECK(merged(R"({"a":"b","b":"c"})", R"({"a":null})") == R"({"b":"c"})");
  CHECK(merged(R"({"a":["b"]})", R"({"a":"c"})") == R"({"a":"c"})");
  CHECK(merged(R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})") == R"({"a":{"b":"d"}})");
  CHECK(merged(R"({"a":[{"b":"c"}]})", R"({"a":[1]})") == R"({"a":[1]})");
  CHECK(merged(R"(["a","b"])", R"(["c","d"])") == R"(["c","d"])");
  CHECK(merged(R"({"e":null})", R"({"a":1})") == R"({"e":null,"a":1})");
  CHECK(merged(R"([1,2])", R"({"a":"b","c":null})") == R"({"a":"b"})");
  CHECK(merged(R"({})", R"({"a":{"bb":{"ccc":null}}})") == R"({"a":{"bb":{}}})");
}

TEST_CASE("strategic merge: lists are merged by their key") {
  const char* target = R"({"spec":{"containers":[{"name":"a","image":"x","args":["1"]},{"name":"b","image":"y"}]}})";
  CHECK(
      strategic(target,
                R"({"spec":{"containers":[{"name":"a","image":"z","args":["2"]},{"name":"c","image":"w"}]}})") ==
      R"({"spec":{"containers":[{"name":"a","image":"z","args":["2"]},{"name":"b","image":"y"},{"name":"c","image":"w"}]}})");
  CHECK(strategic(target, R"({"spec":{"containers":[{"name":"a","$patch":"delete"}]}})") ==
        R"({"spec":{"containers":[{"name":"b","image":"y"}]}})");
  CHECK(strategic(target, R"({"spec":{"containers":[{"$patch":"replace"},{"name":"q","image":"q"}]}})") ==
        R"({"spec":{"containers":[{"name":"q","image":"q"}]}})");
  CHECK(strategic(target, R"({"spec":{"containers":[{"image":"q"}]}})") == "BadRequest");
  CHECK(strategic(R"({"ports":[{"containerPort":80,"name":"a"}]})", R"({"ports":[{"containerPort":80,"name":"b"}]})") ==
        R"({"ports":[{"containerPort":80,"name":"b"}]})");
  CHECK(strategic(R"({"tolerations":[{"key":"a"}]})", R"({"tolerations":[{"key":"b"}]})") ==
        R"({"tolerations":[{"key":"b"}]})");
}

TEST_CASE("strategic merge: directives") {
  CHECK(strategic(R"({"finalizers":["a","b"]})", R"({"finalizers":["b","c"]})") == R"({"finalizers":["a","b","c"]})");
  CHECK(strategic(R"({"finalizers":["a","b"]})", R"({"$deleteFromPrimitiveList/finalizers":["a"]})") ==
        R"({"finalizers":["b"]})");
  CHECK(strategic(R"({"data":{"a":"1","b":"2"}})", R"({"data":{"$patch":"replace","c":"3"}})") ==
        R"({"data":{"c":"3"}})");
  CHECK(strategic(R"({"v":{"a":1,"b":2}})", R"({"v":{"$retainKeys":["b","c"],"c":3}})") == R"({"v":{"b":2,"c":3}})");
  CHECK(strategic(R"({"env":[{"name":"a"},{"name":"b"}]})",
                  R"({"$setElementOrder/env":[{"name":"c"},{"name":"b"},{"name":"a"}],"env":[{"name":"c"}]})") ==
        R"({"env":[{"name":"c"},{"name":"b"},{"name":"a"}]})");
  CHECK(strategic(R"({"a":1})", R"({"a":null,"b":{"c":null,"d":[{"$patch":"delete","name":"x"}]}})") ==
        R"({"b":{"d":[{"$patch":"delete","name":"x"}]}})");
}
