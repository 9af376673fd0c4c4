// What one bound pod does next: which containers start, restart and are killed, and the status that says so. Pure: no
// clock, no process, no store. The agent tells what happened and carries out the effects.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "node/host/spawner.h"

namespace penstock::node {

// The spawner's name for one start of a container. The same after a restart of the server, so that nothing is started
// twice.
std::string process_id(std::string_view uid, std::string_view container, int restart);

struct ProcessName {
  std::string uid;
  std::string container;
  int restart = 0;
};
std::optional<ProcessName> parse_process_id(std::string_view id);

struct Launch {
  std::string container;
  int restart = 0;
};

struct Effects {
  std::vector<Launch> launch;  // to be prepared; answered by spawned(), cannot_start() or waiting()
  std::vector<std::pair<std::string, int>> signals;  // process id, signal
  bool changed = false;                              // status() is another than before
  bool urgent = false;                               // and should be told now
};

// States: a container is Waiting, Preparing (its launch was asked for), Starting (handed to the spawner), Running,
// BackingOff (until its restart) or Ended.
//
// Restarts follow Kubernetes: the first at once, then after 10 s, doubling to 5 min; ten minutes of running reset it.
// An init container whose own restartPolicy is Always is a sidecar: the next container starts once it has, it is
// started again whenever it ends, and it is stopped when all others have ended, whatever it then ends with. Once the
// pod is stopping (deleted, or past its deadline) nothing starts any more: every process gets SIGTERM, and SIGKILL when
// the grace period is over.
class PodLifecycle {
 public:
  struct Place {
    std::string node_name;
    std::string host_ip;
  };

  // Reads the spec; the status too, so that a pod goes on after a restart of the server.
  PodLifecycle(const json::object& pod, const Place* place);

  Effects bind(Time now);
  // After a restart of the server, instead of bind(): `known` are the processes of this pod that the spawner knows.
  Effects resume(const std::vector<ProcessStatus>& known, Time now);

  Effects spawned(const Launch& launch);
  Effects process_changed(const ProcessStatus& status, Time now);
  // The container cannot be started, and trying again would not help.
  Effects cannot_start(const Launch& launch, std::string reason, std::string message, int exit_code, Time now);
  // It cannot be started yet: the agent asks again with retry().
  Effects waiting(const Launch& launch, std::string reason, std::string message);
  Effects retry(Time now);
  // The pod is being deleted. A later call may only shorten the grace.
  Effects remove(std::chrono::seconds grace, Time now);
  // The pod fails before anything ran: "OutOfcpu".
  Effects fail(std::string reason, std::string message, Time now);
  Effects unschedulable(std::string message, Time now);
  // Time has come to wake_at().
  Effects tick(Time now);
  std::optional<Time> wake_at() const;

  bool wants(const Launch& launch) const;          // its launch is still to be carried out
  bool live() const;                               // a process runs, or may run
  bool live(std::string_view container) const;     // it runs, or will run again
  bool started(std::string_view container) const;  // it has run, if only for a moment
  bool terminal() const { return terminal_; }
  bool stopping() const { return stopping_; }
  json::object status() const;

 private:
  enum class State { Waiting, Preparing, Starting, Running, BackingOff, Ended };
  enum class Policy { Always, OnFailure, Never };
  struct End {
    int exit_code = 0;
    int signal = 0;
    std::string reason;
    std::string message;
    Time started_at{}, finished_at{};
  };
  struct Container {
    std::string name;
    std::string image;
    bool init = false;
    bool sidecar = false;
    bool was_up = false;  // a sidecar: it has run
    State state = State::Waiting;
    int restart = 0;
    Time started_at{};
    Time restart_at{};
    std::chrono::seconds back_off{0};
    std::string waiting_reason, waiting_message;
    std::string note;         // of the spawner, while it runs
    std::optional<End> end;   // when Ended
    std::optional<End> last;  // of the start before
  };

  Container* find(std::string_view name);
  void read_status(const json::object& pod);
  void advance(Time now, Effects& effects);
  void launch(Container& container, Effects& effects);
  void ended(Container& container, End end, Time now, Effects& effects);
  bool restarts(const Container& container, const End& end) const;
  bool init_done() const;
  void stop(std::chrono::seconds grace, Time now, Effects& effects);
  void finish(bool failed, Time now, Effects& effects);
  void recover(Container& container, const std::vector<ProcessStatus>& known, Time now, Effects& effects);
  bool is_live(const Container& container) const;
  json::value container_status(const Container& container) const;
  json::array conditions() const;

  const Place* place_;
  std::string uid_;
  Policy policy_ = Policy::Always;
  std::chrono::seconds grace_{30};
  std::optional<std::chrono::seconds> active_deadline_;
  std::vector<Container> containers_;  // the init containers first

  bool bound_ = false;
  bool stopping_ = false;
  bool terminal_ = false;
  bool mains_ended_ = false;  // only sidecars are left, and they are being stopped
  bool failed_ = false;
  std::string reason_, message_, unschedulable_;
  std::optional<Time> kill_at_;
  bool killed_ = false;
  Time started_at_{}, initialized_at_{}, ready_at_{}, finished_at_{}, unschedulable_at_{};
};

}  // namespace penstock::node
