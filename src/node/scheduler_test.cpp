#include "node/scheduler.h"

#include <doctest/doctest.h>

#include <random>

#include "base/error.h"

using namespace penstock;
using namespace penstock::node;

namespace {

constexpr int64_t kGi = 1LL << 30;

QueuedPod pod(std::string key, Resources request, int64_t created = 0) {
  static uint64_t version = 0;
  request.pods = 1;
  return {.key = std::move(key), .request = request, .created = created, .version = ++version};
}

QueuedPod member(std::string key, std::string group, int64_t size, Resources request) {
  auto result = pod(std::move(key), request);
  result.group = std::move(group);
  result.group_size = size;
  return result;
}

std::string keys(const Scheduler::Decision& decision) {
  std::string text;
  for (const auto& placement : decision.placed) text += placement.key + " ";
  return text;
}

json::object parse_pod(std::string_view text) { return parse_json(text).get_object(); }

}  // namespace

TEST_CASE("scheduler: in order of arrival, as far as they fit") {
  Scheduler scheduler({.cpu_milli = 2000, .memory = 4 * kGi, .pods = 110});
  for (int i = 0; i < 30; ++i) scheduler.add(pod(fmt::format("p{:02}", i), {.cpu_milli = 100}));
  CHECK(scheduler.decide().placed.size() == 20);
  CHECK(scheduler.waiting_count() == 10);
  CHECK(scheduler.why_waiting("p20") == "0/1 nodes are available: insufficient cpu: asked 100m, free 0");
  scheduler.remove("p03");
  scheduler.remove("p07");
  CHECK(keys(scheduler.decide()) == "p20 p21 ");
  CHECK(scheduler.used() == Resources{.cpu_milli = 2000, .pods = 20});
}

TEST_CASE("scheduler: a blocked pod keeps what it waits for, and only that") {
  Scheduler scheduler({.cpu_milli = 4000, .memory = 8 * kGi, .gpus = 1, .pods = 10});
  scheduler.add(pod("gpu1", {.cpu_milli = 100, .gpus = 1}));
  scheduler.add(pod("gpu2", {.cpu_milli = 100, .gpus = 1}));
  scheduler.add(pod("small", {.cpu_milli = 100}));
  CHECK(keys(scheduler.decide()) == "gpu1 small ");  // passes: needs no GPU
  scheduler.add(pod("big", {.cpu_milli = 4000}));
  scheduler.add(pod("late", {.cpu_milli = 100}));
  CHECK(keys(scheduler.decide()) == "");  // late would starve big
  CHECK(scheduler.why_waiting("big") == "0/1 nodes are available: insufficient cpu: asked 4, free 3.8");
  CHECK(scheduler.why_waiting("late") == "0/1 nodes are available: earlier pods wait for the same resources");
  scheduler.remove("gpu1");
  CHECK(keys(scheduler.decide()) == "gpu2 ");
  scheduler.remove("gpu2");
  scheduler.remove("small");
  CHECK(keys(scheduler.decide()) == "big ");
  scheduler.remove("big");
  CHECK(keys(scheduler.decide()) == "late ");
}

TEST_CASE("scheduler: what can never fit is refused with both amounts") {
  Scheduler scheduler({.cpu_milli = 2000, .memory = 8 * kGi, .gpus = 0, .pods = 10});
  scheduler.add(pod("cpu", {.cpu_milli = 8000}));
  scheduler.add(pod("memory", {.cpu_milli = 100, .memory = 16 * kGi}));
  scheduler.add(pod("gpu", {.cpu_milli = 100, .gpus = 1}));
  scheduler.add(pod("fine", {.cpu_milli = 100}));
  const auto decision = scheduler.decide();
  CHECK(keys(decision) == "fine ");
  REQUIRE(decision.refused.size() == 3);
  CHECK(decision.refused[0].reason == "OutOfcpu");
  CHECK(decision.refused[0].message == "the pod can never run on this machine: insufficient cpu: asked 8, present 2");
  CHECK(decision.refused[1].reason == "OutOfmemory");
  CHECK(decision.refused[1].message.find("asked 16Gi, present 8Gi") != std::string::npos);
  CHECK(decision.refused[2].reason == "OutOfnvidia.com/gpu");
  CHECK(scheduler.waiting_count() == 0);
}

TEST_CASE("scheduler: GPUs are given by id and never twice") {
  Scheduler scheduler({.cpu_milli = 8000, .pods = 10}, {0, 2, 5});
  scheduler.add(pod("a", {.cpu_milli = 100, .gpus = 2}));
  scheduler.add(pod("b", {.cpu_milli = 100, .gpus = 1}));
  const auto decision = scheduler.decide();
  REQUIRE(decision.placed.size() == 2);
  CHECK(decision.placed[0].gpus == std::vector<int>{0, 2});
  CHECK(decision.placed[1].gpus == std::vector<int>{5});
  scheduler.remove("a");
  scheduler.add(pod("c", {.cpu_milli = 100, .gpus = 1}));
  CHECK(scheduler.decide().placed[0].gpus == std::vector<int>{0});
}

TEST_CASE("scheduler: adopted pods hold their resources even beyond the capacity") {
  Scheduler scheduler({.cpu_milli = 1000, .pods = 10}, {0, 1});
  scheduler.adopt("old", {.cpu_milli = 3000, .gpus = 1, .pods = 1}, {1});
  scheduler.add(pod("new", {.cpu_milli = 100, .gpus = 1}));
  CHECK(scheduler.decide().placed.empty());
  CHECK(scheduler.why_waiting("new") == "0/1 nodes are available: insufficient cpu: asked 100m, free 0");
  scheduler.remove("old");
  CHECK(scheduler.decide().placed[0].gpus == std::vector<int>{0});
}

