#include "objects/s3/conditions.h"

#include <charconv>

#include "objects/s3/call.h"
#include "objects/s3/signature.h"

namespace penstock::objects {

bool matches_etag(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const auto one = strip_quotes(list.substr(0, comma));
    if (one == "*" || one == etag) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

Condition check_read(const http::Request& request, const Object& object, std::string_view prefix) {
  const auto header = [&](std::string_view name) { return request.header(std::string(prefix) + std::string(name)); };
  // HTTP's times have whole seconds.
  const Time modified = std::chrono::floor<std::chrono::seconds>(object.modified);
  const auto match = header("if-match"), none_match = header("if-none-match");
  if (!match.empty()) {
    if (!matches_etag(match, object.etag)) return Condition::Failed;
  } else if (const auto since = parse_http_time(header("if-unmodified-since")); since && modified > *since) {
    return Condition::Failed;
  }
  if (!none_match.empty()) {
    if (matches_etag(none_match, object.etag)) return Condition::NotModified;
  } else if (const auto since = parse_http_time(header("if-modified-since")); since && modified <= *since) {
    return Condition::NotModified;
  }
  return Condition::Holds;
}

std::optional<Range> read_range(std::string_view header, uint64_t size) {
  static constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit)) return std::nullopt;
  header.remove_prefix(kUnit.size());
  const size_t dash = header.find('-');
  // Several ranges are answered with the whole.
  if (dash == std::string_view::npos || header.find(',') != std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view text) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
  };
  const auto first_text = header.substr(0, dash), last_text = header.substr(dash + 1);
  const auto first = number(first_text), last = number(last_text);
  const auto unsatisfiable = [&] {
    return S3Error("InvalidRange")
        .with("RangeRequested", "bytes=" + std::string(header))
        .with("ActualObjectSize", std::to_string(size))
        .header("Content-Range", fmt::format("bytes */{}", size));
  };
  if (first_text.empty()) {
    if (!last) return std::nullopt;
    if (*last == 0 || size == 0) throw unsatisfiable();
    const uint64_t length = std::min(*last, size);
    return Range{size - length, length};
  }
  if (!first || (!last_text.empty() && !last) || (last && *last < *first)) return std::nullopt;
  if (*first >= size) throw unsatisfiable();
  const uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return Range{*first, end - *first + 1};
}

}  // namespace penstock::objects
