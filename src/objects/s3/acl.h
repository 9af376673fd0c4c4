// Access control lists, kept as {"owner": id, "grants": [{"type": "CanonicalUser" | "Group", "id": …, "permission":
// …}]}. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "http/message.h"
#include "objects/s3/keys.h"
#include "objects/s3/xml.h"

namespace penstock::objects {

inline constexpr std::string_view kAllUsers = "http://acs.amazonaws.com/groups/global/AllUsers";
inline constexpr std::string_view kAuthenticatedUsers = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

// "private", "public-read", … of an object or bucket of `owner` in a bucket of `bucket_owner`. InvalidArgument.
json::object canned_acl(std::string_view name, std::string_view owner, std::string_view bucket_owner);
// What x-amz-acl and x-amz-grant-* ask for; empty when they say nothing. InvalidRequest when both are there.
std::optional<json::object> acl_of_headers(const http::Request& request, std::string_view owner,
                                           std::string_view bucket_owner, const Keys& keys);
// An AccessControlPolicy document. MalformedACLError, InvalidArgument, UnresolvableGrantByEmailAddress.
json::object acl_of_xml(std::string_view text, std::string_view owner, const Keys& keys);
std::string acl_to_xml(const json::object& acl, const Keys& keys);

// `account` is empty for anonymous. FULL_CONTROL holds every permission. Grants to everybody count unless
// `ignore_public`.
bool acl_grants(const json::object& acl, std::string_view account, std::string_view permission, bool ignore_public);
bool is_public_acl(const json::object& acl);
bool grants_to_others(const json::object& acl, std::string_view owner);
void write_owner(XmlWriter& xml, std::string_view element, std::string_view id, const Keys& keys);

}  // namespace penstock::objects
