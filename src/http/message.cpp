#include "http/message.h"

#include <charconv>
#include <unistd.h>

namespace penstock::http {

std::string_view to_string(Method method) {
  switch (method) {
    case Method::Get: return "GET";
    case Method::Head: return "HEAD";
    case Method::Post: return "POST";
    case Method::Put: return "PUT";
    case Method::Patch: return "PATCH";
    case Method::Delete: return "DELETE";
    case Method::Options: return "OPTIONS";
  }
  return "GET";
}

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string url_decode(std::string_view text, bool plus) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += plus && text[i] == '+' ? ' ' : text[i];
  }
  return out;
}

std::string url_encode(std::string_view text, std::string_view keep) {
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '.' || c == '_' || c == '~' || keep.find(c) != std::string_view::npos;
    if (unreserved) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Query parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const auto pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      query.emplace_back(url_decode(pair, true), "");
    } else {
      query.emplace_back(url_decode(pair.substr(0, equals), true), url_decode(pair.substr(equals + 1), true));
    }
  }
  return query;
}

Async<size_t> BodyReader::read_into(char* data, size_t size) {
  const std::string piece = co_await read_some(size);
  std::ranges::copy(piece, data);
  co_return piece.size();
}

Async<std::string> BodyReader::read_all(size_t limit) {
  const auto announced = length();
  if (announced && *announced > limit) {
    throw Error(Code::ResourceExhausted,
                fmt::format("the body has {} bytes, more than the limit of {}", *announced, limit), "body");
  }
  std::string body;
  if (announced) body.reserve(*announced);
  while (true) {
    std::string piece = co_await read_some();
    if (piece.empty()) co_return body;
    if (body.size() + piece.size() > limit) {
      throw Error(Code::ResourceExhausted, fmt::format("the body is larger than the limit of {} bytes", limit), "body");
    }
    if (body.empty() && !announced) {
      body = std::move(piece);
    } else {
      body += piece;
    }
  }
}

Async<> BodyWriter::write_file(int fd, uint64_t offset, uint64_t length) {
  std::string piece;
  while (length > 0) {
    piece.resize(std::min<uint64_t>(length, 256 * 1024));
    const ssize_t got = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(offset));
    if (got <= 0) throw Error(Code::DataLoss, "a file shrank while it was sent");
    offset += static_cast<uint64_t>(got);
    length -= static_cast<uint64_t>(got);
    co_await write(std::string_view(piece).substr(0, static_cast<size_t>(got)));
  }
}

std::string_view Request::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

std::optional<std::string> Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::string Request::query_or(std::string_view name, std::string_view fallback) const {
  auto value = query_value(name);
  return value ? *value : std::string(fallback);
}

Response json_response(const json::value& value, int status) {
  Response response;
  response.status = status;
  response.set("Content-Type", "application/json");
  response.body = to_text(value);
  return response;
}

Response text_response(std::string text, int status, std::string_view type) {
  Response response;
  response.status = status;
  response.set("Content-Type", std::string(type));
  response.body = std::move(text);
  return response;
}

}  // namespace penstock::http
