// Server-sent events: text/event-stream, as browsers' EventSource reads it.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace penstock::http {

// One event as it is sent. `data` has no line break, as JSON text has none; `event` and `id` may be empty.
std::string event_text(std::string_view event, std::string_view id, std::string_view data);
// What a client that listens does not see; it keeps connections open that nothing is sent on.
inline constexpr std::string_view kHeartbeat = ":\n\n";

// Whether the client wants one: its Accept header names the type.
bool wants_event_stream(const Request& request);
// The response without its stream.
Response event_stream_response();
// The id of the last event that the client has got, which it sends when it connects again: the header that browsers
// send, or the query's last_event_id. Empty: none.
std::string last_event_id(const Request& request);

}  // namespace penstock::http
