#include "node/host/warm_pool.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/helper_tasks.h"
#include "node/host/warm_channel.h"

namespace penstock::node {

using namespace std::chrono_literals;

namespace {

constexpr auto kIdle = 10min;           // without a task a warm process ends
constexpr auto kMaxWait = 5s;           // for a spare; then a task starts as any other
constexpr auto kFirstRebuild = 1s;      // between two warm processes of a kind; doubled each time that one is better,
constexpr auto kSlowestRebuild = 5min;  // or has failed, up to this
constexpr int kMostLost = 3;            // spares in a row
constexpr uint64_t kFirstUse = 2;       // from this one on a kind has a warm process
constexpr size_t kMostAsked = 4;        // spares in the making at a time
constexpr size_t kMostImports = 200;    // statements of a kind
constexpr size_t kLongestImport = 300;
constexpr size_t kMostKinds = 200;  // that are remembered
constexpr size_t kIdRoom = 200;     // for a task's id in the environment that /proc shows of a plain process

// Runs the program in a namespace of its own, and leaves none of its names in __main__.
constexpr char kBoot[] =
    "(lambda f: exec((compile(f.read(), f.name, 'exec'), f.close())[0],"
    " {'__name__': 'penstock_warm', '__file__': f.name}))(open(__import__('sys').argv[1], 'rb'))";

void add(std::string& fields, std::string_view field) {
  if (!fields.empty()) fields += '\0';
  fields += field;
}

bool is_python_program(const std::vector<std::string>& argv) {
  return argv.size() >= 3 && argv[0].starts_with('/') && (argv[1] == "-m" || argv[1] == "-u") && !argv[2].empty();
}

// Whether the process would find other files where its interpreter and packages are.
bool covers_packages(const ProcessSpec& spec) {
  const auto prefix = std::filesystem::path(spec.argv[0]).parent_path().parent_path();
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const Mount& mount) {
    return is_below(mount.target, prefix) || is_below(prefix, mount.target);
  });
}

std::vector<std::string> shared_environment(const ProcessSpec& spec) {
  std::vector<std::string> shared;
  for (const std::string& entry : spec.env) {
    const std::string name = entry.substr(0, entry.find('='));
    if (std::find(spec.warm.own.begin(), spec.warm.own.end(), name) == spec.warm.own.end()) shared.push_back(entry);
  }
  std::sort(shared.begin(), shared.end());
  return shared;
}

// Without a sandbox, what packages write when they are imported goes there.
bool give_tmp(ProcessSpec& spec, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return false;
  spec.tmp = folder;
  spec.env.push_back("HOME=" + folder.native());
  return true;
}

void shut(int& file) {
  if (file >= 0) close(file);
  file = -1;
}

}  // namespace

struct WarmPool::Spare {
  Kind* kind = nullptr;  // null: that has gone
  int channel = -1;
  int pid = -1;     // of its first process; -1: it is still in the making
  int pidfd = -1;   // the same
  int mounts = -1;  // its namespace; -1: there is no sandbox
  Task* task = nullptr;
  bool took = false;    // the task: what it is now is known
  bool ending = false;  // its end shows by pidfd
};

// A warm process and what it has imported. Its init is among inits_.
struct WarmPool::Warm {
  int pid = -1;
  int control = -1;
  bool ready = false;
  size_t loading = SIZE_MAX;            // the statement that it is at
  std::vector<std::string> statements;  // in its order
};

struct WarmPool::Kind {
  std::string key;
  ProcessSpec process;  // the command, environment and sandbox of a warm process
  std::string module;   // that is to be run; empty: a script
  bool sandbox = false;
  uint64_t uses = 0;
  Clock::time_point last_used, rebuild_at{};
  Clock::duration rebuild_after = kFirstRebuild;
  std::vector<std::string> imports;  // those to be held
  std::set<std::string> known;       // and those that cannot be
  int lost = 0;                      // spares in a row
  std::unique_ptr<Warm> current, next;
  std::deque<Spare*> here;  // that wait for a task
  size_t asked = 0;         // that are in the making
  std::deque<Waiting> waiting;
  bool is_warm() const { return current != nullptr || next != nullptr; }
};

WarmPool::WarmPool(HelperTasks& tasks) : tasks_(tasks) {
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer_ >= 0) tasks_.observe_(timer_, true);
}

WarmPool::~WarmPool() { shut(timer_); }

