// Notes of runs' changes for those who are told of them.
#include "pipelines/store/rows.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

Async<> Store::record_run_changes(bool wanted) {
  co_await database_.write([wanted](db::Connection& c) {
    c.execute("DROP TRIGGER IF EXISTS run_notes_of_changes");
    if (!wanted) return;
    c.execute(
        "CREATE TRIGGER run_notes_of_changes AFTER UPDATE OF state ON runs WHEN new.state <> old.state BEGIN "
        "INSERT INTO run_notes (delivery, run_id, state, at) VALUES (lower(hex(randomblob(16))), new.run_id, "
        "new.state, "
        "CASE WHEN new.finished_at > 0 THEN new.finished_at "
        "ELSE CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) END); END");
  });
}

Async<std::vector<store::RunChange>> Store::run_changes(int64_t most) {
  co_return co_await database_.read([most](db::Connection& c) {
    std::vector<store::RunChange> notes;
    {
      db::Rows rows = c.query("SELECT seq, delivery, run_id, state, at FROM run_notes ORDER BY seq LIMIT ?", most);
      while (rows.next()) {
        notes.push_back({rows.integer(0), rows.string(1), rows.string(2), rows.string(3), from_micros(rows.integer(4)),
                         std::nullopt});
      }
    }
    for (auto& note : notes) {
      db::Rows rows = c.query(
          fmt::format("SELECT {} FROM runs t{} WHERE t.run_id = ?", store::kRunColumns, store::kRunJoin), note.run_id);
      if (rows.next()) note.run = store::read_run(rows);
    }
    return notes;
  });
}

Async<> Store::drop_run_change(int64_t seq) {
  const auto drop = [seq](db::Connection& c) { c.execute("DELETE FROM run_notes WHERE seq = ?", seq); };
  co_await database_.write(drop, db::Durability::Relaxed);
}

}  // namespace penstock::pipelines
