#include "server/stream.h"

#include <algorithm>

#include "http/event_stream.h"

namespace penstock::server {

namespace {

using namespace std::chrono_literals;

constexpr auto kHeartbeatAfter = 15s;
// What comes in such a time is sent together, each object once.
constexpr auto kGather = 50ms;

json::object change_json(const Change& change) {
  static constexpr std::string_view kWhat[] = {"ADDED", "MODIFIED", "DELETED"};
  json::object out{
      {"kind", to_string(change.kind)}, {"type", kWhat[static_cast<size_t>(change.what)]}, {"id", change.id}};
  if (!change.ns.empty()) out["namespace"] = change.ns;
  if (!change.state.empty()) out["state"] = change.state;
  if (!change.parent.empty()) out["parent"] = change.parent;
  out["version"] = change.version;
  return out;
}

std::string marker(const Feed& feed, std::string_view event, uint64_t version) {
  return http::event_text(event, feed.place(version), to_text(json::object{{"version", version}}));
}

// `from`: the last version that the client knows; none when it must look at everything anew.
Async<> stream(Feed& feed, ChangeFilter filter, std::optional<uint64_t> from, bool again, http::BodyWriter& out) {
  const auto executor = co_await asio::this_coro::executor;
  Feed::Reader reader(feed, filter, executor);
  uint64_t version = from.value_or(feed.newest());
  const std::string first = "retry: 1000\n" + marker(feed, again && !from ? "reset" : "ready", version);
  co_await out.write(first);
  while (!feed.closed()) {
    reader.arm();
    const Feed::News news = feed.after(version, filter);
    version = news.newest;
    std::string text;
    if (news.lost) text = marker(feed, "reset", version);
    for (const Change& change : news.changes) {
      text += http::event_text("change", feed.place(change.version), to_text(change_json(change)));
    }
    if (!text.empty()) {
      co_await out.write(text);
      co_await sleep_for(kGather);
    } else {
      const bool woken = co_await reader.wait_for(kHeartbeatAfter);
      version = std::max(version, reader.quiet_until());
      if (!woken) co_await out.write(http::kHeartbeat);
    }
  }
}

}  // namespace

void add_stream_route(http::Router& router, Feed& feed) {
  const auto handler = [&feed](http::Request& request) -> Async<http::Response> {
    const ChangeFilter filter(request.query_or("topics", ""), request.query_or("namespace", ""));
    const std::string seen = http::last_event_id(request);
    http::Response response = http::event_stream_response();
    response.stream = [&feed, filter, from = feed.version_of(seen), again = !seen.empty()](http::BodyWriter& out) {
      return stream(feed, filter, from, again, out);
    };
    co_return response;
  };
  router.add(
      http::Method::Get, "/apis/penstock/v1/stream", handler,
      {.summary = "What changes, as it changes. The data of each event `change` is a Change; `ready` comes first, "
                  "and `reset` says that changes were missed: look at everything anew. A client that connects "
                  "again with Last-Event-ID gets what it has missed.",
       .query = "topics string, namespace string, last_event_id string",
       .response = "string",
       .response_media = "text/event-stream"});
}

}  // namespace penstock::server
