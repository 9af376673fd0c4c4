#include "db/list.h"

#include "base/base64.h"
#include "db/list_filter.h"

namespace penstock::db {

namespace {

constexpr int64_t kDefaultPageSize = 20;
constexpr int64_t kMaxPageSize = 200;
// Below this many matching rows a page is found by filtering and sorting, above it by walking the sort field's index,
// which then meets a match soon enough.
constexpr int64_t kFewRows = 2'000;

std::vector<Connection::Value> views(const std::vector<SqlValue>& values) {
  std::vector<Connection::Value> out;
  out.reserve(values.size());
  for (const SqlValue& value : values) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      out.emplace_back(std::string_view(*text));
    } else {
      out.emplace_back(std::get<int64_t>(value));
    }
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = (c >= 'A' && c <= 'Z') ? static_cast<char>(c + 32) : c;
  return out;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  size_t at = 0;
  while ((at = text.find_first_not_of(" \t\r\n+", at)) != std::string_view::npos) {
    const size_t end = std::min(text.find_first_of(" \t\r\n+", at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

Error bad_token(std::string_view why) {
  return Error(Code::InvalidArgument,
               fmt::format("invalid page token: {}; use the next_page_token of the page before, or none for the first",
                           why),
               "page_token");
}

}  // namespace

std::optional<int64_t> CountCache::find(const std::string& key, int64_t version) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end() || entry->second.version != version) return std::nullopt;
  return entry->second.count;
}

void CountCache::put(const std::string& key, int64_t version, int64_t count) {
  constexpr size_t kMaxEntries = 1'000;
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMaxEntries) entries_.clear();
  entries_[key] = Entry{version, count};
}

List::List(const ListModel& model, const ListRequest& request) : model_(model) {
  if (request.page_size < 0) {
    throw Error(Code::InvalidArgument, fmt::format("page_size is {}; it cannot be negative", request.page_size),
                "page_size");
  }
  page_size_ = request.page_size == 0 ? kDefaultPageSize : std::min(request.page_size, kMaxPageSize);
  if (!request.filter.empty()) parse_filter(decode_filter(request.filter));
  if (request.page_token.empty()) {
    parse_sort(request.sort_by);
  } else {
    parse_token(request);
  }
}

void List::parse_sort(std::string_view text) {
  const std::vector<std::string> parts = words(text);
  const auto bad = [&](std::string_view why) {
    return Error(Code::InvalidArgument,
                 fmt::format("Invalid sorting field: {:?}: {}", std::string(text), why), "sort_by");
  };
  if (parts.size() > 2) throw bad("expected one field, and perhaps asc or desc");
  if (parts.size() == 2) {
    const std::string direction = lower(parts[1]);
    if (direction != "asc" && direction != "desc") throw bad("the direction is asc or desc");
    descending_ = direction == "desc";
  }
  const std::string_view key = parts.empty() ? model_.default_sort : std::string_view(parts[0]);
  sort_ = find_column(model_, key);
  if (!sort_) sort_ = find_column(model_, lower(key));
  if (!sort_) throw bad(fmt::format("{} has no such field to sort by", model_.name));
}

void List::parse_filter(const json::value& filter) {
  filter_ = normalise_filter(filter);
  if (filter_.is_null()) return;
  for (const json::value& predicate : filter_.as_array()) {
    FilterSql sql = predicate_sql(model_, predicate.as_object());
    predicates_.push_back({std::move(sql.sql), std::move(sql.values)});
  }
}

void List::parse_token(const ListRequest& request) {
  const std::optional<std::string> text = base64_decode(request.page_token);
  if (!text) throw bad_token("it is not base64");
  json::value token;
  try {
    token = parse_json(*text);
  } catch (const Error&) {
    throw bad_token("its content is not JSON");
  }
  if (!token.is_object()) throw bad_token("its content is not an object");
  const json::object& fields = token.as_object();
  if (get_string(fields, "ModelName") != model_.name) throw bad_token("it belongs to another list");
  const std::string field = get_string(fields, "SortByFieldName");
  const ListColumn* sort = find_column(model_, field);
  if (!sort) throw bad_token("it names an unknown sort field");
  const bool descending = get_bool(fields, "IsDesc");

  parse_sort(request.sort_by);
  const json::value* filter = find(fields, "Filter");
  const json::value token_filter = filter ? *filter : json::value();
  const bool other_sort = !request.sort_by.empty() && (sort_->column != sort->column || descending_ != descending);
  if (other_sort || (!request.filter.empty() && filter_ != token_filter)) {
    throw Error(Code::InvalidArgument,
                "page token does not match the supplied sort by and/or filtering criteria; repeat those of the first "
                "page, or start again without a token",
                "page_token");
  }
  sort_ = sort;
  descending_ = descending;
  if (request.filter.empty() && !token_filter.is_null()) {
    if (!token_filter.is_array()) throw bad_token("its filter is no list");
    parse_filter(json::object{{"predicates", token_filter}});
  }

  const json::value* value = find(fields, "SortByFieldValue");
  const json::value* key = find(fields, "KeyFieldValue");
  if (!value || !key || !key->is_int64()) throw bad_token("it has no position");
  const bool textual = sort->kind == ColumnKind::Text;
  if (textual ? !value->is_string() : !value->is_int64()) throw bad_token("its position has the wrong type");
  SqlValue start = textual ? SqlValue(to_std(value->as_string())) : SqlValue(value->as_int64());
  start_.emplace(std::move(start), key->as_int64());
}

void List::only(std::string_view column, SqlValue value) {
  predicates_.insert(predicates_.begin(), Predicate{fmt::format("t.{} = ?", column), {std::move(value)}});
}

void List::only_in(std::string_view column, const json::array& values) {
  predicates_.insert(
      predicates_.begin(),
      Predicate{fmt::format("t.{} IN (SELECT j.value FROM json_each(?) j)", column), {to_text(values)}});
}

std::string List::where(std::vector<SqlValue>& values) const {
  std::string sql;
  for (const Predicate& predicate : predicates_) {
    sql += sql.empty() ? " WHERE " : " AND ";
    sql += predicate.sql;
    values.insert(values.end(), predicate.values.begin(), predicate.values.end());
  }
  return sql;
}

int64_t List::count(Connection& connection, CountCache* counts) const {
  std::vector<SqlValue> values;
  const std::string sql = fmt::format("SELECT COUNT(*) FROM {} t{}", model_.table, where(values));
  std::string key;
  int64_t version = 0;
  const bool cached = counts && !model_.version_query.empty();
  if (cached) {
    Rows rows = connection.query(model_.version_query);
    if (rows.next()) version = rows.integer(0);
    key = sql;
    for (const SqlValue& value : values) {
      key += '\0';
      std::visit([&](const auto& v) { key += fmt::format("{}", v); }, value);
    }
    if (const std::optional<int64_t> known = counts->find(key, version)) return *known;
  }
  Rows rows = connection.query_values(sql, views(values));
  rows.next();
  const int64_t total = rows.integer(0);
  if (cached) counts->put(key, version, total);
  return total;
}

std::string List::next_token(SqlValue sort_value, int64_t key) const {
  json::object token{{"ModelName", model_.name},
                     {"SortByFieldName", sort_->key},
                     {"IsDesc", descending_},
                     {"KeyFieldName", model_.key},
                     {"KeyFieldValue", key}};
  std::visit([&](auto&& value) { token["SortByFieldValue"] = std::move(value); }, std::move(sort_value));
  if (!filter_.is_null()) token["Filter"] = filter_;
  return base64_encode(to_text(token));
}

List::Result List::read(Connection& connection, std::string_view select, std::string_view joins,
                        const std::function<void(Rows&)>& row, CountCache* counts) const {
  Result result;
  result.total_size = count(connection, counts);
  if (result.total_size == 0) return result;

  std::vector<SqlValue> values;
  std::string conditions = where(values);
  const std::string_view direction = descending_ ? "DESC" : "ASC";
  if (start_) {
    conditions += conditions.empty() ? " WHERE " : " AND ";
    conditions += fmt::format("(t.{}, t.{}) {} (?, ?)", sort_->column, model_.key, descending_ ? "<=" : ">=");
    values.push_back(start_->first);
    values.emplace_back(start_->second);
  }
  // The unary plus keeps SQLite from walking the sort field's index.
  const bool sort_after = !predicates_.empty() && result.total_size <= kFewRows;
  const std::string sql =
      fmt::format("SELECT {0}, t.{1}, t.{2} FROM {3} t {4}{5} ORDER BY {6}t.{1} {7}, t.{2} {7} LIMIT {8}", select,
                  sort_->column, model_.key, model_.table, joins, conditions, sort_after ? "+" : "", direction,
                  page_size_ + 1);
  Rows rows = connection.query_values(sql, views(values));
  int64_t seen = 0;
  while (rows.next()) {
    if (seen++ < page_size_) {
      row(rows);
      continue;
    }
    const int at = rows.columns() - 2;
    SqlValue sort_value =
        sort_->kind == ColumnKind::Text ? SqlValue(rows.string(at)) : SqlValue(rows.integer(at));
    result.next_page_token = next_token(std::move(sort_value), rows.integer(at + 1));
    break;
  }
  return result;
}

}  // namespace penstock::db
