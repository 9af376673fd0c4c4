#include "node/host/sandbox_child.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// Instrumented code would share the helper's shadow state from a stack that the sanitizer does not know.
#define UNINSTRUMENTED __attribute__((no_sanitize("address", "thread", "undefined")))

namespace penstock::node {

namespace {

constexpr unsigned kDetached = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
constexpr int kNotFound = 127;  // as a shell's
constexpr int kNotStarted = 126;

UNINSTRUMENTED long pointer(const void* value) { return reinterpret_cast<long>(value); }

UNINSTRUMENTED int failed(LaunchPlan& plan, const char* step, const char* name, long result) {
  plan.error_step = step;
  plan.error_name = name;
  plan.error = static_cast<int>(-result);
  return kNotStarted;
}

UNINSTRUMENTED void close_file(int file) { raw_syscall(SYS_close, file); }

// Any path of the sandbox, but not through /proc/*/fd and the like: the init still has the helper's files.
UNINSTRUMENTED int open_path(int folder, const char* path, uint64_t resolve = RESOLVE_NO_MAGICLINKS) {
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = resolve;
  return static_cast<int>(raw_syscall(SYS_openat2, folder, pointer(path), pointer(&how), sizeof how));
}

UNINSTRUMENTED int open_tree_at(int file) {
  return static_cast<int>(raw_syscall(SYS_open_tree, file, pointer(""), kDetached | AT_EMPTY_PATH | AT_RECURSIVE));
}

UNINSTRUMENTED int move_tree(int tree, int folder, const char* name) {
  unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*name == 0 ? MOVE_MOUNT_T_EMPTY_PATH : 0);
  return static_cast<int>(raw_syscall(SYS_move_mount, tree, pointer(""), folder, pointer(name), flags));
}

UNINSTRUMENTED bool is_folder(int file) {
  struct statx info = {};
  raw_syscall(SYS_statx, file, pointer(""), AT_EMPTY_PATH, STATX_TYPE, pointer(&info));
  return S_ISDIR(info.stx_mode);
}

UNINSTRUMENTED int make_node(int folder, const char* name, bool as_folder) {
  if (as_folder) return static_cast<int>(raw_syscall(SYS_mkdirat, folder, pointer(name), 0755));
  return static_cast<int>(raw_syscall(SYS_mknodat, folder, pointer(name), S_IFREG | 0644, 0));
}

// A new tmpfs, not yet mounted anywhere.
UNINSTRUMENTED int new_tmpfs() {
  int context = static_cast<int>(raw_syscall(SYS_fsopen, pointer("tmpfs"), FSOPEN_CLOEXEC));
  if (context < 0) return context;
  raw_syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, pointer("mode"), pointer("0755"), 0);
  long result = raw_syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
  if (result == 0) result = raw_syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
  close_file(context);
  return static_cast<int>(result);
}

// Shows `name` of the folder `from` in the folder `to` under the same name.
UNINSTRUMENTED int show_entry(int from, int to, const char* name) {
  struct statx info = {};
  long result = raw_syscall(SYS_statx, from, pointer(name), AT_SYMLINK_NOFOLLOW, STATX_TYPE, pointer(&info));
  if (result < 0) return static_cast<int>(result);
  if (S_ISLNK(info.stx_mode)) {
    char text[PATH_MAX];
    long size = raw_syscall(SYS_readlinkat, from, pointer(name), pointer(text), sizeof text - 1);
    if (size < 0) return static_cast<int>(size);
    text[size] = 0;
    return static_cast<int>(raw_syscall(SYS_symlinkat, pointer(text), to, pointer(name)));
  }
  int made = make_node(to, name, S_ISDIR(info.stx_mode));
  if (made < 0) return made;
  int tree =
      static_cast<int>(raw_syscall(SYS_open_tree, from, pointer(name), kDetached | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW));
  if (tree < 0) return tree;
  int moved = move_tree(tree, to, name);
  close_file(tree);
  return moved;
}

