#include "db/list_filter.h"

#include <charconv>
#include <limits>

#include "base/clock.h"

namespace penstock::db {

namespace {

constexpr size_t kMaxPredicates = 100;
constexpr size_t kMaxValues = 10'000;
constexpr size_t kMaxSubstring = 4'096;

struct Operation {
  int64_t number;
  std::string_view name;
  std::string_view sql;
};
constexpr Operation kOperations[] = {
    {1, "EQUALS", "="},    {2, "NOT_EQUALS", "<>"},       {3, "GREATER_THAN", ">"}, {5, "GREATER_THAN_EQUALS", ">="},
    {6, "LESS_THAN", "<"}, {7, "LESS_THAN_EQUALS", "<="}, {8, "IN", "IN"},          {9, "IS_SUBSTRING", ""},
};

const Operation* find_operation(const json::value& value) {
  for (const Operation& operation : kOperations) {
    if (value.is_string() && to_view(value.as_string()) == operation.name) return &operation;
    if (value.is_int64() && value.as_int64() == operation.number) return &operation;
  }
  return nullptr;
}

Error bad(const std::string& path, std::string_view why) {
  return Error(Code::InvalidArgument, fmt::format("invalid filter: {}: {}", path, why), "filter");
}

std::optional<int64_t> to_integer(const json::value& value) {
  if (value.is_int64()) return value.as_int64();
  if (!value.is_string()) return std::nullopt;
  const std::string_view text = to_view(value.as_string());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

json::value read_integer(const json::value& value, const std::string& path) {
  const std::optional<int64_t> number = to_integer(value);
  if (!number) throw bad(path, "expected an integer");
  return *number;
}

double read_real(const json::value& value, const std::string& path) {
  if (value.is_int64()) return static_cast<double>(value.as_int64());
  double number = 0;
  const std::string_view text = value.is_string() ? to_view(value.as_string()) : std::string_view();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) throw bad(path, "expected a number");
  return number;
}

json::value read_string(const json::value& value, const std::string& path) {
  if (!value.is_string()) throw bad(path, "expected a string");
  return value;
}

json::value read_timestamp(const json::value& value, const std::string& path) {
  const std::optional<Time> time = value.is_string() ? parse_time(to_view(value.as_string())) : std::nullopt;
  if (!time) throw bad(path, "expected an RFC 3339 time such as \"2024-01-02T03:04:05Z\"");
  return std::chrono::floor<std::chrono::seconds>(*time).time_since_epoch().count();
}

json::value read_array(const json::value& value, const std::string& path,
                       json::value (*item)(const json::value&, const std::string&)) {
  const json::array* values = nullptr;
  if (value.is_object()) values = find_array(value.as_object(), "values");
  if (!values || value.as_object().size() != 1) throw bad(path, "expected {\"values\": […]}");
  if (values->size() > kMaxValues) throw bad(path, fmt::format("more than {} values", kMaxValues));
  json::array out;
  for (size_t i = 0; i < values->size(); ++i) out.push_back(item((*values)[i], fmt::format("{}.values[{}]", path, i)));
  return out;
}

// A value as a page token holds it: normalised before, but it has been in a client's hands.
json::value read_normalised(const json::value& value, const std::string& path) {
  const auto scalar = [](const json::value& item) { return item.is_string() || item.is_int64(); };
  if (value.is_array()) {
    for (const json::value& item : value.as_array()) {
      if (!scalar(item)) throw bad(path, "expected strings or integers");
    }
  } else if (!scalar(value)) {
    throw bad(path, "expected a string, an integer or a list of them");
  }
  return value;
}

// True when `key` is one of the value members; then `out` is the value in its normal form.
bool read_value(std::string_view key, const json::value& value, const std::string& path, json::value& out) {
  if (key == "string_value" || key == "stringValue") {
    out = read_string(value, path);
  } else if (key == "int_value" || key == "intValue" || key == "long_value" || key == "longValue") {
    out = read_integer(value, path);
  } else if (key == "timestamp_value" || key == "timestampValue") {
    out = read_timestamp(value, path);
  } else if (key == "string_values" || key == "stringValues") {
    out = read_array(value, path, read_string);
  } else if (key == "int_values" || key == "intValues" || key == "long_values" || key == "longValues") {
    out = read_array(value, path, read_integer);
  } else if (key == "value") {
    out = read_normalised(value, path);
  } else {
    return false;
  }
  return true;
}

json::object normalise_predicate(const json::value& predicate, const std::string& path) {
  if (!predicate.is_object()) throw bad(path, "expected an object");
  const Operation* operation = nullptr;
  json::value key, value;
  bool has_value = false;
  for (const auto& [name, member] : predicate.as_object()) {
    const std::string_view field(name.data(), name.size());
    const std::string member_path = fmt::format("{}.{}", path, field);
    if (field == "operation" || field == "op") {
      operation = find_operation(member);
      if (!operation) throw bad(member_path, fmt::format("unknown operation {}", to_text(member)));
    } else if (field == "key") {
      key = read_string(member, member_path);
    } else if (json::value read; read_value(field, member, member_path, read)) {
      if (has_value) throw bad(path, "more than one value");
      value = std::move(read);
      has_value = true;
    } else {
      throw bad(member_path, "unknown field");
    }
  }
  if (!operation) throw bad(path, "it has no operation");
  if (!key.is_string() || key.as_string().empty()) throw bad(path, "it has no key");
  if (!has_value) throw bad(path, "it has no value");
  if (operation->name == "IN" && !value.is_array())
    throw bad(path, "IN needs string_values, int_values or long_values");
  if (operation->name != "IN" && value.is_array()) {
    throw bad(path, fmt::format("{} takes one value, not a list", operation->name));
  }
  if (operation->name == "IS_SUBSTRING" && !value.is_string()) throw bad(path, "IS_SUBSTRING needs a string_value");
  return {{"operation", operation->name}, {"key", std::move(key)}, {"value", std::move(value)}};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string escape_like(std::string_view text) {
  std::string out = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out + '%';
}

SqlValue scalar_text(const json::value& value) {
  if (value.is_string()) return to_std(value.as_string());
  return fmt::format("{}", value.as_int64());
}

// Seconds; a client may give them as a number, a time or text.
int64_t scalar_seconds(const json::value& value, std::string_view key) {
  if (const std::optional<int64_t> number = to_integer(value)) return *number;
  return read_timestamp(value, fmt::format("{:?}", std::string(key))).as_int64();
}

constexpr int64_t kSecond = 1'000'000;

// The first and the last microsecond of a second; of one that no column can hold, the nearest that one can.
std::pair<int64_t, int64_t> second_of(const json::value& value, std::string_view key) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / kSecond - 1;
  const int64_t seconds = std::clamp(scalar_seconds(value, key), -kMost, kMost);
  return {seconds * kSecond, seconds * kSecond + kSecond - 1};
}

// Seconds against a column of microseconds: the whole second is equal to itself.
FilterSql time_sql(const ListColumn& column, std::string_view operation, const json::value& value) {
  const std::string c = fmt::format("t.{}", column.column);
  if (operation == "IN") {
    FilterSql out{"(0", {}};
    for (const json::value& item : value.as_array()) {
      const auto [from, to] = second_of(item, column.key);
      out.sql += fmt::format(" OR {0} >= ? AND {0} <= ?", c);
      out.values.emplace_back(from);
      out.values.emplace_back(to);
    }
    out.sql += ')';
    return out;
  }
  if (operation == "IS_SUBSTRING") throw bad(fmt::format("{:?}", std::string(column.key)), "a time has no substrings");
  const auto [from, to] = second_of(value, column.key);
  if (operation == "EQUALS") return {fmt::format("({0} >= ? AND {0} <= ?)", c), {from, to}};
  if (operation == "NOT_EQUALS") return {fmt::format("({0} < ? OR {0} > ?)", c), {from, to}};
  if (operation == "GREATER_THAN") return {c + " > ?", {to}};
  if (operation == "GREATER_THAN_EQUALS") return {c + " >= ?", {from}};
  if (operation == "LESS_THAN") return {c + " < ?", {from}};
  return {c + " <= ?", {to}};  // LESS_THAN_EQUALS
}

FilterSql tag_sql(const ListModel& model, std::string_view tag, std::string_view operation, const json::value& value) {
  if (operation != "EQUALS" || !value.is_string() || tag.empty()) {
    throw bad(fmt::format("\"tags.{}\"", tag), "tags are filtered by EQUALS and a string_value");
  }
  return {fmt::format("EXISTS (SELECT 1 FROM json_each(t.{}) j WHERE j.key = ? AND j.value = ?)", model.tags_column),
          {std::string(tag), scalar_text(value)}};
}

}  // namespace

const ListColumn* sql_column(const ListModel& model, std::string_view column) {
  for (const ListColumn& listed : model.columns) {
    if (listed.column == column) return &listed;
  }
  return nullptr;
}

const ListColumn* find_column(const ListModel& model, std::string_view key) {
  for (const ListColumn& column : model.columns) {
    if (column.key == key) return &column;
  }
  return nullptr;
}

json::value decode_filter(std::string_view text) {
  try {
    return parse_json(text);
  } catch (const Error&) {
  }
  try {
    return parse_json(percent_decode(text));
  } catch (const Error& error) {
    throw bad("it is not JSON", error.message());
  }
}

json::value normalise_filter(const json::value& filter) {
  if (!filter.is_object()) throw bad("it is no object", "expected {\"predicates\": […]}");
  const json::array* predicates = nullptr;
  for (const auto& [name, member] : filter.as_object()) {
    if (name != "predicates") throw bad(std::string(name), "unknown field");
    if (!member.is_array()) throw bad("predicates", "expected a list");
    predicates = &member.as_array();
  }
  if (!predicates || predicates->empty()) return nullptr;
  if (predicates->size() > kMaxPredicates) throw bad("predicates", fmt::format("more than {}", kMaxPredicates));
  json::array out;
  for (size_t i = 0; i < predicates->size(); ++i) {
    out.push_back(normalise_predicate((*predicates)[i], fmt::format("predicates[{}]", i)));
  }
  return out;
}

namespace {

FilterSql column_sql(const ListColumn& column, const json::object& predicate);

}  // namespace

FilterSql predicate_sql(const ListModel& model, const json::object& predicate) {
  const std::string key = get_string(predicate, "key");
  const std::string name = get_string(predicate, "operation");
  const json::value& value = predicate.at("value");
  if (!model.tags_column.empty() && key.starts_with("tags.")) return tag_sql(model, key.substr(5), name, value);
  const ListColumn* column = find_column(model, key);
  if (!column) {
    throw Error(Code::InvalidArgument, fmt::format("no support for filtering on unrecognized field {:?}", key),
                "filter");
  }
  FilterSql out = column->kind == ColumnKind::Time ? time_sql(*column, name, value) : column_sql(*column, predicate);
  out.column = column->column;
  return out;
}

namespace {

// Against a column of text or integers.
FilterSql column_sql(const ListColumn& column, const json::object& predicate) {
  const std::string key = get_string(predicate, "key");
  const std::string name = get_string(predicate, "operation");
  const json::value& value = predicate.at("value");
  const auto scalar = [&](const json::value& item) -> SqlValue {
    if (column.kind == ColumnKind::Text) return scalar_text(item);
    if (column.kind == ColumnKind::Real) return read_real(item, fmt::format("{:?}", key));
    return read_integer(item, fmt::format("{:?}", key)).as_int64();
  };
  const std::string_view sql = find_operation(predicate.at("operation"))->sql;
  if (name == "IN") {
    // A list of one JSON parameter: any length is the same prepared statement.
    json::array items;
    for (const json::value& item : value.as_array()) {
      std::visit([&](auto&& v) { items.emplace_back(std::move(v)); }, scalar(item));
    }
    return {fmt::format("t.{} IN (SELECT j.value FROM json_each(?) j)", column.column), {to_text(items)}};
  }
  if (name == "IS_SUBSTRING") {
    const std::string_view text = to_view(value.as_string());
    if (text.size() > kMaxSubstring) throw bad(key, fmt::format("a substring has at most {} bytes", kMaxSubstring));
    return {fmt::format("t.{} LIKE ? ESCAPE '\\'", column.column), {escape_like(text)}};
  }
  return {fmt::format("t.{} {} ?", column.column, sql), {scalar(value)}};
}

}  // namespace

namespace {

// What the values of an operation on numbers are, as ranges.
std::pair<int64_t, int64_t> range_of(std::string_view operation, std::pair<int64_t, int64_t> value) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min(), kMost = std::numeric_limits<int64_t>::max();
  if (operation == "GREATER_THAN_EQUALS") return {value.first, kMost};
  if (operation == "LESS_THAN_EQUALS") return {kLeast, value.second};
  return value;
}

Condition number_condition(const ListColumn& column, std::string_view operation, const json::value& value) {
  const auto one = [&](const json::value& item) -> std::pair<int64_t, int64_t> {
    if (column.kind == ColumnKind::Time) return second_of(item, column.key);
    const int64_t number = read_integer(item, fmt::format("{:?}", std::string(column.key))).as_int64();
    return {number, number};
  };
  Condition out{.column = &column, .kind = Condition::Kind::Ranges};
  if (operation == "IN") {
    for (const json::value& item : value.as_array()) out.ranges.push_back(one(item));
    return out;
  }
  // a > b is not a <= b.
  out.negated = operation == "NOT_EQUALS" || operation == "GREATER_THAN" || operation == "LESS_THAN";
  if (operation == "GREATER_THAN") operation = "LESS_THAN_EQUALS";
  if (operation == "LESS_THAN") operation = "GREATER_THAN_EQUALS";
  out.ranges.push_back(range_of(operation, one(value)));
  return out;
}

std::string text_value(const json::value& value) { return std::get<std::string>(scalar_text(value)); }

Condition text_condition(const ListColumn& column, std::string_view operation, const json::value& value) {
  using Kind = Condition::Kind;
  Condition out{.column = &column};
  if (operation == "IN") {
    for (const json::value& item : value.as_array()) out.texts.push_back(text_value(item));
    return out;
  }
  out.texts.push_back(text_value(value));
  out.negated = operation == "NOT_EQUALS" || operation == "GREATER_THAN" || operation == "GREATER_THAN_EQUALS";
  if (operation == "IS_SUBSTRING") out.kind = Kind::Substring;
  if (operation == "GREATER_THAN" || operation == "LESS_THAN_EQUALS") out.kind = Kind::LessOrEqual;
  if (operation == "GREATER_THAN_EQUALS" || operation == "LESS_THAN") out.kind = Kind::Less;
  return out;
}

}  // namespace

Condition column_condition(const ListModel& model, const json::object& predicate) {
  const std::string operation = get_string(predicate, "operation");
  const ListColumn* column = find_column(model, get_string(predicate, "key"));
  if (!column) throw bad("key", "tags are not kept in memory");
  if (column->kind == ColumnKind::Text) return text_condition(*column, operation, predicate.at("value"));
  return number_condition(*column, operation, predicate.at("value"));
}

}  // namespace penstock::db
