#include "pipelines/api/import_url.h"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

#include "http/client.h"
#include "pipelines/api/package.h"

namespace penstock::pipelines::api {

namespace {

bool is_public_v4(const boost::asio::ip::address_v4& address) {
  struct Network {
    uint32_t address;
    int bits;
  };
  // Of this host, private, shared by carriers, of a link, for documentation and measurement, multicast, reserved.
  constexpr Network kOthers[] = {{0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
                                 {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24},
                                 {0xc0a80000, 16}, {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24},
                                 {0xe0000000, 4},  {0xf0000000, 4}};
  return std::ranges::none_of(kOthers, [bits = address.to_uint()](const Network& n) {
    return (bits >> (32 - n.bits)) == (n.address >> (32 - n.bits));
  });
}

// "https://host:8443/p.yaml": scheme, host and path.
struct Url {
  std::string scheme, host, path;
};

Url read_url(const std::string& url, std::string_view field) {
  const auto bad = [&](std::string_view why) {
    return Error(Code::InvalidArgument, fmt::format("{}: {:?} {}", field, url, why), std::string(field));
  };
  const size_t colon = url.find("://");
  if (colon == std::string::npos) throw bad("is no URL");
  Url out;
  out.scheme = url.substr(0, colon);
  std::ranges::transform(out.scheme, out.scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t end = std::min(url.find_first_of("/?#", colon + 3), url.size());
  const std::string authority = url.substr(colon + 3, end - colon - 3);
  // A name or password before the host could make it look like another one.
  if (authority.find('@') != std::string::npos) throw bad("names a user; leave that out");
  const size_t port = authority.rfind(':');
  const bool ipv6 = authority.starts_with('[');
  out.host = ipv6 ? authority.substr(1, authority.find(']') - 1)
                  : authority.substr(0, port == std::string::npos ? authority.size() : port);
  if (out.host.empty()) throw bad("has no host");
  out.path = url.substr(end, url.find_first_of("?#", end) - end);
  return out;
}

}  // namespace

bool is_public_address(const std::string& text) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(text.substr(0, text.find('%')), error);
  if (error) return false;
  if (address.is_v4()) return is_public_v4(address.to_v4());
  const auto bytes = address.to_v6().to_bytes();
  const auto starts = [&](std::initializer_list<unsigned char> prefix) {
    return std::equal(prefix.begin(), prefix.end(), bytes.begin());
  };
  const auto embedded = [&](size_t at) {
    return boost::asio::ip::address_v4({bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]});
  };
  if (address.to_v6().is_v4_mapped() || starts({0x00, 0x64, 0xff, 0x9b})) return is_public_v4(embedded(12));
  if (starts({0x20, 0x02})) return is_public_v4(embedded(2));
  // Global unicast, without what is for documentation.
  return (bytes[0] & 0xe0) == 0x20 && !starts({0x20, 0x01, 0x0d, 0xb8}) && !starts({0x20, 0x01, 0x00, 0x00});
}

Async<std::vector<json::value>> import_package(const ApiContext& context, std::string url, std::string_view field) {
  const ApiOptions& options = context.options;
  const Url parts = read_url(url, field);
  const bool trusted = std::ranges::find(options.package_hosts, parts.host) != options.package_hosts.end();
  if (parts.scheme != "https" && !(trusted && parts.scheme == "http")) {
    throw Error(Code::InvalidArgument,
                fmt::format("{}: packages are fetched over https, from trusted hosts over http too", field),
                std::string(field));
  }
  http::ClientRequest request;
  request.url = url;
  request.timeout = options.package_timeout;
  request.protocols = trusted ? "http,https" : "https";
  request.max_redirects = trusted ? 0 : 5;  // a trusted host vouches for itself alone
  request.may_connect = [trusted](const std::string& address) { return trusted || is_public_address(address); };
  std::string body;
  bool too_long = false;
  request.on_data = [&](std::string_view piece) {
    too_long = too_long || body.size() + piece.size() > options.max_body_bytes;
    if (!too_long) body.append(piece);
    return !too_long;
  };
  co_return co_await context.blocking.run([&] {
    try {
      const http::ClientResponse response = http::fetch(request);
      if (too_long) {
        throw Error(Code::ResourceExhausted,
                    fmt::format("{}: the package has more than {} bytes", field, options.max_body_bytes), "body");
      }
      if (response.status != 200) {
        throw invalid("{}: {} answers with the status {}", field, url, response.status);
      }
      return read_package(parts.path, body, options.max_body_bytes);
    } catch (const Error& error) {
      if (error.code() != Code::PermissionDenied) throw;
      throw Error(Code::InvalidArgument,
                  fmt::format("{}: {}: it is not of the public internet", field, error.message()), std::string(field));
    }
  });
}

}  // namespace penstock::pipelines::api
