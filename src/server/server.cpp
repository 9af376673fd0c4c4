#include "server/server.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <boost/asio/use_future.hpp>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "db/database.h"
#include "http/server.h"
#include "kube/embedded.h"
#include "kube/rest.h"
#include "metadata/metadata.h"
#include "node/oci/engine.h"
#include "node/oci/oci_spawner.h"
#include "node/agent.h"
#include "node/bundled_kfp.h"
#include "node/host/spawner.h"
#include "node/volumes.h"
#include "objects/engine.h"
#include "objects/s3/lifecycle.h"
#include "objects/s3/service.h"
#include "objects/s3/sse.h"
#include "objects/store.h"
#include "pipelines/api/api.h"
#include "pipelines/api/buckets.h"
#include "pipelines/api/recurring_scheduler.h"
#include "pipelines/api/retention.h"
#include "pipelines/argo/workflow.h"
#include "pipelines/engine/engine.h"
#include "pipelines/notify/webhook.h"
#include "pipelines/run/controller.h"
#include "server/bundled_examples.h"
#include "server/feed.h"
#include "server/feed_sources.h"
#include "server/openapi.h"
#include "server/overview.h"
#include "server/stream.h"
#include "server/web.h"
#include "registry/api.h"
#include "registry/lineage.h"
#include "registry/store.h"
#include "server/model_sources.h"
#include "server/namespace_keys.h"

namespace penstock::server {

using namespace std::chrono_literals;

namespace {

constexpr uint64_t kMaxObject = uint64_t{5} << 40;

// One server a data folder, for as long as this lives.
class DataLock {
 public:
  explicit DataLock(const std::filesystem::path& data) {
    std::error_code error;
    std::filesystem::create_directories(data, error);
    if (error)
      throw Error(Code::Unavailable, fmt::format("cannot make the data folder {}: {}", data.string(), error.message()));
    std::filesystem::permissions(data, std::filesystem::perms::owner_all, error);
    const auto path = data / "lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) throw_errno(fmt::format("cannot open {}", path.string()));
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      char owner[32] = {};
      [[maybe_unused]] const auto got = ::pread(fd_, owner, sizeof owner - 1, 0);
      ::close(fd_);
      throw Error(
          Code::Unavailable,
          fmt::format("the data folder {} is in use by another server{}{}: stop it, or choose another with --data",
                      data.string(), owner[0] ? ", process " : "", owner));
    }
    const auto pid = std::to_string(::getpid());
    [[maybe_unused]] const int truncated = ::ftruncate(fd_, 0);
    [[maybe_unused]] const auto written = ::pwrite(fd_, pid.data(), pid.size(), 0);
  }
  ~DataLock() { ::close(fd_); }
  DataLock(const DataLock&) = delete;

 private:
  int fd_;
};

int request_threads() { return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 16u)); }

// Limits that a server of many connections and tasks needs.
void raise_limits() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::signal(SIGPIPE, SIG_IGN);
  // Threads share few arenas: what one frees another uses, and an idle server stays small.
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

template <class Make>
auto wait_for(Loop& loop, Make make) {
  return asio::co_spawn(loop.executor(), on(loop.executor(), std::move(make)), asio::use_future).get();
}

bool uses_images(const Config& config) { return parse_runtime(config.runtime) == Runtime::Oci; }

std::filesystem::path engine_socket(const Config& config) {
  return config.container_engine.empty() ? node::find_engine_socket() : config.container_engine;
}

std::unique_ptr<node::Spawner> make_spawner(Loop& control, const Config& config) {
  if (uses_images(config)) return node::connect_oci_spawner(control, {config.data, engine_socket(config)});
  node::HelperOptions options;
  options.data = config.data;
  options.sandbox = config.sandbox == "auto";
  options.warm = config.warm_python;
  const auto envs = config.data / "envs";
  std::filesystem::create_directories(envs);
  options.shared_mounts.push_back({envs, envs.string(), true});
  return node::connect_spawner(control, std::move(options));
}

