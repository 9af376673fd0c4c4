// From a ProcessSpec to a container, and from a container's state to a ProcessStatus. Pure.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.h"
#include "node/host/spawner.h"

namespace penstock::node {

// Labels of our containers.
inline constexpr char kDataLabel[] = "penstock.dev/data", kIdLabel[] = "penstock.dev/process",
                      kLogLabel[] = "penstock.dev/log", kLogLimitLabel[] = "penstock.dev/log-limit";

struct LogPlace {
  std::filesystem::path path;
  uint64_t limit = 0;
};
LogPlace log_of(const json::object& labels);

// The same for the same process of the same data folder.
std::string container_name(const ProcessSpec& spec, const std::filesystem::path& data);

// The body of a request that creates it.
json::object container_config(const ProcessSpec& spec, const std::filesystem::path& data);

// Takes exit code, times and whether memory ran out from what inspecting gives. True when the container is over.
// `killed`: by us. Not every engine tells of memory on every kind of control groups: a SIGKILL that we did not send, to
// a container with a limit, is taken for it.
bool read_state(const json::object& container, bool killed, ProcessStatus& status);

// The X-Registry-Auth for `image` out of a Secret's .dockerconfigjson; empty when it has nothing for its registry.
std::string registry_auth(std::string_view docker_config, std::string_view image);

// How a Python step's command runs in an image. The SDKs' bootstrap installs their kfp package by pip before each step:
// the one that comes with the server serves, mounted at kKfpTarget; what else the step asks for is left to pip.
inline constexpr char kKfpTarget[] = "/opt/penstock";
struct ImageCommand {
  std::vector<std::string> argv;
  bool needs_kfp = false;  // mount it, and let PYTHONPATH begin with kKfpTarget
};
ImageCommand command_in_image(std::vector<std::string> argv);

}  // namespace penstock::node
