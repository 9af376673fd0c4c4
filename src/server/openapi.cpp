#include "server/openapi.h"

#include <memory>
#include <mutex>

#include "http/openapi.h"
#include "pipelines/api/api.h"
#include "pipelines/api/buckets.h"
#include "server/overview.h"

namespace penstock::server {

namespace {

std::string make_document(const http::Router& router, const std::string& version) {
  Schemas schemas;
  pipelines::add_schemas(schemas);
  pipelines::add_bucket_schemas(schemas);
  add_overview_schemas(schemas);
  schemas.add("KubernetesStatus", {{"kind!", "string"},
                                   {"apiVersion!", "string"},
                                   {"metadata", "object"},
                                   {"status!", "string"},
                                   {"code", "int32"},
                                   {"reason", "string"},
                                   {"message", "string"},
                                   {"details", "object"}});
  schemas.add("PlainError", {{"code!", "int32"}, {"message!", "string"}});
  http::OpenApiOptions options;
  options.title = "Penstock";
  options.version = version;
  options.description =
      "Kubeflow Pipelines' REST API, Kubernetes' for the resources that are kept here, and Penstock's own below "
      "/apis/penstock/v1. Paths below /apis are also served below /pipeline.";
  options.alias_prefixes = {"/pipeline"};
  options.errors = {{"", "PlainError"},
                    {"/apis/", "Error"},
                    {"/artifacts/", "Error"},
                    {"/apis/v2beta1/pipelines/upload", "UploadError"},
                    {"/apis/v1beta1/pipelines/upload", "UploadError"},
                    {"/api/v1", "KubernetesStatus"},
                    {"/s3", ""}};
  options.parameters = {
      {"page_token", "The next_page_token of the page before."},
      {"page_size", "At most so many items; 200 at most."},
      {"sort_by", "FIELD, FIELD asc or FIELD desc; of runs also metric:NAME."},
      {"filter", "A filter as JSON: {\"predicates\": [{\"key\", \"operation\", \"string_value\" or another}]}."},
      {"view", "FULL: with the tasks in their newer form."},
      {"attempt", "From 0; the last one when it is missing."},
      {"follow", "Go on until the task has ended."},
      {"offset", "From this byte on."},
      {"tail_lines", "Only so many lines at its end."},
      {"limit_bytes", "Only so many bytes."},
      {"peek", "Only so many bytes, as text."},
      {"topics",
       "runs, tasks, pipelines, experiments, recurringruns, artifacts, pods, events, and run:ID for a run with "
       "all that belongs to it; several with commas between them. All when it is missing."},
      {"last_event_id", "As the header Last-Event-ID, which wins."},
      {"namespace", "Of this namespace alone."},
      {"tags", "A JSON object of texts."},
      {"cascade", "With its versions."},
      {"key", "Of an object: up to 1,024 bytes of UTF-8."},
      {"version_id", "This version instead of the newest."},
      {"prefix", "Only keys that begin so."},
      {"delimiter", "Keys with it behind the prefix are grouped up to there, as in folders: \"/\"."},
      {"max_bytes", "At most so much text."},
      {"rows", "At most so many rows."},
      {"delete_artifacts", "With the artifacts that it made and no other run took."}};
  return to_text(http::openapi_document(router, std::move(schemas), options));
}

}  // namespace

void add_openapi_route(http::Router& router, std::string version) {
  struct Document {
    std::once_flag made;
    std::string text;
  };
  const auto document = std::make_shared<Document>();  // kept by the handler
  router.add(http::Method::Get, "/openapi.json",
             [document, &router, version = std::move(version)](http::Request&) -> Async<http::Response> {
               std::call_once(document->made, [&] { document->text = make_document(router, version); });
               http::Response response;
               response.set("Content-Type", "application/json");
               response.set("Cache-Control", "no-cache");
               response.fixed = document->text;
               co_return response;
             },
             {.summary = "This document.", .response = "object"});
}

}  // namespace penstock::server
