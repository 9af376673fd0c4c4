// The helper process: the loop that connects its sockets, signals and timer to its HelperTasks.
//
// <data>/node/helper.lock  locked while a helper runs, and holds its pid: one for each data folder
// <data>/node/helper.sock  where servers connect
// <data>/node/helper.log   what it has to say, which is nothing when all is well
//
// It ends when no server is connected, nothing runs, and every result has been forgotten; and, with all that it runs,
// when its socket is removed: then no server can ever reach it again.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "node/host/helper_protocol.h"
#include "node/host/helper_tasks.h"

namespace penstock::node {

class Helper {
 public:
  // Throws when another helper runs for this data folder (AlreadyExists), or the socket cannot be made.
  explicit Helper(const HelperOptions& options);
  ~Helper();
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  int run();

 private:
  struct Client {
    int file = -1;
    bool greeted = false;
    bool closed = false;
    bool waits_to_write = false;
    bool urgent = false;  // `out` is not to be held back
    std::string in, out;
  };

  void lock(const std::filesystem::path& folder);
  void listen(const std::filesystem::path& folder);
  void watch_folder(const std::filesystem::path& folder);
  void take_removals();
  void observe(int file, uint32_t events, bool add);
  void take_signals();
  void accept_clients();
  void read_client(Client& client);
  void handle(Client& client, std::string_view frame);
  void greet(Client& client, FrameReader& frame);
  void flush(Client& client);
  void drop_closed();
  int hold_back();
  void set_timer(int millis);

  std::string socket_path_;
  int lock_ = -1, listener_ = -1, epoll_ = -1, signals_ = -1, timer_ = -1, removals_ = -1;
  std::chrono::steady_clock::time_point held_since_{};
  bool timer_runs_ = false;
  bool had_client_ = false;
  bool ending_ = false;
  std::list<Client> clients_;
  std::unique_ptr<HelperTasks> tasks_;
};

// Connects to a socket in `folder`, whose path may be of any length. -1 and errno when it cannot.
int connect_to(const std::filesystem::path& folder, const std::string& name);

}  // namespace penstock::node
