// Cross-origin rules of a bucket, kept as {"rules": [{"origins", "methods", "headers", "expose", "max_age", "id"}]}.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "http/message.h"

namespace penstock::objects {

// A CORSConfiguration. MalformedXML, InvalidRequest.
json::object read_cors(std::string_view xml);
std::string cors_to_xml(const json::object& cors);

// The headers that an answer to `origin` carries; nothing when no rule allows it. `requested` are the headers that a
// preflight asks for.
std::optional<std::vector<std::pair<std::string, std::string>>> cors_headers(const json::object& cors,
                                                                             std::string_view origin,
                                                                             std::string_view method,
                                                                             std::optional<std::string_view> requested);

}  // namespace penstock::objects
