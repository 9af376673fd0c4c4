#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/commands.h"
#include "http/message.h"
#include "server/server.h"

extern char** environ;

namespace penstock::cli {

namespace {

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw not_found("cannot read {}: {}", path, std::strerror(errno));
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// A folder that is removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("cannot make a temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Runs a program to its end with our stderr; what it prints is dropped.
int call(const std::vector<std::string>& command, const std::vector<std::string>& extra_env) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);

  std::vector<char*> argv, env;
  for (const auto& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::string_view(*entry).find('='));
    const bool replaced = std::any_of(extra_env.begin(), extra_env.end(), [&](const std::string& extra) {
      return extra.starts_with(std::string(name) + "=");
    });
    if (!replaced) env.push_back(*entry);
  }
  for (const auto& entry : extra_env) env.push_back(const_cast<char*>(entry.c_str()));
  env.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int result = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (result != 0) throw not_found("cannot run {}: {}", command[0], std::strerror(result));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The pipeline of a script, compiled with the kfp package that comes with this program.
std::string compile_script(const RunArguments& arguments, const std::filesystem::path& scratch) {
  const auto sdk = server::unpack_sdk(scratch.string());
  // JSON, which is YAML: so the interpreter needs no PyYAML.
  const auto out = (scratch / "pipeline.json").string();
  const std::string python = arguments.config.python.empty() ? "python3" : arguments.config.python;
  std::vector<std::string> command = {python, "-m",           "kfp.cli",  "dsl", "compile",
                                      "--py", arguments.file, "--output", out};
  if (!arguments.function.empty()) {
    command.push_back("--function");
    command.push_back(arguments.function);
  }
  std::string python_path = sdk;
  if (const char* old = std::getenv("PYTHONPATH"); old != nullptr && *old) python_path += std::string(":") + old;
  std::fflush(stdout);
  if (call(command, {"PYTHONPATH=" + python_path}) != 0) throw invalid("{} was not compiled", arguments.file);
  return read_file(out);
}

// "name=value" by the type that the pipeline declares for it.
json::object parameters_of(const RunArguments& arguments, const json::value& spec) {
  json::object parameters;
  for (const auto& text : arguments.parameters) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) throw invalid("-p {}: it is not name=value", text);
    const auto name = text.substr(0, equals);
    const auto value = text.substr(equals + 1);
    const auto* definition = find_path(spec, {"root", "inputDefinitions", "parameters", name});
    const auto type = definition ? string_at(*definition, {"parameterType"}, "STRING") : "STRING";
    if (type == "STRING") {
      parameters[name] = value;
      continue;
    }
    try {
      parameters[name] = parse_json(value);
    } catch (const Error&) {
      throw invalid("-p {}: \"{}\" is no {}", name, value, type);
    }
  }
  return parameters;
}

// Shows tasks as they go: plain lines, or on a terminal finished tasks above one line that tells what is under way.
class Progress {
 public:
  explicit Progress(bool terminal) : terminal_(terminal) {}

  // False once the run is in a final state.
  bool line(const json::value& event) {
    if (const auto* run = find(event, "run")) {
      const auto state = string_at(*run, {"state"});
      final_ = state == "SUCCEEDED" || state == "FAILED" || state == "CANCELED" || state == "SKIPPED";
      if (final_) state_ = state;
      return !final_;
    }
    const auto* task = find(event, "task");
    if (task == nullptr) return true;
    const auto type = string_at(*task, {"type"});
    if (type != "RUNTIME" && type != "IMPORTER") return true;
    const auto id = string_at(*task, {"task_id"});
    const auto state = string_at(*task, {"state"});
    auto& known = states_[id];
    std::string name = string_at(*task, {"path"});
    if (name.starts_with("root/")) name = name.substr(5);
    name = printable(name);
    tell_waiting(id, name, printable(string_at(*task, {"waiting"})));
    if (known == state) return true;
    if (known == "RUNNING") --running_;
    if (state == "RUNNING") ++running_;
    known = state;
    const bool ended = state != "RUNNING" && state != "PENDING";
    if (ended) ++ended_;
    if (terminal_) {
      std::printf("\r\033[K");
      if (ended) std::printf("%s %s%s\n", mark(state), name.c_str(), time_of(*task).c_str());
      std::printf("  %d done, %d running%s%s", ended_, running_, state == "RUNNING" ? ": " : "",
                  state == "RUNNING" ? name.c_str() : "");
    } else if (state != "PENDING") {
      std::printf("%s %s%s\n", state.c_str(), name.c_str(), time_of(*task).c_str());
    }
    std::fflush(stdout);
    return true;
  }

