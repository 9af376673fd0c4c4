// Runs the processes of pods as containers of their images, by a container engine.
//
// Each process is one container, labelled with the data folder and the process's id, so that the next server finds it
// again: the engine keeps it running while no server is there. What the specs say of mounts, /tmp, environment, limits
// and devices holds as on the host; the network is the host's, so that steps reach the server on loopback. A container
// is removed when its result has been forgotten.
#pragma once

#include <filesystem>
#include <memory>

#include "node/host/spawner.h"

namespace penstock::node {

struct OciOptions {
  std::filesystem::path data;    // canonical; part of each container's label
  std::filesystem::path socket;  // of the engine
};

// on_change is called on `control`. Throws Unavailable when no engine answers at the socket.
std::unique_ptr<Spawner> connect_oci_spawner(Loop& control, OciOptions options);

}  // namespace penstock::node
