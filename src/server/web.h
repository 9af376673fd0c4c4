// The dashboard at /, and what keeps browsers from being used against this server: who may ask (http/guard.h), and
// headers on every answer that say what a browser may do with it.
#pragma once

#include <string>
#include <vector>

#include "http/router.h"

namespace penstock::server {

struct WebOptions {
  bool loopback = true;                    // the server listens on this machine alone: its names are known
  std::vector<std::string> allowed_hosts;  // more names of it, and sites whose pages may use it
  std::string s3_prefix;                   // where S3 is served, whose requests are signed
};

// After all routes have been added.
void add_web(http::Router& router, const WebOptions& options);

}  // namespace penstock::server
