// The whole of Penstock in one process: the parts, put together.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "server/config.h"

namespace penstock::server {

// Starts in the constructor; throws with a message for a person when it cannot (a data folder in use, a port in use).
class Server {
 public:
  explicit Server(Config config);
  ~Server();  // stop(0)

  std::string address() const;  // "127.0.0.1:8080"
  std::string url() const;      // "http://127.0.0.1:8080"
  std::string s3_url() const;   // "http://127.0.0.1:9000"; below the main address when S3 has none of its own
  const Config& config() const;

  // Answers no more, lets requests in flight finish for `grace`. Tasks run on and are found again by the next server,
  // unless `end_tasks`.
  void stop(std::chrono::milliseconds grace, bool end_tasks = false);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Blocks until SIGTERM or SIGINT; returns the signal.
int wait_for_signal();

// `penstock node-helper`: see node/host/spawner.h.
int helper_main(int argc, char** argv);

// Writes the bundled kfp package under `data` and returns the folder for PYTHONPATH.
std::string unpack_sdk(const std::string& data);

std::string version();

}  // namespace penstock::server