std::vector<std::filesystem::path> store_folders(const Config& config) {
  std::vector<std::filesystem::path> out;
  for (const std::string& folder : parse_list(config.store_folders)) {
    const std::filesystem::path path = folder;
    if (!path.is_absolute() || !std::filesystem::is_directory(path)) {
      throw Error(Code::InvalidArgument, fmt::format("store-folders: {:?} is no folder of this machine", folder),
                  "store-folders");
    }
    out.push_back(std::filesystem::canonical(path));
  }
  return out;
}

node::AgentOptions agent_options(const Config& config, kube::EmbeddedApi& api, bool sandbox) {
  node::AgentOptions options;
  options.data = config.data;
  options.cpus = config.cpus;
  options.memory = config.memory;
  options.gpus = config.gpus;
  options.python = config.python;
  options.sandbox = sandbox;
  options.host_folders = store_folders(config);
  options.images = uses_images(config);
  if (options.images) options.container_engine = engine_socket(config);
  options.written = [&api] { return api.await_written(); };
  return options;
}

stores::StoresOptions stores_options(const Config& config) {
  stores::StoresOptions options;
  options.providers = stores::read_providers(config.stores);
  options.hosts = parse_list(config.store_hosts);
  options.folders = store_folders(config);
  options.environment = stores::store_environment();
  return options;
}

pipelines::RunOptions run_options(const Config& config, objects::Store& objects, stores::Stores& stores, bool sandbox) {
  pipelines::RunOptions options;
  options.stores = &stores;
  options.data = config.data;
  options.objects = config.data / "objects";
  options.lay_out = [&objects](std::string_view uri) { objects.lay_out(uri); };
  options.make_bucket_of = [&objects](std::string_view uri) { objects.make_bucket_of(uri); };
  options.sandbox = sandbox;
  options.images = uses_images(config);
  options.caching = config.caching;
  options.scratch_folder = [data = config.data](std::string_view uid, std::string_view volume) {
    return node::pod_folder(data, uid) / "volumes" / volume;
  };
  options.claim_folder = [data = config.data](std::string_view ns, std::string_view claim) {
    return node::claim_folder(data, ns, claim);
  };
  return options;
}

pipelines::ApiOptions api_options(const Config& config) {
  pipelines::ApiOptions options;
  // As the reference names what it was built from.
  if (const char* commit = std::getenv("COMMIT_SHA")) options.commit_sha = commit;
  if (const char* tag = std::getenv("TAG_NAME")) options.tag_name = tag;
  options.package_hosts = parse_list(config.package_hosts);
  options.examples = bundled_examples();
  return options;
}

pipelines::WebhookOptions webhook_options(const Config& config) {
  pipelines::WebhookOptions options;
  options.url = config.webhook;
  if (config.webhook_secret_file.empty()) return options;
  std::ifstream file(config.webhook_secret_file);
  std::getline(file, options.secret);
  if (options.secret.empty()) {
    throw Error(Code::InvalidArgument,
                fmt::format("the webhook's secret cannot be read from {}", config.webhook_secret_file.string()),
                "webhook-secret-file");
  }
  return options;
}

constexpr std::string_view kS3Prefix = "/s3";

objects::Keys::Options key_options(const Config& config) {
  std::filesystem::create_directories(config.data / "s3");
  return {config.data / "s3" / "root-key", config.s3_access_key, config.s3_secret_key, config.s3_keys};
}

objects::S3Service::Options s3_options(const Config& config, std::string_view prefix) {
  objects::S3Service::Options options;
  options.prefix = prefix;
  options.domains = {config.s3_domain};
  options.region = config.s3_region;
  return options;
}

std::shared_ptr<const ir::Pipeline> read_spec(json::value spec, json::value platform) {
  return argo::read_either(std::move(spec), std::move(platform));
}

}  // namespace