// Mounts a tmpfs over a read-only folder and shows the folder's entries in it, so that mount points can be made there.
UNINSTRUMENTED int make_writable(int folder) {
  int tmpfs = new_tmpfs();
  if (tmpfs < 0) return tmpfs;
  // `folder` and `listing` still reach what the tmpfs is about to cover.
  long listing = raw_syscall(SYS_openat, folder, pointer("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = listing < 0 ? static_cast<int>(listing) : move_tree(tmpfs, folder, "");
  alignas(8) char buffer[4096];
  while (result == 0) {
    long size = raw_syscall(SYS_getdents64, listing, pointer(buffer), sizeof buffer);
    if (size <= 0) {
      result = static_cast<int>(size);
      break;
    }
    for (long at = 0; at < size && result == 0;) {
      dirent64* entry = reinterpret_cast<dirent64*>(buffer + at);
      at += entry->d_reclen;
      const char* name = entry->d_name;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      result = show_entry(folder, tmpfs, name);
      // Gone meanwhile, or not ours to see: then the task does not see it either.
      if (result == -ENOENT || result == -EACCES) result = 0;
    }
  }
  if (listing >= 0) close_file(static_cast<int>(listing));
  close_file(tmpfs);
  return result;
}

// Makes the last component of `path`, whose parent exists.
UNINSTRUMENTED int make_component(char* path, size_t slash, bool as_folder, int root) {
  const char* name = path + slash + 1;
  if (slash == 0) return make_node(root, name, as_folder);
  int result = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    path[slash] = 0;
    int parent = open_path(AT_FDCWD, path);
    path[slash] = '/';
    if (parent < 0) return parent;
    result = make_node(parent, name, as_folder);
    if (result == -EROFS && attempt == 0) {
      int covered = make_writable(parent);
      close_file(parent);
      if (covered < 0) return covered;
      continue;
    }
    close_file(parent);
    break;
  }
  return result;
}

// Makes what is missing of `target`: folders, and as the last component a file when a file is to be mounted.
UNINSTRUMENTED int make_target(const char* target, bool as_folder, int root) {
  char path[PATH_MAX];
  size_t slash = 0;
  for (size_t i = 0;; ++i) {
    if (i + 1 >= sizeof path) return -ENAMETOOLONG;
    bool end = target[i] == 0;
    if (i > 0 && (end || target[i] == '/')) {
      path[i] = 0;
      int there = open_path(AT_FDCWD, path);
      if (there >= 0) {
        close_file(there);
      } else if (there != -ENOENT) {
        return there;
      } else {
        int made = make_component(path, slash, !end || as_folder, root);
        if (made < 0 && made != -EEXIST) return made;
      }
      slash = i;
    }
    if (end) return 0;
    path[i] = target[i];
  }
}

// Leaves the task no way to gain privileges over what it starts with.
UNINSTRUMENTED long drop_capabilities(const LaunchPlan& plan) {
  for (int number = 0; number <= plan.last_capability; ++number) {
    if (plan.keep_capabilities >> number & 1) continue;
    raw_syscall(SYS_prctl, PR_CAPBSET_DROP, number, 0, 0, 0);
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; ++half) {
    data[half].effective = data[half].permitted = static_cast<uint32_t>(plan.keep_capabilities >> (32 * half));
  }
  long result = raw_syscall(SYS_capset, pointer(&header), pointer(data));
  if (result < 0) return result;
  return raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

UNINSTRUMENTED int execute(LaunchPlan& plan) {
  long result = -ENOENT;
  const char* name = plan.argv[0];
  for (const char* const* candidate = plan.candidates; *candidate != nullptr; ++candidate) {
    long tried = raw_syscall(SYS_execve, pointer(*candidate), pointer(plan.argv), pointer(plan.envp));
    if (tried == -ENOEXEC) {
      plan.argv[0] = *candidate;
      plan.argv[-1] = "/bin/sh";
      tried = raw_syscall(SYS_execve, pointer("/bin/sh"), pointer(plan.argv - 1), pointer(plan.envp));
    }
    if (tried == -ENOENT || tried == -ENOTDIR) continue;
    result = tried;
    if (tried != -EACCES) break;
  }
  failed(plan, "exec", name, result);
  return result == -ENOENT ? kNotFound : kNotStarted;
}

// What every task does between clone and exec.
UNINSTRUMENTED int become_task(LaunchPlan& plan) {
  raw_syscall(SYS_setsid);
  for (int i = 0; i < plan.join_count; ++i) {
    long written = raw_syscall(SYS_write, plan.join[i], pointer("0"), 1);
    if (written < 0) return failed(plan, "enter its", "control group", written);
  }
  if (plan.nice != 0) raw_syscall(SYS_setpriority, PRIO_PROCESS, 0, plan.nice);
  if (plan.process_limit != 0) {
    rlimit64 limit = {plan.process_limit, plan.process_limit};
    raw_syscall(SYS_prlimit64, 0, RLIMIT_NPROC, pointer(&limit), 0);
  }
  raw_syscall(SYS_dup3, plan.input, 0, 0);
  raw_syscall(SYS_dup3, plan.output, 1, 0);
  raw_syscall(SYS_dup3, plan.output, 2, 0);
  if (plan.control >= 0) raw_syscall(SYS_dup3, plan.control, 3, 0);
  if (plan.drop_capabilities) {
    long dropped = drop_capabilities(plan);
    if (dropped < 0) return failed(plan, "drop", "capabilities", dropped);
  }
  long changed = raw_syscall(SYS_chdir, pointer(plan.cwd));
  if (changed < 0) return failed(plan, "change to the folder", plan.cwd, changed);
  uint64_t none = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, pointer(&none), 0, sizeof none);
  return execute(plan);
}

UNINSTRUMENTED int run_sandbox_task(void* argument) { return become_task(*static_cast<LaunchPlan*>(argument)); }

UNINSTRUMENTED long mount_call(const char* source, const char* target, const char* type, unsigned long flags,
                               const char* options = nullptr) {
  return raw_syscall(SYS_mount, pointer(source), pointer(target), pointer(type), static_cast<long>(flags),
                     pointer(options));
}

UNINSTRUMENTED int mount_tmp(LaunchPlan& plan) {
  long result = plan.tmp != nullptr ? mount_call(plan.tmp, "/tmp", nullptr, MS_BIND)
                                    : mount_call("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  if (result == 0 && plan.var_tmp) result = mount_call("/tmp", "/var/tmp", nullptr, MS_BIND);
  return static_cast<int>(result);
}

// What all tasks have. Null, or the place where it failed, with `error`.
UNINSTRUMENTED const char* make_common_mounts(const SpareSandbox& spare, long& error) {
  error = mount_call("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  if (error < 0) return "/proc";
  for (const char* const* cover = spare.proc_covers; *cover != nullptr; cover += 2) {
    error = mount_call(cover[0], cover[1], nullptr, MS_BIND);
    if (error < 0) return cover[1];
  }
  error = mount_call("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  return error < 0 ? "/dev/shm" : nullptr;
}

// Takes the plan, when it comes. 0, or -errno.
UNINSTRUMENTED long take_plan(SpareSandbox& spare) {
  while (spare.given.load() == 0) {
    raw_syscall(SYS_futex, pointer(&spare.given), FUTEX_WAIT_PRIVATE, 0, 0);
  }
  long result = raw_syscall(SYS_unshare, CLONE_FILES);
  spare.taken = 1;
  raw_syscall(SYS_futex, pointer(&spare.taken), FUTEX_WAKE_PRIVATE, 1);
  return result;
}

// The task's own mounts, beside the template's and those that all have. 0, or an exit status.
UNINSTRUMENTED int make_sandbox(LaunchPlan& plan) {
  for (int i = 0; i < plan.mount_count; ++i) {
    int opened = detach_source(plan.mounts[i]);
    if (opened < 0) return failed(plan, "mount at", plan.mounts[i].target, opened);
  }
  int root = -1;
  if (plan.mount_count > 0) {
    root = open_path(AT_FDCWD, kHiddenRoot);
    if (root < 0) return failed(plan, "open", kHiddenRoot, root);
  }
  long result = mount_tmp(plan);
  if (result < 0) return failed(plan, "mount at", "/tmp", result);
  // From here on no path and no symbolic link in a volume leads to the hidden folders.
  result = mount_call(kHiddenNone, kHidden, nullptr, MS_BIND);
  if (result < 0) return failed(plan, "mount at", kHidden, result);
  for (int i = 0; i < plan.mount_count; ++i) {
    int attached = attach_mount(plan.mounts[i], root);
    if (attached < 0) return failed(plan, "mount at", plan.mounts[i].target, attached);
  }
  return 0;
}

}  // namespace

UNINSTRUMENTED int detach_source(MountPlan& mount) {
  int root = open_path(AT_FDCWD, mount.root);
  if (root < 0) return root;
  int source = open_path(root, mount.source, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
  close_file(root);
  if (source < 0) return source;
  mount.tree = open_tree_at(source);
  close_file(source);
  if (mount.tree < 0) return mount.tree;
  mount_attr change = {};
  if (mount.read_only) {
    change.attr_set = MOUNT_ATTR_RDONLY;
    return static_cast<int>(raw_syscall(SYS_mount_setattr, mount.tree, pointer(""), AT_EMPTY_PATH | AT_RECURSIVE,
                                        pointer(&change), sizeof change));
  }
  if (mount.from_skeleton) {
    // Fails where the host itself has it read-only; then it is so here too.
    change.attr_clr = MOUNT_ATTR_RDONLY;
    raw_syscall(SYS_mount_setattr, mount.tree, pointer(""), AT_EMPTY_PATH, pointer(&change), sizeof change);
  }
  return 0;
}

UNINSTRUMENTED int attach_mount(const MountPlan& mount, int root) {
  int target = open_path(AT_FDCWD, mount.target);
  if (target == -ENOENT) {
    int made = make_target(mount.target, is_folder(mount.tree), root);
    if (made < 0) return made;
    target = open_path(AT_FDCWD, mount.target);
  }
  if (target < 0) return target;
  int moved = move_tree(mount.tree, target, "");
  close_file(target);
  return moved;
}

UNINSTRUMENTED int run_plain_task(void* argument) {
  LaunchPlan& plan = *static_cast<LaunchPlan*>(argument);
  raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  return become_task(plan);
}

UNINSTRUMENTED int run_sandbox_init(void* argument) {
  SpareSandbox& spare = *static_cast<SpareSandbox*>(argument);
  raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  pollfd helper = {spare.helper_alive, POLLIN, 0};
  timespec at_once = {};
  if (raw_syscall(SYS_ppoll, pointer(&helper), 1, pointer(&at_once), 0, 8) != 0) return kNotStarted;
  long error = 0;
  const char* failed_at = make_common_mounts(spare, error);
  long taken = take_plan(spare);
  LaunchPlan& plan = *spare.plan;
  char* task_stack = spare.stacks + 2 * kStackSize;
  if (failed_at != nullptr) return failed(plan, "mount at", failed_at, error);
  if (taken < 0) return failed(plan, "copy", "open files", taken);
  int status = make_sandbox(plan);
  if (status != 0) return status;
  // All signals stay blocked here, as in the helper: what is sent to an init with them blocked waits for
  // rt_sigtimedwait.
  long task = raw_clone(CLONE_VM | CLONE_VFORK | SIGCHLD, task_stack, run_sandbox_task, &plan);
  if (task < 0) return failed(plan, "start", "a process", task);
  // But for the output, which it closes when nothing runs here any more: the helper learns of the end by that.
  if (plan.output > 0) raw_syscall(SYS_close_range, 0, plan.output - 1, 0);
  raw_syscall(SYS_close_range, plan.output + 1, UINT_MAX, 0);
  uint64_t awaited = 1ull << (SIGCHLD - 1) | 1ull << (kForwardSignal - 1);
  while (true) {
    siginfo_t info;
    long signal = raw_syscall(SYS_rt_sigtimedwait, pointer(&awaited), pointer(&info), 0, sizeof awaited);
    if (signal == kForwardSignal) raw_syscall(SYS_kill, -1, info.si_value.sival_int);
    if (signal != SIGCHLD) continue;
    int wait_status = 0;
    for (long pid; (pid = raw_syscall(SYS_wait4, -1, pointer(&wait_status), WNOHANG, 0)) > 0;) {
      if (pid != task) continue;
      plan.wait_status = wait_status;
      if (!plan.keep_children) raw_syscall(SYS_kill, -1, SIGKILL);
      while (raw_syscall(SYS_wait4, -1, 0, __WALL, 0) > 0) {
      }
      plan.ended = true;
      raw_syscall(SYS_close, plan.output);
      return 0;
    }
  }
}

#if defined(__x86_64__)
UNINSTRUMENTED long raw_syscall(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

UNINSTRUMENTED long raw_clone(unsigned long flags, char* stack_top, int (*entry)(void*), void* argument) {
  void** stack = reinterpret_cast<void**>(stack_top) - 2;
  stack[0] = reinterpret_cast<void*>(entry);
  stack[1] = argument;
  long result;
  register long r10 asm("r10") = 0;
  register long r8 asm("r8") = 0;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "pop %%rax\n\t"
      "pop %%rdi\n\t"
      "call *%%rax\n\t"
      "mov %%eax, %%edi\n\t"
      "mov %[exit], %%eax\n\t"
      "syscall\n\t"
      "hlt\n\t"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone), "D"(flags), "S"(stack), "d"(0L), "r"(r10), "r"(r8), [exit] "i"(SYS_exit_group)
      : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
UNINSTRUMENTED long raw_syscall(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

UNINSTRUMENTED long raw_clone(unsigned long flags, char* stack_top, int (*entry)(void*), void* argument) {
  void** stack = reinterpret_cast<void**>(stack_top) - 2;
  stack[0] = reinterpret_cast<void*>(entry);
  stack[1] = argument;
  register long x8 asm("x8") = SYS_clone;
  register long x0 asm("x0") = static_cast<long>(flags);
  register long x1 asm("x1") = reinterpret_cast<long>(stack);
  register long x2 asm("x2") = 0;
  register long x3 asm("x3") = 0;
  register long x4 asm("x4") = 0;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "ldp x1, x0, [sp], #16\n\t"
      "blr x1\n\t"
      "mov x8, %[exit]\n\t"
      "svc #0\n\t"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), [exit] "i"(SYS_exit_group)
      : "x30", "memory");
  return x0;
}
#else
#error "the node helper knows the system calls of x86_64 and aarch64"
#endif

}  // namespace penstock::node
