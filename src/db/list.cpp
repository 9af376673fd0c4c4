#include "db/list.h"

#include <utility>

#include "base/base64.h"
#include "db/columns.h"
#include "db/list_filter.h"

namespace penstock::db {

namespace {

constexpr int64_t kDefaultPageSize = 20;
constexpr int64_t kMaxPageSize = 200;
// Up to this many matching rows are found first and then sorted; for more the sort field's index is walked, which meets
// matches soon enough.
constexpr int64_t kFewRows = 2'000;
// Up to this many matches are counted one by one, beyond by COUNT(*) in a second query.
constexpr int64_t kCountedRows = 10'000;

std::vector<Connection::Value> views(const std::vector<SqlValue>& values) {
  std::vector<Connection::Value> out;
  out.reserve(values.size());
  for (const SqlValue& value : values) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      out.emplace_back(std::string_view(*text));
    } else if (const auto* number = std::get_if<double>(&value)) {
      out.emplace_back(*number);
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

// "t.a = ? OR t.a < ?" to "+t.a = ? OR +t.a < ?". Only what this library wrote: no text, only columns of t.
std::string with_plus(std::string_view sql) {
  std::string out;
  for (size_t i = 0; i < sql.size(); ++i) {
    const bool starts = i == 0 || sql[i - 1] == ' ' || sql[i - 1] == '(';
    if (starts && sql.substr(i).starts_with("t.")) out += '+';
    out += sql[i];
  }
  return out;
}

Error bad_token(std::string_view why) {
  return Error(
      Code::InvalidArgument,
      fmt::format("invalid page token: {}; use the next_page_token of the page before, or none for the first", why),
      "page_token");
}

}  // namespace

List::~List() = default;
List::List(List&&) noexcept = default;

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
    return Error(Code::InvalidArgument, fmt::format("Invalid sorting field: {:?}: {}", std::string(text), why),
                 "sort_by");
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
  if (!sort_ && !parse_side(key)) throw bad(fmt::format("{} has no such field to sort by", model_.name));
}

bool List::parse_side(std::string_view key) {
  constexpr size_t kMaxName = 191;
  if (!model_.side_values || !key.starts_with(model_.side_values->prefix)) return false;
  side_name_ = key.substr(model_.side_values->prefix.size());
  return !side_name_.empty() && side_name_.size() <= kMaxName;
}

void List::parse_filter(const json::value& filter) {
  filter_ = normalise_filter(filter);
  if (filter_.is_null()) return;
  for (const json::value& predicate : filter_.as_array()) {
    FilterSql sql = predicate_sql(model_, predicate.as_object());
    const std::string operation = get_string(predicate.as_object(), "operation");
    using Kind = Predicate::Kind;
    const Kind kind = operation == "EQUALS" ? Kind::Equal : operation == "NOT_EQUALS" ? Kind::NotEqual : Kind::Other;
    predicates_.push_back({std::move(sql.sql), std::move(sql.values), sql.column, kind});
    if (model_.changes_table.empty()) continue;
    conditions_.push_back(column_condition(model_, predicate.as_object()));
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
  if (!sort && !parse_side(field)) throw bad_token("it names an unknown sort field");
  const std::string side_name = std::exchange(side_name_, {});
  const bool descending = get_bool(fields, "IsDesc");

  parse_sort(request.sort_by);
  const json::value* filter = find(fields, "Filter");
  const json::value token_filter = filter ? *filter : json::value();
  const bool same_field = sort && sort_ ? sort_->column == sort->column : !sort && !sort_ && side_name_ == side_name;
  const bool other_sort = !request.sort_by.empty() && (!same_field || descending_ != descending);
  if (other_sort || (!request.filter.empty() && filter_ != token_filter)) {
    throw Error(Code::InvalidArgument,
                "page token does not match the supplied sort by and/or filtering criteria; repeat those of the first "
                "page, or start again without a token",
                "page_token");
  }
  sort_ = sort;
  side_name_ = side_name;
  descending_ = descending;
  if (request.filter.empty() && !token_filter.is_null()) {
    if (!token_filter.is_array()) throw bad_token("its filter is no list");
    parse_filter(json::object{{"predicates", token_filter}});
  }

  const json::value* value = find(fields, "SortByFieldValue");
  const json::value* key = find(fields, "KeyFieldValue");
  if (!value || !key || !key->is_int64()) throw bad_token("it has no position");
  if (!sort) {
    if (!value->is_null() && !value->is_number()) throw bad_token("its position has the wrong type");
    std::optional<SqlValue> start;
    if (!value->is_null()) start = value->to_number<double>();
    start_.emplace(std::move(start), key->as_int64());
    return;
  }
  if (sort->kind == ColumnKind::Real && value->is_number()) {
    start_.emplace(value->to_number<double>(), key->as_int64());
    return;
  }
  const bool textual = sort->kind == ColumnKind::Text;
  if (textual ? !value->is_string() : !value->is_int64()) throw bad_token("its position has the wrong type");
  SqlValue start = textual ? SqlValue(to_std(value->as_string())) : SqlValue(value->as_int64());
  start_.emplace(std::move(start), key->as_int64());
}

void List::only(std::string_view column, SqlValue value) {
  if (const ListColumn* listed = sql_column(model_, column); listed && std::holds_alternative<std::string>(value)) {
    conditions_.push_back({.column = listed, .texts = {std::get<std::string>(value)}});
  }
  predicates_.insert(predicates_.begin(),
                     Predicate{fmt::format("t.{} = ?", column), {std::move(value)}, column, Predicate::Kind::Equal});
}

void List::only_in(std::string_view column, const json::array& values) {
  predicates_.insert(predicates_.begin(), Predicate{fmt::format("t.{} IN (SELECT j.value FROM json_each(?) j)", column),
                                                    {to_text(values)},
                                                    column,
                                                    Predicate::Kind::Other});
}

std::string List::where(std::vector<SqlValue>& values, Plan plan) const {
  const auto serves_sort = [this](const Predicate& predicate) {
    if (!sort_) return false;
    if (predicate.column == sort_->column) return true;
    if (predicate.kind != Predicate::Kind::Equal || sort_->column != model_.default_sort) return false;
    return std::ranges::any_of(model_.columns, [&](const ListColumn& column) {
      return column.column == predicate.column && column.indexed_with_default_sort;
    });
  };
  std::string sql;
  for (const Predicate& predicate : predicates_) {
    sql += sql.empty() ? " WHERE " : " AND ";
    // The unary plus keeps SQLite from using an index on the column, after which it would have to sort every match.
    if (plan == Plan::WalkSortIndex && !serves_sort(predicate)) {
      sql += with_plus(predicate.sql);
    } else {
      sql += predicate.sql;
    }
    values.insert(values.end(), predicate.values.begin(), predicate.values.end());
  }
  return sql;
}

Matches List::find_matches(Connection& connection) const {
  const auto count = [&](const std::string& condition, const std::vector<SqlValue>& values) {
    Rows rows =
        connection.query_values(fmt::format("SELECT COUNT(*) FROM {} t{}", model_.table, condition), views(values));
    rows.next();
    return rows.integer(0);
  };
  Matches matches;
  if (predicates_.empty()) {
    matches.total = count("", {});
    return matches;
  }
  std::vector<SqlValue> values;
  const std::string condition = where(values, Plan::Any);
  const Predicate& first = predicates_.front();
  if (predicates_.size() == 1 && first.kind == Predicate::Kind::NotEqual && first.values.size() == 1) {
    // Far fewer rows of the index are read for the opposite.
    matches.total = count("", {}) - count(fmt::format(" WHERE t.{} = ?", first.column), values);
    if (matches.total > kFewRows) return matches;
  }
  json::array keys;
  {
    Rows rows = connection.query_values(
        fmt::format("SELECT t.{} FROM {} t{} LIMIT {}", model_.key, model_.table, condition, kCountedRows + 1),
        views(values));
    matches.total = 0;
    while (rows.next()) {
      if (++matches.total <= kFewRows) keys.emplace_back(rows.integer(0));
    }
  }
  if (matches.total <= kFewRows) matches.keys = to_text(keys);
  if (matches.total > kCountedRows) matches.total = count(condition, values);
  return matches;
}

std::string List::page_sql(const Matches& matches, std::string_view select, std::string_view joins,
                           std::vector<SqlValue>& values) const {
  std::string conditions;
  if (matches.keys) {
    conditions = fmt::format(" WHERE t.{} IN (SELECT j.value FROM json_each(?) j)", model_.key);
    values.emplace_back(*matches.keys);
  } else {
    conditions = where(values, Plan::WalkSortIndex);
  }
  const std::string_view direction = descending_ ? "DESC" : "ASC";
  if (start_) {
    conditions += conditions.empty() ? " WHERE " : " AND ";
    conditions += fmt::format("(t.{}, t.{}) {} (?, ?)", sort_->column, model_.key, descending_ ? "<=" : ">=");
    values.push_back(*start_->first);
    values.emplace_back(start_->second);
  }
  // The page's keys first, from narrow rows; then what these few rows hold.
  return fmt::format(
      "SELECT {0}, p.s, p.k FROM (SELECT t.{1} AS s, t.{2} AS k FROM {3} t{4} ORDER BY {5}t.{1} {6}, t.{2} {6} "
      "LIMIT {7}) p CROSS JOIN {3} t ON t.{2} = p.k{8} ORDER BY p.s {6}, p.k {6}",
      select, sort_->column, model_.key, model_.table, conditions, matches.keys ? "+" : "", direction, page_size_ + 1,
      joins);
}

std::string List::side_sql(const Matches& matches, std::string_view select, std::string_view joins, bool with_value,
                           int64_t limit, std::vector<SqlValue>& values) const {
  const SideValues& side = *model_.side_values;
  const std::string of_name = side.only.empty() ? "v.name = ?" : fmt::format("v.name = ? AND {}", side.only);
  const std::string_view direction = with_value && descending_ ? "DESC" : "ASC";
  std::string sql;
  if (with_value && matches.keys) {
    // The values of a few rows, to be sorted. The plus keeps SQLite from walking all values of the name for each.
    sql = fmt::format(
        "SELECT v.value AS s, v.{0} AS k FROM json_each(?) j CROSS JOIN {1} v ON v.{0} = j.value WHERE +{2}", side.key,
        side.table, of_name);
    values.emplace_back(*matches.keys);
  } else if (with_value) {
    // The cross join keeps the side table's index in front: it is walked in its order.
    sql = fmt::format("SELECT v.value AS s, v.{0} AS k FROM {1} v CROSS JOIN {2} t ON t.{3} = v.{0} WHERE {4}",
                      side.key, side.table, model_.table, model_.key, of_name);
  } else {
    sql = fmt::format(
        "SELECT NULL AS s, t.{0} AS k FROM {1} t WHERE NOT EXISTS (SELECT 1 FROM {2} v WHERE v.{3} = t.{0} AND {4})",
        model_.key, model_.table, side.table, side.key, of_name);
  }
  values.emplace_back(side_name_);
  if (matches.keys && !with_value) {
    sql += fmt::format(" AND t.{} IN (SELECT j.value FROM json_each(?) j)", model_.key);
    values.emplace_back(*matches.keys);
  } else if (std::string conditions = matches.keys ? std::string() : where(values, Plan::WalkSortIndex);
             !conditions.empty()) {
    sql += " AND" + conditions.substr(std::string_view(" WHERE").size());
  }
  if (start_ && with_value == start_->first.has_value()) {
    if (with_value) {
      sql += fmt::format(" AND (v.value, v.{}) {} (?, ?)", side.key, descending_ ? "<=" : ">=");
      values.push_back(*start_->first);
    } else {
      sql += fmt::format(" AND t.{} >= ?", model_.key);
    }
    values.emplace_back(start_->second);
  }
  sql += with_value ? fmt::format(" ORDER BY v.value {0}, v.{1} {0} LIMIT {2}", direction, side.key, limit)
                    : fmt::format(" ORDER BY t.{} LIMIT {}", model_.key, limit);
  return fmt::format("SELECT {0}, p.s, p.k FROM ({1}) p CROSS JOIN {2} t ON t.{3} = p.k{4} ORDER BY p.s {5}, p.k {5}",
                     select, sql, model_.table, model_.key, joins, direction);
}

void List::read_by_side(Connection& connection, const Matches& matches, std::string_view select, std::string_view joins,
                        const RowReader& row, Result& result) const {
  int64_t left = page_size_;
  const bool past_values = start_ && !start_->first;
  for (const bool with_value : {true, false}) {
    if (with_value && past_values) continue;
    std::vector<SqlValue> values;
    const std::string sql = side_sql(matches, select, joins, with_value, left + 1, values);
    Rows rows = connection.query_values(sql, views(values));
    while (rows.next()) {
      if (left-- > 0) {
        row(rows);
        continue;
      }
      const int at = rows.columns() - 2;
      std::optional<SqlValue> sort_value;
      if (with_value) sort_value = rows.real(at);
      result.next_page_token = next_token(std::move(sort_value), rows.integer(at + 1));
      return;
    }
  }
}

std::string List::next_token(std::optional<SqlValue> sort_value, int64_t key) const {
  const std::string field =
      sort_ ? std::string(sort_->key) : fmt::format("{}{}", model_.side_values->prefix, side_name_);
  json::object token{{"ModelName", model_.name},
                     {"SortByFieldName", field},
                     {"IsDesc", descending_},
                     {"KeyFieldName", model_.key},
                     {"KeyFieldValue", key}};
  token["SortByFieldValue"] = nullptr;
  if (sort_value)
    std::visit([&](auto&& value) { token["SortByFieldValue"] = std::move(value); }, std::move(*sort_value));
  if (!filter_.is_null()) token["Filter"] = filter_;
  return base64_encode(to_text(token));
}

List::Result List::read(Connection& connection, std::string_view select, std::string_view joins, const RowReader& row,
                        Columns* columns) const {
  // A condition that has no column in memory (see only()) is asked of the table.
  if (columns == nullptr || conditions_.size() != predicates_.size() || (sort_ && sort_->kind == ColumnKind::Real)) {
    return read_by_sql(connection, find_matches(connection), select, joins, row);
  }
  if (!sort_) {
    std::optional<Matches> matches = matches_of(*columns, connection);
    if (!matches) matches = find_matches(connection);
    return read_by_sql(connection, *matches, select, joins, row);
  }
  Columns::Order order{sort_, descending_, {}, static_cast<size_t>(page_size_)};
  if (start_) order.start.emplace(*start_->first, start_->second);
  std::optional<Columns::Found> found = columns->find(connection, conditions_, order);
  if (!found) return read_by_sql(connection, find_matches(connection), select, joins, row);
  Result result;
  result.total_size = found->total;
  if (found->next) result.next_page_token = next_token(std::move(found->next->first), found->next->second);
  if (found->keys.empty()) return result;
  const json::array keys(found->keys.begin(), found->keys.end());
  Rows rows = connection.query(
      fmt::format("SELECT {0} FROM json_each(?) j CROSS JOIN {1} t ON t.{2} = j.value{3} ORDER BY j.key", select,
                  model_.table, model_.key, joins),
      to_text(keys));
  while (rows.next()) row(rows);
  return result;
}

// For lists that are sorted by values beside the rows.
std::optional<Matches> List::matches_of(Columns& columns, Connection& connection) const {
  const ListColumn* order = find_column(model_, model_.default_sort);
  const std::optional<Columns::Found> found =
      columns.find(connection, conditions_, {order, false, {}, static_cast<size_t>(kFewRows)});
  if (!found) return std::nullopt;
  Matches matches{found->total, {}};
  if (!conditions_.empty() && found->total <= kFewRows) {
    matches.keys = to_text(json::array(found->keys.begin(), found->keys.end()));
  }
  return matches;
}

List::Result List::read_by_sql(Connection& connection, const Matches& matches, std::string_view select,
                               std::string_view joins, const RowReader& row) const {
  Result result;
  result.total_size = matches.total;
  if (result.total_size == 0) return result;
  if (!sort_) {
    read_by_side(connection, matches, select, joins, row, result);
    return result;
  }

  std::vector<SqlValue> values;
  const std::string sql = page_sql(matches, select, joins, values);
  Rows rows = connection.query_values(sql, views(values));
  int64_t seen = 0;
  while (rows.next()) {
    if (seen++ < page_size_) {
      row(rows);
      continue;
    }
    const int at = rows.columns() - 2;
    SqlValue sort_value = rows.integer(at);
    if (sort_->kind == ColumnKind::Text) sort_value = rows.string(at);
    if (sort_->kind == ColumnKind::Real) sort_value = rows.real(at);
    result.next_page_token = next_token(std::move(sort_value), rows.integer(at + 1));
    break;
  }
  return result;
}

}  // namespace penstock::db
