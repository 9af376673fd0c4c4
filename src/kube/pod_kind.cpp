#include "kube/pod_kind.h"

#include <set>

#include "kube/validation.h"

namespace penstock::kube {

namespace {

constexpr int64_t kDefaultGrace = 30;

void set_default(json::object& object, std::string_view key, json::value value) {
  auto* member = object.if_contains(key);
  if (member == nullptr)
    object.emplace(key, std::move(value));
  else if (member->is_null())
    *member = std::move(value);
}

void pod_defaults(json::object& pod) {
  if (auto* spec = pod["spec"].if_object()) {
    set_default(*spec, "restartPolicy", "Always");
    set_default(*spec, "terminationGracePeriodSeconds", kDefaultGrace);
    if (auto* volumes = spec->if_contains("volumes"); volumes != nullptr && volumes->is_array()) {
      for (auto& volume : volumes->get_array()) {
        // A volume that says nothing but its name is an empty folder.
        if (volume.is_object() && volume.get_object().size() == 1) volume.get_object()["emptyDir"] = json::object();
      }
    }
  }
  auto& status = pod["status"];
  if (!status.is_object()) status = json::object();
  set_default(status.get_object(), "phase", "Pending");
}

bool is_text(const json::value* value) {
  return value != nullptr && value->is_string() && !value->get_string().empty();
}

void check_name(const json::object& item, const Path& path, std::set<std::string_view>& seen, Causes& causes) {
  const auto* name = item.if_contains("name");
  if (!is_text(name)) return causes.required(path / "name");
  if (!is_dns_label(to_view(name->get_string()))) {
    causes.invalid(path / "name", *name, "use lower-case letters, digits and '-', at most 63 characters");
  }
  if (!seen.insert(to_view(name->get_string())).second) causes.duplicate(path / "name", *name);
}

void check_quantities(const json::object& resources, std::string_view member, const Path& path, Causes& causes) {
  const auto* value = resources.if_contains(member);
  if (value == nullptr || value->is_null()) return;
  if (!value->is_object()) return causes.invalid(path / member, *value, "must be an object of quantities");
  const Path at = path / member;
  for (const auto& [key, amount] : value->get_object()) {
    const auto number = quantity_of(amount);
    if (!number)
      causes.invalid(at.at(key), amount, "must be a quantity, as \"500m\", \"2\" or \"1Gi\"");
    else if (*number < 0)
      causes.invalid(at.at(key), amount, "must be 0 or more");
  }
}

void check_resources(const json::object& container, const Path& path, Causes& causes) {
  const auto* resources = find_object(container, "resources");
  if (resources == nullptr) return;
  const Path at = path / "resources";
  check_quantities(*resources, "requests", at, causes);
  check_quantities(*resources, "limits", at, causes);
  const auto* requests = find_object(*resources, "requests");
  const auto* limits = find_object(*resources, "limits");
  if (requests == nullptr || limits == nullptr) return;
  const Path requests_path = at / "requests";
  for (const auto& [key, request] : *requests) {
    const auto* limit = limits->if_contains(key);
    const auto want = quantity_of(request);
    const auto most = limit ? quantity_of(*limit) : std::nullopt;
    if (want && most && *want > *most) {
      causes.invalid(requests_path.at(key), request, fmt::format("must be at most the limit, {}", to_text(*limit)));
    }
  }
}

void check_env(const json::object& container, const Path& path, Causes& causes) {
  const auto* env = find_array(container, "env");
  if (env == nullptr) return;
  const Path list = path / "env";
  for (size_t i = 0; i < env->size(); ++i) {
    const auto* name = find((*env)[i], "name");
    if (!is_text(name)) {
      causes.required(list[i] / "name");
    } else if (name->get_string().find('=') != json::string::npos) {
      causes.invalid(list[i] / "name", *name, "must not contain '='");
    }
    const auto* value = find((*env)[i], "value");
    if (value != nullptr && !value->is_string() && !value->is_null()) {
      causes.invalid(list[i] / "value", *value, "must be a string: put it in quotes");
    }
    if (value != nullptr && is_text(value) && find((*env)[i], "valueFrom") != nullptr) {
      causes.invalid(list[i] / "valueFrom", json::value(""), "value and valueFrom cannot both be given");
    }
  }
}

void check_ports(const json::object& container, const Path& path, Causes& causes) {
  const auto* ports = find_array(container, "ports");
  if (ports == nullptr) return;
  const Path list = path / "ports";
  for (size_t i = 0; i < ports->size(); ++i) {
    const auto* port = find((*ports)[i], "containerPort");
    if (port == nullptr) {
      causes.required(list[i] / "containerPort");
    } else if (!port->is_int64() || port->get_int64() < 1 || port->get_int64() > 65535) {
      causes.invalid(list[i] / "containerPort", *port, "must be from 1 to 65535");
    }
  }
}

void check_mounts(const json::object& container, const Path& path, const std::set<std::string_view>& volumes,
                  Causes& causes) {
  const auto* mounts = find_array(container, "volumeMounts");
  if (mounts == nullptr) return;
  const Path list = path / "volumeMounts";
  std::set<std::string_view> targets;
  for (size_t i = 0; i < mounts->size(); ++i) {
    const auto* name = find((*mounts)[i], "name");
    if (!is_text(name))
      causes.required(list[i] / "name");
    else if (!volumes.contains(to_view(name->get_string())))
      causes.not_found(list[i] / "name", *name);
    const auto* target = find((*mounts)[i], "mountPath");
    if (!is_text(target))
      causes.required(list[i] / "mountPath");
    else if (!targets.insert(to_view(target->get_string())).second)
      causes.duplicate(list[i] / "mountPath", *target);
  }
}

void check_strings(const json::object& container, std::string_view member, const Path& path, Causes& causes) {
  const auto* value = container.if_contains(member);
  if (value == nullptr || value->is_null()) return;
  if (!value->is_array()) return causes.invalid(path / member, *value, "must be a list of strings");
  const Path list = path / member;
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    if (!value->get_array()[i].is_string()) {
      causes.invalid(list[i], value->get_array()[i], "must be a string: put it in quotes");
    }
  }
}

void check_containers(const json::object& spec, std::string_view member, const std::set<std::string_view>& volumes,
                      std::set<std::string_view>& names, Causes& causes) {
  const Path root("spec");
  const Path list = root / member;
  const auto* containers = spec.if_contains(member);
  if (containers == nullptr || containers->is_null()) return;
  if (!containers->is_array()) return causes.invalid(list, *containers, "must be a list");
  for (size_t i = 0; i < containers->get_array().size(); ++i) {
    const auto& item = containers->get_array()[i];
    const Path path = list[i];
    if (!item.is_object()) {
      causes.invalid(path, item, "must be an object");
      continue;
    }
    const auto& container = item.get_object();
    check_name(container, path, names, causes);
    if (!is_text(container.if_contains("image"))) causes.required(path / "image");
    check_strings(container, "command", path, causes);
    check_strings(container, "args", path, causes);
    check_env(container, path, causes);
    check_ports(container, path, causes);
    check_resources(container, path, causes);
    check_mounts(container, path, volumes, causes);
  }
}

void check_number(const json::object& spec, std::string_view member, int64_t least, Causes& causes) {
  const auto* value = spec.if_contains(member);
  if (value == nullptr || value->is_null()) return;
  const Path root("spec");
  const bool fits = (value->is_int64() && value->get_int64() >= least) || value->is_uint64();
  if (!fits) causes.invalid(root / member, *value, fmt::format("must be an integer of at least {}", least));
}

void validate_pod(const json::object& pod, Causes& causes) {
  const Path root("spec");
  const auto* spec = find_object(pod, "spec");
  if (spec == nullptr) return causes.required(root);
  std::set<std::string_view> volumes;
  if (const auto* list = find_array(*spec, "volumes")) {
    const Path path = root / "volumes";
    for (size_t i = 0; i < list->size(); ++i) {
      const auto* volume = (*list)[i].if_object();
      if (volume == nullptr)
        causes.invalid(path[i], (*list)[i], "must be an object");
      else
        check_name(*volume, path[i], volumes, causes);
    }
  }
  const auto* containers = find_array(*spec, "containers");
  if (containers == nullptr || containers->empty()) causes.required(root / "containers");
  std::set<std::string_view> names;
  check_containers(*spec, "initContainers", volumes, names, causes);
  check_containers(*spec, "containers", volumes, names, causes);
  const auto* policy = spec->if_contains("restartPolicy");
  if (policy != nullptr &&
      !(policy->is_string() &&
        (policy->get_string() == "Always" || policy->get_string() == "OnFailure" || policy->get_string() == "Never"))) {
    causes.unsupported(root / "restartPolicy", *policy, {"Always", "OnFailure", "Never"});
  }
  check_number(*spec, "terminationGracePeriodSeconds", 0, causes);
  check_number(*spec, "activeDeadlineSeconds", 1, causes);
}

// The parts of a spec that may change are made equal, then the rest must be.
void blank_images(json::object& spec, std::string_view member) {
  auto* list = spec.if_contains(member);
  if (list == nullptr || !list->is_array()) return;
  for (auto& container : list->get_array()) {
    if (container.is_object()) container.get_object()["image"] = "";
  }
}

json::object fixed_part(const json::object& spec) {
  json::object copy = spec;
  for (const std::string_view free :
       {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "schedulingGates"}) {
    if (const auto at = copy.find(free); at != copy.end()) copy.stable_erase(at);
  }
  blank_images(copy, "containers");
  blank_images(copy, "initContainers");
  return copy;
}

void validate_pod_update(const json::object& before, const json::object& now, Causes& causes) {
  const auto* a = find_object(before, "spec");
  const auto* b = find_object(now, "spec");
  if (a == nullptr || b == nullptr || *a == *b) return;
  const Path root("spec");
  const std::string node = get_string(*a, "nodeName");
  if (!node.empty() && node != get_string(*b, "nodeName")) {
    causes.forbidden(root / "nodeName", "a pod stays on the node that it was bound to");
  }
  if (fixed_part(*a) != fixed_part(*b)) {
    causes.forbidden(root,
                     "pod updates may change only spec.containers[*].image, spec.initContainers[*].image, "
                     "spec.activeDeadlineSeconds, spec.tolerations, spec.terminationGracePeriodSeconds and an empty "
                     "spec.nodeName: delete the pod and create it anew");
  }
}

const json::array* container_statuses(const json::object& pod) {
  const auto* status = find_object(pod, "status");
  return status ? find_array(*status, "containerStatuses") : nullptr;
}

json::value ready_cell(const json::object& pod, Time) {
  size_t ready = 0, all = 0;
  if (const auto* spec = find_object(pod, "spec")) {
    if (const auto* list = find_array(*spec, "containers")) all = list->size();
  }
  if (const auto* statuses = container_statuses(pod)) {
    for (const auto& item : *statuses) ready += item.is_object() && get_bool(item.get_object(), "ready");
  }
  return json::value(fmt::format("{}/{}", ready, all));
}

// As kubectl: why a container waits or ended says more than the phase.
json::value status_cell(const json::object& pod, Time) {
  const json::value whole(pod);
  std::string text = string_at(whole, {"status", "reason"});
  if (text.empty()) text = string_at(whole, {"status", "phase"});
  if (const auto* statuses = container_statuses(pod)) {
    for (const auto& item : *statuses) {
      std::string reason = string_at(item, {"state", "waiting", "reason"});
      if (reason.empty()) reason = string_at(item, {"state", "terminated", "reason"});
      if (!reason.empty()) text = reason;
    }
  }
  return json::value(is_deleting(pod) ? "Terminating" : text);
}

json::value restarts_cell(const json::object& pod, Time) {
  int64_t restarts = 0;
  if (const auto* statuses = container_statuses(pod)) {
    for (const auto& item : *statuses) restarts += item.is_object() ? get_int(item.get_object(), "restartCount") : 0;
  }
  return json::value(restarts);
}

Column wide_column(std::string name, std::string_view part, std::string_view key, std::string description) {
  return {.name = std::move(name),
          .description = std::move(description),
          .priority = 1,
          .cell = [part = std::string(part), key = std::string(key)](const json::object& pod, Time) {
            const auto* object = find_object(pod, part);
            const std::string text = object ? get_string(*object, key) : "";
            return json::value(text.empty() ? "<none>" : text);
          }};
}

}  // namespace

