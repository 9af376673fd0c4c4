// The Python that steps run on.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/async.h"
#include "node/process_runner.h"

namespace penstock::node {

using EnvList = std::vector<std::pair<std::string, std::string>>;

struct Interpreter {
  std::filesystem::path executable;  // the real one, or a venv's own; empty: there is no Python here
  std::string version;               // sys.version on one line
  bool has_pip = false;
  bool in_venv = false;
  std::vector<std::string> venv_packages;  // the venv's own site-packages, for environments made from it
  std::string problem;                     // why there is none
};

struct InterpreterSearch {
  std::filesystem::path python;   // a file, or a name to search; empty: python3
  std::string path;               // where names are searched
  std::filesystem::path scratch;  // a folder for what the interpreter says of itself
  std::filesystem::path compile;  // a folder of modules to compile for it; empty: none
};

// Asks the candidates in order what they are (a python3 in PATH is often a shell script that looks for the real one)
// and returns the first that answers and is new enough; the reason is in `problem` when none does.
Async<Interpreter> find_interpreter(ProcessRunner& runner, InterpreterSearch search);

// The server's own environment without what would change how a Python starts. "NAME=value".
std::vector<std::string> server_environment();

// The last lines of a file's part from `offset` on, at most `limit` bytes.
std::string read_tail(const std::filesystem::path& path, uint64_t offset, size_t limit);
// Replaces the file. Throws Internal.
void write_file(const std::filesystem::path& path, std::string_view text, unsigned mode);

}  // namespace penstock::node
