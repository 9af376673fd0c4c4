#include "objects/s3/policy.h"

#include <charconv>
#include <cmath>

#include <arpa/inet.h>

#include "objects/s3_error.h"

namespace penstock::objects {

namespace {

S3Error malformed(std::string message) { return S3Error("MalformedPolicy", std::move(message)); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// A string, or a list of them; numbers and booleans as their text.
std::vector<std::string> texts(const json::value& value) {
  std::vector<std::string> out;
  const auto add = [&](const json::value& item) {
    if (item.is_string()) {
      out.push_back(to_std(item.get_string()));
    } else if (item.is_bool() || item.is_number()) {
      out.push_back(to_text(item));
    } else {
      throw malformed("Expected a string or a list of strings");
    }
  };
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) add(item);
  } else {
    add(value);
  }
  return out;
}

constexpr std::string_view kOperators[] = {"StringEquals",
                                           "StringNotEquals",
                                           "StringEqualsIgnoreCase",
                                           "StringNotEqualsIgnoreCase",
                                           "StringLike",
                                           "StringNotLike",
                                           "NumericEquals",
                                           "NumericNotEquals",
                                           "NumericLessThan",
                                           "NumericLessThanEquals",
                                           "NumericGreaterThan",
                                           "NumericGreaterThanEquals",
                                           "DateEquals",
                                           "DateNotEquals",
                                           "DateLessThan",
                                           "DateLessThanEquals",
                                           "DateGreaterThan",
                                           "DateGreaterThanEquals",
                                           "Bool",
                                           "IpAddress",
                                           "NotIpAddress",
                                           "ArnEquals",
                                           "ArnLike",
                                           "ArnNotEquals",
                                           "ArnNotLike",
                                           "Null",
                                           "BinaryEquals"};

struct Operator {
  std::string name;
  bool if_exists = false;
  bool all_values = false;
};

Operator read_operator(std::string_view text) {
  Operator out;
  if (text.starts_with("ForAllValues:")) {
    out.all_values = true;
    text.remove_prefix(13);
  } else if (text.starts_with("ForAnyValue:")) {
    text.remove_prefix(12);
  }
  if (text.ends_with("IfExists")) {
    out.if_exists = true;
    text.remove_suffix(8);
  }
  if (std::ranges::find(kOperators, text) == std::end(kOperators)) {
    throw malformed(fmt::format("Invalid Condition type : {}", text));
  }
  out.name = text;
  return out;
}

void check_principal(const json::value& principal) {
  if (principal.is_string()) {
    if (principal.get_string() != "*") throw malformed("Invalid principal in policy");
    return;
  }
  if (!principal.is_object() || principal.get_object().empty()) throw malformed("Invalid principal in policy");
  for (const auto& [kind, names] : principal.get_object()) {
    if (kind != "AWS" && kind != "CanonicalUser" && kind != "Federated" && kind != "Service") {
      throw malformed("Invalid principal in policy");
    }
    texts(names);
  }
}

void check_resources(const json::value& resources, std::string_view bucket) {
  for (const std::string& resource : texts(resources)) {
    static constexpr std::string_view kPrefix = "arn:aws:s3:::";
    const size_t colons = resource.rfind(":::");
    const bool arn =
        resource.starts_with(kPrefix) || (resource.starts_with("arn:aws:s3:") && colons != std::string::npos);
    if (resource != "*" && !arn) throw malformed("Policy has invalid resource");
    if (resource == "*") continue;
    const auto rest = resource.substr(resource.starts_with(kPrefix) ? kPrefix.size() : resource.rfind(':') + 1);
    const auto named = rest.substr(0, rest.find('/'));
    if (!matches_wildcard(named, bucket)) throw malformed("Policy has invalid resource");
  }
}

void check_statement(const json::value& value, std::string_view bucket) {
  if (!value.is_object()) throw malformed("A statement must be an object");
  const json::object& statement = value.get_object();
  for (const auto& [name, unused] : statement) {
    static constexpr std::string_view kKnown[] = {"Sid",       "Effect",   "Principal",   "NotPrincipal", "Action",
                                                  "NotAction", "Resource", "NotResource", "Condition"};
    if (std::ranges::find(kKnown, std::string_view(name)) == std::end(kKnown)) {
      throw malformed(fmt::format("Unknown field {}", std::string_view(name)));
    }
  }
  const auto effect = get_string(statement, "Effect");
  if (effect != "Allow" && effect != "Deny") throw malformed(fmt::format("Invalid effect: {}", effect));
  const json::value* principal = find(statement, "Principal");
  const json::value* not_principal = find(statement, "NotPrincipal");
  if ((principal == nullptr) == (not_principal == nullptr)) throw malformed("Missing required field Principal");
  if (not_principal != nullptr && effect == "Allow") throw malformed("Allow with NotPrincipal is not allowed.");
  check_principal(principal != nullptr ? *principal : *not_principal);
  const json::value* action = find(statement, "Action");
  if (action == nullptr) action = find(statement, "NotAction");
  if (action == nullptr) throw malformed("Missing required field Action");
  for (const std::string& name : texts(*action)) {
    if (name != "*" && !lower(name).starts_with("s3:")) throw malformed("Policy has invalid action");
  }
  const json::value* resource = find(statement, "Resource");
  if (resource == nullptr) resource = find(statement, "NotResource");
  if (resource == nullptr) throw malformed("Missing required field Resource");
  check_resources(*resource, bucket);
  const json::value* condition = find(statement, "Condition");
  if (condition == nullptr) return;
  if (!condition->is_object()) throw malformed("Condition must be an object");
  for (const auto& [name, keys] : condition->get_object()) {
    read_operator(name);
    if (!keys.is_object()) throw malformed("Condition values must be an object");
    for (const auto& [key, values] : keys.get_object()) texts(values);
  }
}

bool matches_principal(const json::value& principal, const PolicyRequest& request) {
  if (principal.is_string()) return principal.get_string() == "*";
  for (const auto& [kind, names] : principal.get_object()) {
    for (const std::string& name : texts(names)) {
      if (name == "*") return true;
      if (request.principal.empty()) continue;
      // "arn:aws:iam::ACCOUNT:root", "arn:aws:iam::ACCOUNT:user/NAME", the account itself.
      std::string_view account = name;
      if (name.starts_with("arn:aws:iam::")) {
        account.remove_prefix(13);
        const size_t colon = account.find(':');
        const auto rest = colon == std::string_view::npos ? std::string_view() : account.substr(colon + 1);
        account = account.substr(0, colon);
        if (rest.starts_with("user/") && (account.empty() || account == request.principal)) account = rest.substr(5);
      }
      if (account == request.principal) return true;
      if (std::ranges::find(request.names, account) != request.names.end()) return true;
    }
  }
  return false;
}

bool matches_any(const json::value& patterns, std::string_view text, bool fold) {
  for (const std::string& pattern : texts(patterns)) {
    if (matches_wildcard(fold ? lower(pattern) : pattern, text)) return true;
  }
  return false;
}

bool matches_address(std::string_view range, const std::string& address) {
  const size_t slash = range.find('/');
  const std::string base(range.substr(0, slash));
  uint8_t wanted[16]{}, given[16]{};
  const int family = base.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (::inet_pton(family, base.c_str(), wanted) != 1 || ::inet_pton(family, address.c_str(), given) != 1) return false;
  int bits = family == AF_INET ? 32 : 128;
  if (slash != std::string_view::npos) {
    std::from_chars(range.data() + slash + 1, range.data() + range.size(), bits);
  }
  for (int i = 0; i < bits && i < 128; ++i) {
    const int mask = 0x80 >> (i % 8);
    if ((wanted[i / 8] & mask) != (given[i / 8] & mask)) return false;
  }
  return true;
}

std::optional<double> number_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != '\0') return std::nullopt;
  return value;
}

