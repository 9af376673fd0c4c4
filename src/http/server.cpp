#include "http/server.h"

#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <list>
#include <mutex>
#include <sys/sendfile.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace penstock::http {

namespace beast = boost::beast;
namespace bhttp = beast::http;
using Tcp = asio::ip::tcp;
using Stream = beast::basic_stream<Tcp, Executor, beast::unlimited_rate_policy>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using Parser = bhttp::request_parser<bhttp::buffer_body>;

namespace {

std::optional<Method> method_of(bhttp::verb verb) {
  switch (verb) {
    case bhttp::verb::get: return Method::Get;
    case bhttp::verb::head: return Method::Head;
    case bhttp::verb::post: return Method::Post;
    case bhttp::verb::put: return Method::Put;
    case bhttp::verb::patch: return Method::Patch;
    case bhttp::verb::delete_: return Method::Delete;
    case bhttp::verb::options: return Method::Options;
    default: return std::nullopt;
  }
}

class Connection;

}  // namespace

struct Server::State {
  ServerOptions options;
  const Router* router = nullptr;
  std::vector<Loop*> loops;
  std::unique_ptr<Acceptor> acceptor;
  Tcp::endpoint endpoint;

  std::mutex mutex;  // over what follows: connections live on several loops
  std::condition_variable empty;
  std::list<std::shared_ptr<Connection>> connections;
  std::atomic<bool> draining = false;
};

namespace {

// One client's connection; lives on one loop.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server::State& server, asio::basic_stream_socket<Tcp, Executor> socket, std::string peer)
      : server_(server), stream_(std::move(socket)), peer_(std::move(peer)) {}

  Async<> serve() {
    while (!server_.draining) {
      idle_ = true;
      // The first byte may be long in coming; the header, once begun, may not.
      stream_.expires_after(server_.options.idle_timeout);
      if (buffer_.size() == 0) {
        boost::system::error_code error;
        const size_t got =
            co_await stream_.async_read_some(buffer_.prepare(16 * 1024), asio::redirect_error(use_async, error));
        if (error) co_return;
        buffer_.commit(got);
      }
      idle_ = false;
      const bool keep = co_await serve_one();
      if (!keep) break;
    }
    boost::system::error_code ignored;
    stream_.socket().shutdown(Tcp::socket::shutdown_send, ignored);
    co_await linger();
  }

  void close() {
    boost::system::error_code ignored;
    stream_.socket().close(ignored);
    stop_stream_.emit(asio::cancellation_type::terminal);
  }
  void close_if_idle() {
    if (idle_) close();
  }
  Executor executor() { return stream_.get_executor(); }

 private:
  class Body;
  class Writer;

  // After an early answer (413) the client may still be sending: reading on lets it see the answer instead of a reset.
  Async<> linger() {
    constexpr size_t kMost = size_t{1} << 30;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    size_t total = 0;
    char scratch[16 * 1024];
    while (total < kMost && std::chrono::steady_clock::now() < until) {
      stream_.expires_after(std::chrono::seconds(1));
      boost::system::error_code error;
      total += co_await stream_.async_read_some(asio::buffer(scratch), asio::redirect_error(use_async, error));
      if (error) co_return;
    }
  }

  Async<bool> serve_one();
  Async<> send(const Request& request, Response& response, bool keep_alive);
  Async<> send_stream(Response& response, bool chunked);
  Async<> send_file(const std::filesystem::path& path, uint64_t length);
  Async<> watch_for_hangup();

  Server::State& server_;
  Stream stream_;
  std::string peer_;
  beast::flat_buffer buffer_;
  bool idle_ = true;
  asio::cancellation_signal stop_stream_;
};

class Connection::Body : public BodyReader {
 public:
  Body(Connection& connection, Parser& parser) : connection_(connection), parser_(parser) {
    if (const auto length = parser.content_length()) length_ = *length;
    if (parser.is_done()) length_ = 0;
    left_ = length_.value_or(0);
    expects_ = beast::iequals(parser.get()[bhttp::field::expect], "100-continue");
  }

  std::optional<uint64_t> length() const override { return length_; }
  bool unread() const { return length_ ? left_ > 0 : !parser_.is_done(); }
  bool failed() const { return failed_; }  // no more will come
  bool waits_for_continue() const { return expects_; }

