// What a process costs, beside the bare system calls. Not run with the tests: -ns -tc="bench: processes".
#include <doctest/doctest.h>

#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/host/spawner_rig.h"

using namespace penstock;
using namespace penstock::node;

namespace {

constexpr int kTasks = 1000;
using Clock = std::chrono::steady_clock;

// Microseconds a task, on the wall and of CPU time of all processes that took part. The second is steady on a busy
// machine.
struct Cost {
  double wall = 0, cpu = 0;
};

double micros_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
}

double own_cpu() {
  double sum = 0;
  for (int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage = {};
    getrusage(who, &usage);
    sum += micros_of(usage.ru_utime) + micros_of(usage.ru_stime);
  }
  return sum;
}

// Of a helper and all that it has waited for.
double helper_cpu(const std::filesystem::path& data) {
  int pid = 0;
  std::ifstream(data / "node/helper.lock") >> pid;
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double sum = 0;
  for (int i = 0; i < 4; ++i) {  // user, system, and the same of its children
    double ticks = 0;
    fields >> ticks;
    sum += ticks;
  }
  return sum * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Runs `start` kTasks times, at most `parallel` at a time.
template <class Start>
Cost side_by_side(int parallel, Start start) {
  auto began = Clock::now();
  double cpu = own_cpu();
  int running = 0;
  for (int i = 0; i < kTasks; ++i) {
    if (running == parallel) {
      wait(nullptr);
      --running;
    }
    start();
    ++running;
  }
  while (wait(nullptr) > 0) {
  }
  double wall = std::chrono::duration<double, std::micro>(Clock::now() - began).count();
  return {wall / kTasks, (own_cpu() - cpu) / kTasks};
}

char* const kArguments[] = {const_cast<char*>("/bin/true"), nullptr};
char* const kEnvironment[] = {nullptr};

Cost bare_spawn(int parallel) {
  return side_by_side(parallel, [&] {
    pid_t pid;
    posix_spawn(&pid, "/bin/true", nullptr, nullptr, kArguments, kEnvironment);
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

Cost bare_clone(int parallel) {
  static char stack[256 << 10];
  return side_by_side(parallel, [&] {
    clone(sandbox_child, stack + sizeof stack, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, nullptr);
  });
}

Cost through_spawner(int parallel, bool sandbox) {
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
  double cpu = own_cpu() + helper_cpu(rig.data());
  loop.post([&] {
    for (int i = 0; i < parallel; ++i) start_next();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ended == kTasks; });
  double wall = std::chrono::duration<double, std::micro>(Clock::now() - began).count();
  cpu = own_cpu() + helper_cpu(rig.data()) - cpu;
  spawner.reset();
  return {wall / kTasks, cpu / kTasks};
}

}  // namespace

static void print(const char* name, Cost cost, Cost bare) {
  std::printf("%-28s %6.0f us (%.2fx), CPU %6.0f us (%.2fx)\n", name, cost.wall, cost.wall / bare.wall, cost.cpu,
              cost.cpu / bare.cpu);
}

TEST_CASE("bench: processes" * doctest::skip()) {
  for (int parallel : {2, 1, 2, 1}) {
    std::printf("%d at a time\n", parallel);
    Cost spawn = bare_spawn(parallel);
    print("posix_spawn", spawn, spawn);
    print("spawner, plain", through_spawner(parallel, false), spawn);
    Cost clone = geteuid() == 0 ? bare_clone(parallel) : spawn;
    print("clone with mounts", clone, clone);
    print("spawner, sandboxed", through_spawner(parallel, true), clone);
  }
}
