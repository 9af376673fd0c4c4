#include "http/unix_client.h"

#include <array>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "base/error.h"

namespace penstock::http {

namespace beast = boost::beast;
namespace bhttp = beast::http;

namespace {

using Local = asio::local::stream_protocol;
using Stream = beast::basic_stream<Local, Executor, beast::unlimited_rate_policy>;

bhttp::request<bhttp::string_body> message_of(const UnixRequest& request) {
  bhttp::request<bhttp::string_body> message;
  message.method_string(request.method);
  message.target(request.target);
  message.version(11);
  message.set(bhttp::field::host, "localhost");
  message.set(bhttp::field::connection, "close");
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

Error unavailable(const UnixRequest& request, const boost::system::error_code& error) {
  return Error(Code::Unavailable, fmt::format("{}: {}", request.socket.string(), error.message()));
}

}  // namespace

Async<ClientResponse> fetch_unix(const UnixRequest& request) {
  const auto executor = co_await asio::this_coro::executor;
  Stream stream(executor);
  boost::system::error_code error;
  const Local::endpoint endpoint(request.socket.string());
  co_await stream.async_connect(endpoint, asio::redirect_error(use_async, error));
  if (error) throw unavailable(request, error);
  const auto message = message_of(request);
  co_await bhttp::async_write(stream, message, asio::redirect_error(use_async, error));
  if (error) throw unavailable(request, error);

  beast::flat_buffer buffer;
  bhttp::response_parser<bhttp::buffer_body> parser;
  parser.body_limit(boost::none);
  co_await bhttp::async_read_header(stream, buffer, parser, asio::redirect_error(use_async, error));
  if (error) throw unavailable(request, error);
  ClientResponse response;
  response.status = parser.get().result_int();
  const bool hand_over = request.on_data && response.status < 300;
  std::array<char, 16384> piece;
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    parser.get().body().more = true;
    co_await bhttp::async_read_some(stream, buffer, parser, asio::redirect_error(use_async, error));
    if (error == bhttp::error::need_buffer) error = {};
    const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
    if (hand_over) {
      if (!got.empty()) request.on_data(got);
    } else {
      if (response.body.size() + got.size() > request.body_limit) {
        throw Error(Code::ResourceExhausted, fmt::format("the answer to {} is too large", request.target));
      }
      response.body += got;
    }
    if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
    if (error)
      throw Error(Code::Internal, fmt::format("the answer to {} broke off: {}", request.target, error.message()));
  }
  co_return response;
}

}  // namespace penstock::http
