// The node agent: runs this machine's share of pods, which is all of them.
//
// It watches pods, binds pending ones when their requests fit (scheduler.h), starts their containers through the
// Spawner, and writes what becomes of them into their status (pod_lifecycle.h). It adds to pods only the annotations
// named in volumes.h.
//
// Few writes a pod: the binding and "Running" are one write, which is made a moment late so that a pod which ends
// within that moment needs none but its last. Nothing is lost by that: process ids follow from the pod's uid, so that
// after a crash a process whose pod is not bound yet is found again by its id. A process's result is forgotten by the
// spawner only when the status that holds it is with the operating system (AgentOptions::written).
//
// Lives on the control loop: every member function is called there, but for read().
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/async.h"
#include "base/clock.h"
#include "kube/api.h"
#include "kube/pod_logs.h"
#include "node/host/spawner.h"
#include "node/python_env.h"
#include "node/scheduler.h"

namespace penstock::node {

struct AgentOptions {
  std::filesystem::path data;
  std::string node_name;  // empty: the host's name
  std::string host_ip = "127.0.0.1";
  // Instead of what the machine has:
  std::optional<double> cpus;
  std::optional<int64_t> memory;  // bytes
  std::optional<int> gpus;
  int max_pods = 110;
  std::filesystem::path python;    // for Python steps; empty: the first python3 in PATH
  std::filesystem::path kfp_path;  // the folder that holds kfp/; empty: the bundled one
  bool python_steps = true;        // false: commands run as they are written
  // The spawner runs containers of the pods' images (oci/), with the images' programs and Python.
  bool images = false;
  std::filesystem::path container_engine;  // its socket
  bool sandbox = true;
  bool allow_host_path = false;                         // see volumes.h
  std::vector<std::filesystem::path> host_folders;      // likewise
  uint64_t log_limit = 256ull << 20;                    // bytes of each container's log
  const Clock* clock = nullptr;                         // null: the system's
  std::chrono::milliseconds running_delay{10};          // how late "Running" may be told
  std::chrono::milliseconds unschedulable_delay{2000};  // a pod that waits longer is told why
  // Resumes when every write made so far survives the death of this process; empty: they do at once.
  std::function<Async<>()> written;
};

// A pod that waits for room on this node.
struct WaitingPod {
  kube::Object object;
  Resources request;
  std::string reason;  // "0/1 nodes are available: insufficient cpu: asked 4, free 1.5"
};

class Agent : public kube::PodLogs {
 public:
  Agent(kube::Api& api, Loop& control, Spawner& spawner, AgentOptions options);
  ~Agent() override;  // after stop()

  // Finds the processes of a former server again, then begins to bind pods. Throws when the data folder cannot be used.
  Async<> start();
  // Processes run on; the next server finds them.
  Async<> stop();

  // May be called from any loop. `pod` may be gone already: its name, namespace and uid, and the container named by
  // the options, are enough.
  Async<> check(const json::object& pod, kube::LogOptions options) override;
  Async<> read(const json::object& pod, kube::LogOptions options, http::BodyWriter& out) override;
  Async<> erase(std::string ns, std::set<std::string> uids) override;
  Async<int64_t> size(std::string ns, std::set<std::string> uids) override;

  // Does what the clock says is due. The agent calls it itself; tests that move a FakeClock do too.
  void tick();

  Resources capacity() const;
  Resources used() const;
  size_t waiting_pods() const;
  std::vector<WaitingPod> waiting(size_t most) const;  // the oldest first
  uint64_t warm_starts() const;                        // of containers, since this agent began

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with work that is posted, which may come after the agent's end
};

}  // namespace penstock::node
