// Recognises what the KFP SDKs put in front of a Python step, so that the node can do the same without a shell and
// without running pip in every step. Pure: no files, no processes.
//
// A step's command is  sh -c '<pip installs> && "$0" "$@"' <what runs then…>  and what runs then is usually a small
// shell program that writes the source in its argument to a temporary file and starts Python on it. Whatever differs
// from the known shapes in a way that could matter is not recognised, and then the shell runs it as it stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::node {

// One `pip install`.
struct PipInstall {
  std::vector<std::string> requirements;  // in the order given
  std::vector<std::string> options;       // those which decide what is installed: indexes, --pre, --no-deps, …

  bool operator==(const PipInstall&) const = default;
};

struct PythonBootstrap {
  std::vector<PipInstall> installs;  // in order, without those that only fetch the SDK's own kfp
  bool wants_kfp = false;            // the SDK's own kfp was asked for: the one that comes with the server serves
  bool user_kfp = false;             // the step's author listed kfp: it is among the installs
  size_t rest = 0;                   // where in argv the command begins that runs afterwards
};

// `argv` is the container's command followed by its args.
std::optional<PythonBootstrap> parse_bootstrap(const std::vector<std::string>& argv);

// The shell program that writes a source file and starts Python on it.
struct PythonProgram {
  enum class Kind {
    kExecutor,  // python3 -m <module> --component_module_path <file> <args…>
    kScript,    // python3 -u <file> <args…>, as the v1 SDK writes it
  };
  Kind kind = Kind::kExecutor;
  std::string module;  // of kExecutor: "kfp.dsl.executor_main"
  size_t source = 0;   // where in argv the source stands
  size_t args = 0;     // where in argv the program's arguments begin
};

// Reads the program that begins at argv[from].
std::optional<PythonProgram> parse_program(const std::vector<std::string>& argv, size_t from);

}  // namespace penstock::node