void WarmPool::set_limit(int limit) {
  limit_ = timer_ < 0 ? 0 : limit;
  if (limit_ <= 0) clear();
}

void WarmPool::clear() {
  for (auto& [key, kind] : kinds_) give_up(*kind);
  for (auto& [channel, spare] : spares_) spare->kind = nullptr;
  kinds_.clear();
}

WarmPool::Kind& WarmPool::kind_of(const ProcessSpec& spec) {
  std::string key = spec.argv[0];
  const std::string module = spec.argv[1] == "-m" ? spec.argv[2] : "";
  const bool sandbox = spec.sandbox && tasks_.sandbox_ != nullptr;
  add(key, module);
  add(key, spec.warm.program.native());
  add(key, sandbox ? "sandbox" : "");
  const std::vector<std::string> environment = shared_environment(spec);
  for (const std::string& entry : environment) add(key, entry);
  if (kinds_.size() >= kMostKinds && !kinds_.contains(key)) forget_oldest();
  std::unique_ptr<Kind>& slot = kinds_[key];
  if (slot == nullptr) {
    slot = std::make_unique<Kind>();
    slot->key = key;
    slot->module = module;
    slot->sandbox = sandbox;
    slot->process.argv = {spec.argv[0], "-c", kBoot, spec.warm.program.native()};
    slot->process.env = environment;
    slot->process.sandbox = sandbox;
  }
  return *slot;
}

void WarmPool::learn(Kind& kind, const std::vector<std::string>& imports) {
  for (const std::string& statement : imports) {
    if (kind.imports.size() >= kMostImports) return;
    if (statement.size() > kLongestImport || statement.find('\0') != std::string::npos) continue;
    if (kind.known.insert(statement).second) kind.imports.push_back(statement);
  }
}

bool WarmPool::take(ProcessSpec& spec) {
  // A limit of processes counts what a user runs: where there is no control group, a fork is not to be told apart.
  if (limit_ <= 0 || spec.warm.program.empty() || spec.pids_limit != 0 || !is_python_program(spec.argv)) return false;
  if (covers_packages(spec)) return false;
  Kind& kind = kind_of(spec);
  kind.last_used = Clock::now();
  ++kind.uses;
  learn(kind, spec.warm.imports);
  const std::vector<std::string>* held = kind.next      ? &kind.next->statements
                                         : kind.current ? &kind.current->statements
                                                        : nullptr;
  const bool lacks = held == nullptr ? kind.uses >= kFirstUse : held->size() < kind.imports.size();
  if (lacks && kind.next == nullptr && kind.last_used >= kind.rebuild_at) build(kind);
  set_timer();
  if (kind.current == nullptr) return false;
  kind.waiting.push_back({std::move(spec), kind.last_used});
  pump(kind);
  set_timer();
  return true;
}

bool WarmPool::waits(const std::string& id) const {
  return std::any_of(kinds_.begin(), kinds_.end(), [&](const auto& entry) {
    const auto& waiting = entry.second->waiting;
    return std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& one) { return one.spec.id == id; });
  });
}

void WarmPool::cancel(const std::string& id) {
  for (auto& [key, kind] : kinds_) {
    std::erase_if(kind->waiting, [&](const Waiting& one) { return one.spec.id == id; });
  }
}

WarmPool::Kind* WarmPool::oldest(bool warm) {
  Kind* found = nullptr;
  for (auto& [key, kind] : kinds_) {
    if (kind->is_warm() == warm && (found == nullptr || kind->last_used < found->last_used)) found = kind.get();
  }
  return found;
}

// For one more warm process.
void WarmPool::make_room() {
  const auto is_warm = [](auto& entry) { return entry.second->is_warm(); };
  if (std::count_if(kinds_.begin(), kinds_.end(), is_warm) >= limit_) give_up(*oldest(true));
}

void WarmPool::forget_oldest() {
  Kind* kind = oldest(false);
  if (kind == nullptr) return;
  for (auto& [channel, spare] : spares_) {
    if (spare->kind == kind) spare->kind = nullptr;
  }
  kinds_.erase(kind->key);
}

// Another warm process, which takes over from the one that there is, if any.
void WarmPool::build(Kind& kind) {
  if (!kind.is_warm()) make_room();
  kind.next = start_warm(kind);
  if (kind.next != nullptr && !send_load(*kind.next, kind)) end(kind.next);
  put_off(kind);
}

void WarmPool::put_off(Kind& kind) {
  kind.rebuild_at = Clock::now() + kind.rebuild_after;
  kind.rebuild_after = std::min<Clock::duration>(2 * kind.rebuild_after, kSlowestRebuild);
}

