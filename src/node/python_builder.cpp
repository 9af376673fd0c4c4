#include "node/python_builder.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/cancellation_state.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr size_t kWordsLimit = 2000;      // bytes of a failure's message
constexpr size_t kOutputLimit = 1 << 16;  // bytes of pip's output that are searched for it
constexpr const char* kPipCache = "pip-cache";

json::array to_json(const std::vector<std::string>& words) {
  json::array array;
  for (const auto& word : words) array.emplace_back(word);
  return array;
}

std::string all_requirements(const EnvironmentRequest& request) {
  std::string text;
  for (const auto& install : request.installs) {
    for (const auto& requirement : install.requirements) text += (text.empty() ? "" : " ") + requirement;
  }
  return text;
}

void note(const fs::path& log, std::string_view text) {
  if (log.empty()) return;
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  std::string line(text);
  line += '\n';
  // A log that cannot be written must not fail the step.
  [[maybe_unused]] const ssize_t put = ::write(fd, line.data(), line.size());
  ::close(fd);
}

uint64_t size_of(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return error ? 0 : size;
}

bool is_complete(const fs::path& environment) { return ::access((environment / "bin/python3").c_str(), X_OK) == 0; }

// Packages of a venv that the server runs on are seen by the environments made from it, as a plain interpreter's are.
void see_venv_packages(const fs::path& environment, const Interpreter& interpreter) {
  if (interpreter.venv_packages.empty()) return;
  std::string text;
  for (const auto& folder : interpreter.venv_packages) text += folder + "\n";
  for (const auto& entry : fs::directory_iterator(environment / "lib")) {
    if (fs::is_directory(entry.path() / "site-packages")) {
      write_file(entry.path() / "site-packages" / "zz_server_venv.pth", text, 0644);
    }
  }
}

// Steps may call pip by name; the environment uses the interpreter's, which has no script here.
void add_pip_scripts(const fs::path& environment, const fs::path& python) {
  for (const char* name : {"pip", "pip3"}) {
    const fs::path script = environment / "bin" / name;
    if (!fs::exists(script))
      write_file(script, fmt::format("#!/bin/sh\nexec '{}' -m pip \"$@\"\n", python.string()), 0755);
  }
}

// What packages' own programs may know of the server, and how the machine reaches packages.
bool is_for_builds(std::string_view name) {
  static constexpr std::string_view kNames[] = {"PATH",
                                                "HOME",
                                                "USER",
                                                "LANG",
                                                "LC_ALL",
                                                "LC_CTYPE",
                                                "CC",
                                                "CXX",
                                                "CFLAGS",
                                                "CXXFLAGS",
                                                "LDFLAGS",
                                                "SSL_CERT_FILE",
                                                "SSL_CERT_DIR",
                                                "REQUESTS_CA_BUNDLE",
                                                "CURL_CA_BUNDLE",
                                                "HTTP_PROXY",
                                                "HTTPS_PROXY",
                                                "NO_PROXY",
                                                "ALL_PROXY",
                                                "http_proxy",
                                                "https_proxy",
                                                "no_proxy",
                                                "all_proxy"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames) ||
         (name.starts_with("PIP_") && name != "PIP_CACHE_DIR");
}

std::vector<std::string> build_environment(const EnvList& pip_env, const fs::path& cache) {
  std::map<std::string, std::string> values;
  for (const auto& entry : server_environment()) {
    const size_t equals = entry.find('=');
    if (equals != std::string::npos && is_for_builds(std::string_view(entry).substr(0, equals))) {
      values[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
  }
  for (const auto& [name, value] : pip_env) values[name] = value;
  values["PIP_CACHE_DIR"] = cache.string();
  std::vector<std::string> result;
  for (const auto& [name, value] : values) result.push_back(name + "=" + value);
  return result;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) lines.push_back(line);
  }
  return lines;
}

}  // namespace

EnvList pip_settings(const EnvList& env) {
  static constexpr std::string_view kNames[] = {
      "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST",    "PIP_NO_INDEX", "PIP_FIND_LINKS",
      "PIP_PRE",       "PIP_NO_BINARY",       "PIP_ONLY_BINARY",     "PIP_PROXY",    "PIP_PREFER_BINARY",
      "PIP_TIMEOUT",   "PIP_RETRIES",         "PIP_DEFAULT_TIMEOUT", "HTTP_PROXY",   "HTTPS_PROXY",
      "NO_PROXY",      "ALL_PROXY",           "http_proxy",          "https_proxy",  "no_proxy",
      "all_proxy",     "SSL_CERT_FILE",       "REQUESTS_CA_BUNDLE"};
  EnvList settings;
  for (const auto& variable : env) {
    if (std::find(std::begin(kNames), std::end(kNames), variable.first) != std::end(kNames))
      settings.push_back(variable);
  }
  return settings;
}

