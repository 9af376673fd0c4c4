// The inside of the agent; for agent*.cpp only.
#pragma once

#include <iterator>
#include <set>
#include <unordered_map>

#include "node/agent.h"
#include "node/logs.h"
#include "node/oci/image_store.h"
#include "node/pod_config.h"
#include "node/pod_lifecycle.h"
#include "node/volumes.h"

namespace penstock::node {

// A pod that this node has to do with, until its end is recorded and seen, or it is deleted.
struct AgentPod {
  AgentPod(kube::Object o, const PodLifecycle::Place* place)
      : uid(kube::uid_of(*o)),
        ns(kube::namespace_of(*o)),
        name(kube::name_of(*o)),
        object(std::move(o)),
        life(*object, place) {}

  const std::string uid, ns, name;
  kube::Object object;  // the newest that was seen or written
  PodLifecycle life;
  std::vector<int> gpus;
  bool bound = false;
  bool has_folder = false;     // there may be a folder of its own
  bool dirty = false;          // life's status is to be written
  bool writing = false;        // a coroutine does so
  bool late = false;           // it is among State::late
  bool recorded = false;       // its end is written
  bool seen_terminal = false;  // and came back through the watch
  bool erased = false;         // the object is gone
  bool removing = false;
  std::string unsandboxed;             // the annotation's value
  std::vector<std::string> processes;  // ended ones, to be forgotten once that is recorded
  std::optional<Time> wake;
};
using PodPtr = std::shared_ptr<AgentPod>;  // shared with the coroutines that launch, write and remove it

struct Agent::State : std::enable_shared_from_this<Agent::State> {
  State(kube::Api& api, Loop& control, Spawner& spawner, AgentOptions options);

  // agent.cpp: what comes in.
  Async<> start();
  Async<> stop();
  Async<> watch_pods();
  Async<> watch_pods_once();
  void recover(const kube::List& list);
  void seen(const kube::Object& object);
  void add(const kube::Object& object);
  void deleted(const json::object& object);
  void process_changed(const ProcessStatus& status);
  bool has_started(const json::object& pod, std::string_view container) const;
  void decide_soon();
  void decide();
  void tick();
  Async<> tick_loop();
  Async<> late_loop();
  Async<> unschedulable_loop();
  Async<> forget_loop();
  void forget(std::vector<std::string> ids);
  void remove_folder(const std::string& uid);

  // agent_pods.cpp: what is done for one pod.
  void apply(const PodPtr& pod, Effects effects);
  void tell(const PodPtr& pod, std::string reason, std::string message);
  void settle(const PodPtr& pod);
  void set_wake(const PodPtr& pod);
  void write_soon(const PodPtr& pod);
  Async<> write(PodPtr pod);
  Async<bool> refresh(PodPtr pod);
  json::object next_object(const AgentPod& pod, kube::WriteOptions& options) const;
  Async<> remove(PodPtr pod);
  void begin_removal(const PodPtr& pod);
  void erase_if_done(const PodPtr& pod);
  void erase(const PodPtr& pod);

  // agent_launch.cpp: how a container gets started.
  struct Launchable {
    ProcessSpec process;
    std::string missing;  // what is waited for
    std::string failure;
    bool python_failed = false;  // then the failure is pip's
  };
  Async<> launch(PodPtr pod, Launch wanted);
  Async<Launchable> prepare(PodPtr pod, Launch wanted);
  Async<ConfigObjects> fetch(PodPtr pod);
  ContainerCommand command_of(const AgentPod& pod, const json::object& container, const PodFiles& files,
                              const EnvList& env);
  EnvList base_env(const AgentPod& pod, const PodFiles& files) const;
  ProcessSpec process_of(const AgentPod& pod, const json::object& container, const Launch& launch,
                         const PodFiles& files) const;
  void set_image(const json::object& pod, const json::object& container, const ConfigObjects& objects,
                 ProcessSpec& process) const;
  Prepared in_image(ContainerCommand command, ProcessSpec& process) const;
  Async<std::map<std::string, std::filesystem::path>> image_volumes(const json::object& pod,
                                                                    const ConfigObjects& objects);
  std::string pull_auth(const json::object& pod, const ConfigObjects& objects, std::string_view image) const;
  bool sandboxed() const;
  std::vector<int> saved_gpus(const std::string& uid) const;
  void save_gpus(const AgentPod& pod) const;
  std::filesystem::path log_of(const json::object& pod, std::string_view container) const;

  // agent_config.cpp: Secrets, ConfigMaps and claims.
  Async<> watch_config(const kube::Resource& resource);
  void config_changed(const std::string& ns);
  Async<> bind_claim(kube::Object claim);
  void remove_claim(const json::object& claim);

  kube::Api& api;
  Loop& control;
  Spawner& spawner;
  AgentOptions options;
  SystemClock system_clock;
  const Clock& clock;
  PodLifecycle::Place place;
  PodContext context;
  VolumeOptions volume_options;
  std::vector<int> gpu_numbers;
  Scheduler scheduler;
  std::unique_ptr<PythonEnv> python;
  std::filesystem::path bundled_kfp;  // for containers of images
  std::unique_ptr<ImageStore> images;
  std::unique_ptr<BlockingPool> pool;
  std::shared_ptr<FileWatcher> watcher;  // shared with log readers, which may end after the agent
  Scope scope;
  bool stopping = false;

  std::unordered_map<std::string, PodPtr> pods;  // by uid
  // Uids of ended pods that are no longer in `pods` and may have a folder, which goes when they are deleted.
  std::set<std::string> left_folders;
  // While starting: what the spawner told, by uid and process id.
  bool recovering = false;
  std::unordered_map<std::string, std::map<std::string, ProcessStatus>> known_processes;

  bool deciding = false;
  std::set<std::pair<Time, std::string>> wakes;  // with uids
  Signal wakes_changed;
  std::vector<PodPtr> late;
  Signal any_late;
  std::vector<std::string> queued;  // uids that the scheduler got since the last look
  Signal any_queued;
  std::vector<std::string> to_forget;
  Signal any_to_forget;
  std::map<std::string, std::set<std::string>> config_waiters;  // uids by namespace
  uint64_t config_changes = 0;
  uint64_t warm_starts = 0;
};

}  // namespace penstock::node
