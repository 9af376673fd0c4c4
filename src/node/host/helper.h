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
  void set_timer(int millis);

  std::string socket_path_;
  int lock_ = -1, listener_ = -1, epoll_ = -1, signals_ = -1, timer_ = -1, removals_ = -1;
  bool timer_runs_ = false;
  bool had_client_ = false;
  bool ending_ = false;
  std::list<Client> clients_;
  std::unique_ptr<HelperTasks> tasks_;
};

// The path of a socket in `folder` that fits into sockaddr_un however long the folder's own path is: through a file
// descriptor, which the caller closes.
std::string short_socket_path(int folder, const std::string& name);

}  // namespace penstock::node
