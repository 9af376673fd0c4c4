// Finds the handler for a method and a path.
//
// Patterns: "/apis/v2beta1/runs/{run_id}", a custom verb as in "/runs/{run_id}:archive", and a tail as in
// "/files/{path*}" which takes the rest, slashes included. A literal segment wins over a parameter, a parameter over a
// tail. A parameter does not match the empty string.
#pragma once

#include "http/message.h"

namespace penstock::http {

// What the API's document says of a route (openapi.h, which also says how types and parameters are written).
// Literals: they outlive the router.
struct RouteDoc {
  std::string_view summary{};
  std::string_view query{};     // "page_size int32, view DEFAULT|FULL"
  std::string_view request{};   // the type of the body; with a ? behind it, it may be missing
  std::string_view response{};  // the type of the answer; empty: an empty object
  std::string_view request_media = "application/json";
  std::string_view response_media = "application/json";
};

struct Route {
  Method method;
  std::string pattern;
  RouteDoc doc;
};

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;

  // Throws Internal when the same method and pattern are there already.
  void add(Method method, std::string_view pattern, Handler handler, const RouteDoc& doc = {});
  // How errors under this path prefix are answered; the longest prefix wins. Default: {"code","message"}.
  void on_error(std::string prefix, ErrorHandler handler);

  // Called first for every request; what it throws is answered as a handler's error is.
  void set_guard(std::function<void(const Request&)> guard);
  // Called last for every answer.
  void set_finisher(std::function<void(const Request&, Response&)> finisher);
  // Asked for GET and HEAD of paths where no route is; nothing: there is nothing there.
  void set_fallback(std::function<std::optional<Response>(const Request&)> fallback);
  const std::vector<Route>& routes() const;  // in the order in which they were added

  // Never throws: unknown paths, wrong methods (405 with Allow) and what handlers throw become responses.
  Async<Response> handle(Request& request) const;

 private:
  Async<Response> dispatch(Request& request) const;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::http
