#include "node/python_env.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <latch>
#include <unistd.h>

#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>

#include "base/clock.h"
#include "base/error.h"
#include "node/bundled_kfp.h"
#include "node/python_builder.h"
#include "node/testing_local_spawner.h"

using namespace penstock;
using namespace penstock::node;
namespace fs = std::filesystem;

namespace {

struct TempFolder {
  TempFolder() : path(fs::temp_directory_path() / ("penstock-env-" + random_suffix(10))) {
    fs::create_directories(path);
  }
  ~TempFolder() {
    // The helper may be removing its socket meanwhile.
    std::error_code ignored;
    fs::remove_all(path, ignored);
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

std::string read(const fs::path& file) { return read_tail(file, 0, 1 << 20); }

// A loop, a spawner that really starts processes, and the environments of a data folder of their own.
struct World {
  explicit World(PythonEnvOptions options = {}, bool sandbox = false) {
    options.data = folder.path / "data";
    if (sandbox) {
      HelperOptions helper;
      helper.data = options.data;
      fs::create_directories(options.data / "envs");
      helper.shared_mounts = {{options.data / "envs", (options.data / "envs").string(), true}};
      sandboxing = connect_spawner(loop, helper);
    }
    Spawner& spawner = sandboxing ? *sandboxing : local;
    env = std::make_unique<PythonEnv>(loop, spawner, options);
    spawner.set_on_change([this](const ProcessStatus& status) {
      if (on_change) on_change(status);
      env->on_process_change(status);
    });
  }
  template <class Make>
  auto wait(Make make) {
    return asio::co_spawn(loop.executor(), make, asio::use_future).get();
  }
  ~World() {
    wait([this] { return env->stop(); });
    std::promise<void> gone;
    loop.post([&] {
      env.reset();
      gone.set_value();
    });
    gone.get_future().get();
    sandboxing.reset();
  }

  Prepared prepare(ContainerCommand command) {
    return wait([&]() -> Async<Prepared> { return env->prepare(command); });
  }
  ContainerCommand command(std::vector<std::string> words) {
    ContainerCommand made;
    made.command = std::move(words);
    made.env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", "/tmp"}};
    made.tmp_host_dir = folder.path;
    made.tmp_path = folder.path.string();
    made.log = folder.path / "pod.log";
    return made;
  }
  // Runs what was prepared as the node would.
  int run(const Prepared& prepared, const ContainerCommand& command, const fs::path& log) {
    return wait([&]() -> Async<int> {
      ProcessRunner runner(loop.executor(), sandboxing ? *sandboxing : static_cast<Spawner&>(local));
      on_change = [&runner](const ProcessStatus& status) {
        if (status.id.starts_with("pod/")) runner.on_change(status);
      };
      ProcessSpec spec;
      spec.id = "pod/" + random_suffix(8);
      spec.argv = prepared.argv;
      std::map<std::string, std::string> all(command.env.begin(), command.env.end());
      for (const auto& [name, value] : prepared.env) all[name] = value;
      for (const auto& [name, value] : all) spec.env.push_back(name + "=" + value);
      spec.log = log;
      spec.tmp = command.tmp_host_dir;
      spec.sandbox = sandboxing != nullptr;
      const auto status = co_await runner.run(std::move(spec));
      on_change = nullptr;
      co_return status.exit_code;
    });
  }

  TempFolder folder;
  Loop loop{"control"};
  LocalSpawner local{loop};
  std::unique_ptr<Spawner> sandboxing;
  std::unique_ptr<PythonEnv> env;
  std::function<void(const ProcessStatus&)> on_change;
};

std::string value_of(const EnvList& env, std::string_view name) {
  for (const auto& variable : env) {
    if (variable.first == name) return variable.second;
  }
  return "(none)";
}

Interpreter known_interpreter() {
  Interpreter interpreter;
  interpreter.executable = "/opt/python/bin/python3.11";
  interpreter.version = "3.11.2";
  interpreter.has_pip = true;
  return interpreter;
}

PythonEnvOptions known() {
  PythonEnvOptions options;
  options.kfp_path = "/opt/kfp";
  options.interpreter = known_interpreter();
  return options;
}

const std::string kExecutorProgram =
    "program_path=$(mktemp -d)\n\nprintf \"%s\" \"$0\" > \"$program_path/ephemeral_component.py\"\n_KFP_RUNTIME=true "
    "python3 -m kfp.dsl.executor_main                         --component_module_path                         "
    "\"$program_path/ephemeral_component.py\"                         \"$@\"\n";
const std::string kScriptProgram =
    "program_path=$(mktemp)\nprintf \"%s\" \"$0\" > \"$program_path\"\npython3 -u \"$program_path\" \"$@\"\n";
const std::string kOwnKfp =
    "python3 -m pip install --quiet --no-warn-script-location 'kfp==2.14.3' '--no-deps' "
    "'typing-extensions>=3.7.4,<5; python_version<\"3.9\"'";

// A wheel with one module, `probe_module`, that knows its number.
void make_wheel(const fs::path& folder) {
  const std::string script = R"(
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/probe_module-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("probe_module.py", "number = 42\ndef main():\n    print('script', number)\n")
    info = "probe_module-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: probe-module\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "entry_points.txt", "[console_scripts]\nprobe-script = probe_module:main\n")
    wheel.writestr(info + "RECORD", "")
)";
  std::ofstream(folder / "make.py") << script;
  REQUIRE(std::system(("python3 '" + (folder / "make.py").string() + "' '" + folder.string() + "'").c_str()) == 0);
}

bool can_build() { return std::system("python3 -c 'import venv, pip' 2>/dev/null") == 0; }

std::string pip_install(const fs::path& wheels, const std::string& requirement) {
  return "python3 -m pip install --quiet --no-index --find-links " + wheels.string() + " '" + requirement +
         "' && \"$0\" \"$@\"";
}

size_t count_entries(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("python env: other commands pass through") {
  World world(known());
  auto command = world.command({"echo", "hello"});
  command.args = {"a b"};
  const auto prepared = world.prepare(command);
  CHECK(prepared.argv == std::vector<std::string>{"echo", "hello", "a b"});
  CHECK(prepared.failure.empty());
  const auto path = value_of(prepared.env, "PATH");
  CHECK(path.ends_with(":/opt/python/bin:/usr/local/bin:/usr/bin:/bin"));
  CHECK(path.starts_with((world.folder.path / "data/envs/python-").string()));
  CHECK(value_of(prepared.env, "PYTHONPATH") == "(none)");
  CHECK(world.local.starts == 0);

  const auto image = world.prepare(world.command({"python3", "-m", "kfp.dsl.executor_main", "--x"}));
  CHECK(value_of(image.env, "PYTHONPATH") == "/opt/kfp");
}

TEST_CASE("python env: a lightweight component starts Python directly") {
  World world(known());
  auto command =
      world.command({"sh", "-c", kOwnKfp + " && \"$0\" \"$@\"", "sh", "-ec", kExecutorProgram, "source ü\n'\"$x"});
  command.args = {"--executor_input", "{\"a\": \"b c\"}"};
  command.env.emplace_back("PYTHONPATH", "/mine");
  const auto prepared = world.prepare(command);
  REQUIRE(prepared.argv.size() == 7);
  CHECK(prepared.argv[0] == "/opt/python/bin/python3.11");
  CHECK(prepared.argv[1] == "-m");
  CHECK(prepared.argv[2] == "kfp.dsl.executor_main");
  CHECK(prepared.argv[3] == "--component_module_path");
  CHECK(read(prepared.argv[4]) == "source ü\n'\"$x");
  CHECK(prepared.argv[5] == "--executor_input");
  CHECK(prepared.argv[6] == "{\"a\": \"b c\"}");
  CHECK(value_of(prepared.env, "_KFP_RUNTIME") == "true");
  CHECK(value_of(prepared.env, "PYTHONPATH") == "/opt/kfp:/mine");
  CHECK(prepared.warm.program.empty());  // its start is its own
}

TEST_CASE("python env: what may be started warm") {
  World world(known());
  auto warm = [&](const std::string& source) {
    auto command = world.command({"sh", "-c", kOwnKfp + " && \"$0\" \"$@\"", "sh", "-ec", kExecutorProgram, source});
    return world.prepare(command).warm;
  };
  const WarmStart start = warm("import kfp\ndef f():\n  import a.b as c\n");
  CHECK(start.program == "/opt/kfp/kfp/dsl/executor_warm.py");
  CHECK(start.imports == std::vector<std::string>{"import kfp", "import a.b"});
  CHECK(warm("import os\nos.environ['A'] = '1'\nimport a").program.empty());
  const auto script = world.prepare(world.command({"sh", "-ec", kScriptProgram, "import a"}));
  CHECK(script.warm.imports == std::vector<std::string>{"import a"});
  CHECK(world.prepare(world.command({"python3", "-c", "import a"})).warm.program.empty());
}

TEST_CASE("python env: the path of the source is the step's own") {
  World world(known());
  auto command = world.command({"sh", "-ec", kScriptProgram, "print(1)", "--n", "1"});
  command.tmp_path = "/tmp";
  const auto prepared = world.prepare(command);
  REQUIRE(prepared.argv.size() == 5);
  CHECK(prepared.argv[1] == "-u");
  CHECK(prepared.argv[2].starts_with("/tmp/tmp."));
  CHECK(read(world.folder.path / fs::path(prepared.argv[2]).lexically_relative("/tmp")) == "print(1)");
  CHECK(prepared.argv[3] == "--n");
  CHECK(value_of(prepared.env, "PYTHONPATH") == "(none)");

  command.tmp_host_dir.clear();
  CHECK(world.prepare(command).argv == command.command);
}

TEST_CASE("python env: without an interpreter only Python steps fail") {
  auto options = known();
  options.interpreter = Interpreter{};
  options.interpreter->problem = "none is installed";
  World world(options);
  CHECK(world.prepare(world.command({"echo"})).failure.empty());
  const auto prepared = world.prepare(world.command({"sh", "-ec", kScriptProgram, "print(1)"}));
  CHECK(prepared.failure.find("none is installed") != std::string::npos);
  CHECK(prepared.argv.empty());
}

TEST_CASE("python env: a tmp folder that is not there fails the step with its name") {
  World world(known());
  auto command = world.command({"sh", "-ec", kScriptProgram, "print(1)"});
  command.tmp_host_dir = "/nonexistent/tmp";
  CHECK(world.prepare(command).failure.find("/nonexistent/tmp") != std::string::npos);
}

TEST_CASE("python env: the interpreter is found and what it is told is run") {
  World world;
  const auto command =
      world.command({"sh", "-ec", kScriptProgram, "import sys\nprint('hello', sys.argv[1:])", "a b", "ü"});
  const auto prepared = world.prepare(command);
  REQUIRE(prepared.failure.empty());
  const auto& interpreter = world.env->interpreter();
  CHECK(interpreter.executable.is_absolute());
  CHECK(interpreter.version.starts_with("3."));
  const auto log = world.folder.path / "out";
  CHECK(world.run(prepared, command, log) == 0);
  CHECK(read(log) == "hello ['a b', 'ü']\n");

  // Both names are there for what a step calls itself.
  const auto shell = world.command({"sh", "-c", "python -c 'print(1)' && python3 -c 'print(2)'"});
  const auto named = world.folder.path / "named";
  CHECK(world.run(world.prepare(shell), shell, named) == 0);
  CHECK(read(named) == "1\n2\n");
}

TEST_CASE("python env: an interpreter that does not work is passed over, and named when it is the only one") {
  TempFolder folder;
  write_file(folder.path / "python3", "#!/bin/sh\necho no such version >&2\nexit 3\n", 0755);
  PythonEnvOptions options;
  options.path = folder.path.string();
  World world(options);
  const auto prepared = world.prepare(world.command({"sh", "-ec", kScriptProgram, "print(1)"}));
  CHECK(prepared.failure.find("no such version") != std::string::npos);
  CHECK(prepared.failure.find(folder.path.string()) != std::string::npos);

  options.path += ":" + std::string(std::getenv("PATH"));
  World second(options);
  CHECK(second.prepare(second.command({"sh", "-ec", kScriptProgram, "print(1)"})).failure.empty());
}

TEST_CASE("python env: packages are installed once and shared") {
  if (!can_build()) return;
  World world;
  make_wheel(world.folder.path);
  auto command =
      world.command({"sh", "-c", pip_install(world.folder.path, "probe-module==1.0"), "sh", "-ec", kScriptProgram,
                     "import probe_module, subprocess\nprint(probe_module.number, flush=True)\n"
                     "subprocess.run(['probe-script'], check=True)\n"
                     "subprocess.run(['pip', '--version'], check=True)\n"});
  std::vector<std::future<Prepared>> waiting;
  for (int i = 0; i < 4; ++i) {
    auto one = command;
    one.log = world.folder.path / fmt::format("pod{}.log", i);
    waiting.push_back(asio::co_spawn(
        world.loop.executor(), [&world, one]() -> Async<Prepared> { return world.env->prepare(one); },
        asio::use_future));
  }
  std::vector<Prepared> all;
  for (auto& future : waiting) all.push_back(future.get());
  for (const auto& prepared : all) {
    CHECK(prepared.failure == "");
    REQUIRE_FALSE(prepared.argv.empty());
    CHECK(prepared.argv[0] == all[0].argv[0]);
  }
  // The probe, the venv and one pip.
  CHECK(world.local.starts == 3);
  const auto log = world.folder.path / "out";
  CHECK(world.run(all[0], command, log) == 0);
  CHECK(read(log).starts_with("42\nscript 42\npip "));

  const int starts = world.local.starts;
  CHECK(world.prepare(command).argv[0] == all[0].argv[0]);
  CHECK(world.local.starts == starts);
  // The link, the folder, pip's cache, kfp and the names of the interpreter; nothing else is left.
  CHECK(count_entries(world.folder.path / "data/envs") == (bundled_kfp_files().empty() ? 4 : 5));
}

TEST_CASE("python env: in the sandbox, from pip to the step") {
  if (!can_build()) return;
  World world({}, true);
  const auto data = world.folder.path / "data";
  // Seen by pip there, as the rest of the data folder is not.
  make_wheel(data / "envs");
  const auto tmp = data / "tasks/tmp";
  fs::create_directories(tmp);
  auto command =
      world.command({"sh", "-c", pip_install(data / "envs", "probe-module==1.0"), "sh", "-ec", kScriptProgram,
                     "import probe_module, subprocess, os\nprint(probe_module.number, flush=True)\n"
                     "subprocess.run(['probe-script'], check=True)\n"
                     "print(os.access(os.environ['VIRTUAL_ENV'], os.W_OK))\n"});
  command.tmp_host_dir = tmp;
  command.tmp_path = "/tmp";
  int unsandboxed = 0;
  world.on_change = [&](const ProcessStatus& status) { unsandboxed += status.running && !status.sandboxed; };
  const auto prepared = world.prepare(command);
  CHECK(prepared.failure == "");
  CHECK(prepared.argv[0].starts_with((data / "envs").string()));
  if (!world.sandboxing->sandbox_problem().empty()) return;
  CHECK(unsandboxed == 1);  // only the probe of the interpreter
  const auto log = world.folder.path / "out";
  CHECK(world.run(prepared, command, log) == 0);
  CHECK(read(log) == "42\nscript 42\nFalse\n");
}

TEST_CASE("python env: pip's own words fail the step and nothing is kept") {
  if (!can_build()) return;
  World world;
  auto command = world.command(
      {"sh", "-c", pip_install(world.folder.path, "no-such-module==7"), "sh", "-ec", kScriptProgram, "print(1)"});
  const auto prepared = world.prepare(command);
  CHECK(prepared.argv.empty());
  CHECK(prepared.failure.find("pip could not install no-such-module==7 (exit code 1)") != std::string::npos);
  CHECK(prepared.failure.find("ERROR: No matching distribution found for no-such-module==7") != std::string::npos);
  const auto log = read(command.log);
  CHECK(log.find("Installing Python packages: no-such-module==7") != std::string::npos);
  CHECK(log.find("ERROR: No matching distribution found") != std::string::npos);
  CHECK(count_entries(world.folder.path / "data/envs") == (bundled_kfp_files().empty() ? 2 : 3));
  // Not kept: it is tried again.
  const int starts = world.local.starts;
  CHECK_FALSE(world.prepare(command).failure.empty());
  CHECK(world.local.starts > starts);
}

TEST_CASE("python env: stopping ends a build and leaves nothing") {
  // An interpreter whose venv never gets ready.
  TempFolder folder;
  write_file(folder.path / "python3", "#!/bin/sh\nfor last; do :; done\ntouch \"$last/half\"\nexec tail -f /dev/null\n",
             0755);
  auto options = known();
  options.interpreter->executable = folder.path / "python3";
  World stuck(options);
  std::latch started(1);
  stuck.on_change = [&](const ProcessStatus& status) {
    if (status.running) started.count_down();
  };
  auto prepared = asio::co_spawn(
      stuck.loop.executor(),
      [&stuck, command = stuck.command({"sh", "-c", "pip install x && \"$0\" \"$@\"",
                                        "python3"})]() -> Async<Prepared> { return stuck.env->prepare(command); },
      asio::use_future);
  started.wait();
  stuck.wait([&] { return stuck.env->stop(); });
  CHECK_THROWS_AS(prepared.get(), Error);
  CHECK(count_entries(stuck.folder.path / "data/envs") == 2);
}

TEST_CASE("python env: what an earlier server left half-built is removed") {
  auto options = known();
  World world(options);
  const auto envs = world.folder.path / "data/envs";
  const std::string key(64, 'a'), done(64, 'b');
  fs::create_directories(envs / (key + ".12345678/bin"));
  fs::create_directories(envs / (done + ".87654321/bin"));
  fs::create_symlink(done + ".87654321", envs / done);
  world.wait([&] { return world.env->start(); });
  world.wait([&] { return world.env->stop(); });
  CHECK_FALSE(fs::exists(envs / (key + ".12345678")));
  CHECK(fs::exists(envs / done / "bin"));
}

TEST_CASE("python env: the name changes with what is installed") {
  const Interpreter interpreter = known_interpreter();
  auto key = [&](std::vector<PipInstall> installs, EnvList env = {}, const std::string& version = "3.11.2") {
    Interpreter other = interpreter;
    other.version = version;
    return environment_key(other, {std::move(installs), pip_settings(env), "/log"});
  };
  const auto base = key({{{"a", "b"}, {}}});
  CHECK(base.size() == 64);
  CHECK(base == key({{{"a", "b"}, {}}}, {{"OTHER", "1"}, {"HTTPS_PROXY", "http://p"}}));
  CHECK(base != key({{{"b", "a"}, {}}}));
  CHECK(base != key({{{"a b"}, {}}}));
  CHECK(base != key({{{"a"}, {}}, {{"b"}, {}}}));
  CHECK(base != key({{{"a", "b"}, {"--pre"}}}));
  CHECK(base != key({{{"a", "b"}, {}}}, {{"PIP_INDEX_URL", "https://x"}}));
  CHECK(base != key({{{"a", "b"}, {}}}, {}, "3.12.1"));
  CHECK(pip_settings({{"PIP_TARGET", "/etc"}, {"PIP_LOG", "/etc/x"}}).empty());
}

TEST_CASE("python env: pip's words") {
  CHECK(pip_failure_words("") == "");
  const auto words = pip_failure_words("Collecting x\n  trace 1\nERROR: first\nnote: hint\nERROR: second\n");
  CHECK(words.starts_with("ERROR: first\nERROR: second\n"));
  CHECK(words.find("note: hint") != std::string::npos);
  std::string huge;
  for (int i = 0; i < 100'000; ++i) huge += "line " + std::to_string(i) + "\nERROR: x\n";
  CHECK(pip_failure_words(huge).size() < 2500);
  CHECK(pip_failure_words(std::string(100'000, 'x')).size() < 2500);
}

TEST_CASE("bundled kfp: is unpacked once") {
  TempFolder folder;
  const auto first = unpack_bundled_kfp(folder.path);
  if (bundled_kfp_files().empty()) {
    CHECK(first.empty());
    return;
  }
  CHECK(first.filename().string() == "kfp-" + bundled_kfp_hash().substr(0, 12));
  for (const auto& file : bundled_kfp_files()) CHECK(read(first / file.name) == file.text());
  CHECK(unpack_bundled_kfp(folder.path) == first);
  CHECK(count_entries(folder.path / "envs") == 1);
}
