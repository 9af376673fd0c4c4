#include "pipelines/api/import_url.h"

#include <algorithm>

#include "http/client.h"
#include "http/url.h"
#include "pipelines/api/package.h"

namespace penstock::pipelines::api {

namespace {

http::Url read_url(const std::string& url, std::string_view field) {
  try {
    return http::parse_url(url);
  } catch (const Error& error) {
    throw Error(Code::InvalidArgument, fmt::format("{}: {}", field, error.message()), std::string(field));
  }
}

}  // namespace

Async<std::vector<json::value>> import_package(const ApiContext& context, std::string url, std::string_view field) {
  const ApiOptions& options = context.options;
  const http::Url parts = read_url(url, field);
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
  request.may_connect = [trusted](const std::string& address) { return trusted || http::is_public_address(address); };
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
