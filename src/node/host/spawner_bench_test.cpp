// What a process costs, beside the bare system calls. Not run with the tests: -ns -tc="bench: processes".
#include <doctest/doctest.h>

#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/host/spawner_rig.h"

using namespace penstock;
using namespace penstock::node;

namespace {

constexpr int kTasks = 1000;
using Clock = std::chrono::steady_clock;

// Runs `start` kTasks times with two at a time; microseconds each.
template <class Start>
double two_at_a_time(Start start) {
  auto began = Clock::now();
  int running = 0;
  for (int i = 0; i < kTasks; ++i) {
    if (running == 2) {
      wait(nullptr);
      --running;
    }
    start();
    ++running;
  }
  while (wait(nullptr) > 0) {
  }
  return std::chrono::duration<double, std::micro>(Clock::now() - began).count() / kTasks;
}

char* const kArguments[] = {const_cast<char*>("/bin/true"), nullptr};
char* const kEnvironment[] = {nullptr};

double bare_spawn() {
  SpawnerRig rig(false);
  int next = 0;
  return two_at_a_time([&] {
    std::string log = rig.folder() / "logs" / std::to_string(next++);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    pid_t pid;
    posix_spawn(&pid, "/bin/true", &files, nullptr, kArguments, kEnvironment);
    posix_spawn_file_actions_destroy(&files);
  });
}

// The least that a sandbox does: namespaces, a private /tmp, /proc and /dev/shm, a read-only root.
int sandbox_child(void*) {
  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  mount("tmpfs", "/tmp", "tmpfs", 0, nullptr);
  mount("/tmp", "/var/tmp", nullptr, MS_BIND, nullptr);
  mount("shm", "/dev/shm", "tmpfs", 0, nullptr);
  mount("proc", "/proc", "proc", 0, nullptr);
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_RDONLY;
  syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &change, sizeof change);
  execve("/bin/true", kArguments, kEnvironment);
  _exit(127);
}

double bare_clone() {
  static char stack[256 << 10];
  return two_at_a_time([&] {
    clone(sandbox_child, stack + sizeof stack, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, nullptr);
  });
}

double through_spawner(bool sandbox) {
  Loop loop("bench");
  SpawnerRig rig(sandbox);
  std::mutex mutex;
  std::condition_variable changed;
  auto spawner = connect_spawner(loop, rig.options());
  int next = 0, ended = 0;
  ProcessSpec spec = rig.shell("", "");
  spec.argv = {"/bin/true"};
  auto start_next = [&] {
    if (next == kTasks) return;
    spec.id = std::to_string(next++);
    spec.log = rig.folder() / "logs" / spec.id;
    spawner->start(spec);
  };
  spawner->set_on_change([&](const ProcessStatus& status) {
    if (status.running) return;
    if (status.exit_code != 0) std::fprintf(stderr, "%s\n", status.message.c_str());
    spawner->forget(status.id);
    std::lock_guard lock(mutex);
    ++ended;
    start_next();
    if (ended == kTasks) changed.notify_all();
  });
  auto began = Clock::now();
  loop.post([&] {
    start_next();
    start_next();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ended == kTasks; });
  double micros = std::chrono::duration<double, std::micro>(Clock::now() - began).count() / kTasks;
  spawner.reset();
  return micros;
}

}  // namespace

TEST_CASE("bench: processes" * doctest::skip()) {
  for (int round = 0; round < 3; ++round) {
    double spawn = bare_spawn();
    double plain = through_spawner(false);
    double clone = geteuid() == 0 ? bare_clone() : 0;
    double sandboxed = through_spawner(true);
    std::printf("us a task: posix_spawn %.0f, spawner %.0f (%.2fx); clone+mounts %.0f, sandboxed %.0f (%.2fx)\n", spawn,
                plain, plain / spawn, clone, sandboxed, sandboxed / clone);
  }
}
