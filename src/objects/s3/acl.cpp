#include "objects/s3/acl.h"

#include "objects/s3_error.h"

namespace penstock::objects {

namespace {

constexpr std::string_view kPermissions[] = {"FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"};
constexpr std::string_view kLogDelivery = "http://acs.amazonaws.com/groups/s3/LogDelivery";

json::object grant(std::string_view type, std::string_view id, std::string_view permission) {
  return {{"type", type}, {"id", id}, {"permission", permission}};
}

// "id=abc", "uri=http://…", "emailAddress=…", the value maybe quoted.
json::object grant_of_header(std::string_view text, std::string_view permission, const Keys& keys) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) throw S3Error("InvalidArgument", "A grantee is not id=, uri= or emailAddress=");
  const auto kind = text.substr(0, equals);
  auto value = text.substr(equals + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  if (kind == "id") {
    if (keys.account(value) == nullptr) throw S3Error("InvalidArgument", "Invalid id");
    return grant("CanonicalUser", value, permission);
  }
  if (kind == "uri") {
    if (value != kAllUsers && value != kAuthenticatedUsers && value != kLogDelivery) {
      throw S3Error("InvalidArgument", "Invalid group uri");
    }
    return grant("Group", value, permission);
  }
  if (kind == "emailAddress") {
    const Account* account = keys.account_of_email(value);
    if (account == nullptr) throw S3Error("UnresolvableGrantByEmailAddress");
    return grant("CanonicalUser", account->id, permission);
  }
  throw S3Error("InvalidArgument", "A grantee is not id=, uri= or emailAddress=");
}

json::object grant_of_xml(const XmlNode& node, const Keys& keys) {
  const XmlNode* grantee = node.child("Grantee");
  if (grantee == nullptr) throw S3Error("MalformedACLError");
  const auto permission = node.value("Permission");
  if (std::ranges::find(kPermissions, permission) == std::end(kPermissions)) throw S3Error("MalformedACLError");
  const auto type = grantee->attribute("xsi:type");
  if (type == "Group") {
    const auto uri = grantee->value("URI");
    if (uri != kAllUsers && uri != kAuthenticatedUsers && uri != kLogDelivery) {
      throw S3Error("InvalidArgument", "Invalid group uri");
    }
    return grant("Group", uri, permission);
  }
  if (type == "AmazonCustomerByEmail") {
    const Account* account = keys.account_of_email(grantee->value("EmailAddress"));
    if (account == nullptr) throw S3Error("UnresolvableGrantByEmailAddress");
    return grant("CanonicalUser", account->id, permission);
  }
  if (type != "CanonicalUser") throw S3Error("MalformedACLError");
  const auto id = grantee->value("ID");
  if (keys.account(id) == nullptr) throw S3Error("InvalidArgument", "Invalid id");
  return grant("CanonicalUser", id, permission);
}

}  // namespace

json::object canned_acl(std::string_view name, std::string_view owner, std::string_view bucket_owner) {
  json::array grants{grant("CanonicalUser", owner, "FULL_CONTROL")};
  if (name == "public-read" || name == "public-read-write") grants.push_back(grant("Group", kAllUsers, "READ"));
  if (name == "public-read-write") grants.push_back(grant("Group", kAllUsers, "WRITE"));
  if (name == "authenticated-read") grants.push_back(grant("Group", kAuthenticatedUsers, "READ"));
  if (name == "log-delivery-write") {
    grants.push_back(grant("Group", kLogDelivery, "WRITE"));
    grants.push_back(grant("Group", kLogDelivery, "READ_ACP"));
  }
  if (owner != bucket_owner && name == "bucket-owner-read") {
    grants.push_back(grant("CanonicalUser", bucket_owner, "READ"));
  }
  if (owner != bucket_owner && name == "bucket-owner-full-control") {
    grants.push_back(grant("CanonicalUser", bucket_owner, "FULL_CONTROL"));
  }
  static constexpr std::string_view kNames[] = {
      "private",           "public-read",        "public-read-write",         "authenticated-read",
      "bucket-owner-read", "log-delivery-write", "bucket-owner-full-control", "aws-exec-read"};
  if (std::ranges::find(kNames, name) == std::end(kNames)) throw S3Error("InvalidArgument", "Unknown canned ACL");
  return {{"owner", owner}, {"grants", std::move(grants)}};
}

