// GET /apis/penstock/v1/stream: the feed's changes as server-sent events.
#pragma once

#include "http/router.h"
#include "server/feed.h"

namespace penstock::server {

// `feed` must outlive the router.
void add_stream_route(http::Router& router, Feed& feed);

}  // namespace penstock::server
