#include "http/url.h"

#include <algorithm>
#include <cctype>

#include <boost/asio/ip/address.hpp>

#include "base/error.h"

namespace penstock::http {

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

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

}  // namespace

Url parse_url(std::string_view url) {
  const auto bad = [&](std::string_view why) { return invalid("{:?} {}", redacted(url), why); };
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) throw bad("is no URL");
  Url out;
  out.scheme = lower(url.substr(0, colon));
  const size_t end = std::min(url.find_first_of("/?#", colon + 3), url.size());
  const std::string_view authority = url.substr(colon + 3, end - colon - 3);
  if (authority.find('@') != std::string_view::npos) throw bad("names a user; leave that out");
  const bool ipv6 = authority.starts_with('[');
  const size_t close = ipv6 ? authority.find(']') : 0;
  if (close == std::string_view::npos) throw bad("has no host");
  const size_t port = authority.find(':', close);
  out.host = lower(ipv6 ? authority.substr(1, close - 1) : authority.substr(0, port));
  if (port != std::string_view::npos) out.port = authority.substr(port + 1);
  if (out.host.empty()) throw bad("has no host");
  const size_t path_end = std::min(url.find_first_of("?#", end), url.size());
  out.path = url.substr(end, path_end - end);
  if (path_end < url.size() && url[path_end] == '?') {
    out.query = url.substr(path_end + 1, url.find('#', path_end) - path_end - 1);
  }
  return out;
}

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

std::string redacted(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return std::string(url);
  const size_t end = std::min(url.find('/', colon + 3), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < colon) return std::string(url);
  return std::string(url.substr(0, colon + 3)) + std::string(url.substr(at + 1));
}

}  // namespace penstock::http