std::optional<double> time_of(const std::string& text) {
  if (const auto time = parse_time(text)) return static_cast<double>(to_micros(*time)) / 1e6;
  return number_of(text);
}

bool compare(std::string_view how, std::optional<double> given, std::optional<double> wanted) {
  if (!given || !wanted) return false;
  if (how == "Equals" || how == "NotEquals") return *given == *wanted;
  if (how == "LessThan") return *given < *wanted;
  if (how == "LessThanEquals") return *given <= *wanted;
  if (how == "GreaterThan") return *given > *wanted;
  return *given >= *wanted;
}

// Of the operator without its "Not".
bool matches_value(const std::string& name, const std::string& given, const std::string& wanted) {
  if (name.starts_with("Numeric")) return compare(name.substr(7), number_of(given), number_of(wanted));
  if (name.starts_with("Date")) return compare(name.substr(4), time_of(given), time_of(wanted));
  if (name == "Bool") return lower(given) == lower(wanted);
  if (name.ends_with("IpAddress")) return matches_address(wanted, given);
  if (name.ends_with("IgnoreCase")) return lower(given) == lower(wanted);
  if (name.ends_with("Like") || name.starts_with("Arn")) return matches_wildcard(wanted, given);
  return given == wanted;
}

bool holds(const Operator& op, const std::string& key, const std::vector<std::string>& wanted,
           const PolicyRequest& request) {
  const auto found = request.context.find(lower(key));
  const bool there = found != request.context.end();
  if (op.name == "Null") return !wanted.empty() && (lower(wanted[0]) == "true") == !there;
  const bool negated = op.name.find("Not") != std::string::npos;
  if (!there) return op.if_exists || negated || op.all_values;
  const auto matches = [&](const std::string& given) {
    return std::ranges::any_of(wanted, [&](const std::string& w) { return matches_value(op.name, given, w); });
  };
  if (negated) return std::ranges::none_of(found->second, matches);
  if (op.all_values) return std::ranges::all_of(found->second, matches);
  return std::ranges::any_of(found->second, matches);
}

