// The `penstock` program.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <malloc.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "server/server.h"

using namespace penstock;

namespace {

std::string default_server() {
  if (const char* url = std::getenv("PENSTOCK_SERVER"); url != nullptr && *url) return url;
  return "http://127.0.0.1:8080";
}

// Options that `up` and `run` share. The config file is read before the options and variables that override it.
void add_config_options(CLI::App& command, server::Config& config) {
  command
      .add_option_function<std::string>(
          "--config", [&config](const std::string& file) { read_config_file(file, config); },
          "YAML file with any of these options")
      ->envname("PENSTOCK_CONFIG")
      ->trigger_on_parse();
  command.add_option("--data", config.data, "data folder (default: ~/.penstock)")->envname("PENSTOCK_DATA");
  command
      .add_option("--runtime", config.runtime,
                  "how pods run: auto and host: as processes of this machine; oci: as containers of their images")
      ->envname("PENSTOCK_RUNTIME");
  command
      .add_option("--container-engine", config.container_engine,
                  "the socket of Docker or Podman for --runtime oci (default: DOCKER_HOST, or where they have it)")
      ->envname("PENSTOCK_CONTAINER_ENGINE");
  command.add_option("--python", config.python, "interpreter for Python steps")->envname("PENSTOCK_PYTHON");
  command.add_option("--sandbox", config.sandbox, "auto, or none: steps are plain processes")
      ->envname("PENSTOCK_SANDBOX");
  command
      .add_option("--warm-python", config.warm_python,
                  "Python environments that keep a process from which steps are forked; 0: none")
      ->envname("PENSTOCK_WARM_PYTHON");
  command.add_option("--log-level", config.log_level, "trace, debug, info, warn, error")->envname("PENSTOCK_LOG_LEVEL");
  command.add_option("--caching", config.caching, "false: no step takes the outputs of an earlier one")
      ->envname("PENSTOCK_CACHING");
  command.add_option("--cpus", config.cpus, "cores that steps may ask for (default: the machine's)")
      ->envname("PENSTOCK_CPUS");
  command.add_option("--memory", config.memory, "bytes that steps may ask for")->envname("PENSTOCK_MEMORY");
  command.add_option("--gpus", config.gpus, "GPUs that steps may ask for")->envname("PENSTOCK_GPUS");
}

int run_command(int argc, char** argv) {
  CLI::App app{"Penstock: machine-learning pipelines in one program", "penstock"};
  app.set_version_flag("--version", server::version());
  app.require_subcommand(1);
  int status = 0;

  server::Config config;
  auto* up = app.add_subcommand("up", "start the server");
  add_config_options(*up, config);
  up->add_option("--listen", config.listen, "HOST:PORT")->envname("PENSTOCK_LISTEN")->capture_default_str();
  up->add_option(
        "--s3-listen", config.s3_listen,
        fmt::format("HOST:PORT of the object store, or none (default: {} unless it is in use)", server::kS3Listen))
      ->envname("PENSTOCK_S3_LISTEN");
  up->add_option("--s3-access-key", config.s3_access_key, "the root access key (default: in DATA/s3/root-key)")
      ->envname("PENSTOCK_S3_ACCESS_KEY");
  up->add_option("--s3-secret-key", config.s3_secret_key, "its secret")->envname("PENSTOCK_S3_SECRET_KEY");
  up->add_option("--s3-keys", config.s3_keys, "YAML file with more access keys")->envname("PENSTOCK_S3_KEYS");
  up->add_option("--s3-domain", config.s3_domain, "buckets are also found at BUCKET.DOMAIN")
      ->envname("PENSTOCK_S3_DOMAIN")
      ->capture_default_str();
  up->add_option("--s3-region", config.s3_region, "the region that buckets are in")
      ->envname("PENSTOCK_S3_REGION")
      ->capture_default_str();
  up->add_option("--webhook", config.webhook, "URL that is told of every change of a run's state")
      ->envname("PENSTOCK_WEBHOOK");
  up->add_option("--webhook-secret-file", config.webhook_secret_file, "file with the secret that signs it")
      ->envname("PENSTOCK_WEBHOOK_SECRET_FILE");
  const auto add_duration = [up](const std::string& name, std::chrono::seconds& into, const std::string& meaning) {
    const auto read = [name, &into](const std::string& text) { into = server::parse_duration(text, name.substr(2)); };
    return up->add_option_function<std::string>(name, read, meaning);
  };
  add_duration("--archive-runs-after", config.archive_runs_after, "archive runs so long after their end: 30d")
      ->envname("PENSTOCK_ARCHIVE_RUNS_AFTER");
  add_duration("--delete-archived-runs-after", config.delete_archived_runs_after,
               "delete archived runs, with artifacts and logs, so long after their end: 90d")
      ->envname("PENSTOCK_DELETE_ARCHIVED_RUNS_AFTER");
  up->add_option("--allowed-hosts", config.allowed_hosts,
                 "HOST,HOST: names of this server besides localhost, and sites whose pages may use it")
      ->envname("PENSTOCK_ALLOWED_HOSTS");
  up->add_option("--package-hosts", config.package_hosts,
                 "HOST,HOST from which pipeline packages may be fetched over HTTP and at private addresses")
      ->envname("PENSTOCK_PACKAGE_HOSTS");
  up->add_option("--stores", config.stores, "YAML file that says how other object stores are reached")
      ->envname("PENSTOCK_STORES");
  up->add_option("--store-hosts", config.store_hosts,
                 "HOST,HOST that URIs of artifacts may name over HTTP and at private addresses")
      ->envname("PENSTOCK_STORE_HOSTS");
  up->add_option("--store-folders", config.store_folders, "PATH,PATH whose files file:// URIs may name")
      ->envname("PENSTOCK_STORE_FOLDERS");
  up->add_option("--time-zone", config.time_zone, "of cron expressions that name none")
      ->envname("PENSTOCK_TIME_ZONE")
      ->capture_default_str();
  up->add_flag("--insecure", config.insecure, "listen beyond loopback though nobody has to log in")
      ->envname("PENSTOCK_INSECURE");
  bool until_input_ends = false;
  up->add_flag("--until-input-ends", until_input_ends,
               "stop, and end the steps, when standard input closes: for a program that starts its own server");
  up->callback([&] { status = cli::up(config, until_input_ends); });

  cli::RunArguments arguments;
  std::string format = "table";
  const auto add_format = [&format](CLI::App* command) {
    command->add_option("-o,--output", format, "table, json or yaml")->capture_default_str();
  };
  auto* run = app.add_subcommand("run", "run a pipeline to its end, with no server up");
  run->add_option("file", arguments.file, "PIPELINE.yaml or SCRIPT.py")->required();
  run->add_option("-p,--param", arguments.parameters, "name=value, as often as needed")->allow_extra_args(false);
  run->add_option("--function", arguments.function, "the pipeline function of a script that has several");
  run->add_option("--name", arguments.name, "the run's name");
  run->add_option("--server", arguments.server, "use this server instead of one of its own");
  run->add_flag("!--no-cache", arguments.caching, "run tasks though their outputs are known");
  add_config_options(*run, arguments.config);
  add_format(run);
  run->callback([&] {
    arguments.format = cli::parse_format(format);
    status = cli::run(arguments);
  });

  std::string url = default_server(), what, name, task;
  bool follow = false;
  const auto add_server = [&url](CLI::App* command) {
    command->add_option("--server", url, "the server's address")->envname("PENSTOCK_SERVER")->capture_default_str();
  };
  auto* get = app.add_subcommand("get", "show runs, one run, pipelines, experiments or pods");
  get->add_option("what", what, "runs | run | pipelines | experiments | pods")->required();
  get->add_option("name", name, "for run: its id, the beginning of its id, or its name");
  add_server(get);
  add_format(get);
  get->callback([&] { status = cli::get(cli::Client(url), what, name, cli::parse_format(format)); });

  auto* logs = app.add_subcommand("logs", "show the log of a run's tasks");
  logs->add_option("run", name, "the run's id, the beginning of its id, or its name")->required();
  logs->add_option("task", task, "a task's name or id");
  logs->add_flag("-f,--follow", follow, "go on until the task ends");
  add_server(logs);
  logs->callback([&] { status = cli::logs(cli::Client(url), name, task, follow); });

  auto* cancel = app.add_subcommand("cancel", "end a run");
  cancel->add_option("run", name, "the run's id, the beginning of its id, or its name")->required();
  add_server(cancel);
  cancel->callback([&] { status = cli::cancel(cli::Client(url), name); });

  auto* models = app.add_subcommand("models", "the model registry");
  models->require_subcommand(1);
  auto* list_models = models->add_subcommand("list", "show registered models and their versions");
  add_server(list_models);
  add_format(list_models);
  list_models->callback([&] { status = cli::list_models(cli::Client(url), cli::parse_format(format)); });
  cli::RegisterArguments registered;
  auto* register_model = models->add_subcommand("register", "make a model version of what a run made");
  register_model->add_option("run", registered.run, "the run's id, the beginning of its id, or its name")->required();
  register_model->add_option("--model", registered.model, "the model's name; it is made when there is none")
      ->required();
  register_model->add_option("--version", registered.version, "the version's name (default: the next number)");
  register_model->add_option("--task", registered.task, "the task that made it (default: the one that made a model)");
  register_model->add_option("--artifact", registered.output, "the name of the task's output");
  register_model->add_option("--description", registered.description, "of the version");
  register_model->add_option("--alias", registered.aliases, "names for the version, as champion");
  add_server(register_model);
  add_format(register_model);
  register_model->callback(
      [&] { status = cli::register_model(cli::Client(url), registered, cli::parse_format(format)); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "node-helper") == 0) return server::helper_main(argc, argv);
  // Work comes in waves: memory that one wave gives back, the next one wants.
  mallopt(M_TRIM_THRESHOLD, 8 << 20);
  // Blocked before any thread starts: they are waited for.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  try {
    return run_command(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "penstock: %s\n", error.message().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "penstock: %s\n", error.what());
  }
  return 2;
}