// In the order in which they start; they end in the reverse one.
struct Server::Parts {
  explicit Parts(Config c)
      : config(std::move(c)),
        lock(config.data),
        control("control"),
        pool(std::max(2, request_threads())),
        database(config.data / "penstock.db", {kube::EmbeddedApi::migrations(), pipelines::Store::migrations(),
                                               metadata::Store::migrations(), registry::Store::migrations()}),
        api(database, control, clock),
        spawner(make_spawner(control, config)),
        sandbox_problem(config.sandbox == "none" && !uses_images(config) ? "switched off" : spawner->sandbox_problem()),
        agent(api, control, *spawner, agent_options(config, api, sandbox_problem.empty())),
        store(database, clock),
        artifacts(database),
        models(database, clock),
        model_sources(store, artifacts, api),
        specs({read_spec, engine::validate_parameters}),
        keys(key_options(config)),
        vault(config.data / "s3" / "master-key"),
        engine({config.data / "s3", config.data / "objects", keys.root().account.id}, clock),
        objects(config.data / "objects", &engine),
        stores(api, objects, stores_options(config)),
        s3(engine, keys, vault, s3_options(config, "")),
        s3_below(engine, keys, vault, s3_options(config, kS3Prefix)),
        runs(control, api, agent, store, artifacts, specs, clock, pool,
             run_options(config, objects, stores, sandbox_problem.empty())),
        recurring(control, api_context(), clock, config.time_zone),
        webhook(control, store, clock, webhook_options(config)),
        namespace_keys(control.executor(), api, keys),
        retention(control, api_context(), clock,
                  {.archive_after = config.archive_runs_after, .delete_after = config.delete_archived_runs_after}) {
    for (int i = 0; i < request_threads(); ++i) loops.push_back(std::make_unique<Loop>(fmt::format("http-{}", i)));
    try {
      begin();
    } catch (...) {
      // Most likely the port is in use. What has begun must not find its parts gone.
      wait_for(control, [this] { return end(); });
      throw;
    }
  }

  void begin() {
    artifacts.extend_lineage(model_lineage);
    tell_row_changes(database, feed);
    engine.set_unsealer(objects::unsealer(vault));
    wait_for(control, [this]() -> Async<> {
      co_await api.start();
      watches.spawn([this] { return tell_object_changes(api, kube::kPods, Change::Kind::Pod, feed); });
      watches.spawn([this] { return tell_object_changes(api, kube::kEvents, Change::Kind::Event, feed); });
      // Before the node: a process whose pod was not written yet when the last server died finds it made again.
      runs.set_on_changed([this](const pipelines::Run& run) {
        webhook.changed();
        if (!pipelines::is_final(run.state)) return;
        recurring.run_ended(run.recurring_run_id);
        give_back_memory();
      });
      co_await webhook.start();
      co_await runs.start();
      co_await agent.start();
      recurring.start();
      retention.start();
      namespace_keys.start();
    });
    add_routes();
    const auto endpoint = parse_endpoint(config.listen, "listen");
    http::ServerOptions options;
    options.host = endpoint.host;
    options.port = endpoint.port;
    options.large_body_prefixes = {std::string(kS3Prefix), fmt::format("{}/", pipelines::kBucketsPath),
                                   fmt::format("/pipeline{}/", pipelines::kBucketsPath)};
    options.large_body_bytes = kMaxObject;
    std::vector<Loop*> threads;
    for (const auto& loop : loops) threads.push_back(loop.get());
    http = std::make_unique<http::Server>(threads, router, options);
    engine.set_expirer(objects::run_lifecycle);
    if (config.s3_listen != "none") listen_for_s3(std::move(threads));
  }

  // A port of its own that nobody asked for may be taken, as by a second server of this machine.
  void listen_for_s3(std::vector<Loop*> threads) {
    const bool asked = !config.s3_listen.empty();
    const auto endpoint = parse_endpoint(asked ? config.s3_listen : std::string(kS3Listen), "s3-listen");
    s3.add_routes(s3_router);
    http::ServerOptions own;
    own.host = endpoint.host;
    own.port = endpoint.port;
    own.max_body_bytes = kMaxObject;
    own.body_timeout = 20s;  // as long as AWS waits
    try {
      s3_http = std::make_unique<http::Server>(std::move(threads), s3_router, own);
    } catch (const Error& error) {
      if (error.code() != Code::Unavailable) throw;
      if (asked) {
        throw Error(error.code(), fmt::format("{}: choose another with --s3-listen", error.message()), "s3-listen");
      }
      spdlog::warn("{}: the object store is only at http://{}{}; --s3-listen chooses another port", error.message(),
                   http->address(), kS3Prefix);
    }
  }

  // Of a wave of runs, once it is over: what the allocator keeps goes back to the system.
  void give_back_memory() {
    if (runs.active_runs() > 0) return;
    quiet.expires_after(std::chrono::seconds(2));
    quiet.async_wait([this](const boost::system::error_code& error) {
      if (!error && runs.active_runs() == 0) pool.post([] { malloc_trim(0); });
    });
  }

