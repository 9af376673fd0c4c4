// For tests: a spawner with a data folder of its own, and waits for what it reports. The test program itself is the
// helper (spawner_test.cpp).
#pragma once

#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <unistd.h>

#include "node/host/spawner.h"

namespace penstock::node {

class SpawnerRig {
 public:
  explicit SpawnerRig(bool sandbox = true, std::filesystem::path below = "/tmp") : loop_("spawner-test") {
    std::string pattern = below / "penstock-spawner-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = pattern;
    options_.data = folder_ / "data";
    options_.sandbox = sandbox;
    std::filesystem::create_directories(options_.data);
    std::filesystem::create_directories(folder_ / "logs");
  }
  ~SpawnerRig() {
    disconnect();
    loop_.stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  HelperOptions& options() { return options_; }
  const std::filesystem::path& folder() const { return folder_; }
  const std::filesystem::path& data() const { return options_.data; }

  Spawner& spawner() {
    if (!spawner_) {
      {
        std::lock_guard lock(mutex_);
        statuses_.clear();
      }
      spawner_ = connect_spawner(loop_, options_);
      spawner_->set_on_change([this](const ProcessStatus& status) {
        std::lock_guard lock(mutex_);
        statuses_[status.id] = status;
        ++changes_[status.id];
        changed_.notify_all();
      });
    }
    return *spawner_;
  }
  void disconnect() { spawner_.reset(); }

  ProcessSpec shell(const std::string& id, const std::string& script) {
    ProcessSpec spec;
    spec.id = id;
    spec.argv = {"sh", "-c", script};
    spec.env = {"PATH=/usr/local/bin:/usr/bin:/bin"};
    spec.log = folder_ / "logs" / id;
    spec.sandbox = options_.sandbox;
    return spec;
  }

  ProcessStatus wait_ended(const std::string& id) {
    return wait(id, [](const ProcessStatus& status) { return !status.running; });
  }
  ProcessStatus wait_started(const std::string& id) {
    return wait(id, [](const ProcessStatus&) { return true; });
  }
  // Starts it and waits for its end; then forgets it.
  ProcessStatus run(ProcessSpec spec) {
    std::string id = spec.id;
    {
      std::lock_guard lock(mutex_);
      statuses_.erase(id);
    }
    spawner().start(std::move(spec));
    ProcessStatus status = wait_ended(id);
    spawner().forget(id);
    return status;
  }
  std::string log(const std::string& id) const {
    std::ifstream file(folder_ / "logs" / id);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  int changes(const std::string& id) {
    std::lock_guard lock(mutex_);
    return changes_[id];
  }
  // For a volume: below the data folder, as the server's are.
  std::filesystem::path make_folder(const std::string& name) {
    std::filesystem::path path = options_.data / "volumes" / name;
    std::filesystem::create_directories(path);
    return path;
  }

 private:
  template <class Condition>
  ProcessStatus wait(const std::string& id, Condition condition) {
    std::unique_lock lock(mutex_);
    bool came = changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      auto found = statuses_.find(id);
      return found != statuses_.end() && condition(found->second);
    });
    if (!came) throw std::runtime_error("nothing was heard of " + id);
    return statuses_[id];
  }

  Loop loop_;
  HelperOptions options_;
  std::filesystem::path folder_;
  std::unique_ptr<Spawner> spawner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, ProcessStatus> statuses_;
  std::map<std::string, int> changes_;
};

}  // namespace penstock::node
