#include "node/host/sandbox.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

namespace penstock::node {

namespace {

constexpr size_t kMakerStack = 1 << 20;

// What root may still do inside: files of any owner, other users' ids, low ports. Not: mounts, devices, kernel
// settings.
constexpr uint64_t kRootCapabilities = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FOWNER |
                                       1ull << CAP_FSETID | 1ull << CAP_KILL | 1ull << CAP_SETGID | 1ull << CAP_SETUID |
                                       1ull << CAP_SETPCAP | 1ull << CAP_NET_BIND_SERVICE | 1ull << CAP_NET_RAW |
                                       1ull << CAP_SYS_CHROOT | 1ull << CAP_SETFCAP;

void futex_wait(std::atomic<uint32_t>& word, uint32_t value, const timespec* timeout) {
  raw_syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT_PRIVATE, value, reinterpret_cast<long>(timeout));
}

void futex_wake(std::atomic<uint32_t>& word) {
  raw_syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAKE_PRIVATE, 1);
}

// Of a child. One that has ended and was not waited for still takes signals: kill() does not tell.
bool is_running(int child) {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

void write_text(const char* path, const std::string& text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) throw_errno(fmt::format("open {}", path));
  ssize_t written = write(file, text.data(), text.size());
  int error = errno;
  close(file);
  errno = error;
  if (written < 0) throw_errno(fmt::format("write {}", path));
}

int read_number(const char* path, int fallback) {
  std::ifstream file(path);
  int number;
  return file >> number ? number : fallback;
}

}  // namespace

bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  auto [at, in] = std::mismatch(path.begin(), path.end(), folder.begin(), folder.end());
  return in == folder.end();
}

Sandbox::Sandbox(const std::filesystem::path& data, const std::vector<Mount>& shared) : data_(data) {
  for (const Mount& mount : shared) {
    bool covered =
        is_below(mount.target, "/tmp") || is_below(mount.target, "/var/tmp") || is_below(mount.target, "/dev/shm");
    (covered ? shared_below_tmp_ : shared_).push_back(mount);
  }
  last_capability_ = read_number("/proc/sys/kernel/cap_last_cap", 40);
  helper_alive_ = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  maker_stack_ = static_cast<char*>(
      mmap(nullptr, kMakerStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
  if (maker_stack_ == MAP_FAILED) throw_errno("memory for the sandbox maker");
  // The maker owns memory and errno until it hands the turn back.
  turn_ = 1;
  int pid = static_cast<int>(
      raw_clone(CLONE_VM | CLONE_FILES | SIGCHLD, maker_stack_ + kMakerStack, &Sandbox::run_maker, this));
  if (pid < 0) {
    problem_ = fmt::format("sandbox: no process for it: {}", std::strerror(-pid));
    return;
  }
  maker_ = pid;
  await_maker();
  if (turn_.load() == 1) problem_ = "sandbox: its maker ended at once";
  if (!problem_.empty()) {
    waitpid(maker_, nullptr, 0);
    maker_ = -1;
  }
}

Sandbox::~Sandbox() {
  drop_spares();
  if (maker_ > 0) {
    kill(maker_, SIGKILL);
    waitpid(maker_, nullptr, 0);
  }
  if (maker_stack_ != nullptr) munmap(maker_stack_, kMakerStack);
  if (helper_alive_ >= 0) close(helper_alive_);
  if (own_namespace_ >= 0) close(own_namespace_);
}

int Sandbox::run_maker(void* sandbox) {
  Sandbox& self = *static_cast<Sandbox*>(sandbox);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    self.build();
  } catch (const Error& error) {
    self.problem_ = fmt::format("sandbox: {}", error.message());
  } catch (const std::exception& error) {
    self.problem_ = fmt::format("sandbox: {}", error.what());
  }
  bool failed = !self.problem_.empty();
  self.turn_ = 0;
  futex_wake(self.turn_);
  if (failed) return 1;
  self.serve();
  return 0;
}

void Sandbox::build() {
  root_ = geteuid() == 0 && unshare(CLONE_NEWNS) == 0;
  if (!root_) {
    unsigned user = geteuid();
    unsigned group = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) throw_errno("user namespaces are not allowed here");
    write_text("/proc/thread-self/setgroups", "deny");
    write_text("/proc/thread-self/uid_map", fmt::format("{} {} 1", user, user));
    write_text("/proc/thread-self/gid_map", fmt::format("{} {} 1", group, group));
  }
  own_namespace_ = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (own_namespace_ < 0) throw_errno("open /proc/thread-self/ns/mnt");
  // Namespace changes clear it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  TemplateResult made = build_template({data_, shared_, root_});
  var_tmp_ = made.var_tmp;
  proc_covers_ = std::make_shared<const std::vector<const char*>>(std::move(made.proc_covers));
}

void Sandbox::serve() {
  constexpr unsigned long kFlags = CLONE_VM | CLONE_FILES | CLONE_PARENT | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
  while (true) {
    while (turn_.load() == 0) futex_wait(turn_, 0, nullptr);
    if (work_) {
      work_();
    } else {
      SpareSandbox& spare = *spares_.back();
      spare.pid = static_cast<int>(raw_clone(kFlags, spare.stacks + kStackSize, run_sandbox_init, &spare));
    }
    turn_ = 0;
    futex_wake(turn_);
  }
}

