#include "kube/rest.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "kube/discovery.h"
#include "kube/presentation.h"
#include "kube/rest_request.h"
#include "kube/status.h"

namespace penstock::kube {

namespace {

constexpr std::chrono::seconds kDefaultWatch{1800};

struct Face {
  Api& api;
  PodLogs* logs;
  const Kinds kinds;
  const Clock& clock;
};

using FacePtr = std::shared_ptr<const Face>;  // shared by the handlers and by the streams that they began

http::Response json_text(std::string text, int status = 200) {
  return http::text_response(std::move(text), status, "application/json");
}

http::Response error_response(const http::Request&, const Error& error) {
  return json_text(to_text(to_status(error)), status_code(error));
}

// Ends the wait for an event when a watch's time is over. Only the wait is cut, never a line that is being written.
class Deadline {
 public:
  Deadline(Executor executor, std::chrono::nanoseconds after) : state_(std::make_shared<State>(executor)) {
    state_->timer.expires_after(after);
    state_->timer.async_wait([state = state_](const boost::system::error_code& error) {
      if (error) return;
      state->over = true;
      state->signal.emit(asio::cancellation_type::terminal);
    });
  }
  ~Deadline() { state_->timer.cancel(); }

  // Empty when the time is over.
  Async<std::optional<WatchEvent>> next(Watch& watch) {
    const auto state = state_;
    if (state->over) co_return std::nullopt;
    auto slot = (co_await asio::this_coro::cancellation_state).slot();
    // The caller's own cancellation (the client hung up) ends the wait as well.
    if (slot.is_connected()) slot.assign([state](asio::cancellation_type type) { state->signal.emit(type); });
    std::optional<WatchEvent> event;
    try {
      event = co_await asio::co_spawn(state->timer.get_executor(), watch.next(),
                                      asio::bind_cancellation_slot(state->signal.slot(), use_async));
    } catch (const boost::system::system_error& error) {
      if (!state->over || error.code() != asio::error::operation_aborted) throw;
    }
    if (slot.is_connected()) slot.clear();
    co_return event;
  }