  // Processes run on.
  Async<> end() {
    quiet.cancel();
    co_await watches.stop();
    co_await namespace_keys.stop();
    co_await retention.stop();
    co_await recurring.stop();
    co_await runs.stop();
    co_await webhook.stop();
    co_await agent.stop();
    co_await api.flush();
  }

  pipelines::ApiContext api_context() {
    pipelines::ApiContext context{store, artifacts, objects, specs, runs, pool, api_options(config), &stores};
    context.holders = &model_sources;
    return context;
  }
  void add_routes();
  std::string metrics();

  Config config;
  DataLock lock;
  SystemClock clock;
  Loop control;
  BlockingPool pool;
  Feed feed;
  db::Database database;
  kube::EmbeddedApi api;
  std::unique_ptr<node::Spawner> spawner;
  std::string sandbox_problem;
  node::Agent agent;
  pipelines::Store store;
  metadata::Store artifacts;
  registry::ModelLineage model_lineage;
  registry::Store models;
  ModelSources model_sources;
  pipelines::SpecCache specs;
  objects::Keys keys;
  objects::Vault vault;  // of encrypted objects
  objects::Engine engine;
  objects::Store objects;
  stores::Stores stores;
  objects::S3Service s3, s3_below;  // at an address of its own, and below the main one
  pipelines::RunController runs;
  pipelines::RecurringScheduler recurring;
  pipelines::WebhookNotifier webhook;
  NamespaceKeys namespace_keys;
  pipelines::Retention retention;
  Scope watches{control.executor(), "changes"};
  Timer quiet{control.executor()};
  prometheus::Registry registry;
  http::Router router, s3_router;
  std::vector<std::unique_ptr<Loop>> loops;
  std::unique_ptr<http::Server> http, s3_http;
  bool stopped = false;
};

std::string Server::Parts::metrics() {
  auto metrics = registry.Collect();
  std::string text = prometheus::TextSerializer().Serialize(metrics);
  auto gauge = [&](std::string_view name, std::string_view help, double value) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{0} {2}\n", name, help, value);
  };
  const auto capacity = agent.capacity(), used = agent.used();
  gauge("penstock_runs_in_progress", "Runs that are not in a final state.", static_cast<double>(runs.active_runs()));
  gauge("penstock_pods_waiting", "Pods that wait for room on the node.", static_cast<double>(agent.waiting_pods()));
  text += fmt::format(
      "# HELP penstock_warm_starts_total Python steps that were forked from a process with their imports.\n"
      "# TYPE penstock_warm_starts_total counter\npenstock_warm_starts_total {}\n",
      agent.warm_starts());
  gauge("penstock_node_cpu_cores", "CPU cores of the node.", static_cast<double>(capacity.cpu_milli) / 1000);
  gauge("penstock_node_cpu_cores_requested", "CPU cores that running pods ask for.",
        static_cast<double>(used.cpu_milli) / 1000);
  gauge("penstock_node_memory_bytes", "Memory of the node.", static_cast<double>(capacity.memory));
  gauge("penstock_node_memory_bytes_requested", "Memory that running pods ask for.", static_cast<double>(used.memory));
  gauge("penstock_node_gpus", "GPUs of the node.", static_cast<double>(capacity.gpus));
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  text += fmt::format(
      "# HELP process_cpu_seconds_total CPU time of the server.\n# TYPE process_cpu_seconds_total counter\n"
      "process_cpu_seconds_total {}\n",
      cpu);
  long pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "re")) {
    long size = 0;
    if (std::fscanf(file, "%ld %ld", &size, &pages) != 2) pages = 0;
    std::fclose(file);
  }
  gauge("process_resident_memory_bytes", "Resident memory of the server.",
        static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  return text;
}

