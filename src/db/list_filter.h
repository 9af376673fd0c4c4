// KFP's filter messages turned into SQL.
#pragma once

#include "db/columns.h"

namespace penstock::db {

struct FilterSql {
  std::string sql;  // of the table's alias t
  std::vector<SqlValue> values;
  std::string_view column{};  // empty for tags
};

const ListColumn* find_column(const ListModel& model, std::string_view key);
const ListColumn* sql_column(const ListModel& model, std::string_view column);  // null when it is not listed

// Reads the text of a filter: JSON, or JSON that is URL-encoded once more. Throws InvalidArgument.
json::value decode_filter(std::string_view text);

// The list of predicates with one spelling for each: {"operation": "EQUALS", "key": …, "value": … | [ … ]}, which it
// also takes as input. Null when there are none. Throws InvalidArgument with the path of what is wrong.
json::value normalise_filter(const json::value& filter);

// `predicate` is a normalised one. Throws InvalidArgument for an unknown key or a value of the wrong type.
FilterSql predicate_sql(const ListModel& model, const json::object& predicate);
// The same predicate for Columns. Throws for one on tags, too.
Condition column_condition(const ListModel& model, const json::object& predicate);

}  // namespace penstock::db