std::string environment_key(const Interpreter& interpreter, const EnvironmentRequest& request) {
  json::array name;
  name.emplace_back(interpreter.executable.string());
  name.emplace_back(interpreter.version);
  for (const auto& install : request.installs) {
    name.emplace_back(to_json(install.requirements));
    name.emplace_back(to_json(install.options));
  }
  for (const auto& [variable, value] : request.pip_env) {
    // How packages are reached, unlike where from, doesn't change what they are.
    if (variable.starts_with("PIP_")) name.emplace_back(json::array{variable, value});
  }
  return sha256_hex(to_text(name));
}

std::string pip_failure_words(std::string_view output) {
  const auto lines = split_lines(output);
  const auto is_error = [](std::string_view line) { return line.starts_with("ERROR") || line.starts_with("error:"); };
  std::string words;
  for (const auto& line : lines) {
    if (is_error(line)) words += fmt::format("{}\n", line);
  }
  if (words.size() > kWordsLimit / 2) words = words.substr(words.size() - kWordsLimit / 2);
  std::vector<std::string_view> tail;
  size_t used = words.size();
  for (auto line = lines.rbegin(); line != lines.rend() && tail.size() < 10; ++line) {
    if (is_error(*line) || line->starts_with("Looking in ")) continue;  // where it looked says nothing of why
    used += line->size() + 1;
    if (used > kWordsLimit) break;
    tail.push_back(*line);
  }
  if (tail.empty() || (words.size() > 0 && words.size() + 200 > kWordsLimit)) return words;
  if (!words.empty()) words += "The last lines before:\n";
  for (auto line = tail.rbegin(); line != tail.rend(); ++line) words += fmt::format("{}\n", *line);
  return words;
}

struct PythonBuilder::Build {
  explicit Build(Executor executor) : done(executor) {}
  std::string key;
  Interpreter interpreter;
  EnvironmentRequest request;
  fs::path folder;  // the environment's real place, so that its scripts' first lines stay true
  fs::path link;    // what everybody calls it by
  fs::path tmp() const { return folder.string() + ".tmp"; }
  std::vector<fs::path> waiting_logs;
  Signal done;
  Environment result;
};

PythonBuilder::PythonBuilder(Executor executor, ProcessRunner& runner, BlockingPool& blocking, fs::path envs)
    : executor_(executor),
      runner_(runner),
      blocking_(blocking),
      envs_(std::move(envs)),
      scope_(executor, "python environments") {}

Async<Environment> PythonBuilder::get(Interpreter interpreter, EnvironmentRequest request) {
  const std::string key = environment_key(interpreter, request);
  Environment ready{envs_ / key, {}};
  if (is_complete(ready.path)) co_return ready;
  if (stopping_) throw Error(Code::Unavailable, "the server is stopping");
  auto& slot = builds_[key];
  if (slot == nullptr) {
    slot = std::make_shared<Build>(executor_);
    slot->key = key;
    slot->link = ready.path;
    slot->folder = ready.path.string() + "." + random_suffix(8);
    slot->interpreter = std::move(interpreter);
    slot->request = std::move(request);
    note(slot->request.log, "Installing Python packages: " + all_requirements(slot->request));
    scope_.spawn([this, build = slot] { return this->build(build); });
  } else if (request.log != slot->request.log) {
    note(request.log, "Waiting for Python packages that another step is installing: " + all_requirements(request));
    slot->waiting_logs.push_back(request.log);
  }
  const auto build = slot;
  co_await build->done.wait();
  if (stopping_ && !build->result.failure.empty()) throw Error(Code::Unavailable, "the server is stopping");
  co_return build->result;
}

