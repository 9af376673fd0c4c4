#include "node/oci/container.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <sys/resource.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/error.h"
#include "node/python_bootstrap.h"

namespace penstock::node {

namespace {

json::array strings(std::vector<std::string>::const_iterator begin, std::vector<std::string>::const_iterator end) {
  json::array out;
  for (; begin != end; ++begin) out.emplace_back(*begin);
  return out;
}

json::object bind_mount(const std::filesystem::path& source, std::string_view target, bool read_only) {
  return {{"Type", "bind"}, {"Source", source.string()}, {"Target", target}, {"ReadOnly", read_only}};
}

// GPUs are handed over by the engine, with their libraries; other devices as they are.
void add_devices(const ProcessSpec& spec, json::object& host) {
  constexpr std::string_view kGpu = "/dev/nvidia";
  json::array gpus, devices;
  for (const std::string& device : spec.devices) {
    const std::string number = device.starts_with(kGpu) ? device.substr(kGpu.size()) : "";
    if (!number.empty() && number.find_first_not_of("0123456789") == std::string::npos) {
      gpus.emplace_back(number);
    } else if (!device.starts_with(kGpu)) {
      devices.push_back(
          json::object{{"PathOnHost", device}, {"PathInContainer", device}, {"CgroupPermissions", "rwm"}});
    }
  }
  if (!devices.empty()) host["Devices"] = std::move(devices);
  if (gpus.empty()) return;
  host["DeviceRequests"] = json::array{json::object{
      {"Driver", "nvidia"}, {"DeviceIDs", std::move(gpus)}, {"Capabilities", json::array{json::array{"gpu"}}}}};
}

// As many files as this server may have, and as many processes as an engine surely has itself. Said always: an engine's
// own defaults may be over what it may set, and Podman before 4.4 takes its default's soft and hard limit for each
// other.
json::array own_limits() {
  constexpr rlim_t kMostProcesses = 32'768;
  json::array limits;
  auto add = [&](const char* name, rlim_t value) {
    limits.push_back(json::object{{"Name", name}, {"Soft", value}, {"Hard", value}});
  };
  rlimit files = {}, processes = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max != RLIM_INFINITY) add("nofile", files.rlim_max);
  if (getrlimit(RLIMIT_NPROC, &processes) == 0) add("nproc", std::min(processes.rlim_max, kMostProcesses));
  return limits;
}

json::object host_config(const ProcessSpec& spec) {
  json::array mounts;
  if (!spec.tmp.empty()) mounts.push_back(bind_mount(spec.tmp, "/tmp", false));
  for (const Mount& mount : spec.mounts) mounts.push_back(bind_mount(mount.source, mount.target, mount.read_only));
  json::object host{{"Mounts", std::move(mounts)}, {"NetworkMode", "host"}};
  host["Ulimits"] = own_limits();
  if (spec.memory_limit != 0) {
    host["Memory"] = spec.memory_limit;
    host["MemorySwap"] = spec.memory_limit;
  }
  if (spec.cpu_limit > 0) host["NanoCpus"] = static_cast<int64_t>(spec.cpu_limit * 1e9);
  if (spec.pids_limit > 0) host["PidsLimit"] = spec.pids_limit;
  add_devices(spec, host);
  return host;
}

// "docker.io" for names that have no registry of their own.
std::string registry_of(std::string_view image) {
  const size_t slash = image.find('/');
  const std::string_view first = image.substr(0, slash);
  const bool is_host =
      slash != std::string_view::npos &&
      (first.find('.') != std::string_view::npos || first.find(':') != std::string_view::npos || first == "localhost");
  return is_host ? std::string(first) : "docker.io";
}

// "https://index.docker.io/v1/" and "docker.io" are one.
std::string registry_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  const std::string host(key.substr(0, key.find('/')));
  return host == "index.docker.io" || host == "registry-1.docker.io" ? "docker.io" : host;
}

