// Tasks that act on a resource instead of running a process.
#include "pipelines/argo/template.h"
#include "pipelines/run/controller.h"
#include "pipelines/run/resource_path.h"

namespace penstock::pipelines {

using engine::Event;

namespace {

// What a task has made is found again by it after a crash: the uid of the pod that the task does not have.
constexpr std::string_view kMadeBy = "penstock.dev/made-by";

const kube::Resource& resource_of(const json::object& manifest) {
  const auto version = get_string(manifest, "apiVersion"), kind = get_string(manifest, "kind");
  for (const auto* resource : {&kube::kPods, &kube::kConfigMaps, &kube::kSecrets, &kube::kPersistentVolumeClaims,
                               &kube::kEvents, &kube::kNamespaces}) {
    if (resource->kind == kind && resource->api_version() == version) return *resource;
  }
  throw invalid(
      "this server has no resources of the kind \"{}\" ({}); it has Pod, ConfigMap, Secret, PersistentVolumeClaim, "
      "Event "
      "and Namespace (v1)",
      kind, version);
}

kube::PatchType patch_type(const std::string& strategy) {
  if (strategy.empty() || strategy == "strategic") return kube::PatchType::Strategic;
  if (strategy == "merge") return kube::PatchType::Merge;
  if (strategy == "json") return kube::PatchType::Json;
  throw invalid("mergeStrategy: \"{}\" is none of strategic, merge and json", strategy);
}

json::object with_label(json::object object, const std::string& uid) {
  auto& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  auto& labels = metadata.get_object()["labels"];
  if (!labels.is_object()) labels = json::object();
  labels.get_object()[kMadeBy] = uid;
  return object;
}

}  // namespace

class ResourceAction {
 public:
  ResourceAction(kube::Api& api, const engine::LaunchSpec& spec, const Flight& flight, const std::string& ns)
      : api_(api), spec_(spec), uid_(flight.uid), again_(flight.again) {
    const auto* given = find_object(spec.workload, "manifest");
    const auto documents = given != nullptr ? std::vector<json::value>{*given} : parse_yaml(argo_text("manifest"));
    if (documents.size() != 1 || !documents[0].is_object()) throw invalid("manifest: it must be one resource");
    manifest_ = documents[0].get_object();
    resource_ = &resource_of(manifest_);
    name_ = kube::name_of(manifest_);
    ns_ = kube::namespace_of(manifest_);
    if (ns_.empty()) ns_ = ns;
    if (resource_->namespaced) manifest_["metadata"].as_object()["namespace"] = ns_;
  }

  // Null for one that was deleted.
  Async<kube::Object> act() {
    const std::string action = argo_text("action");
    kube::Object object;
    if (action == "create") {
      object = co_await create();
    } else if (action == "apply") {
      object = co_await apply();
    } else if (action == "replace") {
      object = co_await api_.update(*resource_, manifest_);
    } else if (action == "patch") {
      const auto type = patch_type(argo_text("mergeStrategy"));
      object = co_await api_.patch(*resource_, ns_, name_, type, manifest_);
    } else if (action == "delete") {
      co_await remove();
      co_return object;
    } else {
      object = co_await api_.get(*resource_, ns_, name_);
    }
    name_ = kube::name_of(*object);
    co_return object;
  }

  // Until its conditions say something, or `stop` does.
  Async<kube::Object> settle(kube::Object object, const std::function<bool()>& stop) {
    const std::string success = argo_text("successCondition"), failure = argo_text("failureCondition");
    if (success.empty() && failure.empty()) co_return object;
    kube::WatchQuery query;
    query.ns = resource_->namespaced ? ns_ : std::string();
    query.field_selector = "metadata.name=" + name_;
    query.bookmarks = true;  // so that `stop` is asked now and then
    auto watch = co_await api_.watch(*resource_, query);
    while (!stop()) {
      if (!failure.empty() && condition_holds(*object, failure)) {
        throw Error(Code::FailedPrecondition, fmt::format("the failure condition holds: {}", failure));
      }
      if (success.empty() || condition_holds(*object, success)) co_return object;
      kube::WatchEvent event;
      bool expired = false;
      try {
        event = co_await watch->next();
      } catch (const Error& error) {
        expired = error.code() == Code::OutOfRange;
        if (!expired) throw;
      }
      if (expired) {  // fell behind: it begins with what is there
        watch = co_await api_.watch(*resource_, query);
        continue;
      }
      if (event.type == kube::EventType::Bookmark || kube::name_of(*event.object) != name_) continue;
      if (event.type == kube::EventType::Deleted) {
        throw Error(Code::FailedPrecondition, fmt::format("{} \"{}\" was deleted", resource_->kind, name_));
      }
      object = event.object;
    }
    co_return object;
  }

