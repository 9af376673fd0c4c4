#include "kube/rest_request.h"

#include <charconv>

#include "kube/status.h"

namespace penstock::kube {

namespace {

constexpr size_t kMaxBody = 4 * 1024 * 1024;

bool flag(const http::Request& request, std::string_view name) {
  const std::string text = request.query_or(name, "false");
  if (text == "true" || text == "1" || text.empty()) return true;
  if (text == "false" || text == "0") return false;
  throw bad_request(fmt::format("{}: \"{}\" is neither true nor false", name, text));
}

bool is_dry_run(std::string_view value) {
  if (value != "All") throw bad_request(fmt::format("dryRun: \"{}\" is not known: use All", value));
  return true;
}

Propagation parse_propagation(std::string_view text) {
  if (text == "Background") return Propagation::Background;
  if (text == "Foreground") return Propagation::Foreground;
  if (text == "Orphan") return Propagation::Orphan;
  throw bad_request(fmt::format("propagationPolicy: \"{}\" is none of Background, Foreground, Orphan", text));
}

std::string_view media_type(const http::Request& request) {
  const auto type = request.header("content-type");
  return type.substr(0, std::min(type.find(';'), type.find(' ')));
}

// Fills a member of metadata in from the path, or checks that they agree.
void agree(json::object& metadata, std::string_view key, const std::string& wanted) {
  const std::string given = get_string(metadata, key);
  if (given.empty()) {
    metadata[key] = wanted;
  } else if (given != wanted) {
    throw bad_request(fmt::format("metadata.{}: the object says \"{}\", the path says \"{}\"", key, given, wanted));
  }
}

}  // namespace

Target parse_target(const Kinds& kinds, std::string_view group, std::string_view version, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  Target target;
  size_t at = 0;
  const bool in_namespace =
      parts.size() >= 3 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize";
  if (in_namespace) {
    target.ns = parts[1];
    at = 2;
  }
  if (at < parts.size()) target.kind = kinds.find(group, version, parts[at]);
  const bool fits =
      target.kind != nullptr && (target.kind->resource.namespaced || !in_namespace) && parts.size() <= at + 3;
  if (fits && parts.size() > at + 1) target.name = parts[at + 1];
  if (fits && parts.size() > at + 2) target.subresource = parts[at + 2];
  if (!fits || (!target.name.empty() && target.kind->resource.namespaced && !in_namespace)) {
    throw StatusError(Code::NotFound, 404, "NotFound", "the server could not find the requested resource");
  }
  return target;
}

std::optional<int64_t> query_number(const http::Request& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text || text->empty()) return std::nullopt;
  int64_t number = 0;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), number);
  if (result.ec != std::errc{} || result.ptr != text->data() + text->size() || number < 0) {
    throw bad_request(fmt::format("{}: \"{}\" is no number of 0 or more", name, *text));
  }
  return number;
}

bool wants_watch(const http::Request& request) { return flag(request, "watch"); }

ListQuery list_query(const http::Request& request, const Target& target) {
  return {.ns = target.ns,
          .label_selector = request.query_or("labelSelector", ""),
          .field_selector = request.query_or("fieldSelector", ""),
          .limit = query_number(request, "limit").value_or(0),
          .continue_token = request.query_or("continue", "")};
}

WatchQuery watch_query(const http::Request& request, const Target& target) {
  WatchQuery query{.ns = target.ns,
                   .label_selector = request.query_or("labelSelector", ""),
                   .field_selector = request.query_or("fieldSelector", ""),
                   .resource_version = request.query_or("resourceVersion", ""),
                   .bookmarks = flag(request, "allowWatchBookmarks")};
  // A client that asks for the initial events gets them whatever version it names.
  if (flag(request, "sendInitialEvents")) query.resource_version.clear();
  if (!target.name.empty()) {
    if (!query.field_selector.empty()) query.field_selector += ",";
    query.field_selector += "metadata.name=" + target.name;
  }
  return query;
}

