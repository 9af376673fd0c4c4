// Keeps other web sites from using a server that trusts whoever reaches it: their pages run in the same browser as the
// dashboard, so that their requests come from this machine too.
//
// What a browser says of a request (Sec-Fetch-Site, else Origin) tells whose page sent it: one that changes something
// must come from the server's own pages. Programs say neither and are let through. The Host header must be a name of
// this server, because a foreign name may be made to resolve to it (DNS rebinding) and its pages are then of the
// "same" origin. Thread-safe: nothing changes after the constructor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace penstock::http {

struct GuardOptions {
  // Addresses and localhost are names of this server in any case. False: so is every other name.
  bool check_host = true;
  // Names without ports, lower case: of this server, and of sites whose pages may change things here.
  std::vector<std::string> hosts;
  // Path prefixes whose requests bring their own proof, so that a browser adds nothing to them.
  std::vector<std::string> exempt;
};

class Guard {
 public:
  explicit Guard(GuardOptions options) : options_(std::move(options)) {}
  // Throws PermissionDenied, naming the header and the way out.
  void check(const Request& request) const;

 private:
  bool knows(std::string_view host) const;
  GuardOptions options_;
};

// The name of a Host header without its port, lower case: "localhost" of "LocalHost:8080", "::1" of "[::1]:8080".
std::string host_name(std::string_view host);

}  // namespace penstock::http