void Server::Parts::add_routes() {
  auto ok = [](http::Request&) -> Async<http::Response> { co_return http::text_response("ok"); };
  const http::RouteDoc health{.summary = "Whether it is well.", .response = "string", .response_media = "text/plain"};
  router.add(http::Method::Get, "/healthz", ok, health);
  router.add(http::Method::Get, "/livez", ok, health);
  router.add(
      http::Method::Get, "/readyz",
      [this](http::Request&) -> Async<http::Response> {
        // Ready is: the control loop turns and the database answers.
        co_await on(control.executor(), []() -> Async<> { co_return; });
        const bool answers = co_await database.read([](db::Connection& c) { return c.query("SELECT 1").next(); });
        co_return answers ? http::text_response("ok") : http::text_response("the database does not answer", 503);
      },
      health);
  router.add(
      http::Method::Get, "/metrics",
      [this](http::Request&) -> Async<http::Response> {
        std::string text = co_await on(control.executor(), [this]() -> Async<std::string> { co_return metrics(); });
        co_return http::text_response(std::move(text), 200, "text/plain; version=0.0.4; charset=utf-8");
      },
      {.summary = "Counts and sizes, as Prometheus reads them.", .response = "string", .response_media = "text/plain"});
  kube::add_routes(router, api, &agent);
  auto context = api_context();
  context.recurring = &recurring;
  context.retention = &retention;
  pipelines::add_routes(router, context);
  registry::add_routes(router, models, model_sources);
  runs.add_watch_route(router);
  s3_below.add_routes(router);
  pipelines::add_bucket_routes(router, {engine, s3_below});
  add_stream_route(router, feed);
  add_overview_routes(router, {.control = control,
                               .pool = pool,
                               .clock = clock,
                               .agent = agent,
                               .spawner = *spawner,
                               .api = api,
                               .store = store,
                               .data = config.data,
                               .version = version(),
                               .sandbox_problem = sandbox_problem,
                               .images = uses_images(config),
                               .time_zone = config.time_zone});
  add_openapi_route(router, version());
  add_web(router, {.loopback = is_loopback(parse_endpoint(config.listen, "listen").host),
                   .allowed_hosts = parse_list(config.allowed_hosts),
                   .s3_prefix = std::string(kS3Prefix)});
}

Server::Server(Config config) {
  raise_limits();
  check_config(config);
  if (!spdlog::get("penstock")) spdlog::set_default_logger(spdlog::stderr_logger_mt("penstock"));
  spdlog::set_level(spdlog::level::from_str(config.log_level));
  parts_ = std::make_unique<Parts>(std::move(config));
  if (!parts_->sandbox_problem.empty()) {
    spdlog::warn("steps run without a sandbox: {}", parts_->sandbox_problem);
  }
}

Server::~Server() { stop(std::chrono::milliseconds(0)); }

std::string Server::address() const { return parts_->http->address(); }
std::string Server::url() const { return "http://" + address(); }
std::string Server::s3_url() const {
  return parts_->s3_http ? "http://" + parts_->s3_http->address() : url() + std::string(kS3Prefix);
}
const Config& Server::config() const { return parts_->config; }

void Server::stop(std::chrono::milliseconds grace, bool end_tasks) {
  auto& parts = *parts_;
  if (parts.stopped) return;
  parts.stopped = true;
  const auto deadline = std::chrono::steady_clock::now() + grace;
  parts.feed.close();
  parts.http->stop(grace);
  if (parts.s3_http) {
    const auto left = deadline - std::chrono::steady_clock::now();
    parts.s3_http->stop(std::max(std::chrono::duration_cast<std::chrono::milliseconds>(left), 0ms));
  }
  wait_for(parts.control, [&parts, end_tasks]() -> Async<> {
    co_await parts.end();
    if (end_tasks) {
      for (const auto& process : co_await parts.spawner->list()) {
        if (process.running) parts.spawner->signal(process.id, SIGKILL);
        parts.spawner->forget(process.id);
      }
      // What was asked is on its way once the spawner's loop has turned twice: a helper that knows of processes stays.
      for (int turn = 0; turn < 2; ++turn) co_await parts.spawner->list();
    }
  });
  for (const auto& loop : parts.loops) loop->stop();
}

int wait_for_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  int got = 0;
  ::sigwait(&set, &got);
  return got;
}

int helper_main(int argc, char** argv) { return node::helper_main(argc, argv); }

std::string unpack_sdk(const std::string& data) { return node::unpack_bundled_kfp(data).string(); }

std::string version() { return PENSTOCK_VERSION; }

}  // namespace penstock::server
