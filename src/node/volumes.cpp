#include "node/volumes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr int kDefaultFileMode = 0644;

// A relative path inside a folder: not empty, not absolute, without "..".
void check_inside(std::string_view path, std::string_view what) {
  const fs::path parsed(path);
  bool ok = !path.empty() && !parsed.is_absolute() && path.find('\0') == std::string_view::npos;
  for (const auto& part : parsed) ok = ok && part != "..";
  if (!ok) throw invalid("{} \"{}\" must be a relative path without \"..\"", what, path);
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  const auto relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

void make_folder(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    ::chmod(path.c_str(), mode);  // whatever the umask
    return;
  }
  if (errno == EEXIST) return;
  if (errno != ENOENT) throw_errno(fmt::format("cannot make the folder {}", path.string()));
  fs::create_directories(path.parent_path());
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    throw_errno(fmt::format("cannot make the folder {}", path.string()));
  }
  ::chmod(path.c_str(), mode);
}

void write_file(const fs::path& path, std::string_view bytes, int mode) {
  // Written beside and renamed, so that a container which was restarted never reads half a file.
  const fs::path beside = path.string() + ".new";
  fs::remove(beside);
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) throw_errno(fmt::format("cannot write {}", beside.string()));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      errno = error;
      throw_errno(fmt::format("cannot write {}", beside.string()));
    }
    done += static_cast<size_t>(n);
  }
  ::fchmod(fd, static_cast<mode_t>(mode));
  ::close(fd);
  fs::rename(beside, path);
}

// Writes the files of one volume; the same code serves plain and projected volumes.
class FileWriter {
 public:
  FileWriter(fs::path folder, const json::object& pod, const ConfigObjects& objects, const PodContext& context)
      : folder_(std::move(folder)), pod_(pod), objects_(objects), context_(context) {}

  void config(const json::object& source, ConfigKind kind, std::string_view name_member, int mode) {
    const auto name = get_string(source, name_member);
    const bool optional = get_bool(source, "optional");
    const auto word = kind == ConfigKind::Secret ? "secret" : "configmap";
    const auto found = objects_.find({kind, name});
    const kube::Object object = found == objects_.end() ? nullptr : found->second;
    if (!object && !optional) throw ConfigMissing(fmt::format("{} \"{}\" not found", word, name));
    const auto* items = find_array(source, "items");
    if (!items) {
      for (const auto& [key, value] : config_values(kind, object)) put(key, value, mode);
      return;
    }
    for (const auto& item : *items) {
      if (!item.is_object()) continue;
      const auto key = get_string(item.get_object(), "key");
      const auto value = config_value(kind, object, key);
      if (!value && !optional) throw ConfigMissing(fmt::format("{} \"{}\" has no key \"{}\"", word, name, key));
      if (value) put(get_string(item.get_object(), "path"), *value, item_mode(item.get_object(), mode));
    }
  }

  void downward(const json::object& source, int mode) {
    const auto* items = find_array(source, "items");
    if (!items) return;
    for (const auto& item : *items) {
      if (!item.is_object()) continue;
      const auto& object = item.get_object();
      std::string text;
      if (const auto* ref = find_object(object, "fieldRef")) {
        text = pod_field(pod_, get_string(*ref, "fieldPath"), context_, true);
      } else if (const auto* resource = find_object(object, "resourceFieldRef")) {
        text = resource_field(pod_, nullptr, *resource, context_);
      }
      put(get_string(object, "path"), text, item_mode(object, mode));
    }
  }

 private:
  static int item_mode(const json::object& item, int fallback) {
    return static_cast<int>(get_int(item, "mode", fallback)) & 0777;
  }

  void put(const std::string& path, std::string_view bytes, int mode) {
    check_inside(path, "the path of a volume's item");
    const auto target = folder_ / path;
    if (target.parent_path() != folder_) fs::create_directories(target.parent_path());
    write_file(target, bytes, mode);
  }

  fs::path folder_;
  const json::object& pod_;
  const ConfigObjects& objects_;
  const PodContext& context_;
};

class Preparer {
 public:
  Preparer(const json::object& pod, const ConfigObjects& objects, const PodContext& context,
           const VolumeOptions& options)
      : pod_(pod), objects_(objects), context_(context), options_(options) {
    folder_ = pod_folder(options.data, kube::uid_of(pod));
  }

