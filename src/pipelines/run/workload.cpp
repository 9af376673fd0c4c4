#include "pipelines/run/workload.h"

#include <sys/stat.h>

#include "base/error.h"
#include "kube/patch.h"
#include "pipelines/argo/template.h"
#include "pipelines/run/task_files.h"

namespace penstock::pipelines {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kElsewhere = ".paths", kStdout = ".stdout", kExitCode = ".exit-code", kSet = ".set";
constexpr size_t kLongestResult = 256 * 1024;  // as Argo, the end of it

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

// Where a path of the container is on this machine: `inside` a folder that its task may write to.
struct Place {
  fs::path root;
  fs::path inside;
  bool volume = false;
  fs::path whole() const { return root / inside; }
};

json::object object_of(const json::object& from, std::string_view key) {
  const auto* found = find_object(from, key);
  return found != nullptr ? *found : json::object();
}

json::array array_of(const json::object& from, std::string_view key) {
  const auto* found = find_array(from, key);
  return found != nullptr ? *found : json::array();
}

class Workload {
 public:
  Workload(const engine::LaunchSpec& spec, const WorkloadHost& host) : spec_(spec), host_(host) {
    const auto pod_name = [&](std::string_view tag) {
      return tag == "pod.name" ? std::optional(host.pod) : std::nullopt;
    };
    template_ = argo::fill_texts(json::value(spec.workload), pod_name).as_object();
    main_ = object_of(template_, "main");
    outputs_ = object_of(template_, "outputs");
  }

  json::object make() {
    for (const auto& [name, path] : object_of(outputs_, "parameters")) make_place(text_of(path), true);
    for (const auto& [name, path] : object_of(outputs_, "artifacts")) {
      const std::string at = text_of(path);
      make_place(at, !fs::path(at).extension().empty());
    }
    make_working_folder();
    give_inputs();
    return pod();
  }

  engine::Outputs collect() {
    engine::Outputs outputs;
    const json::object paths = object_of(outputs_, "parameters"), constants = object_of(template_, "constants");
    for (const auto& def : spec_.component->output_parameters) {
      std::optional<std::string> text;
      if (def.found == ir::Found::Stdout) {
        text = printed();
      } else if (def.found == ir::Found::Constant) {
        text = text_of(constants.at(def.name));
      } else {
        text = read(text_of(paths.at(def.name)));
      }
      if (!text && def.default_value != nullptr) text = ir::text_of(*def.default_value);
      if (!text) {
        throw invalid("output parameter {}: the task ended without writing {}", def.name, text_of(paths.at(def.name)));
      }
      outputs.parameters[def.name] = json::value(*text);
    }
    const json::object artifacts = object_of(outputs_, "artifacts");
    for (const auto& def : spec_.component->output_artifacts) keep(def, text_of(artifacts.at(def.name)), outputs);
    return outputs;
  }

 private:
  static std::string text_of(const json::value& value) { return ir::text_of(value); }

  // The volume that the main container has at the longest mount path above `path`.
  std::optional<Place> in_volume(const fs::path& path) const {
    const json::object* found = nullptr;
    fs::path at;
    const auto* mounts = find_array(main_, "volumeMounts");
    if (mounts == nullptr) return std::nullopt;
    for (const auto& mount : *mounts) {
      const fs::path target = fs::path(string_at(mount, {"mountPath"})).lexically_normal();
      if (!mount.is_object() || !is_below(path, target)) continue;
      if (found != nullptr && target.native().size() < at.native().size()) continue;
      found = &mount.get_object();
      at = target;
    }
    const auto root = found != nullptr ? volume_folder(get_string(*found, "name")) : std::nullopt;
    if (!root) return std::nullopt;
    auto inside = path.lexically_relative(at);
    if (inside == ".") inside.clear();
    return Place{*root, fs::path(get_string(*found, "subPath")) / inside, true};
  }

