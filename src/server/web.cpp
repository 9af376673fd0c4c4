#include "server/web.h"

#include <algorithm>
#include <memory>

#include "http/guard.h"
#include "http/static_files.h"
#include "server/web_files.h"

namespace penstock::server {

namespace {

// Nothing from elsewhere, no script but the program's own; artifacts are shown in frames, whose answers say for
// themselves that they are sandboxed.
constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";
// What is no page is none: opened as one, it runs nothing and belongs to no origin.
constexpr std::string_view kDataPolicy = "sandbox; default-src 'none'; frame-ancestors 'self'";
// Objects are users' own content, which pages of theirs may be made of; but never ones of the dashboard's origin.
constexpr std::string_view kObjectPolicy = "sandbox allow-scripts allow-forms allow-popups allow-downloads";

using Headers = std::vector<std::pair<std::string, std::string>>;

Headers page_headers() {
  return {{"Content-Security-Policy", std::string(kPagePolicy)},
          {"X-Content-Type-Options", "nosniff"},
          {"X-Frame-Options", "DENY"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"}};
}

bool has_header(const http::Response& response, std::string_view name) {
  return std::ranges::any_of(response.headers, [&](const auto& header) { return header.first == name; });
}

void add_default(http::Response& response, std::string_view name, std::string_view value) {
  if (!has_header(response, name)) response.headers.emplace_back(name, value);
}

bool is_below(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

void add_web(http::Router& router, const WebOptions& options) {
  http::GuardOptions guard;
  guard.check_host = options.loopback || !options.allowed_hosts.empty();
  for (const auto& host : options.allowed_hosts) guard.hosts.push_back(http::host_name(host));
  guard.exempt = {options.s3_prefix};
  router.set_guard([guard = http::Guard(std::move(guard))](const http::Request& request) { guard.check(request); });

  router.set_finisher([prefix = options.s3_prefix](const http::Request& request, http::Response& response) {
    add_default(response, "X-Content-Type-Options", "nosniff");
    if (is_below(request.path, prefix)) {
      add_default(response, "Content-Security-Policy", kObjectPolicy);
      return;
    }
    add_default(response, "Content-Security-Policy", kDataPolicy);
    add_default(response, "Cross-Origin-Resource-Policy", "same-origin");
  });

  http::StaticOptions site{.headers = page_headers(),
                           .foreign = {"/apis", "/api", "/pipeline", "/openapi", options.s3_prefix}};
  const auto files = std::make_shared<const http::StaticFiles>(web_files(), std::move(site));  // kept by the router
  router.set_fallback([files](const http::Request& request) { return files->find(request); });
}

}  // namespace penstock::server