  engine::Outputs outputs(const kube::Object& object) const {
    engine::Outputs outputs;
    const auto* sides = find_object(spec_.workload, "outputs");
    const auto* paths = sides != nullptr ? find_object(*sides, "parameters") : nullptr;
    const auto* constants = find_object(spec_.workload, "constants");
    for (const auto& def : spec_.component->output_parameters) {
      std::optional<std::string> text;
      if (def.found == ir::Found::Constant && constants != nullptr) text = get_string(*constants, def.name);
      if (def.found == ir::Found::JsonPath && paths != nullptr && object)
        text = json_path(*object, get_string(*paths, def.name));
      if (!text && def.default_value != nullptr) text = ir::text_of(*def.default_value);
      if (!text) throw invalid("output parameter {}: the resource has nothing at {}", def.name, def.at);
      outputs.parameters[def.name] = json::value(*text);
    }
    return outputs;
  }

 private:
  std::string argo_text(std::string_view name) const { return get_string(spec_.workload, name); }

  Async<kube::Object> made_before() {
    kube::ListQuery query;
    query.ns = resource_->namespaced ? ns_ : std::string();
    query.label_selector = fmt::format("{}={}", kMadeBy, uid_);
    const auto found = co_await api_.list(*resource_, query);
    co_return found.items.empty() ? nullptr : found.items[0];
  }

  Async<kube::Object> create() {
    if (again_) {
      auto found = co_await made_before();
      if (found) co_return found;
    }
    json::object object = with_label(manifest_, uid_);
    co_return co_await api_.create(*resource_, std::move(object));
  }

  Async<kube::Object> apply() {
    bool missing = false;
    kube::Object object;
    try {
      object = co_await api_.patch(*resource_, ns_, name_, kube::PatchType::Merge, manifest_);
    } catch (const Error& error) {
      missing = error.code() == Code::NotFound;
      if (!missing) throw;
    }
    if (missing) object = co_await create();
    co_return object;
  }

  Async<> remove() {
    bool gone = false;
    try {
      co_await api_.remove(*resource_, ns_, name_);
    } catch (const Error& error) {
      gone = error.code() == Code::NotFound;
      if (!gone) throw;
    }
    if (gone && get_bool(spec_.workload, "missingIsError") && !again_) {
      throw Error(Code::FailedPrecondition, fmt::format("{} \"{}\" is not there", resource_->kind, name_));
    }
    if (gone) spdlog::debug("{} {}/{} is gone already", resource_->kind, ns_, name_);
  }

  kube::Api& api_;
  const engine::LaunchSpec& spec_;
  std::string uid_;
  bool again_;
  json::object manifest_;
  const kube::Resource* resource_ = nullptr;
  std::string name_, ns_;
};

Async<engine::Outputs> RunController::act_on_resource(RunPtr run, FlightKey key) {
  const auto spec = run->flights.at(key).spec;
  ResourceAction action(api_, *spec, run->flights.at(key), run->engine.info().ns);
  const std::function<bool()> stop = [&] {
    const auto flight = run->flights.find(key);
    return flight == run->flights.end() || flight->second.over || flight->second.canceled;
  };
  kube::Object object = co_await action.act();
  if (object) object = co_await action.settle(object, stop);
  co_return action.outputs(object);
}

Async<> RunController::expire_resource_task(RunPtr run, FlightKey key, std::chrono::milliseconds after) {
  co_await sleep_for(after);
  const auto flight = run->flights.find(key);
  if (flight == run->flights.end() || flight->second.over) co_return;
  flight->second.over = true;
  post(run, Event::task_failed(key.first, key.second, clock_.now(), 1,
                               "DeadlineExceeded: what it waits for has not come in its activeDeadlineSeconds"));
}

Async<> RunController::run_resource_task(RunPtr run, FlightKey key) {
  post(run, Event::task_started(key.first, key.second, clock_.now()));
  const auto& workload = run->flights.at(key).spec->workload;
  for (const std::string_view field : {"activeDeadlineSeconds", "timeout"}) {
    const auto seconds = argo::duration_seconds(get_string(workload, field));
    if (!seconds) continue;
    const std::chrono::milliseconds after(static_cast<int64_t>(*seconds * 1000));
    scope_.spawn([this, run, key, after] { return expire_resource_task(run, key, after); });
  }
  std::string failure;
  bool infrastructure = true;
  engine::Outputs outputs;
  try {
    outputs = co_await act_on_resource(run, key);
  } catch (const Error& error) {
    failure = error.field().empty() ? error.message() : error.field() + ": " + error.message();
    infrastructure = error.code() != Code::FailedPrecondition;
  }
  const auto flight = run->flights.find(key);
  if (flight == run->flights.end() || flight->second.over) co_return;
  flight->second.over = true;
  if (failure.empty()) {
    post(run, Event::task_succeeded(key.first, key.second, clock_.now(), std::move(outputs)));
    co_return;
  }
  Event event = Event::task_failed(key.first, key.second, clock_.now(), 1, failure);
  event.infrastructure = infrastructure;
  post(run, std::move(event));
}

}  // namespace penstock::pipelines