 private:
  struct State {
    explicit State(Executor executor) : timer(executor) {}
    Timer timer;
    asio::cancellation_signal signal;
    bool over = false;
  };
  std::shared_ptr<State> state_;  // shared with the timer's handler, which may be on its way at the end
};

// The error that ends a watch, as the last line of its stream.
std::string error_line(const Error& error) {
  return fmt::format("{{\"type\":\"ERROR\",\"object\":{}}}\n", to_text(to_status(error)));
}

Async<> stream_watch(std::shared_ptr<Watch> watch, Presentation presentation, std::chrono::seconds time,
                     http::BodyWriter& out) {
  Deadline deadline(co_await asio::this_coro::executor, time);
  while (true) {
    std::string line;
    bool last = false;
    try {
      const auto event = co_await deadline.next(*watch);
      if (!event) co_return;
      line = presentation.event_text(*event);
    } catch (const Error& error) {
      line = error_line(error);
      last = true;
    }
    co_await out.write(line);
    if (last) co_return;
  }
}

Async<http::Response> do_watch(FacePtr face, const http::Request& request, const Target& target) {
  Presentation presentation(request, *target.kind, face->clock);
  const auto seconds = query_number(request, "timeoutSeconds");
  const auto time = seconds && *seconds > 0 ? std::chrono::seconds(std::min<int64_t>(*seconds, 86400)) : kDefaultWatch;
  std::shared_ptr<Watch> watch = co_await face->api.watch(target.kind->resource, watch_query(request, target));
  http::Response response;
  response.set("Content-Type", "application/json");
  response.stream = [face, watch, presentation, time](http::BodyWriter& out) {
    return stream_watch(watch, presentation, time, out);
  };
  co_return response;
}

Async<> stream_log(FacePtr face, Object pod, LogOptions options, http::BodyWriter& out) {
  co_await face->logs->read(*pod, std::move(options), out);
}

Async<http::Response> do_log(FacePtr face, const http::Request& request, const Target& target) {
  const LogOptions options = log_options(request);
  const Object pod = co_await face->api.get(target.kind->resource, target.ns, target.name);
  if (face->logs == nullptr) throw no_such_object(target.kind->resource, target.name + "/log");
  co_await face->logs->check(*pod, options);
  http::Response response;
  response.set("Content-Type", "text/plain");
  response.stream = [face, pod, options](http::BodyWriter& out) { return stream_log(face, pod, options, out); };
  co_return response;
}

Async<http::Response> do_get(FacePtr face, http::Request& request, const Target& target) {
  const Resource& resource = target.kind->resource;
  if (target.subresource == "log" && resource == kPods) co_return co_await do_log(face, request, target);
  if (wants_watch(request)) co_return co_await do_watch(face, request, target);
  const Presentation presentation(request, *target.kind, face->clock);
  if (target.name.empty()) {
    const List list = co_await face->api.list(resource, list_query(request, target));
    co_return json_text(presentation.list_text(list));
  }
  if (!target.subresource.empty() && target.subresource != "status") {
    throw StatusError(Code::NotFound, 404, "NotFound", "the server could not find the requested resource");
  }
  const Object object = co_await face->api.get(resource, target.ns, target.name);
  co_return json_text(presentation.object_text(*object));
}

Async<http::Response> do_create(FacePtr face, http::Request& request, const Target& target) {
  if (!target.name.empty()) throw method_not_allowed("a single object: create it in its collection");
  const Presentation presentation(request, *target.kind, face->clock);
  const WriteOptions options = write_options(request, target);
  json::value body = co_await read_body(request);
  json::object object = object_for(target, std::move(body));
  const Object made = co_await face->api.create(target.kind->resource, std::move(object), options);
  co_return json_text(presentation.object_text(*made), 201);
}

Async<http::Response> do_update(FacePtr face, http::Request& request, const Target& target) {
  if (target.name.empty()) throw method_not_allowed("a collection");
  const Presentation presentation(request, *target.kind, face->clock);
  const WriteOptions options = write_options(request, target);
  json::value body = co_await read_body(request);
  json::object object = object_for(target, std::move(body));
  const Object now = co_await face->api.update(target.kind->resource, std::move(object), options);
  co_return json_text(presentation.object_text(*now));
}

// Whether an apply patch will create the object, which changes the status of the answer.
Async<bool> is_missing(FacePtr face, const Target& target) {
  try {
    co_await face->api.get(target.kind->resource, target.ns, target.name);
  } catch (const Error& error) {
    if (error.code() == Code::NotFound) co_return true;
    throw;
  }
  co_return false;
}

Async<http::Response> do_patch(FacePtr face, http::Request& request, const Target& target) {
  if (target.name.empty()) throw method_not_allowed("a collection");
  const Presentation presentation(request, *target.kind, face->clock);
  const WriteOptions options = write_options(request, target);
  const PatchType type = patch_type(request);
  json::value body = co_await read_body(request);
  bool created = false;
  if (type == PatchType::Apply) {
    body = object_for(target, std::move(body));
    created = co_await is_missing(face, target);
  }
  const Object now =
      co_await face->api.patch(target.kind->resource, target.ns, target.name, type, std::move(body), options);
  co_return json_text(presentation.object_text(*now), created ? 201 : 200);
}

Async<http::Response> delete_collection(FacePtr face, const http::Request& request, const Target& target,
                                        DeleteOptions options) {
  List list = co_await face->api.list(target.kind->resource, list_query(request, target));
  for (size_t i = 0; i < list.items.size(); ++i) {
    const Object item = list.items[i];
    // Rows are written in order, so that the last one's sync covers all.
    options.durable = i + 1 == list.items.size();
    try {
      list.items[i] = co_await face->api.remove(target.kind->resource, std::string(namespace_of(*item)),
                                                std::string(name_of(*item)), options);
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) throw;
    }
  }
  const Presentation presentation(request, *target.kind, face->clock);
  co_return json_text(presentation.list_text(list));
}

Async<http::Response> do_delete(FacePtr face, http::Request& request, const Target& target) {
  const json::value body = co_await read_body(request);
  DeleteOptions options = delete_options(request, body);
  if (!target.subresource.empty()) throw method_not_allowed("a subresource");
  const Resource& resource = target.kind->resource;
  if (target.name.empty()) co_return co_await delete_collection(face, request, target, options);
  const Object last = co_await face->api.remove(resource, target.ns, target.name, options);
  // As Kubernetes: a pod is shown as it was; of others what stays for a while is shown, what is gone is a success.
  if (resource == kPods || is_deleting(*last)) {
    const Presentation presentation(request, *target.kind, face->clock);
    co_return json_text(presentation.object_text(*last));
  }
  json::object details{{"name", target.name}, {"kind", resource.plural}, {"uid", uid_of(*last)}};
  if (!resource.group.empty()) details["group"] = resource.group;
  co_return json_text(to_text(json::object{{"kind", "Status"},
                                           {"apiVersion", "v1"},
                                           {"metadata", json::object()},
                                           {"status", "Success"},
                                           {"details", std::move(details)}}));
}

Async<http::Response> serve(FacePtr face, std::string group, std::string version, http::Request& request) {
  const Target target = parse_target(face->kinds, group, version, request.params.at("path"));
  switch (request.method) {
    case http::Method::Get:
    case http::Method::Head: co_return co_await do_get(face, request, target);
    case http::Method::Post: co_return co_await do_create(face, request, target);
    case http::Method::Put: co_return co_await do_update(face, request, target);
    case http::Method::Patch: co_return co_await do_patch(face, request, target);
    case http::Method::Delete: co_return co_await do_delete(face, request, target);
    default: throw method_not_allowed(target.kind->resource.plural);
  }
}

// A document that does not change.
void add_document(http::Router& router, std::string_view path, std::function<json::object(const http::Request&)> make) {
  router.add(http::Method::Get, path,
             [make = std::move(make)](http::Request& request) -> Async<http::Response> {
               co_return json_text(to_text(make(request)));
             },
             {.summary = "Kubernetes' discovery.", .response = "object"});
}

void add_version(http::Router& router, FacePtr face, const std::string& group, const std::string& version) {
  const std::string root = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  add_document(router, root,
               [face, group, version](const http::Request&) { return api_resources(face->kinds, group, version); });
  for (const auto method : {http::Method::Get, http::Method::Post, http::Method::Put, http::Method::Patch,
                            http::Method::Delete, http::Method::Options}) {
    const bool reads = method == http::Method::Get || method == http::Method::Options;
    router.add(method, root + "/{path*}",
               [face, group, version](http::Request& request) { return serve(face, group, version, request); },
               {.summary = "Kubernetes' objects: namespaces/NAMESPACE/PLURAL/NAME, as kubectl asks for them.",
                .request = reads ? "" : "any",
                .response = "any"});
  }
  router.on_error(root, error_response);
}

// kubectl reads the schemas before it sends anything; an empty document makes it leave the checks to the server.
Async<http::Response> openapi(http::Request& request) {
  if (request.header("accept").find("protobuf") != std::string_view::npos) {
    // With a dot where the request has an "@", which is no media type to a strict reader.
    co_return http::text_response("", 200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  }
  const json::object info{{"title", "Penstock"}, {"version", get_string(server_version(), "gitVersion")}};
  co_return json_text(to_text(json::object{{"swagger", "2.0"}, {"info", info}, {"paths", json::object()}}));
}

}  // namespace

void add_routes(http::Router& router, Api& api, PodLogs* logs, Kinds kinds, const Clock* clock) {
  static const SystemClock kSystemClock;
  const auto face = std::make_shared<const Face>(
      Face{.api = api, .logs = logs, .kinds = std::move(kinds), .clock = clock ? *clock : kSystemClock});
  add_document(router, "/api", [](const http::Request& request) { return api_versions(request.header("host")); });
  add_document(router, "/apis", [face](const http::Request&) { return api_groups(face->kinds); });
  add_document(router, "/version", [](const http::Request&) { return server_version(); });
  router.add(http::Method::Get, "/openapi/v2", openapi);
  add_document(router, "/openapi/v3", [](const http::Request&) { return json::object{{"paths", json::object()}}; });
  std::set<std::pair<std::string, std::string>> versions;
  std::set<std::string> groups;
  for (const auto& kind : face->kinds.all()) {
    const auto& [group, version] = std::tie(kind.resource.group, kind.resource.version);
    if (versions.emplace(group, version).second) add_version(router, face, group, version);
    if (group.empty() || !groups.insert(group).second) continue;
    add_document(router, "/apis/" + group,
                 [face, group = group](const http::Request&) { return api_group(face->kinds, group); });
  }
}

}  // namespace penstock::kube