std::optional<json::object> acl_of_headers(const http::Request& request, std::string_view owner,
                                           std::string_view bucket_owner, const Keys& keys) {
  static constexpr std::pair<std::string_view, std::string_view> kHeaders[] = {
      {"x-amz-grant-full-control", "FULL_CONTROL"},
      {"x-amz-grant-read", "READ"},
      {"x-amz-grant-write", "WRITE"},
      {"x-amz-grant-read-acp", "READ_ACP"},
      {"x-amz-grant-write-acp", "WRITE_ACP"}};
  json::array grants;
  for (const auto& [header, permission] : kHeaders) {
    std::string_view value = request.header(header);
    while (!value.empty()) {
      const size_t comma = value.find(',');
      grants.push_back(grant_of_header(value.substr(0, comma), permission, keys));
      value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
    }
  }
  const auto canned = request.header("x-amz-acl");
  if (!canned.empty() && !grants.empty()) {
    throw S3Error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed");
  }
  if (!canned.empty()) return canned_acl(canned, owner, bucket_owner);
  if (!grants.empty()) return json::object{{"owner", owner}, {"grants", std::move(grants)}};
  return std::nullopt;
}

json::object acl_of_xml(std::string_view text, std::string_view owner, const Keys& keys) {
  XmlNode root;
  try {
    root = parse_xml(text);
  } catch (const S3Error&) {
    throw S3Error("MalformedACLError");
  }
  if (root.name != "AccessControlPolicy") throw S3Error("MalformedACLError");
  const XmlNode* list = root.child("AccessControlList");
  const XmlNode* who = root.child("Owner");
  if (list == nullptr || who == nullptr) throw S3Error("MalformedACLError");
  if (const auto id = who->value("ID"); !id.empty() && id != owner) {
    throw S3Error("AccessDenied", "The owner of an ACL cannot be changed");
  }
  json::array grants;
  for (const XmlNode* node : list->all("Grant")) grants.push_back(grant_of_xml(*node, keys));
  if (grants.size() > 100) throw S3Error("MalformedACLError");
  return {{"owner", owner}, {"grants", std::move(grants)}};
}

void write_owner(XmlWriter& xml, std::string_view element, std::string_view id, const Keys& keys) {
  const Account* account = keys.account(id);
  xml.open(element).element("ID", id).element("DisplayName", account != nullptr ? account->name : std::string(id));
  xml.close();
}

namespace {

void write_grant(XmlWriter& xml, const json::object& grant, const Keys& keys) {
  const auto type = get_string(grant, "type"), id = get_string(grant, "id");
  xml.open("Grant");
  xml.open("Grantee", fmt::format("xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{}\"", type));
  if (type == "Group") {
    xml.element("URI", id);
  } else {
    const Account* account = keys.account(id);
    xml.element("ID", id).element("DisplayName", account != nullptr ? account->name : id);
  }
  xml.close().element("Permission", get_string(grant, "permission")).close();
}

}  // namespace

std::string acl_to_xml(const json::object& acl, const Keys& keys) {
  XmlWriter xml("AccessControlPolicy");
  write_owner(xml, "Owner", get_string(acl, "owner"), keys);
  xml.open("AccessControlList");
  // Groups first: programs expect the owner's grant behind them.
  for (const bool groups : {true, false}) {
    const json::array* grants = find_array(acl, "grants");
    if (grants == nullptr) break;
    for (const json::value& value : *grants) {
      const json::object& one = value.as_object();
      if ((get_string(one, "type") == "Group") == groups) write_grant(xml, one, keys);
    }
  }
  return xml.finish();
}

bool acl_grants(const json::object& acl, std::string_view account, std::string_view permission, bool ignore_public) {
  // The owner can always read and change the list itself.
  if (!account.empty() && get_string(acl, "owner") == account && permission.ends_with("_ACP")) return true;
  const json::array* grants = find_array(acl, "grants");
  if (grants == nullptr) return false;
  for (const json::value& value : *grants) {
    const json::object& one = value.as_object();
    const auto given = get_string(one, "permission"), id = get_string(one, "id");
    if (given != permission && given != "FULL_CONTROL") continue;
    if (get_string(one, "type") == "CanonicalUser") {
      if (!account.empty() && id == account) return true;
    } else if (!ignore_public && (id == kAllUsers || (id == kAuthenticatedUsers && !account.empty()))) {
      return true;
    }
  }
  return false;
}

bool grants_to_others(const json::object& acl, std::string_view owner) {
  const json::array* grants = find_array(acl, "grants");
  if (grants == nullptr) return false;
  return std::ranges::any_of(*grants,
                             [&](const json::value& value) { return get_string(value.as_object(), "id") != owner; });
}

bool is_public_acl(const json::object& acl) {
  const json::array* grants = find_array(acl, "grants");
  if (grants == nullptr) return false;
  return std::ranges::any_of(*grants, [](const json::value& value) {
    const auto id = get_string(value.as_object(), "id");
    return id == kAllUsers || id == kAuthenticatedUsers;
  });
}

}  // namespace penstock::objects