  std::optional<fs::path> volume_folder(const std::string& name) const {
    for (const auto& volume : array_of(template_, "volumes")) {
      if (string_at(volume, {"name"}) != name) continue;
      const auto claim = string_at(volume, {"persistentVolumeClaim", "claimName"});
      if (!claim.empty() && host_.claim_folder) return host_.claim_folder(host_.ns, claim);
      if (find(volume, "emptyDir") != nullptr && host_.scratch_folder) return host_.scratch_folder(name);
    }
    return std::nullopt;
  }

  Place place(const std::string& path) const {
    const fs::path clean = fs::path(path).lexically_normal();
    if (auto volume = in_volume(clean)) return *volume;
    if (is_below(clean, "/tmp") && clean != "/tmp") return {host_.folder, clean.lexically_relative("/tmp")};
    return {host_.folder, fs::path(kElsewhere) / clean.relative_path()};
  }

  // The topmost folder above or at `folder` that this machine does not have; `folder` where it has them all.
  static fs::path missing_part(const fs::path& folder) {
    fs::path top = folder;
    std::error_code error;
    for (fs::path at = folder; at != "/" && !fs::exists(at, error); at = at.parent_path()) top = at;
    return top;
  }

  void make_place(const std::string& path, bool file) {
    const Place at = place(path);
    if (at.volume) return;
    // As in a container, the task makes the folders that its image lacks.
    if (*at.inside.begin() != kElsewhere && host_.sandbox) return;
    const fs::path clean = fs::path(path).lexically_normal(), parent = clean.parent_path();
    if (!host_.sandbox) {
      const OpenFolder folder(at.root, at.inside.parent_path());
      return;
    }
    std::error_code error;
    const bool own = parent == "/" || (fs::exists(parent, error) && !fs::is_empty(parent, error)) || error;
    const fs::path target = own ? clean : missing_part(parent);
    const Place mounted = place(target.string());
    if (own) {
      OpenFolder(at.root, at.inside.parent_path()).make_untouched(at.inside.filename(), file);
    } else {
      const OpenFolder folder(mounted.root, mounted.inside);
    }
    const fs::path source = mounted.whole();
    for (const auto& mount : mounts_) {
      if (mount.target == target ||
          (!mount.read_only && fs::is_directory(mount.source) && is_below(target, mount.target)))
        return;
    }
    mounts_.push_back({source, target, false});
  }

  // As a container has it, whether its image does or not.
  void make_working_folder() {
    const std::string path = get_string(main_, "workingDir");
    std::error_code error;
    if (!path.starts_with('/') || (fs::exists(path, error) && !path.starts_with("/tmp/"))) return;
    const Place at = place(path);
    if (at.volume) return;
    const OpenFolder folder(at.root, at.inside);
    const fs::path target = fs::path(path).lexically_normal();
    if (*at.inside.begin() == kElsewhere && host_.sandbox) mounts_.push_back({at.whole(), target, false});
  }

  void give_inputs() {
    const json::object paths = object_of(template_, "inputs");
    const auto* inputs = find_object(spec_.executor_input, "inputs");
    const auto* artifacts = inputs != nullptr ? find_object(*inputs, "artifacts") : nullptr;
    std::set<std::string> given;
    for (const auto& def : spec_.component->input_artifacts) {
      const auto* entry = artifacts != nullptr ? artifacts->if_contains(def.name) : nullptr;
      const auto* list = entry != nullptr ? find(*entry, "artifacts") : nullptr;
      if (list == nullptr || !list->is_array() || list->get_array().empty()) continue;
      const auto& artifact = list->get_array()[0].as_object();
      const std::string path = text_of(paths.at(def.name));
      given.insert(path);
      if (const auto* raw = artifact.if_contains("raw")) {
        write(path, text_of(*raw), def.mode < 0 ? 0644 : def.mode);
      } else {
        show(path, get_string(artifact, "uri"), def.mode);
      }
    }
    for (const auto& file : array_of(template_, "files")) {
      const std::string path = string_at(file, {"path"});
      if (!given.insert(path).second) continue;
      write(path, string_at(file, {"data"}), static_cast<int>(get_int(file.as_object(), "mode", 0644)));
    }
    for (const auto& object : array_of(template_, "objects")) {
      const std::string path = string_at(object, {"path"});
      if (given.insert(path).second) show(path, string_at(object, {"uri"}), -1);
    }
  }

