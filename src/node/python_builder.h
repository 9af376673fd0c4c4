// Builds environments: venvs under <data>/envs that hold what some step's pip installs ask for.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "node/interpreter.h"
#include "node/process_runner.h"
#include "node/python_bootstrap.h"

namespace penstock::node {

struct EnvironmentRequest {
  std::vector<PipInstall> installs;
  EnvList pip_env;            // the step's own settings for pip, see pip_settings()
  std::filesystem::path log;  // gets pip's words; empty: they are only kept for the failure's message
};

struct Environment {
  std::filesystem::path path;  // bin/python3 is in it
  std::string failure;         // not empty: it could not be built, in pip's own words
};

// The step's variables that pip takes settings from. Not those that would make pip write outside the environment.
EnvList pip_settings(const EnvList& env);

// An environment's name: changes with the interpreter, the requirements, their order, the index options and settings.
std::string environment_key(const Interpreter& interpreter, const EnvironmentRequest& request);

// What of pip's output says why it failed: its ERROR lines and what stands last.
std::string pip_failure_words(std::string_view output);

// Lives on one executor, that of `runner`.
class PythonBuilder {
 public:
  PythonBuilder(Executor executor, ProcessRunner& runner, BlockingPool& blocking, std::filesystem::path envs);

  // Gives the environment, and builds it first if need be. Whoever asks for one that is being built waits for that.
  // Throws Unavailable when the server stops meanwhile.
  Async<Environment> get(Interpreter interpreter, EnvironmentRequest request);

  // Folders that an earlier server left half-made.
  std::vector<std::filesystem::path> abandoned() const;

  // To be called when the runner ends everything: returns when what was half-made is removed.
  Async<> stop();

 private:
  struct Build;
  Async<> build(std::shared_ptr<Build> build);
  Async<std::string> make(Build& build);
  Async<std::string> run_step(Build& build, std::vector<std::string> argv, std::string what);
  void publish(const Build& build);

  Executor executor_;
  ProcessRunner& runner_;
  BlockingPool& blocking_;
  std::filesystem::path envs_;
  std::map<std::string, std::shared_ptr<Build>> builds_;  // shared with those who wait, who may be cancelled
  Scope scope_;
  bool stopping_ = false;
};

}  // namespace penstock::node