  void end() {
    if (terminal_) std::printf("\r\033[K");
    std::fflush(stdout);
  }
  const std::string& state() const { return state_; }

 private:
  void tell_waiting(const std::string& id, const std::string& name, const std::string& reason) {
    auto& told = waiting_[id];
    if (told == reason) return;
    told = reason;
    if (reason.empty()) return;
    std::printf("%sPENDING %s: %s\n", terminal_ ? "\r\033[K" : "", name.c_str(), reason.c_str());
    std::fflush(stdout);
  }
  static const char* mark(const std::string& state) {
    if (state == "SUCCEEDED") return "\033[32m✓\033[0m";
    if (state == "CACHED") return "\033[36m≡\033[0m";
    if (state == "FAILED") return "\033[31m✗\033[0m";
    return "\033[2m-\033[0m";
  }
  static std::string time_of(const json::value& task) {
    const auto text = duration_text(string_at(task, {"start_time"}), string_at(task, {"end_time"}));
    return text.empty() ? "" : " (" + text + ")";
  }

  bool terminal_;
  bool final_ = false;
  std::string state_;
  std::map<std::string, std::string> states_, waiting_;  // by task id
  int running_ = 0, ended_ = 0;
};

// Of a PipelineSpec or of a workflow of the v1 SDK.
std::string name_of(const json::value& spec) {
  auto name = string_at(spec, {"pipelineInfo", "name"}, string_at(spec, {"pipeline_spec", "pipelineInfo", "name"}));
  if (name.empty()) name = string_at(spec, {"metadata", "name"}, string_at(spec, {"metadata", "generateName"}));
  while (name.ends_with('-')) name.pop_back();
  return name;
}

std::string submit(const Client& client, const RunArguments& arguments, json::value spec, json::object parameters) {
  const auto pipeline_name = name_of(spec);
  json::object run{{"display_name", arguments.name.empty() ? pipeline_name : arguments.name},
                   {"pipeline_spec", std::move(spec)},
                   {"runtime_config", {{"parameters", std::move(parameters)}}}};
  return string_at(client.post("/apis/v2beta1/runs", run), {"run_id"});
}

// Turns SIGINT and SIGTERM, which are blocked, into a cancellation of the run; a second one is taken as it is.
class Interrupter {
 public:
  explicit Interrupter(std::function<void()> cancel) {
    thread_ = std::thread([this, cancel = std::move(cancel)] {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGINT);
      sigaddset(&set, SIGTERM);
      sigaddset(&set, SIGUSR1);
      int got = 0;
      ::sigwait(&set, &got);
      if (got == SIGUSR1) return;
      interrupted_ = true;
      pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
      cancel();
    });
  }
  ~Interrupter() {
    if (!interrupted_) pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }
  bool interrupted() const { return interrupted_; }

 private:
  std::thread thread_;
  std::atomic<bool> interrupted_ = false;
};

void switch_caching_off(json::value& spec) {
  auto* object = spec.if_object();
  if (object == nullptr) return;
  for (auto& [key, member] : *object) {
    if (key == "cachingOptions" && member.is_object()) {
      member.as_object()["enableCache"] = false;
    } else if (key == "pipelines.kubeflow.org/enable_caching") {
      member = "false";
    } else if (member.is_object()) {
      switch_caching_off(member);
    }
  }
}

}  // namespace