  PodFiles run() {
    PodFiles files;
    files.tmp = tmp_folder();
    files.own_folder = made_;
    const auto* volumes = find_array(pod_.at("spec").get_object(), "volumes");
    if (!volumes) return files;
    for (size_t i = 0; i < volumes->size(); ++i) {
      if (!(*volumes)[i].is_object()) continue;
      const auto& volume = (*volumes)[i].get_object();
      const auto name = get_string(volume, "name");
      check_inside(name, "a volume's name");
      field_ = fmt::format("spec.volumes[{}]", i);
      files.volumes[name] = make(volume, name);
    }
    files.own_folder = made_;
    return files;
  }

 private:
  fs::path tmp_folder() {
    const auto* annotations = find_object(pod_.at("metadata").get_object(), "annotations");
    const auto named = annotations ? get_string(*annotations, kTmpDirAnnotation) : std::string();
    if (named.empty()) {
      const auto path = own_folder() / "tmp";
      make_folder(path, 01777);
      return path;
    }
    // A folder right below that of all tasks, where no task can leave a link.
    const fs::path path = named;
    const auto info = fs::symlink_status(path);
    if (path.parent_path() != options_.data / "tasks" || path.filename() == ".." ||
        info.type() != fs::file_type::directory) {
      throw Error(Code::PermissionDenied,
                  fmt::format("the annotation {} names \"{}\", which is no folder in {}", kTmpDirAnnotation, named,
                              (options_.data / "tasks").string()),
                  "metadata.annotations");
    }
    return path;
  }

  const fs::path& own_folder() {
    if (!made_) make_folder(folder_, 0700);
    made_ = true;
    return folder_;
  }

  PodVolume make(const json::object& volume, const std::string& name) {
    if (const auto* claim = find_object(volume, "persistentVolumeClaim")) return claim_volume(*claim);
    if (const auto* host = find_object(volume, "hostPath")) return {host_path(*host), false};
    if (find(volume, "image")) return image_volume(name);
    const auto path = own_folder() / "volumes" / name;
    // What lives as long as the pod is a folder here, whatever storage it asks for.
    if (find(volume, "emptyDir") || find(volume, "ephemeral")) {
      make_folder(path, 0777);
      return {path, false};
    }
    make_folder(path, 0755);
    FileWriter writer(path, pod_, objects_, context_);
    if (const auto* secret = find_object(volume, "secret")) {
      writer.config(*secret, ConfigKind::Secret, "secretName", mode_of(*secret));
    } else if (const auto* map = find_object(volume, "configMap")) {
      writer.config(*map, ConfigKind::ConfigMap, "name", mode_of(*map));
    } else if (const auto* downward = find_object(volume, "downwardAPI")) {
      writer.downward(*downward, mode_of(*downward));
    } else if (const auto* projected = find_object(volume, "projected")) {
      write_projected(*projected, writer);
    } else {
      throw Error(Code::InvalidArgument,
                  fmt::format("volume \"{}\" is of a kind that this node does not have; use emptyDir, ephemeral, "
                              "persistentVolumeClaim, secret, configMap, downwardAPI, projected or hostPath",
                              name),
                  field_);
    }
    return {path, true};
  }

  static int mode_of(const json::object& source) {
    return static_cast<int>(get_int(source, "defaultMode", kDefaultFileMode)) & 0777;
  }

  void write_projected(const json::object& projected, FileWriter& writer) {
    const auto* sources = find_array(projected, "sources");
    if (!sources) return;
    const int mode = mode_of(projected);
    for (const auto& item : *sources) {
      if (!item.is_object()) continue;
      const auto& source = item.get_object();
      if (const auto* secret = find_object(source, "secret")) {
        writer.config(*secret, ConfigKind::Secret, "name", mode);
      } else if (const auto* map = find_object(source, "configMap")) {
        writer.config(*map, ConfigKind::ConfigMap, "name", mode);
      } else if (const auto* downward = find_object(source, "downwardAPI")) {
        writer.downward(*downward, mode);
      } else {
        throw Error(Code::InvalidArgument,
                    "a projected volume's sources may be secret, configMap and downwardAPI; this node gives no "
                    "service account tokens",
                    field_ + ".projected.sources");
      }
    }
  }

  PodVolume image_volume(const std::string& name) const {
    const auto found = options_.image_volumes.find(name);
    if (found != options_.image_volumes.end()) return {found->second, true};
    throw Error(Code::InvalidArgument,
                fmt::format("volume \"{}\" is of an image: that needs a server with --runtime oci", name),
                field_ + ".image");
  }

