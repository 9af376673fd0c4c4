// The logs of containers: one file each, written by the processes themselves, kept when the pod is deleted.
//
//   <data>/logs/<ns>/<uid's first two characters>/<pod>_<uid>_<container>.log     every restart appends
//
// No folder a pod: making and removing folders is what costs a short task most on ext4.
// A log that grew past its limit has lost its middle part: the file has a hole there, which readers pass over.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "base/async.h"
#include "kube/pod_logs.h"

namespace penstock::node {

std::filesystem::path log_path(const std::filesystem::path& data, std::string_view ns, std::string_view pod,
                               std::string_view uid, std::string_view container);
// All logs of the pods with these uids; those of a running one go on into the removed files. Blocks.
void remove_logs(const std::filesystem::path& data, std::string_view ns, const std::set<std::string>& uids);
int64_t log_bytes(const std::filesystem::path& data, std::string_view ns, const std::set<std::string>& uids);

// The last lines of a log, at most `max_lines` and `max_bytes`; empty when there is none.
std::string log_tail(const std::filesystem::path& path, int64_t max_lines, int64_t max_bytes);

// Tells when files grow: one inotify instance for all followers. Lives on one executor.
class FileWatcher {
 public:
  explicit FileWatcher(Executor executor);
  ~FileWatcher();

  // Watching is counted: unwatch() once for each watch().
  void watch(const std::filesystem::path& path);
  void unwatch(const std::filesystem::path& path);
  // Of a watched file; greater after each change.
  uint64_t version(const std::filesystem::path& path) const;
  // Returns when the version is greater than `seen`, or the file is watched no more.
  Async<> wait(std::filesystem::path path, uint64_t seen);
  // As if the file had changed: whether it will go on growing is another than before.
  void poke(const std::filesystem::path& path);
  void stop();

 private:
  struct File {
    int descriptor = -1;
    int followers = 0;
    uint64_t version = 1;
    std::shared_ptr<Signal> changed;  // set once, at the next change; shared with those who wait for that
  };
  void arm();
  void read_events();
  void bump(File& file);

  Executor executor_;
  asio::posix::basic_stream_descriptor<Executor> inotify_;
  bool armed_ = false;
  std::map<std::string, File> files_;
  std::map<int, std::string> paths_;
};

// What a reader needs to follow.
struct LogReader {
  BlockingPool& pool;
  Loop& control;                         // where the watcher and the source live
  std::shared_ptr<FileWatcher> watcher;  // shared, because a reader may end after the agent
  std::function<bool()> is_live;         // called on `control`: more may be written
};

// Writes the log, or the part of it that the options name, to `out`; constant memory. Throws NotFound when there is no
// file.
Async<> copy_log(std::filesystem::path path, kube::LogOptions options, LogReader reader, http::BodyWriter& out);

}  // namespace penstock::node