  Async<std::string> read_some(size_t max) override {
    std::string piece;
    piece.resize(length_ ? std::min<uint64_t>({max, left_, kPiece}) : std::min(max, kPiece));
    const size_t got = co_await read_into(piece.data(), piece.size());
    piece.resize(got);
    co_return piece;
  }

  Async<size_t> read_into(char* data, size_t size) override {
    // Also before an empty body: botocore takes an early final answer badly when the connection is used again.
    if (expects_) {
      expects_ = false;
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await asio::async_write(connection_.stream_, asio::buffer(kContinue), use_async);
    }
    if (!unread()) co_return 0;
    // A body of a known length needs no parser.
    if (length_) co_return co_await read_plain(data, std::min<uint64_t>(size, left_));
    co_return co_await read_parsed(data, size);
  }

 private:
  static constexpr size_t kPiece = 64 * 1024;  // that is made room for, whether as much comes or not

  Async<size_t> read_plain(char* data, size_t size) {
    auto& buffer = connection_.buffer_;
    size_t got = std::min(size, buffer.size());
    if (got > 0) {
      std::memcpy(data, buffer.data().data(), got);
      buffer.consume(got);
    } else {
      connection_.stream_.expires_after(connection_.server_.options.body_timeout);
      boost::system::error_code error;
      got = co_await connection_.stream_.async_read_some(asio::buffer(data, size),
                                                         asio::redirect_error(use_async, error));
      check(error);
    }
    left_ -= got;
    co_return got;
  }

  Async<size_t> read_parsed(char* data, size_t size) {
    auto& body = parser_.get().body();
    size_t filled = 0;
    while (filled == 0 && !parser_.is_done()) {
      body.data = data;
      body.size = size;
      connection_.stream_.expires_after(connection_.server_.options.body_timeout);
      boost::system::error_code error;
      co_await bhttp::async_read_some(connection_.stream_, connection_.buffer_, parser_,
                                      asio::redirect_error(use_async, error));
      filled = size - body.size;
      if (error != bhttp::error::need_buffer) check(error);
    }
    co_return filled;
  }

  void check(const boost::system::error_code& error) {
    if (!error) return;
    failed_ = true;
    if (error == bhttp::error::body_limit)
      throw Error(Code::ResourceExhausted, "the body is larger than the server accepts", "body");
    if (error == beast::error::timeout) throw Error(Code::DeadlineExceeded, "the body did not come in time");
    throw Error(Code::Cancelled, "the client went away in the middle of the body");
  }

  Connection& connection_;
  Parser& parser_;
  std::optional<uint64_t> length_;
  uint64_t left_ = 0;  // of a known length
  bool expects_ = false;
  bool failed_ = false;
};

class Connection::Writer : public BodyWriter {
 public:
  Writer(Connection& connection, bool chunked) : connection_(connection), chunked_(chunked) {}

  Async<> write(std::string_view bytes) override {
    if (bytes.empty()) co_return;
    connection_.stream_.expires_after(std::chrono::seconds(120));
    boost::system::error_code error;
    if (chunked_) {
      const std::string head = fmt::format("{:x}\r\n", bytes.size());
      const std::array<asio::const_buffer, 3> parts = {asio::buffer(head), asio::buffer(bytes.data(), bytes.size()),
                                                       asio::buffer("\r\n", 2)};
      co_await asio::async_write(connection_.stream_, parts, asio::redirect_error(use_async, error));
    } else {
      co_await asio::async_write(connection_.stream_, asio::buffer(bytes.data(), bytes.size()),
                                 asio::redirect_error(use_async, error));
    }
    if (error) throw Error(Code::Cancelled, "the client went away");
  }

