// Lifecycle rules: read, shown, and applied to what a bucket holds at a given time. Pure but for run_lifecycle().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "objects/engine.h"

namespace penstock::objects {

// A LifecycleConfiguration as {"rules": [{"id", "enabled", "prefix"?, "filter"?, "tags", "larger", "smaller",
// "expiration": {"days" | "date" | "markers"}, "noncurrent": {"days", "newer"}, "abort_days", "xml"}]}. Transitions are
// accepted and shown, but there is one storage class. MalformedXML, InvalidArgument, InvalidRequest.
json::object read_lifecycle(std::string_view xml);
std::string lifecycle_to_xml(const json::object& lifecycle);

struct Expiry {
  std::string rule;
  Time at;
};
// When and by which rule the current version goes; the earliest.
std::optional<Expiry> expiry_of(const json::object& lifecycle, const Object& object);

struct Expired {
  std::string key, version;
  bool current = false;  // delete it as a client would, without naming the version
};
// Which of the states of one key, newest first, are to go at `now`.
std::vector<Expired> expired_of(const json::object& lifecycle, const std::vector<Object>& states, bool versioned,
                                Time now);
// Whether an upload is to be aborted.
bool upload_expired(const json::object& lifecycle, const UploadInfo& upload, Time now);

// Carries the rules of one bucket out. Blocks.
void run_lifecycle(Engine& engine, const BucketPtr& bucket, Time now);

}  // namespace penstock::objects
