// Tags of objects and buckets. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "objects/s3/xml.h"

namespace penstock::objects {

inline constexpr size_t kObjectTags = 10, kBucketTags = 50;

// "a=1&b=2", as in x-amz-tagging. InvalidArgument, InvalidTag.
json::object tags_of_query(std::string_view text);
// A Tagging document. MalformedXML, InvalidTag, BadRequest past `limit`.
json::object tags_of_xml(std::string_view text, size_t limit);
std::string tags_to_xml(const json::object& tags);

}  // namespace penstock::objects
