// Between resources and rows of the registry's tables; functions on a connection, for writes that share a transaction.
// Private to this folder.
#pragma once

#include "db/database.h"
#include "registry/store.h"

namespace penstock::registry::rows {

inline constexpr std::string_view kColumns =
    "t.kind, t.id, t.parent, t.name, t.external_id, t.type, t.body, t.custom, t.created_at, t.updated_at";
Resource read(db::Rows& rows);

Resource get(db::Connection& connection, Kind kind, int64_t id);  // NotFound
// Checks what the resource refers to, writes it with what follows from it, and sets id and times. AlreadyExists.
void insert(db::Connection& connection, Resource& resource, int64_t now);
void update(db::Connection& connection, Resource& resource, int64_t now);
void attribute(db::Connection& connection, int64_t owner, int64_t artifact);
// NotFound unless there is what resources of the kind belong to.
void require_parent(db::Connection& connection, Kind kind, int64_t parent);
std::optional<Resource> find(db::Connection& connection, Kind kind, int64_t parent, std::string_view name);
void set_alias(db::Connection& connection, int64_t model, const std::string& alias, int64_t version);

}  // namespace penstock::registry::rows
