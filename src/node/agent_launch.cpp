// How a container gets from its spec to a process.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "node/agent_state.h"
#include "node/capacity.h"
#include "node/oci/container.h"
#include "node/quantity.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<std::string> expanded(const json::object& container, std::string_view member, const EnvList& env) {
  std::vector<std::string> words;
  const auto* list = find_array(container, member);
  if (!list) return words;
  for (const auto& item : *list) {
    if (!item.is_string()) throw invalid("{} must be strings", member);
    words.push_back(expand(to_view(item.get_string()), env));
  }
  return words;
}

// Of variables that all pods of a kind may have, those whose values are each one's own. Of plain processes also where
// its /tmp is.
std::vector<std::string> own_variables(bool sandboxed) {
  std::vector<std::string> names = {"HOSTNAME", "KFP_POD_NAME", "KFP_POD_UID", "KFP_RETRY_INDEX"};
  if (!sandboxed) names.insert(names.end(), {"HOME", "TMPDIR"});
  return names;
}

}  // namespace

bool Agent::State::sandboxed() const { return options.sandbox && spawner.sandbox_problem().empty(); }

fs::path Agent::State::log_of(const json::object& pod, std::string_view container) const {
  return log_path(options.data, kube::namespace_of(pod), kube::name_of(pod), kube::uid_of(pod), container);
}

Async<ConfigObjects> Agent::State::fetch(PodPtr pod) {
  ConfigObjects objects;
  for (const auto& ref : config_refs(*pod->object)) {
    const auto& resource = ref.kind == ConfigKind::Secret      ? kube::kSecrets
                           : ref.kind == ConfigKind::ConfigMap ? kube::kConfigMaps
                                                               : kube::kPersistentVolumeClaims;
    kube::Object object;
    try {
      object = co_await api.get(resource, pod->ns, ref.name);
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) throw;
    }
    objects[ref] = std::move(object);
  }
  co_return objects;
}

// Everything that the process needs, or why it cannot be had.
Async<Agent::State::Launchable> Agent::State::prepare(PodPtr pod, Launch wanted) {
  const auto object = pod->object;
  const auto* container = container_of(*object, wanted.container);
  Launchable result;
  try {
    const auto objects = co_await fetch(pod);
    // Files of volumes are written off this loop; a pod without any needs only a folder or two.
    PodFiles files;
    VolumeOptions volumes = volume_options;
    if (images) volumes.image_volumes = co_await image_volumes(*object, objects);
    if (find_array(object->at("spec").get_object(), "volumes")) {
      files = co_await pool->run([&] { return prepare_files(*object, objects, context, volumes); });
    } else {
      files = prepare_files(*object, objects, context, volumes);
    }
    pod->has_folder = pod->has_folder || files.own_folder;
    auto env = container_env(*object, *container, objects, context, base_env(*pod, files));
    result.process = process_of(*pod, *container, wanted, files);
    result.process.mounts = container_mounts(*container, files, env);
    auto command = command_of(*pod, *container, files, env);
    Prepared prepared;
    if (options.images) {
      set_image(*object, *container, objects, result.process);
      prepared = in_image(std::move(command), result.process);
    } else if (python) {
      prepared = co_await python->prepare(std::move(command));
    } else {
      prepared.argv = std::move(command.command);
      prepared.argv.insert(prepared.argv.end(), command.args.begin(), command.args.end());
    }
    for (auto& [name, value] : prepared.env) set_env(env, name, std::move(value));
    for (const auto& [name, value] : env) result.process.env.push_back(name + "=" + value);
    result.process.argv = std::move(prepared.argv);
    result.process.warm = std::move(prepared.warm);
    result.process.warm.own = own_variables(sandboxed());
    result.python_failed = !prepared.failure.empty();
    result.failure = std::move(prepared.failure);
  } catch (const ConfigMissing& error) {
    result.missing = error.message();
  } catch (const Error& error) {
    result.failure = error.field().empty() ? error.message() : error.field() + ": " + error.message();
  } catch (const fs::filesystem_error& error) {
    result.failure = error.what();
  }
  co_return result;
}

