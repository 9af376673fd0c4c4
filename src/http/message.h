// What a handler sees of HTTP: a request, and the response it answers with. Beast stays inside this library.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/async.h"
#include "base/error.h"
#include "base/json.h"

namespace penstock::http {

enum class Method { Get, Head, Post, Put, Patch, Delete, Options };
std::string_view to_string(Method method);

// Percent-decoding; `plus` turns + into a space as in queries. Invalid escapes stay as they are.
std::string url_decode(std::string_view text, bool plus);
// Percent-encodes everything but RFC 3986's unreserved characters and those in `keep`.
std::string url_encode(std::string_view text, std::string_view keep = {});

// The query's pairs in order, decoded.
using Query = std::vector<std::pair<std::string, std::string>>;
Query parse_query(std::string_view text);

// The request's body, read as it comes. Errors: ResourceExhausted past the limit (answered 413),
// DeadlineExceeded when the sender is too slow (408), Cancelled when it went away.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  virtual std::optional<uint64_t> length() const = 0;  // Content-Length, when given
  // The next bytes, at most `max`; empty at the end.
  virtual Async<std::string> read_some(size_t max = 256 * 1024) = 0;
  // The same into memory of the caller's: how many bytes came, 0 at the end.
  virtual Async<size_t> read_into(char* data, size_t size);
  // All that is left, at most `limit` bytes.
  Async<std::string> read_all(size_t limit);
};

struct Request {
  Method method = Method::Get;
  std::string target;  // as sent, with the query
  std::string path;    // decoded? No: as sent, without the query. Path parameters are decoded.
  Query query;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in order
  std::map<std::string, std::string, std::less<>> params;    // the route's {name}s, decoded
  std::string peer;                                          // "127.0.0.1:50312"
  BodyReader* body = nullptr;                                // never null in a handler

  std::string_view header(std::string_view lower_case_name) const;  // first, or empty
  std::optional<std::string> query_value(std::string_view name) const;
  std::string query_or(std::string_view name, std::string_view fallback) const;
};

// The way a streaming response writes its body. Throws Cancelled when the client went away.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  virtual Async<> write(std::string_view bytes) = 0;
  // `length` bytes of an open file from `offset` on, by the kernel. For answers with a Content-Length.
  virtual Async<> write_file(int fd, uint64_t offset, uint64_t length);
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  // The body: one of these four.
  std::string body;
  std::string_view fixed{};                    // bytes that outlive the server, sent from where they are
  std::function<Async<>(BodyWriter&)> stream;  // chunked, unless a Content-Length header is given
  std::optional<std::filesystem::path> file;   // streamed from disk with its length

  Response& set(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

Response json_response(const json::value& value, int status = 200);
Response text_response(std::string text, int status = 200, std::string_view type = "text/plain; charset=utf-8");

using Handler = std::function<Async<Response>(Request&)>;
// Turns what a handler threw into an answer, in the shape of the API that was called.
using ErrorHandler = std::function<Response(const Request&, const Error&)>;

}  // namespace penstock::http
