// The file system that every sandboxed task starts from: a small tmpfs that shows the host's top-level folders
// read-only, with /tmp, /run, /dev, /proc and /sys of its own and the server's data folder covered.
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/sandbox.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr long kCgroup2Magic = 0x63677270;

void require(bool done, const std::string& what) {
  if (!done) throw_errno(what);
}

void bind_mount(const std::string& source, const std::string& target, bool with_submounts = true) {
  require(mount(source.c_str(), target.c_str(), nullptr, MS_BIND | (with_submounts ? MS_REC : 0), nullptr) == 0,
          fmt::format("bind {} at {}", source, target));
}

// A file descriptor that closes itself.
class File {
 public:
  explicit File(int file = -1) : file_(file) {}
  File(File&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~File() {
    if (file_ >= 0) close(file_);
  }
  int get() const { return file_; }

 private:
  int file_;
};

File clone_tree(const std::string& path, bool with_submounts = true) {
  int tree =
      open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (with_submounts ? AT_RECURSIVE : 0));
  require(tree >= 0, fmt::format("open the mounts of {}", path));
  return File(tree);
}

void attach(const File& tree, const std::string& target) {
  require(move_mount(tree.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0,
          fmt::format("mount at {}", target));
}

void set_read_only(const std::string& path, bool read_only, bool recursive) {
  mount_attr change = {};
  (read_only ? change.attr_set : change.attr_clr) = MOUNT_ATTR_RDONLY;
  long result =
      syscall(SYS_mount_setattr, AT_FDCWD, path.c_str(), recursive ? AT_RECURSIVE : 0, &change, sizeof change);
  require(result == 0, fmt::format("make {} read-only", path));
}

class Builder {
 public:
  explicit Builder(const TemplateOptions& options) : options_(options) {}

  TemplateResult build() {
    require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
    take_trees();
    // Any folder that surely exists serves as the place to build at; the host's own is kept in tmp_.
    require(mount("penstock", stage_.c_str(), "tmpfs", 0, "mode=0755") == 0, "mount a tmpfs");
    make_skeleton();
    make_devices();
    make_system_folders();
    enter();
    attach_shared();
    set_read_only("/", true, true);
    attach_hidden();
    return result();
  }

 private:
  std::string staged(const std::string& path) const { return stage_ + path; }

  void folder(const std::string& path, mode_t mode = 0755) {
    require(mkdir(staged(path).c_str(), mode) == 0 || errno == EEXIST, fmt::format("make {}", path));
    chmod(staged(path).c_str(), mode);
  }

  void take_trees() {
    tmp_ = clone_tree("/tmp");
    run_ = clone_tree("/run");
    // Only as root may submounts be left behind. Every mount here costs each sandbox its copy.
    dev_ = clone_tree("/dev", !options_.root);
    proc_ = clone_tree("/proc", !options_.root);
    if (options_.root) whole_proc_ = clone_tree("/proc", false);
    sys_ = clone_tree("/sys", !options_.root);
    data_ = clone_tree(options_.data.native());
    for (const Mount& shared : options_.shared) {
      std::string relative = fs::canonical(shared.source).relative_path().native();
      MountPlan plan;
      plan.root = "/";
      plan.source = relative.c_str();
      plan.target = shared.target.c_str();
      plan.read_only = shared.read_only;
      int opened = detach_source(plan);
      errno = -opened;
      require(opened == 0, fmt::format("share {}", shared.source.native()));
      shared_trees_.emplace_back(plan.tree);
    }
  }

  // Shows each top-level folder of the host, except those that tasks get of their own.
  void make_skeleton() {
    for (const char* own :
         {"/tmp", "/proc", "/sys", "/dev", "/run", "/minio", "/gcs", "/s3", "/oci", "/kfp-workspace"}) {
      folder(own, std::string_view(own) == "/tmp" ? 01777 : 0755);
    }
    folder(kHidden);
    for (const char* hidden :
         {kHiddenData, kHiddenTmp, kHiddenRun, kHiddenDev, kHiddenProc, kHiddenWholeProc, kHiddenRoot})
      folder(hidden);
    folder(kHiddenNone, 0555);
    for (const fs::directory_entry& entry : fs::directory_iterator("/")) {
      std::string path = entry.path().native();
      if (entry.is_symlink()) {
        fs::create_symlink(fs::read_symlink(entry.path()), staged(path));
      } else if (entry.is_directory() && access(staged(path).c_str(), F_OK) != 0 && path != "/lost+found") {
        folder(path);
        bind_mount(path, staged(path));
      } else if (entry.is_regular_file()) {
        require(mknod(staged(path).c_str(), S_IFREG | 0644, 0) == 0, fmt::format("make {}", path));
        bind_mount(path, staged(path));
      }
    }
  }

  void make_devices() {
    struct Device {
      const char* path;
      unsigned major, minor;
    };
    constexpr Device kDevices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                                   {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    for (const Device& device : kDevices) {
      std::string path = staged(device.path);
      if (options_.root && mknod(path.c_str(), S_IFCHR | 0666, makedev(device.major, device.minor)) == 0) {
        chmod(path.c_str(), 0666);
        continue;
      }
      require(mknod(path.c_str(), S_IFREG | 0644, 0) == 0, fmt::format("make {}", device.path));
      bind_mount(device.path, path);
    }
    fs::create_symlink("/proc/self/fd", staged("/dev/fd"));
    fs::create_symlink("/proc/self/fd/0", staged("/dev/stdin"));
    fs::create_symlink("/proc/self/fd/1", staged("/dev/stdout"));
    fs::create_symlink("/proc/self/fd/2", staged("/dev/stderr"));
    fs::create_symlink("pts/ptmx", staged("/dev/ptmx"));
    folder("/dev/shm", 01777);
    folder("/dev/pts");
    // Without terminals of its own a task can still do all else.
    mount("devpts", staged("/dev/pts").c_str(), "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620");
  }

  void make_system_folders() {
    attach(sys_, staged("/sys"));
    if (options_.root) {
      struct statfs info = {};
      if (statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == kCgroup2Magic) {
        bind_mount("/sys/fs/cgroup", staged("/sys/fs/cgroup"));
      }
      if (access("/sys/firmware", F_OK) == 0) bind_mount(staged(kHiddenNone), staged("/sys/firmware"));
    }
    // What name resolution needs of /run; the sockets of the host's services stay outside.
    for (const char* name :
         {"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd", "/run/nvidia-persistenced"}) {
      if (access(name, R_OK | X_OK) != 0) continue;
      fs::create_directories(staged(name));
      bind_mount(name, staged(name));
    }
  }

  // Makes the skeleton this process's root, and covers the data folder where it shows.
  void enter() {
    std::string old_root = staged("/.penstock/old");
    folder("/.penstock/old");
    require(syscall(SYS_pivot_root, stage_.c_str(), old_root.c_str()) == 0, "change the root");
    require(chdir("/") == 0, "change to the new root");
    require(umount2("/.penstock/old", MNT_DETACH) == 0, "leave the old root");
    rmdir("/.penstock/old");
    stage_.clear();
    if (access(options_.data.c_str(), F_OK) == 0) bind_mount(kHiddenNone, options_.data.native());
    set_read_only("/", true, true);
    bind_mount("/", kHiddenRoot, false);
    set_read_only(kHiddenRoot, false, false);
  }

  void attach_shared() {
    File root(open(kHiddenRoot, O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (size_t i = 0; i < options_.shared.size(); ++i) {
      MountPlan plan;
      plan.target = options_.shared[i].target.c_str();
      plan.tree = shared_trees_[i].get();
      int attached = attach_mount(plan, root.get());
      errno = -attached;
      require(attached == 0, fmt::format("mount at {}", plan.target));
    }
  }

  void attach_hidden() {
    set_read_only(kHiddenRoot, false, false);
    attach(tmp_, kHiddenTmp);
    attach(run_, kHiddenRun);
    attach(dev_, kHiddenDev);
    attach(proc_, kHiddenProc);
    if (options_.root) attach(whole_proc_, kHiddenWholeProc);
    attach(data_, kHiddenData);
  }

  // Root without capabilities still owns the kernel's settings: it sees them read-only, as in other container runtimes.
  // What is bound from the hidden /proc is read-only as that is. Not here: /proc/mtrr, which asks for a capability.
  TemplateResult result() {
    TemplateResult made;
    struct stat info;
    made.var_tmp = stat("/var/tmp", &info) == 0 && S_ISDIR(info.st_mode);
    static constexpr const char* kCovers[] = {
        "/.penstock/proc/sys",  "/proc/sys", "/.penstock/proc/sysrq-trigger", "/proc/sysrq-trigger",
        "/.penstock/proc/irq",  "/proc/irq", "/.penstock/proc/bus",           "/proc/bus",
        "/.penstock/proc/fs",   "/proc/fs",  "/.penstock/proc/acpi",          "/proc/acpi",
        "/.penstock/proc/scsi", "/proc/scsi"};
    if (options_.root) set_read_only(kHiddenProc, true, false);
    for (size_t i = 0; options_.root && i < std::size(kCovers); i += 2) {
      if (access(kCovers[i], F_OK) != 0) continue;
      made.proc_covers.push_back(kCovers[i]);
      made.proc_covers.push_back(kCovers[i + 1]);
    }
    made.proc_covers.push_back(nullptr);
    return made;
  }

  const TemplateOptions& options_;
  std::string stage_ = "/tmp";
  File tmp_, run_, dev_, proc_, whole_proc_, sys_, data_;
  std::vector<File> shared_trees_;
};

}  // namespace

TemplateResult build_template(const TemplateOptions& options) { return Builder(options).build(); }

}  // namespace penstock::node
