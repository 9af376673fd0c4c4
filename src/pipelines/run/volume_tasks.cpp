// CreatePVC and DeletePVC: tasks that no process runs.
#include "pipelines/run/controller.h"

namespace penstock::pipelines {

using engine::Event;

namespace {

const json::value* input(const engine::LaunchSpec& spec, std::string_view name) {
  const auto* inputs = find_object(spec.executor_input, "inputs");
  const auto* values = inputs ? find_object(*inputs, "parameterValues") : nullptr;
  const auto* value = values ? values->if_contains(name) : nullptr;
  return value != nullptr && !value->is_null() ? value : nullptr;
}

std::string text_input(const engine::LaunchSpec& spec, std::string_view name) {
  const auto* value = input(spec, name);
  return value != nullptr && value->is_string() ? to_std(value->get_string()) : std::string();
}

// Given, or made of the run's name, the task and the suffix, so that a second try means the same claim.
std::string claim_name(const engine::LaunchSpec& spec) {
  const auto name = text_input(spec, "pvc_name");
  auto suffix = text_input(spec, "pvc_name_suffix");
  if (name.empty() == suffix.empty()) {
    throw invalid("{} of pvc_name and pvc_name_suffix are given: a claim needs one of them",
                  name.empty() ? "none" : "both");
  }
  if (!name.empty()) return name;
  if (!suffix.starts_with('-')) suffix.insert(0, "-");
  return fmt::format("{}-{}{}", spec.run_resource_name, spec.task, suffix);
}

json::object make_claim(const engine::LaunchSpec& spec, const std::string& ns) {
  json::object metadata{{"name", claim_name(spec)},
                        {"namespace", ns},
                        {"labels", {{kRunLabel, spec.run_id}, {kTaskLabel, std::to_string(spec.task)}}}};
  if (const auto* annotations = input(spec, "annotations")) metadata["annotations"] = *annotations;
  json::object claim{{"resources", {{"requests", {{"storage", text_input(spec, "size")}}}}}};
  if (const auto* modes = input(spec, "access_modes")) claim["accessModes"] = *modes;
  if (const auto* source = input(spec, "data_source")) claim["dataSource"] = *source;
  if (const auto volume = text_input(spec, "volume_name"); !volume.empty()) claim["volumeName"] = volume;
  if (const auto* storage_class = input(spec, "storage_class_name")) claim["storageClassName"] = *storage_class;
  return {{"apiVersion", "v1"},
          {"kind", "PersistentVolumeClaim"},
          {"metadata", std::move(metadata)},
          {"spec", std::move(claim)}};
}

}  // namespace

Async<> RunController::create_own_claim(json::object claim) {
  const json::value labels = claim.at("metadata").at("labels");
  const std::string ns(kube::namespace_of(claim)), name(kube::name_of(claim));
  bool exists = false;
  try {
    co_await api_.create(kube::kPersistentVolumeClaims, std::move(claim));
  } catch (const Error& error) {
    exists = error.code() == Code::AlreadyExists;
    if (!exists) throw;
  }
  if (!exists) co_return;
  const auto found = co_await api_.get(kube::kPersistentVolumeClaims, ns, name);
  for (const auto& [key, value] : labels.get_object()) {
    if (kube::label_of(*found, key) != to_view(value.get_string())) {
      throw Error(Code::AlreadyExists, fmt::format("there is a persistentvolumeclaim \"{}\" already", name));
    }
  }
}

// An output "name", for CreatePVC.
Async<engine::Outputs> RunController::change_claim(const engine::LaunchSpec& spec, std::string ns, bool again) {
  engine::Outputs outputs;
  if (spec.image == engine::kDeleteClaimImage) {
    const auto name = text_input(spec, "pvc_name");
    if (name.empty()) throw invalid("pvc_name is not given: a claim to delete needs its name");
    bool gone = false;
    try {
      co_await api_.remove(kube::kPersistentVolumeClaims, ns, name);
    } catch (const Error& error) {
      if (error.code() != Code::NotFound || !again) throw;
      gone = true;
    }
    if (gone) spdlog::debug("claim {}/{} was deleted before a restart", ns, name);
    co_return outputs;
  }
  json::object claim = make_claim(spec, ns);
  const std::string name(kube::name_of(claim));
  co_await create_own_claim(std::move(claim));
  outputs.parameters["name"] = name;
  co_return outputs;
}

Async<> RunController::run_volume_task(RunPtr run, FlightKey key) {
  const auto spec = run->flights.at(key).spec;
  const bool again = run->flights.at(key).again;
  post(run, Event::task_started(key.first, key.second, clock_.now()));
  std::string failure;
  engine::Outputs outputs;
  try {
    outputs = co_await change_claim(*spec, run->engine.info().ns, again);
  } catch (const Error& error) {
    failure = error.field().empty() ? error.message() : error.field() + ": " + error.message();
  }
  const auto flight = run->flights.find(key);
  if (flight == run->flights.end() || flight->second.over) co_return;
  flight->second.over = true;
  if (failure.empty()) {
    post(run, Event::task_succeeded(key.first, key.second, clock_.now(), std::move(outputs)));
  } else {
    post(run, Event::task_failed(key.first, key.second, clock_.now(), 1, failure, false));
  }
}

}  // namespace penstock::pipelines
