#include "pipelines/api/delete_run.h"

#include <limits>

namespace penstock::pipelines::api {

namespace {

void remove_objects(objects::Store& objects, const std::vector<std::string>& uris) {
  for (const auto& uri : uris) {
    const auto location = objects::parse_uri(uri);
    if (!location || location->scheme != "minio" || location->key.empty()) continue;
    if (!objects.has_bucket(location->bucket)) continue;
    const auto whole = std::numeric_limits<size_t>::max();
    for (const auto& object : objects.list(location->bucket, location->key, whole)) {
      // "a/model" is not of the artifact "a/mod".
      const auto rest = std::string_view(object.key).substr(location->key.size());
      if (rest.empty() || rest.starts_with('/')) objects.remove(location->bucket, object.key);
    }
  }
}

}  // namespace

// What the run's tasks have put to other stores, and nothing that it has imported: those are below its own folder.
static Async<> remove_outside(const ApiContext& context, const Run& run, const std::vector<std::string>& uris) {
  const std::string ns = run.name_space.empty() ? std::string(kDefaultNamespace) : run.name_space;
  const std::string own = fmt::format("/{}/", run.run_id);
  for (const std::string& uri : uris) {
    if (uri.find(own) == std::string::npos || !stores::is_writable_scheme(uri.substr(0, uri.find("://")))) continue;
    const stores::Ask ask{ns, uri, run.runtime_config.pipeline_root};
    const bool outside = co_await context.stores->is_outside(ns, uri, ask.root);
    if (outside) co_await context.stores->remove(ask);
  }
}

Async<> delete_run(const ApiContext& context, Run run, bool with_artifacts) {
  co_await context.runs.forget(run.run_id);
  const auto tasks = co_await context.store.list_tasks(run.run_id);
  if (with_artifacts) {
    const auto own = co_await context.metadata.only_of_run(run.run_id);
    const auto remove = [&] { remove_objects(context.objects, own); };
    if (context.stores != nullptr) co_await remove_outside(context, run, own);
    co_await context.blocking.run(remove);
  }
  co_await context.store.database().write([&](db::Connection& c) {
    if (with_artifacts) metadata::delete_only_of_run(c, run.run_id);
    store::delete_run(c, run.run_id);
  });
  co_await context.runs.drop_logs(run.name_space, tasks);
}

}  // namespace penstock::pipelines::api
