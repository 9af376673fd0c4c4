#include "cli/client.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/error.h"
#include "http/client.h"
#include "http/message.h"

namespace penstock::cli {

namespace {

json::value answer(const http::ClientResponse& response) {
  json::value value;
  try {
    value = response.body.empty() ? json::value(json::object()) : parse_json(response.body);
  } catch (const Error&) {
    if (response.status < 400) throw Error(Code::Internal, "the server's answer is no JSON");
    throw Error(Code::Unknown, fmt::format("HTTP {}: {}", response.status, response.body.substr(0, 500)));
  }
  if (response.status < 400) return value;
  const Code code = response.status == 404 ? Code::NotFound : Code::Unknown;
  std::string message = string_at(value, {"message"});
  if (const auto* details = find(value, "details"); details && details->is_array() && !details->get_array().empty()) {
    message = string_at(details->get_array()[0], {"message"}, message);
  }
  if (message.empty()) message = string_at(value, {"error_message"}, fmt::format("HTTP {}", response.status));
  throw Error(code, message);
}

// How many terminal columns the byte adds that begins a UTF-8 character, roughly: CJK and emoji take two.
size_t width_of(unsigned char c) { return c < 0x80 ? 1 : c >= 0xe1 ? 2 : c >= 0xc0 ? 1 : 0; }

size_t width_of(std::string_view text) {
  size_t width = 0;
  for (const char c : text) width += width_of(static_cast<unsigned char>(c));
  return width;
}

constexpr size_t kGap = 2;
constexpr size_t kNarrowest = 12;

std::string shortened(const std::string& text, size_t width) {
  if (width_of(text) <= width) return text;
  size_t used = 1, end = 0;  // the ellipsis
  for (; end < text.size(); ++end) {
    used += width_of(static_cast<unsigned char>(text[end]));
    if (used > width) break;
  }
  return text.substr(0, end) + "…";
}

void narrow(std::vector<size_t>& widths, size_t width) {
  size_t total = kGap * (widths.size() - 1);
  for (const size_t one : widths) total += one;
  while (total > width && widths.size() > 1) {
    const auto widest = std::max_element(widths.begin() + 1, widths.end());
    if (*widest <= kNarrowest) return;
    --*widest;
    --total;
  }
}

}  // namespace

Format parse_format(const std::string& text) {
  if (text == "table") return Format::Table;
  if (text == "json") return Format::Json;
  if (text == "yaml") return Format::Yaml;
  throw invalid("-o {}: it is none of table, json, yaml", text);
}

Client::Client(std::string url) : url_(std::move(url)) {
  while (!url_.empty() && url_.back() == '/') url_.pop_back();
  if (!url_.starts_with("http://") && !url_.starts_with("https://")) url_ = "http://" + url_;
}

json::value Client::get(const std::string& path) const {
  try {
    return answer(http::fetch({.url = url_ + path}));
  } catch (const Error& error) {
    if (error.code() != Code::Unavailable) throw;
    throw Error(
        Code::Unavailable,
        fmt::format("no server answers at {}: start one with `penstock up`, or name another with --server", url_));
  }
}

json::value Client::post(const std::string& path, const json::value& body) const {
  return answer(http::fetch({.method = "POST",
                             .url = url_ + path,
                             .headers = {{"Content-Type", "application/json"}},
                             .body = to_text(body)}));
}

void Client::stream(const std::string& path, const std::function<bool(std::string_view)>& on_data) const {
  std::string first;
  const auto response =
      http::fetch({.url = url_ + path, .timeout = std::chrono::milliseconds(0), .on_data = [&](std::string_view piece) {
                     if (first.size() < 4096) first += piece.substr(0, 4096);
                     return on_data(piece);
                   }});
  if (response.status >= 400) answer({response.status, first});
}

json::array Client::list(const std::string& path, const std::string& key) const {
  json::array items;
  std::string token;
  do {
    const auto page = get(fmt::format("{}{}page_size=200{}", path, path.find('?') == std::string::npos ? '?' : '&',
                                      token.empty() ? "" : "&page_token=" + http::url_encode(token)));
    if (const auto* list = find(page, key); list && list->is_array()) {
      for (const auto& item : list->get_array()) items.push_back(item);
    }
    token = string_at(page, {"next_page_token"});
  } while (!token.empty());
  return items;
}

json::value Client::find_run(const std::string& text) const {
  if (text.size() == 36) {
    try {
      return get("/apis/v2beta1/runs/" + http::url_encode(text));
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) throw;
    }
  }
  const auto page = get("/apis/v2beta1/runs?page_size=200&sort_by=created_at%20desc");
  json::array found;
  if (const auto* runs = find(page, "runs"); runs && runs->is_array()) {
    for (const auto& run : runs->get_array()) {
      if (string_at(run, {"run_id"}).starts_with(text)) found.push_back(run);
    }
    if (found.empty()) {
      for (const auto& run : runs->get_array()) {
        if (string_at(run, {"display_name"}) == text) {
          found.push_back(run);
          break;
        }
      }
    }
  }
  if (found.empty()) throw not_found("there is no run \"{}\": `penstock get runs` lists them", text);
  if (found.size() > 1) throw invalid("{} runs begin with \"{}\": say more of the id", found.size(), text);
  return get("/apis/v2beta1/runs/" + string_at(found[0], {"run_id"}));
}

size_t terminal_width() {
  winsize size{};
  return ::isatty(1) == 1 && ::ioctl(1, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string table(const std::vector<std::string>& header, const Rows& rows, size_t width) {
  std::vector<size_t> widths;
  for (const auto& cell : header) widths.push_back(width_of(cell));
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  if (width != 0) narrow(widths, width);
  std::string out;
  auto line = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string cell = shortened(cells[i], widths[i]);
      out += cell;
      if (i + 1 < cells.size()) out.append(widths[i] - width_of(cell) + kGap, ' ');
    }
    out += '\n';
  };
  line(header);
  for (const auto& row : rows) line(row);
  return out;
}

std::string duration_text(const std::string& from, const std::string& to) {
  const auto begin = parse_time(from), end = parse_time(to);
  if (!begin || !end || *end < *begin || to_micros(*end) == 0) return "";
  const auto micros = (*end - *begin).count();
  if (micros < 60'000'000) return fmt::format("{:.1f}s", static_cast<double>(micros) / 1e6);
  const auto seconds = micros / 1'000'000;
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

void print(const json::value& value, Format format) {
  const std::string text = format == Format::Yaml ? to_yaml(value) : to_text(value) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) out += (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f ? ' ' : c;
  return out;
}

}  // namespace penstock::cli