  PodVolume claim_volume(const json::object& source) {
    const auto claim = get_string(source, "claimName");
    check_inside(claim, "claimName");
    const auto found = objects_.find({ConfigKind::Claim, claim});
    if (found == objects_.end() || !found->second) {
      throw ConfigMissing(fmt::format("persistentvolumeclaim \"{}\" not found", claim));
    }
    const auto path = claim_folder(options_.data, kube::namespace_of(pod_), claim);
    make_folder(path, 0777);
    return {path, get_bool(source, "readOnly")};
  }

  fs::path host_path(const json::object& source) {
    const fs::path named = get_string(source, "path");
    const auto type = get_string(source, "type");
    if (!named.is_absolute()) {
      throw Error(Code::InvalidArgument, fmt::format("hostPath \"{}\" must be absolute", named.string()),
                  field_ + ".hostPath.path");
    }
    const auto path = fs::weakly_canonical(named);
    bool allowed = options_.allow_host_path;
    for (const char* folder : {"tasks", "objects", "staged", "envs"}) {
      allowed = allowed || is_inside(path, fs::weakly_canonical(options_.data / folder));
    }
    for (const auto& folder : options_.host_folders) {
      allowed = allowed || is_inside(path, fs::weakly_canonical(folder));
    }
    if (!allowed) {
      throw Error(Code::PermissionDenied,
                  fmt::format("hostPath \"{}\" is not allowed here; use an emptyDir or a persistentVolumeClaim",
                              named.string()),
                  field_ + ".hostPath.path");
    }
    if (type == "DirectoryOrCreate") fs::create_directories(path);
    if (type == "FileOrCreate" && !fs::exists(path)) write_file(path, {}, kDefaultFileMode);
    if (!fs::exists(path)) {
      throw Error(Code::InvalidArgument, fmt::format("hostPath \"{}\" does not exist", named.string()),
                  field_ + ".hostPath.path");
    }
    const bool folder_wanted = type == "Directory" || type == "DirectoryOrCreate";
    if ((folder_wanted && !fs::is_directory(path)) || (type.starts_with("File") && !fs::is_regular_file(path))) {
      throw Error(Code::InvalidArgument, fmt::format("hostPath \"{}\" is no {}", named.string(), type),
                  field_ + ".hostPath.type");
    }
    return path;
  }

  const json::object& pod_;
  const ConfigObjects& objects_;
  const PodContext& context_;
  const VolumeOptions& options_;
  fs::path folder_;
  std::string field_;
  bool made_ = false;
};

// The folder or file of a volume that a mount shows. What a task put there is not followed out of the volume.
fs::path sub_path(const PodVolume& volume, const std::string& sub) {
  check_inside(sub, "subPath");
  const auto root = fs::canonical(volume.path);
  const auto path = fs::weakly_canonical(root / sub);
  if (path != root && !is_inside(path, root)) throw invalid("subPath \"{}\" leads out of its volume", sub);
  if (!fs::exists(path)) {
    if (volume.read_only) throw ConfigMissing(fmt::format("subPath \"{}\" is not in its volume", sub));
    fs::create_directories(path);
    fs::permissions(path, fs::perms::all);
  }
  return path;
}

}  // namespace

fs::path pod_folder(const fs::path& data, std::string_view uid) { return data / "pods" / uid; }

fs::path claim_folder(const fs::path& data, std::string_view ns, std::string_view claim) {
  return data / "volumes" / ns / claim;
}

PodFiles prepare_files(const json::object& pod, const ConfigObjects& objects, const PodContext& context,
                       const VolumeOptions& options) {
  return Preparer(pod, objects, context, options).run();
}

std::vector<Mount> container_mounts(const json::object& container, const PodFiles& files, const EnvList& env) {
  std::vector<Mount> mounts;
  const auto* wanted = find_array(container, "volumeMounts");
  if (!wanted) return mounts;
  for (const auto& item : *wanted) {
    if (!item.is_object()) continue;
    const auto& mount = item.get_object();
    const auto name = get_string(mount, "name");
    const auto target = get_string(mount, "mountPath");
    const auto found = files.volumes.find(name);
    if (found == files.volumes.end()) {
      throw invalid("container \"{}\" mounts the volume \"{}\", which the pod does not have",
                    get_string(container, "name"), name);
    }
    if (target.empty() || target[0] != '/') throw invalid("mountPath \"{}\" must be absolute", target);
    auto sub = get_string(mount, "subPath");
    if (sub.empty()) sub = expand(get_string(mount, "subPathExpr"), env);
    const auto source = sub.empty() ? found->second.path : sub_path(found->second, sub);
    mounts.push_back({source, target, found->second.read_only || get_bool(mount, "readOnly")});
  }
  return mounts;
}

}  // namespace penstock::node
