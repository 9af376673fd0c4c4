// Starts and ends the processes of pods on this machine.
//
// In a sandbox the process sees the host's top-level folders read-only, an empty /run, and /tmp, /proc, /dev, /sys and
// process ids of its own; the network is the host's. The server's data folder is hidden; sources of mounts below it may
// not lead through symbolic links. Without the sandbox there are no mounts, TMPDIR names `tmp`, and memory limits hold
// all the same. When a process ends, all that it started and left behind is killed.
//
// The server never forks: a small helper process that holds nothing (`penstock node-helper`) does, with clone3 into new
// namespaces. The helper outlives the server: processes run on while the server is down, and the next server finds them
// and the results of those that ended meanwhile. When the helper dies, so do its processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/clock.h"

namespace penstock::node {

struct Mount {
  std::filesystem::path source;  // on the host: a file or a folder; created by the caller
  std::string target;            // absolute, inside the sandbox; made there if missing
  bool read_only = false;
  bool operator==(const Mount&) const = default;
};

// A Python program that may be started by forking a process which has its imports already (warm_pool.h). The program is
// then as its command would have made it: what cannot be alike is started by its command.
struct WarmStart {
  std::filesystem::path program;     // executor_warm.py; empty: the command is run as any other
  std::vector<std::string> imports;  // statements of one line that it will run, such as "import numpy"
  std::vector<std::string> own;      // names of variables whose values are this process's alone
};

struct ProcessSpec {
  std::string id;  // unique among those not yet forgotten; [A-Za-z0-9._/-]
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value"; nothing else is inherited
  std::string cwd = "/";         // inside the sandbox
  std::filesystem::path log;     // stdout and stderr, appended; made by the first output
  // The folder on the host that the process sees as /tmp (also /var/tmp); empty: a tmpfs of its own.
  std::filesystem::path tmp;
  std::vector<Mount> mounts;
  bool sandbox = true;
  uint64_t memory_limit = 0;  // bytes of the whole process tree; 0: none
  double cpu_limit = 0;       // cores; 0: none
  int pids_limit = 0;         // processes and threads; 0: none
  // Bytes on disk that the log may hold (about: to a MiB); 0: any. Past it the file keeps its first
  // quarter, a note and its last half; the middle becomes a hole that reads as zero bytes, so that offsets stay true.
  uint64_t log_limit = 0;
  std::vector<std::string> devices;  // extra device files ("/dev/nvidia0")
  WarmStart warm;

  // Of containers only (see oci/).
  std::string image;
  bool image_entrypoint = false;  // argv holds arguments for the image's own entrypoint
  std::string pull_policy;        // Always, Never, IfNotPresent; empty: IfNotPresent
  std::string registry_auth;      // what the engine's pull is given; empty: nothing
  std::string user;               // "uid:gid"; empty: the image's
};

struct ProcessStatus {
  std::string id;
  bool running = false;
  int pid = 0;         // on the host, while running
  int exit_code = -1;  // 128 + signal when a signal ended it
  int signal = 0;
  bool oom_killed = false;
  bool sandboxed = false;
  bool warm = false;    // forked from a process that had its imports
  std::string message;  // why it could not be started, or what was not applied ("sandbox: user namespaces are off")
  Time started_at{};
  Time finished_at{};
};

class Spawner {
 public:
  using OnChange = std::function<void(const ProcessStatus&)>;

  virtual ~Spawner() = default;
  // `on_change` is called on the spawner's executor once for each process that started and once when it ended,
  // also for those found again at start-up and those whose start failed (exit code 127 or 126 with a message).
  virtual void set_on_change(OnChange on_change) = 0;
  // Never throws: what is wrong with the spec comes as an ended process with a message.
  virtual void start(ProcessSpec spec) = 0;
  // To every process of the tree. Unknown ids and ended processes are ignored.
  virtual void signal(const std::string& id, int signal) = 0;
  // Drops an ended process's result, once it is recorded. Until then it is reported to every new server. The result of
  // a process that still runs is dropped when it ends.
  virtual void forget(const std::string& id) = 0;
  // What is known: running, and ended but not forgotten.
  virtual Async<std::vector<ProcessStatus>> list() = 0;
  // Whether processes are sandboxed here, and if not, why.
  virtual std::string sandbox_problem() const = 0;
};

struct HelperOptions {
  std::filesystem::path data;        // the server's data folder, hidden from sandboxes
  std::vector<Mount> shared_mounts;  // seen by every sandbox (environments, read-only)
  bool sandbox = true;
  int warm = 4;                                      // processes kept for WarmStart at a time; 0: none
  std::filesystem::path program = "/proc/self/exe";  // run as `program node-helper …`; calls helper_main
};

// Connects to the data folder's helper, or starts one with posix_spawn of this same program. Blocks for the few
// milliseconds that this takes. Lives on `loop`, which must outlive it; its functions may be called from any thread,
// and after its destruction on_change is not called any more. When the helper dies, its processes are reported as ended
// and another is started. Throws Unavailable when no helper can be started, FailedPrecondition when one of another
// version still runs.
std::unique_ptr<Spawner> connect_spawner(Loop& loop, HelperOptions options);

// The helper's own main (`penstock node-helper --data DIR …`); returns the exit status. Single-threaded, uses no Asio.
int helper_main(int argc, char** argv);

}  // namespace penstock::node