std::unique_ptr<WarmPool::Warm> WarmPool::start_warm(const Kind& kind) {
  auto task = std::make_unique<Task>();
  task->spec = kind.process;
  task->spec.id = fmt::format("warm/{}", ++next_);
  if (!kind.sandbox) task->spec.id.resize(kIdRoom, '.');
  if (!kind.sandbox && !give_tmp(task->spec, tasks_.data_ / "node/warm-tmp")) return nullptr;
  task->spec.log = tasks_.data_ / "node/warm.log";
  task->spec.log_limit = 1 << 20;
  WarmEnds ends = make_warm_channel();
  if (ends.own < 0) return nullptr;
  task->plan.control = ends.other;
  task->plan.keep_children = true;
  const int pid = tasks_.start_keeper(*task);
  close(ends.other);
  if (pid < 0) {
    close(ends.own);
    return nullptr;
  }
  inits_[pid] = std::move(task);
  auto warm = std::make_unique<Warm>();
  warm->pid = pid;
  warm->control = ends.own;
  tasks_.observe_(warm->control, true);
  return warm;
}

bool WarmPool::send_load(Warm& warm, const Kind& kind) {
  LaunchPlan plan;
  if (kind.sandbox) (void)tasks_.sandbox_->prepare(plan);
  std::string fields = "load";
  add(fields, kind.sandbox ? "1" : "0");
  add(fields, fmt::format("{}", plan.keep_capabilities));
  add(fields, fmt::format("{}", plan.last_capability));
  fields += '\0';
  fields += kind.module;
  warm.statements = kind.imports;
  for (const std::string& statement : kind.imports) add(fields, statement);
  return send_warm(warm.control, fields);
}

// It leaves when nobody speaks to it any more; its init when all have left that it forked.
void WarmPool::end(std::unique_ptr<Warm>& warm) {
  tasks_.observe_(warm->control, false);
  shut(warm->control);
  warm.reset();
}

// Back to ordinary starts, until another one is ready.
void WarmPool::give_up(Kind& kind) {
  if (kind.current) end(kind.current);
  if (kind.next) end(kind.next);
  kind.asked = 0;
  std::vector<Spare*> left;
  for (auto& [channel, spare] : spares_) {
    if (spare->kind == &kind && spare->task == nullptr) left.push_back(spare.get());
  }
  for (Spare* spare : left) drop(*spare);
  std::deque<Waiting> waiting = std::move(kind.waiting);
  kind.waiting.clear();
  for (Waiting& one : waiting) tasks_.start_cold(std::move(one.spec));
}

void WarmPool::pump(Kind& kind) {
  while (!kind.waiting.empty() && !kind.here.empty()) {
    Spare& spare = *kind.here.front();
    kind.here.pop_front();
    ProcessSpec spec = std::move(kind.waiting.front().spec);
    kind.waiting.pop_front();
    if (launch(spare, std::move(spec))) kind.here.push_front(&spare);
  }
  if (kind.current == nullptr) return;
  const size_t wanted = std::min(kind.waiting.size() + 1, kMostAsked);
  while (kind.here.size() + kind.asked < wanted) {
    if (!ask_for_spare(kind)) return give_up(kind);
  }
}

bool WarmPool::ask_for_spare(Kind& kind) {
  WarmEnds ends = make_warm_channel();
  if (ends.own < 0) return false;
  const bool sent = send_warm(kind.current->control, "spare", {ends.other});
  close(ends.other);
  if (!sent) {
    close(ends.own);
    return false;
  }
  auto spare = std::make_unique<Spare>();
  spare->kind = &kind;
  spare->channel = ends.own;
  tasks_.observe_(ends.own, true);
  spares_[ends.own] = std::move(spare);
  ++kind.asked;
  return true;
}

// Whether the spare is still one: then the process could not be prepared.
bool WarmPool::launch(Spare& spare, ProcessSpec spec) {
  std::unique_ptr<Task> task = tasks_.prepared(std::move(spec));
  if (task == nullptr) return true;
  if (task->status.sandboxed) tasks_.sandbox_->attach(task->plan, spare.mounts);
  if (task->plan.error_step != nullptr) {
    tasks_.not_begun(*task);
    drop(spare);
    return false;
  }
  if (!hand_over(spare, *task)) {
    drop(spare);
    tasks_.launch(std::move(task));
    return false;
  }
  shut(spare.mounts);
  Task& started = *task;
  started.status.warm = true;
  const int pid = spare.pid;
  if (started.status.sandboxed) {
    started.spare_channel = spare.channel;
    spare.task = &started;
  } else {
    drop(spare);
  }
  tasks_.begun(std::move(task), pid);
  return false;
}