Async<> Agent::State::launch(PodPtr pod, Launch wanted) {
  const auto changes = config_changes;
  auto ready = co_await prepare(pod, wanted);
  if (!ready.missing.empty()) {
    config_waiters[pod->ns].insert(pod->uid);
    auto effects = pod->life.waiting(wanted, "CreateContainerConfigError", ready.missing);
    if (effects.changed) tell(pod, "Failed", "Error: " + ready.missing);
    apply(pod, std::move(effects));
    if (changes != config_changes) config_changed(pod->ns);  // it came while we looked
  } else if (ready.python_failed) {
    apply(pod, pod->life.cannot_start(wanted, "Error", ready.failure, 1, clock.now()));
  } else if (!ready.failure.empty()) {
    tell(pod, "Failed", "Error: " + ready.failure);
    apply(pod, pod->life.cannot_start(wanted, "ContainerCannotRun", ready.failure, 128, clock.now()));
  } else if (pod->life.wants(wanted)) {  // not stopped meanwhile
    spawner.start(std::move(ready.process));
    apply(pod, pod->life.spawned(wanted));
  }
}

EnvList Agent::State::base_env(const AgentPod& pod, const PodFiles& files) const {
  const char* path = std::getenv("PATH");
  EnvList env;
  if (!options.images) {  // which say so themselves
    env.emplace_back("PATH", path && *path ? path : std::string(kDefaultPath));
    env.emplace_back("HOME", sandboxed() ? "/tmp" : files.tmp.string());
    env.emplace_back("LANG", "C.UTF-8");
  }
  env.emplace_back("HOSTNAME", pod.name);
  if (!sandboxed()) env.emplace_back("TMPDIR", files.tmp.string());
  if (!gpu_numbers.empty()) {
    // Also for a pod without GPUs: it must not find those of others.
    const auto ids = fmt::format("{}", fmt::join(pod.gpus, ","));
    env.emplace_back("NVIDIA_VISIBLE_DEVICES", pod.gpus.empty() ? "void" : ids);
    env.emplace_back("CUDA_VISIBLE_DEVICES", ids);
  }
  return env;
}

ContainerCommand Agent::State::command_of(const AgentPod& pod, const json::object& container, const PodFiles& files,
                                          const EnvList& env) {
  ContainerCommand command;
  command.command = expanded(container, "command", env);
  command.args = expanded(container, "args", env);
  const auto name = get_string(container, "name");
  if (command.command.empty() && !options.images) {
    throw invalid(
        "container \"{}\" has no command: this node runs commands of the host and does not know the "
        "entrypoint of the image \"{}\"; set command",
        name, get_string(container, "image"));
  }
  command.env = env;
  command.tmp_host_dir = files.tmp;
  command.tmp_path = sandboxed() ? "/tmp" : files.tmp.string();
  command.log = log_of(*pod.object, name);
  return command;
}

ProcessSpec Agent::State::process_of(const AgentPod& pod, const json::object& container, const Launch& wanted,
                                     const PodFiles& files) const {
  ProcessSpec process;
  process.id = process_id(pod.uid, wanted.container, wanted.restart);
  // On the host an image's working folder is not known; unlike "/", this one can be written to.
  const std::string folder = options.images ? "" : sandboxed() ? "/tmp" : files.tmp.string();
  process.cwd = get_string(container, "workingDir", folder);
  process.log = log_of(*pod.object, wanted.container);
  process.tmp = files.tmp;
  process.sandbox = options.sandbox;
  process.log_limit = options.log_limit;
  if (const auto* memory = container_resource(container, "limits", "memory")) {
    process.memory_limit = static_cast<uint64_t>(Quantity::read(*memory, "resources.limits.memory").units());
  }
  if (const auto* cpu = container_resource(container, "limits", "cpu")) {
    process.cpu_limit = Quantity::read(*cpu, "resources.limits.cpu").number();
  }
  process.devices = gpu_devices(pod.gpus);
  return process;
}

