#include "node/python_env.h"

#include <algorithm>
#include <cstdlib>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/bundled_kfp.h"
#include "node/process_runner.h"
#include "node/python_bootstrap.h"
#include "node/python_builder.h"
#include "node/python_imports.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

const std::string* find_variable(const EnvList& env, std::string_view name) {
  // As in a process: the last one wins.
  for (auto variable = env.rbegin(); variable != env.rend(); ++variable) {
    if (variable->first == name) return &variable->second;
  }
  return nullptr;
}

std::string server_path() {
  const char* path = std::getenv("PATH");
  return path != nullptr && *path != '\0' ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

std::string join_path(const std::string& first, const std::string* rest) {
  return rest == nullptr || rest->empty() ? first : first + ":" + *rest;
}

// Whether a command that is not rewritten starts the kfp package's executor: images that were built for a component do.
bool starts_executor(const std::vector<std::string>& argv) {
  for (size_t i = 0; i < argv.size() && i < 5; ++i) {
    if (std::string_view(argv[i]).substr(0, 4096).find("executor_main") != std::string_view::npos) return true;
  }
  return false;
}

// python, python3, pip and pip3 by these names, whatever the system calls them (Debian has no `python`).
fs::path make_bin_folder(const fs::path& envs, const Interpreter& interpreter) {
  // A venv's interpreter must be called by its own place, and the names are there.
  if (interpreter.in_venv) return interpreter.executable.parent_path();
  const std::string executable = interpreter.executable.string();
  const auto hash = sha256_hex(executable + (interpreter.has_pip ? "" : " without pip"));
  const fs::path folder = envs / ("python-" + hash.substr(0, 12));
  if (fs::exists(folder)) return folder;
  const fs::path fresh = folder.string() + "." + random_suffix(8);
  fs::create_directories(fresh);
  for (const char* name : {"python", "python3"}) fs::create_symlink(interpreter.executable, fresh / name);
  if (interpreter.has_pip) {
    for (const char* name : {"pip", "pip3"}) {
      write_file(fresh / name, fmt::format("#!/bin/sh\nexec '{}' -m pip \"$@\"\n", executable), 0755);
    }
  }
  std::error_code error;
  fs::rename(fresh, folder, error);
  if (error) fs::remove_all(fresh);  // another server on the same folder was quicker
  return folder;
}

// Puts the source where the shell program would and returns the path as the step sees it.
std::string write_source(const ContainerCommand& command, const std::string& source) {
  const std::string folder = "tmp." + random_suffix(10);
  const fs::path host = command.tmp_host_dir / folder;
  if (::mkdir(host.c_str(), 0700) != 0) throw_errno("cannot make " + host.string());
  write_file(host / "ephemeral_component.py", source, 0600);
  return (fs::path(command.tmp_path) / folder / "ephemeral_component.py").string();
}

}  // namespace

struct PythonEnv::State {
  State(Loop& control, Spawner& given_spawner, PythonEnvOptions given)
      : executor(control.executor()),
        options(std::move(given)),
        envs(options.data / "envs"),
        runner(executor, given_spawner),
        builder(executor, runner, blocking, envs),
        scope(executor, "python"),
        ready(executor) {}

  Async<> set_up();
  Async<> clean(std::vector<fs::path> left);
  void set_base(Prepared& prepared, const ContainerCommand& command, const fs::path& environment) const;
  void set_kfp(Prepared& prepared, const ContainerCommand& command) const;
  WarmStart warm_start(const ContainerCommand& command, const std::string& source) const;
  static void set_default(Prepared& prepared, const ContainerCommand& command, std::string_view name,
                          std::string value);
  Async<Prepared> prepare_python(ContainerCommand command, std::vector<std::string> argv,
                                 std::optional<PythonBootstrap> bootstrap, std::optional<PythonProgram> program);

  Executor executor;
  PythonEnvOptions options;
  fs::path envs;
  BlockingPool blocking{1};
  ProcessRunner runner;
  PythonBuilder builder;
  Scope scope;
  Signal ready;
  bool starting = false;
  bool stopping = false;
  Interpreter interpreter;
  fs::path bin;  // where its names are found
  fs::path kfp_path;
};