  Async<> write_file(int fd, uint64_t offset, uint64_t length) override {
    CHECK_INVARIANT(!chunked_);
    // A turn at a time, so that a fast client does not keep the loop from others.
    constexpr uint64_t kTurn = 4u << 20;
    auto& socket = connection_.stream_.socket();
    socket.native_non_blocking(true);
    auto at = static_cast<off_t>(offset);
    for (uint64_t turn = 0; length > 0;) {
      const ssize_t sent = ::sendfile(socket.native_handle(), fd, &at, std::min<uint64_t>(length, 1u << 30));
      if (sent < 0 && errno == EINTR) continue;
      if (sent == 0) throw Error(Code::DataLoss, "a file shrank while it was sent");
      if (sent < 0 && errno != EAGAIN) throw Error(Code::Cancelled, "the client went away");
      if (sent > 0) {
        length -= static_cast<uint64_t>(sent);
        turn += static_cast<uint64_t>(sent);
        if (turn < kTurn) continue;
        turn = 0;
        if (length == 0) break;
      }
      co_await wait_writable();
    }
  }

 private:
  // Throws Cancelled when the client takes nothing for too long.
  Async<> wait_writable() {
    auto& socket = connection_.stream_.socket();
    Timer limit(connection_.executor(), std::chrono::seconds(120));
    limit.async_wait([self = connection_.shared_from_this(), &socket](const boost::system::error_code& over) {
      boost::system::error_code ignored;
      if (!over) socket.close(ignored);
    });
    boost::system::error_code error;
    co_await socket.async_wait(Tcp::socket::wait_write, asio::redirect_error(use_async, error));
    if (error) throw Error(Code::Cancelled, "the client went away");
  }

  Connection& connection_;
  bool chunked_;
};

Async<bool> Connection::serve_one() {
  Parser parser;
  parser.header_limit(static_cast<uint32_t>(server_.options.max_header_bytes));
  parser.body_limit(boost::none);  // known with the path
  stream_.expires_after(server_.options.header_timeout);
  boost::system::error_code error;
  co_await bhttp::async_read_header(stream_, buffer_, parser, asio::redirect_error(use_async, error));
  Request request;
  request.peer = peer_;
  if (error) {
    Response refusal;
    if (error == bhttp::error::header_limit) {
      refusal = text_response("the request's header is too large\n", 431);
    } else if (error == beast::error::timeout || error == bhttp::error::end_of_stream || error == asio::error::eof ||
               error == asio::error::connection_reset || error == bhttp::error::partial_message) {
      co_return false;
    } else {
      refusal = text_response(fmt::format("malformed request: {}\n", error.message()), 400);
    }
    co_await send(request, refusal, false);
    co_return false;
  }
  const auto& message = parser.get();
  const auto method = method_of(message.method());
  request.target = std::string(message.target());
  const size_t mark = request.target.find('?');
  request.path = request.target.substr(0, mark);
  const auto& options = server_.options;
  const bool large = std::ranges::any_of(options.large_body_prefixes,
                                         [&](const std::string& prefix) { return request.path.starts_with(prefix); });
  const uint64_t limit = large ? options.large_body_bytes : options.max_body_bytes;
  parser.body_limit(limit);
  if (const auto length = parser.content_length(); length && *length > limit) {
    Response refusal = text_response("the request's body is larger than the server accepts\n", 413);
    co_await send(request, refusal, false);
    co_return false;
  }
  if (mark != std::string::npos) request.query = parse_query(std::string_view(request.target).substr(mark + 1));
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    request.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  Response response;
  Body body(*this, parser);
  if (!method) {
    response = text_response("unknown method\n", 501);
  } else {
    request.method = *method;
    request.body = &body;
    response = co_await server_.router->handle(request);
  }
  // What the handler left unread is read past when it is small, so that the connection can go on.
  bool keep = message.keep_alive() && !server_.draining && !body.waits_for_continue();
  if (body.unread()) {
    if (!body.failed() && !body.waits_for_continue() && body.length() && *body.length() <= 256 * 1024) {
      try {
        while (!(co_await body.read_some(64 * 1024)).empty()) {
        }
      } catch (const Error&) {
        co_return false;
      }
    } else {
      keep = false;
    }
  }
  co_await send(request, response, keep);
  co_return keep;
}