bool is_finished_pod(const json::object& pod) {
  const auto* status = find_object(pod, "status");
  const auto* phase = status ? status->if_contains("phase") : nullptr;
  return phase != nullptr && phase->is_string() &&
         (phase->get_string() == "Succeeded" || phase->get_string() == "Failed");
}

int64_t deletion_grace(const json::object& pod, std::optional<int64_t> asked) {
  const auto* spec = find_object(pod, "spec");
  if (spec == nullptr || !is_text(spec->if_contains("nodeName")) || is_finished_pod(pod)) return 0;
  return std::max<int64_t>(0, asked.value_or(get_int(*spec, "terminationGracePeriodSeconds", kDefaultGrace)));
}

Kind pod_kind() {
  Kind kind{.resource = kPods, .singular = "pod", .short_names = {"po"}, .categories = {"all"}};
  kind.status_subresource = true;
  kind.tracks_generation = true;
  kind.selectable_fields = {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName",      "spec.serviceAccountName",
                            "status.phase",  "status.podIP",       "status.nominatedNodeName"};
  kind.set_defaults = pod_defaults;
  kind.validate = validate_pod;
  kind.validate_update = validate_pod_update;
  kind.columns = {
      {.name = "Ready", .description = "Containers that are ready, of all", .cell = ready_cell},
      {.name = "Status", .description = "The phase, or why it is not running", .cell = status_cell},
      {.name = "Restarts", .type = "integer", .description = "Restarts of its containers", .cell = restarts_cell}};
  kind.columns.push_back(wide_column("IP", "status", "podIP", "The pod's address"));
  kind.columns.push_back(wide_column("Node", "spec", "nodeName", "The node that runs it"));
  return kind;
}

}  // namespace penstock::kube