std::string url_safe(std::string text) {
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

// For a POSIX shell.
std::string shell_quoted(std::string_view word) {
  std::string out = "'";
  for (const char c : word) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

}  // namespace

LogPlace log_of(const json::object& labels) {
  LogPlace place{get_string(labels, kLogLabel), 0};
  const std::string limit = get_string(labels, kLogLimitLabel);
  std::from_chars(limit.data(), limit.data() + limit.size(), place.limit);
  return place;
}

std::string container_name(const ProcessSpec& spec, const std::filesystem::path& data) {
  return "penstock-" + sha256_hex(data.string() + "\n" + spec.id).substr(0, 24);
}

json::object container_config(const ProcessSpec& spec, const std::filesystem::path& data) {
  json::object config{
      {"Image", spec.image},
      {"Env", strings(spec.env.begin(), spec.env.end())},
      {"Labels", json::object{{kDataLabel, data.string()},
                              {kIdLabel, spec.id},
                              {kLogLabel, spec.log.string()},
                              {kLogLimitLabel, std::to_string(spec.log_limit)}}},
      {"HostConfig", host_config(spec)},
  };
  if (!spec.cwd.empty()) config["WorkingDir"] = spec.cwd;
  if (!spec.user.empty()) config["User"] = spec.user;
  const auto& argv = spec.argv;
  if (!spec.image_entrypoint && !argv.empty()) {
    config["Entrypoint"] = strings(argv.begin(), argv.begin() + 1);
    config["Cmd"] = strings(argv.begin() + 1, argv.end());
  } else if (!argv.empty()) {
    config["Cmd"] = strings(argv.begin(), argv.end());
  }
  return config;
}

bool read_state(const json::object& container, bool killed, ProcessStatus& status) {
  const auto* state = find_object(container, "State");
  if (state == nullptr) throw internal("the engine says nothing of the container's state");
  if (const auto began = parse_time(get_string(*state, "StartedAt"))) status.started_at = *began;
  const auto* running = find(*state, "Running");
  const bool runs = running != nullptr && running->is_bool() && running->get_bool();
  if (runs || get_string(*state, "Status") == "created") return false;
  status.exit_code = 0;
  if (const auto* code = find(*state, "ExitCode"); code != nullptr && code->is_number()) {
    status.exit_code = code->to_number<int>();
  }
  status.signal = status.exit_code > 128 && status.exit_code < 128 + 65 ? status.exit_code - 128 : 0;
  const auto* told = find(*state, "OOMKilled");
  const auto* host = find_object(container, "HostConfig");
  const bool limited = host != nullptr && get_int(*host, "Memory") > 0;
  status.oom_killed = (told != nullptr && told->is_bool() && told->get_bool()) ||
                      (limited && !killed && status.exit_code == 128 + SIGKILL);
  if (const std::string error = get_string(*state, "Error"); !error.empty()) status.message = error;
  const auto ended = parse_time(get_string(*state, "FinishedAt"));
  status.finished_at = ended && *ended > Time{} ? *ended : SystemClock().now();
  status.pid = 0;
  return true;
}

std::string registry_auth(std::string_view docker_config, std::string_view image) {
  json::value config;
  try {
    config = json::parse(docker_config);
  } catch (const std::exception&) {
    return {};
  }
  const auto* auths = config.is_object() ? find_object(config.get_object(), "auths") : nullptr;
  if (auths == nullptr) return {};
  const std::string registry = registry_of(image);
  for (const auto& [key, value] : *auths) {
    if (!value.is_object() || registry_key(to_view(key)) != registry) continue;
    std::string user = get_string(value.get_object(), "username"),
                password = get_string(value.get_object(), "password");
    const auto both = base64_decode(get_string(value.get_object(), "auth"));
    if (user.empty() && both && both->find(':') != std::string::npos) {
      user = both->substr(0, both->find(':'));
      password = both->substr(both->find(':') + 1);
    }
    return url_safe(base64_encode(
        to_text(json::object{{"username", user}, {"password", password}, {"serveraddress", to_view(key)}})));
  }
  return {};
}

ImageCommand command_in_image(std::vector<std::string> argv) {
  const auto bootstrap = parse_bootstrap(argv);
  if (!bootstrap || !bootstrap->wants_kfp || bootstrap->user_kfp) return {std::move(argv), false};
  ImageCommand command{{}, true};
  if (!bootstrap->installs.empty()) {
    std::string script;
    for (const PipInstall& install : bootstrap->installs) {
      script += "python3 -m pip install --quiet --no-warn-script-location --disable-pip-version-check";
      for (const auto& option : install.options) script += " " + shell_quoted(option);
      for (const auto& requirement : install.requirements) script += " " + shell_quoted(requirement);
      script += " && ";
    }
    command.argv = {"sh", "-c", script + "exec \"$0\" \"$@\""};
  }
  command.argv.insert(command.argv.end(), argv.begin() + static_cast<std::ptrdiff_t>(bootstrap->rest), argv.end());
  return command;
}

}  // namespace penstock::node