Async<> Connection::send(const Request& request, Response& response, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status,
                                 std::string_view(bhttp::obsolete_reason(static_cast<bhttp::status>(response.status))));
  bool has_length = false;
  for (const auto& [name, value] : response.headers) {
    has_length = has_length || beast::iequals(name, "content-length");
    head += name;
    head += ": ";
    // No header is made of what came from outside unless it stays on its line.
    for (const char c : value) head += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    head += "\r\n";
  }
  const std::string_view body = response.fixed.empty() ? std::string_view(response.body) : response.fixed;
  uint64_t length = body.size();
  if (response.file) {
    boost::system::error_code ignored;
    std::error_code error;
    length = std::filesystem::file_size(*response.file, error);
    if (error) {
      response = text_response("the file is gone\n", 404);
      co_return co_await send(request, response, keep_alive);
    }
  }
  const bool chunked = response.stream && !has_length;
  if (chunked) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (!has_length && response.status != 204 && response.status != 304) {
    head += fmt::format("Content-Length: {}\r\n", length);
  }
  if (!keep_alive) head += "Connection: close\r\n";
  head += "\r\n";
  stream_.expires_after(std::chrono::seconds(120));
  const bool bodyless = request.method == Method::Head || response.status == 204 || response.status == 304;
  const std::array<asio::const_buffer, 2> parts = {
      asio::buffer(head), bodyless || response.stream || response.file ? asio::const_buffer() : asio::buffer(body)};
  co_await asio::async_write(stream_, parts, use_async);
  if (bodyless) co_return;
  if (response.file) {
    co_await send_file(*response.file, length);
  } else if (response.stream) {
    co_await send_stream(response, chunked);
  }
}

Async<> Connection::send_file(const std::filesystem::path& path, uint64_t length) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw Error(Code::Cancelled, "the file is gone");
  const std::unique_ptr<const int, void (*)(const int*)> closer(&file, [](const int* fd) { ::close(*fd); });
  std::string piece(256 * 1024, '\0');
  while (length > 0) {
    const ssize_t got = ::read(file, piece.data(), std::min<uint64_t>(piece.size(), length));
    if (got <= 0) throw Error(Code::Cancelled, "the file shrank while it was sent");
    length -= static_cast<uint64_t>(got);
    stream_.expires_after(std::chrono::seconds(120));
    co_await asio::async_write(stream_, asio::buffer(piece.data(), static_cast<size_t>(got)), use_async);
  }
}

// Ends the stream's coroutine when the client hangs up while nothing is being written to it.
Async<> Connection::watch_for_hangup() {
  auto self = shared_from_this();
  while (true) {
    boost::system::error_code error;
    co_await stream_.socket().async_wait(Tcp::socket::wait_read, asio::redirect_error(use_async, error));
    if (error == asio::error::operation_aborted) co_return;
    char byte;
    const ssize_t got = ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) co_return;  // the next request, sent early
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) continue;
    stop_stream_.emit(asio::cancellation_type::terminal);
    co_return;
  }
}

Async<> Connection::send_stream(Response& response, bool chunked) {
  Writer writer(*this, chunked);
  stream_.expires_never();
  const auto executor = stream_.get_executor();
  // Outlives this call: the watch ends a turn of the loop after it is told to.
  auto stop_watch = std::make_shared<asio::cancellation_signal>();
  auto watch_ended = [self = shared_from_this(), stop_watch, executor](std::exception_ptr) {
    asio::post(executor, [stop_watch] {});
  };
  asio::co_spawn(executor, watch_for_hangup(),
                 asio::bind_cancellation_slot(stop_watch->slot(), std::move(watch_ended)));
  std::exception_ptr failure;
  try {
    co_await asio::co_spawn(executor, response.stream(writer),
                            asio::bind_cancellation_slot(stop_stream_.slot(), use_async));
  } catch (...) {
    failure = std::current_exception();
  }
  stop_watch->emit(asio::cancellation_type::terminal);
  if (failure) {
    // Too late for a status: the missing last chunk tells the client.
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      if (error.code() != Code::Cancelled) spdlog::warn("a streamed answer broke off: {}", error.what());
    } catch (const std::exception&) {
    }
    throw Error(Code::Cancelled, "the stream broke off");
  }
  if (chunked) co_await asio::async_write(stream_, asio::buffer("0\r\n\r\n", 5), use_async);
}

