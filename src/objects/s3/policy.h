// Bucket policies: who may do what, by statements. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"

namespace penstock::objects {

// What is asked, in the words of policies.
struct PolicyRequest {
  std::string principal;           // the account's canonical id; empty: anonymous
  std::vector<std::string> names;  // other names of the account that a policy may use
  std::string action;              // "s3:GetObject"
  std::string resource;            // "arn:aws:s3:::bucket/key"
  // Values of condition keys, the keys in lower case: "s3:prefix", "aws:sourceip", …
  std::map<std::string, std::vector<std::string>, std::less<>> context;
};

enum class Verdict { None, Allow, Deny };

// Throws S3Error MalformedPolicy: no JSON, an unknown version, effect, operator or element, a resource of another
// bucket. Returns the document.
json::object read_policy(std::string_view text, std::string_view bucket);

// A deny wins over an allow.
Verdict evaluate_policy(const json::object& policy, const PolicyRequest& request);

// Whether it grants anything to everybody without a condition that narrows it down.
bool is_public_policy(const json::object& policy);

// "*" and "?" match any text and any character.
bool matches_wildcard(std::string_view pattern, std::string_view text);

}  // namespace penstock::objects
