// A run in progress: its engine, what is in flight for it, and the events that wait to be taken in.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/async.h"
#include "objects/remote/stop.h"
#include "pipelines/engine/engine.h"
#include "pipelines/run/journal.h"
#include "pipelines/run/run_rows.h"
#include "pipelines/store/records.h"

namespace penstock::pipelines {

using FlightKey = std::pair<engine::TaskId, int>;  // task, attempt

// A task that was launched and whose end has not been taken in.
struct Flight {
  std::shared_ptr<const engine::LaunchSpec> spec;
  std::string pod;
  std::string uid;               // that the pod gets
  std::filesystem::path folder;  // that the task works in
  bool folder_made = false;
  bool again = false;     // a former server may have launched it
  bool created = false;   // the pod exists, or is being made by us
  bool started = false;   // TaskStarted was sent
  bool canceled = false;  // CancelTask came
  bool over = false;      // its end is being collected or was sent
  bool clean = true;      // no process of it runs
  bool gone = false;      // the pod was there and is deleted
  std::string waiting;    // as the engine was told last
  // Ends what is brought for it or taken from it. Shared with the transfers' threads.
  std::shared_ptr<objects::Stop> stop = std::make_shared<objects::Stop>();
};

// What a task gave that succeeded before its run was retried.
struct Kept {
  json::object outputs;
  std::string pod;  // whose log stays
  std::string uid;
};

// A task's folder that is not needed any more.
struct EndedFolder {
  std::filesystem::path path;
  std::string owner;  // the pod's uid
  bool clean = true;  // no process of it runs
};

// What some events ask for: written first, then done.
struct Batch {
  std::optional<RunRows> rows;
  std::vector<engine::Command> commands;
  // Removed once the end is written: until then a server that takes over may have to read it again.
  std::vector<std::string> ended_pods;
  std::vector<EndedFolder> ended_folders;  // of pods that are gone
};

struct ActiveRun {
  ActiveRun(Run r, engine::Engine e, Executor executor) : run(std::move(r)), engine(std::move(e)), idle(executor) {
    idle.set();
  }
  Run run;
  engine::Engine engine;
  int64_t next_seq = 0;                   // of the first event that is not in the database
  std::vector<std::string> unsaved;       // events from there on
  std::vector<Journal::Place> journaled;  // where they are
  std::deque<engine::Event> inbox;
  std::string root;             // the pipeline root with its settings
  std::string workspace;        // the claim, once it is there
  bool has_claims = false;      // those of its volumeClaimTemplates are there
  Time began{};                 // of RunStarted; differs in a retry
  RunRows rows;                 // that are not written yet
  bool rows_scheduled = false;  // to become due
  bool rows_due = false;        // they go with the next batch
  bool resuming = false;        // what a former server may have begun is carried out
  bool driving = false;
  bool durable_wanted = false;  // the next batch is synced: somebody waits for it
  bool forgotten = false;       // rows are about to be deleted: write nothing more
  Signal idle;                  // set while the inbox is empty and everything in it was committed
  std::map<FlightKey, Flight> flights;
  std::map<std::string, FlightKey, std::less<>> pods;
  // Pods that a former server made, until their tasks are taken up.
  std::set<std::string, std::less<>> found_pods;
  std::map<std::string, Kept> kept;  // by the tasks' paths; until they have ended again
  std::vector<std::string> again;    // paths of tasks that were asked to run again: the cache takes no part in them
};

}  // namespace penstock::pipelines
