#include "node/host/spawner_connect.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "node/host/helper.h"
#include "node/host/helper_protocol.h"

namespace penstock::node {

namespace fs = std::filesystem;

namespace {

constexpr int kAnswerMillis = 20'000;
constexpr int kReadyFile = 3;

[[noreturn]] void unavailable(const std::string& what) {
  throw Error(Code::Unavailable, fmt::format("the node helper cannot be started: {}", what));
}

// Connects, or returns -1 when nobody listens.
int try_connect(const fs::path& folder) {
  int connected = connect_to(folder, "helper.sock");
  if (connected >= 0 || errno == ENOENT || errno == ECONNREFUSED) return connected;
  unavailable(fmt::format("connect to {}: {}", (folder / "helper.sock").native(), std::strerror(errno)));
}

// The helper is given nothing of the server's environment but what a program needs to load.
std::vector<std::string> helper_environment() {
  std::vector<std::string> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text = *entry;
    for (std::string_view name : {"PATH=", "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS="}) {
      if (text.starts_with(name)) kept.emplace_back(text);
    }
  }
  return kept;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t spawn_helper(const HelperOptions& options, int ready) {
  std::vector<std::string> arguments = {options.program.native(), "node-helper", "--data", options.data.native()};
  std::vector<std::string> environment = helper_environment();
  std::string log = options.data / "node/helper.log";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_adddup2(&files, ready, kReadyFile);
  posix_spawn_file_actions_addclosefrom_np(&files, kReadyFile + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  int error = posix_spawn(&pid, options.program.c_str(), &files, &attributes, pointers(arguments).data(),
                          pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  errno = error;
  return error == 0 ? pid : -1;
}

void start_helper(const HelperOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) unavailable(std::strerror(errno));
  // Where posix_spawn would put it onto itself, it would stay close-on-exec.
  int ready = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
  close(ends[1]);
  pid_t pid = spawn_helper(options, ready);
  int error = errno;
  close(ready);
  if (pid < 0) {
    close(ends[0]);
    unavailable(fmt::format("run {}: {}", options.program.native(), std::strerror(error)));
  }
  waitpid(pid, nullptr, 0);  // it leaves a child of its own and ends at once
  std::string answer;
  pollfd waited = {ends[0], POLLIN, 0};
  char buffer[512];
  while (poll(&waited, 1, kAnswerMillis) > 0) {
    ssize_t size = read(ends[0], buffer, sizeof buffer);
    if (size <= 0) break;
    answer.append(buffer, static_cast<size_t>(size));
  }
  close(ends[0]);
  if (answer == "ok") return;
  std::string log = options.data / "node/helper.log";
  unavailable(answer.empty() ? fmt::format("it ended at once; see {}", log) : answer);
}

// Says hello and reads what the helper knows. False when it ended meanwhile.
bool greet(HelperConnection& connection, const HelperOptions& options) {
  std::string hello;
  write_hello(hello, options);
  if (send(connection.socket, hello.data(), hello.size(), MSG_NOSIGNAL) < 0) return false;
  std::string& in = connection.rest;
  size_t offset = 0;
  while (true) {
    while (std::optional<std::string_view> body = next_frame(in, offset)) {
      FrameReader answer(*body);
      MessageKind kind = answer.kind();
      if (kind == MessageKind::Known) {
        in.erase(0, offset);
        return true;
      }
      if (kind == MessageKind::Status) connection.statuses.push_back(read_status(answer));
      if (kind != MessageKind::Hello) continue;
      uint64_t version = answer.number();
      connection.helper_pid = static_cast<int>(answer.number());
      if (version != kHelperProtocol) {
        throw Error(
            Code::FailedPrecondition,
            fmt::format("a node helper of another version (process {}) still runs tasks of {}: wait for them with "
                        "the version that started them, or end it with \"kill {}\"",
                        connection.helper_pid, options.data.native(), connection.helper_pid));
      }
      connection.problem = answer.text();
    }
    pollfd waited = {connection.socket, POLLIN, 0};
    if (poll(&waited, 1, kAnswerMillis) <= 0) unavailable("it does not answer");
    char buffer[64 << 10];
    ssize_t size = recv(connection.socket, buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    in.append(buffer, static_cast<size_t>(size));
  }
}

}  // namespace

HelperConnection connect_helper(const HelperOptions& options) {
  fs::path folder = options.data / "node";
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) unavailable(fmt::format("make {}: {}", folder.native(), failed.message()));
  chmod(folder.c_str(), 0700);
  // A helper that is about to end may still take a connection.
  for (int attempt = 0; attempt < 10; ++attempt) {
    HelperConnection connection;
    connection.socket = try_connect(folder);
    if (connection.socket < 0) {
      start_helper(options);
      connection.socket = try_connect(folder);
    }
    if (connection.socket < 0) continue;
    try {
      if (greet(connection, options)) return connection;
    } catch (...) {
      close(connection.socket);
      throw;
    }
    close(connection.socket);
  }
  unavailable("it ends again and again");
}

}  // namespace penstock::node