  void mount_input(const std::string& path, const Place& at, fs::path source) {
    const bool in_tmp = *at.inside.begin() != kElsewhere;
    if (in_tmp && source == at.whole()) return;
    mounts_.push_back({std::move(source), fs::path(path).lexically_normal(), true});
  }

  void write(const std::string& path, const std::string& text, int mode) {
    const Place at = place(path);
    if (at.volume) throw invalid("the input {} would be in a volume, which is not supported", path);
    OpenFolder(at.root, at.inside.parent_path()).write(at.inside.filename(), text, mode);
    if (host_.sandbox) mount_input(path, at, at.whole());
  }

  void show(const std::string& path, const std::string& uri, int mode) {
    const auto source = host_.object(uri);
    std::error_code error;
    if (!source || !fs::exists(*source, error)) throw not_found("there is no object {} for the input {}", uri, path);
    const Place at = place(path);
    if (at.volume) throw invalid("the input {} would be in a volume, which is not supported", path);
    if (host_.sandbox && mode < 0) return mount_input(path, at, *source);
    const OpenFolder folder(at.root, at.inside.parent_path());
    if (!folder.has(at.inside.filename())) {
      const fs::path copy = fmt::format("/proc/self/fd/{}/{}", folder.fd(), at.inside.filename().string());
      fs::copy(*source, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
      if (mode >= 0) fs::permissions(copy, static_cast<fs::perms>(mode & 0777));
    }
    if (host_.sandbox) mount_input(path, at, at.whole());
  }

  // --- the pod ---

  // The exit code is the program's, although its output goes through a pipe.
  void capture(json::object& main) const {
    const auto& defs = spec_.component->output_parameters;
    if (std::none_of(defs.begin(), defs.end(), [](const auto& def) { return def.found == ir::Found::Stdout; })) return;
    const std::string tmp = host_.sandbox ? "/tmp" : host_.folder.string();
    json::array command{"sh", "-c",
                        fmt::format("{{ \"$0\" \"$@\"; echo $? >{1}/{3}; }} | tee {1}/{2}; exit \"$({0} {1}/{3})\"",
                                    "cat", tmp, kStdout, kExitCode)};
    const json::array words = array_of(main, "command");
    if (words.empty()) return;  // the node says what is missing
    command.insert(command.end(), words.begin(), words.end());
    main["command"] = std::move(command);
  }

  std::string reworded(std::string text) const {
    for (const auto& [from, to] : renamed_) {
      for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
      }
    }
    return text;
  }

