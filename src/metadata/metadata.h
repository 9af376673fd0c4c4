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
  std::string type;             // the schema's title: "system.Dataset"
  std::string type_version;     // "0.0.1"
  std::string instance_schema;  // of its type, where it brings one; kept with the type, and not read back
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

// What artifacts are: a row for each title and version, of which the schema's are known ahead and others come with the
// first artifact of theirs.
struct ArtifactType {
  int64_t type_id = 0;
  std::string schema_title;
  std::string schema_version;
  std::string instance_schema;                    // YAML or JSON as it was given; may be empty
  std::map<std::string, std::string> properties;  // "DOUBLE" by name: those that the schema declares
  Time created_at{};
};

// The type that a JSON schema in YAML or JSON describes: its title, and its properties' types. InvalidArgument.
ArtifactType read_instance_schema(std::string_view text);
std::string title_of_schema(std::string_view instance_schema);  // "system.Artifact" where it has none
// "INT", "DOUBLE", "BOOLEAN", "STRING" or "STRUCT", as a JSON value is kept.
std::string_view property_type(const json::value& value);

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

class LineageExtension;
struct LineageGraph;
struct LineageQuery;

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

  struct TypePage {
    std::vector<ArtifactType> items;
    int64_t total_size = 0;
    std::string next_page_token;
  };
  Async<TypePage> list_types(db::ListRequest request);
  Async<ArtifactType> get_type(std::string id_or_title);  // of a title the newest; NotFound
  // Of that title and version; one without an id when no artifact has brought it.
  Async<ArtifactType> type_of(std::string schema_title, std::string schema_version);
  // Those recorded at the URI, newest first by default.
  Async<Page> at_uri(std::string uri, db::ListRequest request);

  struct Output {
    Artifact artifact;
    std::string task_id;
    std::string key;  // the name of the task's output
  };
  // What the tasks of a run gave that holds metrics or charts: of a type that ends with "Metrics", or one of the first
  // SDK's files.
  Async<std::vector<Output>> metric_outputs(std::string run_id, size_t limit);

  // See lineage.h.
  Async<LineageGraph> lineage(LineageQuery query);
  LineageGraph lineage_of(db::Connection& connection, const LineageQuery& query) const;
  // Before the first query. The extension outlives the store.
  void extend_lineage(const LineageExtension& extension) { extensions_.push_back(&extension); }

 private:
  db::Database& database_;
  std::atomic<int64_t> next_id_{1};
  std::vector<const LineageExtension*> extensions_;
};

}  // namespace penstock::metadata
