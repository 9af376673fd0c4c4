// Finds the handler for a method and a path.
//
// Patterns: "/apis/v2beta1/runs/{run_id}", a custom verb as in "/runs/{run_id}:archive", and a tail as in
// "/files/{path*}" which takes the rest, slashes included. A literal segment wins over a parameter, a parameter over a
// tail. A parameter does not match the empty string.
#pragma once

#include "http/message.h"

namespace penstock::http {

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;

  // Throws Internal when the same method and pattern are there already.
  void add(Method method, std::string_view pattern, Handler handler);
  // How errors under this path prefix are answered; the longest prefix wins. Default: {"code","message"}.
  void on_error(std::string prefix, ErrorHandler handler);

  // Never throws: unknown paths, wrong methods (405 with Allow) and what handlers throw become responses.
  Async<Response> handle(Request& request) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::http