TEST_CASE("scheduler: groups start whole or not at all") {
  Scheduler scheduler({.cpu_milli = 2000, .pods = 10});
  scheduler.add(member("a0", "a", 2, {.cpu_milli = 800}));
  CHECK(scheduler.decide().placed.empty());
  CHECK(scheduler.why_waiting("a0") == "0/1 nodes are available: pod group \"a\" has 1 of 2 pods");
  scheduler.add(pod("other", {.cpu_milli = 800}));
  CHECK(keys(scheduler.decide()) == "other ");  // an incomplete group holds up nobody
  scheduler.add(member("a1", "a", 2, {.cpu_milli = 800}));
  CHECK(scheduler.decide().placed.empty());
  CHECK(scheduler.why_waiting("a0") == "0/1 nodes are available: insufficient cpu: asked 1.6, free 1.2");
  scheduler.remove("other");
  CHECK(keys(scheduler.decide()) == "a0 a1 ");
  scheduler.add(member("a2", "a", 2, {.cpu_milli = 100}));
  CHECK(keys(scheduler.decide()) == "a2 ");  // more than the minimum: by itself
  for (const char* key : {"a0", "a1", "a2"}) scheduler.remove(key);
  // The group is gone with its last member; one of that name gathers anew.
  scheduler.add(member("b0", "a", 2, {.cpu_milli = 100}));
  CHECK(scheduler.decide().placed.empty());
}

TEST_CASE("scheduler: a group that loses a waiting member gathers again; one too large is refused") {
  Scheduler scheduler({.cpu_milli = 1000, .pods = 10});
  scheduler.add(pod("busy", {.cpu_milli = 600}));
  CHECK(keys(scheduler.decide()) == "busy ");
  scheduler.add(member("a0", "a", 2, {.cpu_milli = 400}));
  scheduler.add(member("a1", "a", 2, {.cpu_milli = 400}));
  CHECK(scheduler.decide().placed.empty());
  scheduler.remove("a0");
  scheduler.remove("busy");
  CHECK(scheduler.decide().placed.empty());
  scheduler.add(member("a2", "a", 2, {.cpu_milli = 400}));
  CHECK(keys(scheduler.decide()) == "a1 a2 ");
  scheduler.add(member("b0", "b", 2, {.cpu_milli = 600}));
  scheduler.add(member("b1", "b", 2, {.cpu_milli = 600}));
  const auto decision = scheduler.decide();
  REQUIRE(decision.refused.size() == 2);
  CHECK(decision.refused[0].message ==
        "the pod group can never run on this machine: insufficient cpu: asked 1.2, present 1");
}

TEST_CASE("scheduler: random arrivals and ends never overcommit, and everything runs in the end") {
  std::mt19937 random(7);
  const auto up_to = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n + 1)); };
  for (int round = 0; round < 50; ++round) {
    Scheduler scheduler({.cpu_milli = 2000, .memory = 4 * kGi, .gpus = 2, .pods = 8});
    std::vector<std::string> running;
    std::set<std::string> placed;
    const int total = 200;
    int added = 0;
    while (placed.size() < total) {
      if (added < total && random() % 2) {
        const auto key = fmt::format("p{}", added++);
        scheduler.add(pod(key, {.cpu_milli = up_to(20) * 100, .memory = up_to(4) * kGi, .gpus = up_to(2)}));
      } else if (!running.empty() && (added == total || random() % 2)) {
        const auto at = random() % running.size();
        scheduler.remove(running[at]);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
      }
      for (const auto& placement : scheduler.decide().placed) {
        CHECK(placed.insert(placement.key).second);
        running.push_back(placement.key);
      }
      CHECK(scheduler.used().cpu_milli <= 2000);
      CHECK(scheduler.used().memory <= 4 * kGi);
      CHECK(scheduler.used().gpus <= 2);
      CHECK(scheduler.used().pods <= 8);
    }
    CHECK(scheduler.waiting_count() == 0);
  }
}

TEST_CASE("scheduler: what a pod asks for") {
  CHECK(pod_request(parse_pod(R"({"spec":{"containers":[{"name":"a"}]}})")) == Resources{.cpu_milli = 100, .pods = 1});
  CHECK(pod_request(parse_pod(R"({"spec":{"containers":[{"resources":{"requests":{"cpu":"0"}}}]}})")).cpu_milli == 0);
  const auto request = pod_request(parse_pod(R"({"spec":{
      "initContainers":[{"resources":{"requests":{"cpu":"3","memory":"1Gi"}}}],
      "containers":[{"resources":{"requests":{"cpu":"500m"},"limits":{"cpu":"2","memory":"2Gi"}}},
                    {"resources":{"limits":{"cpu":1,"nvidia.com/gpu":1}}}]}})"));
  CHECK(request == Resources{.cpu_milli = 3000, .memory = 2 * kGi, .gpus = 1, .pods = 1});
  CHECK_THROWS_AS(pod_request(parse_pod(R"({"spec":{"containers":[{"resources":{"requests":{"cpu":"x"}}}]}})")), Error);
  CHECK_THROWS_AS(pod_request(parse_pod(R"({"spec":{"containers":[{"resources":{"requests":{"cpu":"-1"}}}]}})")),
                  Error);
}