int run(RunArguments arguments) {
  if (!std::filesystem::exists(arguments.file)) throw not_found("there is no file {}", arguments.file);
  TemporaryFolder scratch;
  std::string text =
      arguments.file.ends_with(".py") ? compile_script(arguments, scratch.path()) : read_file(arguments.file);
  auto documents = parse_yaml(text);
  if (documents.empty() || !documents[0].is_object()) throw invalid("{} holds no pipeline", arguments.file);
  json::value spec = documents[0];
  const auto* inner = find(spec, "pipeline_spec");
  auto parameters = parameters_of(arguments, inner ? *inner : spec);
  if (!arguments.caching) switch_caching_off(spec);
  if (documents.size() > 1) spec = json::object{{"pipeline_spec", spec}, {"platform_spec", documents[1]}};

  std::unique_ptr<server::Server> own;
  std::string url = arguments.server;
  if (url.empty()) {
    auto config = arguments.config;
    if (config.data.empty()) config.data = scratch.path() / "data";
    config.listen = "127.0.0.1:0";
    config.s3_listen = "none";
    if (config.log_level == "info") config.log_level = "warn";
    own = std::make_unique<server::Server>(config);
    url = own->url();
  }
  const Client client(url);
  const std::string id = submit(client, arguments, std::move(spec), std::move(parameters));
  const bool table = arguments.format == Format::Table;
  Progress progress(table && ::isatty(1));
  std::string pending;
  bool interrupted = false;
  {
    Interrupter interrupter([&] {
      try {
        client.post("/apis/v2beta1/runs/" + id + ":terminate", json::object());
      } catch (const Error& error) {
        std::fprintf(stderr, "penstock: %s\n", error.message().c_str());
      }
    });
    client.stream("/apis/v2beta1/runs/" + id + ":watch", [&](std::string_view piece) {
      pending += piece;
      size_t end;
      while ((end = pending.find('\n')) != std::string::npos) {
        const auto event = parse_json(pending.substr(0, end));
        pending.erase(0, end + 1);
        if (table) {
          if (!progress.line(event)) return false;
        } else if (const auto state = string_at(event, {"run", "state"});
                   state == "SUCCEEDED" || state == "FAILED" || state == "CANCELED") {
          return false;
        }
      }
      return true;
    });
    interrupted = interrupter.interrupted();
  }
  progress.end();
  const auto result = client.get("/apis/v2beta1/runs/" + id);
  if (table) {
    print_run(client, result);
    const auto message = string_at(result, {"error", "message"});
    if (!message.empty()) std::printf("\n%s\n", message.c_str());
  } else {
    print(result, arguments.format);
  }
  if (own) own->stop(std::chrono::milliseconds(500), true);
  const auto state = string_at(result, {"state"});
  if (interrupted) return 130;
  return state == "SUCCEEDED" ? 0 : state == "CANCELED" ? 3 : 1;
}

int up(server::Config config, bool until_input_ends) {
  server::Server server(std::move(config));
  std::printf("penstock %s is ready at %s (S3 at %s, data in %s)\n", server::version().c_str(), server.url().c_str(),
              server.s3_url().c_str(), server.config().data.c_str());
  std::fflush(stdout);
  if (!until_input_ends) {
    server::wait_for_signal();
    server.stop(std::chrono::seconds(10));
    return 0;
  }
  // Its read of standard input cannot be interrupted, so the thread is left to the end of the process.
  std::thread([] {
    char buffer[256];
    ssize_t got = 0;
    while ((got = ::read(0, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR)) {
    }
    ::kill(::getpid(), SIGTERM);
  }).detach();
  server::wait_for_signal();
  server.stop(std::chrono::milliseconds(500), true);
  return 0;
}

}  // namespace penstock::cli