std::string Agent::State::pull_auth(const json::object& pod, const ConfigObjects& objects,
                                    std::string_view image) const {
  for (const auto& name : pull_secrets(pod)) {
    const auto found = objects.find({ConfigKind::Secret, name});
    if (found == objects.end() || !found->second) continue;
    const auto config = config_value(ConfigKind::Secret, found->second, ".dockerconfigjson");
    auto auth = config ? registry_auth(*config, image) : std::string();
    if (!auth.empty()) return auth;
  }
  return {};
}

// The files of the images that the pod has as volumes.
Async<std::map<std::string, fs::path>> Agent::State::image_volumes(const json::object& pod,
                                                                   const ConfigObjects& objects) {
  std::map<std::string, fs::path> found;
  const auto* volumes = find_array(pod.at("spec").get_object(), "volumes");
  if (!volumes) co_return found;
  for (const auto& item : *volumes) {
    const auto* image = item.is_object() ? find_object(item.get_object(), "image") : nullptr;
    if (!image) continue;
    const auto reference = get_string(*image, "reference");
    auto auth = pull_auth(pod, objects, reference);
    found[get_string(item.get_object(), "name")] =
        co_await images->files(reference, get_string(*image, "pullPolicy"), std::move(auth));
  }
  co_return found;
}

// What a container engine is told beside what holds for every process.
void Agent::State::set_image(const json::object& pod, const json::object& container, const ConfigObjects& objects,
                             ProcessSpec& process) const {
  process.image = get_string(container, "image");
  process.pull_policy = get_string(container, "imagePullPolicy");
  process.registry_auth = pull_auth(pod, objects, process.image);
  const auto* spec = find_object(pod, "spec");
  for (const auto* part : {spec, &container}) {
    const auto* security = part ? find_object(*part, "securityContext") : nullptr;
    const auto* user = security ? find(*security, "runAsUser") : nullptr;
    const auto* group = security ? find(*security, "runAsGroup") : nullptr;
    if (user) process.user = to_text(*user) + (group ? ":" + to_text(*group) : "");
  }
}

// The command as the image's programs run it, with the kfp package that comes with the server.
Prepared Agent::State::in_image(ContainerCommand command, ProcessSpec& process) const {
  process.image_entrypoint = command.command.empty();
  std::vector<std::string> argv = std::move(command.command);
  argv.insert(argv.end(), std::make_move_iterator(command.args.begin()), std::make_move_iterator(command.args.end()));
  ImageCommand in_image = command_in_image(std::move(argv));
  Prepared prepared;
  prepared.argv = std::move(in_image.argv);
  if (!in_image.needs_kfp || bundled_kfp.empty()) return prepared;
  process.mounts.push_back({bundled_kfp, kKfpTarget, true});
  const std::string* path = env_value(command.env, "PYTHONPATH");
  prepared.env.emplace_back("PYTHONPATH", path ? fmt::format("{}:{}", kKfpTarget, *path) : kKfpTarget);
  return prepared;
}

// Which GPUs a pod has is known to this machine alone, so it is kept in the pod's folder.
void Agent::State::save_gpus(const AgentPod& pod) const {
  const auto folder = pod_folder(options.data, pod.uid);
  std::error_code error;
  fs::create_directories(folder, error);
  fs::permissions(folder, fs::perms::owner_all, error);
  std::ofstream(folder / "gpus") << fmt::format("{}\n", fmt::join(pod.gpus, " "));
}

std::vector<int> Agent::State::saved_gpus(const std::string& uid) const {
  std::ifstream file(pod_folder(options.data, uid) / "gpus");
  return {std::istream_iterator<int>(file), std::istream_iterator<int>()};
}

}  // namespace penstock::node
