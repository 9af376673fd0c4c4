// URLs that users name: their parts, and whether where they lead is of the public internet.
#pragma once

#include <string>
#include <string_view>

namespace penstock::http {

// "https://host:8443/p.yaml?x=1": the scheme and the host in lower case.
struct Url {
  std::string scheme, host, port, path, query;
};

// Throws InvalidArgument, without naming a field, for what is no URL, has no host, or names a user: that could make it
// look like one of another host.
Url parse_url(std::string_view url);

// Whether an address ("192.0.2.1", "2001:db8::1") is one of the public internet: none of this machine, of a private
// network or of a link, whichever way it is written.
bool is_public_address(const std::string& address);

// For messages: without the query and the user, either of which may hold a secret.
std::string redacted(std::string_view url);

}  // namespace penstock::http
