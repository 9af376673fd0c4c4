// What starting a process costs with nothing around it: the limits that the benchmarks compare with.
//
//   process_floor spawn|sandbox COUNT PARALLEL
//
// prints microseconds a process. `spawn` is posix_spawn and waitpid; `sandbox` is clone3's predecessor call with the
// namespaces and mounts of a step's sandbox: a private /tmp, /proc and /dev/shm, a read-only root. `sandbox` needs
// root.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

char program[] = "/bin/true";
char* const arguments[] = {program, nullptr};
char* const environment[] = {nullptr};

void start_plain() {
  pid_t pid;
  if (posix_spawn(&pid, program, nullptr, nullptr, arguments, environment) != 0) std::abort();
}

int sandboxed(void*) {
  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  mount("tmpfs", "/tmp", "tmpfs", 0, nullptr);
  mount("/tmp", "/var/tmp", nullptr, MS_BIND, nullptr);
  mount("shm", "/dev/shm", "tmpfs", 0, nullptr);
  mount("proc", "/proc", "proc", 0, nullptr);
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_RDONLY;
  syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &change, sizeof change);
  execve(program, arguments, environment);
  _exit(127);
}

void start_sandboxed() {
  static char stack[256 << 10];
  if (clone(sandboxed, stack + sizeof stack, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, nullptr) < 0) {
    std::perror("clone");
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const bool sandbox = std::strcmp(argv[1], "sandbox") == 0;
  const int count = std::atoi(argv[2]), parallel = std::atoi(argv[3]);
  const auto began = std::chrono::steady_clock::now();
  int running = 0;
  for (int i = 0; i < count; ++i) {
    if (running == parallel) {
      wait(nullptr);
      --running;
    }
    sandbox ? start_sandboxed() : start_plain();
    ++running;
  }
  while (wait(nullptr) > 0) {
  }
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
  std::printf("%.1f\n", took.count() / count);
}
