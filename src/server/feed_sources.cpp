#include "server/feed_sources.h"

#include "base/error.h"
#include "pipelines/run/pod.h"

namespace penstock::server {

namespace {

struct Source {
  Change::Kind kind;
  db::ObservedTable table;  // id, namespace, state, parent
};

std::vector<Source> sources() {
  const std::string run_namespace = "(SELECT namespace FROM runs WHERE run_id = row.run_id)";
  const std::string pipeline_namespace = "(SELECT namespace FROM pipelines WHERE pipeline_id = row.pipeline_id)";
  return {
      {Change::Kind::Run, {"runs", {"row.run_id", "row.namespace", "row.state", "''"}}},
      {Change::Kind::Task, {"tasks", {"row.task_id", run_namespace, "row.state", "row.run_id"}}},
      {Change::Kind::Pipeline, {"pipelines", {"row.pipeline_id", "row.namespace", "''", "''"}}},
      {Change::Kind::Version,
       {"pipeline_versions", {"row.pipeline_version_id", pipeline_namespace, "''", "row.pipeline_id"}}},
      {Change::Kind::Experiment, {"experiments", {"row.experiment_id", "row.namespace", "row.storage_state", "''"}}},
      {Change::Kind::RecurringRun,
       {"recurring_runs",
        {"row.recurring_run_id", "row.namespace", "CASE row.enabled WHEN 0 THEN 'DISABLED' ELSE 'ENABLED' END", "''"}}},
      {Change::Kind::Artifact, {"artifacts", {"row.artifact_id", "row.namespace", "''", "row.run_id"}}},
  };
}

Change::What what_of(db::RowChange::What what) { return static_cast<Change::What>(what); }

Change object_change(Change::Kind kind, const kube::WatchEvent& event) {
  const json::object& object = *event.object;
  Change change{.kind = kind,
                .what = event.type == kube::EventType::Added     ? Change::What::Added
                        : event.type == kube::EventType::Deleted ? Change::What::Removed
                                                                 : Change::What::Changed,
                .id = std::string(kube::name_of(object)),
                .ns = std::string(kube::namespace_of(object)),
                .state = {},
                .parent = {}};
  if (kind == Change::Kind::Pod) {
    if (const auto* status = find_object(object, "status")) change.state = get_string(*status, "phase");
    change.parent = kube::label_of(object, pipelines::kRunLabel);
  } else {
    change.state = get_string(object, "reason");
    if (const auto* involved = find_object(object, "involvedObject")) change.parent = get_string(*involved, "name");
  }
  return change;
}

}  // namespace

void tell_row_changes(db::Database& database, Feed& feed) {
  std::vector<db::ObservedTable> tables;
  std::vector<Change::Kind> kinds;
  for (auto& source : sources()) {
    tables.push_back(std::move(source.table));
    kinds.push_back(source.kind);
  }
  database.observe(std::move(tables), [&feed, kinds](std::vector<db::RowChange> rows) {
    std::vector<Change> changes;
    changes.reserve(rows.size());
    for (auto& row : rows) {
      changes.push_back({kinds[row.table], what_of(row.what), std::move(row.values[0]), std::move(row.values[1]),
                         std::move(row.values[2]), std::move(row.values[3])});
    }
    feed.publish(std::move(changes));
  });
}

Async<> tell_object_changes(kube::Api& api, kube::Resource resource, Change::Kind kind, Feed& feed) {
  while (true) {
    try {
      const kube::ListQuery all;
      const kube::List now = co_await api.list(resource, all);
      kube::WatchQuery query;
      query.resource_version = now.resource_version;
      const auto watch = co_await api.watch(resource, query);
      while (true) {
        const kube::WatchEvent event = co_await watch->next();
        if (event.type == kube::EventType::Bookmark) continue;
        std::vector<Change> changes;
        changes.push_back(object_change(kind, event));
        feed.publish(std::move(changes));
      }
    } catch (const Error& error) {
      if (error.code() != Code::OutOfRange) throw;
      feed.lose();  // it fell too far behind
    }
  }
}

}  // namespace penstock::server