Async<> PythonBuilder::build(std::shared_ptr<Build> build) {
  // Those who wait rely on `done`; stop() has the processes ended instead.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  std::string failure;
  try {
    failure = co_await make(*build);
    if (failure.empty()) publish(*build);
  } catch (const std::exception& e) {
    failure = fmt::format("the Python environment in {} could not be made: {}", build->folder.string(), e.what());
  }
  if (failure.empty()) {
    build->result.path = build->link;
  } else {
    build->result.failure = failure;
    for (const auto& log : build->waiting_logs) note(log, failure);
  }
  co_await blocking_.run([&build, &failure] {
    std::error_code ignored;
    fs::remove_all(build->tmp(), ignored);
    if (!failure.empty()) fs::remove_all(build->folder, ignored);
  });
  builds_.erase(build->key);
  build->done.set();
}

// Returns why it failed, or nothing.
Async<std::string> PythonBuilder::make(Build& build) {
  const auto& interpreter = build.interpreter;
  fs::create_directory(build.folder);
  fs::create_directory(build.tmp());
  fs::create_directories(envs_ / kPipCache);
  std::vector<std::string> venv = {interpreter.executable.string(), "-I", "-m", "venv", "--system-site-packages"};
  // The interpreter's own pip serves where it has one: unpacking another takes seconds.
  if (interpreter.has_pip) venv.emplace_back("--without-pip");
  venv.push_back(build.folder.string());
  std::string failure = co_await run_step(build, std::move(venv), "python3 -m venv failed");
  if (!failure.empty()) co_return failure;
  see_venv_packages(build.folder, interpreter);
  for (const auto& install : build.request.installs) {
    std::vector<std::string> pip = {(build.folder / "bin/python3").string(),
                                    "-I",
                                    "-m",
                                    "pip",
                                    "install",
                                    "--no-input",
                                    "--disable-pip-version-check",
                                    "--no-warn-script-location",
                                    "--progress-bar",
                                    "off"};
    pip.insert(pip.end(), install.options.begin(), install.options.end());
    pip.insert(pip.end(), install.requirements.begin(), install.requirements.end());
    std::string what = "pip could not install";
    for (const auto& requirement : install.requirements) what += " " + requirement;
    failure = co_await run_step(build, std::move(pip), std::move(what));
    if (!failure.empty()) co_return failure;
  }
  if (interpreter.has_pip) add_pip_scripts(build.folder, build.link / "bin/python3");
  co_return failure;
}

Async<std::string> PythonBuilder::run_step(Build& build, std::vector<std::string> argv, std::string what) {
  ProcessSpec spec;
  spec.id = fmt::format("env/{}.{}", build.key, random_suffix(8));
  spec.argv = std::move(argv);
  const fs::path cache = envs_ / kPipCache;
  spec.env = build_environment(build.request.pip_env, cache);
  const fs::path own_log = build.folder.string() + ".log";
  spec.log = build.request.log.empty() ? own_log : build.request.log;
  // Packages may bring programs of their own that run when they are built: those get to write here and nowhere else.
  spec.mounts = {{build.folder, build.folder.string(), false}, {cache, cache.string(), false}};
  spec.tmp = build.tmp();
  const fs::path log = spec.log;
  const uint64_t before = size_of(log);
  const ProcessStatus status = co_await runner_.run(std::move(spec));
  std::string words;
  if (status.exit_code != 0) {
    words = pip_failure_words(read_tail(log, before, kOutputLimit));
    if (!status.message.empty()) words += status.message;
    words = fmt::format("{} (exit code {}):\n{}", what, status.exit_code, words);
    while (words.ends_with('\n')) words.pop_back();
  }
  std::error_code ignored;
  fs::remove(own_log, ignored);
  co_return words;
}

// The link appears at once and only when everything stands.
void PythonBuilder::publish(const Build& build) {
  const fs::path fresh = build.folder.string() + ".link";
  fs::create_symlink(build.folder.filename(), fresh);
  fs::rename(fresh, build.link);
}

std::vector<fs::path> PythonBuilder::abandoned() const {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(envs_, error)) {
    const std::string name = entry.path().filename().string();
    const size_t dot = name.find('.');
    // <sha256>.<random>[.log|.link|.tmp], kfp-….<random>, python-….<random>, probe-….log
    if (dot == std::string::npos) continue;
    if (dot != 64 && !name.starts_with("kfp-") && !name.starts_with("python-") && !name.starts_with("probe-")) continue;
    if (dot == 64) {
      std::error_code none;
      const fs::path target = fs::read_symlink(envs_ / name.substr(0, dot), none);
      if (!none && target == name) continue;
    }
    found.push_back(entry.path());
  }
  return found;
}

Async<> PythonBuilder::stop() {
  stopping_ = true;
  co_await scope_.stop();
}

}  // namespace penstock::node
