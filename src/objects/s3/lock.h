// Object lock: retention until a date and legal holds, kept in an object's metadata as "retention": {"mode", "until"}
// and "hold": "ON" | "OFF", and a bucket's as "lock": {"enabled", "mode", "days", "years"}. Pure.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "http/message.h"
#include "objects/engine.h"

namespace penstock::objects {

bool has_lock(const Bucket& bucket);
// What the headers of a request ask for, and else the bucket's default, goes into `meta`. InvalidRequest,
// InvalidArgument.
void lock_of_headers(const http::Request& request, const Bucket& bucket, Time now, json::object& meta);
// {"mode", "until"}; a date that is no later than `now` is refused. MalformedXML, InvalidArgument.
json::object read_retention(std::string_view mode, std::string_view until, Time now);
// Whether the request asks for GOVERNANCE to give way.
bool wants_bypass(const http::Request& request);
// Throws AccessDenied when the version may not go. GOVERNANCE gives way to `bypass`.
void check_unlocked(const Object& object, Time now, bool bypass);
// Throws AccessDenied when the retention that is there forbids the new one.
void check_retention_change(const json::object& meta, const json::object& retention, Time now, bool bypass);
// An ObjectLockConfiguration.
json::object read_lock_configuration(std::string_view xml);
std::string lock_configuration_xml(const json::object& lock);

}  // namespace penstock::objects