bool WarmPool::hand_over(Spare& spare, Task& task) {
  std::string description = task.plan.cwd;
  add(description, fmt::format("{}", task.plan.nice));
  add(description, fmt::format("{}", task.spec.argv.size()));
  for (const std::string& argument : task.spec.argv) {
    description += '\0';
    description += argument;
  }
  for (const std::string& entry : task.spec.env) add(description, entry);
  int file = file_of(description);
  if (file < 0) return false;
  std::vector<int> files = {file, task.plan.output};
  files.insert(files.end(), task.group.join.begin(), task.group.join.end());
  const bool sent = send_warm(spare.channel, "task", files);
  close(file);
  return sent;
}

void WarmPool::drop(Spare& spare) {
  if (spare.kind != nullptr) std::erase(spare.kind->here, &spare);
  tasks_.observe_(spare.ending ? spare.pidfd : spare.channel, false);
  shut(spare.pidfd);
  shut(spare.mounts);
  const int channel = spare.channel;
  close(channel);
  spares_.erase(channel);
}

bool WarmPool::readable(int file) {
  if (file == timer_) {
    tick();
    return true;
  }
  auto found = spares_.find(file);
  if (found != spares_.end()) {
    channel_readable(*found->second);
    return true;
  }
  for (auto& [channel, spare] : spares_) {
    if (spare->pidfd != file || !spare->ending) continue;
    tasks_.forked_ended(*spare->task, SIGKILL);
    return true;
  }
  for (auto& [key, kind] : kinds_) {
    for (Warm* warm : {kind->current.get(), kind->next.get()}) {
      if (warm == nullptr || warm->control != file) continue;
      control_readable(*kind, *warm);
      return true;
    }
  }
  return false;
}

void WarmPool::control_readable(Kind& kind, Warm& warm) {
  while (true) {
    WarmMessage message = receive_warm(warm.control);
    for (int file : message.files) close(file);
    if (!message.any && !message.gone) return;
    if (message.any && message.fields[0] == "loading" && message.fields.size() == 2) {
      warm.loading = std::strtoul(message.fields[1].c_str(), nullptr, 10);
      continue;
    }
    if (&warm == kind.next.get()) return loaded(kind, warm, message.fields);
    return give_up(kind);  // it has died
  }
}

// What became of the imports; nothing, when it ended over one.
void WarmPool::loaded(Kind& kind, Warm& warm, const std::vector<std::string>& answer) {
  const std::string what = answer.empty() ? "" : answer[0];
  if (what == "ready") {
    if (kind.current) end(kind.current);
    // Spares of the former one are as good as they were, but for what is new.
    std::vector<Spare*> old;
    for (auto& [channel, spare] : spares_) {
      if (spare->kind == &kind && spare->task == nullptr) old.push_back(spare.get());
    }
    for (Spare* spare : old) drop(*spare);
    kind.asked = 0;
    warm.ready = true;
    kind.current = std::move(kind.next);
    return pump(kind);
  }
  size_t statement = warm.loading;
  if (what == "refused" && answer.size() > 1) statement = std::strtoul(answer[1].c_str(), nullptr, 10);
  if (what != "hopeless" && statement < warm.statements.size()) {
    const std::string& text = warm.statements[statement];
    std::fprintf(stderr, "\"%s\" is left to each step: %s\n", text.c_str(),
                 answer.size() > 2 ? answer[2].c_str() : "the process ended");
    std::erase(kind.imports, text);
    end(kind.next);
    if (!kind.current || kind.imports.size() > kind.current->statements.size()) build(kind);
    return;
  }
  std::fprintf(stderr, "no warm process for %s: %s\n", kind.process.argv[0].c_str(),
               answer.size() > 1 ? answer[1].c_str() : "it ended");
  end(kind.next);
}

