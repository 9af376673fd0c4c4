#include "node/host/helper.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/helper_protocol.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

// How long a helper waits for the server that started it.
constexpr int kFirstClientMillis = 20'000;
constexpr int kReadyFile = 3;
constexpr std::chrono::milliseconds kHoldBack{5};

void require(bool done, std::string_view what) {
  if (!done) throw_errno(what);
}

// Fits into sockaddr_un however long the folder's own path is.
sockaddr_un short_address(int folder, const std::string& name) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = fmt::format("/proc/self/fd/{}/{}", folder, name);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

}  // namespace

int connect_to(const fs::path& folder, const std::string& name) {
  int directory = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = short_address(directory, name);
  bool connected = connect(file, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  int error = errno;
  close(directory);
  if (!connected) close(file);
  errno = error;
  return connected ? file : -1;
}

Helper::Helper(const HelperOptions& options) {
  fs::path folder = options.data / "node";
  lock(folder);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  require(epoll_ >= 0, "epoll_create1");
  sigset_t all;
  sigfillset(&all);
  signals_ = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  require(signals_ >= 0, "signalfd");
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  require(timer_ >= 0, "timerfd_create");
  observe(signals_, EPOLLIN, true);
  observe(timer_, EPOLLIN, true);
  listen(folder);
  watch_folder(folder);
  tasks_ = std::make_unique<HelperTasks>(
      options.data,
      [this](const ProcessStatus& status) {
        for (Client& client : clients_) {
          if (!client.greeted) continue;
          write_status(client.out, status);
          client.urgent = client.urgent || !status.running;
        }
      },
      [this](int file, bool add) {
        if (add) return observe(file, EPOLLIN, true);
        epoll_ctl(epoll_, EPOLL_CTL_DEL, file, nullptr);
      });
  set_timer(kFirstClientMillis);
}

Helper::~Helper() {
  if (listener_ >= 0) unlink(socket_path_.c_str());
}

void Helper::lock(const fs::path& folder) {
  std::string path = folder / "helper.lock";
  lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  require(lock_ >= 0, "open " + path);
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    int other = connect_to(folder, "helper.sock");
    if (other >= 0) {
      close(other);
      throw Error(Code::AlreadyExists, "a node helper runs already: " + path);
    }
    // It no longer listens, so it is about to end.
    require(flock(lock_, LOCK_EX) == 0, "lock " + path);
  }
  std::string pid = fmt::format("{}\n", getpid());
  require(ftruncate(lock_, 0) == 0 && pwrite(lock_, pid.data(), pid.size(), 0) > 0, "write " + path);
}

void Helper::listen(const fs::path& folder) {
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  require(listener_ >= 0, "socket");
  int directory = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  require(directory >= 0, "open " + folder.native());
  socket_path_ = folder / "helper.sock";
  unlink(socket_path_.c_str());
  sockaddr_un address = short_address(directory, "helper.sock");
  mode_t mask = umask(0177);
  bool bound = bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  int error = errno;
  umask(mask);
  close(directory);
  errno = error;
  require(bound && ::listen(listener_, 16) == 0, "listen on " + socket_path_);
  observe(listener_, EPOLLIN, true);
}

void Helper::watch_folder(const fs::path& folder) {
  removals_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (removals_ < 0 || inotify_add_watch(removals_, folder.c_str(), IN_DELETE | IN_DELETE_SELF) < 0) return;
  observe(removals_, EPOLLIN, true);
}

void Helper::take_removals() {
  char buffer[4096];
  while (read(removals_, buffer, sizeof buffer) > 0) {
  }
  if (access(socket_path_.c_str(), F_OK) != 0) ending_ = true;
}

void Helper::observe(int file, uint32_t events, bool add) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = file;
  require(epoll_ctl(epoll_, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, file, &event) == 0, "epoll_ctl");
}

void Helper::set_timer(int millis) {
  itimerspec time = {};
  time.it_value.tv_sec = millis / 1000;
  time.it_value.tv_nsec = millis % 1000 * 1'000'000L;
  if (had_client_) time.it_interval = time.it_value;
  timerfd_settime(timer_, 0, &time, nullptr);
}

