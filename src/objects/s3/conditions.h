// Conditional requests and ranges. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "http/message.h"
#include "objects/engine.h"

namespace penstock::objects {

enum class Condition { Holds, NotModified, Failed };

// Of reading: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since; with `prefix` "x-amz-copy-source-",
// those of a copy's source.
Condition check_read(const http::Request& request, const Object& object, std::string_view prefix = {});
bool matches_etag(std::string_view list, std::string_view etag);

struct Range {
  uint64_t first = 0;
  uint64_t length = 0;
};
// "bytes=0-9", "bytes=5-", "bytes=-3" of so many bytes. Empty when the header is none that counts; InvalidRange when it
// lies behind the end.
std::optional<Range> read_range(std::string_view header, uint64_t size);

}  // namespace penstock::objects