Async<> PythonEnv::State::set_up() {
  try {
    fs::create_directories(envs);
    scope.spawn([this, left = builder.abandoned()] { return clean(left); });
    fs::path bundled;
    kfp_path = options.kfp_path;
    if (kfp_path.empty()) {
      bundled = co_await blocking.run([this] { return unpack_bundled_kfp(options.data); });
      kfp_path = bundled;
    }
    if (options.interpreter) {
      interpreter = *options.interpreter;
    } else {
      InterpreterSearch search{options.python, options.path, envs, bundled};
      if (search.path.empty()) search.path = server_path();
      interpreter = co_await find_interpreter(runner, std::move(search));
    }
    if (!interpreter.executable.empty()) bin = make_bin_folder(envs, interpreter);
    if (!interpreter.problem.empty()) spdlog::warn("no Python for steps: {}", interpreter.problem);
  } catch (const std::exception& e) {
    interpreter = {};
    interpreter.problem = e.what();
    spdlog::error("no Python for steps: {}", e.what());
  }
  ready.set();
}

// What an earlier server was building ends first: it would write on.
Async<> PythonEnv::State::clean(std::vector<fs::path> left) {
  co_await runner.end_strangers(std::string(kIdPrefix));
  co_await blocking.run([&left] {
    std::error_code ignored;
    for (const auto& path : left) fs::remove_all(path, ignored);
  });
}

void PythonEnv::State::set_default(Prepared& prepared, const ContainerCommand& command, std::string_view name,
                                   std::string value) {
  if (find_variable(command.env, name) == nullptr) prepared.env.emplace_back(name, std::move(value));
}

void PythonEnv::State::set_base(Prepared& prepared, const ContainerCommand& command,
                                const fs::path& environment) const {
  if (bin.empty()) return;
  const std::string* given = find_variable(command.env, "PATH");
  const std::string rest = given != nullptr && !given->empty() ? *given : server_path();
  std::string path = bin.string() + ":" + rest;
  // Other programs of the interpreter's folder, unless the folder has its place already.
  const std::string home = interpreter.executable.parent_path().string();
  if ((":" + rest + ":").find(":" + home + ":") == std::string::npos) path = bin.string() + ":" + home + ":" + rest;
  if (!environment.empty()) {
    path = (environment / "bin").string() + ":" + path;
    prepared.env.emplace_back("VIRTUAL_ENV", environment.string());
  }
  prepared.env.emplace_back("PATH", std::move(path));
  // A step may install into its own home, which is gone when it ends.
  set_default(prepared, command, "PIP_BREAK_SYSTEM_PACKAGES", "1");
  set_default(prepared, command, "PIP_DISABLE_PIP_VERSION_CHECK", "1");
}

void PythonEnv::State::set_kfp(Prepared& prepared, const ContainerCommand& command) const {
  if (kfp_path.empty()) return;
  prepared.env.emplace_back("PYTHONPATH", join_path(kfp_path.string(), find_variable(command.env, "PYTHONPATH")));
}

// Not where the interpreter is told to start otherwise, or the imports may depend on what the step does before them.
WarmStart PythonEnv::State::warm_start(const ContainerCommand& command, const std::string& source) const {
  const bool own_settings = std::any_of(command.env.begin(), command.env.end(),
                                        [](const auto& entry) { return entry.first.starts_with("PYTHON"); });
  if (kfp_path.empty() || own_settings || prepares_imports(source)) return {};
  return {kfp_path / "kfp/dsl/executor_warm.py", imports_of(source), {}};
}

