#include "node/capacity.h"

#include "node/testing_agent.h"

using namespace penstock::node;

TEST_CASE("capacity: this machine has some") {
  const auto capacity = machine_capacity();
  CHECK(capacity.cpu_milli >= 1000);
  CHECK(capacity.memory > (64 << 20));
}

TEST_CASE("capacity: GPUs are the numbered device files") {
  TemporaryFolder dev;
  for (const char* name : {"nvidia10", "nvidia2", "nvidia0", "nvidiactl", "nvidia-uvm", "nvidia", "nvidia1x", "null"}) {
    std::ofstream(dev.path() / name) << "";
  }
  CHECK(gpu_ids(dev.path()) == std::vector<int>{0, 2, 10});
  CHECK(gpu_ids(dev.path() / "none").empty());
  const auto path = [&](const char* name) { return (dev.path() / name).string(); };
  CHECK(gpu_devices({2}, dev.path()) ==
        std::vector<std::string>{path("nvidia2"), path("nvidiactl"), path("nvidia-uvm")});
  CHECK(gpu_devices({}, dev.path()).empty());
}
