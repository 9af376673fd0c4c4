// The cache store of v1alpha1: entries that clients put in and look up. The server's own cache does not take from it.
#include "pipelines/api/v1/requests.h"
#include "pipelines/api/v1/routes.h"

namespace penstock::pipelines::v1 {

namespace {

const Fields<CacheEntry>& entry_fields() {
  using M = CacheEntry;
  // These names are in camel case on the wire, as the reference has them.
  static const auto kFields = Fields<M>("Task")
                                  .add("id", &M::id, {.output_only = true})
                                  .add("namespace", &M::name_space, {.max_length = 63})
                                  .add("pipelineName", &M::pipeline_name, {.required = true, .max_length = 128})
                                  .add("runId", &M::run_id, {.required = true, .max_length = 191})
                                  .add("mlmdExecutionID", &M::mlmd_execution_id, {.required = true, .max_length = 191})
                                  .add("created_at", &M::created_at)
                                  .add("finished_at", &M::finished_at)
                                  .add("fingerprint", &M::fingerprint, {.required = true, .max_length = 255});
  return kFields;
}

Async<Response> create(const ApiContext& context, Request& request) {
  json::value body = co_await read_json(context, request);
  // The request's one member, or the task itself.
  if (const json::value* task = find(body, "task")) body = json::value(*task);
  CacheEntry entry = entry_fields().read(body);
  if (entry.finished_at != Time{} && entry.finished_at < entry.created_at) {
    throw Error(Code::InvalidArgument, "finished_at: it is before created_at", "finished_at");
  }
  entry = co_await context.store.create_cache_entry(std::move(entry));
  co_return http::json_response(entry_fields().write(entry));
}

Async<Response> list(const ApiContext& context, Request& request) {
  check_resource(resource_query(request, "resource_reference_key"), {ResourceType::Namespace}, "tasks");
  const Page<CacheEntry> page = co_await context.store.list_cache_entries(list_request(request));
  json::array items;
  for (const CacheEntry& entry : page.items) items.push_back(entry_fields().write(entry));
  co_return http::json_response(page_json("tasks", std::move(items), page.total_size, page.next_page_token));
}

}  // namespace

void add_cache_routes(Routes& routes) {
  routes.add_at(Method::Post, "/apis/v1alpha1/tasks", create);
  routes.add_at(Method::Get, "/apis/v1alpha1/tasks", list);
}

}  // namespace penstock::pipelines::v1
