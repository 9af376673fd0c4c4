// What the node needs of a container engine: the Docker Engine API on a UNIX socket, as Docker and Podman serve it.
//
// Every function throws Unavailable when the engine does not answer, NotFound, AlreadyExists, InvalidArgument or
// Internal with the engine's own words when it refuses.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/async.h"
#include "base/json.h"

namespace penstock::node {

// The socket of the engine in use: DOCKER_HOST's when that is a unix:// URL, else the first that is there of Docker's,
// Podman's, and the user's own Podman's. Empty: none.
std::filesystem::path find_engine_socket();

class ContainerEngine {
 public:
  explicit ContainerEngine(std::filesystem::path socket) : socket_(std::move(socket)) {}

  Async<json::object> info() const;
  Async<bool> has_image(std::string image) const;
  Async<json::object> inspect_image(std::string image) const;
  // `registry_auth`: the value of X-Registry-Auth; empty: none is needed.
  Async<> pull(std::string image, std::string registry_auth) const;

  Async<std::string> create(std::string name, json::object config) const;  // gives its id
  Async<> start(std::string id) const;
  Async<> kill(std::string id, int signal) const;  // one that is over, or gone, is left alone
  Async<> remove(std::string id) const;            // with its anonymous volumes; one that is gone is left alone
  Async<json::object> inspect(std::string id) const;
  Async<> wait(std::string id) const;  // for its end
  // All of stdout and stderr from the beginning, and with it until the container's end.
  Async<> follow_logs(std::string id, std::function<void(std::string_view)> on_output) const;
  // Those with the label "name=value", also ended ones.
  Async<json::array> list(std::string label) const;
  // Writes a tar of the container's whole file system. The container need not run.
  Async<> export_files(std::string id, std::function<void(std::string_view)> on_data) const;

 private:
  Async<std::string> call(std::string method, std::string target, json::value body = nullptr,
                          std::string registry_auth = {}) const;
  std::filesystem::path socket_;
};

// Takes stdout and stderr apart from the frames in which an engine sends them together, and hands over their bytes in
// the order in which they came.
class LogFrames {
 public:
  explicit LogFrames(std::function<void(std::string_view)> on_output) : on_output_(std::move(on_output)) {}
  void take(std::string_view bytes);

 private:
  std::function<void(std::string_view)> on_output_;
  std::string header_;
  uint64_t left_ = 0;  // of the frame
};

}  // namespace penstock::node