bool applies(const json::object& statement, const PolicyRequest& request) {
  if (const json::value* principal = find(statement, "Principal")) {
    if (!matches_principal(*principal, request)) return false;
  } else if (matches_principal(statement.at("NotPrincipal"), request)) {
    return false;
  }
  const std::string action = lower(request.action);
  if (const json::value* actions = find(statement, "Action")) {
    if (!matches_any(*actions, action, true)) return false;
  } else if (matches_any(statement.at("NotAction"), action, true)) {
    return false;
  }
  if (const json::value* resources = find(statement, "Resource")) {
    if (!matches_any(*resources, request.resource, false)) return false;
  } else if (matches_any(statement.at("NotResource"), request.resource, false)) {
    return false;
  }
  const json::object* conditions = find_object(statement, "Condition");
  if (conditions == nullptr) return true;
  for (const auto& [name, keys] : *conditions) {
    const Operator op = read_operator(name);
    for (const auto& [key, values] : keys.get_object()) {
      if (!holds(op, std::string(key), texts(values), request)) return false;
    }
  }
  return true;
}

template <class Visit>
void each_statement(const json::object& policy, Visit visit) {
  const json::value* statements = find(policy, "Statement");
  if (statements == nullptr) return;
  if (statements->is_object()) return visit(*statements);
  if (!statements->is_array()) throw malformed("Statement must be a list");
  for (const json::value& statement : statements->get_array()) visit(statement);
}

}  // namespace

bool matches_wildcard(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, back = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      back = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++back;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

json::object read_policy(std::string_view text, std::string_view bucket) {
  json::value value;
  try {
    value = parse_json(text);
  } catch (const S3Error&) {
    throw;
  } catch (const Error& error) {
    throw malformed("This policy contains invalid Json");
  }
  if (!value.is_object()) throw malformed("This policy contains invalid Json");
  json::object policy = value.get_object();
  for (const auto& [name, unused] : policy) {
    if (name != "Version" && name != "Id" && name != "Statement") {
      throw malformed(fmt::format("Unknown field {}", std::string_view(name)));
    }
  }
  const auto version = get_string(policy, "Version", "2008-10-17");
  if (version != "2012-10-17" && version != "2008-10-17") throw malformed("The policy must contain a valid version");
  size_t count = 0;
  each_statement(policy, [&](const json::value& statement) {
    check_statement(statement, bucket);
    ++count;
  });
  if (count == 0) throw malformed("Missing required field Statement");
  return policy;
}

Verdict evaluate_policy(const json::object& policy, const PolicyRequest& request) {
  Verdict verdict = Verdict::None;
  each_statement(policy, [&](const json::value& value) {
    const json::object& statement = value.get_object();
    if (verdict == Verdict::Deny || !applies(statement, request)) return;
    verdict = get_string(statement, "Effect") == "Deny" ? Verdict::Deny : Verdict::Allow;
  });
  return verdict;
}

bool is_public_policy(const json::object& policy) {
  bool open = false;
  each_statement(policy, [&](const json::value& value) {
    const json::object& statement = value.get_object();
    if (get_string(statement, "Effect") != "Allow") return;
    const json::value* principal = find(statement, "Principal");
    const bool everybody = principal != nullptr && matches_principal(*principal, PolicyRequest{});
    if (!everybody) return;
    // A fixed value of one of these keeps the public out.
    static constexpr std::string_view kNarrow[] = {"aws:sourceip",
                                                   "aws:principalorgid",
                                                   "aws:sourcevpc",
                                                   "aws:sourcevpce",
                                                   "aws:sourcearn",
                                                   "aws:sourceaccount",
                                                   "aws:userid",
                                                   "s3:x-amz-server-side-encryption-aws-kms-key-id",
                                                   "s3:dataaccesspointarn",
                                                   "s3:dataaccesspointaccount"};
    bool narrow = false;
    if (const json::object* conditions = find_object(statement, "Condition")) {
      for (const auto& [op, keys] : *conditions) {
        if (std::string_view(op).find("Not") != std::string_view::npos) continue;
        for (const auto& [key, values] : keys.get_object()) {
          if (std::ranges::find(kNarrow, lower(key)) == std::end(kNarrow)) continue;
          bool fixed = true;
          for (const std::string& text : texts(values)) {
            fixed = fixed && text.find('*') == std::string::npos && text != "0.0.0.0/0" && text != "::/0";
          }
          narrow = narrow || fixed;
        }
      }
    }
    open = open || !narrow;
  });
  return open;
}

}  // namespace penstock::objects