Async<> run_connection(std::shared_ptr<Server::State> state, std::shared_ptr<Connection> connection) {
  try {
    co_await connection->serve();
  } catch (const std::exception&) {
    // The client went away, or a streamed answer broke off: there is nobody to tell.
  }
  connection->close();
  std::lock_guard lock(state->mutex);
  state->connections.remove(connection);
  if (state->connections.empty()) state->empty.notify_all();
}

Async<> accept_connections(std::shared_ptr<Server::State> state) {
  size_t next = 0;
  while (true) {
    auto* loop = state->loops[next++ % state->loops.size()];
    boost::system::error_code error;
    Tcp::endpoint peer;
    asio::basic_stream_socket<Tcp, Executor> socket(loop->executor());
    co_await state->acceptor->async_accept(socket, peer, asio::redirect_error(use_async, error));
    if (error == asio::error::operation_aborted || !state->acceptor->is_open()) co_return;
    if (error) {
      // Out of descriptors, most likely: wait until some are closed.
      spdlog::warn("cannot accept a connection: {}", error.message());
      co_await sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    socket.set_option(Tcp::no_delay(true), error);
    std::lock_guard lock(state->mutex);
    if (state->connections.size() >= state->options.max_connections) {
      static constexpr std::string_view kFull =
          "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 22\r\n\r\ntoo many connections.\n";
      [[maybe_unused]] const auto sent = ::send(socket.native_handle(), kFull.data(), kFull.size(), MSG_DONTWAIT);
      continue;
    }
    auto connection = std::make_shared<Connection>(*state, std::move(socket),
                                                   fmt::format("{}:{}", peer.address().to_string(), peer.port()));
    state->connections.push_back(connection);
    asio::co_spawn(loop->executor(), run_connection(state, connection), [](std::exception_ptr) {});
  }
}

}  // namespace

Server::Server(std::vector<Loop*> loops, const Router& router, ServerOptions options)
    : state_(std::make_shared<State>()) {
  state_->options = std::move(options);
  state_->router = &router;
  state_->loops = std::move(loops);
  const auto& o = state_->options;
  boost::system::error_code error;
  auto address = asio::ip::make_address(o.host == "localhost" ? "127.0.0.1" : o.host, error);
  if (error) throw invalid("cannot listen on {}: it is not an IP address", o.host);
  state_->endpoint = Tcp::endpoint(address, o.port);
  state_->acceptor = std::make_unique<Acceptor>(state_->loops.front()->executor());
  auto& acceptor = *state_->acceptor;
  acceptor.open(state_->endpoint.protocol());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  acceptor.bind(state_->endpoint, error);
  if (!error) acceptor.listen(1024, error);
  if (error) {
    throw Error(
        Code::Unavailable,
        fmt::format("cannot listen on {}:{}: {}", o.host, o.port,
                    error == asio::error::address_in_use ? "the port is in use by another program" : error.message()));
  }
  state_->endpoint = acceptor.local_endpoint();
  asio::co_spawn(state_->loops.front()->executor(), accept_connections(state_), [](std::exception_ptr) {});
}

Server::~Server() { stop(std::chrono::milliseconds(0)); }

std::string Server::address() const {
  const auto ip = state_->endpoint.address();
  return ip.is_v6() ? fmt::format("[{}]:{}", ip.to_string(), state_->endpoint.port())
                    : fmt::format("{}:{}", ip.to_string(), state_->endpoint.port());
}

uint16_t Server::port() const { return state_->endpoint.port(); }

void Server::stop(std::chrono::milliseconds grace) {
  if (state_->draining.exchange(true)) return;
  state_->loops.front()->post([state = state_] {
    boost::system::error_code ignored;
    state->acceptor->close(ignored);
  });
  auto each = [&](void (Connection::*call)()) {
    for (auto& connection : state_->connections) {
      asio::post(connection->executor(), [connection, call] { ((*connection).*call)(); });
    }
  };
  std::unique_lock lock(state_->mutex);
  each(&Connection::close_if_idle);
  const auto none_left = [&] { return state_->connections.empty(); };
  if (state_->empty.wait_for(lock, grace, none_left)) return;
  each(&Connection::close);
  state_->empty.wait_for(lock, std::chrono::seconds(5), none_left);
}

}  // namespace penstock::http
