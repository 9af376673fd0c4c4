#include "http/router.h"

namespace penstock::http {

namespace {

// One literal, parameter or tail of a pattern. A parameter may be followed by a verb (":archive").
struct Segment {
  enum class Kind { Literal, Parameter, Tail } kind;
  std::string text;  // the literal or the parameter's name
  std::string verb;  // with its colon
};

struct Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  // Parameters by verb, the longest verb first, so that {id}:archive wins over {id}.
  std::vector<std::pair<Segment, std::unique_ptr<Node>>> parameters;
  std::vector<std::pair<Segment, std::unique_ptr<Node>>> tails;
  std::map<Method, Handler> handlers;
};

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  if (!path.empty() && path[0] == '/') path.remove_prefix(1);
  while (true) {
    const size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

Segment parse_segment(std::string_view text) {
  if (text.empty() || text[0] != '{') return {Segment::Kind::Literal, std::string(text), {}};
  const size_t close = text.find('}');
  auto name = text.substr(1, close - 1);
  if (!name.empty() && name.back() == '*') {
    name.remove_suffix(1);
    return {Segment::Kind::Tail, std::string(name), {}};
  }
  return {Segment::Kind::Parameter, std::string(name), std::string(text.substr(close + 1))};
}

using Params = std::vector<std::pair<std::string_view, std::string>>;

const Node* find_node(const Node& node, std::span<const std::string_view> parts, std::string_view rest, Method method,
                      Params& params, const Node*& other_method) {
  if (parts.empty()) {
    if (node.handlers.empty()) return nullptr;
    if (node.handlers.contains(method)) return &node;
    other_method = &node;
    return nullptr;
  }
  const auto part = parts[0];
  const auto next_rest = rest.size() > part.size() ? rest.substr(part.size() + 1) : std::string_view{};
  if (const auto it = node.literals.find(part); it != node.literals.end()) {
    if (const auto* found = find_node(*it->second, parts.subspan(1), next_rest, method, params, other_method))
      return found;
  }
  for (const auto& [segment, child] : node.parameters) {
    if (!part.ends_with(segment.verb) || part.size() == segment.verb.size()) continue;
    params.emplace_back(segment.text, url_decode(part.substr(0, part.size() - segment.verb.size()), false));
    if (const auto* found = find_node(*child, parts.subspan(1), next_rest, method, params, other_method)) return found;
    params.pop_back();
  }
  for (const auto& [segment, child] : node.tails) {
    params.emplace_back(segment.text, url_decode(rest, false));
    if (const auto* found = find_node(*child, {}, {}, method, params, other_method)) return found;
    params.pop_back();
  }
  return nullptr;
}

Response default_error(const Request&, const Error& error) {
  json::object body{{"code", static_cast<int>(error.code())}, {"message", error.message()}};
  return json_response(body, http_status(error.code()));
}

}  // namespace

struct Router::State {
  Node root;
  std::vector<std::pair<std::string, ErrorHandler>> error_handlers;
  std::vector<Route> routes;
  std::function<void(const Request&)> guard;
  std::function<void(const Request&, Response&)> finisher;
  std::function<std::optional<Response>(const Request&)> fallback;

  Response error_response(const Request& request, const Error& error) const {
    const ErrorHandler* best = nullptr;
    size_t length = 0;
    for (const auto& [prefix, handler] : error_handlers) {
      if (request.path.starts_with(prefix) && (best == nullptr || prefix.size() > length)) {
        best = &handler;
        length = prefix.size();
      }
    }
    return best ? (*best)(request, error) : default_error(request, error);
  }
};

Router::Router() : state_(std::make_unique<State>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;

void Router::add(Method method, std::string_view pattern, Handler handler, const RouteDoc& doc) {
  Node* node = &state_->root;
  for (const auto part : split(pattern)) {
    auto segment = parse_segment(part);
    if (segment.kind == Segment::Kind::Literal) {
      auto& child = node->literals[segment.text];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
      continue;
    }
    auto& list = segment.kind == Segment::Kind::Tail ? node->tails : node->parameters;
    auto it = std::find_if(list.begin(), list.end(), [&](const auto& entry) {
      return entry.first.verb == segment.verb && entry.first.text == segment.text;
    });
    if (it == list.end()) {
      it = std::find_if(list.begin(), list.end(),
                        [&](const auto& entry) { return entry.first.verb.size() < segment.verb.size(); });
      it = list.emplace(it, std::move(segment), std::make_unique<Node>());
    }
    node = it->second.get();
  }
  if (!node->handlers.emplace(method, std::move(handler)).second) {
    throw internal("the route {} {} is there twice", to_string(method), pattern);
  }
  state_->routes.push_back({method, std::string(pattern), doc});
}

void Router::set_guard(std::function<void(const Request&)> guard) { state_->guard = std::move(guard); }

void Router::set_finisher(std::function<void(const Request&, Response&)> finisher) {
  state_->finisher = std::move(finisher);
}

void Router::set_fallback(std::function<std::optional<Response>(const Request&)> fallback) {
  state_->fallback = std::move(fallback);
}

const std::vector<Route>& Router::routes() const { return state_->routes; }

void Router::on_error(std::string prefix, ErrorHandler handler) {
  state_->error_handlers.emplace_back(std::move(prefix), std::move(handler));
}

Async<Response> Router::handle(Request& request) const {
  Response response = co_await dispatch(request);
  if (state_->finisher) state_->finisher(request, response);
  co_return response;
}

Async<Response> Router::dispatch(Request& request) const {
  if (state_->guard) {
    try {
      state_->guard(request);
    } catch (const Error& error) {
      co_return state_->error_response(request, error);
    }
  }
  const auto parts = split(request.path);
  const auto rest = std::string_view(request.path).substr(request.path.starts_with('/') ? 1 : 0);
  Params params;
  const Node* other = nullptr;
  Method method = request.method;
  const Node* node = find_node(state_->root, parts, rest, method, params, other);
  if (node == nullptr && method == Method::Head) {
    params.clear();
    method = Method::Get;
    node = find_node(state_->root, parts, rest, method, params, other);
  }
  if (node == nullptr) {
    if (other == nullptr) {
      if (method == Method::Get && state_->fallback) {
        if (auto response = state_->fallback(request)) co_return std::move(*response);
      }
      co_return state_->error_response(request, not_found("there is nothing at {}", request.path));
    }
    std::string allowed;
    for (const auto& [known, handler] : other->handlers) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(to_string(known));
    }
    Response response = state_->error_response(
        request, Error(Code::Unimplemented, fmt::format("{} is not allowed at {} (allowed: {})",
                                                        to_string(request.method), request.path, allowed)));
    response.status = 405;
    response.set("Allow", allowed);
    co_return response;
  }
  for (auto& [name, value] : params) request.params[std::string(name)] = std::move(value);
  // A catch block cannot hold a co_await, and errors are made into answers without one.
  try {
    co_return co_await node->handlers.at(method)(request);
  } catch (const Error& error) {
    if (error.code() == Code::Internal || error.code() == Code::DataLoss) {
      spdlog::error("{} {}: {}", to_string(request.method), request.path, error.what());
    }
    co_return state_->error_response(request, error);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    spdlog::error("{} {}: {}", to_string(request.method), request.path, error.what());
    co_return state_->error_response(request, Error(Code::Internal, error.what()));
  } catch (const std::exception& error) {
    spdlog::error("{} {}: {}", to_string(request.method), request.path, error.what());
    co_return state_->error_response(request, Error(Code::Internal, error.what()));
  }
}

}  // namespace penstock::http