  // Nothing can be mounted: the task is told where its files are instead.
  void rename_paths(json::object& main) {
    auto note = [&](const json::object& paths) {
      for (const auto& [name, path] : paths)
        renamed_.emplace_back(text_of(path), place(text_of(path)).whole().string());
    };
    note(object_of(outputs_, "parameters"));
    note(object_of(outputs_, "artifacts"));
    note(object_of(template_, "inputs"));
    for (const auto& list : {"files", "objects"}) {
      for (const auto& file : array_of(template_, list)) {
        const std::string path = string_at(file, {"path"});
        renamed_.emplace_back(path, place(path).whole().string());
      }
    }
    std::sort(renamed_.begin(), renamed_.end(),
              [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    renamed_.erase(std::unique(renamed_.begin(), renamed_.end()), renamed_.end());
    for (const std::string_view list : {"command", "args"}) {
      auto* words = main.if_contains(list);
      if (words == nullptr || !words->is_array()) continue;
      for (auto& word : words->get_array()) word = json::value(reworded(text_of(word)));
    }
  }

  json::object pod() {
    json::object main = main_;
    if (!main.contains("name")) main["name"] = "main";
    json::array volumes = array_of(template_, "volumes");
    if (!host_.sandbox) rename_paths(main);
    capture(main);
    json::array own = array_of(main, "volumeMounts");
    for (size_t i = 0; host_.sandbox && i < mounts_.size(); ++i) {
      const auto volume = fmt::format("path-{}", i);
      volumes.push_back({{"name", volume}, {"hostPath", {{"path", mounts_[i].source.string()}}}});
      json::object entry{{"name", volume}, {"mountPath", mounts_[i].target}};
      if (mounts_[i].read_only) entry["readOnly"] = true;
      own.push_back(std::move(entry));
    }
    json::array containers;
    for (const auto& one : array_of(template_, "set")) {
      json::object container = one.as_object();
      json::array mounts = array_of(container, "volumeMounts");
      for (const auto& mount : own) {
        if (string_at(mount, {"name"}).starts_with("path-")) mounts.push_back(mount);
      }
      if (!mounts.empty()) container["volumeMounts"] = std::move(mounts);
      containers.push_back(std::move(container));
    }
    if (!own.empty()) main["volumeMounts"] = std::move(own);
    containers.insert(containers.begin(), std::move(main));
    if (containers.size() > 1) order(containers);
    json::array init;
    // Sidecars as Kubernetes has them: there before the others start, gone when these have ended.
    for (const auto& one : array_of(template_, "sidecars")) {
      json::object sidecar = one.as_object();
      sidecar["restartPolicy"] = "Always";
      init.push_back(std::move(sidecar));
    }
    const json::array before = array_of(template_, "initContainers");
    init.insert(init.begin(), before.begin(), before.end());
    json::object spec{{"restartPolicy", "Never"}, {"containers", std::move(containers)}};
    if (!init.empty()) spec["initContainers"] = std::move(init);
    if (!volumes.empty()) spec["volumes"] = std::move(volumes);
    deadline(spec);
    json::value patched = std::move(spec);
    patch(patched);
    return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", metadata()}, {"spec", std::move(patched)}};
  }

  // Containers that wait for others read, from a pipe for each of these, what it came to.
  void order(json::array& containers) const {
    const std::string tmp = host_.sandbox ? "/tmp" : host_.folder.string();
    const OpenFolder folder(host_.folder, std::string(kSet));
    std::map<std::string, std::vector<std::string>> in, out;
    for (const auto& one : containers) {
      const auto name = string_at(one, {"name"});
      for (const auto& dependency : array_of(one.as_object(), "dependencies")) {
        const std::string pipe = fmt::format("{}.{}", text_of(dependency), name);
        if (::mkfifoat(folder.fd(), pipe.c_str(), 0600) != 0 && errno != EEXIST) throw_errno("cannot make a pipe");
        in[name].push_back(fmt::format("{}/{}/{}", tmp, kSet, pipe));
        out[text_of(dependency)].push_back(in[name].back());
      }
    }
    constexpr std::string_view kScript =
        "failed=; for pipe in {}; do read code <\"$pipe\" || code=1; test \"$code\" = 0 || failed=1; done; "
        "if test -z \"$failed\"; then \"$0\" \"$@\"; code=$?; else code=64; fi; "
        "for pipe in {}; do echo $code >\"$pipe\" & done; wait; exit $code";
    for (auto& one : containers) {
      auto& container = one.get_object();
      const std::string name = get_string(container, "name");
      container.erase("dependencies");
      if (in[name].empty() && out[name].empty()) continue;
      json::array command{"sh", "-c", fmt::format(kScript, fmt::join(in[name], " "), fmt::join(out[name], " "))};
      for (const std::string_view list : {"command", "args"}) {
        const json::array words = array_of(container, list);
        command.insert(command.end(), words.begin(), words.end());
      }
      container.erase("args");
      container["command"] = std::move(command);
    }
  }

  json::object metadata() const {
    json::object labels, annotations;
    const json::object given = object_of(template_, "metadata");
    for (const auto& [name, value] : object_of(given, "labels")) labels[name] = text_of(value);
    for (const auto& [name, value] : object_of(given, "annotations")) annotations[name] = text_of(value);
    labels[kRunLabel] = spec_.run_id;
    labels[kTaskLabel] = std::to_string(spec_.task);
    labels[kAttemptLabel] = std::to_string(spec_.attempt);
    annotations["pipelines.kubeflow.org/task_path"] = spec_.path;
    annotations[kTmpAnnotation] = host_.folder.string();
    return {{"name", host_.pod},
            {"namespace", host_.ns},
            {"labels", std::move(labels)},
            {"annotations", std::move(annotations)}};
  }

  void deadline(json::object& spec) const {
    std::optional<double> seconds;
    for (const std::string_view field : {"activeDeadlineSeconds", "timeout"}) {
      const std::string text = get_string(template_, field);
      if (text.empty()) continue;
      const auto given = argo::duration_seconds(text);
      if (!given) throw invalid("{}: \"{}\" is no duration", field, text);
      if (!seconds || *given < *seconds) seconds = given;
    }
    if (seconds) spec["activeDeadlineSeconds"] = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(*seconds)));
  }