void WarmPool::channel_readable(Spare& spare) {
  WarmMessage message = receive_warm(spare.channel);
  if (!message.any && !message.gone) return;
  const std::string what = message.any ? message.fields[0] : "";
  if (what == "here" && spare.pid < 0 && spare.kind != nullptr) return came(spare, message.files, message.pid);
  for (int file : message.files) close(file);
  if (spare.task == nullptr) return lost(spare);
  Task& task = *spare.task;
  if (what == "took") {
    spare.took = true;
    return;
  }
  if (what == "failed" && message.fields.size() >= 4) {
    task.problem = fmt::format("{} \"{}\": {}", message.fields[1], message.fields[2],
                               std::strerror(std::atoi(message.fields[3].c_str())));
    return tasks_.forked_ended(task, 126 << 8);
  }
  if (what == "ended" && message.fields.size() >= 2) {
    return tasks_.forked_ended(task, std::atoi(message.fields[1].c_str()));
  }
  // Killed. What ran with it is gone when that is complete, and no sooner.
  if (!message.gone) return;
  if (!spare.took) return tasks_.forked_lost(task);
  tasks_.observe_(spare.channel, false);
  tasks_.observe_(spare.pidfd, true);
  spare.ending = true;
}

void WarmPool::came(Spare& spare, const std::vector<int>& files, int pid) {
  Kind& kind = *spare.kind;
  if (kind.asked > 0) --kind.asked;
  spare.pid = pid;
  spare.pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (!files.empty()) spare.mounts = files[0];
  for (size_t i = 1; i < files.size(); ++i) close(files[i]);
  if (spare.pidfd < 0 || kind.sandbox != (spare.mounts >= 0) ||
      (kind.sandbox && tasks_.sandbox_->attach_common(spare.mounts) != 0)) {
    return lost(spare);
  }
  kind.lost = 0;
  kind.here.push_back(&spare);
  pump(kind);
}

// One that came to nothing.
void WarmPool::lost(Spare& spare) {
  Kind* kind = spare.kind;
  if (kind != nullptr && spare.pid < 0 && kind->asked > 0) --kind->asked;
  drop(spare);
  if (kind == nullptr || kind->current == nullptr) return;
  if (++kind->lost >= kMostLost) {
    kind->lost = 0;
    give_up(*kind);
  } else {
    pump(*kind);
  }
}

void WarmPool::signal(Task& task, int number) {
  auto found = spares_.find(task.spare_channel);
  if (found == spares_.end()) return;
  Spare& spare = *found->second;
  if (number == SIGKILL) {
    spare.took = true;  // it ends by this, and is not started again
    syscall(SYS_pidfd_send_signal, spare.pidfd, SIGKILL, nullptr, 0);
    return;
  }
  std::string fields = "signal";
  add(fields, fmt::format("{}", number));
  if (send_warm(spare.channel, fields)) syscall(SYS_pidfd_send_signal, spare.pidfd, kForwardSignal, nullptr, 0);
}

void WarmPool::release(Task& task) {
  auto found = spares_.find(task.spare_channel);
  task.spare_channel = -1;
  if (found != spares_.end()) drop(*found->second);
}

bool WarmPool::owns(int pid) const {
  if (inits_.contains(pid)) return true;
  return std::any_of(spares_.begin(), spares_.end(), [&](const auto& entry) { return entry.second->pid == pid; });
}

bool WarmPool::reaped(int pid) {
  auto found = inits_.find(pid);
  if (found == inits_.end()) return false;
  tasks_.keeper_ended(*found->second);
  inits_.erase(found);
  return true;
}

void WarmPool::set_timer() {
  auto due = Clock::time_point::max();
  for (const auto& [key, kind] : kinds_) {
    if (kind->is_warm()) due = std::min(due, kind->last_used + kIdle);
    if (!kind->waiting.empty()) due = std::min(due, kind->waiting.front().since + kMaxWait);
  }
  itimerspec time = {};
  if (due != Clock::time_point::max()) {
    // Never zero, which would be never.
    const auto left = std::max<std::chrono::nanoseconds>(due - Clock::now(), 1ms);
    time.it_value.tv_sec = left / 1s;
    time.it_value.tv_nsec = (left % 1s).count();
  }
  timerfd_settime(timer_, 0, &time, nullptr);
}

void WarmPool::tick() {
  uint64_t expirations;
  if (read(timer_, &expirations, sizeof expirations) < 0) return;
  const auto now = Clock::now();
  for (auto& [key, kind] : kinds_) {
    const bool stuck = !kind->waiting.empty() && kind->waiting.front().since + kMaxWait <= now;
    if (stuck || (kind->is_warm() && kind->last_used + kIdle <= now)) give_up(*kind);
  }
  set_timer();
}

}  // namespace penstock::node
