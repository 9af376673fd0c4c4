// Secrets, ConfigMaps and persistent volume claims: pods that wait for one are tried again, and claims are bound to
// folders.
#include "node/agent_state.h"

namespace penstock::node {

namespace fs = std::filesystem;

Async<> Agent::State::watch_config(const kube::Resource& resource) {
  const bool claims = resource == kube::kPersistentVolumeClaims;
  while (true) {
    std::string problem;
    try {
      const kube::WatchQuery all;
      const auto watch = co_await api.watch(resource, all);
      while (true) {
        const auto event = co_await watch->next();
        if (event.type == kube::EventType::Bookmark) continue;
        if (claims && event.type == kube::EventType::Deleted) {
          remove_claim(*event.object);
        } else if (claims) {
          co_await bind_claim(event.object);
        }
        config_changed(std::string(kube::namespace_of(*event.object)));
      }
    } catch (const Error& error) {
      if (error.code() != Code::OutOfRange) problem = error.what();
    }
    if (problem.empty()) continue;  // fell behind: from the start
    spdlog::warn("node agent: the watch of {} failed: {}", resource.plural, problem);
    co_await sleep_for(std::chrono::seconds(1));
  }
}

void Agent::State::config_changed(const std::string& ns) {
  ++config_changes;
  const auto found = config_waiters.find(ns);
  if (found == config_waiters.end()) return;
  const auto uids = std::move(found->second);
  config_waiters.erase(found);
  for (const auto& uid : uids) {
    const auto known = pods.find(uid);
    if (known == pods.end()) continue;
    const auto pod = known->second;
    apply(pod, pod->life.retry(clock.now()));
  }
}

// A claim is bound at once: its folder is made, and it gets what it asked for.
Async<> Agent::State::bind_claim(kube::Object claim) {
  const auto* status = find_object(*claim, "status");
  if (kube::is_deleting(*claim) || (status && get_string(*status, "phase") == "Bound")) co_return;
  std::string problem;
  try {
    const auto folder = claim_folder(options.data, kube::namespace_of(*claim), kube::name_of(*claim));
    if (fs::create_directories(folder)) fs::permissions(folder, fs::perms::all);
    json::object next = *claim;
    json::object bound{{"phase", "Bound"}};
    const auto* spec = find_object(next, "spec");
    const auto* modes = spec ? find(*spec, "accessModes") : nullptr;
    if (modes) bound["accessModes"] = *modes;
    const auto* resources = spec ? find_object(*spec, "resources") : nullptr;
    const auto* requests = resources ? find(*resources, "requests") : nullptr;
    if (requests) bound["capacity"] = *requests;
    next["status"] = std::move(bound);
    kube::WriteOptions write_options;
    write_options.durable = false;
    write_options.subresource = "status";
    co_await api.update(kube::kPersistentVolumeClaims, std::move(next), write_options);
  } catch (const Error& error) {
    // Gone, or changed: then its next event comes here again.
    if (error.code() != Code::NotFound && error.code() != Code::Aborted) problem = error.what();
  } catch (const fs::filesystem_error& error) {
    problem = error.what();
  }
  if (!problem.empty()) {
    spdlog::error("node agent: claim {}/{} could not be bound: {}", kube::namespace_of(*claim), kube::name_of(*claim),
                  problem);
  }
}

// As the reclaim policy of dynamically made volumes: what is in it goes with the claim. Renamed first, so that a new
// claim of the same name starts empty.
void Agent::State::remove_claim(const json::object& claim) {
  const auto folder = claim_folder(options.data, kube::namespace_of(claim), kube::name_of(claim));
  const auto trash = options.data / "volumes" / ".trash" / kube::uid_of(claim);
  std::error_code error;
  fs::create_directories(trash.parent_path(), error);
  fs::rename(folder, trash, error);
  if (error || !pool) return;
  pool->post([trash] {
    std::error_code ignored;
    fs::remove_all(trash, ignored);
  });
}

}  // namespace penstock::node
