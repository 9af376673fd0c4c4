// Artifacts and which tasks made and took them.
//
// As in the pipelines' store, functions on a connection are for writes that share a transaction with others; class
// Store is for single calls. All may be called from any loop.
#pragma once

#include <atomic>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/clock.h"
#include "base/json.h"
#include "db/database.h"
#include "db/list.h"

namespace penstock::metadata {

struct Artifact {
  int64_t artifact_id = 0;  // 0 before it is stored, unless it comes from Store::next_artifact_id()
  std::string uuid;         // unique; made when empty
  std::string name;
  std::string description;
  std::string type;          // the schema's title: "system.Dataset"
  std::string type_version;  // "0.0.1"
  std::string uri;
  json::object metadata;
  double number_value = 0;  // of a metric
  Time created_at{};
  std::string name_space;
  // The task that made it; empty for one that was imported from nowhere.
  std::string run_id;
  std::string task_id;
  std::string producer_key;  // the name of the task's output
};

enum class Direction { Input, Output };

// An artifact's use by a task.
struct Link {
  int64_t id = 0;
  int64_t artifact_id = 0;
  std::string run_id;
  std::string task_id;
  Direction direction = Direction::Output;
  std::string key;         // the name of the task's input or output
  int64_t iteration = -1;  // of the loop that the task stands in, -1 outside of any
  std::string type{};      // KFP's IOType; OUTPUT or COMPONENT_INPUT, by the direction, when empty
  std::string producer{};  // the name of the task that an input comes from, when it is known
};

// Inserts the artifact, or replaces name, uri, type and metadata of the one with its uuid. One with its id stays as it
// is. Returns its id.
int64_t put_artifact(db::Connection& connection, const Artifact& artifact);
// Does nothing when the same link is there. Returns its id.
int64_t put_link(db::Connection& connection, const Link& link);
// NotFound.
Artifact get_artifact(db::Connection& connection, int64_t artifact_id);

// The newest artifact with this URI, type and metadata; 0 when there is none.
int64_t find_artifact(db::Connection& connection, std::string_view uri, std::string_view type,
                      const json::object& metadata);

// Empty lists do not restrict.
struct LinkFilter {
  std::vector<int64_t> artifact_ids;
  std::vector<std::string> run_ids;
  std::vector<std::string> task_ids;
  std::string type;  // IOType
};

class Store {
 public:
  explicit Store(db::Database& database);
  static const db::Migrations& migrations();

  // For artifacts whose id must be known before they are written. Thread-safe; a number that is not used is lost.
  int64_t next_artifact_id() { return next_id_.fetch_add(1); }
  // One that was taken before a restart.
  void reserve_artifact_id(int64_t id) {
    for (auto next = next_id_.load(); next <= id && !next_id_.compare_exchange_weak(next, id + 1);) {
    }
  }

  struct Page {
    std::vector<Artifact> items;
    int64_t total_size = 0;
    std::string next_page_token;
  };
  Async<Artifact> get(int64_t artifact_id);  // NotFound
  Async<std::vector<Artifact>> get_all(std::vector<int64_t> artifact_ids);
  Async<Page> list(db::ListRequest request);
  Async<std::vector<Artifact>> of_run(std::string run_id);  // those that it made

  struct LinkPage {
    std::vector<Link> items;
    int64_t total_size = 0;
    std::string next_page_token;
  };
  Async<LinkPage> list_links(LinkFilter filter, db::ListRequest request);
  Async<std::vector<Link>> links_of_run(std::string run_id);

  // An artifact's neighbours: what the task that made it took, and what the tasks that took it made.
  struct Lineage {
    std::vector<Artifact> made_from;
    std::vector<Artifact> made_into;
    std::vector<Link> links;  // of the artifact itself: its producer and its consumers
  };
  Async<Lineage> lineage(int64_t artifact_id);

 private:
  db::Database& database_;
  std::atomic<int64_t> next_id_{1};
};

}  // namespace penstock::metadata
