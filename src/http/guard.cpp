#include "http/guard.h"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

namespace penstock::http {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

bool is_own_name(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  boost::system::error_code error;
  boost::asio::ip::make_address(std::string(host), error);
  return !error;  // no name: nobody can make it resolve to something else
}

bool changes_something(Method method) {
  return method != Method::Get && method != Method::Head && method != Method::Options;
}

// "host:port" of an origin as a Host header would have it; empty for "null" and what is none.
std::string authority_of(std::string_view origin) {
  for (const auto& [scheme, port] : {std::pair("http://", ":80"), std::pair("https://", ":443")}) {
    if (!origin.starts_with(scheme)) continue;
    origin.remove_prefix(std::string_view(scheme).size());
    if (origin.ends_with(port)) origin.remove_suffix(std::string_view(port).size());
    return lower(origin);
  }
  return {};
}

}  // namespace

std::string host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t close = host.find(']');
    return close == std::string_view::npos ? std::string() : lower(host.substr(1, close - 1));
  }
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return lower(host);
}

bool Guard::knows(std::string_view host) const {
  return !host.empty() && std::find(options_.hosts.begin(), options_.hosts.end(), host) != options_.hosts.end();
}

void Guard::check(const Request& request) const {
  for (const auto& prefix : options_.exempt) {
    if (request.path == prefix || request.path.starts_with(prefix + '/')) return;
  }
  const auto host = request.header("host");
  const std::string name = host_name(host);
  if (options_.check_host && !host.empty() && !is_own_name(name) && !knows(name)) {
    throw Error(Code::PermissionDenied,
                fmt::format("the Host header names {:?}, which is no name of this server: start it with "
                            "--allowed-hosts {} if it is",
                            std::string(host.substr(0, 200)), name.substr(0, 200)),
                "Host");
  }
  if (!changes_something(request.method)) return;
  const auto site = request.header("sec-fetch-site");
  const auto origin = request.header("origin");
  if (site == "same-origin" || site == "none" || (site.empty() && origin.empty())) return;
  const std::string authority = authority_of(origin);
  const bool same = site.empty() && !authority.empty() && authority == lower(host);
  if (same || knows(host_name(authority))) return;
  throw Error(Code::PermissionDenied,
              fmt::format("a page of {} may not change anything here: start the server with --allowed-hosts and that "
                          "site's name if it may",
                          origin.empty() ? "another site" : std::string(origin.substr(0, 200))),
              "Origin");
}

}  // namespace penstock::http
