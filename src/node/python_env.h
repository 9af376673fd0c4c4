// Python for steps: finds the interpreter, builds the environments that steps ask for, and rewrites the command of a
// Python step so that it starts without a shell and without pip.
//
// Files, all under <data>/envs, which every sandbox sees read-only at the same path:
//   <sha256>                   a link to the environment with exactly these requirements; there when it is complete
//   <sha256>.<random>/         the environment itself: a venv that also sees the interpreter's own packages
//   python-<12 characters>/    python, python3, pip and pip3 of the interpreter in use, first in every step's PATH
//   kfp-<12 characters>/kfp    the kfp package that comes with the server
//   pip-cache/                 what pip has downloaded
// An environment is named by the interpreter, the requirements in their order and the index options. It is never
// changed once it is complete, so whoever wants other packages gets another one; removing the folder only costs a
// rebuild.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "node/host/spawner.h"
#include "node/interpreter.h"

namespace penstock::node {

struct PythonEnvOptions {
  std::filesystem::path data;
  std::filesystem::path python;    // empty: the first python3 in PATH that works
  std::filesystem::path kfp_path;  // the folder that holds kfp/; empty: the bundled one is unpacked
  std::string path;                // where python3 is searched; empty: the server's own PATH
  // Known already, so that nothing is looked for (tests). An Interpreter without executable turns Python off.
  std::optional<Interpreter> interpreter;
};

// What a container is about to run, all names and placeholders resolved.
struct ContainerCommand {
  std::vector<std::string> command;
  std::vector<std::string> args;
  EnvList env;
  std::filesystem::path tmp_host_dir;  // the folder that the process sees as tmp_path; empty: not known
  std::string tmp_path = "/tmp";
  std::filesystem::path log;  // pip's words are appended while an environment is built
};

struct Prepared {
  std::vector<std::string> argv;
  EnvList env;          // to set in addition, each replacing a value of the same name
  WarmStart warm;       // how it may start sooner; `own` is the caller's to say
  std::string failure;  // not empty: nothing can be run, and this is what to tell (reason "Error")
};

// Lives on `control`; every function is called there.
class PythonEnv {
 public:
  // Processes that are started here have ids that begin with this.
  static constexpr std::string_view kIdPrefix = "env/";

  PythonEnv(Loop& control, Spawner& spawner, PythonEnvOptions options);
  ~PythonEnv();  // after stop()

  // Finds the interpreter, unpacks the kfp package, ends what an earlier server was building. prepare() does it when
  // it hasn't been done; calling it early only saves the first step the wait.
  Async<> start();

  // What a step does wrong is in the result. Steps that want the same environment at the same time share one build,
  // which goes on when one that waits for it is cancelled. Throws Unavailable when stop() comes meanwhile: nothing is
  // known of the step then, and the next server prepares it again.
  Async<Prepared> prepare(ContainerCommand command);

  // To be called for every change of a process whose id begins with kIdPrefix; others are ignored.
  void on_process_change(const ProcessStatus& status);

  // Ends running builds and leaves nothing half-made. Needs on_process_change() to be called meanwhile.
  Async<> stop();

  // After start().
  const Interpreter& interpreter() const;
  const std::filesystem::path& kfp_path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::node
