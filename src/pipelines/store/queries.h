// Queries that several parts of the store make. Private to this folder.
#pragma once

#include "db/database.h"
#include "db/list.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines::store {

// Of `rows`, which are those with that id; throws NotFound ("<kind> <id> not found") when there is none.
template <class T>
T first_row(db::Rows rows, T (*read)(db::Rows&), std::string_view kind, std::string_view id) {
  if (!rows.next()) throw not_found("{} {} not found", kind, id);
  return read(rows);
}

template <class T>
Async<Page<T>> read_page(db::Database& database, db::List list, std::string_view columns, T (*read)(db::Rows&)) {
  co_return co_await database.read([&](db::Connection& c) {
    Page<T> page;
    auto result = list.read(
        c, columns, "", [&](db::Rows& rows) { page.items.push_back(read(rows)); }, nullptr);
    page.total_size = result.total_size;
    page.next_page_token = std::move(result.next_page_token);
    return page;
  });
}

// A run's key in its table. NotFound.
int64_t run_seq(db::Connection& connection, std::string_view run_id);

// Throws NotFound when there is no such experiment and FailedPrecondition when it is archived.
void check_takes_runs(db::Connection& connection, std::string_view experiment_id);

}  // namespace penstock::pipelines::store