int Helper::run() {
  while (!ending_) {
    epoll_event events[16];
    int count = epoll_wait(epoll_, events, 16, hold_back());
    if (count == 0) {
      for (Client& client : clients_) client.urgent = true;
    }
    for (int i = 0; i < count; ++i) {
      int file = events[i].data.fd;
      if (file == listener_) {
        accept_clients();
      } else if (file == signals_) {
        take_signals();
      } else if (file == removals_) {
        take_removals();
      } else if (file == timer_) {
        uint64_t expirations;
        if (read(timer_, &expirations, sizeof expirations) < 0) continue;
        // Nobody came: the server that started this helper has died.
        had_client_ = true;
        tasks_->watch();
      } else {
        tasks_->take_output(file);
        for (Client& client : clients_) {
          if (client.file == file && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_client(client);
        }
      }
    }
    // An end was told of, or nothing happened for a moment.
    const bool calm = std::any_of(clients_.begin(), clients_.end(), [](const Client& client) { return client.urgent; });
    for (Client& client : clients_) flush(client);
    if (calm) tasks_->prepare_ahead();
    drop_closed();
    if (tasks_->needs_watch() != timer_runs_ && had_client_) {
      timer_runs_ = !timer_runs_;
      set_timer(timer_runs_ ? HelperTasks::kWatchMillis : 0);
    }
    ending_ = ending_ || (had_client_ && clients_.empty() && tasks_->idle());
  }
  return 0;
}

// Milliseconds for which nothing needs to be sent; -1: there is nothing. A process that has just started is told of a
// moment late: by then it may have ended, and the server wakes once.
int Helper::hold_back() {
  const bool held = std::any_of(clients_.begin(), clients_.end(),
                                [](const Client& client) { return !client.out.empty() && !client.waits_to_write; });
  if (!held) {
    held_since_ = {};
    return -1;
  }
  const auto now = std::chrono::steady_clock::now();
  if (held_since_ == std::chrono::steady_clock::time_point{}) held_since_ = now;
  const auto left = held_since_ + kHoldBack - now;
  return std::max<int>(0, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
}

void Helper::take_signals() {
  signalfd_siginfo signals[16];
  for (ssize_t size; (size = read(signals_, signals, sizeof signals)) > 0;) {
    for (size_t i = 0; i < static_cast<size_t>(size) / sizeof signals[0]; ++i) {
      // The processes end with this one.
      if (signals[i].ssi_signo == SIGTERM || signals[i].ssi_signo == SIGINT) ending_ = true;
    }
    if (size < static_cast<ssize_t>(sizeof signals)) break;
  }
  if (!tasks_->reap()) throw Error(Code::Internal, "the maker of sandboxes has ended");
}

void Helper::accept_clients() {
  while (true) {
    int file = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (file < 0) return;
    clients_.emplace_back().file = file;
    observe(file, EPOLLIN, true);
    if (!had_client_) {
      had_client_ = true;
      set_timer(0);
    }
  }
}

void Helper::read_client(Client& client) {
  while (!client.closed) {
    size_t size = client.in.size();
    client.in.resize(size + (64 << 10));
    ssize_t count = recv(client.file, client.in.data() + size, client.in.size() - size, 0);
    client.in.resize(size + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) client.closed = true;
    if (count <= 0 || count < (64 << 10)) break;
  }
  size_t offset = 0;
  try {
    while (std::optional<std::string_view> frame = next_frame(client.in, offset)) handle(client, *frame);
  } catch (const Error& error) {
    std::fprintf(stderr, "a server's message was not understood: %s\n", error.what());
    client.closed = true;
  }
  client.in.erase(0, offset);
}

void Helper::handle(Client& client, std::string_view body) {
  FrameReader frame(body);
  MessageKind kind = frame.kind();
  if (kind == MessageKind::Hello) return greet(client, frame);
  if (!client.greeted) throw invalid("a server that does not say hello");
  if (kind == MessageKind::Start) {
    tasks_->start(read_spec(frame));
  } else if (kind == MessageKind::Signal) {
    std::string id = frame.text();
    tasks_->signal(id, static_cast<int>(frame.number()));
  } else if (kind == MessageKind::Forget) {
    tasks_->forget(frame.text());
  }
}

void Helper::greet(Client& client, FrameReader& frame) {
  client.urgent = true;
  uint64_t version = frame.number();
  if (version == kHelperProtocol) {
    HelperOptions options;
    read_hello(frame, options);
    tasks_->configure(options);
  }
  FrameWriter hello(client.out);
  hello.begin(MessageKind::Hello).number(kHelperProtocol).number(static_cast<uint64_t>(getpid()));
  hello.text(tasks_->sandbox_problem());
  hello.end();
  if (version != kHelperProtocol) return;  // the server sees the version and says what to do
  for (const auto& [id, status] : tasks_->statuses()) write_status(client.out, status);
  FrameWriter known(client.out);
  known.begin(MessageKind::Known);
  known.end();
  client.greeted = true;
}

void Helper::flush(Client& client) {
  if (!client.urgent && !client.waits_to_write) return;
  while (!client.closed && !client.out.empty()) {
    ssize_t count = send(client.file, client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EAGAIN && !client.waits_to_write) observe(client.file, EPOLLIN | EPOLLOUT, false);
      client.waits_to_write = errno == EAGAIN;
      client.closed = errno != EAGAIN;
      return;
    }
    client.out.erase(0, static_cast<size_t>(count));
  }
  if (client.waits_to_write && !client.closed) observe(client.file, EPOLLIN, false);
  client.waits_to_write = false;
  client.urgent = false;
}

void Helper::drop_closed() {
  std::erase_if(clients_, [](Client& client) {
    if (client.closed) close(client.file);
    return client.closed;
  });
}

namespace {

HelperOptions parse_arguments(int argc, char** argv) {
  HelperOptions options;
  for (int i = 1; i < argc; ++i) {
    std::string_view option = argv[i];
    if (option == "--data" && i + 1 < argc) {
      options.data = argv[++i];
    } else if (option != "node-helper") {
      throw invalid("node-helper: the option {} is not known", option);
    }
  }
  if (options.data.empty()) throw invalid("node-helper: --data names no folder");
  options.data = fs::canonical(options.data);
  return options;
}

// The server that starts this waits for one line: "ok", or what is wrong.
void report(const std::string& line) {
  if (write(kReadyFile, line.data(), line.size()) < 0) return;
}

}  // namespace

int helper_main(int argc, char** argv) {
  std::unique_ptr<Helper> helper;
  try {
    HelperOptions options = parse_arguments(argc, argv);
    // A process that no terminal and no server's parent knows.
    int pid = fork();
    require(pid >= 0, "fork");
    if (pid > 0) _exit(0);
    setsid();
    require(chdir("/") == 0, "chdir /");
    umask(022);
    fcntl(kReadyFile, F_SETFD, FD_CLOEXEC);
    close_range(kReadyFile + 1, UINT_MAX, 0);
    rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    helper = std::make_unique<Helper>(options);
  } catch (const Error& error) {
    report(error.code() == Code::AlreadyExists ? "ok" : error.message());
    return 1;
  } catch (const std::exception& error) {
    report(error.what());
    return 1;
  }
  report("ok");
  close(kReadyFile);
  try {
    return helper->run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the node helper ends: %s\n", error.what());
    return 1;
  }
}

}  // namespace penstock::node
