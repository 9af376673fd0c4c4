#include <charconv>

#include "base/base64.h"
#include "registry/rows.h"
#include "registry/store.h"

namespace penstock::registry {

namespace {

constexpr int64_t kDefaultPage = 20;
constexpr int64_t kMaxPage = 1000;

std::string_view column_of(OrderBy order) {
  switch (order) {
    case OrderBy::CreateTime: return "t.created_at";
    case OrderBy::LastUpdateTime: return "t.updated_at";
    default: return "t.id";
  }
}

// What a token must not be used with another of.
std::string shape_of(const ListRequest& request) {
  const std::string all =
      fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", static_cast<int>(request.kind), request.parent, request.type, request.name,
                  request.external_id, static_cast<int>(request.order_by), request.descending, request.filter);
  return sha256_hex(all).substr(0, 8);
}

[[noreturn]] void bad_token() {
  throw Error(Code::InvalidArgument, "nextPageToken: is none that this list has given", "nextPageToken");
}

struct Start {
  int64_t value = 0, id = 0;
};

Start read_token(const ListRequest& request) {
  const auto text = base64_decode(request.page_token);
  if (!text) bad_token();
  const std::string shape = shape_of(request) + ":";
  if (!text->starts_with(shape)) bad_token();
  Start out;
  const char* end = text->data() + text->size();
  const auto [colon, error] = std::from_chars(text->data() + shape.size(), end, out.value);
  if (error != std::errc() || colon == end || *colon != ':') bad_token();
  const auto [stop, wrong] = std::from_chars(colon + 1, end, out.id);
  if (wrong != std::errc() || stop != end) bad_token();
  return out;
}

int64_t order_value(const Resource& resource, OrderBy order) {
  switch (order) {
    case OrderBy::CreateTime: return resource.created_at;
    case OrderBy::LastUpdateTime: return resource.updated_at;
    default: return resource.id;
  }
}

struct Query {
  std::string sql;
  std::vector<SqlValue> values;
  void add(std::string_view condition) { sql += fmt::format(" AND {}", condition); }
  template <class T>
  void add(std::string_view condition, T value) {
    add(condition);
    values.emplace_back(std::move(value));
  }
};

Query query_of(const ListRequest& request, int64_t page_size) {
  const Filter filter = read_filter(request.kind, request.filter);
  Query query;
  query.sql = fmt::format("SELECT {} FROM registry_resources t WHERE t.kind = ?", rows::kColumns);
  query.values.emplace_back(std::string(schema_of(request.kind).name));
  if (request.parent != 0 && request.kind == Kind::Artifact) {
    query.add("t.id IN (SELECT a.artifact FROM registry_attributions a WHERE a.owner = ?)", request.parent);
  } else if (request.parent != 0) {
    query.add("t.parent = ?", request.parent);
  }
  if (!request.type.empty()) query.add("t.type = ?", request.type);
  if (!request.name.empty()) query.add("t.name = ?", request.name);
  if (!request.external_id.empty()) query.add("t.external_id = ?", request.external_id);
  if (!filter.sql.empty()) {
    query.add(fmt::format("({})", filter.sql));
    query.values.insert(query.values.end(), filter.values.begin(), filter.values.end());
  }
  const std::string_view column = column_of(request.order_by);
  if (!request.page_token.empty()) {
    const Start start = read_token(request);
    query.add(fmt::format("({}, t.id) {} (?, ?)", column, request.descending ? "<" : ">"), start.value);
    query.values.emplace_back(start.id);
  }
  const std::string_view direction = request.descending ? "DESC" : "ASC";
  query.sql += fmt::format(" ORDER BY {0} {1}, t.id {1} LIMIT ?", column, direction);
  query.values.emplace_back(page_size + 1);
  return query;
}

}  // namespace

Async<Page> Store::list(ListRequest request) {
  Page page;
  page.page_size = request.page_size > 0 ? std::min(request.page_size, kMaxPage) : kDefaultPage;
  const Query query = query_of(request, page.page_size);
  co_return co_await database_.read([&](db::Connection& c) {
    if (request.parent != 0) rows::require_parent(c, request.kind, request.parent);
    std::vector<db::Connection::Value> values;
    for (const auto& value : query.values) {
      std::visit([&](const auto& one) { values.emplace_back(one); }, value);
    }
    db::Rows found = c.query_values(query.sql, values);
    while (found.next()) page.items.push_back(rows::read(found));
    if (static_cast<int64_t>(page.items.size()) > page.page_size) {
      page.items.pop_back();
      const Resource& last = page.items.back();
      page.next_page_token =
          base64_encode(fmt::format("{}:{}:{}", shape_of(request), order_value(last, request.order_by), last.id));
    }
    return std::move(page);
  });
}

}  // namespace penstock::registry