void Sandbox::make_spare(char* stacks) {
  auto spare = std::make_unique<SpareSandbox>();
  spare->proc_covers = proc_covers_->data();
  spare->helper_alive = helper_alive_;
  spare->stacks = stacks;
  spares_.push_back(std::move(spare));
  turn_ = 1;
  futex_wake(turn_);
}

void Sandbox::await_maker() {
  timespec second = {1, 0};
  while (turn_.load() == 1) {
    if (!is_running(maker_)) {
      // A spare that it has made and not told of is nobody's: it ends with the helper.
      if (turn_.load() == 1 && !work_ && !spares_.empty()) spares_.back()->pid = -ESRCH;
      return;
    }
    futex_wait(turn_, 1, &second);
  }
}

std::vector<int> Sandbox::spare_pids() {
  await_maker();
  std::vector<int> pids;
  for (const auto& spare : spares_) {
    if (const int pid = spare->pid.load(); pid > 0) pids.push_back(pid);
  }
  return pids;
}

char* Sandbox::drop_spare(int pid) {
  // The one that is being made has ended before its pid was told.
  if (!spares_.empty() && spares_.back()->pid.load() == 0) await_maker();
  for (auto spare = spares_.begin(); spare != spares_.end(); ++spare) {
    if ((*spare)->pid.load() != pid) continue;
    char* stacks = (*spare)->stacks;
    spares_.erase(spare);
    return stacks;
  }
  return nullptr;
}

std::vector<char*> Sandbox::drop_spares() {
  std::vector<char*> stacks;
  await_maker();
  for (const auto& spare : spares_) {
    if (spare->pid > 0) {
      kill(spare->pid, SIGKILL);
      waitpid(spare->pid, nullptr, 0);
    }
    stacks.push_back(spare->stacks);
  }
  spares_.clear();
  return stacks;
}

std::unique_ptr<SpareSandbox> Sandbox::launch(LaunchPlan& plan) {
  if (spares_.size() == 1) await_maker();
  auto spare = std::move(spares_.front());
  spares_.pop_front();
  if (spare->pid < 0) return spare;
  spare->plan = &plan;
  spare->given = 1;
  futex_wake(spare->given);
  timespec second = {1, 0};
  while (spare->taken.load() == 0) {
    futex_wait(spare->taken, 0, &second);
    // Somebody killed it: it will be waited for as a task that did not start.
    if (!is_running(spare->pid)) break;
  }
  return spare;
}

// The caller waits, as the maker uses its memory and its errno meanwhile.
void Sandbox::order(std::function<void()> work) {
  await_maker();
  work_ = std::move(work);
  turn_ = 1;
  futex_wake(turn_);
  await_maker();
  work_ = nullptr;
}

void Sandbox::attach(LaunchPlan& plan, int mount_namespace) {
  bool done = false;
  order([&] {
    attach_task_mounts(plan, mount_namespace, own_namespace_);
    done = true;
  });
  if (done) return;
  plan.error_step = "mount at";
  plan.error_name = "/";
  plan.error = ESRCH;
}

int Sandbox::attach_common(int mount_namespace) {
  if (proc_covers_->front() == nullptr) return 0;
  int result = -ESRCH;
  order([&] { result = attach_proc_covers(proc_covers_->data(), mount_namespace, own_namespace_); });
  return result;
}

ProcCovers Sandbox::prepare(LaunchPlan& plan) const {
  plan.var_tmp = var_tmp_;
  plan.drop_capabilities = true;
  plan.keep_capabilities = root_ ? kRootCapabilities : 0;
  plan.last_capability = last_capability_;
  return proc_covers_;
}

void Sandbox::locate(const std::filesystem::path& source, MountPlan& mount, std::string& relative) const {
  if (!source.is_absolute())
    throw invalid("the source \"{}\" of the mount at {} is not absolute", source.native(), mount.target);
  struct Place {
    std::filesystem::path host;
    const char* hidden;
  };
  const Place places[] = {{data_, kHiddenData}, {"/tmp", kHiddenTmp}, {"/run", kHiddenRun}, {"/dev", kHiddenDev}};
  std::filesystem::path real = source.lexically_normal();
  if (!is_below(real, data_)) {
    std::error_code error;
    real = std::filesystem::canonical(source, error);
    if (error) throw not_found("the source {} of the mount at {}: {}", source.native(), mount.target, error.message());
  }
  mount.root = "/";
  mount.from_skeleton = true;
  relative = real.relative_path().native();
  for (const Place& place : places) {
    if (!is_below(real, place.host)) continue;
    mount.root = place.hidden;
    mount.from_skeleton = false;
    relative = real.lexically_relative(place.host).native();
    break;
  }
  while (relative.size() > 1 && relative.back() == '/') relative.pop_back();
  if (relative.empty()) relative = ".";
  mount.source = relative.c_str();
}

}  // namespace penstock::node