  void patch(json::value& spec) const {
    for (const auto& text : array_of(template_, "podSpecPatch")) {
      try {
        const auto documents = parse_yaml(text_of(text));
        if (!documents.empty() && documents[0].is_object()) kube::apply_strategic_patch(spec, documents[0]);
      } catch (const Error& error) {
        throw invalid("podSpecPatch: {}", error.message());
      }
    }
  }

  // --- afterwards ---

  std::optional<std::string> read(const std::string& path) const {
    const Place at = place(path);
    if (is_untouched(at.whole())) return std::nullopt;
    auto text = read_task_file(at.root, at.inside.string());
    if (text && text->ends_with('\n')) text->pop_back();
    return text;
  }

  std::string printed() const {
    auto text = read_task_file(host_.folder, std::string(kStdout)).value_or("");
    if (text.ends_with('\n')) text.pop_back();
    if (text.size() > kLongestResult) text.erase(0, text.size() - kLongestResult);
    return text;
  }

  void keep(const ir::ArtifactDef& def, const std::string& path, engine::Outputs& outputs) {
    const auto* sides = find_object(spec_.executor_input, "outputs");
    const auto* lists = sides != nullptr ? find(*sides, "artifacts") : nullptr;
    const auto* planned = lists != nullptr ? find_path(*lists, {def.name, "artifacts"}) : nullptr;
    if (planned == nullptr) return;
    json::object artifact = planned->as_array()[0].as_object();
    const auto target = host_.object(get_string(artifact, "uri"));
    if (!target) throw invalid("the artifact {} has no place in the object store", def.name);
    const Place at = place(path);
    const auto earlier = kept_.find(path);
    if (earlier != kept_.end()) {
      fs::copy(earlier->second, *target, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    } else {
      if (is_untouched(at.whole()) || !has_task_file(at.root, at.inside)) {
        if (def.optional) return;
        throw invalid("output artifact {}: the task ended without writing {}", def.name, path);
      }
      keep_artifact(at.root, at.inside, *target, !at.volume);
      kept_[path] = *target;
    }
    outputs.artifacts[def.name] = json::array{std::move(artifact)};
  }

  const engine::LaunchSpec& spec_;
  const WorkloadHost& host_;
  json::object template_, main_, outputs_;
  std::vector<ObjectMount> mounts_;
  std::vector<std::pair<std::string, std::string>> renamed_;
  std::map<std::string, fs::path> kept_;
};

}  // namespace

json::object make_workload_pod(const engine::LaunchSpec& spec, const WorkloadHost& host) {
  return Workload(spec, host).make();
}

engine::Outputs collect_workload(const engine::LaunchSpec& spec, const WorkloadHost& host) {
  return Workload(spec, host).collect();
}

}  // namespace penstock::pipelines
