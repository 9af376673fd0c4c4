// SQL functions of ours. Private to this folder.
#pragma once

struct sqlite3;

namespace penstock::db {

// contains_text(text, part): 1 when `part` is in `text`, ASCII letters of either case being the same, as in LIKE but in
// half its time.
void register_functions(sqlite3* handle);

}  // namespace penstock::db