Async<Prepared> PythonEnv::State::prepare_python(ContainerCommand command, std::vector<std::string> argv,
                                                 std::optional<PythonBootstrap> bootstrap,
                                                 std::optional<PythonProgram> program) {
  Prepared prepared;
  if (interpreter.executable.empty()) {
    prepared.failure = fmt::format(
        "the step needs Python, and the machine has none: {}. Install python3 (3.8 or newer), or name one with "
        "--python",
        interpreter.problem);
    co_return prepared;
  }
  fs::path python = interpreter.executable;
  fs::path environment;
  if (bootstrap && !bootstrap->installs.empty()) {
    EnvironmentRequest request{std::move(bootstrap->installs), pip_settings(command.env), command.log};
    Environment built = co_await builder.get(interpreter, std::move(request));
    if (!built.failure.empty()) {
      prepared.failure = std::move(built.failure);
      co_return prepared;
    }
    environment = built.path;
    python = environment / "bin/python3";
  }
  const bool user_kfp = bootstrap && bootstrap->user_kfp;
  const size_t rest = bootstrap ? bootstrap->rest : 0;
  const bool executor_program = program && program->kind == PythonProgram::Kind::kExecutor;
  set_base(prepared, command, environment);
  if (!user_kfp && (executor_program || (bootstrap && bootstrap->wants_kfp))) set_kfp(prepared, command);
  // What a step prints is seen while it runs.
  set_default(prepared, command, "PYTHONUNBUFFERED", "1");
  if (!program || command.tmp_host_dir.empty()) {
    prepared.argv.assign(std::make_move_iterator(argv.begin() + static_cast<ptrdiff_t>(rest)),
                         std::make_move_iterator(argv.end()));
    co_return prepared;
  }
  prepared.warm = warm_start(command, argv[program->source]);
  const std::string source = write_source(command, argv[program->source]);
  prepared.argv = {python.string()};
  if (executor_program) {
    // Older SDKs had it elsewhere; the package that comes with the server has it in one place.
    const std::string module = user_kfp ? program->module : "kfp.dsl.executor_main";
    for (const std::string_view word : {std::string_view("-m"), std::string_view(module),
                                        std::string_view("--component_module_path"), std::string_view(source)}) {
      prepared.argv.emplace_back(word);
    }
    prepared.env.emplace_back("_KFP_RUNTIME", "true");
  } else {
    prepared.argv.emplace_back("-u");
    prepared.argv.push_back(source);
  }
  prepared.argv.insert(prepared.argv.end(),
                       std::make_move_iterator(argv.begin() + static_cast<ptrdiff_t>(program->args)),
                       std::make_move_iterator(argv.end()));
  co_return prepared;
}

PythonEnv::PythonEnv(Loop& control, Spawner& spawner, PythonEnvOptions options)
    : state_(std::make_unique<State>(control, spawner, std::move(options))) {}

PythonEnv::~PythonEnv() = default;

Async<> PythonEnv::start() {
  if (!state_->starting) {
    state_->starting = true;
    state_->scope.spawn([state = state_.get()] { return state->set_up(); });
  }
  co_await state_->ready.wait();
}

Async<Prepared> PythonEnv::prepare(ContainerCommand command) {
  if (!state_->ready.is_set()) co_await start();
  if (state_->stopping) throw Error(Code::Unavailable, "the server is stopping");
  std::vector<std::string> argv = std::move(command.command);
  argv.insert(argv.end(), std::make_move_iterator(command.args.begin()), std::make_move_iterator(command.args.end()));
  auto bootstrap = parse_bootstrap(argv);
  auto program = parse_program(argv, bootstrap ? bootstrap->rest : 0);
  Prepared prepared;
  if (!bootstrap && !program) {
    state_->set_base(prepared, command, {});
    if (starts_executor(argv)) state_->set_kfp(prepared, command);
    prepared.argv = std::move(argv);
    co_return prepared;
  }
  try {
    prepared =
        co_await state_->prepare_python(std::move(command), std::move(argv), std::move(bootstrap), std::move(program));
  } catch (const Error& e) {
    if (e.code() == Code::Unavailable) throw;
    prepared = {};
    prepared.failure = e.message();
  }
  co_return prepared;
}

void PythonEnv::on_process_change(const ProcessStatus& status) {
  if (status.id.starts_with(kIdPrefix)) state_->runner.on_change(status);
}

Async<> PythonEnv::stop() {
  state_->stopping = true;
  state_->runner.kill_all();
  co_await state_->builder.stop();
  co_await state_->scope.stop();
  state_->ready.set();
}

const Interpreter& PythonEnv::interpreter() const { return state_->interpreter; }
const fs::path& PythonEnv::kfp_path() const { return state_->kfp_path; }

}  // namespace penstock::node