WriteOptions write_options(const http::Request& request, const Target& target) {
  WriteOptions options;
  options.subresource = target.subresource;
  if (const auto dry_run = request.query_value("dryRun")) options.dry_run = is_dry_run(*dry_run);
  return options;
}

LogOptions log_options(const http::Request& request) {
  return {.container = request.query_or("container", ""),
          .follow = flag(request, "follow"),
          .tail_lines = query_number(request, "tailLines"),
          .limit_bytes = query_number(request, "limitBytes")};
}

DeleteOptions delete_options(const http::Request& request, const json::value& body) {
  DeleteOptions options;
  if (const auto* object = body.if_object()) {
    if (object->contains("gracePeriodSeconds")) options.grace_period_seconds = get_int(*object, "gracePeriodSeconds");
    const std::string policy = get_string(*object, "propagationPolicy");
    if (!policy.empty())
      options.propagation = parse_propagation(policy);
    else if (get_bool(*object, "orphanDependents"))
      options.propagation = Propagation::Orphan;
    options.uid = string_at(body, {"preconditions", "uid"});
    options.resource_version = string_at(body, {"preconditions", "resourceVersion"});
    if (const auto* dry_run = find_array(*object, "dryRun")) {
      for (const auto& item : *dry_run)
        options.dry_run = is_dry_run(item.is_string() ? to_view(item.get_string()) : "");
    }
  }
  if (const auto grace = query_number(request, "gracePeriodSeconds")) options.grace_period_seconds = grace;
  if (const auto policy = request.query_value("propagationPolicy")) options.propagation = parse_propagation(*policy);
  if (const auto dry_run = request.query_value("dryRun")) options.dry_run = is_dry_run(*dry_run);
  return options;
}

PatchType patch_type(const http::Request& request) {
  const auto type = media_type(request);
  if (type == "application/json-patch+json") return PatchType::Json;
  if (type == "application/merge-patch+json") return PatchType::Merge;
  if (type == "application/strategic-merge-patch+json") return PatchType::Strategic;
  if (type == "application/apply-patch+yaml") return PatchType::Apply;
  throw unsupported_media_type(fmt::format(
      "a patch of the type \"{}\" is not known: use application/json-patch+json, "
      "application/merge-patch+json, application/strategic-merge-patch+json or application/apply-patch+yaml",
      type));
}

Async<json::value> read_body(http::Request& request) {
  std::string text;
  try {
    text = co_await request.body->read_all(kMaxBody);
  } catch (const Error& error) {
    if (error.code() != Code::ResourceExhausted) throw;
    throw StatusError(Code::ResourceExhausted, 413, "RequestEntityTooLarge",
                      fmt::format("the body has more than {} bytes", kMaxBody));
  }
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) co_return json::value();
  const auto type = media_type(request);
  if (type.find("protobuf") != std::string_view::npos) {
    throw unsupported_media_type("bodies in protobuf are not read here: send application/json");
  }
  if (type.find("yaml") == std::string_view::npos) co_return parse_json(text);
  auto documents = parse_yaml(text, 200'000);
  if (documents.size() != 1)
    throw bad_request(fmt::format("the body has {} YAML documents: send one", documents.size()));
  co_return std::move(documents.front());
}

json::object object_for(const Target& target, json::value body) {
  if (!body.is_object()) throw bad_request("the body must be the object, as JSON or YAML");
  json::object object = std::move(body.get_object());
  auto& metadata = object["metadata"];
  if (metadata.is_null()) metadata = json::object();
  if (!metadata.is_object()) throw bad_request("metadata must be an object");
  if (target.kind->resource.namespaced && !target.ns.empty()) agree(metadata.get_object(), "namespace", target.ns);
  if (!target.name.empty()) agree(metadata.get_object(), "name", target.name);
  return object;
}

}  // namespace penstock::kube
