#include "http/event_stream.h"

namespace penstock::http {

std::string event_text(std::string_view event, std::string_view id, std::string_view data) {
  std::string out;
  if (!id.empty()) fmt::format_to(std::back_inserter(out), "id: {}\n", id);
  if (!event.empty()) fmt::format_to(std::back_inserter(out), "event: {}\n", event);
  fmt::format_to(std::back_inserter(out), "data: {}\n\n", data);
  return out;
}

bool wants_event_stream(const Request& request) {
  return request.header("accept").find("text/event-stream") != std::string_view::npos;
}

Response event_stream_response() {
  Response response;
  response.set("Content-Type", "text/event-stream");
  response.set("Cache-Control", "no-store");
  response.set("X-Accel-Buffering", "no");  // for proxies that would collect it
  return response;
}

std::string last_event_id(const Request& request) {
  const auto header = request.header("last-event-id");
  return header.empty() ? request.query_or("last_event_id", "") : std::string(header);
}

}  // namespace penstock::http
