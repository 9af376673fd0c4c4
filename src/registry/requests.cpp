#include "registry/requests.h"

#include <charconv>

namespace penstock::registry {

namespace {

[[noreturn]] void refuse(std::string_view name, const std::string& value, std::string_view expected) {
  throw Error(Code::InvalidArgument, fmt::format("{}: is {:?}; expected {}", name, value, expected), std::string(name));
}

OrderBy read_order(const std::string& text) {
  if (text.empty() || text == "ID") return OrderBy::Id;
  if (text == "CREATE_TIME") return OrderBy::CreateTime;
  if (text == "LAST_UPDATE_TIME") return OrderBy::LastUpdateTime;
  refuse("orderBy", text, "ID, CREATE_TIME or LAST_UPDATE_TIME");
}

}  // namespace

Async<json::value> read_json(http::Request& request) {
  const std::string body = co_await request.body->read_all(kMaxBody);
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw Error(Code::InvalidArgument, "body: is empty; expected a JSON object", "body");
  }
  co_return parse_json(body);
}

int64_t path_id(const http::Request& request, std::string_view name) {
  return read_id(request.params.find(name)->second, name);
}

ListRequest list_request(const http::Request& request) {
  ListRequest out;
  out.page_token = request.query_or("nextPageToken", "");
  out.filter = request.query_or("filterQuery", "");
  if (const std::string size = request.query_or("pageSize", ""); !size.empty()) {
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), out.page_size);
    if (error != std::errc() || end != size.data() + size.size() || out.page_size < 1) {
      refuse("pageSize", size, "a number from 1");
    }
  }
  out.order_by = read_order(request.query_or("orderBy", ""));
  const std::string order = request.query_or("sortOrder", "ASC");
  if (order != "ASC" && order != "DESC") refuse("sortOrder", order, "ASC or DESC");
  out.descending = order == "DESC";
  return out;
}

http::Response page_response(const Page& page) {
  json::array items;
  for (const auto& resource : page.items) items.push_back(to_json(resource));
  json::object out{{"nextPageToken", page.next_page_token},
                   {"pageSize", page.page_size},
                   {"size", static_cast<int64_t>(items.size())}};
  out["items"] = std::move(items);
  return http::json_response(out);
}

}  // namespace penstock::registry
