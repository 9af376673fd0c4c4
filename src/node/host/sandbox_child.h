// What runs between clone and exec.
//
// These functions run in a process that shares its memory with the helper (CLONE_VM), and so also its thread-local
// storage, at the same time as the helper goes on. They therefore take no memory, throw nothing, call the kernel
// directly (libc's wrappers would write the helper's errno), and touch nothing but their own LaunchPlan, which the
// helper keeps until the process has ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace penstock::node {

// Folders of the template namespace that tasks never see: a cover is mounted over kHidden before the task starts.
inline constexpr char kHidden[] = "/.penstock";
inline constexpr char kHiddenData[] = "/.penstock/data";  // the server's data folder
inline constexpr char kHiddenTmp[] = "/.penstock/tmp";    // the host's /tmp, /run and /dev: sources of mounts
inline constexpr char kHiddenRun[] = "/.penstock/run";
inline constexpr char kHiddenDev[] = "/.penstock/dev";
inline constexpr char kHiddenProc[] = "/.penstock/proc";  // the host's; its presence lets user namespaces mount theirs
// As root, for whom kHiddenProc is read-only, and does not let them.
inline constexpr char kHiddenWholeProc[] = "/.penstock/whole-proc";
inline constexpr char kHiddenRoot[] = "/.penstock/root";  // the skeleton itself, writable
inline constexpr char kHiddenNone[] = "/.penstock/none";  // an empty folder: the cover

struct MountPlan {
  const char* root = nullptr;    // the hidden folder (or "/") that holds the source
  const char* source = nullptr;  // relative to it; no symbolic link is followed below it
  const char* target = nullptr;
  bool read_only = false;
  bool from_skeleton = false;  // the source's own mount is read-only: lift that for writable mounts
  int tree = -1;
};

struct LaunchPlan {
  // The command. candidates: full paths to try in order; argv has two free slots before it (a script without "#!" is
  // run by /bin/sh, as execvp does).
  const char* const* candidates = nullptr;
  const char** argv = nullptr;
  const char* const* envp = nullptr;
  const char* cwd = "/";
  int input = -1;             // becomes standard input
  int output = -1;            // becomes standard output and error
  int control = -1;           // stays open as file 3; none: -1
  const int* join = nullptr;  // cgroup.procs files of the cgroups to enter
  int join_count = 0;
  int nice = 0;
  uint64_t process_limit = 0;  // RLIMIT_NPROC; 0: as it is
  bool keep_children = false;  // what the program leaves behind runs on to its own end

  // The sandbox.
  MountPlan* mounts = nullptr;
  int mount_count = 0;
  const char* tmp = nullptr;  // seen as /tmp and /var/tmp; null: a tmpfs
  bool var_tmp = false;
  bool drop_capabilities = false;
  uint64_t keep_capabilities = 0;
  int last_capability = 40;

  // The result. error_step is null when the program was started.
  const char* error_step = nullptr;
  const char* error_name = "";
  int error = 0;
  // The init saw the task end, with wait_status, and killed all that was left; set before it closes `output`.
  std::atomic<bool> ended{false};
  int wait_status = 0;
};

// A sandbox that is made before its task is known: new namespaces, and of the mounts those that all tasks have. Its
// init shares the helper's files until it is given a plan.
struct SpareSandbox {
  const char* const* proc_covers = nullptr;  // pairs (hidden source, target), ended by null
  int helper_alive = -1;                     // a pidfd of the helper
  char* stacks = nullptr;                    // two of kStackSize: the init's, the task's
  std::atomic<int> pid{0};                   // of the clone, or -errno
  LaunchPlan* plan = nullptr;                // set before `given`
  std::atomic<uint32_t> given{0};            // futexes: the init is given the plan,
  std::atomic<uint32_t> taken{0};            // and has taken it, with copies of its files
};

inline constexpr size_t kStackSize = 32 << 10;
// The init passes si_value of this signal on to every process of its namespace.
inline constexpr int kForwardSignal = 42;

// Entry points for clone(). The result is the exit status.
int run_plain_task(void* plan);     // LaunchPlan: becomes the task
int run_sandbox_init(void* spare);  // SpareSandbox: pid 1 of a new namespace; mounts, starts the task, waits for it

// Mounts `mount.tree` (a detached tree) on `mount.target`, which is made if missing. Changes no file of the host: below
// a read-only folder, that folder is replaced with a tmpfs that holds the same entries. Returns 0 or -errno. `root` is
// the skeleton's writable root.
int attach_mount(const MountPlan& mount, int root);
// Opens mount.source and clones its tree into mount.tree. Returns 0 or -errno.
int detach_source(MountPlan& mount);

// Makes what `plan` says of mounts in the mount namespace `into`, which shows the skeleton, from one that has the
// hidden folders; `own` is that one, and left again. For a process that may use libc. An error is in `plan`.
void attach_task_mounts(LaunchPlan& plan, int into, int own);
// The same with the covers of /proc. Returns 0 or -errno.
int attach_proc_covers(const char* const* covers, int into, int own);

// System calls that leave errno alone; results as the kernel gives them (-errno).
long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);
// clone(2) with a stack; returns the pid or -errno in the caller.
long raw_clone(unsigned long flags, char* stack_top, int (*entry)(void*), void* argument);

}  // namespace penstock::node
