// What starting a process costs with nothing around it: the limits that the benchmarks compare with.
//
//   process_floor spawn|sandbox COUNT PARALLEL [PROGRAM ARGUMENT…]
//
// prints microseconds a process. `spawn` is posix_spawn and waitpid; `sandbox` is a bare loop of clone with the
// namespaces and the mounts of a step's sandbox: the node's own template, and over it the mounts that each step without
// volumes gets. `sandbox` needs root. PROGRAM is /bin/true.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/host/sandbox.h"

namespace {

namespace fs = std::filesystem;
namespace node = penstock::node;

char standard_program[] = "/bin/true";
char* standard_arguments[] = {standard_program, nullptr};
char* const* arguments = standard_arguments;
char* const environment[] = {nullptr};
node::TemplateResult made;

void start_plain() {
  pid_t pid;
  if (posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments, environment) != 0) std::abort();
}

void mount_or_end(const char* source, const char* target, const char* type, unsigned long flags) {
  if (mount(source, target, type, flags, nullptr) != 0) _exit(126);
}

int sandboxed(void*) {
  mount_or_end("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  for (size_t i = 0; made.proc_covers[i] != nullptr; i += 2) {
    mount_or_end(made.proc_covers[i], made.proc_covers[i + 1], nullptr, MS_BIND);
  }
  mount_or_end("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV);
  mount_or_end("/.penstock/data/tmp", "/tmp", nullptr, MS_BIND);
  if (made.var_tmp) mount_or_end("/tmp", "/var/tmp", nullptr, MS_BIND);
  mount_or_end(node::kHiddenNone, node::kHidden, nullptr, MS_BIND);
  execve(arguments[0], arguments, environment);
  _exit(127);
}

void start_sandboxed() {
  static char stack[256 << 10];
  if (clone(sandboxed, stack + sizeof stack, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, nullptr) < 0) {
    std::perror("clone");
    std::exit(1);
  }
}

// This process goes where the node's maker of sandboxes lives.
void enter_template(const fs::path& data) {
  fs::create_directories(data / "tmp");
  fs::create_directories(data / "envs");
  if (unshare(CLONE_NEWNS) != 0) {
    std::perror("unshare");
    std::exit(1);
  }
  made = node::build_template({data, {{data / "envs", (data / "envs").native(), true}}, true});
}

// Microseconds a process; less than nothing when some did not run.
double measure(bool sandbox, int count, int parallel) {
  const auto began = std::chrono::steady_clock::now();
  int running = 0, bad = 0;
  auto await_one = [&] {
    int status = 0;
    if (wait(&status) < 0) return false;
    bad += status != 0;
    return true;
  };
  for (int i = 0; i < count; ++i) {
    if (running == parallel) {
      await_one();
      --running;
    }
    sandbox ? start_sandboxed() : start_plain();
    ++running;
  }
  while (await_one()) {
  }
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
  return bad == 0 ? took.count() / count : -1;
}

int print(double micros) {
  if (micros < 0) return 1;
  std::printf("%.1f\n", micros);
  return 0;
}

// In a process of its own, so that the folder is no mount point of the one that removes it.
int measure_sandboxed(int count, int parallel) {
  char folder[] = "/var/lib/penstock-floor-XXXXXX";
  if (mkdtemp(folder) == nullptr) return 1;
  const pid_t child = fork();
  if (child == 0) {
    enter_template(folder);
    std::exit(print(measure(true, count, parallel)));
  }
  int status = 1;
  waitpid(child, &status, 0);
  fs::remove_all(folder);
  return status == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int count = std::atoi(argv[2]), parallel = std::atoi(argv[3]);
  if (argc > 4) arguments = argv + 4;
  if (std::strcmp(argv[1], "sandbox") == 0) return measure_sandboxed(count, parallel);
  return print(measure(false, count, parallel));
}
